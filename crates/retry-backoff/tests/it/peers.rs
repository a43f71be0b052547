//! What released retry crates get wrong, by the name of the defect, and what happens here.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backstop_clock::{Clock as _, Sleep as _, SystemClock};
use backstop_error_taxonomy::{Class, Error, Kind};
use backstop_retry_backoff::budget::{Budget, Rule};
use backstop_retry_backoff::{Attempt, Jitter, Policy, Retry, Schedule, StopReason};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sim::Sim;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn busy() -> Error {
    Error::new(Kind::RateLimited, "busy")
}

/// backon adds jitter after the cap: with a cap of one second, delays of almost two.
/// tower-resilience and failsafe-go multiply by it after the cap.
#[test]
fn jitter_never_takes_a_delay_above_the_cap() {
    for jitter in
        [Jitter::Full, Jitter::Equal, Jitter::Proportional(0.5), Jitter::Proportional(1.0)]
    {
        let schedule = Schedule::exponential(ms(100)).with_cap(ms(1_000)).with_jitter(jitter);
        for seed in 0..50 {
            for delay in schedule.delays(rng(seed)).take(200) {
                assert!(delay <= ms(1_000), "{jitter:?}: {delay:?}");
            }
        }
    }
}

/// Others cut the jitter off at the cap, and everybody who has reached it returns together.
#[test]
fn at_the_cap_callers_still_spread() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Proportional(0.5)] {
        let schedule = Schedule::fixed(ms(1_000)).with_cap(ms(1_000)).with_jitter(jitter);
        let below =
            (0..200).filter(|seed| schedule.delay(9, Duration::ZERO, &mut rng(*seed)) < ms(950));
        assert!(below.count() > 50, "{jitter:?}");
    }
}

/// backon's total delay counts sleeps only: a limit of 100 ms let eleven attempts run for 1.2 s.
#[test]
fn the_deadline_counts_the_work_too() {
    let sim = Sim::new();
    let runs = Cell::new(0);
    let policy = Policy::new(Schedule::fixed(ms(10)).with_jitter(Jitter::None))
        .with_attempts_max(u32::MAX)
        .with_deadline(ms(100));
    let slow = async |_: Attempt<()>| {
        runs.set(runs.get() + 1);
        sim.sleep(ms(100)).await;
        Err::<(), _>(busy())
    };
    let retry = Retry::new(policy).unwrap();
    let stopped = sim.block_on(retry.read().run(&sim, &mut rng(1), slow), None).unwrap();
    assert_eq!(stopped.unwrap_err().reason, StopReason::Deadline);
    assert_eq!((runs.get(), sim.ms()), (1, 100));
}

/// failsafe-go shortens the last delay to the deadline and starts one more attempt.
#[test]
fn no_attempt_is_started_just_because_a_delay_was_shortened() {
    let sim = Sim::new();
    let runs = Cell::new(0);
    let policy =
        Policy::new(Schedule::fixed(ms(80)).with_jitter(Jitter::None)).with_deadline(ms(100));
    let fails = async |_: Attempt<()>| {
        runs.set(runs.get() + 1);
        sim.sleep(ms(5)).await;
        Err::<(), _>(busy())
    };
    let retry = Retry::new(policy).unwrap();
    let stopped = sim.block_on(retry.read().run(&sim, &mut rng(1), fails), None).unwrap();
    assert_eq!(stopped.unwrap_err().reason, StopReason::Deadline);
    assert_eq!((runs.get(), sim.ms()), (2, 90), "the third would have started at 170");
}

/// tower-resilience's default retry has neither jitter nor cap; backon's has no jitter.
#[test]
fn the_defaults_spread_and_end() {
    let schedule = Schedule::exponential(ms(500));
    let delays: Vec<_> = schedule.delays(rng(1)).take(100).collect();
    assert!(delays.iter().all(|delay| *delay <= Duration::from_mins(1)));
    assert_ne!(
        delays,
        schedule.with_jitter(Jitter::None).delays(rng(1)).take(100).collect::<Vec<_>>()
    );
    let calls = Cell::new(0);
    let fails = |_: Attempt<()>| {
        calls.set(calls.get() + 1);
        Err::<(), _>(busy())
    };
    let retry = Retry::new(Policy::new(schedule)).unwrap();
    let clock = backstop_clock::ManualClock::new(backstop_clock::Timestamp::EPOCH);
    assert!(retry.read().run_blocking(&clock, &mut rng(1), fails).is_err());
    assert_eq!(calls.get(), 4);
}

/// tokio-retry2's jitter range draws once and multiplies every delay by the same number.
#[test]
fn each_delay_has_a_draw_of_its_own() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Proportional(0.25)] {
        let schedule = Schedule::fixed(ms(1_000)).with_jitter(jitter);
        let mut delays: Vec<_> = schedule.delays(rng(1)).take(20).collect();
        delays.sort();
        delays.dedup();
        assert_eq!(delays.len(), 20, "{jitter:?}");
    }
}

/// tokio-retry's exponential of 500 ms is 0.5 s, 250 s, 125,000 s: powers of the base.
#[test]
fn exponential_multiplies_by_the_factor_and_not_by_the_base() {
    let schedule = Schedule::exponential(ms(500));
    let nominal = [1, 2, 3].map(|n| schedule.nominal(n));
    assert_eq!(nominal, [ms(500), ms(1_000), ms(2_000)]);
}

/// google-cloud-gax counts for ever: after a million successes a million failures go unnoticed.
#[test]
fn the_throttle_forgets() {
    let start = SystemClock.instant();
    let rule = Rule::Throttle {
        success_threshold: 0.9,
        max_rejection: 0.9,
        min_calls: 10,
        window: Duration::from_mins(1),
        slices: 20,
    };
    let budget = Budget::new(rule, start).unwrap();
    let mut call = budget.begin();
    for _ in 0..1_000_000 {
        call.sent(|| start);
        call.succeeded(|| start);
    }
    let later = start + Duration::from_mins(1);
    for _ in 0..10 {
        call.sent(|| later);
        call.failed(true);
    }
    assert!(budget.reject_probability(later).unwrap() >= 0.9);
    // And a bad minute is forgotten as well.
    assert!(budget.allows(later + Duration::from_mins(1)));
}

/// smithy's bucket adds rewards by load, add and store: under contention some vanish.
#[test]
fn no_reward_is_lost_under_contention() {
    let rule = Rule::TokenBucket {
        capacity: 100_000.0,
        cost: 60_000.0,
        throttled_cost: None,
        timeout_cost: None,
        success_reward: 0.1,
    };
    let now = SystemClock.instant();
    let budget = Budget::new(rule, now).unwrap();
    assert!(budget.begin().grants(None, now, &mut rng(1)));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50_000).for_each(|_| budget.begin().succeeded(|| now)));
        }
    });
    assert_eq!(budget.tokens(), Some(60_000.0), "200,000 rewards of a tenth");
}

/// A client's quota was once taken and never came back.
#[test]
fn a_bucket_that_was_emptied_fills_again() {
    let rule = Rule::TokenBucket {
        capacity: 10.0,
        cost: 10.0,
        throttled_cost: None,
        timeout_cost: None,
        success_reward: 1.0,
    };
    let now = SystemClock.instant();
    let budget = Budget::new(rule, now).unwrap();
    assert!(budget.begin().grants(None, now, &mut rng(1)));
    assert!(!budget.allows(now));
    (0..9).for_each(|_| budget.begin().succeeded(|| now));
    assert!(!budget.allows(now));
    budget.begin().succeeded(|| now);
    assert!(budget.allows(now));
}

/// Polly's delays turned negative, or the arithmetic panicked, at high attempt numbers.
#[test]
fn no_attempt_number_overflows() {
    let base = Duration::from_secs(1);
    let schedules = [
        Schedule::fixed(base),
        Schedule::linear(base),
        Schedule::exponential(base),
        Schedule::fibonacci(base),
        Schedule::decorrelated(base),
    ];
    for schedule in schedules {
        let schedule = schedule.with_cap(Duration::MAX);
        for n in [0, 1, 2, 47, 63, 64, 93, 94, 95, 1_024, u32::MAX] {
            assert!(schedule.nominal(n) >= base);
            for previous in [Duration::ZERO, Duration::MAX] {
                let _any = schedule.delay(n, previous, &mut rng(n.into()));
            }
        }
    }
}

/// tokio-retry's `take(n)` means n retries, resilience4j's three attempts mean two.
#[test]
fn the_first_attempt_counts() {
    let runs = Cell::new(0);
    let fails = |_: Attempt<()>| {
        runs.set(runs.get() + 1);
        Err::<(), _>(busy())
    };
    let policy = Policy::new(Schedule::fixed(ms(1))).with_attempts_max(3);
    let clock = backstop_clock::ManualClock::new(backstop_clock::Timestamp::EPOCH);
    let ended = Retry::new(policy).unwrap().read().run_blocking(&clock, &mut rng(1), fails);
    assert_eq!((ended.unwrap_err().attempts, runs.get()), (3, 3));
}

/// A trading client made a new nonce for each attempt and had up to five orders.
#[test]
fn every_attempt_carries_the_same_key() {
    let keys = std::cell::RefCell::new(Vec::new());
    let fails = |attempt: Attempt<&str>| {
        keys.borrow_mut().push(attempt.key.to_owned());
        Err::<(), _>(Error::new(Kind::Timeout, "no answer"))
    };
    let retry = Retry::new(Policy::new(Schedule::fixed(ms(1)))).unwrap();
    let clock = backstop_clock::ManualClock::new(backstop_clock::Timestamp::EPOCH);
    let ended = retry.idempotent("order 7").run_blocking(&clock, &mut rng(1), fails);
    assert_eq!(ended.unwrap_err().attempts, 4);
    assert_eq!(keys.into_inner(), ["order 7"; 4]);
}

/// Bots retried what the account cannot pay for.
#[test]
fn a_refusal_of_the_venue_is_not_tried_again() {
    for kind in [Kind::InsufficientFunds, Kind::Rejected, Kind::Invalid, Kind::Auth] {
        let refused = |_: Attempt<()>| Err::<(), _>(Error::new(kind, "no"));
        let retry = Retry::new(Policy::new(Schedule::fixed(ms(1)))).unwrap();
        let clock = backstop_clock::ManualClock::new(backstop_clock::Timestamp::EPOCH);
        let stopped = retry.read().run_blocking(&clock, &mut rng(1), refused).unwrap_err();
        assert_eq!((stopped.reason, stopped.attempts), (StopReason::Permanent, 1), "{kind}");
    }
}

/// One shared bucket: what one caller spends is missing for the others, and it says so.
#[test]
fn a_storm_of_callers_is_held_by_the_shared_budget() {
    let rule = Rule::TokenBucket {
        capacity: 50.0,
        cost: 5.0,
        throttled_cost: Some(1.0),
        timeout_cost: None,
        success_reward: 0.0,
    };
    let sim = Sim::new();
    let budget = Arc::new(Budget::new(rule, sim.instant()).unwrap());
    let policy = Policy::new(Schedule::fixed(ms(1))).with_attempts_max(10);
    let retry = Retry::new(policy).unwrap().with_budget(Arc::clone(&budget));
    let runs = Cell::new(0);
    let down = async |_: Attempt<()>| {
        runs.set(runs.get() + 1);
        Err::<(), _>(Error::new(Kind::Unavailable, "down"))
    };
    for _ in 0..100 {
        let stopped = sim.block_on(retry.read().run(&sim, &mut rng(1), down), None).unwrap();
        assert_eq!(stopped.unwrap_err().error.unwrap().message(), "down");
    }
    assert_eq!(runs.get(), 100 + 10, "a hundred first attempts and ten retries");
    let throttled = Some(Class::of(Kind::RateLimited));
    assert!(!budget.begin().grants(throttled, sim.instant(), &mut rng(1)));
}
