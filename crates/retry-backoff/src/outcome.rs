//! How an attempt and a run end.

use std::io;
use std::time::Duration;

use backstop_error_taxonomy::{Class, Classify, Effect, Error, Kind};

use crate::StopReason;
use crate::history::History;

/// How one attempt ended; a plain `Result` is enough where only errors are tried again.
///
/// ```
/// use backstop_retry_backoff::Outcome;
///
/// let status = Ok::<_, std::io::Error>("queued");
/// assert!(matches!(Outcome::of(status, |text| *text == "queued"), Outcome::Pending("queued")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<T, E> {
    /// The value that was wanted.
    Success(T),
    /// A failure; its class decides what comes next.
    Failure(E),
    /// An answer that asks for another try, such as "not ready yet".
    ///
    /// It arrived, so nothing is unknown: it is tried again under either guard, and an order is
    /// sent again.
    /// Say [`Pending`](Self::Pending) where the request itself may have been taken.
    Again(T),
    /// The same, with the other side's wish when to ask again, as a `Retry-After` beside it.
    AgainAfter(T, Duration),
    /// The same, from a side that asks not to come back; the run ends with the value.
    AgainNever(T),
    /// An answer after which the request may take effect yet, such as "pending" to an order.
    ///
    /// Under [`Guard::Once`](crate::Guard::Once) it is looked up or given back, never simply sent
    /// again; otherwise it asks for another try.
    Pending(T),
    /// A failure whose sender asks not to come back, as a negative `Retry-After` does.
    Pushback(E),
}

impl<T, E> Outcome<T, E> {
    /// The outcome of `result`, where some values are [pending](Self::Pending).
    ///
    /// For a read that is as good as [`Again`](Self::Again); an order is not sent twice by it.
    pub fn of(result: Result<T, E>, is_pending: impl FnOnce(&T) -> bool) -> Self {
        match result {
            Ok(value) if is_pending(&value) => Self::Pending(value),
            Ok(value) => Self::Success(value),
            Err(error) => Self::Failure(error),
        }
    }
}

impl<T, E> From<Result<T, E>> for Outcome<T, E> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Success(value),
            Err(error) => Self::Failure(error),
        }
    }
}

/// What an operation may answer with: a `Result` or an [`Outcome`].
pub trait Answer {
    /// The value of a success.
    type Value;
    /// The error of a failure.
    type Error;

    /// The answer as an outcome.
    fn into_outcome(self) -> Outcome<Self::Value, Self::Error>;
}

impl<T, E> Answer for Result<T, E> {
    type Value = T;
    type Error = E;

    #[inline]
    fn into_outcome(self) -> Outcome<T, E> {
        self.into()
    }
}

impl<T, E> Answer for Outcome<T, E> {
    type Value = T;
    type Error = E;

    #[inline]
    fn into_outcome(self) -> Self {
        self
    }
}

/// How a run came to its value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// The last attempt succeeded.
    Success,
    /// A look-up or a handle found that an earlier attempt took effect.
    Resolved,
    /// The last attempt still asked for another try, and there was none for this reason.
    Unwanted(StopReason),
    /// The run failed and its caller went on with a value of its own.
    Fallback(StopReason),
}

/// A run that has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finished<T> {
    /// The value of the operation, of the look-up, of the handle or of the fallback.
    pub value: T,
    /// How many attempts there were, the last one included.
    pub attempts: u32,
    /// How it came to the value.
    pub ending: Ending,
    /// Whether an attempt may have taken effect and nobody has found out.
    pub is_open: bool,
}

impl<T> Finished<T> {
    #[inline]
    pub(crate) const fn new(value: T, attempts: u32, ending: Ending) -> Self {
        Self { value, attempts, ending, is_open: false }
    }

    /// Whether somebody else than the last attempt knew that it took effect.
    pub fn is_resolved(&self) -> bool {
        self.ending == Ending::Resolved
    }
}

/// A run that gave up, with the last error as it came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("stopped after {attempts} attempts: {reason}")]
#[non_exhaustive]
pub struct Stopped<E> {
    /// Why there was no further attempt.
    pub reason: StopReason,
    /// The error of the last attempt; `None` only if the run stopped before the first one.
    #[source]
    pub error: Option<E>,
    /// How many attempts there were, those refused by a breaker included.
    pub attempts: u32,
    /// The class of the whole run, see [`Progress::class`](crate::pure::Progress::class).
    pub class: Class,
    /// The attempts one by one.
    pub history: History,
    /// Whether the guard forbids to do it twice.
    pub(crate) is_once: bool,
}

impl<E> Stopped<E> {
    /// Goes on with a value of the caller's own, such as the last known one.
    ///
    /// # Errors
    /// The stop as it was if the call was guarded by [`Guard::Once`](crate::Guard::Once) and may
    /// have taken effect: nobody may go on as if it had failed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_clock::{ManualClock, Timestamp};
    /// use backstop_error_taxonomy::{Error, Kind};
    /// use backstop_retry_backoff::{Policy, Retry, Retryable, Schedule};
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let clock = ManualClock::new(Timestamp::EPOCH);
    /// let mut rng = StdRng::seed_from_u64(7);
    /// let retry = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?;
    /// let silent = || Err(Error::new(Kind::Timeout, "no answer"));
    ///
    /// let price = silent.retry(retry.read()).blocking_on(&clock, &mut rng);
    /// assert_eq!(price.or_else(|stopped| stopped.fall_back(|_| 101)).unwrap().value, 101);
    ///
    /// let order = silent.retry(retry.at_most_once("order 7")).blocking_on(&clock, &mut rng);
    /// assert!(order.or_else(|stopped| stopped.fall_back(|_| 0)).is_err());
    /// # Ok::<(), backstop_retry_backoff::PolicyError>(())
    /// ```
    pub fn fall_back<T>(self, value: impl FnOnce(&Self) -> T) -> Result<Finished<T>, Self> {
        if self.is_once && self.class.effect() != Effect::NotApplied {
            return Err(self);
        }
        let value = value(&self);
        let is_open = self.class.effect() == Effect::Unknown;
        let ending = Ending::Fallback(self.reason);
        Ok(Finished { is_open, ..Finished::new(value, self.attempts, ending) })
    }
}

#[cfg(feature = "tower")]
impl<E: Classify> Stopped<E> {
    /// The service failed before there was an attempt, and will not recover.
    pub(crate) fn unready(error: E) -> Self {
        let class = error.class();
        Self {
            reason: StopReason::Permanent,
            error: Some(error),
            attempts: 0,
            class,
            history: History::default(),
            is_once: false,
        }
    }
}

impl<E> Classify for Stopped<E> {
    fn class(&self) -> Class {
        self.class
    }
}

/// What a look-up says about an attempt of unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution<T> {
    /// It took effect, and this is its value.
    Found(T),
    /// It certainly did not take effect and cannot do so any more.
    ///
    /// "Not there yet" is [`Resolution::Unknown`]: a slow request may still arrive.
    NotFound,
    /// Nobody knows.
    Unknown,
}

/// An attempt was cut because it took too long; whether it took effect is unknown.
///
/// The driver turns it into the operation's own error with `From`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no answer within {limit:?}")]
pub struct Elapsed {
    limit: Duration,
}

impl Elapsed {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// How long the attempt had.
    pub const fn limit(self) -> Duration {
        self.limit
    }
}

impl Classify for Elapsed {
    fn class(&self) -> Class {
        Class::of(Kind::Timeout)
    }
}

impl From<Elapsed> for Error {
    #[track_caller]
    fn from(elapsed: Elapsed) -> Self {
        Self::new(Kind::Timeout, elapsed.to_string())
    }
}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
