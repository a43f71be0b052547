//! Snapshots against the live books: how far they are apart, and what is to be done about it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Cash, Line, Scope, Snapshot};
use crate::amount::Amount;
use crate::books::Books;
use crate::error::AmountError;
use crate::name::{Account, Currency, InstrumentId, LegId, Strategy};

/// What is known of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has compared it yet.
    Unchecked,
    /// Every figure is that of the live books.
    Valid,
    /// It differs by no more than the limits allow.
    Accepted,
    /// It differs by more: a human has to look.
    Alert,
    /// Its checksum is not that of its content, so no figure of it counts.
    Broken,
}

impl Status {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Valid => "valid",
            Self::Accepted => "accepted",
            Self::Alert => "alert",
            Self::Broken => "broken",
        }
    }
}

/// Which figure drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// The quantity of a position, in units of the instrument.
    Quantity,
    /// The total cost of a position, in units of its settlement currency.
    OpenCost,
    /// The realized profit of a position, in units of its settlement currency.
    Realized,
    /// The money of an account, in units of the currency.
    Cash,
}

impl Figure {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quantity => "quantity",
            Self::OpenCost => "open_cost",
            Self::Realized => "realized",
            Self::Cash => "cash",
        }
    }
}

/// One figure that is not the same in the snapshot and in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Which figure.
    pub figure: Figure,
    /// Whose it is.
    pub account: Account,
    /// The instrument of a position; none for money.
    pub instrument: Option<InstrumentId>,
    /// The leg of a hedged position.
    pub leg: Option<LegId>,
    /// The strategy whose share it is.
    pub strategy: Option<Strategy>,
    /// The currency of the money, or in which the position settles.
    pub currency: Currency,
    /// What the snapshot says; none when it does not list it, which counts as zero.
    pub recorded: Option<Amount>,
    /// What the books say; none when they do not list it, which counts as zero.
    pub live: Option<Amount>,
    /// Live less recorded, in units.
    pub difference: Amount,
}

/// Drifts up to which a snapshot is accepted; everything else is an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For quantities, in units of the instrument.
    pub quantity: Amount,
    /// For costs, profits and money, in units of the currency.
    pub money: Amount,
}

/// The result of a comparison with the live books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// What follows from the drifts.
    pub status: Status,
    /// The version of the books that it was compared with.
    pub sequence: u64,
    /// All figures that differ, sorted by account, instrument, leg, strategy, currency and figure.
    pub drifts: Vec<Drift>,
}

/// What a figure belongs to, in the order of the result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    account: Account,
    instrument: Option<InstrumentId>,
    leg: Option<LegId>,
    strategy: Option<Strategy>,
    currency: Currency,
    figure: Figure,
}

impl Snapshot {
    /// Compares every figure that does not depend on marks with the books as they are now.
    ///
    /// Unlike [`Snapshot::verify_against`] the books may have gone on, or be somebody else's: what matters is how far
    /// apart they are, in units, and whether that is within the limits.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when a figure is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use backstop_clock::Timestamp;
    /// use backstop_position_ledger::pnl::{Kind, Limits, Status};
    /// use backstop_position_ledger::{Books, Instruments};
    ///
    /// let books = Books::new(Instruments::default());
    /// let snapshot = books.snapshot(&BTreeMap::new(), Timestamp::EPOCH, Kind::Periodic)?;
    /// assert_eq!(snapshot.validate(&books, &Limits::default())?.status, Status::Valid);
    /// # Ok::<(), backstop_position_ledger::error::AmountError>(())
    /// ```
    pub fn validate(&self, books: &Books, limits: &Limits) -> Result<Validation, AmountError> {
        let sequence = books.sequence();
        if self.verify().is_err() {
            return Ok(Validation { status: Status::Broken, sequence, drifts: Vec::new() });
        }
        let scope = Scope { portfolio: self.portfolio.clone(), broker: self.broker.clone() };
        let live = books.snapshot_of(&scope, &BTreeMap::new(), self.at, self.kind)?;
        let (recorded, live) = (figures(self), figures(&live));
        let mut drifts = Vec::new();
        let mut status = Status::Valid;
        let keys: BTreeSet<_> = recorded.keys().chain(live.keys()).collect();
        for key in keys {
            let (recorded, live) = (recorded.get(key).copied(), live.get(key).copied());
            let difference = live.unwrap_or_default().checked_sub(recorded.unwrap_or_default())?;
            if difference.is_zero() {
                continue;
            }
            let limit = if key.figure == Figure::Quantity { limits.quantity } else { limits.money };
            let found = if difference.abs() <= limit { Status::Accepted } else { Status::Alert };
            status = status.max(found);
            drifts.push(drift(key, (recorded, live), difference));
        }
        Ok(Validation { status, sequence, drifts })
    }
}

fn drift(
    key: &Key,
    (recorded, live): (Option<Amount>, Option<Amount>),
    difference: Amount,
) -> Drift {
    let Key { account, instrument, leg, strategy, currency, figure } = key.clone();
    Drift { figure, account, instrument, leg, strategy, currency, recorded, live, difference }
}

fn figures(snapshot: &Snapshot) -> BTreeMap<Key, Amount> {
    let of_line = |line: &Line| {
        let key = |figure| Key {
            account: line.account.clone(),
            instrument: Some(line.instrument.clone()),
            leg: line.leg.clone(),
            strategy: line.strategy.clone(),
            currency: line.currency.clone(),
            figure,
        };
        [
            (key(Figure::Quantity), line.quantity),
            (key(Figure::OpenCost), line.open_cost),
            (key(Figure::Realized), line.realized),
        ]
    };
    let of_cash = |cash: &Cash| {
        let (account, currency, figure) =
            (cash.account.clone(), cash.currency.clone(), Figure::Cash);
        let key = Key { account, instrument: None, leg: None, strategy: None, currency, figure };
        (key, cash.total)
    };
    let positions = snapshot.positions.iter().flat_map(of_line);
    positions.chain(snapshot.balances.iter().map(of_cash)).collect()
}
