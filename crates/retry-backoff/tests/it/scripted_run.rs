//! Plays the scripted runs of the scenarios on simulated time.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use backstop_clock::{Clock as _, Sleep as _};
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_retry_backoff::budget::Budget;
use backstop_retry_backoff::{
    Attempt, Elapsed, Ending, Finished, Guard, Handle, Outcome as Answer, Policy, Resolution,
    Retry, StopReason, StopToken, Stopped, sending,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::budgets;
use crate::scenarios::{Draws, Outcome, Stop, fail, list, only, policy_of, whole, within};
use crate::sim::{Outside, Sim};

/// The error of a scripted attempt: its outcome by name.
#[derive(Clone, Debug)]
struct Failure {
    outcome: String,
    class: Class,
}

impl Classify for Failure {
    fn class(&self) -> Class {
        self.class
    }
}

impl From<Elapsed> for Failure {
    fn from(elapsed: Elapsed) -> Self {
        Self { outcome: "timeout".into(), class: elapsed.class() }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Start(u64),
    End(u64),
    Ask(u64),
}

/// What the operation and the resolver did.
#[derive(Default)]
struct Trace {
    events: RefCell<Vec<Event>>,
    numbers: RefCell<Vec<u32>>,
    /// The idempotency key that each run sent.
    keys: RefCell<Vec<u64>>,
    /// Whether the attempt that was sent last has an unknown outcome.
    open: Cell<bool>,
    asked: Cell<usize>,
}

impl Trace {
    fn push(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// The waits: from the end of an attempt to what came next.
    fn sleeps_ms(&self) -> Vec<u64> {
        let events = self.events.borrow();
        events.windows(2).filter_map(|pair| wait(pair[0], pair[1])).collect()
    }

    fn starts_ms(&self) -> Vec<u64> {
        let start = |event: &Event| if let Event::Start(at) = event { Some(*at) } else { None };
        self.events.borrow().iter().filter_map(start).collect()
    }
}

fn wait(before: Event, after: Event) -> Option<u64> {
    match (before, after) {
        (Event::End(from), Event::Start(to) | Event::Ask(to)) => Some(to - from),
        _ => None,
    }
}

/// Notes the end of an attempt, also of one that is cut.
struct AtEnd<'t>(&'t Trace, &'t Sim);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.push(Event::End(self.1.ms()));
    }
}

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
                class.map(|class| {
                    let costly = Class::of(kind).with_effect(class.effect());
                    costly.with_transience(class.transience())
                })
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
        if class.is_none() && is_pushback {
            return fail("a value that asks not to come back");
        }
        let answer = match (class, given["value"].as_str()) {
            (None, None) => Answer::Success(String::new()),
            (None, Some(value)) if unwanted.contains(&given["value"]) => match hint {
                Some(hint) => Answer::AgainAfter(value.to_owned(), Duration::from_millis(hint)),
                None => Answer::Again(value.to_owned()),
            },
            (None, Some(value)) => Answer::Success(value.to_owned()),
            (Some(class), _) => {
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
            Answer::Success(_) | Answer::Again(_) | Answer::AgainAfter(..) => None,
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

struct Script<'c> {
    case: &'c Value,
    /// Made once for the whole run, as a caller would.
    key: u64,
    entries: Vec<Entry>,
}

impl<'c> Script<'c> {
    fn of(case: &'c Value) -> Outcome<Self> {
        let unwanted = case["config"].get("retry_on_values").map(list).transpose()?;
        let entry = |given| Entry::of(given, unwanted.unwrap_or_default());
        let entries = list(&case["attempts"])?.iter().map(entry).collect::<Outcome<Vec<_>>>()?;
        if entries.is_empty() {
            return fail("no attempts");
        }
        Ok(Self { case, key: 42, entries })
    }

    /// What the attempt that comes after `before` others sends.
    fn payload(&self, before: usize) -> usize {
        (0..=before).filter(|index| self.entry(*index).is_changed).count()
    }

    /// The entry of the attempt that comes after `before` others; the last one repeats.
    fn entry(&self, before: usize) -> &Entry {
        &self.entries[before.min(self.entries.len() - 1)]
    }

    fn policy(&self) -> Outcome<Policy> {
        policy_of(&self.case["config"])?.map_err(|key| Stop::Failed(format!("bad {key}")))
    }

    fn guard(&self) -> Outcome<Guard<u64>> {
        match self.case["config"].get("mode").and_then(Value::as_str) {
            None | Some("idempotent") => Ok(Guard::Idempotent(self.key)),
            Some("once") => Ok(Guard::Once(self.key)),
            Some(other) => fail(format!("unknown mode `{other}`")),
        }
    }

    async fn attempt(
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

pub(crate) fn run(case: &Value) -> Outcome<()> {
    let script = Script::of(case)?;
    let (sim, trace) = (Sim::new(), Trace::default());
    let wrong = |error: &dyn std::error::Error| Stop::Failed(error.to_string());
    let mut retry = Retry::new(script.policy()?).map_err(|error| wrong(&error))?;
    let budget = case["config"].get("budget").map(budgets::rule_of).transpose()?;
    let budget = budget.map(|rule| Budget::new(rule, sim.instant()).map(Arc::new));
    let budget = budget.transpose().map_err(|error| wrong(&error))?;
    if let Some(budget) = &budget {
        retry = retry.with_budget(Arc::clone(budget));
    }
    let answers = case["config"].get("resolver").map(list).transpose()?;
    for answer in answers.unwrap_or_default() {
        let known = ["found", "not_found", "fails"];
        if !answer.as_str().is_some_and(|answer| known.contains(&answer)) {
            return fail(format!("unknown answer {answer}"));
        }
    }
    let (token, handle) = (StopToken::default(), Handle::new());
    let news = news(case, &token, &handle)?;
    let prepare = |_| script.payload(trace.starts_ms().len());
    let send = |attempt, _payload| script.attempt(&sim, &trace, attempt);
    let draws = &case["config"]["draws"];
    let mut given = Draws::of(draws);
    let mut seeded = StdRng::seed_from_u64(7);
    let rng: &mut dyn rand::Rng = if draws.is_array() { &mut given } else { &mut seeded };
    let call = retry.guarded(script.guard()?).until(&token).resolved_by(&handle);
    let result = match answers {
        None => sim.block_on_with(call.run(&sim, rng, sending(prepare, send)), None, news),
        Some(answers) => {
            let look_up = async || {
                trace.push(Event::Ask(sim.ms()));
                let index = trace.asked.replace(trace.asked.get() + 1);
                let answer = answers.get(index).or(answers.last());
                match answer.and_then(Value::as_str) {
                    Some("found") => Resolution::Found(String::new()),
                    Some("not_found") => {
                        trace.open.set(false);
                        Resolution::NotFound
                    }
                    _ => Resolution::Unknown,
                }
            };
            let call = call.asking(look_up);
            sim.block_on_with(call.run(&sim, rng, sending(prepare, send)), None, news)
        }
    };
    let tokens = budget.and_then(|budget| budget.tokens());
    check(&case["expect"], &sim, &trace, result.as_ref(), tokens)
}

/// What happens from outside.
fn news<'n>(
    case: &Value,
    token: &'n StopToken,
    handle: &'n Handle<String>,
) -> Outcome<Vec<Outside<'n>>> {
    let mut news: Vec<Outside<'n>> = Vec::new();
    for event in case.get("external").map(list).transpose()?.unwrap_or_default() {
        only(event, &["at_ms", "do"])?;
        let at = Duration::from_millis(whole("at_ms", &event["at_ms"])?);
        match event["do"].as_str() {
            Some("cancel") => news.push((at, Box::new(|| token.stop()))),
            Some("resolve") => news.push((
                at,
                Box::new(|| {
                    // The call may be over; the news are late then, and that is all.
                    let _late = handle.resolve(String::new());
                }),
            )),
            other => return fail(format!("unknown external event {other:?}")),
        }
    }
    Ok(news)
}

type Ended = Result<Finished<String>, Stopped<Failure>>;

/// The `result` and the `stop` of the format.
fn names(trace: &Trace, ended: &Ended) -> Outcome<(&'static str, &'static str)> {
    Ok(match ended {
        Ok(Finished { ending: Ending::Resolved, .. }) => ("resolved", "resolved"),
        Ok(Finished { ending: Ending::Unwanted(StopReason::Cancelled), .. }) => {
            ("cancelled", "cancelled")
        }
        Ok(Finished { ending: Ending::Unwanted(reason), .. }) => ("value", stop_name(*reason)),
        Ok(_) => ("ok", "success"),
        Err(stopped) => {
            if trace.open.get() && stopped.class().effect() != Effect::Unknown {
                return fail(format!("an open outcome is reported as {:?}", stopped.class()));
            }
            let result = match stopped.reason {
                StopReason::Cancelled => "cancelled",
                _ if trace.open.get() => "unknown",
                _ => "failed",
            };
            (result, stop_name(stopped.reason))
        }
    })
}

fn check(
    expect: &Value,
    sim: &Sim,
    trace: &Trace,
    ended: Option<&Ended>,
    tokens: Option<f64>,
) -> Outcome<()> {
    let ended = ended.expect("nothing drops the run");
    let (name, stop) = names(trace, ended)?;
    let attempts = ended.as_ref().map_or_else(|it| it.attempts, |it| it.attempts);
    let keys = trace.keys.borrow();
    let same_key = keys.windows(2).all(|pair| pair[0] == pair[1]);
    let last = ended.as_ref().err().and_then(|it| it.error.as_ref()).map(|it| it.outcome.as_str());
    for (key, want) in expectations(expect)? {
        match key.as_str() {
            "op_runs" => equal(key, want, &json!(keys.len()))?,
            "attempts" => equal(key, want, &json!(attempts))?,
            "attempt_starts_ms" => all_within(key, want, &trace.starts_ms())?,
            "sleeps_ms" => all_within(key, want, &trace.sleeps_ms())?,
            "result" => equal(key, want, &json!(name))?,
            "stop" => equal(key, want, &json!(stop))?,
            "last_outcome" => equal(key, want, &json!(last))?,
            "finished_at_ms" => within(key, want, sim.ms())?,
            "resolver_calls" => equal(key, want, &json!(trace.asked.get()))?,
            "same_key_every_attempt" => equal(key, want, &json!(same_key))?,
            "attempt_numbers" => equal(key, want, &json!(*trace.numbers.borrow()))?,
            "yields" => equal(key, want, &json!(sim.yields()))?,
            "tokens" => budgets::near(key, want, tokens)?,
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}

/// What is expected; a case that expects nothing proves nothing.
fn expectations(expect: &Value) -> Outcome<&serde_json::Map<String, Value>> {
    let expect = expect.as_object().filter(|expect| !expect.is_empty());
    expect.ok_or_else(|| Stop::Failed("no expect".into()))
}

fn stop_name(reason: StopReason) -> &'static str {
    match reason {
        StopReason::BreakerRefused => "breaker_rejected",
        other => other.as_str(),
    }
}

fn equal(key: &str, want: &Value, got: &Value) -> Outcome<()> {
    let band = want.as_array().filter(|band| band.len() == 2 && got.is_u64());
    let fits = match (band, got.as_u64()) {
        (Some(band), Some(n)) => band[0].as_u64() <= Some(n) && Some(n) <= band[1].as_u64(),
        _ => want == got,
    };
    if fits { Ok(()) } else { fail(format!("{key}: expected {want}, got {got}")) }
}

fn all_within(key: &str, want: &Value, got: &[u64]) -> Outcome<()> {
    let wanted = list(want)?;
    if wanted.len() != got.len() {
        return fail(format!("{key}: expected {want}, got {got:?}"));
    }
    wanted.iter().zip(got).try_for_each(|(want, got)| within(key, want, *got))
}

pub(crate) fn nested(case: &Value) -> Outcome<()> {
    // Whatever else a run may be told is not played here.
    let inner = ["schedule", "max_attempts", "deadline_ms", "attempt_timeout_ms", "mode", "outer"];
    only(&case["config"], &inner)?;
    let script = Script::of(case)?;
    let mut config = case["config"]["outer"].clone();
    only(&config, &["schedule", "max_attempts", "retry_exhausted"])?;
    let again = config.as_object_mut().unwrap().remove("retry_exhausted") == Some(json!(true));
    let mut outer = policy_of(&config)?.map_err(|key| Stop::Failed(format!("bad {key}")))?;
    if again {
        outer = outer.with_exhausted_retried();
    }
    let build = |policy| Retry::new(policy).map_err(|error| Stop::Failed(error.to_string()));
    let (inner, outer, guard) = (build(script.policy()?)?, build(outer)?, script.guard()?);
    let (sim, trace) = (Sim::new(), Trace::default());
    let around = async |_: Attempt<u64>| {
        let mut rng = StdRng::seed_from_u64(7);
        let op = |attempt| script.attempt(&sim, &trace, attempt);
        let result = inner.guarded(guard).run(&sim, &mut rng, op).await;
        // The inner class travels with the error, as it would through a bot's own type.
        let travelled =
            |stopped: Stopped<Failure>| Failure { class: stopped.class, ..stopped.error.unwrap() };
        result.map(|finished| finished.value).map_err(travelled)
    };
    let mut rng = StdRng::seed_from_u64(8);
    let result = sim.block_on(outer.guarded(guard).run(&sim, &mut rng, around), None).unwrap();
    let (name, _) = names(&trace, &result)?;
    let attempts = result.as_ref().map_or_else(|it| it.attempts, |it| it.attempts);
    for (key, want) in expectations(&case["expect"])? {
        match key.as_str() {
            "op_runs" => equal(key, want, &json!(trace.keys.borrow().len()))?,
            "outer_attempts" => equal(key, want, &json!(attempts))?,
            "result" => equal(key, want, &json!(name))?,
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}
