//! What can go wrong, one type per operation.

mod append;

use std::fmt;

use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use thiserror::Error;
use uuid::Uuid;

use crate::amount::Amount;
use crate::journal::Digest;
use crate::name::{Currency, InstrumentId};

pub use append::AppendError;

/// An amount could not be read or computed exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AmountError {
    /// The text is not a decimal number.
    #[error("not a decimal number of the form [+-]digits[.digits]")]
    Syntax,
    /// More than 18 decimals would be needed.
    #[error("needs more than 18 decimals")]
    Inexact,
    /// The value is beyond about 1.7e20, or beyond what the target type holds.
    #[error("out of range")]
    Overflow,
    /// The denominator is zero.
    #[error("division by zero")]
    DivideByZero,
}

impl Classify for AmountError {
    fn class(&self) -> Class {
        match self {
            Self::Syntax => Class::of(Kind::Invalid),
            _ => Class::of(Kind::Calculation),
        }
        .with_effect(Effect::NotApplied)
    }
}

/// An amount needs more digits than the 96 bits of a `Decimal` hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text} needs more than the 96 bits of a Decimal; take it as text")]
pub struct TooWide {
    /// The amount as a decimal string, which always holds it.
    pub text: String,
}

/// For callers whose figures never need the text.
impl From<TooWide> for AmountError {
    fn from(_wide: TooWide) -> Self {
        Self::Overflow
    }
}

impl Classify for TooWide {
    fn class(&self) -> Class {
        Class::of(Kind::Calculation).with_effect(Effect::NotApplied)
    }
}

/// A name does not keep the rules.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} {value:?}: it must {rule}")]
pub struct NameError {
    /// What was to be named.
    pub what: &'static str,
    /// What was given, at most its first 64 characters.
    pub value: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

impl Classify for NameError {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid).with_effect(Effect::NotApplied)
    }
}

/// A value breaks a rule of its field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} {value}: it must {rule}")]
pub struct Invalid {
    /// The field.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, value: impl fmt::Display, rule: &'static str) -> Self {
        Self { field, value: value.to_string(), rule }
    }

    pub(crate) fn unless_positive(field: &'static str, amount: Amount) -> Result<(), Self> {
        if amount.is_positive() { Ok(()) } else { Err(Self::new(field, amount, "be above zero")) }
    }
}

impl Invalid {
    pub(crate) fn unless_not_zero(field: &'static str, amount: Amount) -> Result<(), Self> {
        if amount.is_zero() { Err(Self::new(field, amount, "not be zero")) } else { Ok(()) }
    }
}

impl Classify for Invalid {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid).with_effect(Effect::NotApplied)
    }
}

/// Two facts under one key do not say the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is {held} in the books, not {offered}")]
pub struct Difference {
    /// What differs.
    pub field: &'static str,
    /// The value in the books.
    pub held: String,
    /// The value that was offered.
    pub offered: String,
}

impl Difference {
    pub(crate) fn new(field: &'static str, held: &impl ToString, offered: &impl ToString) -> Self {
        Self { field, held: held.to_string(), offered: offered.to_string() }
    }
}

impl Classify for Difference {
    fn class(&self) -> Class {
        Class::of(Kind::Conflict).with_effect(Effect::NotApplied)
    }
}

/// A journal could not be read or written.
#[derive(Debug, Error)]
#[error("journal: {source}")]
pub struct JournalError {
    class: Class,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl JournalError {
    /// Keeps the cause and what is known about its effect.
    pub fn new(class: Class, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { class, source: source.into() }
    }
}

impl Classify for JournalError {
    fn class(&self) -> Class {
        self.class
    }
}

/// What is wrong with a stored entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Another entry stands in its place: it was deleted, swapped or doubled.
    #[error("entry {found} stands in its place")]
    Place {
        /// The sequence number that was found.
        found: u64,
    },
    /// It does not name the hash of the entry before it.
    #[error("it does not follow from the entry before it")]
    Previous,
    /// Its hash is not that of its content.
    #[error("its hash is not that of its content")]
    Hash,
    /// It is the last one and was written only in part.
    #[error("it was written only in part")]
    Torn,
    /// Its content cannot be read.
    #[error("it cannot be read: {0}")]
    Content(#[from] DecodeError),
    /// The journal ends before an entry that is known to have existed.
    #[error("the journal ends before it")]
    Missing,
    /// The journal holds another entry than the one that is known to have existed.
    #[error("another history is known up to it")]
    Rewritten,
}

/// Bytes that are not an entry in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what} at byte {offset}")]
pub struct DecodeError {
    /// What is wrong.
    pub what: &'static str,
    /// Where, counted from the start of the body.
    pub offset: usize,
}

/// A journal is not the unbroken chain that it should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The first bad entry; everything before it is good.
    #[error("journal entry {sequence} is bad: {fault}")]
    Broken {
        /// Its sequence number.
        sequence: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Classify for VerifyError {
    fn class(&self) -> Class {
        match self {
            Self::Broken { .. } => Class::of(Kind::Inconsistent).with_effect(Effect::NotApplied),
            Self::Journal(error) => error.class(),
        }
    }
}

/// A journal could not be turned into books.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The chain is broken, or the journal could not be read.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The entry is intact, but the books cannot take it.
    #[error("journal entry {sequence} does not follow from the entries before it")]
    Refused {
        /// Its sequence number.
        sequence: u64,
        /// Why not.
        source: AppendError,
    },
    /// The entry repeats, or contradicts, one before it.
    #[error("journal entry {sequence} repeats an entry before it")]
    Repeated {
        /// Its sequence number.
        sequence: u64,
    },
    /// The instrument was booked with another multiplier or quote currency.
    #[error("journal entry {sequence} was booked on other terms of {instrument} than those given")]
    Terms {
        /// The sequence number of the fill.
        sequence: u64,
        /// The instrument.
        instrument: InstrumentId,
    },
    /// The journal has no entry of this number.
    #[error("the journal ends at {last}, before {sequence}")]
    Beyond {
        /// The number asked for.
        sequence: u64,
        /// The last number there is.
        last: u64,
    },
}

impl Classify for ReplayError {
    fn class(&self) -> Class {
        let kind = match self {
            Self::Verify(error) => return error.class(),
            Self::Refused { .. } | Self::Repeated { .. } => Kind::Inconsistent,
            Self::Terms { .. } => Kind::Config,
            Self::Beyond { .. } => Kind::NotFound,
        };
        Class::of(kind).with_effect(Effect::NotApplied)
    }
}

/// An amount could not be converted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RateError {
    /// No rate was given; that is no rate of zero or one.
    #[error("no rate from {from} into {into} was given")]
    Missing {
        /// The currency of the amount.
        from: Currency,
        /// The reporting currency.
        into: Currency,
    },
    /// An open position has no mark, so its profit is not known.
    #[error("instrument {0} is open and has no mark")]
    Unpriced(InstrumentId),
    /// The rates lead into another currency than the one asked for.
    #[error("the rates lead into {rates}, not into {asked}")]
    Reporting {
        /// Where they lead.
        rates: Currency,
        /// Where they should.
        asked: Currency,
    },
    /// A figure is out of range.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

impl Classify for RateError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::Unpriced(_) => Class::of(Kind::NotFound),
            Self::Reporting { .. } => Class::of(Kind::Invalid),
            Self::Amount(error) => return error.class(),
        }
        .with_effect(Effect::NotApplied)
    }
}

/// What is free could not be told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FundsError {
    /// The books never heard of such money, which is not the same as having none.
    #[error("account {account} never had {currency}")]
    NoBalance {
        /// The account.
        account: crate::name::Account,
        /// The currency.
        currency: Currency,
    },
    /// An order without a limit would take an amount that no price was given for.
    #[error("order {0} has no limit, and no price was given for it")]
    Unpriced(Uuid),
    /// A figure is out of range.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

impl Classify for FundsError {
    fn class(&self) -> Class {
        match self {
            Self::NoBalance { .. } | Self::Unpriced(_) => {
                Class::of(Kind::NotFound).with_effect(Effect::NotApplied)
            }
            Self::Amount(error) => error.class(),
        }
    }
}

/// A figure of the books does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} of {account} does not conserve money")]
pub struct Imbalance {
    /// The account.
    pub account: crate::name::Account,
    /// The position or balance.
    pub what: String,
}

impl Classify for Imbalance {
    fn class(&self) -> Class {
        Class::of(Kind::Inconsistent).with_effect(Effect::NotApplied)
    }
}

/// A snapshot of profit and loss is not what the books say.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Its checksum is not that of its content.
    #[error("the checksum of the snapshot is not that of its content")]
    Checksum,
    /// Its checksum is good, its figures are not those of the books.
    #[error("the {what} of the snapshot differ from the books at entry {sequence}")]
    Figures {
        /// The part that differs.
        what: &'static str,
        /// The entry up to which the snapshot speaks.
        sequence: u64,
    },
    /// A figure is out of range.
    #[error("a figure of the snapshot: {0}")]
    Amount(#[from] AmountError),
    /// The books of that time could not be made again.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl Classify for SnapshotError {
    fn class(&self) -> Class {
        match self {
            Self::Checksum | Self::Figures { .. } => {
                Class::of(Kind::Inconsistent).with_effect(Effect::NotApplied)
            }
            Self::Amount(error) => error.class(),
            Self::Replay(error) => error.class(),
        }
    }
}

/// A store of snapshots could not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The checksum of the snapshot is not that of its content.
    #[error("snapshot {0}: its checksum is not that of its content")]
    Checksum(Digest),
    /// No snapshot has this checksum.
    #[error("snapshot {0}: it is not in the store")]
    Unknown(Digest),
    /// What was kept cannot be read.
    #[error("snapshot {checksum}: it cannot be read: {why}")]
    Unreadable {
        /// The checksum that it is kept under.
        checksum: String,
        /// What is wrong.
        why: String,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] JournalError),
}

impl Classify for StoreError {
    fn class(&self) -> Class {
        let kind = match self {
            Self::Checksum(_) => Kind::Inconsistent,
            Self::Unknown(_) => Kind::NotFound,
            Self::Unreadable { .. } => Kind::Data,
            Self::Database(error) => return error.class(),
        };
        Class::of(kind).with_effect(Effect::NotApplied)
    }
}

/// A snapshot was not taken, or not handed on.
#[derive(Debug, Error)]
pub enum TakeError {
    /// It is not kept, and was not published.
    #[error("the snapshot was not kept")]
    Kept(#[from] StoreError),
    /// It is kept, and could not be published.
    #[error("the snapshot was kept, and not published")]
    Published(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Classify for TakeError {
    fn class(&self) -> Class {
        match self {
            Self::Kept(error) => error.class(),
            Self::Published(_) => Class::of(Kind::Other).with_effect(Effect::Unknown),
        }
    }
}

/// A journal could not be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// An entry cannot be read.
    #[error("journal entry {sequence} cannot be exported: {why}")]
    Entry {
        /// Its sequence number.
        sequence: u64,
        /// What is wrong with it.
        why: DecodeError,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The rows could not be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

impl From<csv::Error> for ExportError {
    fn from(why: csv::Error) -> Self {
        Self::Write(why.into())
    }
}

impl Classify for ExportError {
    fn class(&self) -> Class {
        match self {
            Self::Entry { .. } => Class::of(Kind::Inconsistent).with_effect(Effect::NotApplied),
            Self::Journal(error) => error.class(),
            Self::Write(error) => error.class().with_effect(Effect::Unknown),
        }
    }
}

/// An exported journal could not be read back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A row is not as it was exported.
    #[error("line {line}, {field}: {why}")]
    Row {
        /// The line, from 1.
        line: u64,
        /// The part of it.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The rows could not be read.
    #[error("the export cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

impl From<csv::Error> for ImportError {
    fn from(why: csv::Error) -> Self {
        let line = why.position().map_or(0, csv::Position::line);
        match why.into_kind() {
            csv::ErrorKind::Io(why) => Self::Read(why),
            kind => Self::Row { line, field: "line", why: format!("{kind:?}") },
        }
    }
}

impl Classify for ImportError {
    fn class(&self) -> Class {
        match self {
            Self::Row { .. } => Class::of(Kind::Data).with_effect(Effect::NotApplied),
            Self::Read(error) => error.class().with_effect(Effect::NotApplied),
        }
    }
}
