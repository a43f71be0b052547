//! What a runtime reports of its tasks and timers.

use crate::names::names;
use crate::{Class, Kind};

/// How a task ended that brought no result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Task {
    /// It panicked, and nobody knows how far it came.
    Panicked,
    /// It was cancelled, and nobody knows how far it came.
    Cancelled,
}

names!("end of a task", Task {
    Panicked => "panicked",
    Cancelled => "cancelled",
});

impl Task {
    /// What is known of it.
    pub const fn class(self) -> Class {
        match self {
            Self::Panicked => Class::of(Kind::Internal),
            Self::Cancelled => Class::of(Kind::Cancelled),
        }
    }
}

/// The class of an operation that a local deadline cut off: it may have taken effect.
pub const fn elapsed() -> Class {
    Class::of(Kind::Timeout)
}
