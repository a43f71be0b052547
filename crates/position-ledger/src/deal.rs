//! Deals: what of a fill counts, and in which order.

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::archive::Kept;
use crate::error::AppendError;
use crate::fill::{Fill, LotChoice};
use crate::instrument::Instrument;
use crate::name::Currency;
use crate::rules::{Method, Sequencing};
use crate::slots::Amended;
use crate::state::{Birth, Sink, State, Trade, Traded, of};

/// What of a fill counts: less what is void, at the price it was restated to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deal<'a> {
    pub(crate) trade: Trade<'a>,
    pub(crate) fee: Amount,
    /// None for the settlement currency.
    pub(crate) fee_currency: Option<&'a Currency>,
}

impl<'a> Deal<'a> {
    pub(crate) fn of_fill(
        terms: &Instrument,
        (sequence, at): (u64, Timestamp),
        fill: &'a Fill,
        fee_currency: Option<&'a Currency>,
    ) -> Self {
        let age = key(terms, sequence, at);
        let trade = Trade {
            side: fill.side,
            quantity: fill.quantity,
            price: fill.price,
            value: fill.cost,
            base_fee: in_kind(terms, fee_currency, fill.fee),
            lots: (terms.method() == Method::Specific).then_some(&*fill.lots),
            opening: Birth { sequence, at, trade_id: Some(&fill.trade_id), age },
        };
        Self { trade, fee: fill.fee, fee_currency }
    }

    pub(crate) fn of_kept(terms: &Instrument, kept: &'a Kept, lots: &'a [LotChoice]) -> Self {
        let (sequence, at, fee_currency) = (kept.sequence, kept.at, kept.fee_currency.as_ref());
        let age = key(terms, sequence, at);
        let trade = Trade {
            side: kept.side,
            quantity: kept.quantity,
            price: kept.price,
            value: kept.cost,
            base_fee: in_kind(terms, fee_currency, kept.fee),
            lots: (terms.method() == Method::Specific).then_some(lots),
            opening: Birth { sequence, at, trade_id: Some(&kept.trade_id), age },
        };
        Self { trade, fee: kept.fee, fee_currency }
    }

    /// Applies what was said later; fee and stated cost shrink with the quantity, and so do the lots, into `lots`.
    pub(crate) fn amend(
        mut self,
        amended: &Amended,
        terms: &Instrument,
        lots: &'a mut Vec<LotChoice>,
    ) -> Result<Self, AppendError> {
        let trade = &mut self.trade;
        if let Some((price, cost)) = amended.restated {
            (trade.price, trade.value) = (price, cost);
        }
        if amended.voided.is_zero() {
            return Ok(self);
        }
        let whole = trade.quantity;
        let left = whole.checked_sub(amended.voided).map_err(of("quantity"))?;
        let fee = self.fee.mul_div_at(left, whole, terms.fee_places());
        self.fee = if left.is_zero() { Amount::ZERO } else { fee.map_err(of("fee"))? };
        trade.base_fee = in_kind(terms, self.fee_currency, self.fee);
        if let Some(value) = trade.value {
            trade.value = Some(value.mul_div(left, whole).map_err(of("cost"))?);
        }
        if let Some(named) = trade.lots {
            *lots = first_of(named, left)?;
            trade.lots = Some(lots);
        }
        trade.quantity = left;
        Ok(self)
    }
}

/// The fee where it is taken out of the quantity.
#[inline]
fn in_kind(terms: &Instrument, currency: Option<&Currency>, fee: Amount) -> Amount {
    let is_in_kind = currency.is_some_and(|currency| terms.is_in_kind(currency));
    if is_in_kind { fee } else { Amount::ZERO }
}

/// The choices up to a total quantity.
fn first_of(lots: &[LotChoice], mut left: Amount) -> Result<Vec<LotChoice>, AppendError> {
    let mut kept = Vec::with_capacity(lots.len());
    for lot in lots {
        let quantity = lot.quantity.min(left);
        left = left.checked_sub(quantity).map_err(of("lots"))?;
        if quantity.is_positive() {
            kept.push(LotChoice { lot: lot.lot.clone(), quantity });
        }
    }
    Ok(kept)
}

impl State {
    /// Books what counts of a fill: the trade, then its fee.
    ///
    /// A share takes the lots that the deal names as far as it has them.
    #[inline]
    pub(crate) fn deal(
        &mut self,
        (terms, is_share): (&Instrument, bool),
        deal: &Deal<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Traded, AppendError> {
        if deal.trade.quantity.is_zero() {
            return Ok(Traded::default());
        }
        let traded = self.trade((terms, is_share), &deal.trade, sink)?;
        self.charge(deal.fee_currency, deal.fee, sink)?;
        Ok(traded)
    }
}

/// What decides the order of operations on an instrument.
pub(crate) const fn key(terms: &Instrument, sequence: u64, at: Timestamp) -> (Timestamp, u64) {
    match terms.sequencing() {
        Sequencing::Arrival => (Timestamp::EPOCH, sequence),
        Sequencing::EventTime => (at, sequence),
    }
}
