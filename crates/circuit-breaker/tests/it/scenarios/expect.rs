//! From what happened in a step to what was expected of it.

#![expect(clippy::float_arithmetic, reason = "rates are compared with a tolerance")]

use std::{collections::BTreeMap, time::Instant};

use backstop_circuit_breaker::{Breaker, Counts, Event, Rejection, Totals};
use serde_json::{Value, json};

use super::{Outcome, check_keys, failed, target::Target};

const KNOWN: &[&str] = &[
    "admitted",
    "reason",
    "retry_after_ms",
    "state",
    "states",
    "counts",
    "totals",
    "events",
    "threshold_events",
    "events_total",
    "open_attempt",
    "propagated",
    "admitted_total",
    "rejected_total",
    "rejected_by",
    "error",
    "would_reject",
    "live_keys_max",
];
const COUNTS: &[&str] =
    &["total", "success", "failure", "slow", "failure_rate", "slow_rate", "consecutive_failures"];

/// What a step came to.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) admitted: u64,
    pub(crate) rejected: u64,
    pub(crate) rejection: Option<(String, Rejection)>,
    pub(crate) propagated: bool,
    /// The last call passed although it would have been rejected.
    pub(crate) is_exempt: bool,
    /// What was refused, by its names in the format.
    pub(crate) errors: Vec<String>,
    pub(crate) live_keys_max: usize,
    pub(crate) events: Vec<Event>,
}

impl Seen {
    pub(crate) fn reject(&mut self, by: String, rejection: Rejection) {
        self.rejected += 1;
        self.rejection = Some((by, rejection));
    }
}

pub(crate) fn check_expect_keys(expect: &Value) -> Outcome {
    if expect.is_null() {
        return Ok(());
    }
    check_keys(expect, KNOWN)?;
    for (key, known) in [("counts", COUNTS), ("totals", &["rejected", "would_reject"])] {
        if !expect[key].is_null() {
            check_keys(&expect[key], known)?;
        }
    }
    Ok(())
}

pub(crate) fn check(
    step: &Value,
    seen: &Seen,
    target: &Target,
    events_total: &BTreeMap<String, u64>,
    now: Instant,
) -> Outcome {
    // A key without a breaker is like one whose breaker was just made.
    let breaker = target.look(step["key"].as_str()).unwrap_or_else(|| target.fresh());
    for (key, want) in step["expect"].as_object().into_iter().flatten() {
        let got = match key.as_str() {
            "admitted" => json!(seen.rejected == 0),
            "reason" => json!(seen.rejection.as_ref().map(|(_, at)| at.reason.to_string())),
            "retry_after_ms" => json!(seen.rejection.as_ref().and_then(|(_, at)| millis(at))),
            "rejected_by" => json!(seen.rejection.as_ref().map(|(name, _)| name)),
            "states" => states(target, want),
            "events" => json!(seen.events.iter().filter_map(transition).collect::<Vec<_>>()),
            "threshold_events" => json!(thresholds(&seen.events)),
            "events_total" => totals(events_total, want),
            "propagated" => json!(seen.propagated),
            "admitted_total" => json!(seen.admitted),
            "rejected_total" => json!(seen.rejected),
            "would_reject" => json!(seen.is_exempt),
            "live_keys_max" => json!(seen.live_keys_max),
            "error" => match want.as_str() {
                Some(name) if seen.errors.iter().any(|error| error == name) => json!(name),
                _ => json!(seen.errors.first()),
            },
            "state" => json!(breaker.state().to_string()),
            "counts" => counts(breaker.counts(|| now), want),
            "totals" => totals_of(breaker.totals(), want),
            "open_attempt" => json!(breaker.open_attempt()),
            other => return failed(format!("unknown expectation {other:?}")),
        };
        let tolerance = if key == "retry_after_ms" { 1.0 } else { 1e-9 };
        if !equal(&sorted(key, want), &got, tolerance) {
            return failed(format!("expected {key} {want}, got {got}"));
        }
    }
    Ok(())
}

/// Counts the events of a step by name.
pub(crate) fn add_up(events: &[Event], totals: &mut BTreeMap<String, u64>) {
    let names = events.iter().filter_map(transition).chain(thresholds(events));
    for name in names {
        *totals.entry(name).or_default() += 1;
    }
}

pub(crate) fn transition(event: &Event) -> Option<String> {
    match event {
        Event::Transition { from, to, .. } => Some(format!("{from}->{to}")),
        _ => None,
    }
}

pub(crate) fn thresholds(events: &[Event]) -> Vec<String> {
    let mut names: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Threshold { rule, .. } => Some(rule.to_string()),
            _ => None,
        })
        .collect();
    names.sort();
    names
}

/// Threshold events may be listed in any order.
fn sorted(key: &str, want: &Value) -> Value {
    let mut want = want.clone();
    if let (true, Some(names)) = (key == "threshold_events", want.as_array_mut()) {
        names.sort_by_key(ToString::to_string);
    }
    want
}

fn millis(rejection: &Rejection) -> Option<u64> {
    rejection.retry_after.and_then(|left| u64::try_from(left.as_millis()).ok())
}

/// Only what is asked for, so that both sides have the same keys.
fn only(all: &Value, want: &Value) -> Value {
    let keys = want.as_object().into_iter().flatten();
    keys.map(|(key, _)| (key.clone(), all[key].clone())).collect()
}

fn states(target: &Target, want: &Value) -> Value {
    let Target::Nested(breakers, _) = target else { return Value::Null };
    let state = |breaker: &Breaker| json!(breaker.state().to_string());
    let all: Value = breakers.iter().map(|(name, at, _)| (name.clone(), state(at))).collect();
    only(&all, want)
}

fn totals_of(totals: Totals, want: &Value) -> Value {
    let all = json!({ "rejected": totals.rejected, "would_reject": totals.would_reject });
    only(&all, want)
}

fn counts(counts: Counts, want: &Value) -> Value {
    let all = json!({
        "total": counts.total(),
        "success": counts.success,
        "failure": counts.failure,
        "slow": counts.slow,
        "failure_rate": counts.failure_rate(),
        "slow_rate": counts.slow_rate(),
        "consecutive_failures": counts.consecutive_failures,
    });
    only(&all, want)
}

fn totals(totals: &BTreeMap<String, u64>, want: &Value) -> Value {
    let keys = want.as_object().into_iter().flatten();
    keys.map(|(key, _)| (key.clone(), json!(totals.get(key).copied().unwrap_or(0)))).collect()
}

/// A number may be a band `[min, max]`.
fn equal(want: &Value, got: &Value, tolerance: f64) -> bool {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len()
                && want.iter().all(|(key, want)| equal(want, &got[key], tolerance))
        }
        (Value::Array(band), Value::Number(_)) if band.len() == 2 => {
            let (Some(min), Some(max), Some(got)) =
                (band[0].as_f64(), band[1].as_f64(), got.as_f64())
            else {
                return false;
            };
            (min - tolerance..=max + tolerance).contains(&got)
        }
        (Value::Number(want), Value::Number(got)) => {
            match (want.as_u64(), got.as_u64(), want.as_f64(), got.as_f64()) {
                (Some(want), Some(got), ..) if tolerance < 1.0 => want == got,
                (_, _, Some(want), Some(got)) => (want - got).abs() <= tolerance,
                _ => false,
            }
        }
        _ => want == got,
    }
}
