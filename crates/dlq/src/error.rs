use std::error::Error;

use backstop_error_taxonomy::{Class, Classify, Kind};

use crate::{LetterId, State, store::PARKED_PER_KEY_MAX};

/// A value that breaks a rule; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value:?}, but {rule}")]
pub struct Invalid {
    /// What was given.
    pub field: &'static str,
    /// The value given.
    pub value: String,
    /// The rule, as "must ...".
    pub rule: &'static str,
}

impl Classify for Invalid {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid)
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such letter.
    #[error("there is no letter {0}")]
    Missing(LetterId),
    /// The letter's state does not allow it; see [`State`].
    #[error("letter {id} is {}, which does not allow to {wanted} it", .state.name())]
    Refused {
        /// The letter.
        id: LetterId,
        /// Its state.
        state: State,
        /// What was wanted, as a verb.
        wanted: &'static str,
    },
    /// A value breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// As many messages as allowed are parked behind this letter's key; replay it first.
    #[error(
        "{PARKED_PER_KEY_MAX} messages are parked behind letter {head}; it must be settled first"
    )]
    Overflow {
        /// The first open letter of the key.
        head: LetterId,
    },
    /// The store takes no more letters.
    #[error("the store is full: it holds {letters_max} letters")]
    Full {
        /// How many it holds at most.
        letters_max: usize,
    },
    /// Stored bytes do not mean anything.
    #[error("stored {field} is {value:?}, which this version does not understand")]
    Corrupt {
        /// The column.
        field: &'static str,
        /// What it holds.
        value: String,
    },
    /// The store did not answer, or could not make it durable.
    #[error("the store failed: {source}")]
    Outage {
        /// How the failure is classified.
        class: Class,
        /// The store's own error.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Takes over the error of whatever the store is built on.
    pub fn outage(source: impl Classify + Error + Send + Sync + 'static) -> Self {
        Self::Outage { class: source.class(), source: Box::new(source) }
    }
}

impl Classify for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Missing(_) => Class::of(Kind::NotFound),
            Self::Refused { .. } | Self::Overflow { .. } | Self::Full { .. } => {
                Class::of(Kind::Precondition)
            }
            Self::Invalid(invalid) => invalid.class(),
            Self::Corrupt { .. } => Class::of(Kind::Data),
            Self::Outage { class, .. } => *class,
        }
    }
}

/// Why a step settled nothing; the message in hand is offered again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The source failed.
    #[error("the source failed: {source}")]
    Source {
        /// How the failure is classified.
        class: Class,
        /// The source's own error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store failed; a letter or position may not be durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source delivered a message whose position no store can hold.
    ///
    /// The only failure after which the message is not kept: it has no place to be kept at.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// So many messages failed in a row that something else must be broken.
    ///
    /// Nothing more is put; each further step tries the same message, and a success ends the
    /// flood, as does [`Consumer::end_flood`](crate::Consumer::end_flood).
    #[error("{in_a_row} messages in a row became letters; the next one failed too")]
    Flood {
        /// Letters put without a success in between.
        in_a_row: u32,
    },
}

impl Classify for ConsumerError {
    fn class(&self) -> Class {
        match self {
            Self::Source { class, .. } => *class,
            Self::Store(error) => error.class(),
            Self::Invalid(error) => error.class(),
            Self::Flood { .. } => Class::of(Kind::Unavailable),
        }
    }
}
