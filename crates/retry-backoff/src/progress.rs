//! The pure core: where one run stands and what comes next.

use std::fmt;
use std::time::{Duration, Instant};

use backstop_error_taxonomy::{Class, Effect, Kind, Transience};
use rand::Rng;

use crate::policy::{OnRefusal, RetryAfter};
use crate::{Guard, Policy};

/// What to do after an attempt that was no success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Wait, then run the operation again.
    Run {
        /// How long to wait.
        after: Duration,
    },
    /// Wait, then look up whether the attempt took effect.
    Ask {
        /// How long to wait.
        after: Duration,
    },
    /// Give up.
    Stop(StopReason),
}

/// Why no further attempt was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// The failure does not pass by itself, or an inner retry has used up its attempts.
    Permanent,
    /// The request may have taken effect and must not be sent twice.
    UnknownOutcome,
    /// The next attempt would send something else while an outcome is open.
    ModifiedAfterUnknown,
    /// The other side says that the request took effect; fetch its outcome.
    AlreadyApplied,
    /// A circuit breaker refused the call; waiting on it would defeat it.
    BreakerRefused,
    /// The other side asked not to be tried again.
    Pushback,
    /// The deadline is reached, or the next sleep would reach it.
    Deadline,
    /// All attempts are used up.
    AttemptsExhausted,
    /// The budget that is shared with other calls grants no retry.
    BudgetExhausted,
    /// Somebody stopped the run by its token.
    Cancelled,
}

impl StopReason {
    /// A stable `snake_case` name, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::UnknownOutcome => "unknown_outcome",
            Self::ModifiedAfterUnknown => "modified_after_unknown",
            Self::AlreadyApplied => "already_applied",
            Self::BreakerRefused => "breaker_refused",
            Self::Pushback => "pushback",
            Self::Deadline => "deadline",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an attempt came to, if not to success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It failed.
    Failed(Class),
    /// It failed, and the other side asked not to be tried again.
    PushedBack(Class),
    /// It gave a value that asks for another try.
    Unwanted,
    /// It gave such a value, and the other side asked to be left alone for so long.
    Later(Duration),
    /// It gave such a value, and the other side asked not to be tried again.
    Never,
    /// It gave such a value, and the request may take effect yet.
    Pending,
}

impl Trouble {
    /// The class of the failure, if it was one.
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::Failed(class) | Self::PushedBack(class) => Some(class),
            Self::Unwanted | Self::Later(_) | Self::Never | Self::Pending => None,
        }
    }

    /// How long the other side asked to be left alone, if it did.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Failed(class) | Self::PushedBack(class) => class.retry_after(),
            Self::Later(after) => Some(after),
            Self::Unwanted | Self::Never | Self::Pending => None,
        }
    }
}

/// Where one run stands; decides without clock, sleep or input and output.
///
/// [`Call::run`](crate::Call::run) drives it; drive it yourself where no future fits.
///
/// | after an attempt, first line that fits | step |
/// |---|---|
/// | it took effect | stop, `AlreadyApplied` |
/// | effect unknown, `Once`, and nobody to ask or not transient | stop, `UnknownOutcome` |
/// | a pending value, `Once`, and nobody to ask | stop, `UnknownOutcome` |
/// | refused by a circuit breaker, unless told to wait or to retry | stop, `BreakerRefused` |
/// | permanent or exhausted | stop, `Permanent` |
/// | deadline reached | stop, `Deadline` |
/// | last attempt | stop, `AttemptsExhausted` |
/// | the other side asked not to come back | stop, `Pushback` |
/// | the sleep would not end before the deadline | stop, `Deadline` |
/// | effect unknown or a pending value, `Once` | ask |
/// | otherwise | run |
///
/// A driver asks the [`Budget`](crate::budget::Budget) last, so that no token is spent on a run that
/// ends for another reason.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{Clock, SystemClock};
/// use backstop_error_taxonomy::{Class, Kind};
/// use backstop_retry_backoff::pure::{Step, Trouble};
/// use backstop_retry_backoff::{Guard, Jitter, Policy, Retry, Schedule, StopReason};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(7);
/// let now = SystemClock.instant();
/// let second = Duration::from_secs(1);
/// let policy = Policy::new(Schedule::fixed(second).with_jitter(Jitter::None));
///
/// let mut order = Retry::new(policy)?.start(&Guard::Once("order 7"), now);
/// // Refused before processing: send it again. No answer: never.
/// let busy = Trouble::Failed(Class::of(Kind::RateLimited));
/// assert_eq!(order.next(busy, now, &mut rng), Step::Run { after: second });
/// assert_eq!(order.resume(now + second), Ok(2));
/// let silent = Trouble::Failed(Class::of(Kind::Timeout));
/// let step = order.next(silent, now + second, &mut rng);
/// assert_eq!(step, Step::Stop(StopReason::UnknownOutcome));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    policy: Policy,
    guard: Guard<()>,
    /// Whether an unknown outcome can be looked up.
    can_ask: bool,
    /// `None` if there is none, or if it lies beyond what the clock can tell.
    deadline: Option<Instant>,
    not_before: Option<Instant>,
    /// Number of the attempt that runs or ran last, from 1.
    attempt: u32,
    /// Position in the schedule; an exact hint sets it back.
    position: u32,
    /// The delay before, for a schedule that builds on it.
    previous: Duration,
    /// Whether an attempt may have taken effect and nobody has found out.
    unsettled: bool,
}

impl Progress {
    pub(crate) fn new(policy: Policy, guard: Guard<()>, now: Instant) -> Self {
        let deadline = policy.deadline.and_then(|deadline| now.checked_add(deadline));
        Self {
            policy,
            guard,
            can_ask: false,
            deadline,
            not_before: None,
            attempt: 1,
            position: 0,
            previous: Duration::ZERO,
            unsettled: false,
        }
    }

    /// States that somebody answers [`Step::Ask`].
    #[must_use]
    pub fn with_look_up(mut self) -> Self {
        self.can_ask = true;
        self
    }

    /// States a moment before which no attempt starts, the first included.
    #[must_use]
    pub fn with_not_before(mut self, moment: Instant) -> Self {
        self.not_before = Some(moment);
        self
    }

    /// How long to wait before the first attempt.
    ///
    /// # Errors
    /// [`StopReason::Deadline`] if the wait would not end before the deadline.
    pub fn lead(&self, now: Instant) -> Result<Duration, StopReason> {
        let lead = self.at_least(Duration::ZERO, now);
        // Without a wait a reached deadline is the attempt's own affair.
        if !lead.is_zero() && self.rest(now).is_some_and(|rest| lead >= rest) {
            return Err(StopReason::Deadline);
        }
        Ok(lead)
    }

    /// The wait before the first attempt is over.
    ///
    /// # Errors
    /// [`StopReason::Deadline`] if it took longer than asked and the deadline is reached.
    pub fn begin(&self, now: Instant) -> Result<(), StopReason> {
        if self.rest(now) == Some(Duration::ZERO) { Err(StopReason::Deadline) } else { Ok(()) }
    }

    /// Number of the attempt that runs or ran last, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether an attempt may have taken effect and nobody has found out.
    pub fn is_open(&self) -> bool {
        self.unsettled
    }

    /// How long an attempt or look-up that starts now may take; `None` for any time.
    pub fn limit(&self, now: Instant) -> Option<Duration> {
        self.policy.limit(self.rest(now))
    }

    /// The attempt was no success; says what comes next.
    ///
    /// Takes at most one draw from `rng`, and none if it stops before the delay matters.
    pub fn next(&mut self, trouble: Trouble, now: Instant, rng: &mut (impl Rng + ?Sized)) -> Step {
        let unknown = is_unknown(trouble);
        self.unsettled |= unknown;
        if let Some(reason) = self.refusal(trouble, now) {
            return Step::Stop(reason);
        }
        let delay = self.delay(trouble, rng);
        let after = self.at_least(delay, now);
        // A sleep that ends at the deadline leaves no time for the attempt after it.
        if self.rest(now).is_some_and(|rest| after >= rest) {
            return Step::Stop(StopReason::Deadline);
        }
        if unknown && self.guard.is_once() { Step::Ask { after } } else { Step::Run { after } }
    }

    /// An attempt was dropped halfway, so nobody knows what became of it.
    pub(crate) fn lose_sight(&mut self) {
        self.unsettled = true;
    }

    /// The look-up found that no attempt took effect.
    pub fn not_applied(&mut self) {
        self.unsettled = false;
    }

    /// The wait is over; gives the number of the next attempt.
    ///
    /// # Errors
    /// [`StopReason::Deadline`] if the wait took longer than asked and the deadline is reached;
    /// [`StopReason::UnknownOutcome`] if the last outcome is still open and must not be resent.
    pub fn resume(&mut self, now: Instant) -> Result<u32, StopReason> {
        if self.unsettled && self.guard.is_once() {
            return Err(StopReason::UnknownOutcome);
        }
        if self.rest(now) == Some(Duration::ZERO) {
            return Err(StopReason::Deadline);
        }
        self.attempt = self.attempt.saturating_add(1);
        Ok(self.attempt)
    }

    /// The class of the whole run, which stopped for `reason` on a failure of class `last`.
    ///
    /// The effect stays unknown if any attempt may have taken effect, whatever the last one said.
    /// A retry that is used up is exhausted, so that an outer retry does not start over; one whose
    /// outcome is open under [`Guard::Once`], or that would send something else, is permanent,
    /// whatever the outer retry is told.
    pub fn class(&self, last: Option<Class>, reason: StopReason) -> Class {
        let last = last.unwrap_or_else(|| {
            let kind = if reason == StopReason::Deadline { Kind::Timeout } else { Kind::Cancelled };
            Class::of(kind).with_effect(Effect::NotApplied)
        });
        let effect = match last.effect() {
            Effect::Applied => Effect::Applied,
            Effect::NotApplied | Effect::Unknown if self.unsettled => Effect::Unknown,
            Effect::NotApplied | Effect::Unknown => Effect::NotApplied,
        };
        let class = last.with_effect(effect);
        match reason {
            StopReason::UnknownOutcome | StopReason::ModifiedAfterUnknown => {
                class.with_transience(Transience::Permanent)
            }
            StopReason::Permanent | StopReason::AlreadyApplied | StopReason::BreakerRefused => {
                class
            }
            _ if self.unsettled && self.guard.is_once() => {
                class.with_transience(Transience::Permanent)
            }
            StopReason::Deadline
            | StopReason::AttemptsExhausted
            | StopReason::BudgetExhausted
            | StopReason::Pushback
            | StopReason::Cancelled => class.exhausted(),
        }
    }

    /// Whether the failure may be retried as far as it is concerned itself.
    pub(crate) fn is_retryable(&self, class: Class) -> bool {
        self.outcome(class).is_none()
    }

    fn passes(&self, class: Class) -> bool {
        match class.transience() {
            Transience::Transient => true,
            Transience::Exhausted => self.policy.retries_exhausted,
            Transience::Permanent => false,
        }
    }

    fn refusal(&self, trouble: Trouble, now: Instant) -> Option<StopReason> {
        let is_final = is_unknown(trouble) && self.guard.is_once() && !self.can_ask;
        let reason = match trouble.class() {
            Some(class) => self.outcome(class),
            None => is_final.then_some(StopReason::UnknownOutcome),
        };
        if reason.is_some() {
            return reason;
        }
        if self.rest(now) == Some(Duration::ZERO) {
            return Some(StopReason::Deadline);
        }
        if self.attempt >= self.policy.attempts_max {
            return Some(StopReason::AttemptsExhausted);
        }
        let is_pushback = matches!(trouble, Trouble::PushedBack(_) | Trouble::Never);
        is_pushback.then_some(StopReason::Pushback)
    }

    /// Why the failure itself forbids another attempt.
    fn outcome(&self, class: Class) -> Option<StopReason> {
        let passes = self.passes(class);
        match class.effect() {
            Effect::Applied => return Some(StopReason::AlreadyApplied),
            Effect::Unknown if self.guard.is_once() && !(self.can_ask && passes) => {
                return Some(StopReason::UnknownOutcome);
            }
            Effect::Unknown | Effect::NotApplied => {}
        }
        let refused = class.is_breaker_refusal()
            && match self.policy.on_refusal {
                OnRefusal::Stop => true,
                OnRefusal::Wait => class.retry_after().is_none(),
                OnRefusal::Retry => false,
            };
        if refused {
            return Some(StopReason::BreakerRefused);
        }
        (!passes).then_some(StopReason::Permanent)
    }

    /// The delay after the attempt; moves the position in the schedule.
    ///
    /// A hint counts as the other side's wish not to be asked earlier: jitter is added to it,
    /// never taken away, and the cap of the schedule does not apply.
    fn delay(&mut self, trouble: Trouble, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let hint = trouble.retry_after();
        let refused = trouble.class().is_some_and(Class::is_breaker_refusal);
        let hint = if refused && self.policy.on_refusal == OnRefusal::Retry { None } else { hint };
        if let Some(hint) = hint
            && !refused
            && self.policy.retry_after == RetryAfter::Exact
        {
            (self.position, self.previous) = (0, Duration::ZERO);
            return hint;
        }
        self.position = self.position.saturating_add(1);
        let schedule = self.policy.schedule;
        let scheduled = schedule.delay(self.position, self.previous, rng);
        self.previous = scheduled;
        let Some(hint) = hint else { return scheduled };
        if refused {
            return hint;
        }
        let nominal = schedule.nominal(self.position);
        let jitter = if schedule.has_chance() { scheduled.min(nominal) } else { Duration::ZERO };
        let longest = match self.policy.retry_after {
            RetryAfter::Bounded(bound) => nominal.saturating_add(bound),
            RetryAfter::Unbounded | RetryAfter::Exact => Duration::MAX,
        };
        hint.saturating_add(jitter).min(longest).max(scheduled)
    }

    /// The delay, or longer if the attempt after it may not start so early.
    fn at_least(&self, delay: Duration, now: Instant) -> Duration {
        let earliest = self.not_before.map(|moment| moment.saturating_duration_since(now));
        earliest.map_or(delay, |earliest| earliest.max(delay))
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }
}

/// Whether the attempt may have taken effect, or may do so yet.
fn is_unknown(trouble: Trouble) -> bool {
    match trouble {
        Trouble::Failed(class) | Trouble::PushedBack(class) => class.effect() == Effect::Unknown,
        Trouble::Pending => true,
        // The answer arrived and is no more than that.
        Trouble::Unwanted | Trouble::Later(_) | Trouble::Never => false,
    }
}
