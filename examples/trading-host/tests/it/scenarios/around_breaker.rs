//! A retry around a breaker around a time limit around a scripted call, on simulated time.

use std::{cell::RefCell, rc::Rc, time::Duration};

use backstop_circuit_breaker::{Breaker, Policy as BreakerPolicy};
use backstop_clock::{Clock, Sleep, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_retry_backoff::{
    Attempt, Elapsed, Finished, Guard, Jitter, OnRefusal, Policy, Retry, RetryAfter, Schedule,
    Stopped,
};
use rand::{SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};
use trading_host::runtime::{SimClock, Simulation, within};

use super::{Outcome, Stop, count, expect, fail, known, list, millis, stop_name};

/// The error of an attempt: its outcome by name.
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
        Self { outcome: "timeout".to_owned(), class: elapsed.class() }
    }
}

/// One entry of the script.
#[derive(Clone, Debug)]
struct Entry {
    duration: Duration,
    failure: Option<Failure>,
}

struct Play {
    clock: SimClock,
    breaker: Breaker,
    retry: Retry,
    entries: Vec<Entry>,
    guard: Guard<()>,
    /// When each attempt began and ended, rejected ones too.
    attempts: RefCell<Vec<(u64, u64)>>,
    /// When each call was sent.
    runs: RefCell<Vec<u64>>,
}

pub(crate) fn run(case: &Value) -> Outcome<()> {
    let general = ["id", "title", "origin", "note", "tags", "kind"];
    known(case, &[&general[..], &["config", "attempts", "expect"]].concat(), &["external"])?;
    let clock = SimClock::new(Timestamp::EPOCH);
    let play = Rc::new(play(&case["config"], &case["attempts"], clock.clone())?);
    let played = Rc::clone(&play);
    let ended = Simulation::new(clock).run(async move {
        let mut rng = SmallRng::seed_from_u64(7);
        let call = played.retry.guarded(played.guard);
        call.run(&played.clock, &mut rng, |it: Attempt<()>| attempt(&played, it.limit)).await
    });
    check(&case["expect"], &play, &ended.map_err(|stuck| Stop::Failed(stuck.to_string()))?)
}

async fn attempt(play: &Play, limit: Option<Duration>) -> Result<(), Failure> {
    let began = play.ms();
    let result = guarded(play, limit).await;
    play.attempts.borrow_mut().push((began, play.ms()));
    result
}

/// The time limit lies inside the breaker, so that it sees an attempt that is cut.
async fn guarded(play: &Play, limit: Option<Duration>) -> Result<(), Failure> {
    let now = || play.clock.instant();
    let permit = play.breaker.admit(now).map_err(|rejection| Failure {
        outcome: "breaker_rejected".to_owned(),
        class: rejection.class(),
    })?;
    let sent = play.runs.borrow().len();
    play.runs.borrow_mut().push(play.ms());
    let entry = &play.entries[sent.min(play.entries.len() - 1)];
    let call = play.clock.sleep(entry.duration);
    let in_time = within(&play.clock, limit.unwrap_or(Duration::MAX), call).await.is_some();
    let failure = if in_time {
        entry.failure.clone()
    } else {
        Some(Failure { outcome: "timeout".to_owned(), class: Class::of(Kind::Timeout) })
    };
    match failure {
        None => {
            permit.success(now);
            Ok(())
        }
        // The format counts every other outcome as a failure, whatever its class.
        Some(failure) => {
            permit.failure(now);
            Err(failure)
        }
    }
}

impl Play {
    fn ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap()
    }
}

fn play(config: &Value, attempts: &Value, clock: SimClock) -> Outcome<Play> {
    let keys = ["schedule", "max_attempts", "attempt_timeout_ms", "mode", "breaker"];
    let more = ["on_breaker_rejection", "deadline_ms", "hint"];
    let pending = ["resolver", "retry_on_values", "budget", "draws"];
    known(config, &[&keys[..], &more].concat(), &pending)?;
    let mut policy = Policy::new(schedule(&config["schedule"])?);
    if let Some(hint) = config.get("hint") {
        policy = policy.with_retry_after(retry_after(hint)?);
    }
    if let Some(deadline) = config.get("deadline_ms") {
        policy = policy.with_deadline(millis(deadline)?);
    }
    if let Some(timeout) = config.get("attempt_timeout_ms") {
        policy = policy.with_attempt_timeout(millis(timeout)?);
    }
    policy = policy.with_attempts_max(match config.get("max_attempts") {
        Some(most) => count(most)?,
        None => u32::MAX,
    });
    let guard = match config.get("mode").and_then(Value::as_str) {
        None | Some("idempotent") => Guard::Idempotent(()),
        Some("once") => Guard::Once(()),
        Some(other) => return fail(format!("unknown mode `{other}`")),
    };
    policy =
        policy.with_on_refusal(match config.get("on_breaker_rejection").and_then(Value::as_str) {
            None | Some("stop") => OnRefusal::Stop,
            Some("wait") => OnRefusal::Wait,
            Some("retry") => OnRefusal::Retry,
            Some(other) => return fail(format!("unknown on_breaker_rejection `{other}`")),
        });
    let entries = list(attempts)?.iter().map(entry).collect::<Outcome<Vec<_>>>()?;
    if entries.is_empty() {
        return fail("no attempts");
    }
    let wrong = |error: &dyn std::error::Error| Stop::Failed(error.to_string());
    Ok(Play {
        clock,
        breaker: Breaker::new(breaker(&config["breaker"])?).map_err(|error| wrong(&error))?,
        retry: Retry::new(policy).map_err(|error| wrong(&error))?,
        entries,
        guard,
        attempts: RefCell::default(),
        runs: RefCell::default(),
    })
}

fn schedule(given: &Value) -> Outcome<Schedule> {
    known(given, &["family", "base_ms", "factor", "cap_ms", "jitter"], &[])?;
    let base = millis(&given["base_ms"])?;
    let schedule = match given["family"].as_str() {
        Some("fixed") => Schedule::fixed(base),
        Some("linear") => Schedule::linear(base),
        Some("exponential") => {
            let factor = given.get("factor").and_then(Value::as_f64).unwrap_or(2.0);
            Schedule::exponential(base).with_factor(factor)
        }
        Some("fibonacci") => Schedule::fibonacci(base),
        Some("decorrelated") => Schedule::decorrelated(base),
        other => return fail(format!("unknown family {other:?}")),
    };
    let schedule = schedule.with_cap(given.get("cap_ms").map_or(Ok(Duration::MAX), millis)?);
    match given.get("jitter").map(|jitter| (jitter.as_str(), jitter["plus_minus"].as_f64())) {
        None | Some((Some("full"), _)) => Ok(schedule),
        Some((Some("none"), _)) => Ok(schedule.with_jitter(Jitter::None)),
        Some((Some("equal"), _)) => Ok(schedule.with_jitter(Jitter::Equal)),
        Some((None, Some(ratio))) => Ok(schedule.with_jitter(Jitter::Proportional(ratio))),
        Some(other) => fail(format!("unknown jitter {other:?}")),
    }
}

fn retry_after(given: &Value) -> Outcome<RetryAfter> {
    known(given, &["mode", "bound_ms"], &[])?;
    match (given["mode"].as_str(), given.get("bound_ms")) {
        (Some("exact"), None) => Ok(RetryAfter::Exact),
        (Some("bounded"), None) => Ok(RetryAfter::default()),
        (Some("bounded"), Some(Value::Null)) => Ok(RetryAfter::Unbounded),
        (Some("bounded"), Some(bound)) => millis(bound).map(RetryAfter::Bounded),
        other => fail(format!("unknown hint {other:?}")),
    }
}

fn breaker(given: &Value) -> Outcome<BreakerPolicy> {
    let pending = [
        "slow_call_ms",
        "open_factor",
        "open_max_ms",
        "verdict",
        "probe_lease_ms",
        "half_open_max_ms",
        "half_open_timeout_to",
        "initial_state",
        "classify",
        "dry_run",
    ];
    known(given, &["trip", "window", "min_calls", "open_ms", "probes"], &pending)?;
    let mut policy = BreakerPolicy::new(millis(&given["open_ms"])?);
    let trip = &given["trip"];
    let rates = ["failure_rate", "slow_rate"];
    known(trip, &["consecutive_failures", "failure_count"], &rates)?;
    if let Some(failures) = trip.get("consecutive_failures") {
        policy = policy.with_consecutive_failures(count(failures)?);
    }
    if let Some(failures) = trip.get("failure_count") {
        policy = policy.with_failure_count(count(failures)?);
    }
    if let Some(window) = given.get("window") {
        known(window, &["kind", "size"], &["ms", "slices"])?;
        policy = policy.with_count_window(count(&window["size"])?);
    }
    if let Some(calls) = given.get("min_calls") {
        policy = policy.with_min_calls(count(calls)?);
    }
    if let Some(probes) = given.get("probes") {
        policy = policy.with_probes(count(probes)?);
    }
    Ok(policy)
}

fn entry(given: &Value) -> Outcome<Entry> {
    let keys = ["outcome", "duration_ms", "retry_after_ms"];
    known(given, &keys, &["value", "changed_payload", "class"])?;
    let outcome = given["outcome"].as_str().unwrap_or_default();
    let class = match outcome {
        "success" => None,
        "transient" => Some(Class::of(Kind::Unavailable).with_effect(Effect::NotApplied)),
        "throttled" => Some(Class::of(Kind::RateLimited)),
        "not_sent" => Some(Class::of(Kind::Connection).with_effect(Effect::NotApplied)),
        "permanent" => Some(Class::of(Kind::Rejected)),
        "unknown" => Some(Class::of(Kind::Connection)),
        "value" => return Err(Stop::Pending),
        other => return fail(format!("unknown outcome `{other}`")),
    };
    let hint = given.get("retry_after_ms").map(millis).transpose()?;
    let class = class.map(|class| hint.map_or(class, |hint| class.with_retry_after(hint)));
    let duration = given.get("duration_ms").map_or(Ok(Duration::ZERO), millis)?;
    Ok(Entry {
        duration,
        failure: class.map(|class| Failure { outcome: outcome.to_owned(), class }),
    })
}

fn check(
    wanted: &Value,
    play: &Play,
    ended: &Result<Finished<()>, Stopped<Failure>>,
) -> Outcome<()> {
    let (result, stop, attempts) = match ended {
        Ok(finished) => ("ok", "success", finished.attempts),
        Err(stopped) => {
            let is_unknown = stopped.class().effect() == Effect::Unknown;
            let result = if is_unknown { "unknown" } else { "failed" };
            (result, stop_name(stopped.reason), stopped.attempts)
        }
    };
    let last = ended.as_ref().err().and_then(|stopped| stopped.error.as_ref());
    let last = last.map(|error| error.outcome.as_str());
    let times = play.attempts.borrow();
    let starts: Vec<_> = times.iter().map(|(began, _)| *began).collect();
    let sleeps: Vec<_> = times.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
    let numbers: Vec<_> = (1..=attempts).collect();
    for (key, want) in wanted.as_object().ok_or_else(|| Stop::Failed("no expect".to_owned()))? {
        match key.as_str() {
            "op_runs" => expect(key, want, &json!(play.runs.borrow().len()))?,
            "attempts" => expect(key, want, &json!(attempts))?,
            "attempt_starts_ms" => expect(key, want, &json!(starts))?,
            "attempt_numbers" => expect(key, want, &json!(numbers))?,
            "sleeps_ms" => expect(key, want, &json!(sleeps))?,
            "result" => expect(key, want, &json!(result))?,
            "stop" => expect(key, want, &json!(stop))?,
            "last_outcome" => expect(key, want, &json!(last))?,
            "finished_at_ms" => expect(key, want, &json!(play.ms()))?,
            "breaker" => check_breaker(want, play)?,
            "resolver_calls" | "same_key_every_attempt" | "yields" | "tokens" => {
                return Err(Stop::Pending);
            }
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}

fn check_breaker(wanted: &Value, play: &Play) -> Outcome<()> {
    let breaker = &play.breaker;
    let counts = breaker.counts(|| play.clock.instant());
    for (key, want) in wanted.as_object().ok_or_else(|| Stop::Failed("no breaker".to_owned()))? {
        match key.as_str() {
            "state" => expect(key, want, &json!(breaker.state().to_string()))?,
            "counts" => check_breaker(want, play)?,
            "total" => expect(key, want, &json!(counts.total()))?,
            "success" => expect(key, want, &json!(counts.success))?,
            "failure" => expect(key, want, &json!(counts.failure))?,
            "consecutive_failures" => expect(key, want, &json!(counts.consecutive_failures))?,
            "failure_rate" | "slow" | "slow_rate" => return Err(Stop::Pending),
            other => return fail(format!("unknown expectation `breaker.{other}`")),
        }
    }
    Ok(())
}
