//! The script: what each call comes to.

use std::{cell::Cell, time::Duration};

use backstop_error_taxonomy::{Class, Effect, Kind};
use backstop_retry_backoff::Outcome as Answer;
use serde_json::Value;

use super::{
    Failure, Outcome,
    config::{kind_of, milliseconds},
    fail, known, list,
};

/// The entries in their order; the last one repeats.
pub(super) struct Script {
    entries: Vec<Entry>,
    position: Cell<usize>,
}

/// One entry of `attempts`.
pub(super) struct Entry {
    pub(super) outcome: String,
    pub(super) duration: Duration,
    pub(super) answer: Answer<String, Failure>,
    /// Whether it would send something else than the entry before.
    is_changed: bool,
}

impl Script {
    pub(super) fn of(attempts: &Value, unwanted: &[Value]) -> Outcome<Self> {
        let entries = list(attempts)?.iter().map(|given| Entry::of(given, unwanted));
        let entries = entries.collect::<Outcome<Vec<_>>>()?;
        if entries.is_empty() {
            return fail("no attempts");
        }
        Ok(Self { entries, position: Cell::default() })
    }

    /// What the next call would send.
    pub(super) fn payload(&self) -> usize {
        (0..=self.position.get()).filter(|at| self.at(*at).is_changed).count()
    }

    pub(super) fn next(&self) -> &Entry {
        self.at(self.position.replace(self.position.get() + 1))
    }

    fn at(&self, position: usize) -> &Entry {
        &self.entries[position.min(self.entries.len() - 1)]
    }
}

impl Entry {
    fn of(given: &Value, unwanted: &[Value]) -> Outcome<Self> {
        let keys = ["outcome", "value", "duration_ms", "retry_after_ms", "changed_payload"];
        known(given, &[&keys[..], &["class"]].concat())?;
        let outcome = given["outcome"].as_str().unwrap_or_default();
        let class = match outcome {
            "success" | "value" => None,
            "transient" => Some(Class::of(Kind::Unavailable).with_effect(Effect::NotApplied)),
            "throttled" => Some(Class::of(Kind::RateLimited)),
            "not_sent" => Some(Class::of(Kind::Connection).with_effect(Effect::NotApplied)),
            "permanent" => Some(Class::of(Kind::Rejected)),
            "unknown" => Some(Class::of(Kind::Connection)),
            "breaker_rejected" => Some(Class::of(Kind::Unavailable).refused_by_breaker()),
            other => return fail(format!("unknown outcome `{other}`")),
        };
        let class = class.map(|class| costing(class, given)).transpose()?;
        let hint = given.get("retry_after_ms");
        let is_pushback = hint.and_then(Value::as_i64).is_some_and(i64::is_negative);
        let hint = hint.filter(|_| !is_pushback).map(milliseconds).transpose()?;
        let class = class.map(|class| hint.map_or(class, |hint| class.with_retry_after(hint)));
        let answer = match (class, outcome) {
            (Some(class), _) => {
                let failure = Failure { outcome: outcome.to_owned(), class };
                if is_pushback { Answer::Pushback(failure) } else { Answer::Failure(failure) }
            }
            (None, "value") => {
                let value = given["value"].to_string();
                match (unwanted.contains(&given["value"]), hint) {
                    (true, _) if is_pushback => Answer::AgainNever(value),
                    (true, Some(hint)) => Answer::AgainAfter(value, hint),
                    (true, None) => Answer::Again(value),
                    (false, _) => Answer::Success(value),
                }
            }
            (None, _) => Answer::Success(String::new()),
        };
        let is_changed = match given.get("changed_payload").map(Value::as_bool) {
            None => false,
            Some(Some(is_changed)) => is_changed,
            Some(None) => return fail("changed_payload is no truth value"),
        };
        let duration = given.get("duration_ms").map_or(Ok(Duration::ZERO), milliseconds)?;
        Ok(Self { outcome: outcome.to_owned(), duration, answer, is_changed })
    }

    /// Whether the request left.
    pub(super) fn is_sent(&self) -> bool {
        !["not_sent", "breaker_rejected"].contains(&self.outcome.as_str())
    }

    /// Whether the operation is run at all.
    pub(super) fn is_run(&self) -> bool {
        self.outcome != "breaker_rejected"
    }
}

/// The class with the kind that has the named class of cost.
fn costing(class: Class, given: &Value) -> Outcome<Class> {
    let Some(name) = given.get("class") else { return Ok(class) };
    let costly = Class::of(kind_of(name.as_str().unwrap_or_default())?);
    let costly = costly.with_effect(class.effect()).with_transience(class.transience());
    Ok(if class.is_breaker_refusal() { costly.refused_by_breaker() } else { costly })
}
