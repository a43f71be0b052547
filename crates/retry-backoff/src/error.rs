//! What is wrong with a configuration.

use std::fmt;
use std::time::Duration;

use backstop_error_taxonomy::{Class, Classify, Kind};

/// One setting that no retry loop or budget can work with.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
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
    /// A delay would be negative, or not be a number.
    #[error("jitter is {ratio}, but must be a share from 0 to 1")]
    Jitter {
        /// The share given.
        ratio: f64,
    },
    /// The operation would never run.
    #[error("attempts_max is 0, but counts the first attempt and must be at least 1")]
    NoAttempts,
    /// Nothing can happen within no time.
    #[error("{setting} is zero, but must be longer")]
    NoTime {
        /// Name of the setting.
        setting: &'static str,
    },
    /// A number outside its range.
    #[error("{setting} is {value}, but must be {rule}")]
    Number {
        /// Name of the setting.
        setting: &'static str,
        /// The number given.
        value: f64,
        /// The range, in words.
        rule: &'static str,
    },
}

impl Problem {
    /// Name of the setting at fault.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Factor { .. } => "factor",
            Self::CapBelowBase { .. } => "cap",
            Self::Jitter { .. } => "jitter",
            Self::NoAttempts => "attempts_max",
            Self::NoTime { setting } | Self::Number { setting, .. } => setting,
        }
    }
}

/// A configuration that was refused, with everything that is wrong with it.
///
/// ```
/// use std::time::Duration;
/// use backstop_retry_backoff::{Policy, Retry, Schedule};
///
/// let schedule = Schedule::exponential(Duration::from_secs(1)).with_factor(f64::NAN);
/// let refused = Retry::new(Policy::new(schedule).with_attempts_max(0)).unwrap_err();
/// let settings: Vec<_> = refused.problems().iter().map(|problem| problem.setting()).collect();
/// assert_eq!(settings, ["factor", "attempts_max"]);
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyError {
    /// Never empty.
    problems: Vec<Problem>,
}

impl PolicyError {
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// All that is wrong, in the order of the settings.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

impl Classify for PolicyError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}
