use std::num::NonZeroU32;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::policy::profiles;
use backstop_error_taxonomy::recovery::{Handlers, recover};
use backstop_error_taxonomy::tally::{Over, Tally};
use backstop_error_taxonomy::thresholds::{Counted, EventCounts};
use backstop_error_taxonomy::{AlertAfter, Classify, Component, Error, Kind, Policy, Site};
use proptest::prelude::*;

fn after(count: u32, seconds: u64) -> AlertAfter {
    AlertAfter { count: NonZeroU32::new(count).unwrap(), window: Duration::from_secs(seconds) }
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

proptest! {
    /// Every event is kept and counted anew each time.
    #[test]
    fn counting_agrees_with_a_list_of_everything(
        steps in proptest::collection::vec((0..400_i64, 0..3_usize), 1..200), count in 1..6_u32,
    ) {
        let components = [Component::DATA, Component::API, Component::SYSTEM];
        let (mut counts, mut all, mut now) = (EventCounts::default(), Vec::new(), 0);
        for (step, component) in steps {
            now += step;
            all.push((now, component));
            let within = all.iter().filter(|(t, c)| *c == component && now - t < 1_000).count();
            let expected = match within.cmp(&(count as usize)) {
                std::cmp::Ordering::Less => Counted::Below,
                std::cmp::Ordering::Equal => Counted::Reached,
                std::cmp::Ordering::Greater => Counted::Above,
            };
            prop_assert_eq!(counts.count(components[component], after(count, 1), ms(now)), expected);
        }
    }

    #[test]
    fn a_tally_agrees_with_a_list_of_slots(
        steps in proptest::collection::vec((0..30_i64, 0..4_usize, any::<bool>()), 1..200),
    ) {
        // Sixty slots of one millisecond each.
        let keys = [
            (Kind::Timeout, Component::DATA),
            (Kind::Timeout, Component::API),
            (Kind::Data, Component::DATA),
            (Kind::Data, Component::API),
        ];
        let (mut tally, mut all, mut now) = (Tally::new(Duration::from_millis(60)), Vec::new(), 0);
        for (step, key, recovered) in steps {
            now += step;
            all.push((now, keys[key], recovered));
            if recovered {
                tally.recovered(keys[key].0, keys[key].1, ms(now));
            } else {
                tally.failed(keys[key].0, keys[key].1, ms(now));
            }
            for over in [
                Over::All,
                Over::Kind(Kind::Data),
                Over::Component(Component::API),
                Over::Pair(Kind::Timeout, Component::DATA),
            ] {
                let meant = all.iter().filter(|(t, (kind, component), _)| now - t < 60 && match over {
                    Over::All => true,
                    Over::Kind(k) => *kind == k,
                    Over::Component(c) => *component == c,
                    Over::Pair(k, c) => (*kind, *component) == (k, c),
                });
                let mut expected = (0, 0);
                for (_, _, recovered) in meant {
                    expected.0 += u64::from(*recovered);
                    expected.1 += u64::from(!*recovered);
                }
                let rate = tally.rate(over, ms(now));
                prop_assert_eq!((rate.recovered, rate.failed), expected);
            }
        }
    }
}

#[test]
fn an_alert_is_raised_by_the_event_that_makes_the_number() {
    let mut counts = EventCounts::default();
    let mut at =
        |seconds: i64| counts.count(Component::EXECUTION, after(3, 300), ms(seconds * 1_000));
    assert_eq!([at(0), at(200), at(301)], [Counted::Below; 3]);
    assert_eq!(at(400), Counted::Reached);
    assert_eq!(at(400), Counted::Above);
    assert_eq!(at(1_000), Counted::Below);
}

#[test]
fn no_count_is_missed_because_another_rule_has_another() {
    let (three, ten) = (after(3, 60), after(10, 60));
    let mut counts = EventCounts::default();
    let mut at = |after, second: i64| counts.count(Component::API, after, ms(second * 1_000));
    // The third event is one of which ten make an alert.
    assert_eq!([at(ten, 0), at(ten, 1), at(ten, 2)], [Counted::Below; 3]);
    assert_eq!(at(three, 3), Counted::Reached, "four, and nobody was told of three");
    assert_eq!([at(three, 4), at(three, 5)], [Counted::Above; 2]);
    assert_eq!([at(ten, 6), at(ten, 7), at(ten, 8)], [Counted::Below; 3]);
    assert_eq!([at(three, 9), at(three, 9)], [Counted::Above; 2]);
    assert_eq!(at(ten, 10), Counted::Reached, "twelve");
    // It falls below three while only the others happen, and is reached again.
    assert_eq!([at(ten, 100), at(ten, 100), at(ten, 100)], [Counted::Below; 3]);
    assert_eq!(at(three, 101), Counted::Reached);
    // More counts than are remembered are told again rather than never.
    for count in 1..=20 {
        assert_ne!(at(after(count, 60), 200), Counted::Ignored);
    }
    assert_eq!(at(after(1, 60), 200), Counted::Reached);
}

#[test]
fn a_clock_that_steps_back_is_survived() {
    let mut counts = EventCounts::default();
    let two = after(2, 10);
    assert_eq!(counts.count(Component::API, two, ms(5_000)), Counted::Below);
    assert_eq!(counts.count(Component::API, two, ms(4_000)), Counted::Below, "5 s is to come");
    assert_eq!(counts.count(Component::API, two, ms(5_000)), Counted::Reached, "three by now");
    for n in 0..10_000 {
        assert_ne!(counts.count(Component::API, two, ms(-n * 7)), Counted::Ignored);
    }
    let mut tally = Tally::new(Duration::from_mins(1));
    for n in 0..10_000 {
        tally.failed(Kind::Data, Component::API, ms(-n * 100_000));
    }
    assert_eq!(tally.rate(Over::All, ms(-9_999 * 100_000)).failed, 1);
    assert_eq!(tally.rate(Over::All, ms(i64::MAX)).share(), None);
}

#[test]
fn memory_is_bounded_and_alerts_come_rather_too_early() {
    let many = after(5_000, 3_600);
    let mut counts = EventCounts::default();
    let mut reached = 0;
    for n in 0..5_000 {
        if counts.count(Component::API, many, ms(n)) == Counted::Reached {
            reached += 1;
        }
    }
    assert_eq!(reached, 1, "events of the past are merged, not lost");
    assert!(size_of_val(&counts) < 1_024);

    let mut counts = EventCounts::default();
    let two = after(2, 10);
    let component = |n: usize| format!("c{n}").parse::<Component>().unwrap();
    for n in 0..EventCounts::COMPONENTS_MAX {
        assert_eq!(counts.count(component(n), two, ms(0)), Counted::Below);
    }
    // Whatever finds no room is counted together.
    assert_eq!(counts.count(component(100), two, ms(1)), Counted::Below);
    assert_eq!(counts.count(component(101), two, ms(1)), Counted::Reached);
    assert_eq!(counts.count(component(0), two, ms(1)), Counted::Reached, "it has its own place");
    // Places whose events are over are given away.
    assert_eq!(counts.count(component(200), two, ms(60_000)), Counted::Below);
    assert_eq!(counts.count(component(201), two, ms(60_000)), Counted::Below);
}

#[test]
fn a_full_tally_keeps_the_whole_and_the_kinds_right() {
    let mut tally = Tally::new(Duration::from_mins(1));
    for n in 0..1_000 {
        let component = format!("c{n}").parse().unwrap();
        tally.failed(Kind::ALL[n % Kind::ALL.len()], component, ms(0));
    }
    assert_eq!(tally.rate(Over::All, ms(0)).failed, 1_000);
    assert_eq!(tally.rate(Over::Kind(Kind::Invalid), ms(0)).failed, 53);
    let others = tally.rate(Over::Component(Tally::OTHERS), ms(0)).failed;
    assert_eq!(others, 1_000 - 237, "256 cells, 19 of them for the others");
    tally.failed(Kind::Data, Component::API, ms(60_000));
    assert_eq!(tally.rate(Over::Component(Component::API), ms(60_000)).failed, 1);
}

#[test]
fn an_error_is_counted_once_and_attempts_are_not() {
    let policy = profiles::pipeline().build().unwrap();
    let site = Site::new(Component::SYSTEM, "any");
    let mut counts = EventCounts::default();
    let error = Error::new(Kind::Internal, "x").with_component(Component::SYSTEM);
    let decision = policy.decide(error.class(), &site);
    assert_eq!(counts.record(&error, &decision, ms(0)), Counted::Reached);
    assert_eq!(counts.record(&error, &decision, ms(1)), Counted::Ignored);

    let read = Site::new(Component::DATA, "fetch").idempotent();
    let error = Error::new(Kind::Timeout, "x").with_component(Component::DATA);
    let retried = policy.decide(error.class(), &read);
    assert_eq!(counts.record(&error, &retried, ms(0)), Counted::Ignored);
    let last = policy.decide(error.class(), &read.with_attempt(4, 4));
    assert_eq!(counts.record(&error, &last, ms(0)), Counted::Below, "the failure still counts");

    let unwatched = Policy::default();
    let unwatched = unwatched.decide(error.class(), &site);
    assert_eq!(counts.record(&error, &unwatched, ms(0)), Counted::Ignored);
}

#[test]
fn what_a_recovery_leaves_is_counted_once() {
    let policy = profiles::pipeline().build().unwrap();
    let site = Site::new(Component::POSITION, "any");
    let mut counts = EventCounts::default();
    let mut run = |fails: bool| {
        let error = Error::new(Kind::Inconsistent, "x").with_component(Component::POSITION);
        let decision = policy.decide(error.class(), &site);
        let act = |_: backstop_error_taxonomy::recovery::Call<'_>| {
            if fails { Err(Error::new(Kind::Internal, "y")) } else { Ok(()) }
        };
        let recovery = recover(&decision, error, Handlers::<()>::new().on_halt(act));
        let counted = counts.record_recovery(&recovery, &decision, ms(0));
        let error = recovery.outcome.error().unwrap();
        assert_eq!(counts.record(error, &decision, ms(0)), Counted::Ignored, "a second time");
        counted
    };
    assert_eq!(
        [run(false), run(true), run(false)],
        [Counted::Below, Counted::Reached, Counted::Above]
    );
    // What was put right is no event.
    let ignored = {
        let error = Error::new(Kind::Calculation, "x").with_component(Component::STRATEGY);
        let decision = policy.decide(error.class(), &Site::new(Component::STRATEGY, "any"));
        assert!(decision.alert_after.is_some());
        let handlers = Handlers::new().on_fallback(|_| Ok(7));
        counts.record_recovery(&recover(&decision, error, handlers), &decision, ms(0))
    };
    assert_eq!(ignored, Counted::Ignored);
}

#[test]
fn recoveries_are_tallied() {
    let policy = Policy::default();
    let mut tally = Tally::new(Duration::from_mins(1));
    for works in [true, true, true, false] {
        let error = Error::new(Kind::Inconsistent, "x").with_component(Component::POSITION);
        let decision = policy.decide(error.class(), &Site::new(Component::POSITION, "any"));
        let act = |_: backstop_error_taxonomy::recovery::Call<'_>| {
            if works { Ok(()) } else { Err(Error::new(Kind::Internal, "y")) }
        };
        let recovery = recover(&decision, error, Handlers::<()>::new().on_compensate(act));
        tally.record(&recovery, ms(0));
    }
    let rate = tally.rate(Over::Pair(Kind::Inconsistent, Component::POSITION), ms(0));
    assert_eq!((rate.recovered, rate.failed, rate.share()), (3, 1, Some(0.75)));
}
