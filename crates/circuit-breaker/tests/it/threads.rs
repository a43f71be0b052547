//! What holds with many threads on one breaker.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use backstop_circuit_breaker::{Breaker, Policy, Reason, State};
use backstop_clock::{Clock, ManualClock, Timestamp};

const THREADS: u32 = 8;
const ROUNDS: u32 = 2_000;
const SECOND: Duration = Duration::from_secs(1);

/// Does `work` for each of the rounds, in every thread at once.
fn everywhere(work: impl Fn(u32) + Sync) {
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                (0..ROUNDS).for_each(&work);
            });
        }
    });
}

#[test]
fn probes_in_flight_never_exceed_the_limit() {
    const PROBES: u32 = 3;
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let policy = Policy::new(Duration::ZERO).with_consecutive_failures(1).with_probes(PROBES);
    let breaker = Breaker::new(policy).unwrap();
    breaker.admit(now).unwrap().failure(now);

    let (in_flight, admitted) = (AtomicU32::new(0), AtomicU32::new(0));
    everywhere(|round| match breaker.admit(now) {
        Ok(permit) => {
            assert!(in_flight.fetch_add(1, Ordering::SeqCst) < PROBES);
            admitted.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            in_flight.fetch_sub(1, Ordering::SeqCst);
            // Both ways give the slot back without a verdict, so the period never ends.
            if round % 2 == 0 { permit.ignore() } else { drop(permit) }
        }
        Err(rejection) => assert_eq!(rejection.reason, Reason::HalfOpenFull),
    });
    assert_eq!(breaker.state(), State::HalfOpen);
    let all = u64::from(admitted.load(Ordering::SeqCst)) + breaker.totals().rejected;
    assert_eq!(all, u64::from(THREADS * ROUNDS));
    // No slot was lost and none was invented.
    let held: Vec<_> = (0..PROBES).map(|_| breaker.admit(now).unwrap()).collect();
    assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::HalfOpenFull);
    drop(held);
}

#[test]
fn no_failure_is_lost_and_none_counts_twice() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let failures = THREADS * ROUNDS;
    let closed = |limit: u32, window: Option<u32>| {
        let policy = Policy::new(Duration::from_secs(30)).with_consecutive_failures(limit);
        let policy = match window {
            Some(size) => policy.with_count_window(size),
            None => policy,
        };
        Breaker::new(policy).unwrap()
    };
    for window in [None, Some(100)] {
        for (limit, state) in [(failures, State::Open), (failures + 1, State::Closed)] {
            let breaker = closed(limit, window);
            everywhere(|_| breaker.admit(now).unwrap().failure(now));
            assert_eq!(breaker.state(), state);
            assert_eq!(breaker.counts(now).consecutive_failures, failures);
        }
    }
}

#[test]
fn every_call_that_is_kept_back_counts_once() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    for is_dry in [false, true] {
        let policy = Policy::new(Duration::from_secs(30)).with_consecutive_failures(1);
        let breaker = Breaker::new(policy.with_dry_run(is_dry)).unwrap();
        breaker.open(now());
        everywhere(|round| match round % 4 {
            0 => assert!(breaker.admit_priority(now).is_ok()),
            _ => assert_eq!(breaker.admit(now).is_ok(), is_dry),
        });
        let kept_back = u64::from(THREADS * ROUNDS / 4 * 3);
        let totals = breaker.totals();
        let expected = if is_dry { (0, kept_back) } else { (kept_back, 0) };
        assert_eq!((totals.rejected, totals.would_reject), expected);
        assert_eq!(totals.prioritized, kept_back / 3);
    }
}

#[test]
fn verdicts_openings_and_resets_race_without_a_wrong_total() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let policy = Policy::new(Duration::ZERO).with_consecutive_failures(2).with_probes(2);
    let breaker = Breaker::new(policy).unwrap();
    let admitted = AtomicU32::new(0);
    everywhere(|round| {
        let Ok(permit) = breaker.admit(now) else { return };
        admitted.fetch_add(1, Ordering::Relaxed);
        match round % 5 {
            0 => permit.success(now),
            1 => drop(permit),
            2 => breaker.reset(),
            _ => permit.failure(now),
        }
    });
    let admitted = u64::from(admitted.into_inner());
    assert_eq!(admitted + breaker.totals().rejected, u64::from(THREADS * ROUNDS));
    // Whatever happened, no slot is taken: half-open still has both of them.
    breaker.reset();
    for _ in 0..2 {
        breaker.admit(now).unwrap().failure(now);
    }
    let _held = [breaker.admit(now).unwrap(), breaker.admit(now).unwrap()];
    assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::HalfOpenFull);
}

#[test]
fn of_two_policies_at_once_one_decides_alone() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let slow_from = |limit| {
        let policy = Policy::new(Duration::from_secs(30)).with_count_window(4);
        Arc::new(policy.with_slow_calls(limit, 0.5))
    };
    let (short, long) = (slow_from(SECOND), slow_from(SECOND * 9));
    for _ in 0..ROUNDS / 4 {
        let breaker = Breaker::new(Arc::clone(&long)).unwrap();
        let barrier = Barrier::new(2);
        let reconfigure = |policy: &Arc<Policy>| {
            barrier.wait();
            for _ in 0..20 {
                breaker.reconfigure(Arc::clone(policy)).unwrap();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| reconfigure(&long));
            reconfigure(&short);
        });
        let call = breaker.admit(now).unwrap();
        clock.advance(SECOND);
        call.success(now);
        assert_eq!(breaker.state() == State::Open, breaker.policy() == short);
    }
}
