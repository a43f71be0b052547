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

use backstop_circuit_breaker::{Breaker, Event, Permit, Snapshot, Verdict};
use backstop_clock::{Clock, SystemClock, Timestamp};
use backstop_error_taxonomy::Error;
use serde_json::Value;

use super::{
    Outcome, check_keys,
    config::Config,
    expect::{self, Seen},
    failed, integer,
    target::{Events, Permits, Target},
    text,
};

/// A clock that can be set back, unlike the clock of the tests: an instant is only an argument.
pub(crate) struct ScriptClock {
    start: Instant,
    ms: AtomicU64,
}

/// A step that changes nothing but the time, or looks.
const LOOKS: &[&str] = &["state", "states", "open_attempt"];

impl ScriptClock {
    pub(crate) const fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms.load(Ordering::SeqCst))
    }

    fn advance(&self, ms: u64) {
        self.ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn set(&self, ms: u64) {
        self.ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for ScriptClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.ms.load(Ordering::SeqCst).cast_signed())
    }

    fn instant(&self) -> Instant {
        self.now()
    }
}

struct Script {
    clock: Arc<ScriptClock>,
    target: Target,
    events: Events,
    /// What listeners found wrong.
    faults: Arc<Mutex<Vec<String>>>,
    /// Permits by their names, and those that nobody will end.
    named: BTreeMap<String, Permits>,
    held: Vec<Permits>,
    snapshots: BTreeMap<String, (Snapshot, Config)>,
}

/// How a guarded call ends.
#[derive(Clone, Copy)]
enum End<'v> {
    Success,
    Failure(&'v str),
    Ignored,
    Panic,
}

pub(crate) fn run(case: &Value) -> Outcome {
    let steps = case["steps"].as_array().filter(|steps| !steps.is_empty()).ok_or("no steps")?;
    let clock = Arc::new(ScriptClock { start: SystemClock.instant(), ms: AtomicU64::new(0) });
    let events: Events = Arc::new(Mutex::new(Vec::new()));
    let target = Target::build(&case["config"], &clock, &events)?;
    let (named, held, snapshots) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let faults = Arc::default();
    let mut script = Script { clock, target, events, faults, named, held, snapshots };
    let mut events_total = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        let at = |why| format!("step {index}: {why}");
        check_step(step).map_err(at)?;
        let mut seen = script.step(step).map_err(at)?;
        // A longest half-open period that is over is over, whoever looks.
        if LOOKS.iter().any(|key| !step["expect"][key].is_null()) {
            script.target.expire(step["key"].as_str(), script.clock.now());
        }
        seen.events = script.events.lock().unwrap().drain(..).collect();
        expect::add_up(&seen.events, &mut events_total);
        let (target, now) = (&script.target, script.clock.now());
        expect::check(step, &seen, target, &events_total, now).map_err(at)?;
        let fault = script.faults.lock().unwrap().pop();
        fault.map_or(Ok(()), Err).map_err(at)?;
    }
    Ok(())
}

fn check_step(step: &Value) -> Outcome {
    let own: &[&str] = match text(step, "do")? {
        "call" => &["outcome", "kind", "duration_ms", "times", "keys"],
        "calls" => &["pattern", "duration_ms", "times", "keys"],
        "acquire" => &["as", "times"],
        "finish" => &["permit", "outcome", "kind"],
        "drop" => &["permit"],
        "advance" | "open_for" => &["ms"],
        "clock" => &["to_ms"],
        "open_until" => &["until_ms"],
        "reconfigure" => &["config"],
        "snapshot" => &["as"],
        "restore" => &["from"],
        "listen" => &["on", "calls"],
        "parallel" => &["threads", "times", "body"],
        _ => &[],
    };
    check_keys(step, &[&["at_ms", "do", "key", "expect"], own].concat())?;
    expect::check_expect_keys(&step["expect"])
}

impl Script {
    fn step(&mut self, step: &Value) -> Outcome<Seen> {
        let mut seen = Seen::default();
        if !step["at_ms"].is_null() {
            self.clock.set(integer(&step["at_ms"])?);
        }
        match text(step, "do")? {
            "call" | "calls" => self.calls(step, &mut seen)?,
            "acquire" => {
                for _ in 0..times(step)? {
                    let acquired = self.acquire(step["key"].as_str(), &mut seen);
                    self.keep(step, acquired);
                }
            }
            "finish" => {
                let permits = self.take(step)?;
                seen.propagated = self.finish(permits, end(step)?);
            }
            "drop" => drop(self.take(step)?),
            "advance" => self.clock.advance(integer(&step["ms"])?),
            "clock" => self.clock.set(integer(&step["to_ms"])?),
            "reconfigure" => {
                // It is not told the time, and what that has done comes first.
                self.target.expire(step["key"].as_str(), self.clock.now());
                seen.errors = self.target.reconfigure(&step["config"])?;
            }
            "restore" => {
                let kept = self.snapshots.get(text(step, "from")?).ok_or("no such snapshot")?;
                let breaker = Breaker::restore(kept.0.clone(), &*self.clock);
                let breaker = breaker.map_err(|error| error.to_string())?;
                self.target.replace(breaker, kept.1.clone(), &self.events)?;
            }
            "listen" => self.listen(step)?,
            "parallel" => self.parallel(step, &mut seen)?,
            _ => self.control(step, &mut seen)?,
        }
        Ok(seen)
    }

    /// A step by hand, on the breaker that it speaks of.
    fn control(&mut self, step: &Value, seen: &mut Seen) -> Outcome {
        let what = text(step, "do")?;
        let now = self.clock.now();
        let key = step["key"].as_str();
        if what == "read" {
            self.target.expire(key, now);
            return Ok(());
        }
        let breaker = self.target.breaker(key, &self.clock)?;
        // Some are not told the time, and what it has done comes first.
        breaker.expire(now);
        match what {
            "open" => breaker.open(now),
            "open_for" => breaker.open_for(Duration::from_millis(integer(&step["ms"])?), now),
            "open_until" => {
                let until = Duration::from_millis(integer(&step["until_ms"])?);
                breaker.open_until(self.clock.start + until, now);
            }
            "half_open" => {
                if breaker.half_open(now).is_err() {
                    seen.errors.push("illegal_transition".to_owned());
                }
            }
            "force_open" => breaker.force_open(),
            "disable" => breaker.disable(),
            "metrics_only" => breaker.metrics_only(),
            "reset" => breaker.reset(),
            "snapshot" => {
                let kept = (breaker.snapshot(&*self.clock), self.target.config().clone());
                self.snapshots.insert(text(step, "as")?.to_owned(), kept);
            }
            other => return failed(format!("unknown step {other:?}")),
        }
        Ok(())
    }

    /// Runs the calls of a `call` or a `calls` step.
    fn calls(&self, step: &Value, seen: &mut Seen) -> Outcome {
        let duration =
            if step["duration_ms"].is_null() { 0 } else { integer(&step["duration_ms"])? };
        let pattern = match step["pattern"].as_str() {
            Some(pattern) => pattern.chars().map(letter).collect::<Outcome<_>>()?,
            // Where every call is rejected the outcome may be left out.
            None if step["outcome"].is_null() => vec![End::Success],
            None => vec![end(step)?],
        };
        let keys = if step["keys"].is_null() {
            vec![step["key"].as_str().map(str::to_owned)]
        } else {
            check_keys(&step["keys"], &["prefix", "count"])?;
            let prefix = text(&step["keys"], "prefix")?;
            let count = integer(&step["keys"]["count"])?;
            (0..count).map(|n| Some(format!("{prefix}{n}"))).collect()
        };
        let one_round = keys.iter().flat_map(|key| pattern.iter().map(move |end| (key, end)));
        for _ in 0..times(step)? {
            one_round
                .clone()
                .for_each(|(key, end)| self.call(key.as_deref(), *end, duration, seen));
        }
        Ok(())
    }

    fn call(&self, key: Option<&str>, end: End<'_>, duration: u64, seen: &mut Seen) {
        if let Some(permits) = self.acquire(key, seen) {
            self.clock.advance(duration);
            seen.propagated |= self.finish(permits, end);
        }
    }

    fn acquire(&self, key: Option<&str>, seen: &mut Seen) -> Option<Permits> {
        let acquired = self.target.acquire(key, &self.clock);
        if let Target::Keyed(registry, _) = &self.target {
            seen.live_keys_max = seen.live_keys_max.max(registry.occupancy().live);
        }
        match acquired {
            Ok(permits) => {
                seen.admitted += 1;
                seen.is_exempt = permits.iter().any(Permit::is_exempt);
                Some(permits)
            }
            Err((name, rejection)) => {
                seen.reject(name, rejection);
                None
            }
        }
    }

    /// Gives each breaker its verdict, innermost first; true if a panic came out.
    fn finish(&self, permits: Permits, end: End<'_>) -> bool {
        let now = || self.clock.now();
        if let End::Panic = end {
            // Unwinding through guarded calls is what a panic does; these have a clock at hand.
            let unwound = catch_unwind(AssertUnwindSafe(|| panic_in(permits, &self.clock)));
            return unwound.is_err();
        }
        for (place, permit) in permits.into_iter().enumerate().rev() {
            let verdict = match end {
                End::Success => Verdict::Success,
                End::Failure(kind) => self.target.verdict(place, kind),
                End::Ignored | End::Panic => Verdict::Ignored,
            };
            permit.end(verdict, now);
        }
        false
    }

    /// Under its name; without one, or once another has the name, to the end of the scenario.
    fn keep(&mut self, step: &Value, acquired: Option<Permits>) {
        let nameless = match (step["as"].as_str(), acquired) {
            (Some(name), Some(permits)) => self.named.insert(name.to_owned(), permits),
            (_, acquired) => acquired,
        };
        self.held.extend(nameless);
    }

    fn take(&mut self, step: &Value) -> Outcome<Permits> {
        let name = text(step, "permit")?;
        self.named.remove(name).map_or_else(|| failed(format!("no permit {name:?}")), Ok)
    }

    fn listen(&self, step: &Value) -> Outcome {
        let on = text(step, "on")?.to_owned();
        let calls = step["calls"].as_array().filter(|calls| !calls.is_empty());
        let calls = calls.ok_or("a listener without calls")?.iter().map(reaction);
        let calls = calls.collect::<Outcome<Vec<_>>>()?;
        let faults = Arc::clone(&self.faults);
        let clock = Arc::clone(&self.clock);
        let breaker = self.target.breaker(step["key"].as_str(), &self.clock)?;
        // Adding a listener to a clone adds it to the breaker.
        drop(breaker.with_listener(move |breaker, event| {
            let names = expect::transition(event).into_iter();
            if !names.chain(expect::thresholds(&[*event])).any(|name| name == on) {
                return;
            }
            // A panic of a listener goes no further, so an assertion could not fail here.
            if matches!(event, Event::Transition { from, .. } if breaker.state() == *from) {
                faults.lock().unwrap().push(format!("{on} told before it happened"));
            }
            for call in &calls {
                react(breaker, *call, clock.now());
            }
        }));
        Ok(())
    }

    fn parallel(&mut self, step: &Value, seen: &mut Seen) -> Outcome {
        let threads = integer(&step["threads"])?;
        let body = step["body"].as_array().map_or(&[][..], Vec::as_slice);
        for step in body {
            check_step(step)?;
        }
        let barrier = Barrier::new(usize::try_from(threads).unwrap_or(usize::MAX));
        let script = &*self;
        let work = || {
            let (mut seen, mut own) = (Seen::default(), Vec::new());
            for _ in 0..times(step)? {
                let mut round = Vec::new();
                script.body(body, &barrier, &mut seen, &mut round)?;
                own.extend(round);
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
            seen.propagated |= one.propagated;
            seen.rejection = one.rejection.or(seen.rejection.take());
            self.held.extend(own);
        }
        Ok(())
    }

    /// One round of one thread.
    fn body(
        &self,
        steps: &[Value],
        barrier: &Barrier,
        seen: &mut Seen,
        own: &mut Vec<Permits>,
    ) -> Outcome {
        for step in steps {
            match (text(step, "do")?, own.pop()) {
                ("finish", Some(permits)) => seen.propagated |= self.finish(permits, end(step)?),
                ("finish", None) => {}
                (other, kept) => {
                    own.extend(kept);
                    match other {
                        "call" | "calls" => self.calls(step, seen)?,
                        "acquire" => own.extend(self.acquire(step["key"].as_str(), seen)),
                        "barrier" => drop(barrier.wait()),
                        _ => return failed(format!("step {other:?} is not allowed in a thread")),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Panics inside a call that holds these permits.
fn panic_in(mut permits: Permits, clock: &ScriptClock) {
    let Some(permit) = permits.pop() else {
        resume_unwind(Box::new("the guarded call panics"));
    };
    let inner = || {
        panic_in(permits, clock);
        Ok::<(), Error>(())
    };
    drop(permit.call(|| clock.now(), inner));
}

/// What a listener does with the breaker it is handed.
#[derive(Clone, Copy)]
enum Reaction {
    State,
    Acquire,
    Reset,
    Panic,
}

fn reaction(call: &Value) -> Outcome<Reaction> {
    match call.as_str() {
        Some("state") => Ok(Reaction::State),
        Some("acquire") => Ok(Reaction::Acquire),
        Some("reset") => Ok(Reaction::Reset),
        Some("panic") => Ok(Reaction::Panic),
        _ => failed(format!("unknown call {call} of a listener")),
    }
}

fn react(breaker: &Breaker, call: Reaction, now: Instant) {
    match call {
        Reaction::State => drop(breaker.state().to_string()),
        Reaction::Acquire => drop(breaker.admit(|| now)),
        Reaction::Reset => breaker.reset(),
        Reaction::Panic => resume_unwind(Box::new("the listener panics")),
    }
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
