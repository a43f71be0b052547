//! A policy as data.

use std::time::Duration;

use backstop_error_taxonomy::Kind;
use serde::{Deserialize, Serialize};

use super::{
    Escalation, HalfOpenMax, Initial, Jitter, MIN_CALLS_DEFAULT, PROBES_DEFAULT, Policy, ProbeRule,
    Span, TimeSpan, Verdict,
};

const fn min_calls_default() -> u32 {
    MIN_CALLS_DEFAULT
}

const fn probes_default() -> u32 {
    PROBES_DEFAULT
}

crate::old_names::check_old_names!(
    Policy as PolicyForm,
    TimeSpan as Self,
    HalfOpenMax as Self,
    Escalation as Self
);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Policy", deny_unknown_fields)]
struct PolicyForm {
    consecutive_failures: Option<u32>,
    failure_count: Option<u32>,
    failure_rate: Option<f64>,
    slow_rate: Option<f64>,
    #[serde(rename = "slow_call_ms", alias = "slow_call", default)]
    #[serde(with = "crate::plain::optional_millis")]
    slow_call: Option<Duration>,
    window: Option<Span>,
    #[serde(default = "min_calls_default")]
    min_calls: u32,
    #[serde(rename = "open_time_ms", alias = "open_time")]
    #[serde(with = "crate::plain::millis")]
    open_time: Duration,
    escalation: Option<Escalation>,
    open_jitter: Option<Jitter>,
    #[serde(default = "probes_default")]
    probes: u32,
    #[serde(default)]
    probe_rule: ProbeRule,
    #[serde(rename = "probe_lease_ms", alias = "probe_lease", default)]
    #[serde(with = "crate::plain::optional_millis")]
    probe_lease: Option<Duration>,
    half_open_max: Option<HalfOpenMax>,
    #[serde(default, with = "crate::kinds")]
    verdicts: Vec<(Kind, Verdict)>,
    #[serde(default)]
    initial: Initial,
    #[serde(default)]
    dry_run: bool,
}
