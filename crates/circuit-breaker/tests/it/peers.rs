//! What went wrong in other breakers, each with the behaviour that is right.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use backstop_circuit_breaker::{Breaker, Policy, ProbeRule, Reason, State};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::Error;

const OPEN_TIME: Duration = Duration::from_secs(30);
const MILLISECOND: Duration = Duration::from_millis(1);

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::EPOCH)
}

fn consecutive(failures: u32) -> Policy {
    Policy::new(OPEN_TIME).with_consecutive_failures(failures)
}

/// A breaker of this policy at the end of its open time, after failures that opened it.
fn at_the_end_of_open(policy: Policy, clock: &ManualClock) -> Breaker {
    let breaker = Breaker::new(policy).unwrap();
    breaker.open(clock.instant());
    clock.advance(OPEN_TIME);
    breaker
}

/// Calls from twenty threads at once that all hold what they get; how many were admitted.
fn herd(breaker: &Breaker, clock: &ManualClock) -> u32 {
    const THREADS: usize = 20;
    let (barrier, admitted) = (Barrier::new(THREADS), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                let permit = breaker.admit(|| clock.instant());
                admitted.fetch_add(u32::from(permit.is_ok()), Ordering::SeqCst);
                // Nobody ends before everybody has asked.
                barrier.wait();
                drop(permit);
            });
        }
    });
    admitted.into_inner()
}

#[test]
fn a_count_window_does_not_go_deaf_with_health() {
    let clock = clock();
    let now = || clock.instant();
    let policy =
        Policy::new(OPEN_TIME).with_count_window(10).with_failure_rate(0.5).with_min_calls(10);
    let breaker = Breaker::new(policy).unwrap();
    for _ in 0..1_000 {
        breaker.admit(now).unwrap().success(now);
    }
    for failure in 1..=5 {
        assert_eq!(breaker.state(), State::Closed, "after {} failures", failure - 1);
        breaker.admit(now).unwrap().failure(now);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn good_probes_far_apart_close_whatever_the_window() {
    let clock = clock();
    let now = || clock.instant();
    let policy = Policy::new(OPEN_TIME)
        .with_time_window(50 * MILLISECOND, 5)
        .with_failure_rate(0.5)
        .with_probes(3);
    let breaker = at_the_end_of_open(policy, &clock);
    for _ in 0..3 {
        breaker.admit(now).unwrap().success(now);
        clock.advance(80 * MILLISECOND);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_result_of_the_closed_time_judges_no_probe() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(consecutive(1).with_probes(2)).unwrap();
    let late = [breaker.admit(now).unwrap(), breaker.admit(now).unwrap()];
    breaker.admit(now).unwrap().failure(now);
    clock.advance(OPEN_TIME);
    let probe = breaker.admit(now).unwrap();
    let [good, bad] = late;
    good.success(now);
    bad.failure(now);
    assert_eq!((breaker.state(), breaker.counts(now).total()), (State::HalfOpen, 0));
    probe.failure(now);
    assert_eq!((breaker.state(), breaker.totals().stale), (State::Open, 2));
}

#[test]
fn a_late_result_neither_extends_the_open_time_nor_erases_its_growth() {
    let clock = clock();
    let now = || clock.instant();
    let policy = consecutive(1).with_escalation(2.0, OPEN_TIME * 100);
    let breaker = Breaker::new(policy).unwrap();
    let late = [breaker.admit(now).unwrap(), breaker.admit(now).unwrap()];
    breaker.admit(now).unwrap().failure(now);
    clock.advance(OPEN_TIME);
    breaker.admit(now).unwrap().failure(now);
    clock.advance(OPEN_TIME);
    let [good, bad] = late;
    good.success(now);
    bad.failure(now);
    assert_eq!((breaker.open_attempt(), breaker.open_left(now)), (1, Some(OPEN_TIME)));
}

#[test]
fn a_slow_probe_reopens_where_slowness_opened() {
    let clock = clock();
    let now = || clock.instant();
    let limit = Duration::from_secs(1);
    for (took, state) in [(limit, State::Open), (limit.saturating_sub(MILLISECOND), State::Closed)]
    {
        let policy = Policy::new(OPEN_TIME).with_count_window(2).with_slow_calls(limit, 1.0);
        let breaker = at_the_end_of_open(policy, &clock);
        let probe = breaker.admit(now).unwrap();
        clock.advance(took);
        probe.success(now);
        assert_eq!(breaker.state(), state);
    }
}

#[test]
fn panicking_calls_open() {
    let clock = clock();
    let breaker = Breaker::new(consecutive(2)).unwrap();
    let call = || {
        let op = || -> Result<(), Error> { resume_unwind(Box::new("the call panics")) };
        breaker.call(|| clock.instant(), op)
    };
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn no_herd_meets_a_service_that_has_just_failed() {
    for probes in [1, 2, 5] {
        let clock = clock();
        let breaker = at_the_end_of_open(consecutive(1).with_probes(probes), &clock);
        assert_eq!(herd(&breaker, &clock), probes);
    }
}

#[test]
fn the_first_verdict_needs_no_more_calls_than_probes() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = at_the_end_of_open(consecutive(1).with_probes(2), &clock);
    breaker.admit(now).unwrap().success(now);
    breaker.admit(now).unwrap().success(now);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn more_successes_than_probes_are_refused_not_waited_for() {
    let policy = consecutive(1).with_probes(1).with_probe_rule(ProbeRule::AtLeast(5));
    let error = Breaker::new(policy).unwrap_err();
    assert_eq!(error.problems()[0].setting(), "verdict.successes");
}

#[test]
fn cancelled_probes_wedge_nothing_and_close_nothing() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = at_the_end_of_open(consecutive(1), &clock);
    for _ in 0..100 {
        let probe = breaker.admit(now).unwrap();
        assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::HalfOpenFull);
        drop(probe);
    }
    assert_eq!((breaker.state(), breaker.counts(now).total()), (State::HalfOpen, 0));
    breaker.admit(now).unwrap().success(now);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_hung_probe_loses_its_slot_and_its_say() {
    let clock = clock();
    let now = || clock.instant();
    let lease = Duration::from_secs(10);
    let breaker = at_the_end_of_open(consecutive(1).with_probe_lease(lease), &clock);
    let hung = breaker.admit(now).unwrap();
    clock.advance(lease.saturating_sub(MILLISECOND));
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(MILLISECOND));
    clock.advance(MILLISECOND);
    let probe = breaker.admit(now).unwrap();
    hung.failure(now);
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success(now);
    assert_eq!((breaker.state(), breaker.totals().reclaimed), (State::Closed, 1));
}

#[test]
fn late_and_ignored_results_add_no_slots() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(consecutive(1).with_probes(2)).unwrap();
    let late: Vec<_> = (0..5).map(|_| breaker.admit(now).unwrap()).collect();
    breaker.admit(now).unwrap().failure(now);
    clock.advance(OPEN_TIME);
    let first = breaker.admit(now).unwrap();
    for permit in late {
        permit.ignore();
    }
    let second = breaker.admit(now).unwrap();
    assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::HalfOpenFull);
    drop((first, second));
    assert_eq!(herd(&breaker, &clock), 2);
}

#[test]
fn a_slot_of_an_earlier_half_open_period_is_not_given_back_to_a_later_one() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = at_the_end_of_open(consecutive(1).with_probes(2), &clock);
    let old = breaker.admit(now).unwrap();
    breaker.admit(now).unwrap().failure(now);
    clock.advance(OPEN_TIME);
    let held = [breaker.admit(now).unwrap(), breaker.admit(now).unwrap()];
    drop(old);
    assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::HalfOpenFull);
    drop(held);
}

#[test]
fn looking_takes_no_permit() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = at_the_end_of_open(consecutive(1), &clock);
    for _ in 0..10 {
        assert_eq!((breaker.state(), breaker.open_left(now)), (State::Open, Some(Duration::ZERO)));
        breaker.expire(now());
    }
    assert!(breaker.admit(now).is_ok());
}

#[test]
fn the_minimum_of_calls_does_not_hold_up_probes() {
    let clock = clock();
    let now = || clock.instant();
    let policy =
        Policy::new(OPEN_TIME).with_count_window(100).with_failure_rate(0.5).with_min_calls(100);
    let breaker = at_the_end_of_open(policy, &clock);
    breaker.admit(now).unwrap().failure(now);
    assert_eq!(breaker.state(), State::Open);
}
