//! A retry whose attempts fail as listed, each judged by the taxonomy at its site.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use backstop_clock::{Clock, Timestamp};
use backstop_error_taxonomy::{
    Action, Class, Classify, Component, Decision, Environment, Site, decide,
};
use backstop_retry_backoff::{
    Attempt, Elapsed, Finished, Guard, Jitter, Policy, Retry, RetryAfter, Schedule, StopReason,
    Stopped, sending,
};
use backstop_testkit::errors;
use rand::{SeedableRng, rngs::SmallRng};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use trading_host::runtime::{SimClock, Simulation};

use super::{Outcome, Stop, count, expect, fail, known, list};

#[derive(Clone, Copy, Debug)]
struct Failure(Class);

impl Classify for Failure {
    fn class(&self) -> Class {
        self.0
    }
}

impl From<Elapsed> for Failure {
    fn from(elapsed: Elapsed) -> Self {
        Self(elapsed.class())
    }
}

/// One case as it is played.
struct Play {
    clock: SimClock,
    retry: Retry,
    guard: Guard<()>,
    site: Site<'static>,
    /// What the first attempt sends, and what each later one makes of it.
    amount: (Decimal, Decimal),
    /// `None` is success; the last repeats.
    outcomes: Vec<Option<Class>>,
    /// What each attempt sent.
    sizes: RefCell<Vec<Decimal>>,
    /// When each attempt was made.
    starts: RefCell<Vec<Timestamp>>,
    /// What was decided after each failure.
    decisions: RefCell<Vec<Decision<'static>>>,
}

type Ended = Result<Finished<()>, Stopped<Failure>>;

pub(crate) fn run(case: &Value) -> Outcome<()> {
    let keys = ["id", "title", "note", "origin", "tags", "given", "outcomes", "expect"];
    known(case, &[&keys[..], &["size", "retry_size_factor"]].concat())?;
    let clock = SimClock::new(Timestamp::EPOCH);
    let play = Rc::new(play(case, clock.clone())?);
    let played = Rc::clone(&play);
    let ended = Simulation::new(clock).run(async move { inner(&played).await });
    let ended = ended.map_err(|stuck| Stop(stuck.to_string()))?;
    agrees(&play, &ended)?;
    check(&case["expect"], &play, &ended, upper_layer_attempts(case)?)
}

/// Attempts of a layer above, with a budget of its own, that sees how the inner loop ends.
fn upper_layer_attempts(case: &Value) -> Outcome<u32> {
    let clock = SimClock::new(Timestamp::EPOCH);
    let play = play(case, clock.clone())?;
    let attempts = Simulation::new(clock).run(async move {
        let mut rng = SmallRng::seed_from_u64(8);
        let above = async |_| match inner(&play).await {
            Ok(_) => Ok(()),
            Err(stopped) => Err(Failure(stopped.class())),
        };
        let ended = play.retry.guarded(play.guard).run(&play.clock, &mut rng, above).await;
        ended.map_or_else(|stopped| stopped.attempts, |finished| finished.attempts)
    });
    attempts.map_err(|stuck| Stop(stuck.to_string()))
}

async fn inner(play: &Play) -> Ended {
    let mut rng = SmallRng::seed_from_u64(7);
    // Between attempts the order may shrink; while an outcome is open the retry refuses that.
    let (first, factor) = play.amount;
    let prepare = |number: u32| (1..number).fold(first, |sent, _| sent * factor);
    let send = async |attempt: Attempt<()>, sent| {
        play.sizes.borrow_mut().push(sent);
        let before = play.starts.borrow().len();
        play.starts.borrow_mut().push(play.clock.now());
        let Some(class) = play.outcomes[before.min(play.outcomes.len() - 1)] else { return Ok(()) };
        let site = play.site.with_attempt(attempt.number, play.site.attempts_max);
        play.decisions.borrow_mut().push(decide(class, &site));
        Err(Failure(class))
    };
    play.retry.guarded(play.guard).run(&play.clock, &mut rng, sending(prepare, send)).await
}

/// The loop tried again exactly where the taxonomy said so.
fn agrees(play: &Play, ended: &Ended) -> Outcome<()> {
    let decisions = play.decisions.borrow();
    let retried = decisions.iter().filter(|decision| decision.action == Action::Retry).count();
    let attempts = ended.as_ref().map_or_else(|stopped| stopped.attempts, |done| done.attempts);
    if retried + 1 == usize::try_from(attempts).unwrap_or(usize::MAX) {
        return Ok(());
    }
    let actions: Vec<_> = decisions.iter().map(|decision| decision.action.as_str()).collect();
    fail(format!("{attempts} attempts, but decided was {actions:?}"))
}

fn check(wanted: &Value, play: &Play, ended: &Ended, outer: u32) -> Outcome<()> {
    let decisions = play.decisions.borrow();
    let starts = play.starts.borrow();
    let sleeps = starts.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64());
    let delays: Vec<_> = sleeps.collect();
    let actions: Vec<_> = decisions.iter().map(|decision| decision.action.as_str()).collect();
    let last = decisions.last().filter(|_| ended.is_err());
    for (key, want) in wanted.as_object().ok_or_else(|| Stop("no expect".to_owned()))? {
        match key.as_str() {
            "attempts" => expect(key, want, &json!(starts.len()))?,
            "delays_s" => check_delays(want, &delays)?,
            "result" => check_result(want, ended)?,
            "dead_letter_reason" => expect(key, want, &json!(letter_reason(ended)))?,
            "upper_layer_attempts" => expect(key, want, &json!(outer))?,
            "actions" => expect(key, want, &json!(actions))?,
            "events" => {
                // The operation records its failure once, as bad as it is in the end.
                let severity = last.map(|decision| decision.severity.as_str());
                let events: BTreeMap<_, _> = severity.into_iter().map(|name| (name, 1)).collect();
                expect(key, want, &json!(events))?;
            }
            "sizes" => {
                let sizes = play.sizes.borrow();
                let sizes: Vec<_> = sizes.iter().map(|sent| sent.normalize().to_string()).collect();
                expect(key, want, &json!(sizes))?;
            }
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}

fn check_delays(want: &Value, got: &[f64]) -> Outcome<()> {
    let wanted: Vec<_> = list(want)?.iter().filter_map(Value::as_f64).collect();
    let same = wanted.len() == got.len()
        && wanted.iter().zip(got).all(|(want, got)| {
            Duration::from_secs_f64(*want).abs_diff(Duration::from_secs_f64(*got))
                <= Duration::from_millis(1)
        });
    if same { Ok(()) } else { fail(format!("delays_s: expected {want}, got {got:?}")) }
}

fn check_result(want: &Value, ended: &Ended) -> Outcome<()> {
    let class = match ended {
        Ok(_) => return expect("result", want, &json!("ok")),
        Err(stopped) => stopped.class(),
    };
    if !want.is_object() {
        return fail(format!("result: expected {want}, got {class:?}"));
    }
    for (axis, want) in want.as_object().into_iter().flatten() {
        let got = match axis.as_str() {
            "kind" => class.kind().as_str(),
            "transience" => class.transience().as_str(),
            "effect" => class.effect().as_str(),
            other => return fail(format!("unknown axis `{other}`")),
        };
        expect(&format!("result.{axis}"), want, &json!(got))?;
    }
    Ok(())
}

fn letter_reason(ended: &Ended) -> Option<&'static str> {
    match ended.as_ref().err()?.reason {
        StopReason::AttemptsExhausted | StopReason::Deadline => Some("max_retries_exceeded"),
        StopReason::Permanent => Some("permanent_error"),
        _ => None,
    }
}

fn play(case: &Value, clock: SimClock) -> Outcome<Play> {
    let (none, given) = (json!({}), case.get("given"));
    let given = given.unwrap_or(&none);
    let keys = ["component", "op", "idempotent", "max_attempts", "backoff", "default_transience"];
    // A sequence counts its attempts itself.
    known(given, &[&keys[..], &["venue_table", "phase", "env"]].concat())?;
    let attempts_max = given.get("max_attempts").map_or(Ok(4), count)?;
    let is_idempotent = given.get("idempotent") == Some(&json!(true));
    let component = match given.get("component").and_then(Value::as_str) {
        None => Component::SYSTEM,
        Some(name) => name.parse().unwrap_or(Component::new("own")),
    };
    let mut site = Site::new(component, "scenario").with_attempt(1, attempts_max);
    site.idempotent = is_idempotent;
    site.startup = given.get("phase") == Some(&json!("startup"));
    let environment = given.get("env").and_then(Value::as_str);
    site.environment = environment.map(|name| Environment::named(name).0);

    let backoff = given.get("backoff").unwrap_or(&none);
    known(backoff, &["base_s", "factor", "max_s"])?;
    let number = |key: &str, default| backoff.get(key).and_then(Value::as_f64).unwrap_or(default);
    let seconds = |key: &str, default| Duration::from_secs_f64(number(key, default));
    let schedule = Schedule::exponential(seconds("base_s", 1.0))
        .with_factor(number("factor", 2.0))
        .with_cap(seconds("max_s", 30.0))
        .with_jitter(Jitter::None);
    let policy = Policy::new(schedule)
        .with_attempts_max(attempts_max)
        .with_retry_after(RetryAfter::Unbounded);
    let guard = if is_idempotent { Guard::READ } else { Guard::Once(()) };
    let retry = Retry::new(policy).map_err(|error| Stop(error.to_string()))?;

    let outcomes = list(&case["outcomes"])?.iter().map(|outcome| match outcome.as_str() {
        Some("ok") => Ok(None),
        _ => Ok(Some(errors::class_of(outcome, given, component)?)),
    });
    let outcomes = outcomes.collect::<Outcome<Vec<_>>>()?;
    if outcomes.is_empty() {
        return fail("no outcomes");
    }
    let amount = (decimal(case, "size")?, decimal(case, "retry_size_factor")?);
    let (sizes, starts, decisions) = Default::default();
    Ok(Play { clock, retry, guard, site, amount, outcomes, sizes, starts, decisions })
}

/// A number of the case in digits; one if it is left out.
fn decimal(case: &Value, key: &str) -> Outcome<Decimal> {
    let Some(given) = case.get(key) else { return Ok(Decimal::ONE) };
    let digits = given.as_str().unwrap_or_default();
    digits.parse().map_err(|error| Stop(format!("{key}: {error}")))
}
