//! Snapshots of profit and loss, sealed with a checksum.
//!
//! [`Books::snapshot`] takes one when a [`Schedule`] says so, [`take`] keeps it in a [`Store`] and publishes it, and
//! [`Snapshot::validate`] compares it with the live books: what drifted little is accepted, the rest is an alert.

mod schedule;
mod validation;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::books::Books;
use crate::error::{AmountError, SnapshotError, TakeError};
use crate::journal::{Checkpoint, Digest, Writer};
use crate::money::Balance;
use crate::name::{Account, Currency, InstrumentId, LegId, Portfolio, Strategy};
use crate::position::Position;

pub use crate::name::Broker;
pub use crate::profit::{By, Group, Mark, Marks, Profit, Profits, convert};
pub use crate::rates::Rates;
pub use schedule::Schedule;
pub use store::{Damaged, Found, MemoryStore, Query, Store, Stored};
pub use validation::{Drift, Figure, Limits, Status, Validation};

/// Separates these checksums from all other uses of SHA-256.
const DOMAIN: &[u8] = b"backstop.position-ledger.snapshot.2";

/// The occasion of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The timer.
    Periodic,
    /// The end of a trading day.
    EndOfDay,
    /// A reconciliation with the venue.
    Reconciliation,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Periodic => "periodic",
            Self::EndOfDay => "end_of_day",
            Self::Reconciliation => "reconciliation",
        }
    }

    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Periodic => 1,
            Self::EndOfDay => 2,
            Self::Reconciliation => 3,
        }
    }

    pub(crate) const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Periodic),
            2 => Some(Self::EndOfDay),
            3 => Some(Self::Reconciliation),
            _ => None,
        }
    }
}

/// What a snapshot speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// One portfolio, by its shares in the positions; none for the whole books.
    pub portfolio: Option<Portfolio>,
    /// The broker that holds the accounts, for those who keep reports of several.
    pub broker: Option<Broker>,
}

/// One position of a snapshot; amounts of money are in the settlement currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Whose it is.
    pub account: Account,
    /// The contract.
    pub instrument: InstrumentId,
    /// The leg of a hedged position.
    pub leg: Option<LegId>,
    /// The strategy whose share of the position it is; none for the position itself.
    pub strategy: Option<Strategy>,
    /// Its settlement currency.
    pub currency: Currency,
    /// Long positive, short negative.
    pub quantity: Amount,
    /// Total cost of the open quantity.
    pub open_cost: Amount,
    /// Average price; none when flat, or where no amount states it, as of a crumb at a high cost.
    pub average: Option<Amount>,
    /// The mark it was valued at; none when none was given.
    pub mark: Option<Amount>,
    /// Profit of what was closed, without fees.
    pub realized: Amount,
    /// Profit of what is open at the mark; none without a mark, which is not zero.
    pub unrealized: Option<Amount>,
}

/// The money of one account in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cash {
    /// Whose it is.
    pub account: Account,
    /// In this currency.
    pub currency: Currency,
    /// So much.
    pub total: Amount,
}

/// Profit and loss of all accounts, or of a portfolio, at one entry of the journal.
///
/// No rate is invented: every total is per currency, and a position without a mark is listed in `unpriced`, not counted as zero.
/// The checksum is SHA-256 over a canonical form, so neither the order of JSON keys nor the zeros of a number change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The last entry that it takes into account.
    pub sequence: u64,
    /// The hash of that entry.
    pub head: Digest,
    /// When it was taken.
    pub at: Timestamp,
    /// The occasion.
    pub kind: Kind,
    /// The portfolio it speaks of; none for the whole books.
    pub portfolio: Option<Portfolio>,
    /// The broker it speaks of, if that was said.
    pub broker: Option<Broker>,
    /// Realized profit by currency, without fees.
    pub realized: BTreeMap<Currency, Amount>,
    /// Unrealized profit by currency, of the positions that have a mark.
    pub unrealized: BTreeMap<Currency, Amount>,
    /// Realized and unrealized profit together, by currency; of what has no mark the realized part alone.
    pub total: BTreeMap<Currency, Amount>,
    /// Fees by currency, paid positive.
    pub fees: BTreeMap<Currency, Amount>,
    /// Money, sorted by account and currency; of a portfolio, that of the accounts it trades in.
    pub balances: Vec<Cash>,
    /// Positions, sorted by account, instrument and leg; flat ones included, because they have realized something.
    pub positions: Vec<Line>,
    /// Instruments held for which no mark was given, sorted.
    pub unpriced: Vec<InstrumentId>,
    /// The seal over everything above.
    pub checksum: Digest,
}

impl Books {
    /// Takes a snapshot at these marks (prices by instrument).
    ///
    /// Values at a mark are rounded half to even at the 18th decimal.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when a figure is out of range.
    pub fn snapshot(
        &self,
        marks: &BTreeMap<InstrumentId, Amount>,
        at: Timestamp,
        kind: Kind,
    ) -> Result<Snapshot, AmountError> {
        self.snapshot_of(&Scope::default(), marks, at, kind)
    }

    /// Takes a snapshot of a portfolio, or for a broker.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when a figure is out of range.
    pub fn snapshot_of(
        &self,
        scope: &Scope,
        marks: &BTreeMap<InstrumentId, Amount>,
        at: Timestamp,
        kind: Kind,
    ) -> Result<Snapshot, AmountError> {
        let Scope { portfolio, broker } = scope.clone();
        let held = match &portfolio {
            None => self.positions(),
            Some(portfolio) => {
                let is_of = |share: &Position<'_>| share.portfolio() == Some(portfolio);
                self.shares().into_iter().filter(is_of).collect()
            }
        };
        let positions =
            held.iter().map(|position| row(position, marks)).collect::<Result<Vec<_>, _>>()?;
        let (mut realized, mut unrealized) = (BTreeMap::new(), BTreeMap::new());
        let (mut total, mut unpriced) = (BTreeMap::new(), BTreeSet::new());
        for line in &positions {
            add(&mut realized, &line.currency, line.realized)?;
            add(&mut total, &line.currency, line.realized)?;
            if let Some(gain) = line.unrealized {
                add(&mut unrealized, &line.currency, gain)?;
                add(&mut total, &line.currency, gain)?;
            } else if !line.quantity.is_zero() {
                unpriced.insert(line.instrument.clone());
            }
        }
        let accounts: BTreeSet<_> = held.iter().map(Position::account).collect();
        let mut balances = self.balances();
        balances.retain(|(account, ..)| portfolio.is_none() || accounts.contains(account));
        let cash = |(account, currency, balance): (&Account, &Currency, Balance)| Cash {
            account: account.clone(),
            currency: currency.clone(),
            total: balance.total,
        };
        let balances = balances.into_iter().map(cash).collect();
        let fees = match portfolio {
            None => self.fees()?,
            Some(_) => fees_of(&held)?,
        };
        let mut snapshot = Snapshot {
            sequence: self.sequence(),
            head: self.head(),
            at,
            kind,
            portfolio,
            broker,
            realized,
            unrealized,
            total,
            fees,
            balances,
            positions,
            unpriced: unpriced.into_iter().collect(),
            checksum: Checkpoint::START.hash,
        };
        snapshot.checksum = snapshot.seal();
        Ok(snapshot)
    }
}

fn add(
    sums: &mut BTreeMap<Currency, Amount>,
    currency: &Currency,
    amount: Amount,
) -> Result<(), AmountError> {
    let sum = sums.entry(currency.clone()).or_default();
    *sum = sum.checked_add(amount)?;
    Ok(())
}

fn fees_of(held: &[Position<'_>]) -> Result<BTreeMap<Currency, Amount>, AmountError> {
    let mut fees = BTreeMap::new();
    for (currency, fee) in held.iter().flat_map(Position::fees) {
        add(&mut fees, currency, fee)?;
    }
    Ok(fees)
}

fn row(
    position: &Position<'_>,
    marks: &BTreeMap<InstrumentId, Amount>,
) -> Result<Line, AmountError> {
    let instrument = position.instrument();
    let mark = marks.get(instrument.id()).copied();
    let unrealized = mark.map(|mark| position.unrealized(mark)).transpose()?;
    Ok(Line {
        account: position.account().clone(),
        instrument: instrument.id().clone(),
        leg: position.leg().cloned(),
        strategy: position.strategy().cloned(),
        currency: instrument.settlement().clone(),
        quantity: position.quantity(),
        open_cost: position.open_cost(),
        average: position.average().ok().flatten(),
        mark,
        realized: position.realized_gross(),
        unrealized,
    })
}

impl Snapshot {
    /// Whether every open position had a mark.
    pub const fn is_complete(&self) -> bool {
        self.unpriced.is_empty()
    }

    /// The entry up to which it speaks.
    pub const fn checkpoint(&self) -> Checkpoint {
        Checkpoint { sequence: self.sequence, hash: self.head }
    }

    /// The checksum that this content has to have: SHA-256 over its canonical form.
    pub fn seal(&self) -> Digest {
        let mut writer = Writer::with_capacity(512);
        writer
            .u64(self.sequence)
            .raw(self.head.as_bytes())
            .i64(self.at.as_millis())
            .u8(self.kind.tag());
        writer
            .option_text(self.portfolio.as_ref().map(Portfolio::as_str))
            .option_text(self.broker.as_ref().map(Broker::as_str));
        for sums in [&self.realized, &self.unrealized, &self.total, &self.fees] {
            writer.count(sums.len());
            for (currency, amount) in sums {
                writer.text(currency.as_str()).amount(*amount);
            }
        }
        writer.count(self.balances.len());
        for cash in &self.balances {
            writer.text(cash.account.as_str()).text(cash.currency.as_str()).amount(cash.total);
        }
        writer.count(self.positions.len());
        for position in &self.positions {
            writer
                .text(position.account.as_str())
                .text(position.instrument.as_str())
                .option_text(position.leg.as_ref().map(LegId::as_str))
                .option_text(position.strategy.as_ref().map(Strategy::as_str))
                .text(position.currency.as_str());
            writer
                .amount(position.quantity)
                .amount(position.open_cost)
                .option_amount(position.average);
            writer
                .option_amount(position.mark)
                .amount(position.realized)
                .option_amount(position.unrealized);
        }
        writer.count(self.unpriced.len());
        for instrument in &self.unpriced {
            writer.text(instrument.as_str());
        }
        Digest::tagged(DOMAIN, &writer.finish())
    }

    /// Checks that the checksum is that of the content.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Checksum`] when any figure was changed after it was taken.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        if self.seal() == self.checksum { Ok(()) } else { Err(SnapshotError::Checksum) }
    }

    /// Checks the checksum, and every figure against books that stand at its entry.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] naming the first part that differs.
    pub fn verify_against(&self, books: &Books) -> Result<(), SnapshotError> {
        self.verify()?;
        let marked = |row: &Line| row.mark.map(|mark| (row.instrument.clone(), mark));
        let marks = self.positions.iter().filter_map(marked).collect();
        let scope = Scope { portfolio: self.portfolio.clone(), broker: self.broker.clone() };
        let right = books.snapshot_of(&scope, &marks, self.at, self.kind)?;
        let parts = [
            ("history", self.checkpoint() == right.checkpoint()),
            ("positions", self.positions == right.positions),
            ("realized totals", self.realized == right.realized),
            ("unrealized totals", self.unrealized == right.unrealized),
            ("totals", self.total == right.total),
            ("fees", self.fees == right.fees),
            ("balances", self.balances == right.balances),
            ("unpriced instruments", self.unpriced == right.unpriced),
        ];
        match parts.into_iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(SnapshotError::Figures { what, sequence: self.sequence }),
            None => Ok(()),
        }
    }
}

/// Where snapshots go when they are taken.
pub trait Outlet {
    /// Hands a snapshot on; it is kept by then, so that whoever gets it can ask for it again.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being handed on.
    fn publish(&mut self, snapshot: &Snapshot) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl<F> Outlet for F
where
    F: FnMut(&Snapshot) -> Result<(), Box<dyn Error + Send + Sync>>,
{
    fn publish(&mut self, snapshot: &Snapshot) -> Result<(), Box<dyn Error + Send + Sync>> {
        self(snapshot)
    }
}

/// Keeps a snapshot, and then publishes it.
///
/// A snapshot that was kept and not published can be published again: keeping it twice changes nothing.
///
/// # Errors
///
/// [`TakeError`], which says how far it came.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use backstop_clock::Timestamp;
/// use backstop_position_ledger::pnl::{Kind, MemoryStore, Snapshot, take};
/// use backstop_position_ledger::{Books, Instruments};
///
/// let books = Books::new(Instruments::default());
/// let snapshot = books.snapshot(&BTreeMap::new(), Timestamp::EPOCH, Kind::Periodic)?;
/// let mut told = Vec::new();
/// take(&snapshot, &mut MemoryStore::new(10), &mut |snapshot: &Snapshot| {
///     told.push(snapshot.checksum);
///     Ok(())
/// })?;
/// assert_eq!(told, [snapshot.checksum]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn take(
    snapshot: &Snapshot,
    store: &mut dyn Store,
    outlet: &mut dyn Outlet,
) -> Result<(), TakeError> {
    store.put(snapshot)?;
    outlet.publish(snapshot).map_err(TakeError::Published)
}
