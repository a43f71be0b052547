//! What to do about a failure, and how loudly to say so.

use crate::Severity;
use crate::names::names;

/// What to do about a failure.
///
/// What the doer needs beyond the word lies beside it in the [`Decision`](crate::Decision).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Hand it to the caller.
    Propagate,
    /// Note it and go on.
    Continue,
    /// Send the same request again, later.
    Retry,
    /// Use the second-best source or strategy.
    Fallback,
    /// Go on with less, such as an old value that is marked as old.
    Degrade,
    /// Undo or correct what is half done.
    Compensate,
    /// Look up whether it happened, then report that as the result.
    Reconcile,
    /// Set the message aside as a dead letter.
    Isolate,
    /// Tell a person.
    Escalate,
    /// Stop trading.
    Halt,
}

names!("action", Action {
    Propagate => "propagate",
    Continue => "continue",
    Retry => "retry",
    Fallback => "fallback",
    Degrade => "degrade",
    Compensate => "compensate",
    Reconcile => "reconcile",
    Isolate => "isolate",
    Escalate => "escalate",
    Halt => "halt",
});

/// How much a halt stops.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HaltScope {
    /// Close the position at hand and leave it closed.
    Position,
    /// No new orders anywhere.
    Trading,
    /// End the process in good order.
    Process,
}

names!("halt scope", HaltScope {
    Position => "position",
    Trading => "trading",
    Process => "process",
});

/// How loudly a failure is written down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogLevel {
    /// For whoever follows one case.
    Debug,
    /// Part of an ordinary day.
    Info,
    /// Worth a look.
    Warn,
    /// Somebody has to act.
    Error,
}

names!("log level", LogLevel {
    Debug => "debug",
    Info => "info",
    Warn => "warn",
    Error => "error",
});

impl LogLevel {
    /// The level for a failure of `severity` about which `action` is taken.
    ///
    /// What will be tried again is debug.
    /// What somebody handles is a warning at most: only what was not handled is an error.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Action, LogLevel, Severity};
    ///
    /// assert_eq!(LogLevel::of(Action::Retry, Severity::High), LogLevel::Debug);
    /// assert_eq!(LogLevel::of(Action::Fallback, Severity::High), LogLevel::Warn);
    /// assert_eq!(LogLevel::of(Action::Propagate, Severity::High), LogLevel::Error);
    /// ```
    pub const fn of(action: Action, severity: Severity) -> Self {
        let is_handled = matches!(
            action,
            Action::Continue
                | Action::Fallback
                | Action::Degrade
                | Action::Compensate
                | Action::Reconcile
        );
        match (action, severity) {
            (Action::Retry, _) => Self::Debug,
            (_, Severity::Info | Severity::Low) => Self::Info,
            (_, Severity::High | Severity::Critical) if !is_handled => Self::Error,
            _ => Self::Warn,
        }
    }
}
