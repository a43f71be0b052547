//! A fill that cannot be read: a letter, later fills parked behind it, redriven from a clean copy.

use std::time::Duration;

use backstop_dlq::{Reason, State};
use backstop_position_ledger::fill::Source;
use rust_decimal::Decimal;
use trading_host::{letters::Committing, report::DeadLetters, venue::Event};

use crate::stage::{Fate, Stage};

const ALL: [&str; 4] = ["T00000001", "T00000002", "T00000003", "T00000004"];

/// An order that takes four ticks; its second fill is slow and torn, so that the others wait.
fn torn() -> Stage {
    let ticks: Vec<_> = (0..10)
        .map(|nth| (Duration::from_millis(20_000 + 400 * nth), 50))
        .chain([(Duration::from_mins(2), 0)])
        .collect();
    let mut stage = Stage::new(1, 120).with_ticks(&ticks).wishing(20, 0, 200);
    stage.script.events.insert(3, Fate::Torn(Duration::from_millis(1_500), 1));
    stage
}

#[test]
fn later_fills_are_parked_behind_the_letter_in_order() {
    let ending = torn().play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let letters = ending.letters();
    let seen: Vec<_> =
        letters.iter().map(|letter| (letter.message().position, letter.reason())).collect();
    assert_eq!(seen[0], (3, Reason::Undecodable));
    assert!(seen.len() > 1, "nothing was parked: {seen:?}");
    assert!(
        seen[1..].iter().all(|(_, reason)| matches!(reason, Reason::ParkedBehind(_))),
        "{seen:?}"
    );
    let positions: Vec<_> = seen.iter().map(|(position, _)| *position).collect();
    assert!(positions.is_sorted(), "{positions:?}");
    assert!(letters.iter().all(|letter| letter.state() == State::Resolved));
    assert!(
        letters.iter().all(|letter| letter.message().key.as_deref() == Some(b"AAA".as_slice()))
    );

    let count = u64::try_from(letters.len()).unwrap();
    let (put, replayed, resolved) = (count, count, count);
    let expected = DeadLetters { put, replayed, resolved, remaining: 0, lost: 0 };
    assert_eq!(ending.report.dead_letters, expected);
}

#[test]
fn the_books_are_those_of_a_sound_stream() {
    let ending = torn().play();
    assert_eq!(ending.trade_ids(), ALL);
    assert_eq!(ending.held("AAA"), Decimal::from(200));
    // By the stream's own copy: reconciliation had nothing to do with it.
    assert!(ending.fills().iter().all(|booked| booked.fill.source == Source::Stream));
    assert_eq!(ending.report.reconciliation.found, 0);
    assert_eq!(ending.detail("every_trade_once"), "4 trades, recovered: []");
    assert!(ending.report.consistency_age_s_max < 5.0);
    assert_eq!(ending.report.recovery_rate.to_string(), "1");
}

#[test]
fn the_letter_keeps_what_came_beside_the_clean_copy() {
    let ending = torn().play();
    let letter = &ending.letters()[0];
    let came = &letter.message().payload;
    assert!(serde_json::from_slice::<Event>(came).is_err());
    assert_eq!(letter.edits().len(), 1);
    let edit = &letter.edits()[0];
    assert_eq!(edit.by, "venue");
    assert!(edit.payload.starts_with(came));
    let Ok(Event::Filled { trade }) = serde_json::from_slice(&edit.payload) else { panic!() };
    assert_eq!(trade.trade_id, ALL[1]);
}

#[test]
fn what_the_venue_cannot_mend_sets_its_instrument_apart_and_is_left_to_a_human() {
    let mut stage = Stage::new(2, 240).with_liquidity(50).wishing(20, 0, 200).wishing(50, 1, 100);
    stage.script.events.insert(2, Fate::Torn(Duration::ZERO, u32::MAX));
    let ending = stage.play();
    // The books of one instrument lag from then on, so nothing new of it rests on them.
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (0.into(), 100.into()));
    assert_eq!(ending.report.halted, None);
    assert_eq!(ending.report.isolated.keys().collect::<Vec<_>>(), ["AAA"]);
    // Nothing is lost: the letters say what lacks, a human was told, the run is not well.
    let letters = ending.letters();
    assert_eq!(letters[0].state(), State::Quarantined);
    assert!(letters.len() > 1 && letters[1..].iter().all(|l| l.state() == State::Parked));
    assert_eq!(ending.report.open_letters.len(), letters.len());
    assert_eq!(ending.alerts.iter().filter(|alert| alert.name == "letters_quarantined").count(), 1);
    assert!(ending.broken().contains(&"books_equal_venue"), "{:?}", ending.broken());
    assert!(!ending.report.ok);
}

#[test]
fn a_place_that_is_written_before_the_letter_loses_the_fill() {
    let mut stage = torn();
    stage.settings.controls.committing = Committing::BeforeLetter;
    let ending = stage.play();
    assert_eq!((ending.letters(), ending.report.dead_letters.lost), (Vec::new(), 1));
    assert!(ending.broken().contains(&"letters_accounted_for"), "{:?}", ending.broken());
    assert!(ending.broken().contains(&"every_trade_once"), "{:?}", ending.broken());
    assert!(!ending.report.ok);
}
