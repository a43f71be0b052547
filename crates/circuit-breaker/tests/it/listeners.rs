//! Who hears of what, and what a listener may do.

use std::{panic::resume_unwind, sync::mpsc, time::Duration};

use backstop_circuit_breaker::{Breaker, Event, Policy, Rule, State};
use backstop_clock::{Clock, ManualClock, Timestamp};

fn policy() -> Policy {
    Policy::new(Duration::from_secs(30))
        .with_consecutive_failures(2)
        .with_count_window(4)
        .with_failure_count(2)
}

#[test]
fn thresholds_come_before_the_transition_they_cause() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let (sender, events) = mpsc::channel();
    let breaker = Breaker::new(policy()).unwrap();
    let breaker = breaker.with_listener(move |_, event| sender.send(*event).unwrap());
    breaker.admit(now).unwrap().failure(now);
    assert!(events.try_recv().is_err());
    breaker.admit(now).unwrap().failure(now);

    let counts = breaker.counts(now);
    assert_eq!((counts.total(), counts.failure), (2, 2));
    let expected = [
        Event::Threshold { rule: Rule::ConsecutiveFailures, counts },
        Event::Threshold { rule: Rule::FailureCount, counts },
        Event::Transition {
            from: State::Closed,
            to: State::Open,
            at: Some(now()),
            period: 1,
            counts,
        },
    ];
    assert_eq!(events.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_listener_may_reset_the_breaker_it_is_handed() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let breaker = Breaker::new(policy()).unwrap().with_listener(|breaker, event| {
        if matches!(event, Event::Transition { to: State::Open, .. }) {
            breaker.reset();
        }
    });
    for _ in 0..2 {
        breaker.admit(now).unwrap().failure(now);
    }
    assert_eq!((breaker.state(), breaker.totals().opened), (State::Closed, 1));
}

#[test]
fn a_listener_that_panics_harms_nobody() {
    let (sender, events) = mpsc::channel();
    let breaker = Breaker::new(policy())
        .unwrap()
        .with_listener(|_, _| resume_unwind(Box::new("a listener's own trouble")))
        .with_listener(move |_, event| sender.send(*event).unwrap());
    breaker.force_open();
    assert_eq!(events.try_iter().count(), 1);
    assert_eq!(breaker.state(), State::ForcedOpen);
}

#[test]
fn metrics_only_tells_each_threshold_once() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let breaker = Breaker::new(policy()).unwrap();
    breaker.metrics_only();
    let (sender, events) = mpsc::channel();
    let breaker = breaker.with_listener(move |_, event| sender.send(*event).unwrap());
    let rules = || -> Vec<_> {
        let rule = |event| match event {
            Event::Threshold { rule, .. } => rule,
            other => panic!("{other:?}"),
        };
        events.try_iter().map(rule).collect()
    };
    for expected in [&[][..], &[Rule::ConsecutiveFailures, Rule::FailureCount], &[]] {
        breaker.admit(now).unwrap().failure(now);
        assert_eq!(rules(), expected);
    }
}

#[test]
fn what_changes_nothing_is_no_event() {
    let (sender, events) = mpsc::channel();
    let breaker = Breaker::new(policy()).unwrap();
    let breaker = breaker.with_listener(move |_, event| sender.send(*event).unwrap());
    breaker.reset();
    breaker.force_open();
    breaker.force_open();
    breaker.reset();
    let names: Vec<_> = events
        .try_iter()
        .map(|event| match event {
            Event::Transition { from, to, .. } => format!("{from}->{to}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["closed->forced_open", "forced_open->closed"]);
}
