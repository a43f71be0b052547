//! A retry around a breaker around a time limit around a scripted call, on simulated time.

mod config;
mod outside;
mod script;
mod verdict;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, Rejection};
use backstop_clock::{Clock, Sleep, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_retry_backoff::{
    Attempt, Elapsed, Finished, Guard, Handle, Outcome as Answer, Resolution, Retry, StopToken,
    Stopped, budget::Budget, sending,
};
use serde_json::Value;
use trading_host::runtime::{SimClock, Simulation, within};

use self::{
    config::Classified,
    outside::Draws,
    script::{Entry, Script},
};
use super::{Outcome, Stop, fail, known, list};

/// The error of an attempt: its outcome by name.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) outcome: String,
    pub(super) class: Class,
}

impl Failure {
    fn timeout() -> Self {
        Self { outcome: "timeout".to_owned(), class: Class::of(Kind::Timeout) }
    }

    fn rejected(rejection: &Rejection) -> Self {
        Self { outcome: "breaker_rejected".to_owned(), class: rejection.class() }
    }
}

impl Classify for Failure {
    fn class(&self) -> Class {
        self.class
    }
}

impl From<Elapsed> for Failure {
    fn from(_: Elapsed) -> Self {
        Self::timeout()
    }
}

type Ended = Result<Finished<String>, Stopped<Failure>>;

/// What the attempts, the calls and the look-ups did.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Start(u64),
    End(u64),
    Ask(u64),
}

/// One case as it is played.
pub(super) struct Play {
    clock: TestClock,
    breaker: Breaker,
    classified: Classified,
    retry: Retry,
    budget: Option<Arc<Budget>>,
    guard: Guard<u64>,
    /// Answers to "was it accepted?"; `None` if nobody can be asked.
    answers: Option<Vec<String>>,
    asked: Cell<usize>,
    token: StopToken,
    handle: Handle<String>,
    script: Script,
    events: RefCell<Vec<Event>>,
    /// The number and the key that each call was given.
    calls: RefCell<Vec<(u32, u64)>>,
    /// Whether the call that was sent last has an unknown outcome.
    open: Cell<bool>,
    finished_at: Cell<u64>,
}

pub(crate) fn run(case: &Value) -> Outcome<()> {
    let general = ["id", "title", "origin", "note", "tags", "kind"];
    known(case, &[&general[..], &["config", "attempts", "external", "expect"]].concat())?;
    let clock = TestClock::new();
    let config = config::without_nulls(&case["config"]);
    let play = Rc::new(Play::of(&config, &case["attempts"], clock.clone())?);
    let simulation = Simulation::new(clock.inner.clone());
    outside::start(case.get("external"), &play, &simulation.tasks())?;
    let (played, mut draws) = (Rc::clone(&play), Draws::of(&config["draws"])?);
    let ended = simulation.run(async move {
        let ended = played.run(&mut draws).await;
        played.finished_at.set(played.ms());
        ended
    });
    let ended = ended.map_err(|stuck| Stop(stuck.to_string()))?;
    verdict::check(&case["expect"], &play, &ended)
}

impl Play {
    fn of(config: &Value, attempts: &Value, clock: TestClock) -> Outcome<Self> {
        config::known_keys(config)?;
        let wrong = |error: &dyn std::error::Error| Stop(error.to_string());
        let (policy, classified) = config::breaker(&config["breaker"])?;
        let breaker = Breaker::starting(policy, clock.instant()).map_err(|error| wrong(&error))?;
        let mut retry = Retry::new(config::policy(config)?).map_err(|error| wrong(&error))?;
        let rule = config.get("budget").map(config::budget).transpose()?;
        let budget = rule.map(|rule| Budget::new(rule, clock.instant()).map(Arc::new));
        let budget = budget.transpose().map_err(|error| wrong(&error))?;
        if let Some(budget) = &budget {
            retry = retry.with_budget(Arc::clone(budget));
        }
        let unwanted = config.get("retry_on_values").map(list).transpose()?;
        Ok(Self {
            clock,
            breaker,
            classified,
            retry,
            budget,
            guard: config::guard(config)?,
            answers: config.get("resolver").map(config::answers).transpose()?,
            asked: Cell::default(),
            token: StopToken::default(),
            handle: Handle::new(),
            script: Script::of(attempts, unwanted.unwrap_or_default())?,
            events: RefCell::default(),
            calls: RefCell::default(),
            open: Cell::default(),
            finished_at: Cell::default(),
        })
    }

    async fn run(&self, draws: &mut Draws) -> Ended {
        let prepare = |_| self.script.payload();
        let send = |attempt, _payload| self.attempt(attempt);
        let op = sending(prepare, send);
        let call = self.retry.guarded(self.guard).until(&self.token).resolved_by(&self.handle);
        match &self.answers {
            None => call.run(&self.clock, draws, op).await,
            Some(answers) => {
                let look_up = async || self.answer(answers);
                call.asking(look_up).run(&self.clock, draws, op).await
            }
        }
    }

    /// What the resolver says; its last answer repeats.
    fn answer(&self, answers: &[String]) -> Resolution<String> {
        self.tell(Event::Ask(self.ms()));
        let index = self.asked.replace(self.asked.get() + 1);
        match answers.get(index).or(answers.last()).map(String::as_str) {
            Some("found") => Resolution::Found(String::new()),
            Some("not_found") => {
                self.open.set(false);
                Resolution::NotFound
            }
            _ => Resolution::Unknown,
        }
    }

    async fn attempt(&self, attempt: Attempt<u64>) -> Answer<String, Failure> {
        self.tell(Event::Start(self.ms()));
        // Noted also of an attempt that is dropped halfway.
        let _end = AtEnd(self);
        let now = || self.clock.instant();
        let permit = match self.breaker.admit(now) {
            Ok(permit) => permit,
            // It uses up no entry of the script.
            Err(rejection) => return Answer::Failure(Failure::rejected(&rejection)),
        };
        let entry = self.script.next();
        if !entry.is_run() {
            permit.ignore();
            return entry.answer.clone();
        }
        self.calls.borrow_mut().push((attempt.number, attempt.key));
        let answer = self.called(entry, attempt.limit).await;
        let failure = match &answer {
            Answer::Failure(failure) | Answer::Pushback(failure) => Some(failure),
            Answer::Success(_)
            | Answer::Again(_)
            | Answer::AgainAfter(..)
            | Answer::AgainNever(_)
            | Answer::Pending(_) => None,
        };
        let is_unknown = failure.is_some_and(|it| it.class.effect() == Effect::Unknown);
        if entry.is_sent() || is_unknown {
            self.open.set(is_unknown);
        }
        permit.end(self.classified.verdict(&entry.outcome, failure), now);
        answer
    }

    /// The time limit lies inside the breaker, so that it sees a call that is cut.
    async fn called(&self, entry: &Entry, limit: Option<Duration>) -> Answer<String, Failure> {
        if entry.is_sent() {
            self.open.set(true);
        }
        // A call that takes no time is over before anything else can happen.
        if entry.duration.is_zero() {
            return entry.answer.clone();
        }
        let limit = limit.unwrap_or(Duration::MAX);
        let call = self.clock.inner.sleep(entry.duration);
        match within(&self.clock.inner, limit, call).await {
            Some(()) => entry.answer.clone(),
            None => Answer::Failure(Failure::timeout()),
        }
    }

    fn tell(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap()
    }
}

struct AtEnd<'p>(&'p Play);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.tell(Event::End(self.0.ms()));
    }
}

/// The simulated clock as the retry sees it; counts how often a sleep of zero gave way.
#[derive(Clone)]
struct TestClock {
    inner: SimClock,
    yields: Rc<Cell<u32>>,
}

impl TestClock {
    fn new() -> Self {
        Self { inner: SimClock::new(Timestamp::EPOCH), yields: Rc::default() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn instant(&self) -> Instant {
        self.inner.instant()
    }
}

impl Sleep for TestClock {
    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            self.yields.set(self.yields.get() + 1);
        }
        self.inner.sleep(duration).await;
    }
}
