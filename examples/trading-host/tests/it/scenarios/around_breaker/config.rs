//! From the `config` of a case to policies.

use std::{collections::BTreeMap, time::Duration};

use backstop_circuit_breaker::{
    AfterHalfOpen, Initial, Policy as BreakerPolicy, ProbeRule, Verdict,
};
use backstop_error_taxonomy::Kind;
use backstop_retry_backoff::{
    Guard, Jitter, OnRefusal, Policy, RetryAfter, Schedule, budget::Rule,
};
use serde_json::Value;

use super::{Failure, Outcome, Stop, fail, known, list};
use crate::scenarios::count;

pub(super) use crate::scenarios::millis as milliseconds;

/// A setting that is null is one that is not given; in a hint null says something.
pub(super) fn without_nulls(config: &Value) -> Value {
    let Some(fields) = config.as_object() else { return config.clone() };
    let given = fields.iter().filter(|(_, value)| !value.is_null());
    let plain = |(key, value): (&String, &Value)| match key.as_str() {
        "hint" => (key.clone(), value.clone()),
        _ => (key.clone(), without_nulls(value)),
    };
    given.map(plain).collect()
}

pub(super) fn known_keys(config: &Value) -> Outcome<()> {
    let keys = ["schedule", "max_attempts", "attempt_timeout_ms", "mode", "breaker", "resolver"];
    let more =
        ["on_breaker_rejection", "deadline_ms", "hint", "retry_on_values", "budget", "draws"];
    known(config, &[&keys[..], &more].concat())
}

pub(super) fn policy(config: &Value) -> Outcome<Policy> {
    let mut policy = Policy::new(schedule(&config["schedule"])?);
    if let Some(hint) = config.get("hint") {
        policy = policy.with_retry_after(retry_after(hint)?);
    }
    if let Some(deadline) = config.get("deadline_ms") {
        policy = policy.with_deadline(milliseconds(deadline)?);
    }
    if let Some(timeout) = config.get("attempt_timeout_ms") {
        policy = policy.with_attempt_timeout(milliseconds(timeout)?);
    }
    policy = policy.with_attempts_max(config.get("max_attempts").map_or(Ok(u32::MAX), count)?);
    let on_refusal = match config.get("on_breaker_rejection").map(Value::as_str) {
        None | Some(Some("stop")) => OnRefusal::Stop,
        Some(Some("wait")) => OnRefusal::Wait,
        Some(Some("retry")) => OnRefusal::Retry,
        other => return fail(format!("unknown on_breaker_rejection {other:?}")),
    };
    Ok(policy.with_on_refusal(on_refusal))
}

pub(super) fn guard(config: &Value) -> Outcome<Guard<u64>> {
    /// Made once for the whole run, as a caller would.
    const KEY: u64 = 42;
    match config.get("mode").map(Value::as_str) {
        None | Some(Some("idempotent")) => Ok(Guard::Idempotent(KEY)),
        Some(Some("once")) => Ok(Guard::Once(KEY)),
        other => fail(format!("unknown mode {other:?}")),
    }
}

pub(super) fn answers(given: &Value) -> Outcome<Vec<String>> {
    let answer = |answer: &Value| match answer.as_str() {
        Some(known @ ("found" | "not_found" | "fails")) => Ok(known.to_owned()),
        _ => fail(format!("unknown answer {answer}")),
    };
    list(given)?.iter().map(answer).collect()
}

fn schedule(given: &Value) -> Outcome<Schedule> {
    known(given, &["family", "base_ms", "factor", "cap_ms", "jitter"])?;
    let base = milliseconds(&given["base_ms"])?;
    let mut schedule = match given["family"].as_str() {
        Some("fixed") => Schedule::fixed(base),
        Some("linear") => Schedule::linear(base),
        Some("exponential") => Schedule::exponential(base),
        Some("fibonacci") => Schedule::fibonacci(base),
        Some("decorrelated") => Schedule::decorrelated(base),
        other => return fail(format!("unknown family {other:?}")),
    };
    if let Some(factor) = given.get("factor") {
        schedule = schedule.with_factor(number(factor)?);
    }
    let schedule = schedule.with_cap(given.get("cap_ms").map_or(Ok(Duration::MAX), milliseconds)?);
    match given.get("jitter").map(|jitter| (jitter.as_str(), jitter.get("plus_minus"))) {
        None | Some((Some("full"), _)) => Ok(schedule),
        Some((Some("none"), _)) => Ok(schedule.with_jitter(Jitter::None)),
        Some((Some("equal"), _)) => Ok(schedule.with_jitter(Jitter::Equal)),
        Some((None, Some(ratio))) => Ok(schedule.with_jitter(Jitter::Proportional(number(ratio)?))),
        Some(other) => fail(format!("unknown jitter {other:?}")),
    }
}

fn retry_after(given: &Value) -> Outcome<RetryAfter> {
    known(given, &["mode", "bound_ms"])?;
    match (given["mode"].as_str(), given.get("bound_ms")) {
        (Some("exact"), _) => Ok(RetryAfter::Exact),
        (Some("bounded"), None) => Ok(RetryAfter::default()),
        (Some("bounded"), Some(Value::Null)) => Ok(RetryAfter::Unbounded),
        (Some("bounded"), Some(bound)) => milliseconds(bound).map(RetryAfter::Bounded),
        other => fail(format!("unknown hint {other:?}")),
    }
}

/// The kind of failure that has this class of cost.
pub(super) fn kind_of(class: &str) -> Outcome<Kind> {
    match class {
        "default" => Ok(Kind::Unavailable),
        "throttled" => Ok(Kind::RateLimited),
        "timeout" => Ok(Kind::Timeout),
        other => fail(format!("unknown class `{other}`")),
    }
}

pub(super) fn budget(given: &Value) -> Outcome<Rule> {
    let field = |key: &str| number(&given[key]);
    let with_kind = |keys: &[&str]| known(given, &[&["kind"], keys].concat());
    match given["kind"].as_str() {
        Some("token_bucket") => {
            with_kind(&["capacity", "cost", "success_reward"])?;
            let costs = &given["cost"];
            known(costs, &["default", "throttled", "timeout"])?;
            Ok(Rule::TokenBucket {
                capacity: field("capacity")?,
                cost: number(&costs["default"])?,
                throttled_cost: costs.get("throttled").map(number).transpose()?,
                timeout_cost: costs.get("timeout").map(number).transpose()?,
                success_reward: given.get("success_reward").map_or(Ok(0.0), number)?,
            })
        }
        Some("threshold_bucket") => {
            with_kind(&["capacity", "min", "failure_cost", "success_reward"])?;
            Ok(Rule::ThresholdBucket {
                capacity: field("capacity")?,
                min: field("min")?,
                failure_cost: field("failure_cost")?,
                success_reward: field("success_reward")?,
            })
        }
        Some("in_flight_ratio") => {
            with_kind(&["ratio", "floor"])?;
            Ok(Rule::InFlightRatio { ratio: field("ratio")?, floor: count(&given["floor"])? })
        }
        Some("deposit_ratio") => {
            with_kind(&["ttl_ms", "min_per_s", "ratio"])?;
            let ttl = milliseconds(&given["ttl_ms"])?;
            let (min_per_s, ratio) = (field("min_per_s")?, field("ratio")?);
            Ok(Rule::DepositRatio { ttl, min_per_s, ratio })
        }
        Some("throttle") => {
            let keys = ["success_threshold", "max_rejection", "min_calls", "window_ms", "slices"];
            with_kind(&keys)?;
            Ok(Rule::Throttle {
                success_threshold: field("success_threshold")?,
                max_rejection: field("max_rejection")?,
                min_calls: count(&given["min_calls"])?,
                window: milliseconds(&given["window_ms"])?,
                slices: count(&given["slices"])?,
            })
        }
        other => fail(format!("unknown budget {other:?}")),
    }
}

/// What an outcome is to the breaker, where the case says so.
#[derive(Debug, Default)]
pub(super) struct Classified(BTreeMap<String, Verdict>);

impl Classified {
    /// The format counts every outcome but `success` as a failure, values too.
    pub(super) fn verdict(&self, outcome: &str, failure: Option<&Failure>) -> Verdict {
        // A call that was cut came to something else than the script says.
        let outcome = failure.map_or(outcome, |failure| &failure.outcome);
        match self.0.get(outcome) {
            Some(verdict) => *verdict,
            None if outcome == "success" => Verdict::Success,
            None => Verdict::Failure,
        }
    }
}

pub(super) fn breaker(given: &Value) -> Outcome<(BreakerPolicy, Classified)> {
    let keys = ["trip", "window", "min_calls", "slow_call_ms", "open_ms", "open_factor"];
    let probes = ["open_max_ms", "probes", "verdict", "probe_lease_ms", "half_open_max_ms"];
    let more = ["half_open_timeout_to", "initial_state", "classify", "dry_run"];
    known(given, &[&keys[..], &probes, &more].concat())?;
    let mut policy = trip(BreakerPolicy::new(milliseconds(&given["open_ms"])?), given)?;
    if let Some(window) = given.get("window") {
        policy = span(policy, window)?;
    }
    if let Some(calls) = given.get("min_calls") {
        policy = policy.with_min_calls(count(calls)?);
    }
    if given.get("open_factor").is_some() || given.get("open_max_ms").is_some() {
        let factor = given.get("open_factor").map_or(Ok(1.0), number)?;
        let most = given.get("open_max_ms").map_or(Ok(Duration::MAX), milliseconds)?;
        policy = policy.with_escalation(factor, most);
    }
    policy = half_open(policy, given)?;
    policy = policy.with_initial(match given.get("initial_state").map(Value::as_str) {
        None | Some(Some("closed")) => Initial::Closed,
        Some(Some("open")) => Initial::Open,
        Some(Some("forced_open")) => Initial::ForcedOpen,
        Some(Some("disabled")) => Initial::Disabled,
        Some(Some("metrics_only")) => Initial::MetricsOnly,
        other => return fail(format!("unknown initial_state {other:?}")),
    });
    policy = policy.with_dry_run(given["dry_run"].as_bool().unwrap_or(false));
    let verdicts = given["classify"].as_object().into_iter().flatten();
    let verdicts = verdicts.map(|(outcome, verdict)| match verdict.as_str() {
        Some("failure") => Ok((outcome.clone(), Verdict::Failure)),
        Some("ignored") => Ok((outcome.clone(), Verdict::Ignored)),
        Some("success") => Ok((outcome.clone(), Verdict::Success)),
        _ => fail(format!("unknown classification {verdict}")),
    });
    Ok((policy, Classified(verdicts.collect::<Outcome<_>>()?)))
}

fn trip(mut policy: BreakerPolicy, given: &Value) -> Outcome<BreakerPolicy> {
    let trip = &given["trip"];
    known(trip, &["consecutive_failures", "failure_count", "failure_rate", "slow_rate"])?;
    if let Some(failures) = trip.get("consecutive_failures") {
        policy = policy.with_consecutive_failures(count(failures)?);
    }
    if let Some(failures) = trip.get("failure_count") {
        policy = policy.with_failure_count(count(failures)?);
    }
    if let Some(rate) = trip.get("failure_rate") {
        policy = policy.with_failure_rate(number(rate)?);
    }
    let limit = given.get("slow_call_ms").map(milliseconds).transpose()?;
    Ok(match (trip.get("slow_rate"), limit) {
        // The type asks for both, so that a limit cannot be missing.
        (Some(rate), limit) => policy.with_slow_calls(limit.unwrap_or_default(), number(rate)?),
        (None, Some(limit)) => policy.with_slow_call(limit),
        (None, None) => policy,
    })
}

fn span(policy: BreakerPolicy, window: &Value) -> Outcome<BreakerPolicy> {
    match window["kind"].as_str() {
        Some("count") => {
            known(window, &["kind", "size"])?;
            Ok(policy.with_count_window(count(&window["size"])?))
        }
        Some("time") => {
            known(window, &["kind", "ms", "slices"])?;
            Ok(policy.with_time_window(milliseconds(&window["ms"])?, count(&window["slices"])?))
        }
        other => fail(format!("unknown window {other:?}")),
    }
}

fn half_open(mut policy: BreakerPolicy, given: &Value) -> Outcome<BreakerPolicy> {
    if let Some(probes) = given.get("probes") {
        policy = policy.with_probes(count(probes)?);
    }
    if let Some(verdict) = given.get("verdict") {
        known(verdict, &["rule", "successes"])?;
        policy = policy.with_probe_rule(match verdict["rule"].as_str() {
            Some("all") => ProbeRule::All,
            Some("rate") => ProbeRule::Rate,
            Some("k_of_n") => ProbeRule::AtLeast(count(&verdict["successes"])?),
            other => return fail(format!("unknown verdict {other:?}")),
        });
    }
    if let Some(lease) = given.get("probe_lease_ms") {
        policy = policy.with_probe_lease(milliseconds(lease)?);
    }
    let then = match given.get("half_open_timeout_to").map(Value::as_str) {
        None | Some(Some("open")) => AfterHalfOpen::Open,
        Some(Some("closed")) => AfterHalfOpen::Closed,
        other => return fail(format!("unknown half_open_timeout_to {other:?}")),
    };
    if let Some(most) = given.get("half_open_max_ms") {
        policy = policy.with_half_open_max(milliseconds(most)?, then);
    }
    Ok(policy)
}

fn number(value: &Value) -> Outcome<f64> {
    value.as_f64().ok_or_else(|| Stop(format!("{value} is no number")))
}
