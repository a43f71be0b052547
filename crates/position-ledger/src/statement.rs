//! Statements: the books as plain records, for whoever compares several books of one position.
//!
//! The ledger knows nothing of that comparison; a repair comes back as entries like any other.

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::books::Books;
use crate::fill::Booked;
use crate::name::{Account, Currency, InstrumentId, LegId};
use crate::order::Order;
use crate::rules::Method;

/// What the books say at one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The last entry that counts: a repair that expects this version is refused when somebody wrote in between.
    pub version: u64,
    /// When it was made.
    pub as_of: Timestamp,
    /// Open positions, sorted by account, instrument and leg.
    pub positions: Vec<Row>,
    /// Money, sorted by account and currency.
    pub balances: Vec<Purse>,
    /// Fills since the start of the window, in the order of the journal.
    pub fills: Vec<Booked>,
    /// Orders that may still get filled.
    pub orders: Vec<Order>,
}

/// One open position of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Whose it is.
    pub account: Account,
    /// What is held.
    pub instrument: InstrumentId,
    /// The leg of a hedged position.
    pub leg: Option<LegId>,
    /// Long positive, short negative.
    pub quantity: Amount,
    /// Average price of what is open; none where no amount states it, as of a crumb at a high cost.
    pub average: Option<Amount>,
    /// Whether another book's average says the same: only where the cost is a running average, netted alike.
    pub is_average_comparable: bool,
    /// Profit of what was closed, without fees, in the settlement currency.
    pub realized_gross: Amount,
    /// When something last happened to it, by event time.
    pub last_activity: Timestamp,
    /// Since when its figures stand still, because it is isolated.
    pub isolated_since: Option<Timestamp>,
}

/// Money of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purse {
    /// Whose it is.
    pub account: Account,
    /// In this currency.
    pub currency: Currency,
    /// So much.
    pub total: Amount,
}

impl Books {
    /// The books as plain records, with the fills from `since` on.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_clock::Timestamp;
    /// use backstop_position_ledger::{Books, Instruments};
    ///
    /// let books = Books::new(Instruments::default());
    /// let statement = books.statement(Timestamp::from_millis(5_000), Timestamp::EPOCH);
    /// assert!(statement.version == 0 && statement.positions.is_empty());
    /// ```
    pub fn statement(&self, as_of: Timestamp, since: Timestamp) -> Statement {
        let open = self.positions().into_iter().filter(|position| !position.quantity().is_zero());
        let rows = open.map(|position| Row {
            account: position.account().clone(),
            instrument: position.instrument().id().clone(),
            leg: position.leg().cloned(),
            quantity: position.quantity(),
            average: position.average().ok().flatten(),
            is_average_comparable: position.instrument().method() == Method::Average,
            realized_gross: position.realized_gross(),
            last_activity: position.last_activity(),
            isolated_since: position.isolation().map(|isolation| isolation.at),
        });
        let purse = |(account, currency, balance): (&Account, &Currency, crate::money::Balance)| {
            Purse { account: account.clone(), currency: currency.clone(), total: balance.total }
        };
        Statement {
            version: self.sequence(),
            as_of,
            positions: rows.collect(),
            balances: self.balances().into_iter().map(purse).collect(),
            fills: self.fills().filter(|booked| booked.at >= since).collect(),
            orders: self.open_orders().cloned().collect(),
        }
    }
}
