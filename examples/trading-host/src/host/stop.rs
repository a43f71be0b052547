//! Why a run stops.

use backstop_dlq::{ConsumerError, StoreError};
use backstop_position_ledger::error::{AmountError, NameError, ReplayError, TooWide};
use backstop_reconciliation_strategies::ReconcileError;

/// Why a run stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The books cannot be written or read.
    #[error("the books: {0}")]
    Books(String),
    /// The letters cannot be written or read.
    #[error("the letters: {0}")]
    Letters(String),
    /// The snapshots of profit and loss cannot be written or read.
    #[error("the snapshots: {0}")]
    Snapshots(String),
    /// A halt cannot be written down or read.
    #[error("the halt: {0}")]
    Halt(String),
    /// The host refuses to trade.
    #[error("refused to trade: {0}")]
    Refused(String),
    /// The market was traded, and the venue does not say what really happened.
    #[error("nothing can be proven, because the venue has no audit: {0}")]
    Unproven(String),
    /// Nothing can happen any more.
    #[error(transparent)]
    Deadlock(#[from] crate::runtime::Deadlock),
}

/// What a run adds to the error that ended it, once trading had opened.
///
/// Without it nothing was sent: the host refused before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trading broke off")]
pub struct BrokenOff;

impl From<AmountError> for Stop {
    fn from(error: AmountError) -> Self {
        Self::Books(error.to_string())
    }
}

impl From<TooWide> for Stop {
    fn from(error: TooWide) -> Self {
        Self::Books(error.to_string())
    }
}

impl From<NameError> for Stop {
    fn from(error: NameError) -> Self {
        Self::Books(error.to_string())
    }
}

impl From<ReplayError> for Stop {
    fn from(error: ReplayError) -> Self {
        Self::Books(error.to_string())
    }
}

impl From<ReconcileError> for Stop {
    fn from(error: ReconcileError) -> Self {
        Self::Books(error.to_string())
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Letters(error.to_string())
    }
}

impl From<ConsumerError> for Stop {
    fn from(error: ConsumerError) -> Self {
        Self::Letters(error.to_string())
    }
}
