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
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    let counted = Policy::new(SECOND).with_failure_count(1).with_count_window(3);
    let text = serde_json::to_string(&counted).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), counted);
}

#[test]
fn what_is_left_out_has_its_default_but_for_the_open_time() {
    let open_time = json!({ "secs": 30, "nanos": 0 });
    let written = json!({ "open_time": open_time, "consecutive_failures": 5 });
    let policy: Policy = serde_json::from_value(written).unwrap();
    assert_eq!(policy, Policy::new(30 * SECOND).with_consecutive_failures(5));
    for wrong in [
        json!({ "consecutive_failures": 5 }),
        json!({ "open_time": open_time, "consecutive_failure": 5 }),
        json!({ "open_time": open_time, "verdicts": { "no_such_kind": "failure" } }),
    ] {
        assert!(serde_json::from_value::<Policy>(wrong).is_err());
    }
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
    written["policy"]["probes"] = json!(0);
    let edited: Snapshot = serde_json::from_value(written).unwrap();
    assert_eq!(Breaker::restore(edited, &clock).unwrap_err().problems()[0].setting(), "probes");
}
