//! Booking fills, and what the venue says of them later.

use std::borrow::Cow;
use std::sync::Arc;

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::archive::{Booking, Kept, Key, Place};
use crate::books::Books;
use crate::change::{Undo, index};
use crate::entry::Entry;
use crate::error::{AppendError, Difference, Invalid};
use crate::fill::{Fill, LotChoice, Side};
use crate::instrument::Instrument;
use crate::name::{Currency, LegId, TradeId};
use crate::order::Order;
use crate::places::check_leg;
use crate::posting::{Posting, desk_of};
use crate::rules::{Method, Sequencing};
use crate::settling::Sums;
use crate::slots::{Amended, Desk, Op, Track};
use crate::state::{Birth, Choice, Sink, State, Trade, Traded, of};

/// Lots that one fill can name.
const LOTS_MAX: usize = 1_000;

/// What of a fill counts: less what is void, at the price it was restated to.
#[derive(Clone, Debug)]
pub(crate) struct Deal<'a> {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) trade_id: &'a TradeId,
    pub(crate) side: Side,
    pub(crate) quantity: Amount,
    pub(crate) price: Amount,
    pub(crate) cost: Option<Amount>,
    pub(crate) fee: Amount,
    pub(crate) fee_currency: &'a Currency,
    pub(crate) lots: Cow<'a, [LotChoice]>,
}

impl<'a> Deal<'a> {
    fn of_fill((sequence, at): (u64, Timestamp), fill: &'a Fill, terms: &'a Instrument) -> Self {
        Self {
            sequence,
            at,
            trade_id: &fill.trade_id,
            side: fill.side,
            quantity: fill.quantity,
            price: fill.price,
            cost: fill.cost,
            fee: fill.fee,
            fee_currency: fill.fee_currency.as_ref().unwrap_or_else(|| terms.settlement()),
            lots: Cow::Borrowed(&fill.lots),
        }
    }

    pub(crate) fn of_kept(kept: &'a Kept, lots: &'a [LotChoice], terms: &'a Instrument) -> Self {
        Self {
            sequence: kept.sequence,
            at: kept.at,
            trade_id: &kept.trade_id,
            side: kept.side,
            quantity: kept.quantity,
            price: kept.price,
            cost: kept.cost,
            fee: kept.fee,
            fee_currency: kept.fee_currency.as_ref().unwrap_or_else(|| terms.settlement()),
            lots: Cow::Borrowed(lots),
        }
    }

    /// Applies what was said later; fee and stated cost shrink with the quantity.
    pub(crate) fn amend(
        mut self,
        amended: Option<&Amended>,
        terms: &Instrument,
    ) -> Result<Self, AppendError> {
        let Some(amended) = amended else { return Ok(self) };
        if let Some((price, cost)) = amended.restated {
            (self.price, self.cost) = (price, cost);
        }
        if amended.voided.is_zero() {
            return Ok(self);
        }
        let whole = self.quantity;
        let left = whole.checked_sub(amended.voided).map_err(of("quantity"))?;
        let fee = self.fee.mul_div_at(left, whole, terms.fee_places());
        self.fee = if left.is_zero() { Amount::ZERO } else { fee.map_err(of("fee"))? };
        if let Some(cost) = self.cost {
            self.cost = Some(cost.mul_div(left, whole).map_err(of("cost"))?);
        }
        let lots = std::mem::take(self.lots.to_mut());
        self.lots = Cow::Owned(first_of(lots, left)?);
        self.quantity = left;
        Ok(self)
    }

    /// The fee where it is taken out of the quantity.
    fn base_fee(&self, terms: &Instrument) -> Amount {
        if terms.is_in_kind(self.fee_currency) { self.fee } else { Amount::ZERO }
    }
}

/// The choices up to a total quantity.
fn first_of(lots: Vec<LotChoice>, mut left: Amount) -> Result<Vec<LotChoice>, AppendError> {
    let mut kept = Vec::with_capacity(lots.len());
    for mut lot in lots {
        lot.quantity = lot.quantity.min(left);
        left = left.checked_sub(lot.quantity).map_err(of("lots"))?;
        if lot.quantity.is_positive() {
            kept.push(lot);
        }
    }
    Ok(kept)
}

impl State {
    /// Books what counts of a fill: the trade, then its fee.
    ///
    /// A share takes the lots that the deal names as far as it has them.
    pub(crate) fn deal(
        &mut self,
        (terms, is_share): (&Instrument, bool),
        deal: &Deal<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Traded, AppendError> {
        if deal.quantity.is_zero() {
            return Ok(Traded::default());
        }
        let choice = if is_share { Choice::Preferred } else { Choice::Strict };
        let (sequence, at) = (deal.sequence, deal.at);
        let age = key(terms, sequence, at);
        let trade = Trade {
            side: deal.side,
            quantity: deal.quantity,
            price: deal.price,
            value: deal.cost,
            base_fee: deal.base_fee(terms),
            lots: (terms.method() == Method::Specific).then(|| choice(&deal.lots)),
            opening: Birth { sequence, at, trade_id: Some(deal.trade_id), age },
        };
        let traded = self.trade(terms, &trade, sink)?;
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

impl Books {
    pub(crate) fn post_fill(
        &mut self,
        sequence: u64,
        entry: &Entry,
        fill: &Fill,
    ) -> Result<Posting, AppendError> {
        let known = self.pair_number(&entry.account, &fill.instrument);
        let number = match known.and_then(|pair| self.pair(pair)) {
            Some(pair) => Some(pair.instrument),
            None => self.instruments.number(&fill.instrument),
        };
        let instruments = Arc::clone(&self.instruments);
        let unknown = || AppendError::UnknownInstrument(fill.instrument.clone());
        let terms = number.and_then(|number| instruments.at(number)).ok_or_else(unknown)?;
        self.check_fill(terms, fill)?;
        let pair = match known {
            Some(pair) => pair,
            None => self.add_pair(&entry.account, terms, number.unwrap_or_default()),
        };
        let key = Key::new(pair, &fill.trade_id);
        if let Some(place) = self.fills.find(&key) {
            return Ok(match self.difference(place, fill, terms) {
                None => Posting::Duplicate,
                Some(difference) => Posting::Conflict(difference),
            });
        }
        self.check_apart(entry)?;
        if !self.fills.has_room() {
            return Err(AppendError::Full);
        }
        let voided = self.take_waiting(pair, fill)?;
        let slot = self.slot_at(pair, fill.leg.as_ref())?;
        let desk = self.fill_order(entry, fill, voided)?;
        let share = self.share_for(slot, &desk)?;
        let place = self.keep((sequence, entry), (&key, fill), (pair, slot, share))?;
        let is_void = voided == fill.quantity;
        if !voided.is_zero() {
            // A row that is taken back takes this with it.
            let amended = Amended { voided, ..Amended::default() };
            self.amended.insert(place, amended);
        }
        let deal = Deal::of_fill((sequence, entry.at), fill, terms);
        let deal = deal.amend(self.amended.get(&place).filter(|_| !voided.is_zero()), terms)?;
        let slots = [Some(slot), share];
        let mut in_order = true;
        // Both have it before either is derived again, since a transfer may tie them.
        for slot in slots.into_iter().flatten() {
            in_order &= self.add_op(slot, Op::Fill(place), terms, (sequence, entry.at));
        }
        for slot in slots.into_iter().flatten() {
            if in_order {
                self.book_deal(slot, &deal, terms)?;
            } else {
                self.rederive(slot)?;
            }
        }
        Ok(if is_void { Posting::Voided } else { Posting::Applied })
    }

    fn check_fill(&self, terms: &Instrument, fill: &Fill) -> Result<(), AppendError> {
        Invalid::unless_positive("quantity", fill.quantity)?;
        terms.check_price("price", fill.price)?;
        fill.cost.map_or(Ok(()), |cost| terms.check_cost(cost))?;
        if let Some(currency) = fill.fee_currency.as_ref()
            && currency != terms.settlement()
        {
            self.check_currency("fee_currency", currency)?;
        }
        check_leg(terms, fill.leg.as_ref())?;
        if fill.lots.is_empty() {
            return Ok(());
        }
        if terms.method() != Method::Specific {
            let rule = "be named only where the method is that of specific lots";
            return Err(Invalid::new("lots", fill.lots.len(), rule).into());
        }
        if fill.lots.len() > LOTS_MAX {
            return Err(Invalid::new("lots", fill.lots.len(), "be at most 1000").into());
        }
        let quantities = fill.lots.iter().map(|lot| lot.quantity);
        Ok(quantities.into_iter().try_for_each(|lot| Invalid::unless_positive("lots", lot))?)
    }

    /// The first part of the content in which `offered` differs from the fill at a place.
    fn difference(&self, place: Place, offered: &Fill, terms: &Instrument) -> Option<Difference> {
        let kept = self.fills.get(place)?;
        let leg = self.slot_of(&kept).and_then(|slot| self.slot(slot)?.leg.clone());
        let held = kept.into_fill((terms.id(), terms.settlement()), leg, Vec::new());
        let restated = self.amended.get(&place).and_then(|amended| amended.restated);
        let found = difference(&held, offered, terms);
        // The venue may tell of the fill as it was, or as it is now.
        let (Some(_), Some((price, cost))) = (&found, restated) else { return found };
        difference(&Fill { price, cost, ..held }, offered, terms).and(found)
    }

    /// How much of a fill was void before it came.
    fn take_waiting(&mut self, pair: u32, fill: &Fill) -> Result<Amount, AppendError> {
        if self.waiting.is_empty() {
            return Ok(Amount::ZERO);
        }
        let key = (pair, fill.trade_id.clone());
        let Some(waiting) = self.waiting.remove(&key) else { return Ok(Amount::ZERO) };
        self.trail.rest.push(Undo::Waiting(Box::new((key, Some(waiting)))));
        let voided = waiting.unwrap_or(fill.quantity);
        if voided > fill.quantity {
            return Err(AppendError::ExcessVoid {
                trade_id: fill.trade_id.clone(),
                traded: fill.quantity,
                offered: voided,
            });
        }
        Ok(voided)
    }

    /// Counts the fill to its order, if the books have it, and gives who wanted it.
    fn fill_order(
        &mut self,
        entry: &Entry,
        fill: &Fill,
        voided: Amount,
    ) -> Result<Desk, AppendError> {
        let mut desk = desk_of(entry);
        // No order is the common case of books that only follow a venue.
        if self.orders.is_empty() {
            return Ok(desk);
        }
        let Some(order) = self.order_of(entry, fill)? else { return Ok(desk) };
        if desk.strategy.is_none() {
            desk.strategy = Some(order.intent().strategy.clone());
        }
        if desk.portfolio.is_none() {
            desk.portfolio = order.portfolio().cloned();
        }
        let counted = fill.quantity.checked_sub(voided).map_err(of("filled"))?;
        if counted.is_positive() {
            let total = order.filled().checked_add(counted).map_err(of("filled"))?;
            let mut order = Box::new(order.clone());
            order.fill(total);
            self.swap_order(fill.order_id, Some(order));
        }
        Ok(desk)
    }

    /// The order of a fill, if the books have it; a fill that contradicts it is refused.
    fn order_of(&self, entry: &Entry, fill: &Fill) -> Result<Option<&Order>, AppendError> {
        let Some(order) = self.orders.get(&fill.order_id) else { return Ok(None) };
        let intent = order.intent();
        if order.account() != &entry.account {
            return Err(Invalid::new("account", &entry.account, "be that of the order").into());
        }
        if intent.instrument != fill.instrument {
            return Err(Invalid::new("instrument", &fill.instrument, "be that of the order").into());
        }
        if intent.side != fill.side {
            return Err(Invalid::new("side", fill.side.as_str(), "be that of the order").into());
        }
        Ok(Some(order))
    }

    fn keep(
        &mut self,
        (sequence, entry): (u64, &Entry),
        (key, fill): (&Key, &Fill),
        (pair, slot, share): (u32, u32, Option<u32>),
    ) -> Result<Place, AppendError> {
        let first = self.pair(pair).and_then(|pair| pair.legs.first().copied());
        let terms = self.pair(pair).and_then(|pair| self.instruments.at(pair.instrument));
        let settlement = terms.map(Instrument::settlement).ok_or(AppendError::Full)?;
        let slot = (first != Some(slot)).then_some(slot);
        let booking = Booking { slot, share, sequence, at: entry.at, settlement };
        let place = self.fills.push(key, &booking, fill).ok_or(AppendError::Full)?;
        self.trail.rest.push(Undo::FillKept(place));
        if !fill.lots.is_empty() {
            drop(self.choices.insert(place, fill.lots.clone().into_boxed_slice()));
        }
        Ok(place)
    }

    /// Books a deal at the end of a position or a share.
    fn book_deal(
        &mut self,
        number: u32,
        deal: &Deal<'_>,
        terms: &Instrument,
    ) -> Result<(), AppendError> {
        let Some(slot) = self.slots.get_mut(index(number)) else { return Ok(()) };
        let before = Sums::of(&slot.state);
        self.trail.holdings.push((number, slot.state.holding, slot.state.trades));
        let mut sink = Sink::of(&mut self.trail.rest, number);
        slot.state.deal((terms, slot.main.is_some()), deal, &mut sink)?;
        if slot.main.is_some() {
            return Ok(());
        }
        self.settle(number, &before, &[(deal.fee_currency, deal.fee)], terms)
    }

    /// Puts an operation into the history of a slot, and tells whether it is the last one.
    pub(crate) fn add_op(
        &mut self,
        number: u32,
        op: Op,
        terms: &Instrument,
        (sequence, at): (u64, Timestamp),
    ) -> bool {
        let key = key(terms, sequence, at);
        let Some(slot) = self.slots.get(index(number)) else { return true };
        let in_order = key >= slot.track.last;
        let place = if in_order {
            slot.ops.len()
        } else {
            slot.ops.partition_point(|op| self.op_key(op, terms) <= key)
        };
        let Some(slot) = self.slots.get_mut(index(number)) else { return true };
        let track = Track { last: key.max(slot.track.last), active: at.max(slot.track.active) };
        self.trail.rest.push(Undo::Track(number, std::mem::replace(&mut slot.track, track)));
        if in_order {
            slot.ops.push(op);
        } else {
            slot.ops.insert(place, op);
        }
        self.trail.rest.push(Undo::OpAdded(number, place));
        in_order
    }

    /// What decides the place of an operation.
    pub(crate) fn op_key(&self, op: Op, terms: &Instrument) -> (Timestamp, u64) {
        let times = match op {
            Op::Fill(place) => self.fills.get(place).map(|kept| (kept.sequence, kept.at)),
            Op::Deed(number) => self.deeds.get(index(number)).map(|deed| (deed.sequence, deed.at)),
        };
        let (sequence, at) = times.unwrap_or_default();
        key(terms, sequence, at)
    }
}

/// The first part of the content in which `offered` differs from `held`.
fn difference(held: &Fill, offered: &Fill, terms: &Instrument) -> Option<Difference> {
    let currency =
        |fill: &'_ Fill| fill.fee_currency.as_ref().unwrap_or_else(|| terms.settlement()).clone();
    let cost = |fill: &Fill| fill.cost.map_or_else(|| "none".to_owned(), |cost| cost.to_string());
    let leg = |fill: &Fill| fill.leg.as_ref().map_or("none", LegId::as_str).to_owned();
    if held.side != offered.side {
        Some(Difference::new("side", &held.side.as_str(), &offered.side.as_str()))
    } else if held.quantity != offered.quantity {
        Some(Difference::new("quantity", &held.quantity, &offered.quantity))
    } else if held.price != offered.price {
        Some(Difference::new("price", &held.price, &offered.price))
    } else if held.cost != offered.cost {
        Some(Difference::new("cost", &cost(held), &cost(offered)))
    } else if held.fee != offered.fee {
        Some(Difference::new("fee", &held.fee, &offered.fee))
    } else if currency(held) != currency(offered) {
        Some(Difference::new("fee_currency", &currency(held), &currency(offered)))
    } else if held.order_id != offered.order_id {
        Some(Difference::new("order_id", &held.order_id, &offered.order_id))
    } else if held.leg != offered.leg {
        Some(Difference::new("leg", &leg(held), &leg(offered)))
    } else {
        None
    }
}
