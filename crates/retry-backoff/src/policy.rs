//! How often, how long, and for whom.

use std::time::Duration;

use backstop_error_taxonomy::{Class, Classify, Kind};
use rand::Rng;

use crate::Schedule;

/// One try and three retries, what the peers' "three retries" means.
const ATTEMPTS_MAX: u32 = 4;

/// How far a `Retry-After` may go beyond the schedule unless stated.
///
/// AWS's clients use the same five seconds: longer, and a broken server stops its clients.
const HINT_BOUND: Duration = Duration::from_secs(5);

/// Whether the operation may be done twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Guard {
    /// Doing it twice is the same as doing it once, such as a read or a cancel by id.
    Idempotent,
    /// It must not be done twice, such as an order; an unknown outcome is never resent.
    Once,
}

/// The settings of a retry loop, as plain data.
///
/// | setting | default |
/// |---|---|
/// | attempts | 4, the first included |
/// | deadline | none |
/// | attempt timeout | none |
/// | bound of a `Retry-After` | 5 s above the nominal delay |
///
/// ```
/// use std::time::Duration;
/// use backstop_retry_backoff::{Guard, Policy, Retry, Schedule};
///
/// let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)))
///     .with_attempts_max(4)
///     .with_deadline(Duration::from_secs(20))
///     .with_attempt_timeout(Duration::from_secs(2));
/// assert!(Retry::new(policy, Guard::Once).is_ok());
///
/// let refused = Retry::new(policy.with_attempts_max(0), Guard::Once).unwrap_err();
/// assert_eq!(refused.setting(), "attempts_max");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Policy {
    schedule: Schedule,
    attempts_max: u32,
    deadline: Option<Duration>,
    attempt_timeout: Option<Duration>,
    hint_bound: Option<Duration>,
}

impl Policy {
    /// A policy with the defaults and this schedule.
    pub const fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            attempts_max: ATTEMPTS_MAX,
            deadline: None,
            attempt_timeout: None,
            hint_bound: Some(HINT_BOUND),
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

    /// Sets how far a `Retry-After` may go beyond the nominal delay; `None` for any length.
    ///
    /// Without a bound the deadline is what limits the wait.
    #[must_use]
    pub const fn with_retry_after_bound(mut self, bound: Option<Duration>) -> Self {
        self.hint_bound = bound;
        self
    }

    /// The delay after failed attempt `n`.
    ///
    /// A hint of the other side counts as its wish not to be asked earlier: jitter is added to
    /// it, never taken away, and the cap of the schedule does not apply.
    pub(crate) fn delay(
        &self,
        n: u32,
        hint: Option<Duration>,
        rng: &mut (impl Rng + ?Sized),
    ) -> Duration {
        let scheduled = self.schedule.delay(n, rng);
        let Some(hint) = hint else { return scheduled };
        let jitter = if self.schedule.has_jitter() { scheduled } else { Duration::ZERO };
        let longest = match self.hint_bound {
            Some(bound) => self.schedule.nominal(n).saturating_add(bound),
            None => Duration::MAX,
        };
        hint.saturating_add(jitter).min(longest).max(scheduled)
    }

    pub(crate) const fn attempts_max(&self) -> u32 {
        self.attempts_max
    }

    pub(crate) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    pub(crate) const fn attempt_timeout(&self) -> Option<Duration> {
        self.attempt_timeout
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        self.schedule.check()?;
        if self.attempts_max == 0 {
            return Err(PolicyError::NoAttempts);
        }
        if self.deadline == Some(Duration::ZERO) {
            return Err(PolicyError::NoTime { setting: "deadline" });
        }
        if self.attempt_timeout == Some(Duration::ZERO) {
            return Err(PolicyError::NoTime { setting: "attempt_timeout" });
        }
        Ok(())
    }
}

/// A setting that no retry loop can work with.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Delays would shrink, or never be a number.
    #[error("factor is {factor}, but must be a finite number of at least 1")]
    Factor {
        /// The factor given.
        factor: f64,
    },
    /// The very first delay would already be above the cap.
    #[error("cap is {cap:?}, but must be at least the base of {base:?}")]
    CapBelowBase {
        /// The cap given.
        cap: Duration,
        /// The base given.
        base: Duration,
    },
    /// The operation would never run.
    #[error("attempts_max is 0, but counts the first attempt and must be at least 1")]
    NoAttempts,
    /// The operation would be cut before it starts.
    #[error("{setting} is zero, but must leave time for an attempt")]
    NoTime {
        /// Name of the setting.
        setting: &'static str,
    },
}

impl PolicyError {
    /// Name of the setting at fault.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Factor { .. } => "factor",
            Self::CapBelowBase { .. } => "cap",
            Self::NoAttempts => "attempts_max",
            Self::NoTime { setting } => setting,
        }
    }
}

impl Classify for PolicyError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}
