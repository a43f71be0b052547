//! The script of a run: what each attempt comes to.

use std::time::Duration;

use backstop_clock::Sleep as _;
use backstop_error_taxonomy::{Class, Effect, Kind};
use backstop_retry_backoff::{Attempt, Guard, Outcome as Answer, Policy};
use serde_json::Value;

use super::{AtEnd, Event, Failure, Trace};
use crate::budgets;
use crate::scenarios::{Outcome, fail, list, only, policy_of, whole};
use crate::sim::Sim;

/// One entry of `attempts`.
#[derive(Clone)]
struct Entry {
    duration: Duration,
    answer: Answer<String, Failure>,
    /// Whether it would send something else than the entry before.
    is_changed: bool,
}

impl Entry {
    fn of(given: &Value, unwanted: &[Value]) -> Outcome<Self> {
        let keys =
            ["outcome", "value", "duration_ms", "retry_after_ms", "changed_payload", "class"];
        only(given, &keys)?;
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
        let class = match given.get("class").map(|name| name.as_str()) {
            None => class,
            Some(name) => {
                let kind = budgets::kind_of(name.unwrap_or_default())?;
                class.map(|class| costing(class, kind))
            }
        };
        let hint = given.get("retry_after_ms");
        let is_pushback = hint.and_then(Value::as_i64).is_some_and(i64::is_negative);
        let hint =
            hint.filter(|_| !is_pushback).map(|ms| whole("retry_after_ms", ms)).transpose()?;
        let class = class.map(|class| match hint {
            Some(hint) => class.with_retry_after(Duration::from_millis(hint)),
            None => class,
        });
        let value = &given["value"];
        let answer = match class {
            None if outcome == "value" && unwanted.contains(value) => match hint {
                _ if is_pushback => Answer::AgainNever(value.to_string()),
                Some(hint) => Answer::AgainAfter(value.to_string(), Duration::from_millis(hint)),
                None => Answer::Again(value.to_string()),
            },
            None => Answer::Success(value.to_string()),
            Some(class) => {
                let failure = Failure { outcome: outcome.to_owned(), class };
                if is_pushback { Answer::Pushback(failure) } else { Answer::Failure(failure) }
            }
        };
        let duration = given.get("duration_ms").map_or(Ok(0), |ms| whole("duration_ms", ms))?;
        let is_changed = match given.get("changed_payload").map(Value::as_bool) {
            None => false,
            Some(Some(is_changed)) => is_changed,
            Some(None) => return fail("changed_payload is no truth value"),
        };
        Ok(Self { duration: Duration::from_millis(duration), answer, is_changed })
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.answer {
            Answer::Failure(failure) | Answer::Pushback(failure) => Some(failure),
            Answer::Success(_)
            | Answer::Again(_)
            | Answer::AgainAfter(..)
            | Answer::AgainNever(_)
            | Answer::Pending(_) => None,
        }
    }

    fn is_sent(&self) -> bool {
        let unsent = ["not_sent", "breaker_rejected"];
        self.failure().is_none_or(|failure| !unsent.contains(&failure.outcome.as_str()))
    }

    fn is_run(&self) -> bool {
        self.failure().is_none_or(|failure| failure.outcome != "breaker_rejected")
    }
}

/// The same failure, at the cost of another kind.
fn costing(class: Class, kind: Kind) -> Class {
    let costly = Class::of(kind).with_effect(class.effect()).with_transience(class.transience());
    if class.is_breaker_refusal() { costly.refused_by_breaker() } else { costly }
}

pub(super) struct Script<'c> {
    case: &'c Value,
    /// Made once for the whole run, as a caller would.
    key: u64,
    entries: Vec<Entry>,
}

impl<'c> Script<'c> {
    pub(super) fn of(case: &'c Value) -> Outcome<Self> {
        let unwanted = case["config"].get("retry_on_values").map(list).transpose()?;
        let entry = |given| Entry::of(given, unwanted.unwrap_or_default());
        let entries = list(&case["attempts"])?.iter().map(entry).collect::<Outcome<Vec<_>>>()?;
        if entries.is_empty() {
            return fail("no attempts");
        }
        Ok(Self { case, key: 42, entries })
    }

    /// What the attempt that comes after `before` others sends.
    pub(super) fn payload(&self, before: usize) -> usize {
        (0..=before).filter(|index| self.entry(*index).is_changed).count()
    }

    /// The entry of the attempt that comes after `before` others; the last one repeats.
    fn entry(&self, before: usize) -> &Entry {
        &self.entries[before.min(self.entries.len() - 1)]
    }

    pub(super) fn policy(&self) -> Outcome<Policy> {
        policy_of(&self.case["config"])
    }

    pub(super) fn guard(&self) -> Outcome<Guard<u64>> {
        match self.case["config"].get("mode").and_then(Value::as_str) {
            None | Some("idempotent") => Ok(Guard::Idempotent(self.key)),
            Some("once") => Ok(Guard::Once(self.key)),
            Some(other) => fail(format!("unknown mode `{other}`")),
        }
    }

    pub(super) async fn attempt(
        &self,
        sim: &Sim,
        trace: &Trace,
        attempt: Attempt<u64>,
    ) -> Answer<String, Failure> {
        let entry = self.entry(trace.starts_ms().len());
        trace.push(Event::Start(sim.ms()));
        let _ending = AtEnd(trace, sim);
        if entry.is_run() {
            trace.numbers.borrow_mut().push(attempt.number);
            trace.keys.borrow_mut().push(attempt.key);
        }
        if entry.is_sent() {
            trace.open.set(true);
        }
        if !entry.duration.is_zero() {
            sim.sleep(entry.duration).await;
        }
        if entry.is_sent() {
            let failure = entry.failure();
            trace.open.set(failure.is_some_and(|it| it.class.effect() == Effect::Unknown));
        }
        entry.answer.clone()
    }
}
