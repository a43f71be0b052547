//! What a store is asked and what it answers.

use backstop_clock::Timestamp;

use crate::{Letter, LetterId, Reason, State};

pub use crate::{error::Invalid, message::Position};

/// Messages that may be parked behind one key; the next one stops the partition.
pub const PARKED_PER_KEY_MAX: u32 = 1_024;

/// Letters in one page at most.
pub const PAGE_LENGTH_MAX: u32 = 1_000;

/// What holds after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// Letter and position become durable in one transaction.
    AtomicWithPosition,
    /// The letter is durable first; its delivery comes again and is recognised.
    AtLeastOnceDeduped,
    /// Nothing outlives the process.
    Volatile,
}

/// Whether a letter was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is stored now.
    Inserted,
    /// Its delivery had a letter already, which is unchanged.
    Duplicate,
}

/// What a store knows of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing; it is to be handled.
    Fresh,
    /// The delivery itself is a letter already.
    Lettered,
    /// An earlier letter of the same key is open.
    Behind(LetterId),
}

/// Which letters are meant; every condition must hold.
///
/// ```
/// use backstop_dlq::{Reason, State, store::Filter};
///
/// let broken = Filter::default().with_state(State::Dead).with_reason(Reason::Undecodable);
/// assert!(!broken.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only letters of this stream.
    pub stream: Option<String>,
    /// Only letters in this state.
    pub state: Option<State>,
    /// Only letters put for this reason; a parked one names the letter it was parked behind.
    pub reason: Option<Reason>,
    /// Only letters put before this time.
    pub put_before: Option<Timestamp>,
}

impl Filter {
    /// Adds the condition on the stream.
    #[must_use]
    pub fn with_stream(self, stream: impl Into<String>) -> Self {
        Self { stream: Some(stream.into()), ..self }
    }

    /// Adds the condition on the state.
    #[must_use]
    pub fn with_state(self, state: State) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Adds the condition on the reason.
    #[must_use]
    pub fn with_reason(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// Adds the condition on the time of the put.
    #[must_use]
    pub fn with_put_before(self, at: Timestamp) -> Self {
        Self { put_before: Some(at), ..self }
    }

    /// Whether it has no condition, and so means every letter.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a letter is meant.
    pub fn matches(&self, letter: &Letter) -> bool {
        self.stream.as_ref().is_none_or(|s| *s == letter.message.stream)
            && self.state.is_none_or(|s| s == letter.state)
            && self.reason.is_none_or(|r| r == letter.reason)
            && self.put_before.is_none_or(|at| letter.put_at < at)
    }
}

/// A part of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The sequence number of the last letter of the page before.
    pub(crate) after: u64,
    pub(crate) length: u32,
}

impl Page {
    /// The first page; `length` is taken to lie between 1 and [`PAGE_LENGTH_MAX`].
    pub fn first(length: u32) -> Self {
        Self { after: 0, length: length.clamp(1, PAGE_LENGTH_MAX) }
    }

    pub(crate) fn behind(self, after: u64) -> Self {
        Self { after, ..self }
    }
}

/// One page of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The letters, in the order in which they were put.
    pub letters: Vec<Letter>,
    /// The page behind this one; `None` when this was the last.
    pub next: Option<Page>,
}

/// How many letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Letters in [`State::Dead`].
    pub dead: u64,
    /// Letters in [`State::Parked`].
    pub parked: u64,
    /// Letters in [`State::Quarantined`].
    pub quarantined: u64,
    /// Letters in [`State::Resolved`].
    pub resolved: u64,
    /// Letters in [`State::Discarded`].
    pub discarded: u64,
    /// When the oldest letter in [`State::Dead`] was put.
    pub oldest_dead_at: Option<Timestamp>,
}

impl Stats {
    /// Letters that still wait for something.
    pub fn open(&self) -> u64 {
        self.dead + self.parked + self.quarantined
    }

    /// Letters put since the store exists.
    pub fn total(&self) -> u64 {
        self.open() + self.resolved + self.discarded
    }

    pub(crate) fn count(&mut self, state: State) -> &mut u64 {
        match state {
            State::Dead => &mut self.dead,
            State::Parked => &mut self.parked,
            State::Quarantined => &mut self.quarantined,
            State::Resolved => &mut self.resolved,
            State::Discarded => &mut self.discarded,
        }
    }
}
