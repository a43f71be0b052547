//! Plays the scripted runs of the scenarios on simulated time.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use backstop_clock::Sleep as _;
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_retry_backoff::{
    Elapsed, Finished, Guard, Policy, Resolution, Retry, StopReason, Stopped,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::scenarios::{Draws, Outcome, Stop, fail, list, only, policy_of, whole, within};
use crate::sim::Sim;

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
struct Ending<'t>(&'t Trace, &'t Sim);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.push(Event::End(self.1.ms()));
    }
}

/// One entry of `attempts`.
#[derive(Clone)]
struct Entry {
    duration: Duration,
    /// `None` is a success.
    failure: Option<Failure>,
}

impl Entry {
    fn of(given: &Value) -> Outcome<Self> {
        let keys =
            ["outcome", "value", "duration_ms", "retry_after_ms", "changed_payload", "class"];
        only(given, &keys)?;
        let outcome = given["outcome"].as_str().unwrap_or_default();
        let class = match outcome {
            "success" => None,
            "transient" => Some(Class::of(Kind::Unavailable).with_effect(Effect::NotApplied)),
            "throttled" => Some(Class::of(Kind::RateLimited)),
            "not_sent" => Some(Class::of(Kind::Connection).with_effect(Effect::NotApplied)),
            "permanent" => Some(Class::of(Kind::Rejected)),
            "unknown" => Some(Class::of(Kind::Connection)),
            "breaker_rejected" => Some(Class::of(Kind::Unavailable).refused_by_breaker()),
            // Retrying on values is not part of the slice.
            "value" => return Err(Stop::Pending),
            other => return fail(format!("unknown outcome `{other}`")),
        };
        let hint = match given.get("retry_after_ms") {
            // Pushback is not part of the slice.
            Some(hint) if hint.as_i64().is_some_and(i64::is_negative) => return Err(Stop::Pending),
            Some(hint) => Some(Duration::from_millis(whole("retry_after_ms", hint)?)),
            None => None,
        };
        let class = class.map(|class| hint.map_or(class, |hint| class.with_retry_after(hint)));
        let duration = given.get("duration_ms").map_or(Ok(0), |ms| whole("duration_ms", ms))?;
        let failure = class.map(|class| Failure { outcome: outcome.to_owned(), class });
        Ok(Self { duration: Duration::from_millis(duration), failure })
    }

    fn is_sent(&self) -> bool {
        let unsent = ["not_sent", "breaker_rejected"];
        self.failure.as_ref().is_none_or(|failure| !unsent.contains(&failure.outcome.as_str()))
    }

    fn is_run(&self) -> bool {
        self.failure.as_ref().is_none_or(|failure| failure.outcome != "breaker_rejected")
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
        let entries =
            list(&case["attempts"])?.iter().map(Entry::of).collect::<Outcome<Vec<_>>>()?;
        let script = Self { case, key: 42, entries };
        if script.entries.is_empty() {
            return fail("no attempts");
        }
        // The operation builds its own payload, so that a change after an unknown outcome cannot
        // be refused yet.
        let config = &case["config"];
        let cut = ["deadline_ms", "attempt_timeout_ms"].iter().any(|key| config.get(key).is_some());
        let mut open = cut;
        for (given, entry) in list(&case["attempts"])?.iter().zip(&script.entries) {
            if open && given.get("changed_payload") == Some(&json!(true)) {
                return Err(Stop::Pending);
            }
            open |= entry.failure.as_ref().is_some_and(|f| f.class.effect() == Effect::Unknown);
        }
        Ok(script)
    }

    /// The entry of the attempt that comes after `before` others; the last one repeats.
    fn entry(&self, before: usize) -> &Entry {
        &self.entries[before.min(self.entries.len() - 1)]
    }

    fn policy(&self) -> Outcome<Policy> {
        policy_of(&self.case["config"])?.map_err(|key| Stop::Failed(format!("bad {key}")))
    }

    fn guard(&self) -> Outcome<Guard> {
        match self.case["config"].get("mode").and_then(Value::as_str) {
            None | Some("idempotent") => Ok(Guard::Idempotent),
            Some("once") => Ok(Guard::Once),
            Some(other) => fail(format!("unknown mode `{other}`")),
        }
    }

    async fn attempt(&self, sim: &Sim, trace: &Trace, number: u32) -> Result<(), Failure> {
        let entry = self.entry(trace.starts_ms().len());
        trace.push(Event::Start(sim.ms()));
        let _ending = Ending(trace, sim);
        trace.numbers.borrow_mut().push(number);
        if entry.is_run() {
            trace.keys.borrow_mut().push(self.key);
        }
        if entry.is_sent() {
            trace.open.set(true);
        }
        if !entry.duration.is_zero() {
            sim.sleep(entry.duration).await;
        }
        match &entry.failure {
            Some(failure) if entry.is_sent() => {
                trace.open.set(failure.class.effect() == Effect::Unknown);
                Err(failure.clone())
            }
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }
}

pub(crate) fn run(case: &Value) -> Outcome<()> {
    let script = Script::of(case)?;
    let cancel_at = cancel_at(case)?;
    let (sim, trace) = (Sim::new(), Trace::default());
    let retry = Retry::new(script.policy()?, script.guard()?)
        .map_err(|error| Stop::Failed(error.to_string()))?;
    let answers = case["config"].get("resolver").map(list).transpose()?;
    for answer in answers.unwrap_or_default() {
        let known = ["found", "not_found", "fails"];
        if !answer.as_str().is_some_and(|answer| known.contains(&answer)) {
            return fail(format!("unknown answer {answer}"));
        }
    }
    let op = async |number| script.attempt(&sim, &trace, number).await;
    let draws = &case["config"]["draws"];
    let mut given = Draws::of(draws);
    let mut seeded = StdRng::seed_from_u64(7);
    let rng: &mut dyn rand::Rng = if draws.is_array() { &mut given } else { &mut seeded };
    let result = match answers {
        None => sim.block_on(retry.run(&sim, rng, op), cancel_at),
        Some(answers) => {
            let look_up = async || {
                trace.push(Event::Ask(sim.ms()));
                let index = trace.asked.replace(trace.asked.get() + 1);
                let answer = answers.get(index).or(answers.last());
                match answer.and_then(Value::as_str) {
                    Some("found") => Resolution::Found(()),
                    Some("not_found") => {
                        trace.open.set(false);
                        Resolution::NotFound
                    }
                    _ => Resolution::Unknown,
                }
            };
            sim.block_on(retry.resolve(look_up).run(&sim, rng, op), cancel_at)
        }
    };
    check(&case["expect"], &sim, &trace, result.as_ref())
}

/// When the run is dropped from outside.
fn cancel_at(case: &Value) -> Outcome<Option<Duration>> {
    let mut at = None;
    for event in case.get("external").map(list).transpose()?.unwrap_or_default() {
        only(event, &["at_ms", "do"])?;
        match event["do"].as_str() {
            Some("cancel") => at = Some(Duration::from_millis(whole("at_ms", &event["at_ms"])?)),
            // News from outside is not part of the slice.
            Some("resolve") => return Err(Stop::Pending),
            other => return fail(format!("unknown external event {other:?}")),
        }
    }
    Ok(at)
}

type Ended = Result<Finished<()>, Stopped<Failure>>;

fn check(expect: &Value, sim: &Sim, trace: &Trace, result: Option<&Ended>) -> Outcome<()> {
    let (name, stop) = match result {
        None => ("cancelled", "cancelled"),
        Some(Ok(finished)) if finished.resolved => ("resolved", "resolved"),
        Some(Ok(_)) => ("ok", "success"),
        Some(Err(stopped)) => {
            if trace.open.get() && stopped.class().effect() != Effect::Unknown {
                return fail(format!("an open outcome is reported as {:?}", stopped.class()));
            }
            (if trace.open.get() { "unknown" } else { "failed" }, stop_name(stopped.reason))
        }
    };
    let attempts = match result {
        None => trace.starts_ms().len(),
        Some(Ok(finished)) => usize::try_from(finished.attempts).unwrap(),
        Some(Err(stopped)) => usize::try_from(stopped.attempts).unwrap(),
    };
    let keys = trace.keys.borrow();
    let same_key = keys.windows(2).all(|pair| pair[0] == pair[1]);
    let last = result.and_then(|result| result.as_ref().err()).map(|it| it.error.outcome.as_str());
    for (key, want) in expect.as_object().ok_or_else(|| Stop::Failed("no expect".into()))? {
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
            "tokens" | "breaker" => return Err(Stop::Pending),
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
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
    let script = Script::of(case)?;
    let outer = &case["config"]["outer"];
    only(outer, &["schedule", "max_attempts", "retry_exhausted"])?;
    if outer.get("retry_exhausted") == Some(&json!(true)) {
        // An outer loop that starts over is not part of the slice.
        return Err(Stop::Pending);
    }
    let mut config = outer.clone();
    config.as_object_mut().unwrap().remove("retry_exhausted");
    let outer = policy_of(&config)?.map_err(|key| Stop::Failed(format!("bad {key}")))?;
    let build =
        |policy, guard| Retry::new(policy, guard).map_err(|error| Stop::Failed(error.to_string()));
    let (inner, outer) =
        (build(script.policy()?, script.guard()?)?, build(outer, script.guard()?)?);
    let (sim, trace) = (Sim::new(), Trace::default());
    let around = async |_| {
        let mut rng = StdRng::seed_from_u64(7);
        let op = async |number| script.attempt(&sim, &trace, number).await;
        let result = inner.run(&sim, &mut rng, op).await;
        // The inner class travels with the error, as it would through a bot's own type.
        result.map_err(|stopped| Failure { class: stopped.class(), ..stopped.error })
    };
    let mut rng = StdRng::seed_from_u64(8);
    let result = sim.block_on(outer.run(&sim, &mut rng, around), None).unwrap();
    let (name, attempts) = match &result {
        Ok(finished) => ("ok", finished.attempts),
        Err(stopped) => (if trace.open.get() { "unknown" } else { "failed" }, stopped.attempts),
    };
    for (key, want) in case["expect"].as_object().ok_or_else(|| Stop::Failed("no expect".into()))? {
        match key.as_str() {
            "op_runs" => equal(key, want, &json!(trace.keys.borrow().len()))?,
            "outer_attempts" => equal(key, want, &json!(attempts))?,
            "result" => equal(key, want, &json!(name))?,
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}
