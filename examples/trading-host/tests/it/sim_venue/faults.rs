//! Every kind of fault: what one sees of it, how often it comes, that it repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backstop_clock::Timestamp;
use rust_decimal::Decimal;
use trading_host::chance::Chance;
use trading_host::faults::Profile;
use trading_host::market::Scripted;
use trading_host::sim_venue::{Outcome, SimVenue};
use trading_host::venue::{
    Acceptance, Audit, Delivery, Event, EventPage, FaultSubject, OrderRequest, Side, VenueError,
    VenueOrder, VenueOrderStatus,
};
use uuid::Uuid;

use super::{at, config, instrument, order, tick};

/// A venue in a storm of so many seconds, in which every order trades at once.
fn stormy(seed: u64, seconds: u64) -> SimVenue {
    let ticks = vec![tick(0, "10", Some(u32::MAX))];
    let feed = Scripted::new(vec![instrument("AAA")], ticks);
    SimVenue::new(Box::new(feed), &config(seed, Profile::Storm, seconds)).unwrap()
}

fn order_of(id: u64) -> OrderRequest {
    let side = if id.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    order(id.into(), side, 10, None)
}

/// Asks until a read is answered; a fault of a read is gone a millisecond later.
fn insist<T>(from: Timestamp, mut read: impl FnMut(Timestamp) -> Outcome<T>) -> T {
    (0..1_000)
        .find_map(|ms| match read(from.saturating_add(Duration::from_millis(ms))) {
            Outcome::Answered(Ok(answer)) => Some(answer),
            Outcome::Answered(Err(_)) | Outcome::Withheld => None,
        })
        .unwrap()
}

fn found(venue: &mut SimVenue, from: Timestamp, id: u64) -> Vec<VenueOrder> {
    let id = Uuid::from_u128(id.into());
    insist(from, |at| venue.look_up(at, id)).orders
}

/// One submit request in a storm, and what could be found afterwards.
struct Seen {
    kind: Option<String>,
    answer: Outcome<Acceptance>,
    at_once: Vec<VenueOrder>,
    later: Vec<VenueOrder>,
}

/// Submits 1,500 orders a minute apart, but for those in an outage.
fn storm_of_submits() -> Vec<Seen> {
    let mut venue = stormy(1, 60 * 1_500);
    let mut seen = Vec::new();
    for id in 1..1_500 {
        let now = at(id * 60);
        let answer = venue.submit(now, &order_of(id));
        if answer == Outcome::Answered(Err(VenueError::Refused)) {
            continue;
        }
        let subject = FaultSubject::Order(Uuid::from_u128(id.into()));
        let audit = venue.audit(now);
        let fault = audit.faults.into_iter().find(|fault| fault.subject == subject);
        let at_once = found(&mut venue, now, id);
        let later = found(&mut venue, now.saturating_add(Duration::from_secs(9)), id);
        seen.push(Seen { kind: fault.map(|fault| fault.kind), answer, at_once, later });
    }
    seen
}

#[test]
fn each_fault_of_a_submit_shows_as_its_name_says() {
    let mut resets = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for Seen { kind, answer, at_once, later } in storm_of_submits() {
        let counts = (at_once.len(), later.len());
        match kind.as_deref() {
            None => assert!(matches!(answer, Outcome::Answered(Ok(_))) && counts == (1, 1)),
            Some("timeout_before_effect") => {
                assert_eq!((answer, counts), (Outcome::Withheld, (0, 0)));
            }
            Some("timeout_after_effect") => {
                assert_eq!((answer, counts), (Outcome::Withheld, (1, 1)));
            }
            Some("late_acceptance") => assert_eq!((answer, counts), (Outcome::Withheld, (0, 1))),
            Some("connection_reset") => {
                assert_eq!(answer, Outcome::Answered(Err(VenueError::Reset)));
                resets.insert(counts);
            }
            Some("rate_limited") => {
                let Outcome::Answered(Err(VenueError::RateLimited { retry_after })) = answer else {
                    panic!("{answer:?}")
                };
                assert!((1..=3).contains(&retry_after.as_secs()) && counts == (0, 0));
            }
            Some("server_error") => {
                let error = VenueError::Unavailable { status: 503 };
                assert_eq!((answer, counts), (Outcome::Answered(Err(error)), (0, 0)));
            }
            Some("reject") => {
                let reason = "risk_check".to_owned();
                let error = VenueError::Rejected { reason: reason.clone() };
                assert_eq!(answer, Outcome::Answered(Err(error)));
                assert_eq!(later[0].status, VenueOrderStatus::Rejected { reason });
            }
            Some(other) => panic!("{other}"),
        }
        kinds.extend(kind);
    }
    assert_eq!(kinds.len(), 7);
    assert_eq!(resets, BTreeSet::from([(0, 0), (1, 1)]));
}

#[test]
fn an_order_that_is_late_beyond_its_deadline_never_comes_into_being() {
    let seed = (1..1_000).find(|&seed| {
        let mut venue = stormy(seed, 100_000);
        drop(venue.submit(at(1), &order_of(1)));
        venue.audit(at(1)).faults.iter().any(|fault| fault.kind == "late_acceptance")
    });
    let mut venue = stormy(seed.unwrap(), 100_000);
    // At least four seconds late, and a clock at most 1.5 s behind.
    let order = OrderRequest { accept_by: at(3), ..order_of(1) };
    assert_eq!(venue.submit(at(1), &order), Outcome::Withheld);
    assert_eq!(venue.audit(at(60)).orders, []);
}

/// The page of what one submit brought, at once and three seconds later.
fn pages(venue: &mut SimVenue, id: u64) -> (u64, EventPage, EventPage) {
    let before = at(id * 60 - 10);
    let head = insist(before, |at| venue.events(at, 0)).head;
    drop(venue.submit(at(id * 60), &order_of(id)));
    let first = insist(at(id * 60), |at| venue.events(at, head));
    let second = insist(at(id * 60 + 3), |at| venue.events(at, head));
    (head, first, second)
}

fn parsed(delivery: &Delivery) -> Option<Event> {
    serde_json::from_slice(&delivery.payload).ok()
}

#[test]
fn each_fault_of_an_event_shows_as_its_name_says() {
    let mut venue = stormy(3, 60 * 3_000);
    let mut kinds = BTreeMap::<_, u32>::new();
    // The first outage comes after a third of the time.
    for id in 1..1_000 {
        let (head, first, second) = pages(&mut venue, id);
        let faults = venue.audit(at(id * 60 + 4)).faults;
        let place = |page: &EventPage, sequence| {
            page.deliveries.iter().position(|delivery| delivery.sequence == sequence)
        };
        for fault in faults {
            let FaultSubject::Event(sequence) = fault.subject else { continue };
            if sequence <= head || sequence > first.head {
                continue;
            }
            let (early, late) = (place(&first, sequence), place(&second, sequence));
            match fault.kind.as_str() {
                "dropped_event" => assert_eq!((early, late), (None, None)),
                "delayed_event" => assert!(early.is_none() && late.is_some()),
                "malformed_event" => {
                    assert_eq!(parsed(&first.deliveries[early.unwrap()]), None);
                    assert!(parsed(&second.deliveries[late.unwrap()]).is_some());
                }
                "duplicate_event" => {
                    let original = place(&second, sequence - 1).unwrap();
                    let copy = &second.deliveries[late.unwrap()];
                    assert_eq!(copy.payload, second.deliveries[original].payload);
                }
                "out_of_order_event" => {
                    let early = early.unwrap();
                    assert!(first.deliveries[early - 1].sequence > sequence);
                    assert!(second.deliveries.is_sorted_by_key(|delivery| delivery.sequence));
                }
                other => panic!("{other}"),
            }
            *kinds.entry(fault.kind).or_default() += 1;
        }
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

/// Submits orders a good half hour apart, and fetches events soon after each.
fn script(seed: u64, orders: u64) -> Audit {
    const STEP_S: u64 = 2_000;
    let mut venue = stormy(seed, orders * STEP_S);
    let mut head = 0;
    for id in 1..orders {
        let now = id * STEP_S;
        // In an outage, a host tries again and again.
        for attempt in 0..12 {
            let answer = venue.submit(at(now + attempt * 60), &order_of(id));
            if answer != Outcome::Answered(Err(VenueError::Refused)) {
                break;
            }
        }
        drop(venue.events(at(now + 720), head));
        if let Outcome::Answered(Ok(page)) = venue.events(at(now + 723), head) {
            head = page.head;
        }
    }
    venue.audit(at(orders * STEP_S))
}

#[test]
fn a_storm_brings_every_fault_at_least_ten_times() {
    for (seed, orders) in [(1, 2_500), (2, 2_500), (3, 2_500), (4, 1_500), (5, 1_500)] {
        let audit = script(seed, orders);
        let mut counts = BTreeMap::<_, u32>::new();
        for fault in &audit.faults {
            *counts.entry(fault.kind.as_str()).or_default() += 1;
        }
        let many = [
            "timeout_before_effect",
            "timeout_after_effect",
            "late_acceptance",
            "connection_reset",
            "rate_limited",
            "server_error",
            "reject",
            "duplicate_event",
            "out_of_order_event",
            "dropped_event",
            "malformed_event",
            "delayed_event",
        ];
        for kind in many {
            let count = counts.get(kind).copied().unwrap_or(0);
            assert!(count >= 10, "seed {seed}: {count} {kind}");
        }
        assert_eq!((counts["outage"], counts["balance_drift"]), (2, 1));
        assert!(counts["clock_skew"] >= 1);
        for (start, end) in audit.outages {
            let end = end.unwrap();
            let length = end.since(start);
            assert!(length >= Duration::from_mins(5) && length <= Duration::from_hours(24));
            let at_door = audit.submits.iter().filter(|(at, _)| (start..=end).contains(at));
            assert!(at_door.count() >= 10);
        }
    }
}

#[test]
fn the_same_seed_brings_the_same_storm() {
    assert_eq!(script(7, 300), script(7, 300));
    assert_ne!(script(7, 300).faults, script(8, 300).faults);
}

#[test]
fn one_order_has_the_same_fault_with_other_orders_around_it() {
    let faults = |ids: &mut dyn Iterator<Item = u64>| {
        let mut venue = stormy(1, 1_000_000_000);
        for id in ids {
            drop(venue.submit(at(id), &order_of(id)));
        }
        let orders = venue.audit(at(2_000)).faults.into_iter();
        let even = |id: &Uuid| id.as_u128().is_multiple_of(2);
        orders
            .filter(|fault| matches!(&fault.subject, FaultSubject::Order(id) if even(id)))
            .map(|fault| (fault.kind, fault.subject))
            .collect::<Vec<_>>()
    };
    let all = faults(&mut (1..1_000));
    assert!(all.len() > 20);
    assert_eq!(all, faults(&mut (2..1_000).step_by(2)));
}

#[test]
fn an_outage_refuses_everything_but_the_audit() {
    let mut venue = stormy(1, 90_000);
    let start = (1..90_000).find(|&second| {
        venue.submit(at(second), &order_of(second)) == Outcome::Answered(Err(VenueError::Refused))
    });
    let start = start.unwrap();
    let (now, id) = (at(start + 100), Uuid::from_u128(1));
    let refused = VenueError::Refused;
    assert_eq!(venue.look_up(now, id), Outcome::Answered(Err(refused.clone())));
    assert_eq!(venue.cancel(now, id), Outcome::Answered(Err(refused.clone())));
    assert_eq!(venue.events(now, 0), Outcome::Answered(Err(refused.clone())));
    assert_eq!(venue.statement(now, None), Outcome::Answered(Err(refused)));
    assert_eq!(venue.audit(now).outages, [(at(start), None)]);
    // Nobody comes to the door, so it ends after a day.
    let end = at(start + 86_400);
    assert_eq!(venue.audit(end).outages, [(at(start), Some(end))]);
}

#[test]
fn the_clock_is_off_on_some_days_and_never_goes_back() {
    const DAY_S: u64 = 86_400;
    let mut venue = stormy(1, 100 * DAY_S);
    let mut last = at(0).saturating_sub(Duration::from_secs(2));
    let mut off = BTreeSet::new();
    let midnights = (1..100).map(|day| day * DAY_S * 1_000);
    for ms in midnights.flat_map(|midnight| midnight - 3_000..midnight + 3_000).step_by(100) {
        let now = at(0).saturating_add(Duration::from_millis(ms));
        let Outcome::Answered(Ok(statement)) = venue.statement(now, None) else { continue };
        assert!(statement.as_of >= last);
        last = statement.as_of;
        let ahead_ms = last.as_millis() - now.as_millis();
        assert!((-1_500..=1_500).contains(&ahead_ms), "{ahead_ms}");
        off.insert(ahead_ms.signum());
    }
    assert_eq!(off, BTreeSet::from([-1, 0, 1]));
    let skews = venue.audit(at(100 * DAY_S)).faults.into_iter();
    assert!(skews.filter(|fault| fault.kind == "clock_skew").count() > 5);
}

#[test]
fn a_balance_drifts_once_without_a_word() {
    let mut venue = stormy(1, 1_000);
    let audit = venue.audit(at(1_000));
    let drift = audit.faults.iter().find(|fault| fault.kind == "balance_drift").unwrap();
    let FaultSubject::Balance(currency, amount) = &drift.subject else { panic!() };
    assert_eq!(currency, "USD");
    assert!(*amount < Decimal::ZERO && *amount > Decimal::from(-50));
    assert!(drift.at >= at(250) && drift.at <= at(750));
    assert_eq!(audit.balances[0].1, Decimal::from(1_000_000) + amount);
    assert_eq!(insist(at(1_000), |at| venue.events(at, 0)).head, 0);
}

#[test]
fn reads_fail_now_and_then() {
    let mut venue = stormy(1, 1_000_000);
    let mut seen = BTreeMap::<_, u32>::new();
    for second in 0..100_000 {
        let outcome = match venue.statement(at(second), None) {
            Outcome::Withheld => "timeout",
            Outcome::Answered(Err(VenueError::Reset)) => "reset",
            Outcome::Answered(Err(VenueError::Unavailable { status: 503 })) => "error",
            Outcome::Answered(Err(error)) => panic!("{error}"),
            Outcome::Answered(Ok(_)) => continue,
        };
        *seen.entry(outcome).or_default() += 1;
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.values().all(|&count| count < 100), "{seen:?}");
}

#[test]
fn draws_are_spread_over_their_range() {
    let chance = Chance::new(1);
    let hits = (0..100_000_u64).filter(|key| chance.hits(20_000, "x", key.to_be_bytes(), 0));
    assert!((1_800..2_200).contains(&hits.count()));
    let values: BTreeSet<_> =
        (0..1_000_u64).map(|key| chance.within(4..=8, "x", key.to_be_bytes(), 0)).collect();
    assert_eq!(values, BTreeSet::from([4, 5, 6, 7, 8]));
    assert!(!chance.hits(0, "x", b"", 0));
    // A part cannot run into the next.
    assert_ne!(chance.draw("ab", b"c", 0), chance.draw("a", b"bc", 0));
}
