//! What runs and budgets tell of themselves.

use std::sync::Arc;
use std::time::Duration;

use backstop_clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};
use backstop_retry_backoff::budget::{Budget, Rule};
use backstop_retry_backoff::observer::Event;
use backstop_retry_backoff::{
    Attempt, Jitter, Outcome, Policy, Resolution, Retry, Schedule, StopToken, metrics, tracing,
};
use backstop_testkit::{log, metrics::Recorded};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Runs that give up, are resolved, and are cancelled.
fn play(observe: impl Fn(Event) + Send + Sync + 'static) {
    let policy = Policy::new(Schedule::fixed(Duration::from_secs(2)).with_jitter(Jitter::None));
    let retry = Retry::new(policy.with_attempts_max(2)).unwrap().with_observer(Arc::new(observe));
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(1);
    let busy = |attempt: Attempt<()>| match attempt.number {
        1 => Outcome::Again(()),
        _ => Outcome::Failure(Error::new(Kind::RateLimited, "busy")),
    };
    assert!(retry.read().run_blocking(&clock, &mut rng, busy).is_err());
    let lost = |_: Attempt<u32>| Err::<(), _>(Error::new(Kind::Timeout, "no answer"));
    let asking = retry.at_most_once(7).asking(|| Resolution::Found(()));
    assert!(asking.run_blocking(&clock, &mut rng, lost).is_ok());
    let token = StopToken::default();
    token.stop();
    assert!(retry.at_most_once(7).until(&token).run_blocking(&clock, &mut rng, lost).is_err());
}

#[test]
fn events_become_counters() {
    let recorded = Recorded::default();
    ::metrics::with_local_recorder(&recorded, || play(|event| metrics::observe("orders", event)));
    let expected = [
        ("retry_attempts_total{retry=orders}", 3.0),
        ("retry_failures_total{effect=not_applied,kind=rate_limited,retry=orders}", 1.0),
        ("retry_failures_total{effect=unknown,kind=timeout,retry=orders}", 1.0),
        ("retry_resolved_total{retry=orders}", 1.0),
        ("retry_sleep_seconds{retry=orders}", 4.0),
        ("retry_stopped_total{reason=attempts_exhausted,retry=orders}", 1.0),
        ("retry_stopped_total{reason=cancelled,retry=orders}", 1.0),
        ("retry_unwanted_total{retry=orders}", 1.0),
    ];
    assert_eq!(recorded.names(), expected.map(|(name, _)| name));
    for (name, value) in expected {
        assert_eq!(recorded.value(name), Some(value), "{name}");
    }
}

#[test]
fn every_budget_shows_what_it_has() {
    let recorded = Recorded::default();
    let now = SystemClock.instant();
    let tokens =
        Rule::ThresholdBucket { capacity: 4.0, min: 2.0, failure_cost: 1.5, success_reward: 1.0 };
    let minute = Duration::from_mins(1);
    let throttle = Rule::Throttle {
        success_threshold: 1.0,
        max_rejection: 1.0,
        min_calls: 0,
        window: minute,
        slices: 1,
    };
    let deposits = Rule::DepositRatio { ttl: minute, min_per_s: 0.5, ratio: 0.0 };
    let in_flight = Rule::InFlightRatio { ratio: 0.0, floor: 1 };
    ::metrics::with_local_recorder(&recorded, || {
        for rule in [tokens, throttle, deposits, in_flight] {
            let budget = Budget::new(rule, now).unwrap();
            let mut call = budget.begin();
            call.sent(|| now);
            call.failed(true);
            let _granted = call.grants(None, now, &mut StdRng::seed_from_u64(1));
            metrics::publish_budget("venue", &budget, now);
        }
    });
    let expected = [
        ("retry_budget_balance{budget=venue}", 29.0),
        ("retry_budget_in_flight{budget=venue}", 1.0),
        ("retry_budget_reject_probability{budget=venue}", 0.5),
        ("retry_budget_tokens{budget=venue}", 2.5),
    ];
    assert_eq!(recorded.names(), expected.map(|(name, _)| name));
    for (name, value) in expected {
        assert_eq!(recorded.value(name), Some(value), "{name}");
    }
}

#[test]
fn a_failure_that_is_tried_again_is_no_warning() {
    let lines = log::lines(|| play(|event| tracing::log("orders", event)));
    let expected = [
        ("DEBUG", "attempt starts"),
        ("DEBUG", "asks for another try"),
        ("DEBUG", "delay=2s"),
        ("DEBUG", "attempt=2"),
        ("DEBUG", "kind=\"rate_limited\" effect=\"not_applied\""),
        ("WARN", "reason=attempts_exhausted"),
        ("DEBUG", "attempt starts"),
        ("DEBUG", "kind=\"timeout\" effect=\"unknown\""),
        ("DEBUG", "sleeps"),
        ("INFO", "took effect"),
        ("INFO", "cancelled"),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (level, part)) in lines.iter().zip(expected) {
        let fits =
            line.starts_with(level) && line.contains(part) && line.contains("retry=\"orders\"");
        assert!(fits, "{line}\nwithout {level} {part}");
    }
}
