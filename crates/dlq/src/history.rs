//! What has been done to a letter: attempts, edits, settlements.

use std::{collections::VecDeque, fmt};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::Class;

use crate::Reason;

/// Attempts kept besides the first; with it ten, enough to see a pattern in.
const RECENT_MAX: usize = 9;

/// Bytes of an error's text kept; what is cut is in the handler's own log.
const TEXT_BYTES_MAX: usize = 1_024;

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Counts from 1 over the letter's whole life.
    pub number: u32,
    /// When it failed.
    pub at: Timestamp,
    /// How the failure was classified.
    pub class: Class,
    /// The error's text, cut to 1,024 bytes at a character.
    pub text: String,
}

/// The first attempt, the last nine, and how many there were.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::history::Attempts;
/// use backstop_error_taxonomy::{Class, Kind};
///
/// let mut attempts = Attempts::default();
/// for _ in 0..12 {
///     attempts.record(Timestamp::EPOCH, Class::of(Kind::Timeout), "no answer");
/// }
/// assert_eq!(attempts.count(), 12);
/// let kept: Vec<u32> = attempts.iter().map(|a| a.number).collect();
/// assert_eq!(kept, [1, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    count: u32,
    first: Option<Attempt>,
    /// Without the first; oldest in front.
    recent: VecDeque<Attempt>,
}

impl Attempts {
    /// Adds a failed attempt.
    pub fn record(&mut self, at: Timestamp, class: Class, text: impl fmt::Display) {
        let number = self.count.saturating_add(1);
        self.keep(Attempt { number, at, class, text: cut(text.to_string()) });
        self.count = number;
    }

    /// How many there were, those no longer kept included.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The attempts that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.first.iter().chain(&self.recent)
    }

    /// The latest attempt.
    pub fn last(&self) -> Option<&Attempt> {
        self.recent.back().or(self.first.as_ref())
    }

    /// Puts together what a store has kept.
    #[cfg(feature = "sqlite")]
    pub(crate) fn restored(count: u32, kept: impl IntoIterator<Item = Attempt>) -> Self {
        let mut attempts = Self { count, ..Self::default() };
        kept.into_iter().for_each(|attempt| attempts.keep(attempt));
        attempts
    }

    fn keep(&mut self, attempt: Attempt) {
        if self.first.is_none() {
            self.first = Some(attempt);
            return;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(attempt);
    }
}

/// What is done to a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The message was handled.
    Resolved {
        /// When.
        at: Timestamp,
        /// By which means; at most 1,024 bytes.
        note: String,
    },
    /// A replay failed.
    Failed {
        /// Why this time.
        reason: Reason,
        /// The whole history, the new attempts included.
        attempts: Attempts,
        /// Replays after which the letter is quarantined.
        replays_max: u32,
    },
    /// A person gave it up.
    Discarded {
        /// When.
        at: Timestamp,
        /// Why; not empty, at most 1,024 bytes.
        note: String,
    },
    /// A person lets a quarantined letter be replayed again, from zero replays.
    Released {
        /// Why; not empty, at most 1,024 bytes.
        note: String,
    },
}

/// A corrected payload, kept beside the original bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// What the handler is given instead of the original payload.
    pub payload: Vec<u8>,
    /// Who edited, or which source the clean copy came from.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Shows the size: payloads do not belong in logs.
impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("by", &self.by)
            .field("at", &self.at)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl Settlement {
    /// The verb, for messages.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Resolved { .. } => "resolve",
            Self::Failed { .. } => "fail",
            Self::Discarded { .. } => "discard",
            Self::Released { .. } => "release",
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
