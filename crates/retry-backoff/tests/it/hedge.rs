//! A slow read gets company.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use backstop_clock::{Clock as _, Sleep as _};
use backstop_error_taxonomy::{Error, Kind};
use backstop_retry_backoff::bounds::Problem;
use backstop_retry_backoff::budget::{Budget, Rule};
use backstop_retry_backoff::hedge::Hedge;
use backstop_retry_backoff::{Attempt, Finished};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sim::Sim;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The result, when each attempt started, and when all was over.
type Raced = (Result<Finished<u32>, Kind>, Vec<u64>, u64);

/// Runs a read whose attempts take these times and end like this.
fn race(hedge: &Hedge, script: &[(u64, Option<Kind>)]) -> Raced {
    let sim = Sim::new();
    let starts = RefCell::new(Vec::new());
    let read = async |attempt: Attempt<()>| {
        starts.borrow_mut().push(sim.ms());
        let (takes, failure) = script[usize::try_from(attempt.number).unwrap() - 1];
        sim.sleep(ms(takes)).await;
        failure.map_or(Ok(attempt.number), |kind| Err(Error::new(kind, "no")))
    };
    let mut rng = StdRng::seed_from_u64(1);
    let ended = sim.block_on(hedge.run(&sim, &mut rng, read), None).unwrap();
    (ended.map_err(|error| error.kind()), starts.into_inner(), sim.ms())
}

#[test]
fn a_fast_read_is_alone() {
    let hedge = Hedge::new(ms(50), 3).unwrap();
    let (ended, starts, at) = race(&hedge, &[(40, None)]);
    assert_eq!((ended.unwrap().value, starts, at), (1, vec![0], 40));
}

#[test]
fn a_slow_read_gets_company_and_the_first_answer_counts() {
    let hedge = Hedge::new(ms(50), 3).unwrap();
    let (ended, starts, at) = race(&hedge, &[(1_000, None), (1_000, None), (10, None)]);
    assert_eq!((ended.unwrap().value, starts, at), (3, vec![0, 50, 100], 110));
    let (ended, starts, at) = race(&hedge, &[(60, None), (1_000, None)]);
    assert_eq!((ended.unwrap().attempts, starts, at), (1, vec![0, 50], 60));
}

#[test]
fn a_failure_that_may_pass_is_replaced_at_once_and_the_last_one_comes_back() {
    let hedge = Hedge::new(ms(50), 2).unwrap();
    let (ended, starts, at) = race(&hedge, &[(10, Some(Kind::Timeout)), (5, None)]);
    assert_eq!((ended.unwrap().value, starts, at), (2, vec![0, 10], 15));
    let failures = [(10, Some(Kind::Timeout)), (5, Some(Kind::RateLimited))];
    let (ended, starts, at) = race(&hedge, &failures);
    assert_eq!((ended.unwrap_err(), starts, at), (Kind::RateLimited, vec![0, 10], 15));
}

#[test]
fn a_failure_for_good_ends_the_race() {
    let hedge = Hedge::new(ms(50), 3).unwrap();
    let (ended, starts, at) = race(&hedge, &[(1_000, None), (20, Some(Kind::NotFound))]);
    assert_eq!((ended.unwrap_err(), starts, at), (Kind::NotFound, vec![0, 50], 70));
}

#[test]
fn an_empty_budget_leaves_the_first_alone() {
    let rule = Rule::TokenBucket {
        capacity: 1.0,
        cost: 1.0,
        throttled_cost: None,
        timeout_cost: None,
        success_reward: 0.0,
    };
    let budget = Arc::new(Budget::new(rule, Sim::new().instant()).unwrap());
    let hedge = Hedge::new(ms(50), 3).unwrap().with_budget(Arc::clone(&budget));
    let (ended, starts, at) = race(&hedge, &[(200, Some(Kind::Timeout)), (500, None)]);
    assert_eq!((ended.unwrap().value, starts, at), (2, vec![0, 50], 550));
    assert_eq!(budget.tokens(), Some(1.0), "refunded by the success");
    let (ended, starts, _) = race(&hedge, &[(200, None), (500, None)]);
    assert_eq!((ended.unwrap().value, starts), (1, vec![0, 50]));
}

#[test]
fn failures_of_a_hedge_empty_a_threshold_bucket_too() {
    let rule =
        Rule::ThresholdBucket { capacity: 4.0, min: 2.0, failure_cost: 1.0, success_reward: 0.0 };
    let budget = Arc::new(Budget::new(rule, Sim::new().instant()).unwrap());
    let hedge = Hedge::new(ms(50), 4).unwrap().with_budget(Arc::clone(&budget));
    let fails = (10, Some(Kind::Timeout));
    let (ended, starts, _) = race(&hedge, &[fails; 4]);
    assert_eq!((ended.unwrap_err(), starts), (Kind::Timeout, vec![0, 10]));
    assert_eq!(budget.tokens(), Some(2.0));
}

#[test]
fn a_hedge_of_nothing_is_refused() {
    let refused = Hedge::new(Duration::ZERO, 0).unwrap_err();
    let both = [Problem::NoTime { setting: "delay" }, Problem::NoAttempts];
    assert_eq!(refused.problems(), both);
}

#[test]
fn each_attempt_beside_others_takes_a_place_among_the_retries_in_flight() {
    let sim = Sim::new();
    let budget = |floor| {
        let rule = Rule::InFlightRatio { ratio: 0.0, floor };
        Arc::new(Budget::new(rule, sim.instant()).unwrap())
    };
    let hedge = Hedge::new(ms(50), 4).unwrap();
    let hangs = [(1_000, None); 4];
    for (floor, expected) in [(0, vec![0]), (1, vec![0, 50]), (2, vec![0, 50, 100])] {
        let budget = budget(floor);
        let (_, starts, _) = race(&hedge.clone().with_budget(Arc::clone(&budget)), &hangs);
        assert_eq!((starts, budget.retries_in_flight()), (expected, Some(0)));
    }
    // The place of one that failed is free for the one that replaces it.
    let script = [(1_000, None), (10, Some(Kind::Timeout)), (10, Some(Kind::Timeout)), (5, None)];
    let one = hedge.with_budget(budget(1));
    let (ended, starts, _) = race(&one, &script);
    assert_eq!((ended.unwrap().value, starts), (4, vec![0, 50, 60, 70]));
    // The first attempt has none, so its end frees none.
    let script = [(60, Some(Kind::Timeout)), (1_000, None), (1, None)];
    let (ended, starts, _) = race(&one, &script);
    assert_eq!((ended.unwrap().value, starts), (2, vec![0, 50]));
}
