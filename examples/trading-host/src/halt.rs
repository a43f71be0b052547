//! The halt: no new orders, whatever is open cancelled, positions flattened on request.
//!
//! It is written down before it counts, so that a process that starts again is still halted.

use std::cell::{Cell, RefCell};

use backstop_clock::Timestamp;

use crate::host::Stop;

mod log;

pub use log::{MIGRATIONS, SqliteHalts};

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

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Reconciliation, Self::CriticalError];

    /// The name under which it is written down.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Reconciliation => "reconciliation",
            Self::CriticalError => "critical_error",
        }
    }
}

/// How far a halt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// No new orders, open ones cancelled; positions stay.
    Cancel,
    /// Positions are closed at the market too.
    Flatten,
}

impl Depth {
    /// Every depth.
    pub const ALL: [Self; 2] = [Self::Cancel, Self::Flatten];

    /// The name under which it is written down.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Flatten => "flatten",
        }
    }
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

/// Where a halt is written down until somebody lifts it.
pub trait Halts: std::fmt::Debug {
    /// The halt that nobody has lifted.
    ///
    /// # Errors
    /// [`Stop::Halt`] when it cannot be read, or is not understood.
    fn standing(&self) -> Result<Option<Called>, Stop>;

    /// Writes a halt, or how far the standing one goes now.
    ///
    /// # Errors
    /// [`Stop::Halt`] when it is not durable.
    fn write(&self, called: &Called) -> Result<(), Stop>;
}

/// The switch; once on, it stays on until a human lifts it between two runs.
#[derive(Debug)]
pub struct Halt {
    log: Box<dyn Halts>,
    called: RefCell<Option<Called>>,
    is_on: Cell<bool>,
}

impl Halt {
    /// The switch as the last process left it.
    ///
    /// # Errors
    /// [`Stop::Refused`] when nobody can say how that was.
    pub fn resume(log: Box<dyn Halts>) -> Result<Self, Stop> {
        let called = log.standing().map_err(|stop| Stop::Refused(stop.to_string()))?;
        if let Some(called) = &called {
            tracing::warn!(cause = ?called.cause, reason = called.reason, "the halt still stands");
        }
        Ok(Self { is_on: Cell::new(called.is_some()), called: RefCell::new(called), log })
    }

    /// Calls the halt; a second call changes nothing but may deepen the first.
    ///
    /// # Errors
    /// [`Stop::Halt`] when it could not be written down; it is on all the same.
    pub fn call(&self, called: Called) -> Result<(), Stop> {
        self.is_on.set(true);
        let mut standing = self.called.borrow_mut();
        let now = match standing.take() {
            None => called,
            Some(first) if first.depth < called.depth => Called { depth: called.depth, ..first },
            Some(first) => {
                *standing = Some(first);
                return Ok(());
            }
        };
        tracing::warn!(cause = ?now.cause, depth = ?now.depth, reason = now.reason, "halt");
        self.log.write(standing.insert(now))
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
