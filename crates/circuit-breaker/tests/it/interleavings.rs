//! Every interleaving of a few threads on the word, the granted verdicts and the permits.
//!
//! By the loom model checker:
//! `RUSTFLAGS="--cfg loom" cargo test -p backstop-circuit-breaker --test it --release`

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, Policy, State};
use backstop_clock::{Clock, SystemClock};
use loom::thread;

const OPEN_TIME: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn breaker(failures: u32, open_time: Duration) -> (Breaker, Instant) {
    let policy = Policy::new(open_time).with_consecutive_failures(failures);
    (Breaker::new(policy).unwrap(), SystemClock.instant())
}

#[test]
fn two_failures_open_once() {
    loom::model(|| {
        let (breaker, now) = breaker(2, OPEN_TIME);
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| now).unwrap().failure(|| now));
        breaker.admit(|| now).unwrap().failure(|| now);
        thread.join().unwrap();
        assert_eq!((breaker.state(), breaker.totals().opened), (State::Open, 1));
        assert_eq!(breaker.counts(|| now).consecutive_failures, 2);
    });
}

#[test]
fn a_success_in_between_is_before_or_after_the_opening() {
    loom::model(|| {
        let (breaker, now) = breaker(2, OPEN_TIME);
        breaker.admit(|| now).unwrap().failure(|| now);
        let other = breaker.clone();
        let thread = thread::spawn(move || {
            if let Ok(permit) = other.admit(|| now) {
                permit.success(|| now);
            }
        });
        breaker.admit(|| now).unwrap().failure(|| now);
        thread.join().unwrap();
        let expected = if breaker.state() == State::Open { (2, 1) } else { (1, 0) };
        let run = breaker.counts(|| now).consecutive_failures;
        assert_eq!((run, breaker.totals().opened), expected);
    });
}

#[test]
fn a_failure_never_survives_a_reset() {
    loom::model(|| {
        let (breaker, now) = breaker(1, OPEN_TIME);
        let other = breaker.clone();
        let permit = breaker.admit(|| now).unwrap();
        let thread = thread::spawn(move || other.reset());
        permit.failure(|| now);
        thread.join().unwrap();
        // Either it opened and the reset closed, or the reset made it stale.
        let totals = breaker.totals();
        assert_eq!((breaker.state(), totals.opened + totals.stale), (State::Closed, 1));
        assert_eq!(breaker.counts(|| now).consecutive_failures, 0);
    });
}

#[test]
fn one_probe_is_admitted_at_the_end_of_the_open_time() {
    loom::model(|| {
        let (breaker, now) = breaker(1, OPEN_TIME);
        breaker.admit(|| now).unwrap().failure(|| now);
        let later = now + OPEN_TIME;
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| later).map(mem::forget).is_ok());
        let here = breaker.admit(|| later).map(mem::forget).is_ok();
        let there = thread.join().unwrap();
        assert_eq!(u32::from(here) + u32::from(there), 1);
        assert_eq!(breaker.totals().rejected, 1);
    });
}

#[test]
fn rejections_of_two_threads_count_once_each() {
    loom::model(|| {
        let (breaker, now) = breaker(1, OPEN_TIME);
        breaker.open(now);
        let other = breaker.clone();
        let thread = thread::spawn(move || assert!(other.admit(|| now).is_err()));
        assert!(breaker.admit(|| now).is_err());
        thread.join().unwrap();
        assert_eq!(breaker.totals().rejected, 2);
    });
}

#[test]
fn a_rejection_names_the_end_of_an_open_time_that_was() {
    loom::model(|| {
        let (breaker, now) = breaker(1, OPEN_TIME);
        breaker.admit(|| now).unwrap().failure(|| now);
        let other = breaker.clone();
        let thread = thread::spawn(move || {
            other.reset();
            other.admit(|| now).unwrap().failure(|| now + SECOND);
        });
        if let Err(rejection) = breaker.admit(|| now + SECOND) {
            let left = rejection.retry_after.unwrap();
            assert!(left == OPEN_TIME || left == OPEN_TIME - SECOND, "{left:?}");
        }
        thread.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
    });
}

/// Good verdicts of this breaker are granted in advance: its window is not full.
fn windowed() -> (Breaker, Instant) {
    let policy = Policy::new(OPEN_TIME).with_count_window(4).with_failure_count(4);
    (Breaker::new(policy).unwrap(), SystemClock.instant())
}

#[test]
fn granted_verdicts_count_once_beside_a_failure() {
    loom::model(|| {
        let (breaker, now) = windowed();
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| now).unwrap().failure(|| now));
        breaker.admit(|| now).unwrap().success(|| now);
        breaker.admit(|| now).unwrap().success(|| now);
        thread.join().unwrap();
        let counts = breaker.counts(|| now);
        assert_eq!((counts.success, counts.failure), (2, 1));
    });
}

#[test]
fn granted_verdicts_of_two_threads_count_once_each() {
    loom::model(|| {
        let (breaker, now) = windowed();
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| now).unwrap().success(|| now));
        breaker.admit(|| now).unwrap().success(|| now);
        thread.join().unwrap();
        assert_eq!(breaker.counts(|| now).success, 2);
    });
}

#[test]
fn a_granted_verdict_never_survives_a_reset() {
    loom::model(|| {
        let (breaker, now) = windowed();
        let other = breaker.clone();
        let permit = breaker.admit(|| now).unwrap();
        let thread = thread::spawn(move || other.reset());
        permit.success(|| now);
        thread.join().unwrap();
        assert_eq!(breaker.counts(|| now).total(), 0);
        assert!(breaker.totals().stale <= 1);
    });
}

#[test]
fn a_granted_verdict_is_of_the_period_or_stale() {
    loom::model(|| {
        let now = SystemClock.instant();
        let policy = Policy::new(OPEN_TIME)
            .with_time_window(Duration::from_secs(10), 10)
            .with_failure_count(1);
        let breaker = Breaker::starting(policy, now).unwrap();
        // From here on good verdicts of this slice are granted.
        breaker.admit(|| now).unwrap().success(|| now);
        let permits = [breaker.admit(|| now).unwrap(), breaker.admit(|| now).unwrap()];
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| now).unwrap().failure(|| now));
        for permit in permits {
            permit.success(|| now);
        }
        thread.join().unwrap();
        let (counts, totals) = (breaker.counts(|| now), breaker.totals());
        assert_eq!((breaker.state(), counts.failure, totals.opened), (State::Open, 1, 1));
        assert_eq!(counts.success + totals.stale, 3);
    });
}

#[test]
fn a_granted_verdict_opens_where_it_completes_the_minimum_beside_a_failure() {
    loom::model(|| {
        let now = SystemClock.instant();
        let policy = Policy::new(OPEN_TIME)
            .with_time_window(Duration::from_secs(10), 10)
            .with_failure_rate(0.3)
            .with_min_calls(3);
        let breaker = Breaker::starting(policy, now).unwrap();
        // Without a failure no good verdict can trip, so they are granted.
        breaker.admit(|| now).unwrap().success(|| now);
        let permit = breaker.admit(|| now).unwrap();
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| now).unwrap().failure(|| now));
        permit.success(|| now);
        thread.join().unwrap();
        assert_eq!((breaker.state(), breaker.counts(|| now).total()), (State::Open, 3));
    });
}

#[test]
fn of_two_policies_at_once_one_decides_alone() {
    loom::model(|| {
        let slow_from = |limit| {
            let policy = Policy::new(OPEN_TIME).with_count_window(4);
            Arc::new(policy.with_slow_calls(limit, 0.5))
        };
        let now = SystemClock.instant();
        let (short, long) = (slow_from(SECOND), slow_from(SECOND * 9));
        let breaker = Breaker::new(Arc::clone(&long)).unwrap();
        let (other, policy) = (breaker.clone(), Arc::clone(&long));
        let thread = thread::spawn(move || other.reconfigure(policy).unwrap());
        breaker.reconfigure(Arc::clone(&short)).unwrap();
        thread.join().unwrap();
        breaker.admit(|| now).unwrap().success(|| now + SECOND);
        let is_short = breaker.policy() == short;
        assert_eq!(breaker.state() == State::Open, is_short);
    });
}

#[test]
fn a_slot_comes_back_once_whoever_ends_the_probe() {
    loom::model(|| {
        let (breaker, now) = breaker(1, Duration::ZERO);
        breaker.admit(|| now).unwrap().failure(|| now);
        let probe = breaker.admit(|| now).unwrap();
        let other = breaker.clone();
        let thread = thread::spawn(move || other.admit(|| now).map(mem::forget).is_ok());
        probe.ignore();
        let taken = thread.join().unwrap();
        assert_eq!(breaker.probes_in_flight(), u32::from(taken));
        assert_eq!(breaker.admit(|| now).is_ok(), !taken);
    });
}
