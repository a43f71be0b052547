//! What budgets count: millionths of a token, and shares that are written in decimals.

use std::time::Duration;

use backstop_clock::{Clock as _, SystemClock};
use backstop_retry_backoff::bounds::Problem;
use backstop_retry_backoff::budget::{Budget, Rule};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn settings(rule: Rule) -> Vec<&'static str> {
    let refused = Budget::new(rule, SystemClock.instant()).map(drop);
    let problems = refused.map_or_else(|error| error.problems().to_vec(), |()| Vec::new());
    problems.iter().map(Problem::setting).collect()
}

fn tokens(amount: f64) -> Rule {
    Rule::TokenBucket {
        capacity: amount,
        cost: amount,
        throttled_cost: Some(amount),
        timeout_cost: Some(amount),
        success_reward: amount,
    }
}

#[test]
fn an_amount_that_would_round_to_nothing_is_refused() {
    let names = ["capacity", "cost", "throttled_cost", "timeout_cost", "success_reward"];
    for dust in [f64::MIN_POSITIVE, 4e-7, 9.9e-7] {
        assert_eq!(settings(tokens(dust)), names);
        let rule = Rule::ThresholdBucket {
            capacity: 1.0,
            min: dust,
            failure_cost: dust,
            success_reward: dust,
        };
        assert_eq!(settings(rule), ["min", "failure_cost", "success_reward"]);
        let rule = Rule::DepositRatio { ttl: Duration::from_secs(1), min_per_s: 0.0, ratio: dust };
        assert_eq!(settings(rule), ["ratio"]);
    }
    for fine in [0.0, 1e-6, 1e12] {
        assert_eq!(settings(tokens(fine)), [""; 0]);
    }
}

#[test]
fn the_least_cost_is_no_free_retry() {
    let now = SystemClock.instant();
    let budget = Budget::new(tokens(1e-6), now).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let mut call = budget.begin();
    assert!(call.grants(None, now, &mut rng));
    assert!(!call.grants(None, now, &mut rng));
}

#[test]
fn a_share_in_decimals_is_not_rounded_down_by_its_float() {
    let now = SystemClock.instant();
    // 0.29 * 100 is 28.999999999999996 as floats, a third of three a little less than one.
    for (ratio, calls, retries) in [(0.29, 100, 29), (1.0 / 3.0, 3, 1), (0.2, 4, 0), (0.2, 5, 1)] {
        let budget = Budget::new(Rule::InFlightRatio { ratio, floor: 0 }, now).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let mut open: Vec<_> = (0..calls).map(|_| budget.begin()).collect();
        let granted =
            open.iter_mut().filter_map(|call| call.grants(None, now, &mut rng).then_some(()));
        assert_eq!(granted.count(), retries, "{ratio} of {calls}");
    }
}
