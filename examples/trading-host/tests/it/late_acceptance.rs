//! A late acceptance: the first look-up finds nothing, and nothing may be concluded from that.

use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_position_ledger::order::Status;
use rust_decimal::Decimal;
use trading_host::order::ACCEPT_WITHIN;

use crate::stage::{Ending, Stage, Submit};

fn words(ending: &Ending) -> Vec<String> {
    ending.order_events().into_iter().map(|(word, _)| word).collect()
}

/// When the n-th word was written.
fn written(ending: &Ending, nth: usize) -> Timestamp {
    ending.order_events()[nth].1
}

fn with(submit: Submit) -> Stage {
    let mut stage = Stage::new(1, 240).wishing(20, 0, 100);
    stage.script.submits.insert(1, submit);
    stage
}

#[test]
fn an_order_that_is_not_found_stays_unknown_until_it_is_accepted() {
    let ending = with(Submit::Late(Duration::from_secs(6))).play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let found: Vec<_> = ending.venue.look_ups().into_iter().map(|(_, found)| found).collect();
    assert_eq!(found.first(), Some(&0));
    assert_eq!(found.last(), Some(&1));
    assert_eq!(words(&ending)[..2], ["intended", "outcome_unknown"]);
    assert!(!words(&ending).contains(&"rejected".to_owned()));

    // All that time no other order was sent.
    assert_eq!((ending.audit.submits.len(), ending.audit.orders.len()), (1, 1));
    assert_eq!(ending.report.orders.intended, 1);
    assert_eq!(ending.orders()[0].status(), Status::Done);
    assert_eq!(ending.held("AAA"), Decimal::from(100));
}

#[test]
fn an_order_that_never_came_is_given_up_only_after_its_deadline() {
    let ending = with(Submit::Lost).play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let expected = ["intended", "outcome_unknown", "resolved", "intended", "accepted"];
    assert_eq!(words(&ending), expected);
    assert!(ending.venue.look_ups().iter().all(|(_, found)| *found == 0));

    let orders = ending.orders();
    let accept_by = orders[0].intent().accept_by;
    assert_eq!(accept_by, written(&ending, 0).saturating_add(ACCEPT_WITHIN));
    assert_eq!(orders[0].status(), Status::NotApplied);
    assert!(written(&ending, 2) > accept_by);
    // Looked up more than once before that, and given up at the first look-up after it.
    let look_ups = ending.venue.look_ups();
    let before = look_ups.iter().filter(|(at, _)| *at <= accept_by).count();
    assert!(before > 1 && before + 1 == look_ups.len(), "{look_ups:?}");

    // Only then came another intent, and the wish was met once.
    assert!(ending.audit.submits[1].0 > accept_by);
    assert_ne!(orders[0].intent().order_id, orders[1].intent().order_id);
    assert_eq!(ending.audit.orders.len(), 1);
    assert_eq!(ending.held("AAA"), Decimal::from(100));
}

#[test]
fn the_deadline_passes_by_the_clock_of_the_venue() {
    let behind = Duration::from_secs(20);
    let mut stage = with(Submit::Lost);
    stage.script.behind = behind;
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.orders()[0].status(), Status::NotApplied);
    let accept_by = ending.orders()[0].intent().accept_by;
    assert!(written(&ending, 2) > accept_by.saturating_add(behind));
}

#[test]
fn an_order_accepted_after_the_deadline_of_our_clock_is_no_surprise() {
    let mut stage = with(Submit::Late(ACCEPT_WITHIN + Duration::from_secs(10)));
    stage.script.behind = Duration::from_secs(20);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let accept_by = ending.orders()[0].intent().accept_by;
    assert!(ending.audit.trades[0].0 > accept_by);
    assert_eq!((ending.audit.submits.len(), ending.audit.orders.len()), (1, 1));
    assert_eq!(ending.orders()[0].status(), Status::Done);
    assert_eq!(ending.held("AAA"), Decimal::from(100));
}

#[test]
fn other_instruments_trade_on_meanwhile() {
    let mut stage = Stage::new(2, 240).wishing(20, 0, 100).wishing(30, 1, 50);
    stage.script.submits.insert(1, Submit::Lost);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let given_up = ending.orders()[0].intent().accept_by;
    let second = ending.audit.trades.iter().find(|(_, trade)| trade.symbol == "BBB").unwrap();
    assert!(second.0 < given_up);
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (100.into(), 50.into()));
}

#[test]
fn a_first_look_taken_for_an_answer_breaks_the_run() {
    let mut stage = with(Submit::Late(Duration::from_secs(6)));
    stage.settings.controls.absence = trading_host::order::Absence::AtFirstLook;
    let ending = stage.play();
    // The wish was met twice, under two intents: one order for each, and one too many.
    assert_eq!(ending.report.orders.duplicates_at_venue, 0);
    assert!(ending.audit.orders.len() > 1, "{:?}", ending.audit.orders);
    assert!(ending.broken().contains(&"no_order_misjudged"), "{:?}", ending.broken());
    assert!(!ending.report.ok);
}
