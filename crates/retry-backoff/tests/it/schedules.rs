#![expect(clippy::float_arithmetic, reason = "factors are ratios, and the model uses them")]

use std::time::Duration;

use backstop_error_taxonomy::{Classify, Kind};
use backstop_retry_backoff::bounds::Problem;
use backstop_retry_backoff::{Jitter, Policy, Retry, Schedule};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn without_a_cap_no_delay_is_above_a_minute_or_the_base() {
    assert_eq!(Schedule::exponential(ms(100)).nominal(u32::MAX), Duration::from_mins(1));
    assert_eq!(Schedule::exponential(ms(90_000)).nominal(7), ms(90_000));
}

#[test]
fn the_zeroth_delay_is_the_first() {
    let schedule = Schedule::exponential(ms(100));
    assert_eq!(schedule.nominal(0), schedule.nominal(1));
}

#[test]
fn extremes_saturate_instead_of_overflowing() {
    let schedule = Schedule::exponential(Duration::MAX).with_factor(1e300).with_cap(Duration::MAX);
    let mut rng = StdRng::seed_from_u64(1);
    for n in [0, 1, 2, 1_000, u32::MAX] {
        assert_eq!(schedule.nominal(n), Duration::MAX);
        assert!(schedule.delay(n, Duration::ZERO, &mut rng) <= Duration::MAX);
    }
    let zero = Schedule::exponential(Duration::ZERO).with_factor(1e300);
    assert!(zero.nominal(u32::MAX) <= Duration::from_mins(1));
}

#[test]
fn bad_settings_are_refused_by_name() {
    let refused = |policy: Policy| Retry::new(policy).unwrap_err();
    let policy = Policy::new(Schedule::fixed(ms(100)));

    for factor in [0.99, 0.0, -2.0, f64::NAN, f64::INFINITY] {
        let schedule = Schedule::exponential(ms(100)).with_factor(factor);
        assert_eq!(refused(Policy::new(schedule)).problems()[0].setting(), "factor");
    }
    let low = Policy::new(Schedule::fixed(ms(100)).with_cap(ms(99)));
    assert_eq!(refused(low).problems(), [Problem::CapBelowBase { cap: ms(99), base: ms(100) }]);
    assert_eq!(refused(policy.with_attempts_max(0)).problems(), [Problem::NoAttempts]);
    let late = refused(policy.with_deadline(Duration::ZERO));
    assert_eq!(late.problems(), [Problem::NoTime { setting: "deadline" }]);
    let no_time = refused(policy.with_attempt_timeout(Duration::ZERO));
    assert_eq!(no_time.to_string(), "attempt_timeout is zero, but must be longer");
    assert_eq!(no_time.class().kind(), Kind::Config);
}

/// The n-th delay by repeated multiplication, in milliseconds.
fn naive_ms(base: u64, factor: f64, cap: u64, n: u32) -> f64 {
    let cap = f64::from(u32::try_from(cap).unwrap());
    let mut delay = f64::from(u32::try_from(base).unwrap());
    for _ in 1..n {
        delay = (delay * factor).min(cap);
    }
    delay.min(cap)
}

proptest! {
    #[test]
    fn exponential_equals_repeated_multiplication(
        base in 0..10_000_u64, factor in 1.0..5.0_f64, extra in 0..1_000_000_u64, n in 1..60_u32,
    ) {
        let cap = base + extra;
        let schedule = Schedule::exponential(ms(base)).with_factor(factor).with_cap(ms(cap));
        let got = schedule.nominal(n).as_secs_f64() * 1_000.0;
        prop_assert!((got - naive_ms(base, factor, cap, n)).abs() < 0.01);
    }

    #[test]
    fn no_delay_is_above_the_nominal_one_or_the_cap(
        base in 0..10_000_u64, factor in 1.0..5.0_f64, extra in 0..10_000_u64, n: u32, seed: u64,
    ) {
        let cap = ms(base + extra);
        let schedule = Schedule::exponential(ms(base)).with_factor(factor).with_cap(cap);
        let delay = schedule.delay(n, Duration::ZERO, &mut StdRng::seed_from_u64(seed));
        prop_assert!(delay <= schedule.nominal(n));
        prop_assert!(delay <= cap);
        let exact = schedule.with_jitter(Jitter::None);
        prop_assert_eq!(exact.delay(n, Duration::ZERO, &mut StdRng::seed_from_u64(seed)), exact.nominal(n));
    }

    #[test]
    fn the_same_seed_gives_the_same_delays(base in 1..10_000_u64, seed: u64) {
        let delays = || {
            let mut rng = StdRng::seed_from_u64(seed);
            let schedule = Schedule::exponential(ms(base));
            (1..50).map(|n| schedule.delay(n, Duration::ZERO, &mut rng)).collect::<Vec<_>>()
        };
        prop_assert_eq!(delays(), delays());
    }
}
