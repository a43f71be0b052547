//! Every interleaving of a few threads on the atomic word, by the loom model checker.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p backstop-circuit-breaker --test it --release`

use std::{
    mem,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, Policy, State};
use backstop_clock::{Clock, SystemClock};
use loom::thread;

const OPEN_TIME: Duration = Duration::from_secs(30);

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
        assert_eq!(breaker.counts().consecutive_failures, 2);
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
        let run = breaker.counts().consecutive_failures;
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
        assert_eq!(breaker.counts().consecutive_failures, 0);
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
fn a_rejection_names_the_end_of_an_open_time_that_was() {
    loom::model(|| {
        let (breaker, now) = breaker(1, OPEN_TIME);
        breaker.admit(|| now).unwrap().failure(|| now);
        let second = Duration::from_secs(1);
        let other = breaker.clone();
        let thread = thread::spawn(move || {
            other.reset();
            other.admit(|| now).unwrap().failure(|| now + second);
        });
        if let Err(rejection) = breaker.admit(|| now + second) {
            let left = rejection.retry_after.unwrap();
            assert!(left == OPEN_TIME || left == OPEN_TIME - second, "{left:?}");
        }
        thread.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
    });
}
