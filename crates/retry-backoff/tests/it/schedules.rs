#![expect(clippy::float_arithmetic, reason = "factors are ratios, and the model uses them")]

use std::time::Duration;

use backstop_clock::{Clock as _, SystemClock};
use backstop_error_taxonomy::{Classify, Kind};
use backstop_retry_backoff::bounds::Problem;
use backstop_retry_backoff::budget::{Budget, Rule};
use backstop_retry_backoff::{Jitter, Policy, Retry, Schedule};
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn without_a_cap_no_delay_is_above_a_minute_or_the_base() {
    assert_eq!(Schedule::exponential(ms(100)).nominal(u32::MAX), Duration::from_mins(1));
    assert_eq!(Schedule::exponential(ms(90_000)).nominal(7), ms(90_000));
}

#[test]
fn nothing_times_anything_is_nothing() {
    for schedule in [Schedule::exponential(ms(0)), Schedule::decorrelated(ms(0))] {
        assert_eq!(schedule.nominal(u32::MAX), ms(0));
    }
}

#[test]
fn slices_that_would_run_out_of_numbers_are_refused() {
    let rule = |window, slices| Rule::Throttle {
        success_threshold: 0.5,
        max_rejection: 0.9,
        min_calls: 1,
        window,
        slices,
    };
    let now = SystemClock.instant();
    assert!(Budget::new(rule(ms(100), 100), now).is_ok());
    let refused = Budget::new(rule(ms(100), 101), now).unwrap_err();
    assert_eq!(refused.problems()[0].setting(), "slices");
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
    fn whole_multiples_are_exact(
        base in 0..10_000_u64, factor in 1..6_u64, cap in 10_000..10_000_000_u64, n in 1..200_u32,
    ) {
        let families = [
            (Schedule::fixed(ms(base)), Exact::Fixed),
            (Schedule::linear(ms(base)), Exact::Linear),
            (Schedule::exponential(ms(base)).with_factor(whole(factor)), Exact::Power(factor)),
            (Schedule::fibonacci(ms(base)), Exact::Fibonacci),
            (Schedule::decorrelated(ms(base)), Exact::Longest),
        ];
        for (schedule, exact) in families {
            let got = schedule.with_cap(ms(cap)).nominal(n);
            prop_assert_eq!(got, ms(exact.delay_ms(base, n).min(cap)), "{:?}", exact);
        }
    }

    #[test]
    fn a_delay_is_what_its_draw_says(
        schedule in any_schedule(), n in 1..100_u32, previous in 0..100_000_u64, seed: u64,
    ) {
        let mut draws = StdRng::seed_from_u64(seed);
        let got = schedule.schedule().delay(n, ms(previous), &mut draws);
        let want = schedule.delay_s(n, previous, StdRng::seed_from_u64(seed).random());
        let got = got.as_secs_f64();
        prop_assert!((got - want).abs() <= 2e-9 + want * 1e-12, "{} for {}", got, want);
    }

    #[test]
    fn no_delay_is_above_the_cap_nor_outside_its_band(
        schedule in any_schedule(), n: u32, previous: u64, seed: u64,
    ) {
        let given = schedule.schedule();
        let delay = given.delay(n, ms(previous), &mut StdRng::seed_from_u64(seed));
        let (nominal, cap) = (given.nominal(n), ms(schedule.cap));
        prop_assert!(delay <= cap);
        if schedule.family == Exact::Longest {
            prop_assert!(delay >= ms(schedule.base));
            return Ok(());
        }
        match schedule.jitter {
            Jitter::None => prop_assert_eq!(delay, nominal),
            Jitter::Full => prop_assert!(delay <= nominal),
            Jitter::Equal => prop_assert!(nominal / 2 <= delay && delay <= nominal),
            _ => {}
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_delays(schedule in any_schedule(), seed: u64) {
        let delays = || {
            let rng = StdRng::seed_from_u64(seed);
            schedule.schedule().delays(rng).take(50).collect::<Vec<_>>()
        };
        prop_assert_eq!(delays(), delays());
    }

    #[test]
    fn the_iterator_is_the_function_one_after_the_other(schedule in any_schedule(), seed: u64) {
        let schedule = schedule.schedule();
        let mut rng = StdRng::seed_from_u64(seed);
        let mut previous = Duration::ZERO;
        let listed = schedule.delays(StdRng::seed_from_u64(seed)).take(30);
        for (n, listed) in (1..).zip(listed) {
            previous = schedule.delay(n, previous, &mut rng);
            prop_assert_eq!(listed, previous);
        }
    }
}

/// The nominal delay in whole numbers, step by step.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Exact {
    Fixed,
    Linear,
    Power(u64),
    Fibonacci,
    /// The longest that a decorrelated delay can be.
    Longest,
}

impl Exact {
    fn delay_ms(self, base: u64, n: u32) -> u64 {
        let mut delay = base;
        let mut before = 0;
        if self == Self::Longest {
            delay = base.saturating_mul(3);
        }
        for _ in 1..n {
            let next = match self {
                Self::Fixed => delay,
                Self::Linear => delay.saturating_add(base),
                Self::Power(factor) => delay.saturating_mul(factor),
                Self::Fibonacci => delay.saturating_add(before),
                Self::Longest => delay.saturating_mul(3),
            };
            before = delay;
            delay = next;
        }
        delay
    }
}

fn whole(factor: u64) -> f64 {
    f64::from(u32::try_from(factor).unwrap())
}

/// A schedule beside the numbers it was made of.
#[derive(Clone, Copy, Debug)]
struct Given {
    family: Exact,
    base: u64,
    cap: u64,
    jitter: Jitter,
}

impl Given {
    fn schedule(&self) -> Schedule {
        let base = ms(self.base);
        let schedule = match self.family {
            Exact::Fixed => Schedule::fixed(base),
            Exact::Linear => Schedule::linear(base),
            Exact::Power(factor) => Schedule::exponential(base).with_factor(whole(factor)),
            Exact::Fibonacci => Schedule::fibonacci(base),
            Exact::Longest => Schedule::decorrelated(base),
        };
        schedule.with_cap(ms(self.cap)).with_jitter(self.jitter)
    }

    /// The delay in seconds by the formulas, with the draw `u`.
    fn delay_s(&self, n: u32, previous: u64, u: f64) -> f64 {
        let seconds = |ms: u64| f64::from(u32::try_from(ms).unwrap()) / 1_000.0;
        let (base, cap) = (seconds(self.base), seconds(self.cap));
        if self.family == Exact::Longest {
            let previous = seconds(previous).max(base);
            return (base + u * (3.0 * previous - base)).min(cap);
        }
        let d = seconds(self.family.delay_ms(self.base, n).min(self.cap));
        let drawn = match self.jitter {
            Jitter::Full => u * d,
            Jitter::Equal => d / 2.0 + u * d / 2.0,
            Jitter::Proportional(r) => d * (1.0 - r + 2.0 * r * u),
            _ => d,
        };
        drawn.min(cap)
    }
}

fn any_schedule() -> impl Strategy<Value = Given> {
    let family = prop_oneof![
        Just(Exact::Fixed),
        Just(Exact::Linear),
        (1..6_u64).prop_map(Exact::Power),
        Just(Exact::Fibonacci),
        Just(Exact::Longest),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        (0.0..=1.0).prop_map(Jitter::Proportional),
    ];
    (family, 0..10_000_u64, 0..1_000_000_u64, jitter)
        .prop_map(|(family, base, extra, jitter)| Given { family, base, cap: base + extra, jitter })
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let schedule = Schedule::exponential(ms(100))
        .with_factor(f64::NAN)
        .with_cap(ms(1))
        .with_jitter(Jitter::Proportional(1.5));
    let policy = Policy::new(schedule)
        .with_attempts_max(0)
        .with_deadline(Duration::ZERO)
        .with_attempt_timeout(Duration::ZERO);
    let refused = Retry::new(policy).unwrap_err();
    let settings: Vec<_> = refused.problems().iter().map(Problem::setting).collect();
    let all = ["factor", "cap", "jitter", "attempts_max", "deadline", "attempt_timeout"];
    assert_eq!(settings, all);
    for setting in all {
        assert!(refused.to_string().contains(setting), "{refused}");
    }
    for ratio in [-0.1, f64::NAN, f64::INFINITY] {
        let schedule = Schedule::fixed(ms(1)).with_jitter(Jitter::Proportional(ratio));
        let refused = Retry::new(Policy::new(schedule)).unwrap_err();
        assert_eq!(refused.problems()[0].setting(), "jitter");
    }
}

#[test]
fn bad_budgets_are_refused_with_all_that_is_wrong() {
    let settings = |rule| {
        let refused = Budget::new(rule, SystemClock.instant()).unwrap_err();
        refused.problems().iter().map(Problem::setting).collect::<Vec<_>>()
    };
    let tokens = Rule::TokenBucket {
        capacity: -1.0,
        cost: f64::NAN,
        throttled_cost: Some(f64::INFINITY),
        timeout_cost: Some(-1.0),
        success_reward: -0.1,
    };
    assert_eq!(
        settings(tokens),
        ["capacity", "cost", "throttled_cost", "timeout_cost", "success_reward"]
    );
    let threshold =
        Rule::ThresholdBucket { capacity: 1.0, min: 2.0, failure_cost: -1.0, success_reward: -1.0 };
    assert_eq!(settings(threshold), ["min", "failure_cost", "success_reward"]);
    assert_eq!(settings(Rule::InFlightRatio { ratio: f64::NAN, floor: 0 }), ["ratio"]);
    let deposits = Rule::DepositRatio { ttl: Duration::ZERO, min_per_s: -1.0, ratio: f64::NAN };
    assert_eq!(settings(deposits), ["min_per_s", "ratio", "ttl"]);
    let throttle = Rule::Throttle {
        success_threshold: 0.0,
        max_rejection: 1.1,
        min_calls: 0,
        window: Duration::ZERO,
        slices: 0,
    };
    assert_eq!(settings(throttle), ["success_threshold", "max_rejection", "slices", "window"]);
}
