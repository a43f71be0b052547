//! What happened to the attempts before the last word.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use backstop_error_taxonomy::Class;

/// How many attempts are remembered; a loop without end must not grow.
const KEPT_MAX: usize = 16;

/// One attempt that did not end the run by success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Past {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The class of its failure; `None` if it gave a value that asked for another try.
    pub class: Option<Class>,
    /// When it ended.
    pub ended_at: Instant,
    /// The sleep that followed; `None` after the last attempt.
    pub slept: Option<Duration>,
}

/// The attempts of a run, oldest first; the last sixteen are kept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct History {
    kept: VecDeque<Past>,
    omitted: u32,
}

impl History {
    pub(crate) fn push(&mut self, past: Past) {
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
            self.omitted = self.omitted.saturating_add(1);
        }
        self.kept.push_back(past);
    }

    /// The attempts that are remembered, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Past> {
        self.kept.iter()
    }

    /// How many older attempts are not remembered.
    pub fn omitted(&self) -> u32 {
        self.omitted
    }
}
