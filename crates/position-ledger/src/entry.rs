//! What a journal is made of: one entry states one fact.

use std::sync::Arc;

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::action::{Action, Move, Opening, Payment, Reach, Repair, Subject};
use crate::amount::Amount;
use crate::fill::{Correction, Fill, Void};
use crate::journal::Digest;
use crate::name::{Account, Currency, InstrumentId, Portfolio, Strategy, Text};
use crate::order::{Event, Intent};
use crate::pnl::Kind;

/// One line of the books: a fact, with when, why and for which account.
///
/// # Examples
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_position_ledger::{Account, Amount, Currency, Entry, Fact};
///
/// let at = Timestamp::from_millis(1_000);
/// let deposit = Fact::Deposited { currency: Currency::new("USD")?, amount: Amount::from_int(100) };
/// let entry = Entry::new(Entry::id_at(at, [7; 10]), Account::new("main")?, at, deposit);
/// assert_eq!(entry.journaled_at, at);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The identity of the entry, a version 7 UUID.
    ///
    /// It is the key of deposits, adjustments, busts, corrections and snapshots, and then must not be nil.
    /// Fills, orders, and what the venue gives an id have keys of their own.
    pub id: Uuid,
    /// What led to it, where that is known.
    pub cause: Option<Cause>,
    /// The account that it concerns.
    pub account: Account,
    /// The strategy that it counts to; a fill without one takes that of its order.
    pub strategy: Option<Strategy>,
    /// The portfolio that it counts to; a fill without one takes that of its order.
    pub portfolio: Option<Portfolio>,
    /// When it happened, by the word of whoever saw it happen.
    pub at: Timestamp,
    /// When it was written down.
    pub journaled_at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

impl Entry {
    /// An entry that is written down the moment it happens, without a stated cause.
    pub const fn new(id: Uuid, account: Account, at: Timestamp, fact: Fact) -> Self {
        Self {
            id,
            cause: None,
            account,
            strategy: None,
            portfolio: None,
            at,
            journaled_at: at,
            fact,
        }
    }

    /// States the strategy that it counts to.
    #[must_use]
    pub fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// States the portfolio that it counts to.
    #[must_use]
    pub fn with_portfolio(mut self, portfolio: Portfolio) -> Self {
        self.portfolio = Some(portfolio);
        self
    }

    /// States what led to it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// States when it was written down, where that is later than the event.
    #[must_use]
    pub const fn with_journaled_at(mut self, journaled_at: Timestamp) -> Self {
        self.journaled_at = journaled_at;
        self
    }

    /// Whether it names a desk: a strategy or a portfolio.
    pub(crate) const fn has_desk(&self) -> bool {
        self.strategy.is_some() || self.portfolio.is_some()
    }

    /// Mints a version 7 UUID of a given time and given random bits, so that a run can be repeated.
    ///
    /// A time before the epoch counts as the epoch.
    pub fn id_at(at: Timestamp, random: [u8; 10]) -> Uuid {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// What led to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Another entry, a message, a run, a finding.
    Id(Uuid),
    /// In words.
    Text(Text),
}

impl From<Uuid> for Cause {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<Text> for Cause {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

/// What can be written into the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// Money came in; the amount is above zero.
    Deposited {
        /// In this currency.
        currency: Currency,
        /// So much.
        amount: Amount,
    },
    /// Money went out; the amount is above zero.
    Withdrawn {
        /// In this currency.
        currency: Currency,
        /// So much.
        amount: Amount,
    },
    /// Money that was there before the books began; signed, not zero.
    BalanceOpened {
        /// In this currency.
        currency: Currency,
        /// So much.
        amount: Amount,
    },
    /// Money went to another account of the books; the amount is above zero.
    MoneyMoved {
        /// In this currency.
        currency: Currency,
        /// So much.
        amount: Amount,
        /// Where to.
        to: Account,
    },
    /// A balance was corrected by hand or by reconciliation; the amount is signed and not zero.
    Adjusted {
        /// In this currency.
        currency: Currency,
        /// By so much.
        amount: Amount,
        /// The finding, or the operator's words.
        reason: Text,
    },
    /// A fee, rebate, funding or interest outside of a fill.
    Paid(Payment),
    /// An order is about to be sent; durable before the venue may see it.
    Intended(Arc<Intent>),
    /// Something became known about an order.
    Order {
        /// The client order id of its intent.
        order_id: Uuid,
        /// What became known.
        event: Event,
    },
    /// The venue traded for us; booked even when the order is not ours.
    Filled(Fill),
    /// The venue took a fill back, in whole or in part; it may say so before the fill arrives.
    FillVoided(Void),
    /// The venue restated the price of a fill, which keeps its place.
    FillCorrected(Correction),
    /// Something happened to an instrument: settlement, delivery, split, dividend.
    Acted(Action),
    /// A position went to another account of the books, with its cost.
    Moved(Move),
    /// A position was corrected by hand or by reconciliation, like a fill at a price.
    PositionAdjusted(Repair),
    /// A position that was there before the books began.
    PositionOpened(Opening),
    /// An account or an instrument is set apart: nothing more is booked on it until it is released.
    Isolated {
        /// What is set apart.
        subject: Subject,
        /// Why.
        reason: Text,
    },
    /// What was set apart may be booked on again.
    Released {
        /// What was set apart.
        subject: Subject,
        /// Why it may.
        reason: Text,
    },
    /// A snapshot of profit and loss was taken and handed out.
    SnapshotTaken {
        /// The occasion.
        kind: Kind,
        /// The entry up to which it speaks.
        of_sequence: u64,
        /// Its checksum.
        checksum: Digest,
    },
}

impl Fact {
    /// An intent as a fact.
    pub fn intended(intent: Intent) -> Self {
        Self::Intended(Arc::new(intent))
    }

    /// News of an order as a fact.
    pub const fn order(order_id: Uuid, event: Event) -> Self {
        Self::Order { order_id, event }
    }

    /// Whether the account of the entry is part of what it says.
    pub(crate) const fn is_of_one_account(&self) -> bool {
        !matches!(self, Self::Acted(Action { reach: Reach::Everyone, .. }))
    }

    /// The instrument that it names.
    pub fn instrument(&self) -> Option<&InstrumentId> {
        match self {
            Self::Intended(intent) => Some(&intent.instrument),
            Self::Filled(fill) => Some(&fill.instrument),
            Self::FillVoided(void) => Some(&void.instrument),
            Self::FillCorrected(correction) => Some(&correction.instrument),
            Self::Paid(payment) => payment.instrument.as_ref(),
            Self::Acted(action) => Some(&action.instrument),
            Self::Moved(moved) => Some(&moved.instrument),
            Self::PositionAdjusted(repair) => Some(&repair.instrument),
            Self::PositionOpened(opening) => Some(&opening.instrument),
            Self::Isolated { subject: Subject::Instrument(id), .. }
            | Self::Released { subject: Subject::Instrument(id), .. } => Some(id),
            _ => None,
        }
    }
}
