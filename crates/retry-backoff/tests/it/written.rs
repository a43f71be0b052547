//! Policies and budgets as they are written down.

use std::time::Duration;

use backstop_retry_backoff::budget::Rule;
use backstop_retry_backoff::{Jitter, OnRefusal, Policy, RetryAfter, Schedule};
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde_json::{from_str, from_value, json, to_value};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn a_policy_is_read_with_defaults_for_what_is_left_out() {
    let read: Policy =
        from_str(r#"{"schedule": {"family": "exponential", "base_ms": 500}}"#).unwrap();
    assert_eq!(read, Policy::new(Schedule::exponential(ms(500))));
}

#[test]
fn every_setting_has_a_name() {
    let text = r#"{
        "schedule": {
            "family": "exponential", "base_ms": 500, "factor": 3.0, "cap_ms": 60000,
            "jitter": {"proportional": 0.25}
        },
        "attempts_max": 7, "deadline_ms": 20000, "attempt_timeout_ms": 2000,
        "retry_after": {"bounded_ms": 1000}, "on_refusal": "wait", "retries_exhausted": true
    }"#;
    let schedule = Schedule::exponential(ms(500))
        .with_factor(3.0)
        .with_cap(ms(60_000))
        .with_jitter(Jitter::Proportional(0.25));
    let policy = Policy::new(schedule)
        .with_attempts_max(7)
        .with_deadline(ms(20_000))
        .with_attempt_timeout(ms(2_000))
        .with_retry_after(RetryAfter::Bounded(ms(1_000)))
        .with_on_refusal(OnRefusal::Wait)
        .with_exhausted_retried();
    assert_eq!(from_str::<Policy>(text).unwrap(), policy);
    assert_eq!(to_value(policy).unwrap(), from_str::<serde_json::Value>(text).unwrap());
}

#[test]
fn what_has_no_meaning_is_refused() {
    let refused = |value: serde_json::Value| from_value::<Schedule>(value).unwrap_err().to_string();
    let unknown = refused(json!({"family": "fixed", "base_ms": 1, "caps_ms": 2}));
    assert!(unknown.contains("caps_ms"), "{unknown}");
    let negative = refused(json!({"family": "fixed", "base_ms": -1}));
    assert!(negative.contains("-1"), "{negative}");
    let stray = refused(json!({"family": "linear", "base_ms": 1, "factor": 2.0}));
    assert!(stray.contains("exponential"), "{stray}");
}

#[test]
fn a_finer_time_is_refused_and_not_rounded() {
    let fine = Schedule::fixed(Duration::from_micros(1_500));
    let refused = to_value(fine).unwrap_err().to_string();
    assert!(refused.contains("1.5ms"), "{refused}");
}

#[test]
fn a_budget_is_read_by_its_kind() {
    let read: Rule =
        from_value(json!({"kind": "token_bucket", "capacity": 500, "cost": 5})).unwrap();
    let tokens = Rule::TokenBucket {
        capacity: 500.0,
        cost: 5.0,
        throttled_cost: None,
        timeout_cost: None,
        success_reward: 0.0,
    };
    assert_eq!(read, tokens);
    let text = json!({"kind": "deposit_ratio", "ttl_ms": 10_000, "min_per_s": 10.0, "ratio": 0.2});
    let deposits = Rule::DepositRatio { ttl: ms(10_000), min_per_s: 10.0, ratio: 0.2 };
    assert_eq!(to_value(deposits).unwrap(), text);
    assert_eq!(from_value::<Rule>(text).unwrap(), deposits);
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        proptest::sample::select(&[0.0, 0.125, 0.5, 1.0][..]).prop_map(Jitter::Proportional),
    ];
    let cap = proptest::option::of(any::<u64>());
    (0..5_u8, any::<u64>(), 1..100_u8, cap, jitter).prop_map(
        |(family, base, factor, cap, jitter)| {
            let base = ms(base);
            let schedule = match family {
                0 => Schedule::fixed(base),
                1 => Schedule::linear(base),
                2 => Schedule::exponential(base).with_factor(factor.into()),
                3 => Schedule::fibonacci(base),
                _ => Schedule::decorrelated(base),
            };
            let schedule = cap.map_or(schedule, |cap| schedule.with_cap(ms(cap)));
            schedule.with_jitter(jitter)
        },
    )
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(
        schedule in any_schedule(), attempts: u32, deadline in proptest::option::of(any::<u64>()),
    ) {
        let mut policy = Policy::new(schedule).with_attempts_max(attempts);
        if let Some(deadline) = deadline {
            policy = policy.with_deadline(ms(deadline));
        }
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(from_str::<Policy>(&text).unwrap(), policy, "{}", text);
    }
}
