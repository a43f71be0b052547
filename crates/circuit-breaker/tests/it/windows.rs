//! Windows at their edges, where a verdict is granted, forgotten or carried over.

use std::time::Duration;

use backstop_circuit_breaker::{Breaker, Policy, State};
use backstop_clock::{Clock, ManualClock, Timestamp};

const SECOND: Duration = Duration::from_secs(1);

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::EPOCH)
}

fn calls(breaker: &Breaker, pattern: &str, clock: &ManualClock) {
    let now = || clock.instant();
    for call in pattern.chars() {
        let permit = breaker.admit(now).unwrap();
        if call == 'F' { permit.failure(now) } else { permit.success(now) }
    }
}

/// Ten seconds in ten slices; half of at least four calls.
fn timed(clock: &ManualClock) -> Breaker {
    let policy = Policy::new(SECOND)
        .with_time_window(10 * SECOND, 10)
        .with_failure_rate(0.5)
        .with_min_calls(4);
    Breaker::starting(policy, clock.instant()).unwrap()
}

#[test]
fn a_success_trips_when_older_ones_have_left_the_window() {
    for looks in [false, true] {
        let clock = clock();
        let breaker = timed(&clock);
        calls(&breaker, "SSSS", &clock);
        clock.advance(5 * SECOND);
        calls(&breaker, "FFS", &clock);
        clock.advance(5 * SECOND);
        if looks {
            // Looking lets the old verdicts go, and must not hide what the next call finds.
            let counts = breaker.counts(|| clock.instant());
            assert_eq!((counts.success, counts.failure), (1, 2));
        }
        assert_eq!(breaker.state(), State::Closed);
        calls(&breaker, "S", &clock);
        assert_eq!(breaker.state(), State::Open, "2 of 4");
    }
}

#[test]
fn a_clock_that_goes_back_counts_in_the_newest_slice() {
    let clock = clock();
    let breaker = timed(&clock);
    let before = clock.instant();
    clock.advance(20 * SECOND);
    calls(&breaker, "SS", &clock);
    let back = || before;
    breaker.admit(back).unwrap().success(back);
    assert_eq!(breaker.counts(back).success, 3);
    clock.advance(9 * SECOND);
    assert_eq!(breaker.counts(|| clock.instant()).success, 3);
    clock.advance(SECOND);
    assert_eq!(breaker.counts(|| clock.instant()).success, 0);
}

#[test]
fn verdicts_before_any_time_is_known_belong_to_the_first_slice() {
    let policy = Policy::new(SECOND).with_time_window(10 * SECOND, 10).with_failure_count(3);
    let breaker = Breaker::new(policy).unwrap();
    let lost = std::panic::AssertUnwindSafe(|| {
        let _permit = breaker.admit(|| unreachable!()).unwrap();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(std::panic::catch_unwind(lost).is_err());
    let clock = clock();
    assert_eq!(breaker.counts(|| clock.instant()).failure, 1);
    clock.advance(10 * SECOND);
    assert_eq!(breaker.counts(|| clock.instant()).failure, 0);
}

#[test]
fn another_window_keeps_the_newest_verdicts() {
    let count = |size| Policy::new(SECOND).with_failure_count(6).with_count_window(size);
    let time = |seconds, slices| {
        let window = Duration::from_secs(seconds);
        Policy::new(SECOND).with_failure_count(50).with_time_window(window, slices)
    };
    let cases = [
        (count(12), count(9), (6, 3)),
        (count(12), count(30), (7, 4)),
        (count(12), time(10, 10), (7, 4)),
        (time(10, 10), count(9), (7, 2)),
        (time(10, 10), time(20, 4), (7, 4)),
        // Only the later half is within the shorter window.
        (time(10, 10), time(5, 5), (3, 1)),
        (count(12), Policy::new(SECOND).with_consecutive_failures(9), (0, 0)),
    ];
    for (from, to, kept) in cases {
        let clock = clock();
        let breaker = Breaker::starting(from.clone(), clock.instant()).unwrap();
        calls(&breaker, "SFFFSSS", &clock);
        clock.advance(5 * SECOND);
        calls(&breaker, "SFSS", &clock);
        breaker.reconfigure(to.clone()).unwrap();
        let counts = breaker.counts(|| clock.instant());
        assert_eq!((counts.success, counts.failure), kept, "{from:?} to {to:?}");
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn a_lower_threshold_holds_from_the_next_verdict_on() {
    let policy = |limit| Policy::new(SECOND).with_count_window(10).with_failure_count(limit);
    let clock = clock();
    let breaker = Breaker::new(policy(5)).unwrap();
    calls(&breaker, "FFFSS", &clock);
    breaker.reconfigure(policy(3)).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    calls(&breaker, "S", &clock);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn slow_calls_are_counted_without_a_rule_that_trips_on_them() {
    let clock = clock();
    let now = || clock.instant();
    let policy =
        Policy::new(SECOND).with_count_window(4).with_failure_count(4).with_slow_call(SECOND);
    let breaker = Breaker::new(policy).unwrap();
    for _ in 0..4 {
        let permit = breaker.admit(now).unwrap();
        clock.advance(SECOND);
        permit.success(now);
    }
    let counts = breaker.counts(now);
    assert_eq!((counts.slow, counts.slow_rate(), breaker.state()), (4, Some(1.0), State::Closed));
    let permit = breaker.admit(now).unwrap();
    permit.success(now);
    assert_eq!(breaker.counts(now).slow, 3);
}

#[test]
fn a_policy_that_times_no_calls_finds_none_slow() {
    let clock = clock();
    let now = || clock.instant();
    let policy = Policy::new(SECOND).with_consecutive_failures(1).with_probes(2);
    let breaker = Breaker::new(policy.clone().with_slow_call(SECOND)).unwrap();
    breaker.open_for(Duration::ZERO, now());
    let probe = breaker.admit(now).unwrap();
    breaker.reconfigure(policy).unwrap();
    clock.advance(SECOND);
    probe.success(now);
    let counts = breaker.counts(now);
    assert_eq!((breaker.state(), counts.success, counts.slow), (State::HalfOpen, 1, 0));
}
