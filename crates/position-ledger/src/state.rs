//! The figures of one position, and what a trade, a split or a move does to them.
//!
//! Stored are the signed quantity and its total cost; everything else is derived from sums.
//! A partial close removes a share of the cost, rounded half to even at the 18th decimal, and the rest stays;
//! the last close takes what is left, so a flat position costs exactly nothing.
//! A trade that turns the position around closes first and opens with the rest, in value as in quantity.
//!
//! What is said here of value and gain is said for contracts whose value rises with the price.
//! For inverse contracts gain and cash flow have the other sign, which is all that differs.

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::change::{Trail, Undo};
use crate::error::{AmountError, AppendError, Invalid};
use crate::fill::{LotChoice, Side};
use crate::instrument::Instrument;
use crate::lots::{Lot, Lots, Parts};
use crate::name::{Currency, TradeId};
use crate::rules::Method;
use crate::wide;

/// The sums of one position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    pub(crate) quantity: Amount,
    pub(crate) open_cost: Amount,
    pub(crate) realized: Amount,
    /// What selling brought minus what buying cost, without fees; what was carried in or out counts at its cost.
    pub(crate) cash_flow: Amount,
    /// Fees in the settlement currency, paid positive.
    pub(crate) fees: Amount,
}

/// All that follows from the history of a position, and can be derived from it again.
///
/// In the order of the fields: what every fill changes comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct State {
    pub(crate) holding: Holding,
    /// Trades that made it.
    pub(crate) trades: u64,
    /// Fees in other currencies than that of settlement.
    pub(crate) fees: Vec<(Currency, Amount)>,
    /// Empty at average cost.
    pub(crate) lots: Lots,
    /// Dividends.
    pub(crate) income: Amount,
    /// Paid out for fractions after a split.
    pub(crate) in_lieu: Amount,
    /// The part of the cash flow that moved no cash: transfers and openings.
    pub(crate) carried: Amount,
}

/// What is booked like a trade.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trade<'a> {
    pub(crate) side: Side,
    /// Above zero.
    pub(crate) quantity: Amount,
    pub(crate) price: Amount,
    /// Total value in the settlement currency; none computes it of quantity and price.
    pub(crate) value: Option<Amount>,
    /// Taken out of the quantity itself, of a spot pair whose fee is in its base currency.
    pub(crate) base_fee: Amount,
    /// The lots it closes, if it names them.
    pub(crate) lots: Option<&'a [LotChoice]>,
    pub(crate) opening: Birth<'a>,
}

/// The lots that a trade names.
#[derive(Clone, Copy, Debug)]
enum Choice<'a> {
    /// They are just what it closes.
    Strict(&'a [LotChoice]),
    /// They go first, as far as they are there: in the share of a desk, which may lack what the position has.
    Preferred(&'a [LotChoice]),
}

/// Where a lot comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth<'a> {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) trade_id: Option<&'a TradeId>,
    /// What makes it older or younger than other lots.
    pub(crate) age: (Timestamp, u64),
}

/// What a trade did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traded {
    /// The part of the quantity that closed; the rest opened.
    pub(crate) closed: Amount,
    /// Gain of the closing part.
    pub(crate) realized: Amount,
}

/// Quantity with its cost on the way to another position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Signed.
    pub(crate) quantity: Amount,
    pub(crate) cost: Amount,
    /// Empty at average cost.
    pub(crate) lots: Vec<Lot>,
}

/// Takes what undoes a change of the slot that was booked last, unless nobody needs it.
#[derive(Debug)]
pub(crate) struct Sink<'a>(Option<(&'a mut Trail, u32)>);

impl<'a> Sink<'a> {
    pub(crate) const fn of(trail: &'a mut Trail, slot: u32) -> Self {
        Self(Some((trail, slot)))
    }

    /// For a state that is thrown away when something fails.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    pub(crate) fn keep(&mut self, undo: impl FnOnce(u32) -> Undo) {
        if let Some((trail, slot)) = &mut self.0 {
            trail.push(undo(*slot));
        }
    }

    /// Keeps what a fee was, by its place.
    fn keep_fee(&mut self, place: usize, before: Amount) {
        if let Some((trail, _)) = &mut self.0 {
            trail.keep_fee(place, before);
        }
    }
}

/// Names the figure that could not be computed.
pub(crate) fn of(field: &'static str) -> impl Fn(AmountError) -> AppendError {
    move |source| AppendError::Amount { field, source }
}

impl State {
    /// Books a trade; a failure leaves the holding half done, and lots that the sink undoes.
    #[inline]
    pub(crate) fn trade(
        &mut self,
        (terms, is_share): (&Instrument, bool),
        trade: &Trade<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Traded, AppendError> {
        let value = match trade.value {
            Some(value) => value,
            None => terms.value(trade.quantity, trade.price).map_err(of("value"))?,
        };
        self.trades = self.trades.saturating_add(1);
        let inflow = trade.side.signed(value).negated();
        self.flow(terms, inflow).map_err(of("cash_flow"))?;
        let held = self.holding.quantity;
        let opposite = match trade.side {
            Side::Buy => held.is_negative(),
            Side::Sell => held.is_positive(),
        };
        let closed = if opposite { trade.quantity.min(held.abs()) } else { Amount::ZERO };
        let choice = if is_share { Choice::Preferred } else { Choice::Strict };
        let choice = trade.lots.map(choice);
        check_choice(terms, choice, closed)?;
        let mut traded = Traded { closed, ..Traded::default() };
        let opened = trade.quantity.checked_sub(closed).map_err(of("position"))?;
        let mut close_value = value;
        if opposite {
            if opened.is_positive() {
                close_value = value.mul_div(closed, trade.quantity).map_err(of("value"))?;
            }
            traded.realized = self.close(terms, (closed, close_value), choice, sink)?;
        } else {
            close_value = Amount::ZERO;
        }
        if opened.is_positive() {
            let rest = value.checked_sub(close_value).map_err(of("value"))?;
            self.open(terms, (opened, rest), trade, sink)?;
        }
        if !trade.base_fee.is_zero() {
            let lost =
                self.shrink(terms, (trade.base_fee, trade.opening), opened.is_positive(), sink)?;
            traded.realized = traded.realized.checked_add(lost).map_err(of("position"))?;
        }
        Ok(traded)
    }

    /// Books a fee outside of a trade; in kind it comes out of the quantity, as that of a trade does.
    pub(crate) fn pay(
        &mut self,
        terms: &Instrument,
        (currency, fee): (&Currency, Amount),
        opening: Birth<'_>,
    ) -> Result<(), AppendError> {
        let sink = &mut Sink::none();
        if terms.is_in_kind(currency) && !fee.is_zero() {
            self.shrink(terms, (fee, opening), false, sink)?;
        }
        self.charge(Some(currency).filter(|currency| *currency != terms.settlement()), fee, sink)
    }

    /// Adds a fee to those of its currency; none is that of settlement.
    #[inline]
    pub(crate) fn charge(
        &mut self,
        currency: Option<&Currency>,
        fee: Amount,
        sink: &mut Sink<'_>,
    ) -> Result<(), AppendError> {
        let Some(currency) = currency else {
            let sum = self.holding.fees.checked_add(fee).map_err(of("fee"))?;
            self.holding.fees = sum;
            return Ok(());
        };
        if fee.is_zero() { Ok(()) } else { self.charge_other(currency, fee, sink) }
    }

    fn charge_other(
        &mut self,
        currency: &Currency,
        fee: Amount,
        sink: &mut Sink<'_>,
    ) -> Result<(), AppendError> {
        let found = self.fees.iter_mut().enumerate().find(|(_, (held, _))| held == currency);
        let Some((place, (_, held))) = found else {
            self.fees.push((currency.clone(), fee));
            sink.keep(Undo::FeeAdded);
            return Ok(());
        };
        let sum = held.checked_add(fee).map_err(of("fee"))?;
        let before = std::mem::replace(held, sum);
        sink.keep_fee(place, before);
        Ok(())
    }

    /// Closes everything at a price and gives the signed quantity that was closed.
    pub(crate) fn settle(
        &mut self,
        terms: &Instrument,
        price: Amount,
        opening: Birth<'_>,
    ) -> Result<(Amount, Traded), AppendError> {
        let held = self.holding.quantity;
        if held.is_zero() {
            return Ok((Amount::ZERO, Traded::default()));
        }
        let side = if held.is_positive() { Side::Sell } else { Side::Buy };
        let (quantity, value, base_fee) = (held.abs(), None, Amount::ZERO);
        let trade = Trade { side, quantity, price, value, base_fee, lots: None, opening };
        Ok((held, self.trade((terms, false), &trade, &mut Sink::none())?))
    }

    /// Scales the quantity, as the next of its parts, and the prices of lots by `old / new`.
    ///
    /// Of what becomes less than a unit nothing is left, and its cost is lost.
    pub(crate) fn split(
        &mut self,
        terms: &Instrument,
        parts: &mut Parts,
        (new, old): (Amount, Amount),
    ) -> Result<(), AppendError> {
        let held = self.holding.quantity;
        let quantity = parts.next(held).map_err(of("quantity"))?;
        self.holding.quantity = quantity;
        if quantity.is_zero() && !held.is_zero() {
            self.lose(terms, held).map_err(of("position"))?;
            self.lots.clear(&mut Sink::none());
            return Ok(());
        }
        let scaled = Parts::of((quantity.abs(), held.abs()));
        self.lots.scale(scaled, (new, old)).map_err(of("quantity"))
    }

    /// Closes a signed part of the position for what it is worth, in a split.
    pub(crate) fn cash_out(
        &mut self,
        terms: &Instrument,
        (part, worth): (Amount, Amount),
        opening: Birth<'_>,
    ) -> Result<(), AppendError> {
        if part.is_zero() {
            return Ok(());
        }
        let side = if part.is_positive() { Side::Sell } else { Side::Buy };
        // All of it closes, so no lot is opened that would have a price.
        let (quantity, price, base_fee) = (part.abs(), Amount::ZERO, Amount::ZERO);
        let value = Some(worth);
        let trade = Trade { side, quantity, price, value, base_fee, lots: None, opening };
        let before = self.holding.cash_flow;
        self.trade((terms, false), &trade, &mut Sink::none())?;
        let paid = self.holding.cash_flow.checked_sub(before);
        let sum = paid.and_then(|paid| self.in_lieu.checked_add(paid));
        self.in_lieu = sum.map_err(of("cash_in_lieu"))?;
        Ok(())
    }

    /// Nothing is left to bear the cost of what was held: a long has lost it, a short has gained it.
    fn lose(&mut self, terms: &Instrument, held: Amount) -> Result<Amount, AmountError> {
        let cost = std::mem::take(&mut self.holding.open_cost);
        let lost = if held.is_positive() { cost.negated() } else { cost };
        let lost = if terms.is_inverse() { lost.negated() } else { lost };
        self.holding.realized = self.holding.realized.checked_add(lost)?;
        Ok(lost)
    }

    /// Pays an amount per unit to a long; a short pays it.
    pub(crate) fn dividend(&mut self, per_unit: Amount) -> Result<(), AppendError> {
        let paid = self.holding.quantity.rounded_mul(per_unit);
        let sum = paid.and_then(|paid| self.income.checked_add(paid));
        self.income = sum.map_err(of("income"))?;
        Ok(())
    }

    /// Takes `quantity` (above zero) out with its share of the cost; of the wanted side, if one is.
    pub(crate) fn unload(
        &mut self,
        terms: &Instrument,
        quantity: Amount,
        wanted: Option<Side>,
    ) -> Result<Load, AppendError> {
        let held = self.holding.quantity;
        let side = if held.is_negative() { Side::Sell } else { Side::Buy };
        let there =
            if wanted.is_none_or(|wanted| wanted == side) { held.abs() } else { Amount::ZERO };
        if there < quantity {
            return Err(AppendError::InsufficientQuantity { held: there, asked: quantity });
        }
        let before = self.holding.open_cost;
        let mut lots = Vec::new();
        let cost = if terms.method() == Method::Average {
            self.share_of_cost(quantity).map_err(of("position"))?
        } else {
            self.lots.take(terms.method(), quantity, &mut Sink::none(), Some(&mut lots))?
        };
        self.holding.open_cost = before.checked_sub(cost).map_err(of("position"))?;
        let signed = side.signed(quantity);
        self.holding.quantity = held.checked_sub(signed).map_err(of("position"))?;
        self.carry(terms, side.signed(cost)).map_err(of("cash_flow"))?;
        Ok(Load { quantity: signed, cost, lots })
    }

    /// Adds what came from another position, which has to be of the same side.
    pub(crate) fn load(&mut self, terms: &Instrument, load: Load) -> Result<(), AppendError> {
        let side = if load.quantity.is_negative() { Side::Sell } else { Side::Buy };
        let quantity = self.holding.quantity.checked_add(load.quantity);
        self.holding.quantity = quantity.map_err(of("position"))?;
        let cost = self.holding.open_cost.checked_add(load.cost);
        self.holding.open_cost = cost.map_err(of("position"))?;
        self.carry(terms, side.signed(load.cost).negated()).map_err(of("cash_flow"))?;
        let long = !self.holding.quantity.is_negative();
        for lot in load.lots {
            self.lots.add((terms.method(), long), lot, &mut Sink::none());
        }
        Ok(())
    }

    /// Begins with, or adds, what was held before the books began.
    pub(crate) fn begin(
        &mut self,
        terms: &Instrument,
        (quantity, cost): (Amount, Amount),
        opening: Birth<'_>,
    ) -> Result<(), AppendError> {
        let held = self.holding.quantity;
        if !held.is_zero() && held.is_negative() != quantity.is_negative() {
            let rule = "be on the side that is held";
            return Err(Invalid::new("quantity", quantity, rule).into());
        }
        let Birth { sequence, at, age, .. } = opening;
        let price = terms.price_of(quantity.abs(), cost).map_err(of("price"))?;
        let size = quantity.abs();
        let lot = Lot { sequence, at, trade_id: None, quantity: size, cost, price, age };
        let lots = if terms.method() == Method::Average { Vec::new() } else { vec![lot] };
        self.load(terms, Load { quantity, cost, lots })
    }

    /// `realized - side * open_cost = cash_flow`, for inverse contracts with a plus: nothing created or lost money.
    pub(crate) fn is_conserved(&self, terms: &Instrument) -> bool {
        let Holding { quantity, open_cost, realized, cash_flow, .. } = self.holding;
        let signed = if quantity.is_negative() { open_cost.negated() } else { open_cost };
        let signed = if terms.is_inverse() { signed.negated() } else { signed };
        let flat = quantity.is_zero() && !open_cost.is_zero();
        let lots = terms.method() == Method::Average
            || self.lots.sums() == (wide::sum([quantity.abs()]), wide::sum([open_cost]));
        !flat && lots && realized.checked_sub(signed) == Ok(cash_flow)
    }

    #[inline]
    fn open(
        &mut self,
        terms: &Instrument,
        (quantity, value): (Amount, Amount),
        trade: &Trade<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), AppendError> {
        let signed = trade.side.signed(quantity);
        let sum = self.holding.quantity.checked_add(signed).map_err(of("position"))?;
        self.holding.quantity = sum;
        let cost = self.holding.open_cost.checked_add(value).map_err(of("position"))?;
        self.holding.open_cost = cost;
        if terms.method() == Method::Average {
            Ok(())
        } else {
            self.open_lot(terms, (quantity, value), trade, sink)
        }
    }

    fn open_lot(
        &mut self,
        terms: &Instrument,
        (quantity, value): (Amount, Amount),
        trade: &Trade<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), AppendError> {
        // A lot is ranked by its price; by what it really cost per unit where the venue states that.
        let price = if trade.value.is_some() || !trade.base_fee.is_zero() {
            let net = quantity.checked_sub(trade.side.signed(trade.base_fee));
            let net = net.map_err(of("price"))?;
            let net = if net.is_positive() { net } else { quantity };
            terms.price_of(net, value).unwrap_or(trade.price)
        } else {
            trade.price
        };
        let lot = Lot {
            sequence: trade.opening.sequence,
            at: trade.opening.at,
            trade_id: trade.opening.trade_id.cloned(),
            quantity,
            cost: value,
            price,
            age: trade.opening.age,
        };
        self.lots.add((terms.method(), trade.side == Side::Buy), lot, sink);
        Ok(())
    }

    /// Closes `quantity`, which is held, for `value`, and gives the gain.
    #[inline]
    fn close(
        &mut self,
        terms: &Instrument,
        (quantity, value): (Amount, Amount),
        choice: Option<Choice<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<Amount, AppendError> {
        let removed = match (terms.method(), choice) {
            (Method::Average, _) => self.share_of_cost(quantity).map_err(of("position"))?,
            (_, Some(Choice::Strict(choice))) => self.lots.take_chosen(choice, sink)?,
            (_, Some(Choice::Preferred(choice))) => {
                self.lots.take_preferred(choice, quantity, sink)?
            }
            (method, None) => self.lots.take(method, quantity, sink, None)?,
        };
        let held = self.holding.quantity;
        let figures = (|| {
            let gain = if held.is_positive() {
                value.checked_sub(removed)?
            } else {
                removed.checked_sub(value)?
            };
            let gain = if terms.is_inverse() { gain.negated() } else { gain };
            let step = if held.is_positive() { quantity.negated() } else { quantity };
            self.holding.quantity = held.checked_add(step)?;
            self.holding.open_cost = self.holding.open_cost.checked_sub(removed)?;
            self.holding.realized = self.holding.realized.checked_add(gain)?;
            Ok(gain)
        })();
        figures.map_err(of("position"))
    }

    /// Takes a fee out of the quantity: its cost stays with what is left, or is lost when nothing is left.
    fn shrink(
        &mut self,
        terms: &Instrument,
        (fee, opening): (Amount, Birth<'_>),
        opened: bool,
        sink: &mut Sink<'_>,
    ) -> Result<Amount, AppendError> {
        let held = self.holding.quantity;
        let left = held.checked_sub(fee).map_err(of("position"))?;
        self.holding.quantity = left;
        // A rebate in kind on nothing begins a position, just as a fee on nothing does.
        let turned = held.is_zero() || left.is_negative() != held.is_negative();
        let is_over = left.is_zero() || turned;
        let mut lost = Amount::ZERO;
        if is_over && !held.is_zero() {
            lost = self.lose(terms, held).map_err(of("position"))?;
        }
        if terms.method() == Method::Average {
            return Ok(lost);
        }
        let long = !left.is_negative();
        if is_over {
            self.lots.clear(sink);
        }
        if !is_over {
            // A fee makes a short larger, and a rebate in kind makes it smaller.
            let change = if long { fee.negated() } else { fee };
            let resized = self.lots.resize((terms.method(), opened), change, sink);
            resized.map_err(of("position"))?;
        } else if !left.is_zero() {
            // A fee or rebate out of nothing: a lot that cost nothing.
            let Birth { sequence, at, age, trade_id } = opening;
            let (quantity, cost, price) = (left.abs(), Amount::ZERO, Amount::ZERO);
            let trade_id = trade_id.cloned();
            let gift = Lot { sequence, at, trade_id, quantity, cost, price, age };
            self.lots.add((terms.method(), long), gift, sink);
        }
        Ok(lost)
    }

    #[inline]
    fn share_of_cost(&self, quantity: Amount) -> Result<Amount, AmountError> {
        let held = self.holding.quantity.abs();
        if quantity == held {
            Ok(self.holding.open_cost)
        } else {
            self.holding.open_cost.mul_div(quantity, held)
        }
    }

    /// Adds to the cash flow what a contract brings in whose value rises with the price.
    #[inline]
    fn flow(&mut self, terms: &Instrument, inflow: Amount) -> Result<(), AmountError> {
        let inflow = if terms.is_inverse() { inflow.negated() } else { inflow };
        self.holding.cash_flow = self.holding.cash_flow.checked_add(inflow)?;
        Ok(())
    }

    /// The same for what moved no cash.
    fn carry(&mut self, terms: &Instrument, inflow: Amount) -> Result<(), AmountError> {
        self.flow(terms, inflow)?;
        let inflow = if terms.is_inverse() { inflow.negated() } else { inflow };
        self.carried = self.carried.checked_add(inflow)?;
        Ok(())
    }
}

/// The lots that a closing fill names have to be just what it closes.
fn check_choice(
    terms: &Instrument,
    choice: Option<Choice<'_>>,
    closed: Amount,
) -> Result<(), AppendError> {
    let Some(Choice::Strict(choice)) = choice else { return Ok(()) };
    debug_assert_eq!(terms.method(), Method::Specific, "only specific lots are chosen");
    if choice.is_empty() && closed.is_positive() {
        return Err(AppendError::LotRequired { quantity: closed });
    }
    let named = choice.iter().try_fold(Amount::ZERO, |sum, lot| sum.checked_add(lot.quantity));
    let named = named.map_err(of("lots"))?;
    if named == closed { Ok(()) } else { Err(AppendError::LotQuantity { named, closed }) }
}
