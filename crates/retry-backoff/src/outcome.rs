//! How a run ends.

use std::io;
use std::time::Duration;

use backstop_error_taxonomy::{Class, Classify, Error, Kind};

use crate::StopReason;

/// A run that has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finished<T> {
    /// The value of the operation, or of the look-up that found it done.
    pub value: T,
    /// How many attempts there were, the successful one included.
    pub attempts: u32,
    /// Whether a look-up found the value after an attempt of unknown outcome.
    pub resolved: bool,
}

/// A run that gave up, with the last error as it came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("stopped after {attempts} attempts: {reason}")]
#[non_exhaustive]
pub struct Stopped<E> {
    /// Why there was no further attempt.
    pub reason: StopReason,
    /// The error of the last attempt.
    #[source]
    pub error: E,
    /// How many attempts there were, those refused by a breaker included.
    pub attempts: u32,
    /// The class of the whole run, see [`Progress::class`](crate::Progress::class).
    pub class: Class,
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
