//! How often, how long, and what is believed.

use std::time::Duration;

use crate::Schedule;
use crate::error::{PolicyError, Problem};

/// One try and three retries, what the peers' "three retries" means.
const ATTEMPTS_MAX: u32 = 4;

/// How far a `Retry-After` may go beyond the schedule unless stated.
///
/// AWS's clients use the same five seconds: longer, and a broken server stops its clients.
const HINT_BOUND: Duration = Duration::from_secs(5);

/// How far the other side's wish to be left alone is followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RetryAfter {
    /// At least the scheduled delay, at most this much above the nominal one.
    #[cfg_attr(feature = "serde", serde(rename = "bounded_ms", with = "crate::plain::millis"))]
    Bounded(Duration),
    /// At least the scheduled delay, however long; only the deadline limits the wait.
    Unbounded,
    /// Exactly as long as asked, also if shorter; the schedule starts again at its first delay.
    Exact,
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self::Bounded(HINT_BOUND)
    }
}

/// What a refusal by the circuit breaker directly inside the loop leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OnRefusal {
    /// The run stops: waiting on an open breaker would defeat it.
    #[default]
    Stop,
    /// Sleeps as long as the breaker says; stops if it does not say.
    Wait,
    /// Sleeps as scheduled.
    Retry,
}

/// The settings of a retry loop, as plain data.
///
/// | setting | default |
/// |---|---|
/// | attempts | 4, the first included |
/// | deadline | none |
/// | attempt timeout | none |
/// | `Retry-After` | followed up to 5 s above the nominal delay |
/// | refusal by a breaker | stops |
/// | exhausted inner retry | final |
///
/// ```
/// use std::time::Duration;
/// use backstop_retry_backoff::{Policy, Retry, Schedule};
///
/// let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)))
///     .with_attempts_max(4)
///     .with_deadline(Duration::from_secs(20))
///     .with_attempt_timeout(Duration::from_secs(2));
/// assert!(Retry::new(policy).is_ok());
///
/// let refused = Retry::new(policy.with_attempts_max(0)).unwrap_err();
/// assert_eq!(refused.problems()[0].setting(), "attempts_max");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "crate::plain::Policy"))]
#[cfg_attr(feature = "serde", serde(into = "crate::plain::Policy"))]
pub struct Policy {
    pub(crate) schedule: Schedule,
    pub(crate) attempts_max: u32,
    pub(crate) deadline: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) retry_after: RetryAfter,
    pub(crate) on_refusal: OnRefusal,
    pub(crate) retries_exhausted: bool,
}

impl Policy {
    /// A policy with the defaults and this schedule.
    pub const fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            attempts_max: ATTEMPTS_MAX,
            deadline: None,
            attempt_timeout: None,
            retry_after: RetryAfter::Bounded(HINT_BOUND),
            on_refusal: OnRefusal::Stop,
            retries_exhausted: false,
        }
    }

    /// Sets how many attempts there may be, the first included.
    #[must_use]
    pub const fn with_attempts_max(mut self, attempts_max: u32) -> Self {
        self.attempts_max = attempts_max;
        self
    }

    /// Sets the time for everything together: attempts, sleeps and look-ups.
    ///
    /// An attempt still running then is cut, and no sleep is started that would not end before.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the time for one attempt, after which it is cut and its outcome unknown.
    #[must_use]
    pub const fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets how far the other side's `Retry-After` is followed.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Sets what a refusal by the circuit breaker inside the loop leads to.
    #[must_use]
    pub const fn with_on_refusal(mut self, on_refusal: OnRefusal) -> Self {
        self.on_refusal = on_refusal;
        self
    }

    /// Tries again what an inner retry has given up after its own attempts.
    ///
    /// The attempts multiply: three around three are nine calls against a side that is down.
    #[must_use]
    pub const fn with_exhausted_retried(mut self) -> Self {
        self.retries_exhausted = true;
        self
    }

    /// The delays between the attempts.
    pub const fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// How long an attempt may take with so much left before the deadline; `None` for any time.
    #[inline]
    pub(crate) fn limit(&self, rest: Option<Duration>) -> Option<Duration> {
        match (self.attempt_timeout, rest) {
            (Some(timeout), Some(rest)) => Some(timeout.min(rest)),
            (timeout, rest) => timeout.or(rest),
        }
    }

    /// How long the first attempt may take if it starts at once; `None` for any time.
    #[inline]
    pub(crate) fn first_limit(&self) -> Option<Duration> {
        self.limit(self.deadline)
    }

    pub(crate) const fn is_timed(&self) -> bool {
        self.deadline.is_some() || self.attempt_timeout.is_some()
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        let mut problems = Vec::new();
        self.schedule.check(&mut problems);
        if self.attempts_max == 0 {
            problems.push(Problem::NoAttempts);
        }
        if self.deadline == Some(Duration::ZERO) {
            problems.push(Problem::NoTime { setting: "deadline" });
        }
        if self.attempt_timeout == Some(Duration::ZERO) {
            problems.push(Problem::NoTime { setting: "attempt_timeout" });
        }
        PolicyError::check(problems)
    }
}
