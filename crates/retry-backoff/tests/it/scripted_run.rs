//! Plays the scripted runs of the scenarios on simulated time.

mod script;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use backstop_clock::Clock as _;
use backstop_error_taxonomy::{Class, Classify, Effect};
use backstop_retry_backoff::budget::Budget;
use backstop_retry_backoff::{
    Attempt, Elapsed, Ending, Finished, Guard, Handle, Resolution, Retry, StopReason, StopToken,
    Stopped, sending,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use self::script::Script;
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
    /// Something was to be sent, and perhaps refused.
    Prepare(u64),
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
        (Event::End(from), Event::Ask(to) | Event::Prepare(to)) => Some(to - from),
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

/// A scripted run with all that its `config` gives it.
struct Loop<'c> {
    script: Script<'c>,
    sim: Sim,
    trace: Trace,
    retry: Retry,
    budget: Option<Arc<Budget>>,
    guard: Guard<u64>,
    /// Answers to "was it accepted?"; `None` if nobody can be asked.
    answers: Option<&'c [Value]>,
}

impl<'c> Loop<'c> {
    fn of(case: &'c Value) -> Outcome<Self> {
        let (script, sim) = (Script::of(case)?, Sim::new());
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
        let guard = script.guard()?;
        Ok(Self { script, sim, trace: Trace::default(), retry, budget, guard, answers })
    }

    async fn run(
        &self,
        token: &StopToken,
        handle: &Handle<String>,
        rng: &mut dyn rand::Rng,
    ) -> Ended {
        let prepare = |_| {
            self.trace.push(Event::Prepare(self.sim.ms()));
            self.script.payload(self.trace.starts_ms().len())
        };
        let send = |attempt, _payload| self.script.attempt(&self.sim, &self.trace, attempt);
        let op = sending(prepare, send);
        let call = self.retry.guarded(self.guard).until(token).resolved_by(handle);
        match self.answers {
            None => call.run(&self.sim, rng, op).await,
            Some(answers) => {
                let look_up = async || self.answer(answers);
                call.asking(look_up).run(&self.sim, rng, op).await
            }
        }
    }

    /// What the resolver says; its last answer repeats.
    fn answer(&self, answers: &[Value]) -> Resolution<String> {
        self.trace.push(Event::Ask(self.sim.ms()));
        let index = self.trace.asked.replace(self.trace.asked.get() + 1);
        match answers.get(index).or(answers.last()).and_then(Value::as_str) {
            Some("found") => Resolution::Found(String::new()),
            Some("not_found") => {
                self.trace.open.set(false);
                Resolution::NotFound
            }
            _ => Resolution::Unknown,
        }
    }

    fn tokens(&self) -> Option<f64> {
        self.budget.as_ref().and_then(|budget| budget.tokens())
    }
}

/// The draws of a case, or seeded ones.
fn chance(case: &Value) -> Box<dyn rand::Rng> {
    let draws = &case["config"]["draws"];
    if draws.is_array() { Box::new(Draws::of(draws)) } else { Box::new(StdRng::seed_from_u64(7)) }
}

/// What can be seen of a run from outside.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Seen {
    pub(crate) starts_ms: Vec<u64>,
    pub(crate) runs: usize,
    pub(crate) asked: usize,
    pub(crate) stop: &'static str,
    pub(crate) ended_ms: u64,
    pub(crate) tokens: Option<f64>,
}

/// Plays a case that expects nothing.
pub(crate) fn observe(case: &Value) -> Outcome<Seen> {
    let (played, mut rng) = (Loop::of(case)?, chance(case));
    let (token, handle) = (StopToken::default(), Handle::new());
    let news = news(case, &token, &handle)?;
    let task = played.run(&token, &handle, &mut *rng);
    let ended = played.sim.block_on_with(task, None, news).unwrap();
    let (_, stop) = names(&played.trace, &ended)?;
    Ok(Seen {
        starts_ms: played.trace.starts_ms(),
        runs: played.trace.keys.borrow().len(),
        asked: played.trace.asked.get(),
        stop,
        ended_ms: played.sim.ms(),
        tokens: played.tokens(),
    })
}

pub(crate) fn run(case: &Value) -> Outcome<()> {
    let (played, mut rng) = (Loop::of(case)?, chance(case));
    let (token, handle) = (StopToken::default(), Handle::new());
    let news = news(case, &token, &handle)?;
    let task = played.run(&token, &handle, &mut *rng);
    let ended = played.sim.block_on_with(task, None, news);
    check(&case["expect"], &played, ended.as_ref())
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
    news.sort_by_key(|(at, _)| *at);
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

fn check(expect: &Value, played: &Loop<'_>, ended: Option<&Ended>) -> Outcome<()> {
    let Loop { sim, trace, .. } = played;
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
            // A run that ends with a value it did not want has no error.
            "last_outcome" if name == "value" && want == "value" => {}
            "last_outcome" => equal(key, want, &json!(last))?,
            "finished_at_ms" => within(key, want, sim.ms())?,
            "resolver_calls" => equal(key, want, &json!(trace.asked.get()))?,
            "same_key_every_attempt" => equal(key, want, &json!(same_key))?,
            "attempt_numbers" => equal(key, want, &json!(*trace.numbers.borrow()))?,
            "yields" => equal(key, want, &json!(sim.yields()))?,
            "tokens" => budgets::near(key, want, played.tokens())?,
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
    let mut config = case["config"]["outer"].clone();
    only(&config, &["schedule", "max_attempts", "retry_exhausted"])?;
    let again = config.as_object_mut().unwrap().remove("retry_exhausted") == Some(json!(true));
    let mut outer = policy_of(&config)?;
    if again {
        outer = outer.with_exhausted_retried();
    }
    let outer = Retry::new(outer).map_err(|error| Stop::Failed(error.to_string()))?;
    let inner = Loop::of(case)?;
    let (chance, last_inner) = (Cell::new(Some(chance(case))), Cell::new(None));
    let around = async |_: Attempt<u64>| {
        let (token, handle) = (StopToken::default(), Handle::new());
        // One run at a time draws.
        let mut rng = chance.take().unwrap();
        let result = inner.run(&token, &handle, &mut *rng).await;
        chance.set(Some(rng));
        // The inner class travels with the error, as it would through a bot's own type.
        let travelled =
            |stopped: Stopped<Failure>| Failure { class: stopped.class, ..stopped.error.unwrap() };
        last_inner.set(result.as_ref().ok().map(|finished| finished.ending));
        result.map(|finished| finished.value).map_err(travelled)
    };
    let mut rng = StdRng::seed_from_u64(8);
    let call = outer.guarded(inner.guard);
    let mut result = inner.sim.block_on(call.run(&inner.sim, &mut rng, around), None).unwrap();
    // A value that was unwanted inside is a value outside; the result is told of the whole.
    if let (Ok(finished), Some(ending)) = (&mut result, last_inner.get()) {
        finished.ending = ending;
    }
    let attempts = result.as_ref().map_or_else(|it| it.attempts, |it| it.attempts);
    let mut expected = expectations(&case["expect"])?.clone();
    if let Some(want) = expected.remove("outer_attempts") {
        equal("outer_attempts", &want, &json!(attempts))?;
    }
    // What is told of one run besides, is told of the outer one.
    if expected.is_empty() {
        Ok(())
    } else {
        check(&Value::Object(expected), &inner, Some(&result))
    }
}
