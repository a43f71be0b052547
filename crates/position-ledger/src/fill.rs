//! Fills: what the venue traded for an account.

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amount::Amount;
use crate::error::{AmountError, Difference};
use crate::name::{Account, Currency, InstrumentId, Text};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The venue's stream of events reported it.
    Stream,
    /// Reconciliation found it at the venue after the stream had lost it.
    Recovered {
        /// The finding that led to it.
        finding: Text,
    },
}

/// One trade of one order.
///
/// Its key is (account, instrument, trade id), for ever.
/// Its content is side, quantity, price, fee, fee currency and order id: the same key with other content is a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// At which price; may be negative.
    pub price: Amount,
    /// The fee, paid positive, a rebate negative.
    pub fee: Amount,
    /// The currency of the fee.
    pub fee_currency: Currency,
    /// How the books came to know of it.
    pub source: Source,
}

impl Fill {
    /// The first part of the content in which `offered` differs.
    pub(crate) fn difference(&self, offered: &Self) -> Option<Difference> {
        if self.side != offered.side {
            Some(Difference::new("side", &self.side.as_str(), &offered.side.as_str()))
        } else if self.quantity != offered.quantity {
            Some(Difference::new("quantity", &self.quantity, &offered.quantity))
        } else if self.price != offered.price {
            Some(Difference::new("price", &self.price, &offered.price))
        } else if self.fee != offered.fee {
            Some(Difference::new("fee", &self.fee, &offered.fee))
        } else if self.fee_currency != offered.fee_currency {
            Some(Difference::new("fee_currency", &self.fee_currency, &offered.fee_currency))
        } else if self.order_id != offered.order_id {
            Some(Difference::new("order_id", &self.order_id, &offered.order_id))
        } else {
            None
        }
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
    /// What the venue reported.
    pub fill: Fill,
    /// The part of the quantity that closed what was open; the rest opened.
    pub closed: Amount,
    /// Profit of the closing part, without fees, in the settlement currency.
    pub realized: Amount,
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

impl Booked {
    /// The closing and the opening leg.
    ///
    /// The fee is shared by quantity, rounded half to even for the closing leg; the opening leg takes the rest.
    ///
    /// # Errors
    ///
    /// None for a fill of the books; [`AmountError`] if its fields were edited.
    pub fn legs(&self) -> Result<Legs, AmountError> {
        let quantity = self.fill.quantity.checked_sub(self.closed)?;
        let fee = self.fill.fee.mul_div(self.closed, self.fill.quantity)?;
        let close = Leg { quantity: self.closed, fee };
        let open = Leg { quantity, fee: self.fill.fee.checked_sub(fee)? };
        let some = |leg: Leg| (!leg.quantity.is_zero()).then_some(leg);
        Ok(Legs { close: some(close), open: some(open) })
    }
}
