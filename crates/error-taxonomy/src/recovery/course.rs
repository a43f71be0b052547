//! The course of a recovery: what comes after what, without doing anything.

use std::time::Duration;

use super::{Done, LoopCut, Stale};
use crate::{Action, Class, Classify, Component, Decision, Error, Severity};

/// How a handler failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerFailure {
    /// It returned an error.
    #[error("{action} failed: {error}")]
    Failed {
        /// What it should have done.
        action: Action,
        /// What it returned.
        #[source]
        error: Error,
    },
    /// It panicked.
    #[error("{action} panicked: {message}")]
    Panicked {
        /// What it should have done.
        action: Action,
        /// What the panic said, cut after 256 characters.
        message: String,
    },
    /// Nobody was there to do it.
    #[error("nobody does {action}")]
    Missing {
        /// What should have been done.
        action: Action,
    },
    /// The value that it gave is older than the policy allows.
    #[error("the value is {age:?} old, at most {max:?} is allowed")]
    TooOld {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        max: Duration,
    },
    /// It was not begun.
    #[error(transparent)]
    Cut(#[from] LoopCut),
}

/// How a recovery ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// With a result as good as the one that was wanted.
    Recovered(T),
    /// With an old value that says so, or with none.
    Degraded(Option<Stale<T>>),
    /// Without a value, but nothing is left to do about the error.
    Handled(Error),
    /// A person has to look; the error is the original one.
    Escalated(Error),
    /// What the decision named is stopped; the error is the original one.
    Halted(Error),
    /// The caller has to deal with the error, which is the original one.
    Returned(Error),
}

impl<T> Outcome<T> {
    /// The original error, if it is still there to deal with.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Escalated(error) | Self::Halted(error) | Self::Returned(error) => Some(error),
            Self::Recovered(_) | Self::Degraded(_) | Self::Handled(_) => None,
        }
    }
}

/// What came of a recovery.
#[derive(Debug)]
#[must_use = "it holds the result, or the error that is still there"]
#[non_exhaustive]
pub struct Recovery<T> {
    /// How it ended.
    pub outcome: Outcome<T>,
    /// What was done, in order.
    pub actions: Vec<Action>,
    /// What failed while doing it, in order.
    pub failures: Vec<HandlerFailure>,
    /// How bad the event is that has to be recorded, if one has.
    pub event: Option<Severity>,
    /// The original error, where the outcome is a value and does not hold it.
    pub overcome: Option<Error>,
    /// Class of the original error.
    pub class: Class,
    /// Where it happened, if the error says so.
    pub component: Option<Component>,
}

impl<T> Recovery<T> {
    /// Whether it is still open, because the operation is tried again.
    pub fn is_open(&self) -> bool {
        is_open(&self.actions)
    }

    /// Whether the operation came to a value, if only a stale one, or left nothing to do.
    ///
    /// Degraded to no value at all it did not.
    pub fn is_recovered(&self) -> bool {
        let is_empty = matches!(self.outcome, Outcome::Degraded(None));
        self.outcome.error().is_none() && !is_empty
    }

    /// A recovery that was not begun because it would be one of a loop.
    pub fn cut(error: Error, cut: LoopCut) -> Self {
        let mut course = Course::new(error);
        course.failures.push(HandlerFailure::Cut(cut));
        course.actions.push(Action::Escalate);
        course.end(Ending::Escalated)
    }
}

/// A recovery on its way.
pub(super) struct Course {
    pub(super) error: Error,
    actions: Vec<Action>,
    failures: Vec<HandlerFailure>,
    severity: Severity,
}

/// What comes next.
pub(super) enum Next<T> {
    Do(Action),
    End(Ending<T>),
}

pub(super) enum Ending<T> {
    Recovered(T),
    Degraded(Option<Stale<T>>),
    Handled,
    Escalated,
    Halted,
    Returned,
}

impl Course {
    pub(super) fn new(error: Error) -> Self {
        let severity = error.class().severity();
        Self { error, actions: Vec::new(), failures: Vec::new(), severity }
    }

    /// What to do first.
    pub(super) fn begin<T>(&mut self, decision: &Decision<'_>) -> Next<T> {
        self.severity = decision.severity;
        match decision.action {
            Action::Propagate | Action::Retry => {
                self.actions.push(decision.action);
                Next::End(Ending::Returned)
            }
            action => self.go(action),
        }
    }

    /// What to do after `action` came to `done`; `None` if nobody was there to do it.
    pub(super) fn after<T>(
        &mut self,
        action: Action,
        done: Option<Result<Done<T>, HandlerFailure>>,
        decision: &Decision<'_>,
    ) -> Next<T> {
        let done = match done {
            Some(Err(failure)) => return self.fail(action, failure),
            Some(Ok(done)) => done,
            None => Done::NotMine,
        };
        match (action, done) {
            (_, Done::Stale(stale)) => self.judge_age(stale, decision),
            (Action::Escalate, _) => Next::End(Ending::Escalated),
            (Action::Halt, Done::Value(_) | Done::Nothing) => Next::End(Ending::Halted),
            (_, Done::Value(value)) => Next::End(Ending::Recovered(value)),
            (Action::Degrade, _) => Next::End(Ending::Degraded(None)),
            // Both owe a value: that there is none is no recovery.
            (Action::Fallback | Action::Reconcile, _) => {
                self.fail(action, HandlerFailure::Missing { action })
            }
            (Action::Continue, Done::NotMine) | (_, Done::Nothing) => Next::End(Ending::Handled),
            (_, Done::NotMine) => self.fail(action, HandlerFailure::Missing { action }),
        }
    }

    fn judge_age<T>(&mut self, stale: Stale<T>, decision: &Decision<'_>) -> Next<T> {
        match decision.stale_max {
            Some(max) if stale.age() > max => {
                let age = stale.age();
                self.fail(Action::Degrade, HandlerFailure::TooOld { age, max })
            }
            _ => Next::End(Ending::Degraded(Some(stale))),
        }
    }

    fn fail<T>(&mut self, action: Action, failure: HandlerFailure) -> Next<T> {
        let panicked = matches!(failure, HandlerFailure::Panicked { .. });
        self.failures.push(failure);
        match action {
            // Who escalates in vain has nobody left to turn to but the caller.
            Action::Escalate => Next::End(Ending::Escalated),
            // A panic is a bug that a lesser value would only hide.
            Action::Fallback if !panicked => self.go(Action::Degrade),
            _ => self.go(Action::Escalate),
        }
    }

    fn go<T>(&mut self, action: Action) -> Next<T> {
        self.actions.push(action);
        Next::Do(action)
    }

    /// Says how it ended, and what of it has to be recorded.
    pub(super) fn end<T>(self, ending: Ending<T>) -> Recovery<T> {
        let Self { mut error, actions, failures, severity } = self;
        let (class, component) = (error.class(), error.component());
        let is_over = matches!(ending, Ending::Recovered(_) | Ending::Handled);
        let is_degraded = matches!(ending, Ending::Degraded(_));
        let event = if is_open(&actions) {
            // An attempt that will be repeated is no failure yet.
            None
        } else if is_over {
            error.mark_handled();
            None
        } else {
            let is_first = error.record_once();
            // The failure of a recovery is news even of an error that is not.
            let is_worse = !is_degraded && !failures.is_empty();
            if is_worse { Some(Severity::Critical) } else { is_first.then_some(severity) }
        };
        for failure in &failures {
            error = error.with("recovery_failed", failure);
        }
        let (outcome, overcome) = match ending {
            Ending::Recovered(value) => (Outcome::Recovered(value), Some(error)),
            Ending::Degraded(stale) => (Outcome::Degraded(stale), Some(error)),
            Ending::Handled => (Outcome::Handled(error), None),
            Ending::Escalated => (Outcome::Escalated(error), None),
            Ending::Halted => (Outcome::Halted(error), None),
            Ending::Returned => (Outcome::Returned(error), None),
        };
        Recovery { outcome, actions, failures, event, overcome, class, component }
    }
}

/// Whether the last that was decided is another try.
fn is_open(actions: &[Action]) -> bool {
    actions.last() == Some(&Action::Retry)
}
