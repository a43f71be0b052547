//! The pure core: where one run stands and what comes next.

use std::fmt;
use std::time::{Duration, Instant};

use backstop_error_taxonomy::{Class, Effect, Transience};
use rand::Rng;

use crate::{Guard, Policy};

/// What to do after a failed attempt.
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
    /// The other side says that the request took effect; fetch its outcome.
    AlreadyApplied,
    /// A circuit breaker refused the call; waiting on it would defeat it.
    BreakerRefused,
    /// The deadline is reached, or the next sleep would reach it.
    Deadline,
    /// All attempts are used up.
    AttemptsExhausted,
}

impl StopReason {
    /// A stable `snake_case` name, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::UnknownOutcome => "unknown_outcome",
            Self::AlreadyApplied => "already_applied",
            Self::BreakerRefused => "breaker_refused",
            Self::Deadline => "deadline",
            Self::AttemptsExhausted => "attempts_exhausted",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where one run stands; decides without clock, sleep or input and output.
///
/// [`Retry::run`](crate::Retry::run) drives it; drive it yourself where no future fits.
///
/// | after a failure, first line that fits | step |
/// |---|---|
/// | it took effect | stop, `AlreadyApplied` |
/// | effect unknown, `Once`, and nobody to ask or not transient | stop, `UnknownOutcome` |
/// | refused by a circuit breaker | stop, `BreakerRefused` |
/// | permanent or exhausted | stop, `Permanent` |
/// | deadline reached | stop, `Deadline` |
/// | last attempt | stop, `AttemptsExhausted` |
/// | the sleep would not end before the deadline | stop, `Deadline` |
/// | effect unknown, `Once` | ask |
/// | otherwise | run |
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{Clock, SystemClock};
/// use backstop_error_taxonomy::{Class, Kind};
/// use backstop_retry_backoff::{Guard, Jitter, Policy, Retry, Schedule, Step, StopReason};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(7);
/// let now = SystemClock.instant();
/// let second = Duration::from_secs(1);
/// let policy = Policy::new(Schedule::fixed(second).with_jitter(Jitter::None));
///
/// let mut order = Retry::new(policy, Guard::Once)?.start(now);
/// // Refused before processing: send it again. No answer: never.
/// let busy = order.failed(Class::of(Kind::RateLimited), now, &mut rng);
/// assert_eq!(busy, Step::Run { after: second });
/// assert_eq!(order.resume(now + second), Ok(2));
/// let silent = order.failed(Class::of(Kind::Timeout), now + second, &mut rng);
/// assert_eq!(silent, Step::Stop(StopReason::UnknownOutcome));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    policy: Policy,
    guard: Guard,
    /// Whether an unknown outcome can be looked up.
    can_ask: bool,
    /// `None` if there is none, or if it lies beyond what the clock can tell.
    deadline: Option<Instant>,
    /// Number of the attempt that runs or ran last, from 1.
    attempt: u32,
    /// Whether an attempt may have taken effect and nobody has found out.
    unsettled: bool,
}

impl Progress {
    pub(crate) fn new(policy: Policy, guard: Guard, now: Instant) -> Self {
        let deadline = policy.deadline().and_then(|deadline| now.checked_add(deadline));
        Self { policy, guard, can_ask: false, deadline, attempt: 1, unsettled: false }
    }

    /// States that somebody answers [`Step::Ask`].
    #[must_use]
    pub fn with_look_up(mut self) -> Self {
        self.can_ask = true;
        self
    }

    /// Number of the attempt that runs or ran last, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How long an attempt or look-up that starts now may take; `None` for any time.
    pub fn limit(&self, now: Instant) -> Option<Duration> {
        match (self.policy.attempt_timeout(), self.rest(now)) {
            (Some(timeout), Some(rest)) => Some(timeout.min(rest)),
            (timeout, rest) => timeout.or(rest),
        }
    }

    /// The attempt failed with `class`; says what comes next.
    ///
    /// Takes at most one draw from `rng`, and none if it stops before the delay matters.
    pub fn failed(&mut self, class: Class, now: Instant, rng: &mut (impl Rng + ?Sized)) -> Step {
        let unknown = class.effect() == Effect::Unknown;
        self.unsettled |= unknown;
        if let Some(reason) = self.refusal(class, now) {
            return Step::Stop(reason);
        }
        let after = self.policy.delay(self.attempt, class.retry_after(), rng);
        // A sleep that ends at the deadline leaves no time for the attempt after it.
        if self.rest(now).is_some_and(|rest| after >= rest) {
            return Step::Stop(StopReason::Deadline);
        }
        if unknown && self.guard == Guard::Once { Step::Ask { after } } else { Step::Run { after } }
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
        if self.unsettled && self.guard == Guard::Once {
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
    /// A retry that is used up, or refused because the outcome is unknown, is exhausted, so that
    /// an outer retry does not start over.
    pub fn class(&self, last: Class, reason: StopReason) -> Class {
        let effect = match last.effect() {
            Effect::Applied => Effect::Applied,
            Effect::NotApplied | Effect::Unknown if self.unsettled => Effect::Unknown,
            Effect::NotApplied | Effect::Unknown => Effect::NotApplied,
        };
        let class = last.with_effect(effect);
        match reason {
            StopReason::Deadline | StopReason::AttemptsExhausted | StopReason::UnknownOutcome => {
                class.exhausted()
            }
            StopReason::Permanent | StopReason::AlreadyApplied | StopReason::BreakerRefused => {
                class
            }
        }
    }

    fn refusal(&self, class: Class, now: Instant) -> Option<StopReason> {
        let transient = class.transience() == Transience::Transient;
        match class.effect() {
            Effect::Applied => return Some(StopReason::AlreadyApplied),
            Effect::Unknown if self.guard == Guard::Once && !(self.can_ask && transient) => {
                return Some(StopReason::UnknownOutcome);
            }
            Effect::Unknown | Effect::NotApplied => {}
        }
        if class.is_breaker_refusal() {
            return Some(StopReason::BreakerRefused);
        }
        if !transient {
            return Some(StopReason::Permanent);
        }
        if self.rest(now) == Some(Duration::ZERO) {
            return Some(StopReason::Deadline);
        }
        (self.attempt >= self.policy.attempts_max()).then_some(StopReason::AttemptsExhausted)
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }
}
