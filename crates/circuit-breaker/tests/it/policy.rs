//! Settings that are impossible, each by its name.

use std::time::Duration;

use backstop_circuit_breaker::{AfterHalfOpen, Breaker, Policy, ProbeRule, Problem};
use backstop_error_taxonomy::{Classify, Kind};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::new(Duration::from_secs(30))
}

#[test]
fn each_impossible_setting_is_named() {
    let run = policy().with_consecutive_failures(3);
    let rate = policy().with_count_window(10).with_failure_rate(0.5);
    let cases = [
        (policy(), "trip"),
        (policy().with_count_window(10), "trip"),
        (policy().with_consecutive_failures(0), "trip.consecutive_failures"),
        (policy().with_failure_count(1), "window"),
        (policy().with_failure_rate(0.5), "window"),
        (policy().with_count_window(3).with_failure_count(0), "trip.failure_count"),
        (policy().with_count_window(3).with_failure_count(4), "trip.failure_count"),
        (policy().with_count_window(3).with_failure_rate(f64::NAN), "trip.failure_rate"),
        (policy().with_count_window(3).with_failure_rate(-0.5), "trip.failure_rate"),
        (rate.clone().with_count_window(0), "window.size"),
        (rate.clone().with_count_window(u32::MAX), "window.size"),
        (rate.clone().with_min_calls(0), "min_calls"),
        (rate.with_min_calls(11), "min_calls"),
        (policy().with_failure_count(0).with_time_window(SECOND, 1), "trip.failure_count"),
        (run.clone().with_time_window(SECOND, 0), "window.slices"),
        (run.clone().with_time_window(SECOND, 1_000_000), "window.slices"),
        (run.clone().with_time_window(Duration::from_nanos(3), 4), "window.slices"),
        (run.clone().with_time_window(Duration::ZERO, 4), "window.time"),
        (policy().with_slow_calls(SECOND, 0.5), "window"),
        (run.clone().with_slow_call(Duration::ZERO), "slow_call"),
        (run.clone().with_count_window(1).with_slow_calls(SECOND, 0.0), "trip.slow_rate"),
        (run.clone().with_probe_lease(Duration::ZERO), "probe_lease"),
        (run.clone().with_half_open_max(Duration::ZERO, AfterHalfOpen::Open), "half_open_max"),
        (run.clone().with_open_jitter(1.5, 0), "open_jitter"),
        (run.clone().with_probes(0), "probes"),
        (run.clone().with_probe_rule(ProbeRule::AtLeast(0)), "verdict.successes"),
        (run.clone().with_probes(2).with_probe_rule(ProbeRule::AtLeast(3)), "verdict.successes"),
        (run.clone().with_probe_rule(ProbeRule::Rate), "verdict"),
        (run.clone().with_escalation(0.9, Duration::MAX), "open_factor"),
        (run.clone().with_escalation(f64::INFINITY, Duration::MAX), "open_factor"),
        (run.with_escalation(2.0, Duration::from_secs(29)), "open_time_max"),
    ];
    for (policy, setting) in cases {
        let error = Breaker::new(policy.clone()).expect_err(setting);
        let [problem] = error.problems() else { panic!("{error}") };
        assert_eq!(problem.setting(), setting, "{policy:?}");
        assert!(problem.to_string().starts_with(setting), "{error}");
        assert_eq!(error.class().kind(), Kind::Config);
    }
}

#[test]
fn the_open_time_grows_to_its_limit_and_starts_afresh_after_a_close() {
    use backstop_clock::{Clock, ManualClock, Timestamp};

    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    let policy = policy().with_consecutive_failures(1);
    let breaker = Breaker::new(policy.with_escalation(2.0, Duration::from_secs(100))).unwrap();
    for seconds in [30, 60, 100, 100] {
        breaker.admit(now).unwrap().failure(now);
        let left = Duration::from_secs(seconds);
        assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(left));
        clock.advance(left);
    }
    breaker.admit(now).unwrap().success(now);
    breaker.admit(now).unwrap().failure(now);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(Duration::from_secs(30)));
}

#[test]
fn every_problem_is_told_at_once() {
    let policy = policy()
        .with_failure_rate(f64::NAN)
        .with_slow_calls(Duration::ZERO, 2.0)
        .with_time_window(Duration::ZERO, 0)
        .with_min_calls(0)
        .with_probes(0)
        .with_probe_lease(Duration::ZERO)
        .with_escalation(f64::NAN, Duration::ZERO)
        .with_open_jitter(-0.5, 1);
    let error = Breaker::new(policy).unwrap_err();
    let settings: Vec<_> = error.problems().iter().map(Problem::setting).collect();
    let expected = [
        "trip.failure_rate",
        "trip.slow_rate",
        "slow_call",
        "window.time",
        "min_calls",
        "probes",
        "probe_lease",
        "open_factor",
        "open_time_max",
        "open_jitter",
    ];
    assert_eq!(settings, expected);
    assert_eq!(error.to_string().matches(", and ").count(), expected.len() - 1);
}
