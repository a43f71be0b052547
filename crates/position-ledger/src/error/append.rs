//! Why an entry was not taken.

use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use thiserror::Error;
use uuid::Uuid;

use super::{AmountError, Difference, Invalid, JournalError};
use crate::amount::Amount;
use crate::fill::LotName;
use crate::name::{InstrumentId, TradeId};
use crate::order::Status;
use crate::slots::Isolation;

/// An entry was not taken; the books are as before, and so is the journal unless it failed itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A field breaks its rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The instrument is not one of those the ledger was opened with.
    #[error("instrument {0}: it is not known to the ledger")]
    UnknownInstrument(InstrumentId),
    /// News of an order whose intent is not in the books.
    #[error("order {0}: its intent is not in the books")]
    UnknownOrder(Uuid),
    /// The order is not in a state in which this can happen.
    #[error("order {order_id}: {event} cannot follow {}", from.as_str())]
    Transition {
        /// The order.
        order_id: Uuid,
        /// Where it stands.
        from: Status,
        /// What was reported.
        event: &'static str,
    },
    /// A figure would not be exact, or would leave the range.
    #[error("{field}: {source}")]
    Amount {
        /// The figure.
        field: &'static str,
        /// What is wrong with it.
        source: AmountError,
    },
    /// A bust or correction names a fill that the books do not know.
    #[error("trade {0}: it is not in the books")]
    UnknownTrade(TradeId),
    /// A correction names a fill that is void.
    #[error("trade {0}: it is void")]
    VoidedTrade(TradeId),
    /// A bust says what is known already.
    #[error("trade {trade_id}: {voided} of it are void already")]
    DuplicateVoid {
        /// The fill.
        trade_id: TradeId,
        /// How much of it is void.
        voided: Amount,
    },
    /// A bust says less than is known: busts are cumulative, so it is an old one.
    #[error("trade {trade_id}: {voided} of it are void already, more than {offered}")]
    StaleVoid {
        /// The fill.
        trade_id: TradeId,
        /// How much of it is void.
        voided: Amount,
        /// How much was offered.
        offered: Amount,
    },
    /// A correction with a revision before that of the last one: an old word that comes late.
    #[error("trade {trade_id}: it was corrected with revision {held}, after {offered}")]
    StaleCorrection {
        /// The fill.
        trade_id: TradeId,
        /// The revision of the correction that counts.
        held: u64,
        /// The one that was offered.
        offered: u64,
    },
    /// A bust takes back more than was traded.
    #[error("trade {trade_id}: {offered} cannot be void of {traded}")]
    ExcessVoid {
        /// The fill.
        trade_id: TradeId,
        /// How much was traded.
        traded: Amount,
        /// How much was offered.
        offered: Amount,
    },
    /// The method is that of specific lots, and a closing fill names none.
    #[error("lots: the fill closes {quantity} and has to name them")]
    LotRequired {
        /// How much it closes.
        quantity: Amount,
    },
    /// A named lot is not open, or not in that quantity.
    #[error("lot {lot}: {open} of it are open, not {asked}")]
    LotUnavailable {
        /// The lot.
        lot: LotName,
        /// How much of it was to be closed.
        asked: Amount,
        /// How much of it is open.
        open: Amount,
    },
    /// The named lots are not just what is closed.
    #[error("lots: {named} are named, {closed} are closed")]
    LotQuantity {
        /// Their sum.
        named: Amount,
        /// How much the fill closes.
        closed: Amount,
    },
    /// More is to leave a position than it holds.
    #[error("quantity {asked}: it must be at most the {held} that are held")]
    InsufficientQuantity {
        /// What is held.
        held: Amount,
        /// What was asked for.
        asked: Amount,
    },
    /// The account or instrument is set apart until it is released; keep the entry for then.
    #[error("{subject} is isolated since entry {}: {}", isolation.sequence, isolation.reason)]
    Isolated {
        /// The account or instrument.
        subject: String,
        /// Why, and since when.
        isolation: Box<Isolation>,
    },
    /// The books cannot keep another fill; 16 GiB of them fit, some 240 million.
    #[error("the books are full")]
    Full,
    /// Somebody else wrote in between.
    #[error("the books are at version {actual}, not {expected}")]
    VersionConflict {
        /// The version the caller had seen.
        expected: u64,
        /// The version the books have.
        actual: u64,
    },
    /// An entry of a group holds a key that is taken by another content; nothing of the group was taken.
    #[error("entry {index} of the group conflicts with the books: {difference}")]
    GroupConflict {
        /// Which of the group, from 0.
        index: usize,
        /// What differs.
        difference: Difference,
    },
    /// The journal failed, and its class says whether the entry may have reached the disk.
    ///
    /// The ledger takes nothing more until it is opened again.
    #[error("the journal failed, the ledger has stopped")]
    Journal(#[from] JournalError),
    /// The journal failed earlier, so books and journal may differ; open the ledger again.
    #[error("the ledger has stopped after its journal failed; open it again")]
    Stopped,
}

impl Classify for AppendError {
    fn class(&self) -> Class {
        let kind = match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::UnknownInstrument(_) | Self::UnknownOrder(_) | Self::UnknownTrade(_) => {
                Kind::NotFound
            }
            Self::Transition { .. }
            | Self::VoidedTrade(_)
            | Self::LotUnavailable { .. }
            | Self::InsufficientQuantity { .. }
            | Self::Isolated { .. } => Kind::Precondition,
            Self::ExcessVoid { .. } | Self::LotRequired { .. } | Self::LotQuantity { .. } => {
                Kind::Invalid
            }
            Self::Amount { .. } => Kind::Calculation,
            Self::VersionConflict { .. }
            | Self::GroupConflict { .. }
            | Self::DuplicateVoid { .. }
            | Self::StaleVoid { .. }
            | Self::StaleCorrection { .. } => Kind::Conflict,
            Self::Journal(error) => return error.class(),
            Self::Full | Self::Stopped => Kind::Unavailable,
        };
        Class::of(kind).with_effect(Effect::NotApplied)
    }
}
