//! What both drivers share: one run with its progress, budget, history and observer.

use std::time::{Duration, Instant};

use backstop_error_taxonomy::{Class, Classify, Effect};
use rand::Rng;

use crate::budget::Spending;
use crate::history::History;
use crate::history::Past;
use crate::observer::Event;
use crate::progress::{Progress, Step, Trouble};
use crate::within::Limit;
use crate::{
    Attempt, Call, Ending, Finished, Handle, Outcome, Retry, StopReason, StopToken, Stopped,
};

/// The last attempt's answer, if it was no success.
#[derive(Debug)]
pub(crate) enum Last<T, E> {
    /// There was no attempt.
    None,
    Failed(E, Class),
    PushedBack(E, Class),
    /// With how long the other side asked to wait, if it did.
    Value(T, Option<Duration>),
    /// A value whose sender asked not to come back.
    Never(T),
    /// A value after which the request may take effect yet.
    Pending(T),
}

impl<T, E: Classify> Last<T, E> {
    /// The attempt was cut.
    ///
    /// Whatever the error's own type claims: a cut attempt may have been processed.
    pub(crate) fn cut(error: E) -> Self {
        let class = error.class().with_effect(Effect::Unknown);
        Self::Failed(error, class)
    }

    /// The value of a success, or what stands in its place.
    #[inline]
    pub(crate) fn of(outcome: Outcome<T, E>) -> Result<T, Self> {
        match outcome {
            Outcome::Success(value) => Ok(value),
            Outcome::Again(value) => Err(Self::Value(value, None)),
            Outcome::AgainAfter(value, after) => Err(Self::Value(value, Some(after))),
            Outcome::AgainNever(value) => Err(Self::Never(value)),
            Outcome::Pending(value) => Err(Self::Pending(value)),
            Outcome::Failure(error) => Err(Self::failed(error)),
            Outcome::Pushback(error) => Err(Self::pushed_back(error)),
        }
    }

    pub(crate) fn failed(error: E) -> Self {
        let class = error.class();
        Self::Failed(error, class)
    }

    pub(crate) fn pushed_back(error: E) -> Self {
        let class = error.class();
        Self::PushedBack(error, class)
    }
}

/// How a step ends the run.
#[derive(Debug)]
pub(crate) enum Exit<T> {
    Finished(Finished<T>),
    Stop(StopReason),
}

/// One run, from its first failure on or from the start if the policy needs it.
#[derive(Debug)]
pub(crate) struct Run<'c, T> {
    retry: &'c Retry,
    pub(crate) progress: Progress,
    spending: Option<Spending<'c>>,
    history: History,
    token: Option<&'c StopToken>,
    handle: Option<&'c Handle<T>>,
    is_once: bool,
    /// How many attempts were made.
    made: u32,
    /// Whether an attempt comes next, and not the judgement on one.
    is_due: bool,
}

impl<'c, T> Run<'c, T> {
    pub(crate) fn new<K, L>(call: &Call<'c, T, K, L>, now: Instant, can_ask: bool) -> Self {
        let mut progress = call.retry.start(&call.guard, now);
        if can_ask {
            progress = progress.with_look_up();
        }
        if let Some(moment) = call.not_before {
            progress = progress.with_not_before(moment);
        }
        Self {
            retry: call.retry,
            progress,
            spending: call.retry.budget().map(|budget| budget.begin()),
            history: History::default(),
            token: call.token,
            handle: call.handle,
            is_once: call.guard.is_once(),
            made: 0,
            is_due: true,
        }
    }

    /// The first attempt was made before the run was set up.
    pub(crate) fn with_first_made(mut self) -> Self {
        (self.made, self.is_due) = (1, false);
        self
    }

    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }

    /// The wait is over, see [`Progress::resume`].
    pub(crate) fn resume(&mut self, now: Instant) -> Result<(), StopReason> {
        self.progress.resume(now)?;
        self.is_due = true;
        Ok(())
    }

    pub(crate) fn token(&self) -> Option<&'c StopToken> {
        self.token
    }

    pub(crate) fn handle(&self) -> Option<&'c Handle<T>> {
        self.handle
    }

    /// Nothing from outside ends the run before the next step.
    pub(crate) fn ready(&self) -> Result<(), Exit<T>> {
        if let Some(finished) = self.arrived() {
            return Err(Exit::Finished(finished));
        }
        if self.is_stopped() { Err(Exit::Stop(StopReason::Cancelled)) } else { Ok(()) }
    }

    fn is_stopped(&self) -> bool {
        self.token.is_some_and(StopToken::is_stopped)
    }

    /// The value that somebody else knew, if it has arrived.
    fn arrived(&self) -> Option<Finished<T>> {
        self.handle.and_then(Handle::take).map(|value| self.resolved(value))
    }

    /// How long an attempt or look-up that starts now may take; reads no clock without need.
    pub(crate) fn limit(&self, now: impl FnOnce() -> Instant) -> Option<Limit> {
        if !self.retry.policy().is_timed() {
            return None;
        }
        let since = now();
        self.progress.limit(since).map(|lasts| Limit { since, lasts })
    }

    /// What the operation is told about the attempt that comes.
    pub(crate) fn attempt<K>(&self, key: K, limit: Option<Duration>) -> Attempt<K> {
        Attempt { number: self.progress.attempt(), key, limit }
    }

    /// An attempt is made now.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.made = self.progress.attempt();
        self.tell(|attempt| Event::Started { attempt });
        if let Some(spending) = &mut self.spending {
            spending.sent(|| now);
        }
    }

    pub(crate) fn succeeded(&mut self, value: T, now: impl FnOnce() -> Instant) -> Finished<T> {
        if let Some(spending) = &mut self.spending {
            spending.succeeded(now);
        }
        Finished::new(value, self.made, Ending::Success)
    }

    pub(crate) fn resolved(&self, value: T) -> Finished<T> {
        self.tell(|attempt| Event::Resolved { attempt });
        Finished::new(value, self.made, Ending::Resolved)
    }

    /// The attempt was no success; says what comes next.
    pub(crate) fn next<E>(
        &mut self,
        last: &Last<T, E>,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Step {
        let trouble = match *last {
            Last::Failed(_, class) => Trouble::Failed(class),
            Last::PushedBack(_, class) => Trouble::PushedBack(class),
            Last::Value(_, Some(after)) => Trouble::Later(after),
            Last::Never(_) => Trouble::Never,
            Last::Pending(_) => Trouble::Pending,
            Last::Value(_, None) | Last::None => Trouble::Unwanted,
        };
        let class = trouble.class();
        if let Some(spending) = &mut self.spending {
            spending.failed(class.is_some_and(|class| self.progress.is_retryable(class)));
        }
        match class {
            Some(class) => self.tell(|attempt| Event::Failed { attempt, class }),
            None => self.tell(|attempt| Event::Unwanted { attempt }),
        }
        let mut step = self.progress.next(trouble, now, rng);
        // The outcome is noted all the same; only what would come next is off.
        if self.is_stopped() {
            step = Step::Stop(StopReason::Cancelled);
        }
        if !matches!(step, Step::Stop(_))
            && let Some(spending) = &mut self.spending
            && !spending.grants(class, now, rng)
        {
            step = Step::Stop(StopReason::BudgetExhausted);
        }
        let slept = match step {
            Step::Run { after } | Step::Ask { after } => Some(after),
            Step::Stop(_) => None,
        };
        self.history.push(Past { attempt: self.made, class, ended_at: now, slept });
        if let Some(delay) = slept {
            self.tell(|attempt| Event::Sleeping { attempt, delay });
        }
        step
    }

    /// The end without success.
    pub(crate) fn stop<E>(
        self,
        reason: StopReason,
        last: Last<T, E>,
    ) -> Result<Finished<T>, Stopped<E>> {
        // The news may have come while the last step was decided.
        if let Some(value) = self.handle.and_then(Handle::close) {
            return Ok(self.resolved(value));
        }
        self.tell(|attempt| Event::Stopped { attempt, reason });
        let (error, class) = match last {
            Last::Value(value, _) | Last::Never(value) | Last::Pending(value) => {
                let is_open = self.progress.is_open();
                let finished = Finished::new(value, self.made, Ending::Unwanted(reason));
                return Ok(Finished { is_open, ..finished });
            }
            Last::Failed(error, class) | Last::PushedBack(error, class) => {
                (Some(error), Some(class))
            }
            Last::None => (None, None),
        };
        Err(Stopped {
            reason,
            error,
            attempts: self.made,
            class: self.progress.class(class, reason),
            history: self.history,
            is_once: self.is_once,
        })
    }

    #[inline]
    fn tell(&self, event: impl FnOnce(u32) -> Event) {
        if let Some(observer) = self.retry.observer() {
            observer.observe(event(self.made));
        }
    }
}

/// Closes the handle when the run ends in any way, so that late news are not swallowed.
#[derive(Debug)]
pub(crate) struct Closing<'c, T>(pub(crate) Option<&'c Handle<T>>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        if let Some(handle) = self.0 {
            handle.close();
        }
    }
}
