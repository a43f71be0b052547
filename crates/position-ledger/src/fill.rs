//! Fills: what the venue traded for an account.

use std::fmt;

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amount::Amount;
use crate::error::AmountError;
use crate::lots::Lot;
use crate::name::{Account, Currency, InstrumentId, LegId, Text};

pub use crate::name::TradeId;

/// The direction of an order or a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Adds to the quantity held.
    Buy,
    /// Takes from the quantity held.
    Sell,
}

impl Side {
    /// `quantity` with the sign of this side.
    pub const fn signed(self, quantity: Amount) -> Amount {
        match self {
            Self::Buy => quantity,
            Self::Sell => quantity.negated(),
        }
    }

    /// The word for it: `buy` or `sell`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// How the books came to know of a fill; not part of its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The venue's stream of events reported it.
    Stream,
    /// Reconciliation found it at the venue after the stream had lost it.
    Recovered {
        /// The finding that led to it.
        finding: Text,
    },
    /// Reconciliation inferred it from a position; a real fill replaces it once the venue tells of one.
    Synthetic {
        /// The finding that led to it.
        finding: Text,
    },
}

/// One trade of one order.
///
/// Its key is (account, instrument, trade id), for ever.
/// Its content is side, quantity, price, cost, fee, fee currency, order id and leg.
/// The same key with other content is a conflict.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::fill::{Fill, Side, TradeId};
/// use backstop_position_ledger::{Amount, Currency, InstrumentId};
/// use uuid::Uuid;
///
/// let (id, usd) = (InstrumentId::new("EUR/USD")?, Currency::new("USD")?);
/// let what = (Side::Buy, Amount::from_int(2000), "1.1".parse()?);
/// let fill = Fill::new(TradeId::new("t1")?, Uuid::nil(), id, what).with_fee("0.05".parse()?, usd);
/// assert_eq!(fill.cost, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// The venue's id of the trade.
    pub trade_id: TradeId,
    /// The client order id; it need not be known to the books.
    pub order_id: Uuid,
    /// What was traded.
    pub instrument: InstrumentId,
    /// In which direction.
    pub side: Side,
    /// How much, above zero; off the lot step is allowed, because a fill is a fact.
    pub quantity: Amount,
    /// At which price; may be negative, but not for an inverse contract.
    pub price: Amount,
    /// The exact total value, where the venue states it: it wins over price and quantity.
    pub cost: Option<Amount>,
    /// The fee, paid positive, a rebate negative.
    pub fee: Amount,
    /// The currency of the fee; none is that of settlement.
    pub fee_currency: Option<Currency>,
    /// The leg that it belongs to; given exactly where positions are hedged.
    pub leg: Option<LegId>,
    /// The lots that it closes; given where the method is that of specific lots, and something is closed.
    pub lots: Vec<LotChoice>,
    /// How the books came to know of it.
    pub source: Source,
}

/// A part of a closing fill, and the lot it closes.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::Amount;
/// use backstop_position_ledger::fill::{LotChoice, LotName, TradeId};
///
/// let bought = LotChoice::of_trade(TradeId::new("t1")?, Amount::ONE);
/// assert_eq!(bought.lot.to_string(), "t1");
/// // What an opening, a delivery or a repair began is named by its entry.
/// assert_eq!(LotChoice::of_entry(7, Amount::ONE).lot, LotName::Entry(7));
/// # Ok::<(), backstop_position_ledger::error::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LotChoice {
    /// The lot; where several bear the name, such as parts of one that was transferred, the oldest first.
    pub lot: LotName,
    /// How much of it, above zero.
    pub quantity: Amount,
}

/// What a lot is called by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotName {
    /// The trade that opened it.
    Trade(TradeId),
    /// The sequence number of the entry that opened it, trade or not.
    Entry(u64),
}

impl LotName {
    /// Whether it is the name of a lot.
    pub(crate) fn is_of(&self, lot: &Lot) -> bool {
        match self {
            Self::Trade(trade_id) => lot.trade_id.as_ref() == Some(trade_id),
            Self::Entry(sequence) => lot.sequence == *sequence,
        }
    }
}

impl fmt::Display for LotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trade(trade_id) => trade_id.fmt(f),
            Self::Entry(sequence) => write!(f, "of entry {sequence}"),
        }
    }
}

impl LotChoice {
    /// So much of the lot that a trade opened.
    pub const fn of_trade(trade_id: TradeId, quantity: Amount) -> Self {
        Self { lot: LotName::Trade(trade_id), quantity }
    }

    /// So much of the lot that an entry opened, as [`Lot::sequence`] has it.
    pub const fn of_entry(sequence: u64, quantity: Amount) -> Self {
        Self { lot: LotName::Entry(sequence), quantity }
    }
}

/// A bust: the venue took a fill back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// What was traded.
    pub instrument: InstrumentId,
    /// The fill.
    pub trade_id: TradeId,
    /// How much of it is void in all, earlier busts included; none for the whole fill.
    pub quantity: Option<Amount>,
}

/// A restatement of a fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What was traded.
    pub instrument: InstrumentId,
    /// The fill.
    pub trade_id: TradeId,
    /// The price that it has now.
    pub price: Amount,
    /// The exact total value that it has now, where the venue states it.
    pub cost: Option<Amount>,
    /// The number or time of the venue's word, where it has one: what grows from one word on the fill to the next.
    ///
    /// A word with an earlier one is refused as [stale](crate::error::AppendError::StaleCorrection).
    /// One without counts as the last.
    pub revision: Option<u64>,
}

impl Correction {
    /// A restatement of the price, without a stated value and a revision.
    pub const fn new(instrument: InstrumentId, trade_id: TradeId, price: Amount) -> Self {
        Self { instrument, trade_id, price, cost: None, revision: None }
    }
}

impl Fill {
    /// A fill without a fee, as the venue's stream reports it: side, quantity and price.
    pub const fn new(
        trade_id: TradeId,
        order_id: Uuid,
        instrument: InstrumentId,
        (side, quantity, price): (Side, Amount, Amount),
    ) -> Self {
        Self {
            trade_id,
            order_id,
            instrument,
            side,
            quantity,
            price,
            cost: None,
            fee: Amount::ZERO,
            fee_currency: None,
            leg: None,
            lots: Vec::new(),
            source: Source::Stream,
        }
    }

    /// States the fee: paid positive, a rebate negative.
    #[must_use]
    pub fn with_fee(mut self, fee: Amount, currency: Currency) -> Self {
        (self.fee, self.fee_currency) = (fee, Some(currency));
        self
    }

    /// States the exact total value, as the venue booked it.
    #[must_use]
    pub const fn with_cost(mut self, cost: Amount) -> Self {
        self.cost = Some(cost);
        self
    }

    /// States the leg of a hedged position.
    #[must_use]
    pub fn with_leg(mut self, leg: LegId) -> Self {
        self.leg = Some(leg);
        self
    }

    /// States the lots that it closes.
    #[must_use]
    pub fn with_lots(mut self, lots: Vec<LotChoice>) -> Self {
        self.lots = lots;
        self
    }

    /// States how the books came to know of it.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }
}

/// A fill as it stands in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Its place in the journal.
    pub sequence: u64,
    /// Whose it is.
    pub account: Account,
    /// When the venue traded.
    pub at: Timestamp,
    /// What the venue reported first.
    pub fill: Fill,
    /// How much of it the venue took back.
    pub voided: Amount,
    /// The price it was restated to.
    pub corrected: Option<Amount>,
}

/// The part of a fill that closed, or that opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its share of the quantity.
    pub quantity: Amount,
    /// Its share of the fee.
    pub fee: Amount,
}

/// A fill in its two parts; both are present only when it turned the position around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    /// The part that closed.
    pub close: Option<Leg>,
    /// The part that opened.
    pub open: Option<Leg>,
}

impl Legs {
    /// Shares a fee by quantity, half to even at `places` for the closing leg; the opening leg takes the rest.
    pub(crate) fn share(
        (quantity, closed): (Amount, Amount),
        fee: Amount,
        places: u32,
    ) -> Result<Self, AmountError> {
        let opened = quantity.checked_sub(closed)?;
        let close_fee = match (closed.is_zero(), opened.is_zero()) {
            (true, _) => Amount::ZERO,
            (false, true) => fee,
            (false, false) => fee.mul_div_at(closed, quantity, places)?,
        };
        let close = Leg { quantity: closed, fee: close_fee };
        let open = Leg { quantity: opened, fee: fee.checked_sub(close_fee)? };
        let some = |leg: Leg| (!leg.quantity.is_zero()).then_some(leg);
        Ok(Self { close: some(close), open: some(open) })
    }
}
