//! Policies and snapshots as data.

use std::time::Duration;

use backstop_circuit_breaker::{
    AfterHalfOpen, Breaker, Initial, Policy, ProbeRule, Snapshot, State, Verdict,
};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::Kind;
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_setting_survives() {
    let policy = Policy::new(30 * SECOND)
        .with_consecutive_failures(5)
        .with_failure_count(9)
        .with_failure_rate(0.3)
        .with_slow_calls(SECOND, 0.8)
        .with_time_window(60 * SECOND, 12)
        .with_min_calls(20)
        .with_escalation(1.5, 600 * SECOND)
        .with_open_jitter(0.2, u64::MAX)
        .with_probes(3)
        .with_probe_rule(ProbeRule::AtLeast(2))
        .with_probe_lease(10 * SECOND)
        .with_half_open_max(60 * SECOND, AfterHalfOpen::Closed)
        .with_verdict(Kind::RateLimited, Verdict::Ignored)
        .with_initial(Initial::MetricsOnly)
        .with_dry_run(true);
    let written = serde_json::to_value(&policy).unwrap();
    assert_eq!(serde_json::from_value::<Policy>(written.clone()).unwrap(), policy);
    let times = json!({
        "slow_call_ms": 1_000, "open_time_ms": 30_000, "probe_lease_ms": 10_000,
        "window": { "time": { "length_ms": 60_000, "slices": 12 } },
        "half_open_max": { "time_ms": 60_000, "then": "closed" },
        "escalation": { "factor": 1.5, "open_time_max_ms": 600_000 },
    });
    for (setting, time) in times.as_object().unwrap() {
        assert_eq!(written[setting], *time, "{setting}");
    }
    let counted = Policy::new(SECOND).with_failure_count(1).with_count_window(3);
    let text = serde_json::to_string(&counted).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), counted);
}

#[test]
fn a_time_finer_than_a_millisecond_is_written_as_it_is() {
    let tick = Duration::from_nanos(1_500_001);
    let policy = Policy::new(tick)
        .with_slow_calls(tick, 0.5)
        .with_count_window(2)
        .with_escalation(2.0, Duration::MAX);
    let written = serde_json::to_value(&policy).unwrap();
    assert_eq!(written["open_time_ms"], json!({ "secs": 0, "nanos": 1_500_001 }));
    assert_eq!(serde_json::from_value::<Policy>(written).unwrap(), policy);
}

#[test]
fn a_time_that_is_none_is_refused() {
    for wrong in [json!(-1), json!(1.5), json!("1 s"), json!(null)] {
        let error = serde_json::from_value::<Policy>(json!({ "open_time_ms": wrong })).unwrap_err();
        assert!(error.to_string().contains("milliseconds"), "{error}");
    }
    // Of which unit?
    let nameless = serde_json::from_value::<Policy>(json!({ "open_time": 30 })).unwrap_err();
    assert!(nameless.to_string().contains("open_time"), "{nameless}");
}

#[test]
#[cfg(feature = "bulkhead")]
fn limits_are_written_the_same_way() {
    use backstop_circuit_breaker::bulkhead::Limits;
    let limits = Limits::new(2).with_max_wait(SECOND);
    let written = serde_json::to_value(limits).unwrap();
    assert_eq!(written["max_wait_ms"], json!(1_000));
    assert_eq!(serde_json::from_value::<Limits>(written).unwrap(), limits);
    assert_eq!(
        serde_json::from_value::<Limits>(json!({ "max_concurrent": 2 })).unwrap(),
        Limits::new(2)
    );
}

#[test]
fn what_is_left_out_has_its_default_but_for_the_open_time() {
    let open_time = 30_000;
    let written = json!({ "open_time_ms": open_time, "consecutive_failures": 5 });
    let policy: Policy = serde_json::from_value(written).unwrap();
    assert_eq!(policy, Policy::new(30 * SECOND).with_consecutive_failures(5));
    for wrong in [
        json!({ "consecutive_failures": 5 }),
        json!({ "open_time_ms": open_time, "consecutive_failure": 5 }),
        json!({ "open_time_ms": open_time, "verdicts": { "no_such_kind": "failure" } }),
    ] {
        assert!(serde_json::from_value::<Policy>(wrong).is_err());
    }
}

#[test]
fn an_unknown_setting_is_an_error_wherever_it_stands() {
    let written = json!({
        "open_time_ms": 1, "slow_call_ms": 1, "slow_rate": 0.5,
        "window": { "time": { "length_ms": 1_000, "slices": 2 } },
        "escalation": { "factor": 2.0, "open_time_max_ms": 5 },
        "half_open_max": { "time_ms": 5, "then": "open" },
        "open_jitter": { "share": 0.5, "seed": 1 },
    });
    assert!(serde_json::from_value::<Policy>(written.clone()).is_ok());
    for place in ["", "/window/time", "/escalation", "/half_open_max", "/open_jitter"] {
        let mut wrong = written.clone();
        wrong.pointer_mut(place).unwrap()["no_such_setting"] = json!(3);
        let error = serde_json::from_value::<Policy>(wrong).unwrap_err().to_string();
        assert!(error.contains("unknown field `no_such_setting`"), "{place}: {error}");
    }
}

#[test]
fn times_of_a_snapshot_are_written_in_milliseconds() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let policy = Policy::new(30 * SECOND).with_consecutive_failures(1);
    let breaker = Breaker::starting(policy, clock.instant()).unwrap();
    clock.advance(2 * SECOND);
    breaker.open(clock.instant());
    clock.advance(SECOND);
    let kept = breaker.snapshot(&clock);
    let written = serde_json::to_value(&kept).unwrap();
    assert_eq!((&written["left_ms"], &written["age_ms"]), (&json!(29_000), &json!(3_000)));
    assert_eq!(serde_json::from_value::<Snapshot>(written).unwrap(), kept);
}

#[test]
fn a_format_without_names_keeps_all() {
    let clock = ManualClock::new(Timestamp::from_millis(5));
    let policy = Policy::new(Duration::from_nanos(1_500_001))
        .with_slow_calls(SECOND, 0.8)
        .with_time_window(60 * SECOND, 12)
        .with_escalation(1.5, 600 * SECOND)
        .with_open_jitter(0.2, 7)
        .with_half_open_max(60 * SECOND, AfterHalfOpen::Closed);
    let breaker = Breaker::new(policy).unwrap();
    breaker.open(clock.instant());
    let kept = breaker.snapshot(&clock);
    let bytes = postcard::to_stdvec(&kept).unwrap();
    assert_eq!(postcard::from_bytes::<Snapshot>(&bytes).unwrap(), kept);
}

#[test]
fn a_snapshot_survives_and_an_edited_one_is_checked() {
    let clock = ManualClock::new(Timestamp::from_millis(5));
    let policy = Policy::new(30 * SECOND).with_consecutive_failures(1);
    let breaker = Breaker::new(policy).unwrap();
    breaker.open(clock.instant());
    let kept = breaker.snapshot(&clock);
    let mut written = serde_json::to_value(&kept).unwrap();
    let read: Snapshot = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read, kept);
    assert_eq!(Breaker::restore(read, &clock).unwrap().state(), State::Open);
    // It cannot be open without having opened.
    for (number, expected) in [(json!(null), 0), (json!(2), 2)] {
        written["open_attempt"] = number;
        let edited: Snapshot = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(Breaker::restore(edited, &clock).unwrap().open_attempt(), expected);
    }
    written["policy"]["probes"] = json!(0);
    let edited: Snapshot = serde_json::from_value(written).unwrap();
    assert_eq!(Breaker::restore(edited, &clock).unwrap_err().problems()[0].setting(), "probes");
}
