use std::borrow::Cow;

use backstop_clock::Timestamp;

use crate::rows::{BalanceRow, OrderRow, PositionRow, TradeRow};

/// What one source says about the books at one moment.
///
/// Text is borrowed or owned, so that a hot loop need not copy its keys.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_reconciliation_strategies::{Leg, Statement, rows::BalanceRow};
/// use rust_decimal::dec;
///
/// let venue = Statement::new("venue", Timestamp::from_millis(5_000))
///     .with_balances(vec![BalanceRow::new("A", "USDT", dec!(100))]);
/// assert_eq!(venue.positions, Leg::NotObserved);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement<'a> {
    /// Who says it, for instance `ledger` or the name of a venue.
    pub source: Cow<'a, str>,
    /// The moment the statement describes; when it was asked for if the source does not say.
    pub as_of: Timestamp,
    /// Version of the book; needed on our own side, so that a stale plan can be refused.
    pub version: Option<u64>,
    /// Trades before this moment are not in the list.
    pub trades_from: Option<Timestamp>,
    /// Positions; a flat one may be listed with quantity zero or left out.
    pub positions: Leg<Vec<PositionRow<'a>>>,
    /// Balances; a currency that is left out has the total zero.
    pub balances: Leg<Vec<BalanceRow<'a>>>,
    /// Trades (fills) since `trades_from`, in the order in which they happened.
    pub trades: Leg<Vec<TradeRow<'a>>>,
    /// Orders that are open.
    pub orders: Leg<Vec<OrderRow<'a>>>,
}

/// One part of a statement: absent is not empty, and failed is not flat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Leg<T> {
    /// The source was asked and answered; an empty answer means there is nothing.
    Observed(T),
    /// The source was not asked.
    #[default]
    NotObserved,
    /// The source was asked and gave no answer; the reason in words.
    Failed(String),
}

impl<'a> Statement<'a> {
    /// A statement with no leg observed yet.
    pub fn new(source: impl Into<Cow<'a, str>>, as_of: Timestamp) -> Self {
        Self {
            source: source.into(),
            as_of,
            version: None,
            trades_from: None,
            positions: Leg::NotObserved,
            balances: Leg::NotObserved,
            trades: Leg::NotObserved,
            orders: Leg::NotObserved,
        }
    }

    /// With the version of the book that was read.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// With observed positions.
    #[must_use]
    pub fn with_positions(mut self, rows: Vec<PositionRow<'a>>) -> Self {
        self.positions = Leg::Observed(rows);
        self
    }

    /// With observed balances.
    #[must_use]
    pub fn with_balances(mut self, rows: Vec<BalanceRow<'a>>) -> Self {
        self.balances = Leg::Observed(rows);
        self
    }

    /// With observed trades, complete from the beginning of the account.
    #[must_use]
    pub fn with_trades(mut self, rows: Vec<TradeRow<'a>>) -> Self {
        self.trades = Leg::Observed(rows);
        self
    }

    /// With observed trades, complete from `from` on.
    #[must_use]
    pub fn with_trades_since(mut self, from: Timestamp, rows: Vec<TradeRow<'a>>) -> Self {
        self.trades_from = Some(from);
        self.trades = Leg::Observed(rows);
        self
    }

    /// With observed open orders.
    #[must_use]
    pub fn with_orders(mut self, rows: Vec<OrderRow<'a>>) -> Self {
        self.orders = Leg::Observed(rows);
        self
    }
}
