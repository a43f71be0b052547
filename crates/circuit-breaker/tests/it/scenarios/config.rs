//! From the `config` of a scenario to a policy.

use std::{collections::BTreeMap, time::Duration};

use backstop_circuit_breaker::{Policy, ProbeRule, State};
use serde_json::Value;

use super::{Outcome, Stop, check_keys, failed, integer, text};

pub(crate) struct Config {
    pub(crate) policy: Policy,
    /// The state before anybody listens.
    pub(crate) start: State,
    pub(crate) classify: BTreeMap<String, Judged>,
}

/// What a failure of some kind is to the breaker.
#[derive(Clone, Copy)]
pub(crate) enum Judged {
    Success,
    Failure,
    Ignored,
}

const KNOWN: &[&str] = &[
    "trip",
    "window",
    "min_calls",
    "open_ms",
    "open_factor",
    "open_max_ms",
    "probes",
    "verdict",
    "classify",
    "initial_state",
];
const PENDING: &[&str] =
    &["slow_call_ms", "probe_lease_ms", "half_open_max_ms", "half_open_timeout_to", "dry_run"];

impl Config {
    pub(crate) fn parse(config: &Value) -> Outcome<Self> {
        check_keys(config, KNOWN, PENDING)?;
        let start = match config["initial_state"].as_str() {
            None | Some("closed") => State::Closed,
            Some("forced_open") => State::ForcedOpen,
            Some("disabled") => State::Disabled,
            Some("metrics_only") => State::MetricsOnly,
            Some("open") => return Err(Stop::Pending),
            Some(other) => return failed(format!("unknown initial_state {other:?}")),
        };
        let mut policy = Policy::new(Duration::from_millis(integer(&config["open_ms"])?));
        policy = trip(policy, &config["trip"])?;
        policy = window(policy, &config["window"])?;
        if let Some(calls) = number(config, "min_calls")? {
            policy = policy.with_min_calls(calls);
        }
        if let Some(probes) = number(config, "probes")? {
            policy = policy.with_probes(probes);
        }
        policy = policy.with_probe_rule(probe_rule(&config["verdict"])?);
        policy = escalation(policy, config)?;
        Ok(Self { policy, start, classify: classify(&config["classify"])? })
    }
}

fn trip(mut policy: Policy, trip: &Value) -> Outcome<Policy> {
    check_keys(trip, &["consecutive_failures", "failure_count", "failure_rate"], &["slow_rate"])?;
    if let Some(failures) = number(trip, "consecutive_failures")? {
        policy = policy.with_consecutive_failures(failures);
    }
    if let Some(failures) = number(trip, "failure_count")? {
        policy = policy.with_failure_count(failures);
    }
    if let Some(rate) = rate(&trip["failure_rate"])? {
        policy = policy.with_failure_rate(rate);
    }
    Ok(policy)
}

fn window(policy: Policy, window: &Value) -> Outcome<Policy> {
    if window.is_null() {
        return Ok(policy);
    }
    check_keys(window, &["kind", "size", "ms", "slices"], &[])?;
    match text(window, "kind")? {
        "count" => Ok(match number(window, "size")? {
            Some(size) => policy.with_count_window(size),
            None => policy,
        }),
        "time" => Err(Stop::Pending),
        other => failed(format!("unknown window {other:?}")),
    }
}

fn probe_rule(verdict: &Value) -> Outcome<ProbeRule> {
    if verdict.is_null() {
        return Ok(ProbeRule::All);
    }
    check_keys(verdict, &["rule", "successes"], &[])?;
    match text(verdict, "rule")? {
        "all" => Ok(ProbeRule::All),
        "rate" => Ok(ProbeRule::Rate),
        "k_of_n" => Ok(ProbeRule::AtLeast(number(verdict, "successes")?.unwrap_or(0))),
        other => failed(format!("unknown verdict {other:?}")),
    }
}

fn escalation(policy: Policy, config: &Value) -> Outcome<Policy> {
    let (factor, limit) = (rate(&config["open_factor"])?, &config["open_max_ms"]);
    if factor.is_none() && limit.is_null() {
        return Ok(policy);
    }
    let limit =
        if limit.is_null() { Duration::MAX } else { Duration::from_millis(integer(limit)?) };
    Ok(policy.with_escalation(factor.unwrap_or(1.0), limit))
}

fn classify(kinds: &Value) -> Outcome<BTreeMap<String, Judged>> {
    let kinds = kinds.as_object().into_iter().flatten();
    kinds
        .map(|(kind, judged)| match judged.as_str() {
            Some("failure") => Ok((kind.clone(), Judged::Failure)),
            Some("ignored") => Ok((kind.clone(), Judged::Ignored)),
            Some("success") => Ok((kind.clone(), Judged::Success)),
            _ => failed(format!("unknown classification {judged}")),
        })
        .collect()
}

/// A number that a setting can hold; what is too large stays too large.
fn number(object: &Value, key: &str) -> Outcome<Option<u32>> {
    match &object[key] {
        Value::Null => Ok(None),
        value => Ok(Some(u32::try_from(integer(value)?).unwrap_or(u32::MAX))),
    }
}

fn rate(value: &Value) -> Outcome<Option<f64>> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) => match text.as_str() {
            "NaN" => Ok(Some(f64::NAN)),
            "inf" => Ok(Some(f64::INFINITY)),
            "-inf" => Ok(Some(f64::NEG_INFINITY)),
            other => failed(format!("not a number: {other:?}")),
        },
        other => failed(format!("not a number: {other}")),
    }
}
