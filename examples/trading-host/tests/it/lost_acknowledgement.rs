//! A lost acknowledgement: the venue has the order, and nobody heard it say so.

use std::{collections::BTreeMap, time::Duration};

use backstop_clock::Timestamp;
use backstop_position_ledger::order::Status;
use rust_decimal::Decimal;

use trading_host::report::Errors;

use crate::stage::{Ending, Fate, Stage, Submit, at};

fn words(ending: &Ending) -> Vec<String> {
    ending.order_events().into_iter().map(|(word, _)| word).collect()
}

/// When a word was written first.
fn written(ending: &Ending, wanted: &str) -> Timestamp {
    ending.order_events().into_iter().find(|(word, _)| word == wanted).unwrap().1
}

/// An order without an answer, of which the stream is silent for longer than the request waits.
fn unanswered() -> Stage {
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100);
    stage.script.submits.insert(1, Submit::Unanswered);
    let away = Duration::from_millis(2_700);
    stage.script.events.extend([(1, Fate::After(away)), (2, Fate::After(away))]);
    stage
}

#[test]
fn the_order_is_looked_up_and_never_sent_again() {
    let ending = unanswered().play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(words(&ending), ["intended", "outcome_unknown", "resolved"]);
    assert_eq!((ending.audit.submits.len(), ending.audit.orders.len()), (1, 1));
    assert_eq!(ending.report.orders.unknown_resolved, 1);
    assert_eq!(ending.report.orders.duplicates_at_venue, 0);
    assert_eq!(ending.orders()[0].status(), Status::Done);
    assert_eq!(ending.held("AAA"), Decimal::from(100));

    // The first look-up found it, and it was believed.
    let look_ups = ending.venue.look_ups();
    assert_eq!(look_ups.len(), 1);
    assert_eq!(look_ups[0].1, 1);
    assert_eq!(written(&ending, "resolved"), look_ups[0].0);
    // A failure, and yet an order.
    assert_eq!(counted(&ending), [("execution timeout".to_owned(), 1, 0)]);
}

/// Failures by component and kind: how many led to a result, and how many did not.
fn counted(ending: &Ending) -> Vec<(String, u64, u64)> {
    let of_component = |(component, kinds): (&String, &BTreeMap<String, Errors>)| {
        let counts = kinds
            .iter()
            .map(|(kind, errors)| (format!("{component} {kind}"), errors.recovered, errors.failed));
        counts.collect::<Vec<_>>()
    };
    ending.report.errors.iter().flat_map(of_component).collect()
}

#[test]
fn what_became_of_each_failure_is_counted() {
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100).wishing(60, 0, 200);
    stage.script.submits.insert(1, Submit::Limited(Duration::from_secs(3)));
    stage.script.submits.insert(3, Submit::Rejected);
    stage.script.drift = Some((at(80), Decimal::from(-1_000)));
    let expected = [
        ("execution rate_limited".to_owned(), 1, 0),
        ("execution rejected".to_owned(), 0, 1),
        // The balance that nobody can explain, and trading halted because of it.
        ("position inconsistent".to_owned(), 0, 1),
    ];
    assert_eq!(counted(&stage.play()), expected);
}

#[test]
fn an_event_may_bring_the_answer_first() {
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100);
    stage.script.submits.insert(1, Submit::Unanswered);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    // The stream said it before the request gave up, so there was never a doubt.
    assert_eq!(words(&ending), ["intended", "accepted"]);
    assert_eq!(ending.audit.orders.len(), 1);
    assert_eq!(ending.report.orders.unknown_resolved, 0);
}

#[test]
fn a_plain_retry_would_have_bought_twice() {
    let mut stage = unanswered();
    stage.settings.controls.submitting = trading_host::guard::Submitting::PlainRetry;
    let ending = stage.play();
    // Two bought for one intent; the second acceptance differs from the first, and halts.
    assert_eq!(ending.report.orders.duplicates_at_venue, 1);
    assert_eq!((ending.report.orders.intended, ending.audit.orders.len()), (1, 2));
    assert!(ending.report.halted.is_some());
    assert!(ending.broken().contains(&"one_order_per_intent"), "{:?}", ending.broken());
    assert!(!ending.report.ok);
}

#[test]
fn a_request_that_was_certainly_not_served_goes_again_under_the_same_id() {
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100);
    let retry_after = Duration::from_secs(3);
    stage.script.submits.insert(1, Submit::Limited(retry_after));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let submits = &ending.audit.submits;
    assert_eq!((submits.len(), ending.report.retries), (2, 1));
    assert_eq!(submits[0].1, submits[1].1);
    assert!(submits[1].0.since(submits[0].0) >= retry_after);
    assert_eq!(ending.report.orders.intended, 1);
    assert_eq!(ending.report.recovery_rate.to_string(), "1");
}

#[test]
fn a_wait_beyond_the_deadline_ends_the_intent() {
    let mut stage = Stage::new(1, 240).wishing(20, 0, 100);
    stage.script.submits.insert(1, Submit::Limited(Duration::from_mins(1)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    // The wish was still there, so another intent under other ids took its place.
    assert_eq!(words(&ending), ["intended", "resolved", "intended", "accepted"]);
    let orders = ending.orders();
    assert_eq!(orders[0].status(), Status::NotApplied);
    assert_eq!(orders[1].status(), Status::Done);
    assert_ne!(orders[0].intent().order_id, orders[1].intent().order_id);
    assert_ne!(orders[0].intent().tag, orders[1].intent().tag);
}

#[test]
fn a_rejected_order_is_not_tried_again_before_the_next_bar() {
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100);
    stage.script.submits.insert(1, Submit::Rejected);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(words(&ending), ["intended", "rejected", "intended", "accepted"]);
    assert_eq!(ending.orders()[0].rejection().unwrap().as_str(), "risk_check");
    let times: Vec<_> = ending.audit.submits.iter().map(|(at, _)| *at).collect();
    assert!(times[1] >= at(30), "{times:?}");
    assert_eq!(ending.report.orders.rejected, 1);
}
