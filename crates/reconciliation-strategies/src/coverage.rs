//! What a run could see and how much it compared.

use crate::{Leg, Statement, findings::Subject};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Everything that was asked for was compared.
    Completed,
    /// A leg failed or a row was malformed; the rest counts.
    Partial,
    /// Our own book could not be read, so nothing was compared.
    Failed,
}

/// What one source let the run see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Name of the source.
    pub source: String,
    /// Its positions.
    pub positions: Seen,
    /// Its balances.
    pub balances: Seen,
    /// Its trades.
    pub trades: Seen,
    /// Its open orders.
    pub orders: Seen,
}

/// Whether a leg was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The source answered.
    Observed,
    /// The source was not asked.
    NotObserved,
    /// The source gave no answer; the reason in words.
    Unavailable(String),
}

impl Coverage {
    pub(crate) fn of(statement: &Statement<'_>) -> Self {
        Self {
            source: statement.source.clone().into_owned(),
            positions: Seen::of(&statement.positions),
            balances: Seen::of(&statement.balances),
            trades: Seen::of(&statement.trades),
            orders: Seen::of(&statement.orders),
        }
    }

    /// Whether a leg of the source failed.
    pub fn is_partial(&self) -> bool {
        [&self.positions, &self.balances, &self.trades, &self.orders]
            .into_iter()
            .any(|leg| matches!(leg, Seen::Unavailable(_)))
    }
}

impl Seen {
    fn of<T>(leg: &Leg<T>) -> Self {
        match leg {
            Leg::Observed(_) => Self::Observed,
            Leg::NotObserved => Self::NotObserved,
            Leg::Failed(reason) => Self::Unavailable(reason.clone()),
        }
    }
}

/// How many keys were compared, by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compared {
    /// Positions.
    pub positions: usize,
    /// Balances.
    pub balances: usize,
    /// Trades.
    pub trades: usize,
    /// Orders.
    pub orders: usize,
}

impl Compared {
    /// Keys of all levels.
    pub fn total(&self) -> usize {
        [self.positions, self.balances, self.trades, self.orders]
            .into_iter()
            .fold(0, usize::saturating_add)
    }
}

/// A difference that was not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The key that differs.
    pub subject: Subject,
    /// Why it was not judged.
    pub reason: Reason,
}

/// Why a difference was not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The other side's statement is older than the last activity of the key.
    StaleSource,
}
