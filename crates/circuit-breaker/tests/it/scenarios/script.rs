//! Runs the steps of a scenario against real breakers on a clock of its own.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, CallError, Event, Permit, Rejection, State};
use backstop_clock::{Clock, SystemClock};
use backstop_testkit::scenarios::Verdict;
use serde_json::Value;

use super::{
    Outcome, Stop, check_keys,
    config::{Config, Judged},
    expect::{self, Seen},
    failed, integer, text,
};

/// A clock that can be set back, unlike the clock of the tests: an instant is only an argument.
struct ScriptClock {
    start: Instant,
    ms: AtomicU64,
}

impl ScriptClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms.load(Ordering::SeqCst))
    }

    fn advance(&self, ms: u64) {
        self.ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn set(&self, ms: u64) {
        self.ms.store(ms, Ordering::SeqCst);
    }
}

/// One guarded call: a permit of each breaker, outermost first.
type Permits<'b> = Vec<Permit<'b>>;

struct Script<'b> {
    clock: ScriptClock,
    breakers: &'b [(String, Breaker)],
    configs: &'b [Config],
}

/// How a guarded call ends.
#[derive(Clone, Copy)]
enum End<'v> {
    Success,
    Failure(&'v str),
    Ignored,
    Panic,
}

const STEPS: &[&str] = &[
    "call",
    "calls",
    "acquire",
    "finish",
    "drop",
    "advance",
    "clock",
    "force_open",
    "disable",
    "metrics_only",
    "reset",
    "listen",
    "parallel",
    "read",
];
const PENDING_STEPS: &[&str] =
    &["open", "half_open", "open_for", "open_until", "reconfigure", "snapshot", "restore"];
const STEP_KEYS: &[&str] = &[
    "at_ms",
    "do",
    "expect",
    "outcome",
    "kind",
    "duration_ms",
    "times",
    "as",
    "permit",
    "pattern",
    "ms",
    "to_ms",
    "on",
    "calls",
    "threads",
    "body",
];

pub(crate) fn run(case: &Value) -> Outcome<Verdict> {
    let steps = case["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let named = configs(&case["config"])?;
    for step in steps {
        check_step(step)?;
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let mut breakers = Vec::new();
    let mut configs = Vec::new();
    for (name, config) in named {
        let events = Arc::clone(&events);
        let breaker = Breaker::new(config.policy.clone());
        let breaker = breaker.map_err(|error| Stop::Failed(error.to_string()))?;
        switch(&breaker, config.start);
        let breaker = breaker.with_listener(move |_, event| events.lock().unwrap().push(*event));
        breakers.push((name, breaker));
        configs.push(config);
    }
    let clock = ScriptClock { start: SystemClock.instant(), ms: AtomicU64::new(0) };
    let script = Script { clock, breakers: &breakers, configs: &configs };
    let (mut named, mut held) = (BTreeMap::new(), Vec::new());
    let mut events_total = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        let at = |why| Stop::Failed(format!("step {index}: {why}"));
        let mut seen = script.step(step, &mut named, &mut held)?;
        seen.events = events.lock().unwrap().drain(..).collect();
        expect::add_up(&seen.events, &mut events_total);
        expect::check(&step["expect"], &seen, &breakers, &events_total).map_err(
            |stop| match stop {
                Stop::Failed(why) => at(why),
                Stop::Pending => Stop::Pending,
            },
        )?;
    }
    Ok(Verdict::Passed)
}

fn configs(config: &Value) -> Outcome<Vec<(String, Config)>> {
    if !config["registry"].is_null() {
        check_keys(config, &["registry", "breaker"], &[])?;
        return Err(Stop::Pending);
    }
    let Some(nested) = config["nested"].as_array() else {
        return Ok(vec![(String::new(), Config::parse(config)?)]);
    };
    check_keys(config, &["nested"], &[])?;
    let parse = |one: &Value| {
        check_keys(one, &["name", "breaker"], &[])?;
        Ok((text(one, "name")?.to_owned(), Config::parse(&one["breaker"])?))
    };
    nested.iter().map(parse).collect()
}

fn check_step(step: &Value) -> Outcome {
    let what = text(step, "do")?;
    if !STEPS.contains(&what) && !PENDING_STEPS.contains(&what) && what != "barrier" {
        return failed(format!("unknown step {what:?}"));
    }
    check_keys(step, STEP_KEYS, &["key", "keys", "config", "from", "until_ms"])?;
    expect::check_expect_keys(&step["expect"])?;
    if PENDING_STEPS.contains(&what) { Err(Stop::Pending) } else { Ok(()) }
}

impl<'b> Script<'b> {
    fn step(
        &self,
        step: &Value,
        named: &mut BTreeMap<String, Permits<'b>>,
        held: &mut Vec<Permits<'b>>,
    ) -> Outcome<Seen> {
        let mut seen = Seen::default();
        if !step["at_ms"].is_null() {
            self.clock.set(integer(&step["at_ms"])?);
        }
        let (_, breaker) = &self.breakers[0];
        match text(step, "do")? {
            "call" | "calls" => self.calls(step, &mut seen)?,
            "acquire" => match (self.acquire(&mut seen), step["as"].as_str()) {
                (Some(permits), Some(name)) => drop(named.insert(name.to_owned(), permits)),
                (Some(permits), None) => held.push(permits),
                (None, _) => {}
            },
            "finish" => {
                let permits = take(named, step)?;
                seen.propagated = self.finish(permits, end(step)?);
            }
            "drop" => drop(take(named, step)?),
            "advance" => self.clock.advance(integer(&step["ms"])?),
            "clock" => self.clock.set(integer(&step["to_ms"])?),
            "force_open" => switch(breaker, State::ForcedOpen),
            "disable" => switch(breaker, State::Disabled),
            "metrics_only" => switch(breaker, State::MetricsOnly),
            "reset" => breaker.reset(),
            "listen" => self.listen(step)?,
            "parallel" => self.parallel(step, &mut seen, held)?,
            "read" => {}
            other => return failed(format!("step {other:?} is not allowed here")),
        }
        Ok(seen)
    }

    /// Runs the calls of a `call` or a `calls` step.
    fn calls(&self, step: &Value, seen: &mut Seen) -> Outcome {
        let duration =
            if step["duration_ms"].is_null() { 0 } else { integer(&step["duration_ms"])? };
        let pattern = match step["pattern"].as_str() {
            Some(pattern) => pattern.chars().map(letter).collect::<Outcome<_>>()?,
            None => vec![end(step)?],
        };
        for _ in 0..times(step)? {
            for end in &pattern {
                self.call(*end, duration, seen);
            }
        }
        Ok(())
    }

    fn call(&self, end: End<'_>, duration: u64, seen: &mut Seen) {
        if let End::Panic = end {
            let call = || self.call_and_panic(self.breakers, duration);
            if let Ok(rejection) = catch_unwind(AssertUnwindSafe(call)) {
                seen.reject(String::new(), rejection);
            } else {
                seen.admitted += 1;
                seen.propagated = true;
            }
        } else if let Some(permits) = self.acquire(seen) {
            self.clock.advance(duration);
            self.finish(permits, end);
        }
    }

    /// Passes the breakers in order and panics inside the last, unless one of them rejects.
    fn call_and_panic(&self, breakers: &[(String, Breaker)], duration: u64) -> Rejection {
        let Some(((_, breaker), rest)) = breakers.split_first() else {
            self.clock.advance(duration);
            resume_unwind(Box::new("the guarded call panics"));
        };
        let inner = || Err::<(), _>(self.call_and_panic(rest, duration));
        match breaker.call(|| self.clock.now(), inner) {
            Err(CallError::Rejected(rejection) | CallError::Failed(rejection)) => rejection,
            Ok(()) => unreachable!(),
        }
    }

    /// A permit of each breaker; if a later one rejects, the earlier permits are dropped.
    fn acquire(&self, seen: &mut Seen) -> Option<Permits<'b>> {
        let admit = |(name, breaker): &'b (String, Breaker)| {
            breaker.admit(|| self.clock.now()).map_err(|rejection| (name.clone(), rejection))
        };
        match self.breakers.iter().map(admit).collect::<Result<Permits<'b>, (String, Rejection)>>()
        {
            Ok(permits) => {
                seen.admitted += 1;
                Some(permits)
            }
            Err((name, rejection)) => {
                seen.reject(name, rejection);
                None
            }
        }
    }

    /// Gives each breaker its verdict, innermost first; true if a panic came out.
    fn finish(&self, permits: Permits<'b>, end: End<'_>) -> bool {
        let now = || self.clock.now();
        if let End::Panic = end {
            // Unwinding through the permits is what a panicking call does.
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _permits = permits;
                resume_unwind(Box::new("the guarded call panics"))
            }));
            return unwound.is_err();
        }
        for (permit, config) in permits.into_iter().zip(self.configs).rev() {
            match end {
                End::Success => permit.success(now),
                End::Ignored => permit.ignore(),
                End::Failure(kind) => match config.classify.get(kind).copied() {
                    Some(Judged::Success) => permit.success(now),
                    Some(Judged::Ignored) => permit.ignore(),
                    Some(Judged::Failure) | None => permit.failure(now),
                },
                End::Panic => unreachable!(),
            }
        }
        false
    }

    fn listen(&self, step: &Value) -> Outcome {
        let on = text(step, "on")?.to_owned();
        let calls: Vec<String> = step["calls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|call| call.as_str().map(str::to_owned))
            .collect();
        let now = self.clock.now();
        let (_, breaker) = &self.breakers[0];
        // Adding a listener to a clone adds it to the breaker.
        drop(breaker.clone().with_listener(move |breaker, event| {
            if matches!(event, Event::Transition { from, to, .. } if format!("{from}->{to}") == on)
            {
                react(breaker, &calls, now);
            }
        }));
        Ok(())
    }

    fn parallel(&self, step: &Value, seen: &mut Seen, held: &mut Vec<Permits<'b>>) -> Outcome {
        let threads = integer(&step["threads"])?;
        let body = step["body"].as_array().map_or(&[][..], Vec::as_slice);
        for step in body {
            check_step(step)?;
        }
        let barrier = Barrier::new(usize::try_from(threads).unwrap_or(usize::MAX));
        let work = || {
            let (mut seen, mut own) = (Seen::default(), Vec::new());
            for _ in 0..times(step)? {
                self.body(body, &barrier, &mut seen, &mut own)?;
            }
            Ok((seen, own))
        };
        let results: Vec<Outcome<_>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for result in results {
            let (one, own) = result?;
            seen.admitted += one.admitted;
            seen.rejected += one.rejected;
            held.extend(own);
        }
        Ok(())
    }

    /// One round of one thread.
    fn body(
        &self,
        steps: &[Value],
        barrier: &Barrier,
        seen: &mut Seen,
        own: &mut Vec<Permits<'b>>,
    ) -> Outcome {
        for step in steps {
            match (text(step, "do")?, own.pop()) {
                ("finish", Some(permits)) => drop(self.finish(permits, end(step)?)),
                ("finish", None) => {}
                (other, kept) => {
                    own.extend(kept);
                    match other {
                        "call" | "calls" => self.calls(step, seen)?,
                        "acquire" => own.extend(self.acquire(seen)),
                        "barrier" => drop(barrier.wait()),
                        _ => return failed(format!("step {other:?} is not allowed in a thread")),
                    }
                }
            }
        }
        Ok(())
    }
}

fn switch(breaker: &Breaker, state: State) {
    match state {
        State::ForcedOpen => breaker.force_open(),
        State::Disabled => breaker.disable(),
        State::MetricsOnly => breaker.metrics_only(),
        _ => {}
    }
}

fn react(breaker: &Breaker, calls: &[String], now: Instant) {
    for call in calls {
        match call.as_str() {
            "state" => assert_ne!(breaker.state(), State::Closed),
            "acquire" => drop(breaker.admit(|| now)),
            "reset" => breaker.reset(),
            "panic" => resume_unwind(Box::new("the listener panics")),
            other => panic!("unknown call {other:?} of a listener"),
        }
    }
}

fn take<'b>(named: &mut BTreeMap<String, Permits<'b>>, step: &Value) -> Outcome<Permits<'b>> {
    let name = text(step, "permit")?;
    named.remove(name).map_or_else(|| failed(format!("no permit {name:?}")), Ok)
}

fn times(step: &Value) -> Outcome<u64> {
    if step["times"].is_null() { Ok(1) } else { integer(&step["times"]) }
}

fn end(step: &Value) -> Outcome<End<'_>> {
    match text(step, "outcome")? {
        "success" => Ok(End::Success),
        "failure" => Ok(End::Failure(step["kind"].as_str().unwrap_or_default())),
        "ignored" => Ok(End::Ignored),
        "panic" => Ok(End::Panic),
        other => failed(format!("unknown outcome {other:?}")),
    }
}

fn letter(letter: char) -> Outcome<End<'static>> {
    match letter {
        'S' => Ok(End::Success),
        'F' => Ok(End::Failure("")),
        'I' => Ok(End::Ignored),
        'P' => Ok(End::Panic),
        other => failed(format!("unknown call {other:?}")),
    }
}
