//! The neutral rows of a statement; the host maps its books and its venue to them.

use std::borrow::Cow;

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

/// A position of one account in one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PositionRow<'a> {
    /// Account the position belongs to.
    pub account: Cow<'a, str>,
    /// Instrument held.
    pub instrument: Cow<'a, str>,
    /// Signed units: long positive, short negative.
    pub quantity: Decimal,
    /// Average entry price; `None` when the source states none, then it is not compared.
    pub average_price: Option<Decimal>,
    /// Last fill that changed the position; a snapshot before it decides nothing.
    pub last_activity: Option<Timestamp>,
}

impl<'a> PositionRow<'a> {
    /// A position without an average price.
    pub fn new(
        account: impl Into<Cow<'a, str>>,
        instrument: impl Into<Cow<'a, str>>,
        quantity: Decimal,
    ) -> Self {
        Self {
            account: account.into(),
            instrument: instrument.into(),
            quantity,
            average_price: None,
            last_activity: None,
        }
    }

    /// With the average entry price.
    #[must_use]
    pub fn with_average_price(mut self, price: Decimal) -> Self {
        self.average_price = Some(price);
        self
    }

    /// With the time of the last fill.
    #[must_use]
    pub fn with_last_activity(mut self, at: Timestamp) -> Self {
        self.last_activity = Some(at);
        self
    }
}

/// The money of one account in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BalanceRow<'a> {
    /// Account that holds the money.
    pub account: Cow<'a, str>,
    /// Currency code.
    pub currency: Cow<'a, str>,
    /// Total in units of the currency, free and locked together.
    pub total: Decimal,
}

impl<'a> BalanceRow<'a> {
    /// A balance.
    pub fn new(
        account: impl Into<Cow<'a, str>>,
        currency: impl Into<Cow<'a, str>>,
        total: Decimal,
    ) -> Self {
        Self { account: account.into(), currency: currency.into(), total }
    }
}

/// Direction of a trade or an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Adds to the position.
    Buy,
    /// Takes from the position.
    Sell,
}

/// A trade (fill), identified by account, instrument and trade id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeRow<'a> {
    /// Account that traded.
    pub account: Cow<'a, str>,
    /// Instrument traded.
    pub instrument: Cow<'a, str>,
    /// The venue's id of the trade.
    pub trade_id: Cow<'a, str>,
    /// The order that was filled, as both sides name it.
    pub order_id: Cow<'a, str>,
    /// Direction.
    pub side: Side,
    /// Units traded, above zero.
    pub quantity: Decimal,
    /// Price of one unit.
    pub price: Decimal,
    /// Fee paid; negative is a rebate.
    pub fee: Decimal,
    /// Currency of the fee; not compared while the fee is zero.
    pub fee_currency: Cow<'a, str>,
    /// When the venue says it happened; not compared, because clocks differ.
    pub at: Timestamp,
}

impl TradeRow<'_> {
    /// The quantity with the sign that it has in a position.
    pub(crate) fn signed_quantity(&self) -> Decimal {
        let mut quantity = self.quantity;
        quantity.set_sign_negative(self.side == Side::Sell);
        quantity
    }

    /// The same trade with owned text.
    pub fn into_owned(self) -> TradeRow<'static> {
        TradeRow {
            account: owned(self.account),
            instrument: owned(self.instrument),
            trade_id: owned(self.trade_id),
            order_id: owned(self.order_id),
            side: self.side,
            quantity: self.quantity,
            price: self.price,
            fee: self.fee,
            fee_currency: owned(self.fee_currency),
            at: self.at,
        }
    }
}

/// An open order, identified by account, instrument and order id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow<'a> {
    /// Account that ordered.
    pub account: Cow<'a, str>,
    /// Instrument ordered.
    pub instrument: Cow<'a, str>,
    /// The id both sides know, usually the client order id.
    pub order_id: Cow<'a, str>,
    /// Direction.
    pub side: Side,
    /// Units ordered, above zero.
    pub quantity: Decimal,
    /// Units filled so far, from zero to `quantity`.
    pub filled: Decimal,
    /// Limit price; `None` for a market order.
    pub price: Option<Decimal>,
    /// Last change of the order; a statement before it decides nothing.
    pub updated: Option<Timestamp>,
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
