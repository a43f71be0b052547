//! What a permit promises, and when the time is read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, Permit, Policy, Reason, State};
use backstop_clock::{Clock, ManualClock, Timestamp};

const OPEN_TIME: Duration = Duration::from_secs(30);
const NANOSECOND: Duration = Duration::from_nanos(1);

fn breaker(failures: u32) -> (Breaker, ManualClock) {
    let policy = Policy::new(OPEN_TIME).with_consecutive_failures(failures);
    (Breaker::new(policy).unwrap(), ManualClock::new(Timestamp::EPOCH))
}

/// A time that must not be read.
fn never() -> Instant {
    panic!("the time is not needed here")
}

fn unwind_with(held: impl Sized) {
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _held = held;
        resume_unwind(Box::new(()))
    }));
    assert!(unwound.is_err());
}

#[test]
fn handle_and_permit_cross_threads() {
    fn shared<T: Send + Sync>() {}
    fn cloned<T: Clone + 'static>() {}
    shared::<Breaker>();
    cloned::<Breaker>();
    shared::<Permit<&Breaker>>();
    shared::<Permit>();
    cloned::<Arc<Permit>>();
}

#[test]
fn a_closed_breaker_reads_no_clock() {
    let window =
        Policy::new(OPEN_TIME).with_count_window(4).with_failure_rate(1.0).with_min_calls(4);
    for policy in [Policy::new(OPEN_TIME).with_consecutive_failures(3), window] {
        let breaker = Breaker::new(policy).unwrap();
        breaker.admit(never).unwrap().failure(never);
        breaker.admit(never).unwrap().success(never);
        breaker.admit(never).unwrap().failure(never);
        breaker.admit(never).unwrap().ignore();
        assert_eq!(breaker.counts(never).consecutive_failures, 1);
    }
}

#[test]
fn reading_the_time_may_call_the_breaker() {
    let (breaker, clock) = breaker(1);
    let now = || {
        assert_eq!(breaker.counts(never).success, 0);
        clock.instant()
    };
    breaker.admit(now).unwrap().failure(now);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(OPEN_TIME));
}

#[test]
fn a_time_that_panics_costs_no_slot() {
    let (breaker, clock) = breaker(1);
    let now = || clock.instant();
    breaker.admit(now).unwrap().failure(now);
    clock.advance(OPEN_TIME);
    let probe = breaker.admit(now).unwrap();
    let panics = || resume_unwind(Box::new("no clock today"));
    assert!(catch_unwind(AssertUnwindSafe(|| probe.failure(panics))).is_err());
    assert_eq!((breaker.state(), breaker.totals().opened), (State::Open, 2));
}

#[test]
fn after_a_panic_the_open_time_starts_with_the_next_call() {
    let (breaker, clock) = breaker(1);
    let now = || clock.instant();
    unwind_with(breaker.admit(now).unwrap());
    assert_eq!(breaker.state(), State::Open);
    clock.advance(OPEN_TIME);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(OPEN_TIME));
    clock.advance(OPEN_TIME.saturating_sub(NANOSECOND));
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(NANOSECOND));
    clock.advance(NANOSECOND);
    breaker.admit(now).unwrap().success(now);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_permit_born_in_a_panic_is_not_its_victim() {
    struct CallsOnDrop<'b>(&'b Breaker);
    impl Drop for CallsOnDrop<'_> {
        fn drop(&mut self) {
            drop(self.0.admit(never).unwrap());
        }
    }
    let (breaker, _) = breaker(1);
    unwind_with(CallsOnDrop(&breaker));
    assert_eq!((breaker.state(), breaker.counts(never).failure), (State::Closed, 0));
}

#[test]
fn a_forced_open_breaker_stays_so() {
    let (breaker, clock) = breaker(1);
    let now = || clock.instant();
    let late = breaker.admit(now).unwrap();
    breaker.force_open();
    late.success(now);
    clock.advance(OPEN_TIME * 1_000);
    assert_eq!(breaker.admit(never).unwrap_err().reason, Reason::ForcedOpen);
    assert_eq!((breaker.totals().rejected, breaker.totals().stale), (1, 1));
    breaker.reset();
    breaker.admit(now).unwrap().success(now);
}

#[test]
fn a_disabled_breaker_counts_nothing_and_a_metrics_only_one_nothing_but() {
    let (breaker, _) = breaker(1);
    breaker.disable();
    breaker.admit(never).unwrap().failure(never);
    assert_eq!((breaker.state(), breaker.counts(never).failure), (State::Disabled, 0));
    breaker.metrics_only();
    breaker.admit(never).unwrap().failure(never);
    assert_eq!((breaker.state(), breaker.counts(never).failure), (State::MetricsOnly, 1));
    breaker.reset();
    assert_eq!((breaker.state(), breaker.counts(never).failure), (State::Closed, 0));
    assert_eq!(breaker.totals().stale, 0);
}

#[test]
fn an_open_time_beyond_all_clocks_is_no_overflow() {
    let policy = Policy::new(Duration::MAX)
        .with_consecutive_failures(1)
        .with_escalation(f64::MAX, Duration::MAX);
    let (breaker, clock) = (Breaker::new(policy).unwrap(), ManualClock::new(Timestamp::EPOCH));
    let now = || clock.instant();
    breaker.admit(now).unwrap().failure(now);
    let left = breaker.admit(now).unwrap_err().retry_after.unwrap();
    assert!(left > Duration::from_hours(24 * 365 * 99));
}

#[test]
fn a_clock_behind_the_opening_waits_longer_not_less() {
    let (breaker, clock) = breaker(1);
    let now = || clock.instant();
    let behind = now();
    clock.advance(Duration::from_secs(5));
    breaker.admit(now).unwrap().failure(now);
    let rejection = breaker.admit(|| behind).unwrap_err();
    assert_eq!(rejection.retry_after, Some(OPEN_TIME + Duration::from_secs(5)));
}
