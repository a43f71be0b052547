//! Orders: from intent to end, in any order that venues and networks produce.

use backstop_position_ledger::error::AppendError;
use backstop_position_ledger::fill::{TradeId, Void};
use backstop_position_ledger::order::{Event, Resolution, Status, VenueOrderId};
use backstop_position_ledger::{Durability, Fact, Ledger, Outcome, Text};

use crate::kit::{Desk, amount, apply, event, fill, instrument_id, intent, ledger, order_id};

fn venue(id: &str) -> VenueOrderId {
    VenueOrderId::new(id).unwrap()
}

fn accepted(id: &str) -> Event {
    Event::Accepted { venue_order_id: venue(id) }
}

fn rejected() -> Event {
    Event::Rejected { reason: Text::new("no margin").unwrap() }
}

/// A ledger with order 1 of 10 intended, after these events.
fn after(events: &[Event]) -> (Ledger, Desk) {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::intended(intent(1, "10")));
    for known in events {
        apply(&mut ledger, &mut desk, event(1, known.clone()));
    }
    (ledger, desk)
}

fn status(ledger: &Ledger) -> Status {
    ledger.books().order(order_id(1)).unwrap().status()
}

#[test]
fn an_intent_is_unresolved_until_something_is_known() {
    let (mut ledger, mut desk) = after(&[]);
    assert_eq!(ledger.books().unresolved().count(), 1);
    apply(&mut ledger, &mut desk, event(1, Event::OutcomeUnknown));
    assert_eq!((ledger.books().unresolved().count(), status(&ledger)), (1, Status::OutcomeUnknown));
    let found = Event::Resolved(Resolution::Accepted { venue_order_id: venue("v1") });
    apply(&mut ledger, &mut desk, event(1, found));
    assert_eq!((ledger.books().unresolved().count(), ledger.books().open_orders().count()), (0, 1));
    assert_eq!(ledger.books().order(order_id(1)).unwrap().venue_order_id(), Some(&venue("v1")));
}

#[test]
fn fills_make_an_order_done() {
    let (mut ledger, mut desk) = after(&[accepted("v1")]);
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "4", "1.1")));
    assert_eq!(status(&ledger), Status::Accepted);
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t2", "6", "1.1")));
    assert_eq!((status(&ledger), ledger.books().open_orders().count()), (Status::Done, 0));
}

#[test]
fn every_transition_is_as_the_table_says() {
    let found = Event::Resolved(Resolution::Accepted { venue_order_id: venue("v1") });
    let nothing = Event::Resolved(Resolution::NotApplied);
    let starts: [(&[Event], Status); 7] = [
        (&[], Status::Intended),
        (&[Event::OutcomeUnknown], Status::OutcomeUnknown),
        (&[accepted("v0")], Status::Accepted),
        (&[rejected()], Status::Rejected),
        (&[Event::Cancelled], Status::Cancelled),
        (&[Event::Expired], Status::Expired),
        (std::slice::from_ref(&nothing), Status::NotApplied),
    ];
    // One letter per start: applied, duplicate, conflict, or an error.
    let table: [(Event, &str); 7] = [
        (accepted("v1"), "aaceaaa"),
        (found, "aaceaaa"),
        (rejected(), "aaadeea"),
        (Event::Cancelled, "aaaedea"),
        (Event::Expired, "aaaeeda"),
        (Event::OutcomeUnknown, "adeeeee"),
        (nothing.clone(), "aaeeeed"),
    ];
    for (news, row) in table {
        for ((start, from), expected) in starts.iter().zip(row.chars()) {
            let (mut ledger, mut desk) = after(start);
            assert_eq!(status(&ledger), *from);
            let head = ledger.head();
            let outcome =
                match ledger.append(&desk.entry(event(1, news.clone())), Durability::Grouped) {
                    Ok(Outcome::Applied { .. }) => 'a',
                    Ok(Outcome::Duplicate) => 'd',
                    Ok(Outcome::Conflict(_)) => 'c',
                    Err(AppendError::Transition { .. }) => 'e',
                    other => panic!("{other:?}"),
                };
            assert_eq!(outcome, expected, "{news:?} after {from:?}");
            assert_eq!(ledger.head() == head, expected != 'a');
        }
    }
}

#[test]
fn a_late_acceptance_of_an_ended_order_only_adds_the_venue_id() {
    let (mut ledger, mut desk) = after(&[Event::Cancelled]);
    apply(&mut ledger, &mut desk, event(1, accepted("v1")));
    assert_eq!(status(&ledger), Status::Cancelled);
    assert!(ledger.books().order(order_id(1)).unwrap().venue_order_id().is_some());
}

#[test]
fn the_venue_overrules_our_conclusion_that_an_order_never_arrived() {
    let (mut ledger, mut desk) =
        after(&[Event::OutcomeUnknown, Event::Resolved(Resolution::NotApplied)]);
    assert_eq!(ledger.books().open_orders().count(), 0);
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "4", "1.1")));
    assert_eq!((status(&ledger), ledger.books().open_orders().count()), (Status::Accepted, 1));
}

#[test]
fn a_fill_after_the_cancel_is_booked_and_the_order_stays_cancelled() {
    let (mut ledger, mut desk) = after(&[accepted("v1"), Event::Cancelled]);
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "4", "1.1")));
    let order = ledger.books().order(order_id(1)).unwrap();
    assert_eq!((order.status(), order.filled()), (Status::Cancelled, amount("4")));
}

#[test]
fn news_of_an_unknown_order_is_an_error_but_its_fill_is_booked() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let refused = ledger.append(&desk.entry(event(1, Event::Cancelled)), Durability::Grouped);
    assert!(matches!(refused, Err(AppendError::UnknownOrder(id)) if id == order_id(1)));
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "4", "1.1")));
    assert_eq!(ledger.books().fills().len(), 1);
}

#[test]
fn the_same_intent_again_is_a_duplicate_and_another_under_its_id_a_conflict() {
    let (mut ledger, mut desk) = after(&[]);
    let again =
        ledger.append(&desk.entry(Fact::intended(intent(1, "10"))), Durability::Durable).unwrap();
    assert_eq!(again, Outcome::Duplicate);
    let other =
        ledger.append(&desk.entry(Fact::intended(intent(1, "11"))), Durability::Durable).unwrap();
    assert!(matches!(other, Outcome::Conflict(_)));
    assert_eq!(ledger.version(), 1);
}

#[test]
fn an_intent_off_the_steps_is_refused_with_field_value_and_rule() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let mut off = intent(1, "10.0005");
    let refused =
        ledger.append(&desk.entry(Fact::intended(off.clone())), Durability::Durable).unwrap_err();
    assert_eq!(refused.to_string(), "quantity 10.0005: it must be a multiple of the lot step");
    off.quantity = amount("10");
    off.limit = Some(amount("1.10005"));
    let refused = ledger.append(&desk.entry(Fact::intended(off)), Durability::Durable).unwrap_err();
    assert_eq!(refused.to_string(), "limit 1.10005: it must be a multiple of the price step");
    assert_eq!(ledger.version(), 0);
}

#[test]
fn a_bust_gives_back_only_what_was_counted() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "3", "1.1")));
    apply(&mut ledger, &mut desk, Fact::intended(intent(1, "10")));
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t2", "4", "1.1")));
    for (trade_id, filled) in [("t1", "4"), ("t2", "0")] {
        let trade_id = TradeId::new(trade_id).unwrap();
        let void = Void { instrument: instrument_id("EUR/USD"), trade_id, quantity: None };
        apply(&mut ledger, &mut desk, Fact::FillVoided(void));
        let order = ledger.books().order(order_id(1)).unwrap();
        assert_eq!(order.filled(), amount(filled));
    }
}

#[test]
fn an_overruled_word_is_told_again_as_a_duplicate() {
    let not_applied = || Event::Resolved(Resolution::NotApplied);
    let rejected = || Event::Rejected { reason: Text::new("too late").unwrap() };
    for (said, overruled_by) in [
        (not_applied(), Some(Event::Expired)),
        (not_applied(), Some(rejected())),
        (rejected(), None),
    ] {
        let (mut ledger, mut desk) = after(&[]);
        let told = desk.entry(event(1, said));
        assert!(matches!(ledger.append(&told, Durability::Grouped), Ok(Outcome::Applied { .. })));
        match overruled_by {
            Some(news) => apply(&mut ledger, &mut desk, event(1, news)),
            None => apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "4", "1.1"))),
        }
        let books = ledger.books().clone();
        assert_eq!(ledger.append(&told, Durability::Grouped).unwrap(), Outcome::Duplicate);
        assert_eq!(ledger.books(), &books);
    }
}

#[test]
fn a_later_look_up_may_come_to_the_same_answer() {
    let not_applied = || event(1, Event::Resolved(Resolution::NotApplied));
    let (mut ledger, mut desk) = after(&[]);
    let told = desk.entry(not_applied());
    assert!(matches!(ledger.append(&told, Durability::Grouped), Ok(Outcome::Applied { .. })));
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "4", "1.1")));
    let trade_id = TradeId::new("t1").unwrap();
    let void = Void { instrument: instrument_id("EUR/USD"), trade_id, quantity: None };
    apply(&mut ledger, &mut desk, Fact::FillVoided(void));
    assert_eq!(status(&ledger), Status::Intended);
    assert_eq!(ledger.append(&told, Durability::Grouped).unwrap(), Outcome::Duplicate);
    apply(&mut ledger, &mut desk, not_applied());
    assert_eq!(status(&ledger), Status::NotApplied);
}
