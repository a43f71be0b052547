//! Snapshots of profit and loss, sealed with a checksum.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::books::Books;
use crate::error::{AmountError, SnapshotError};
use crate::journal::{Checkpoint, Digest, Writer};
use crate::name::{Account, Currency, InstrumentId, LegId};
use crate::position::Position;

pub use crate::rates::Rates;

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
    /// Its settlement currency.
    pub currency: Currency,
    /// Long positive, short negative.
    pub quantity: Amount,
    /// Total cost of the open quantity.
    pub open_cost: Amount,
    /// Average price; none when flat.
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

/// Profit and loss of all accounts at one entry of the journal.
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
    /// Realized profit by currency, without fees.
    pub realized: BTreeMap<Currency, Amount>,
    /// Unrealized profit by currency, of the positions that have a mark.
    pub unrealized: BTreeMap<Currency, Amount>,
    /// Fees by currency, paid positive.
    pub fees: BTreeMap<Currency, Amount>,
    /// Money, sorted by account and currency.
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
        let positions = self.positions();
        let rows: Result<Vec<_>, _> =
            positions.iter().map(|position| row(position, marks)).collect();
        let positions = rows?;
        let mut unrealized = BTreeMap::new();
        let mut unpriced = Vec::new();
        for position in &positions {
            if let Some(gain) = position.unrealized {
                let sum: &mut Amount = unrealized.entry(position.currency.clone()).or_default();
                *sum = sum.checked_add(gain)?;
            } else if !position.quantity.is_zero() {
                unpriced.push(position.instrument.clone());
            }
        }
        unpriced.sort_unstable();
        unpriced.dedup();
        let cash = |(account, currency, balance): (&Account, &Currency, crate::money::Balance)| {
            Cash { account: account.clone(), currency: currency.clone(), total: balance.total }
        };
        let mut snapshot = Snapshot {
            sequence: self.sequence(),
            head: self.head(),
            at,
            kind,
            realized: self.realized_gross()?,
            unrealized,
            fees: self.fees()?,
            balances: self.balances().into_iter().map(cash).collect(),
            positions,
            unpriced,
            checksum: Checkpoint::START.hash,
        };
        snapshot.checksum = snapshot.seal();
        Ok(snapshot)
    }
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
        currency: instrument.settlement().clone(),
        quantity: position.quantity(),
        open_cost: position.open_cost(),
        average: position.average()?,
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
        for sums in [&self.realized, &self.unrealized, &self.fees] {
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
        let right = books.snapshot(&marks, self.at, self.kind)?;
        let parts = [
            ("history", self.checkpoint() == right.checkpoint()),
            ("positions", self.positions == right.positions),
            ("realized totals", self.realized == right.realized),
            ("unrealized totals", self.unrealized == right.unrealized),
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
