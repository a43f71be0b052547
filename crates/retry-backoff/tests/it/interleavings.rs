//! Every interleaving of a few threads on the budgets, by the loom model checker.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p backstop-retry-backoff --test it --release`

use std::time::{Duration, Instant};

use backstop_clock::{Clock as _, SystemClock};
use backstop_retry_backoff::budget::{Budget, Rule};
use loom::sync::Arc;
use loom::thread;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A slice of a deposit under the model: half of the time to live.
const SLICE: Duration = Duration::from_secs(5);

fn budget(rule: Rule) -> (Arc<Budget>, Instant) {
    let now = SystemClock.instant();
    (Arc::new(Budget::new(rule, now).unwrap()), now)
}

fn grants(budget: &Budget, now: Instant) -> bool {
    budget.begin().grants(None, now, &mut SmallRng::seed_from_u64(1))
}

fn tokens(capacity: f64, cost: f64, success_reward: f64) -> Rule {
    Rule::TokenBucket { capacity, cost, throttled_cost: None, timeout_cost: None, success_reward }
}

#[test]
fn the_last_token_goes_to_one() {
    loom::model(|| {
        let (budget, now) = budget(tokens(1.0, 1.0, 0.0));
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || grants(&other, now));
        let ours = grants(&budget, now);
        assert!(ours ^ thread.join().unwrap(), "exactly one retry");
        assert_eq!(budget.tokens(), Some(0.0));
    });
}

#[test]
fn neither_a_cost_nor_a_reward_is_lost() {
    loom::model(|| {
        let (budget, now) = budget(tokens(10.0, 4.0, 1.0));
        assert!(grants(&budget, now));
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || other.begin().succeeded(|| now));
        assert!(grants(&budget, now));
        thread.join().unwrap();
        assert_eq!(budget.tokens(), Some(3.0));
    });
}

#[test]
fn rewards_stop_at_the_capacity() {
    loom::model(|| {
        let (budget, now) = budget(tokens(2.0, 1.0, 1.0));
        assert!(grants(&budget, now));
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || other.begin().succeeded(|| now));
        budget.begin().succeeded(|| now);
        thread.join().unwrap();
        assert_eq!(budget.tokens(), Some(2.0));
    });
}

#[test]
fn one_place_in_flight_is_held_by_one_and_given_back() {
    loom::model(|| {
        let (budget, now) = budget(Rule::InFlightRatio { ratio: 0.0, floor: 1 });
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || {
            let mut call = other.begin();
            if call.grants(None, now, &mut SmallRng::seed_from_u64(1)) {
                assert_eq!(other.retries_in_flight(), Some(1));
            }
        });
        let mut call = budget.begin();
        if call.grants(None, now, &mut SmallRng::seed_from_u64(1)) {
            assert_eq!(budget.retries_in_flight(), Some(1));
        }
        drop(call);
        thread.join().unwrap();
        assert_eq!(budget.retries_in_flight(), Some(0));
    });
}

#[test]
fn a_threshold_counts_each_failure() {
    loom::model(|| {
        let rule = Rule::ThresholdBucket {
            capacity: 4.0,
            min: 2.0,
            failure_cost: 1.0,
            success_reward: 0.5,
        };
        let (budget, now) = budget(rule);
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || other.begin().failed(true));
        budget.begin().failed(true);
        thread.join().unwrap();
        assert_eq!((budget.tokens(), budget.allows(now)), (Some(2.0), false));
    });
}

#[test]
fn a_deposit_pays_for_one_retry() {
    loom::model(|| {
        let rule = Rule::DepositRatio { ttl: SLICE * 2, min_per_s: 0.0, ratio: 1.0 };
        let (budget, now) = budget(rule);
        budget.begin().sent(|| now);
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || grants(&other, now));
        let ours = grants(&budget, now);
        assert!(ours ^ thread.join().unwrap(), "exactly one retry");
        assert_eq!(budget.balance(now), Some(0.0));
    });
}

#[test]
fn what_is_forgotten_is_forgotten_once() {
    loom::model(|| {
        let rule = Rule::DepositRatio { ttl: SLICE * 2, min_per_s: 0.1, ratio: 1.0 };
        let (budget, now) = budget(rule);
        budget.begin().sent(|| now);
        assert_eq!(budget.balance(now), Some(2.0));
        // Two threads find at once that the deposit is too old.
        let later = now + SLICE * 2;
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || grants(&other, later));
        budget.begin().sent(|| later);
        assert!(thread.join().unwrap());
        assert_eq!(budget.balance(later), Some(1.0), "the reserve, one deposit, one retry");
    });
}

#[test]
fn a_throttle_counts_each_call() {
    loom::model(|| {
        let rule = Rule::Throttle {
            success_threshold: 1.0,
            max_rejection: 1.0,
            min_calls: 2,
            window: SLICE * 2,
            slices: 2,
        };
        let (budget, now) = budget(rule);
        let other = Arc::clone(&budget);
        let thread = thread::spawn(move || other.begin().sent(|| now));
        budget.begin().sent(|| now);
        thread.join().unwrap();
        assert_eq!(budget.reject_probability(now), Some(2.0 / 3.0));
    });
}
