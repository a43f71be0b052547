//! Errors of tokio.

use tokio::task::JoinError;
use tokio::time::error::Elapsed;

use crate::drivers::{Task, elapsed};
use crate::{Class, Classify};

impl Classify for Elapsed {
    fn class(&self) -> Class {
        elapsed()
    }
}

impl Classify for JoinError {
    fn class(&self) -> Class {
        // Not the other way round: what is neither must not pass for a wish of ours.
        if self.is_cancelled() { Task::Cancelled.class() } else { Task::Panicked.class() }
    }
}
