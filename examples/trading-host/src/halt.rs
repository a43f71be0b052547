//! The halt: no new orders, whatever is open cancelled, positions flattened on request.

use std::cell::{Cell, RefCell};

use backstop_clock::Timestamp;

/// Why trading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it.
    Operator,
    /// The books differ from the venue in a way that no rule may repair.
    Reconciliation,
    /// A part that trading rests on failed.
    CriticalError,
}

/// How far a halt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// No new orders, open ones cancelled; positions stay.
    Cancel,
    /// Positions are closed at the market too.
    Flatten,
}

/// A halt as it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// When.
    pub at: Timestamp,
    /// By what.
    pub cause: Cause,
    /// How far.
    pub depth: Depth,
    /// In words.
    pub reason: String,
}

/// The switch; once on, it stays on for the run.
#[derive(Debug, Default)]
pub struct Halt {
    called: RefCell<Option<Called>>,
    is_on: Cell<bool>,
}

impl Halt {
    /// Calls the halt; a second call changes nothing but may deepen the first.
    pub fn call(&self, called: Called) {
        tracing::warn!(cause = ?called.cause, depth = ?called.depth, reason = called.reason, "halt");
        self.is_on.set(true);
        let mut first = self.called.borrow_mut();
        match first.as_mut() {
            None => *first = Some(called),
            Some(first) if called.depth == Depth::Flatten => first.depth = Depth::Flatten,
            Some(_) => {}
        }
    }

    /// Whether new orders are refused.
    pub fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Whether positions are to be closed.
    pub fn flattens(&self) -> bool {
        self.called.borrow().as_ref().is_some_and(|called| called.depth == Depth::Flatten)
    }

    /// The halt as it was called first.
    pub fn called(&self) -> Option<Called> {
        self.called.borrow().clone()
    }
}
