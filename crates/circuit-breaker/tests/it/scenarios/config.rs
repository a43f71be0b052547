//! From the `config` of a scenario to a policy.

use std::{collections::BTreeMap, time::Duration};

use backstop_circuit_breaker::{AfterHalfOpen, Initial, Policy, ProbeRule, Verdict};
use serde_json::{Value, json};

use super::{Outcome, check_keys, failed, integer, text};

#[derive(Clone)]
pub(crate) struct Config {
    /// As it stands in the file, so that a reconfiguration can replace parts of it.
    pub(crate) source: Value,
    pub(crate) policy: Policy,
    /// What a failure of a kind is to the breaker; the kinds are the scenario's own.
    pub(crate) classify: BTreeMap<String, Verdict>,
}

const KNOWN: &[&str] = &[
    "trip",
    "window",
    "min_calls",
    "slow_call_ms",
    "open_ms",
    "open_factor",
    "open_max_ms",
    "probes",
    "verdict",
    "probe_lease_ms",
    "half_open_max_ms",
    "half_open_timeout_to",
    "classify",
    "initial_state",
    "dry_run",
];

impl Config {
    pub(crate) fn parse(config: &Value) -> Outcome<Self> {
        check_keys(config, KNOWN)?;
        let mut policy = Policy::new(duration(&config["open_ms"])?);
        policy = trip(policy, config)?;
        policy = window(policy, &config["window"])?;
        if let Some(calls) = number(config, "min_calls")? {
            policy = policy.with_min_calls(calls);
        }
        policy = escalation(policy, config)?;
        policy = half_open(policy, config)?;
        policy = policy.with_initial(initial(config["initial_state"].as_str())?);
        policy = policy.with_dry_run(config["dry_run"].as_bool().unwrap_or(false));
        let classify = classify(&config["classify"])?;
        Ok(Self { source: config.clone(), policy, classify })
    }

    /// Its source with the given top-level keys replaced.
    pub(crate) fn merged(&self, changes: &Value) -> Value {
        let mut source = self.source.clone();
        for (key, value) in changes.as_object().into_iter().flatten() {
            source[key] = value.clone();
        }
        source
    }
}

/// The configuration with what no whole number or time can hold replaced, and the names of that.
pub(crate) fn held(config: &Value) -> (Value, Vec<String>) {
    const WHOLE: &[&str] = &[
        "/trip/consecutive_failures",
        "/trip/failure_count",
        "/window/size",
        "/window/ms",
        "/window/slices",
        "/min_calls",
        "/slow_call_ms",
        "/open_ms",
        "/open_max_ms",
        "/probes",
        "/verdict/successes",
        "/probe_lease_ms",
        "/half_open_max_ms",
    ];
    let mut config = config.clone();
    let mut unheld = Vec::new();
    for path in WHOLE {
        let is_needed = match *path {
            "/open_ms" => true,
            "/window/size" => config["window"]["kind"] == "count",
            "/window/ms" => config["window"]["kind"] == "time",
            _ => false,
        };
        let value = config.pointer(path).unwrap_or(&Value::Null);
        if !value.is_u64() && (is_needed || !value.is_null()) {
            unheld.push(path[1..].replace('/', "."));
            match path[1..].split_once('/') {
                Some((object, key)) => config[object][key] = json!(1),
                None => config[&path[1..]] = json!(1),
            }
        }
    }
    (config, unheld)
}

/// The format's name of a setting.
pub(crate) fn format_key(setting: &str) -> &str {
    match setting {
        "window.time" => "window.ms",
        "slow_call" => "slow_call_ms",
        "open_time_max" => "open_max_ms",
        "probe_lease" => "probe_lease_ms",
        "half_open_max" => "half_open_max_ms",
        "max_keys" => "registry.max_keys",
        other => other,
    }
}

fn trip(mut policy: Policy, config: &Value) -> Outcome<Policy> {
    let trip = &config["trip"];
    check_keys(trip, &["consecutive_failures", "failure_count", "failure_rate", "slow_rate"])?;
    if let Some(failures) = number(trip, "consecutive_failures")? {
        policy = policy.with_consecutive_failures(failures);
    }
    if let Some(failures) = number(trip, "failure_count")? {
        policy = policy.with_failure_count(failures);
    }
    if let Some(rate) = rate(&trip["failure_rate"])? {
        policy = policy.with_failure_rate(rate);
    }
    let limit = &config["slow_call_ms"];
    match (rate(&trip["slow_rate"])?, limit.is_null()) {
        (Some(rate), false) => policy = policy.with_slow_calls(duration(limit)?, rate),
        (None, false) => policy = policy.with_slow_call(duration(limit)?),
        // The type asks for both, so that a limit cannot be missing.
        (Some(rate), true) => policy = policy.with_slow_calls(Duration::ZERO, rate),
        (None, true) => {}
    }
    Ok(policy)
}

fn window(policy: Policy, window: &Value) -> Outcome<Policy> {
    if window.is_null() {
        return Ok(policy);
    }
    check_keys(window, &["kind", "size", "ms", "slices"])?;
    match text(window, "kind")? {
        "count" => Ok(match number(window, "size")? {
            Some(size) => policy.with_count_window(size),
            None => policy,
        }),
        "time" => {
            let slices = number(window, "slices")?.unwrap_or(0);
            Ok(policy.with_time_window(duration(&window["ms"])?, slices))
        }
        other => failed(format!("unknown window {other:?}")),
    }
}

fn half_open(mut policy: Policy, config: &Value) -> Outcome<Policy> {
    if let Some(probes) = number(config, "probes")? {
        policy = policy.with_probes(probes);
    }
    policy = policy.with_probe_rule(probe_rule(&config["verdict"])?);
    if !config["probe_lease_ms"].is_null() {
        policy = policy.with_probe_lease(duration(&config["probe_lease_ms"])?);
    }
    let then = match config["half_open_timeout_to"].as_str() {
        None | Some("open") => AfterHalfOpen::Open,
        Some("closed") => AfterHalfOpen::Closed,
        Some(other) => return failed(format!("unknown half_open_timeout_to {other:?}")),
    };
    if !config["half_open_max_ms"].is_null() {
        policy = policy.with_half_open_max(duration(&config["half_open_max_ms"])?, then);
    }
    Ok(policy)
}

fn probe_rule(verdict: &Value) -> Outcome<ProbeRule> {
    if verdict.is_null() {
        return Ok(ProbeRule::All);
    }
    check_keys(verdict, &["rule", "successes"])?;
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
    let limit = if limit.is_null() { Duration::MAX } else { duration(limit)? };
    Ok(policy.with_escalation(factor.unwrap_or(1.0), limit))
}

fn initial(state: Option<&str>) -> Outcome<Initial> {
    match state {
        None | Some("closed") => Ok(Initial::Closed),
        Some("open") => Ok(Initial::Open),
        Some("forced_open") => Ok(Initial::ForcedOpen),
        Some("disabled") => Ok(Initial::Disabled),
        Some("metrics_only") => Ok(Initial::MetricsOnly),
        Some(other) => failed(format!("unknown initial_state {other:?}")),
    }
}

fn classify(kinds: &Value) -> Outcome<BTreeMap<String, Verdict>> {
    let kinds = kinds.as_object().into_iter().flatten();
    kinds
        .map(|(kind, verdict)| match verdict.as_str() {
            Some("failure") => Ok((kind.clone(), Verdict::Failure)),
            Some("ignored") => Ok((kind.clone(), Verdict::Ignored)),
            Some("success") => Ok((kind.clone(), Verdict::Success)),
            _ => failed(format!("unknown classification {verdict}")),
        })
        .collect()
}

fn duration(ms: &Value) -> Outcome<Duration> {
    Ok(Duration::from_millis(integer(ms)?))
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
