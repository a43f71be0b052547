//! What is wrong with a table.

use std::fmt;

use crate::{Class, Classify, Kind};

/// How many faults are kept.
const KEPT_MAX: usize = 64;
/// How many characters of a refused text are kept.
const KEPT_CHARS_MAX: usize = 64;

/// Why a table is refused: every fault at once.
///
/// At most 64 are kept and the rest is counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableError {
    faults: Vec<Fault>,
    dropped: usize,
}

impl TableError {
    pub(super) fn push(&mut self, fault: Fault) {
        if self.faults.len() < KEPT_MAX {
            self.faults.push(fault);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The faults in the order of the table.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many more there are.
    pub fn dropped(&self) -> usize {
        self.dropped
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        if self.dropped > 0 {
            write!(f, "; and {} more", self.dropped)?;
        }
        Ok(())
    }
}

impl std::error::Error for TableError {}

impl Classify for TableError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}

/// One fault of a table; texts are cut after 64 characters.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A venue or market is named otherwise than with 1 to 32 ASCII letters, digits, `_`, `-`, `.`.
    #[error("`{0}` is no name of a venue or market: 1 to 32 ASCII letters, digits, `_`, `-`, `.`")]
    Name(String),
    /// A code is not 1 to 64 printable ASCII characters without a space.
    ///
    /// A text with spaces is a message, and nothing here matches on messages.
    #[error("`{code}` in {market} is no code: 1 to 64 printable ASCII characters, no space")]
    Code {
        /// The market's name, or `every market`.
        market: String,
        /// What stands in the place of a code.
        code: String,
    },
    /// A code means neither a ccxt class nor a kind.
    #[error("`{meaning}`, for code {code} in {market}, is neither a ccxt class nor a kind")]
    Meaning {
        /// The market's name, or `every market`.
        market: String,
        /// The code.
        code: String,
        /// What it is said to mean.
        meaning: String,
    },
    /// A code appears twice in one market, so that one of them would be lost.
    #[error("code {code} appears twice in {market}")]
    Twice {
        /// The market's name, or `every market`.
        market: String,
        /// The code.
        code: String,
    },
    /// More codes than a table holds.
    #[error("more than {max} codes")]
    TooMany {
        /// How many it holds.
        max: usize,
    },
}

/// At most [`KEPT_CHARS_MAX`] characters of a text that may be a megabyte.
pub(super) fn kept(text: &str) -> String {
    text.chars().take(KEPT_CHARS_MAX).collect()
}
