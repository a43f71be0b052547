//! Booking fills, and what the venue says of them later.

use std::borrow::Cow;

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::archive::{Booking, Kept, Key, Place};
use crate::books::Books;
use crate::change::{Booked, Undo, index};
use crate::entry::Entry;
use crate::error::{AppendError, Difference, Invalid};
use crate::fill::{Fill, LotChoice, Side};
use crate::instrument::Instrument;
use crate::name::{Currency, LegId, TradeId};
use crate::order::Order;
use crate::places::check_leg;
use crate::posting::{Posting, desk_of};
use crate::rules::{Method, Sequencing};
use crate::settling::Moved;
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
    /// None for the settlement currency.
    pub(crate) fee_currency: Option<&'a Currency>,
    pub(crate) lots: Cow<'a, [LotChoice]>,
}

impl<'a> Deal<'a> {
    fn of_fill((sequence, at): (u64, Timestamp), fill: &'a Fill) -> Self {
        Self {
            sequence,
            at,
            trade_id: &fill.trade_id,
            side: fill.side,
            quantity: fill.quantity,
            price: fill.price,
            cost: fill.cost,
            fee: fill.fee,
            fee_currency: fill.fee_currency.as_ref(),
            lots: Cow::Borrowed(&fill.lots),
        }
    }

    pub(crate) fn of_kept(kept: &'a Kept, lots: &'a [LotChoice]) -> Self {
        Self {
            sequence: kept.sequence,
            at: kept.at,
            trade_id: &kept.trade_id,
            side: kept.side,
            quantity: kept.quantity,
            price: kept.price,
            cost: kept.cost,
            fee: kept.fee,
            fee_currency: kept.fee_currency.as_ref(),
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
        let is_in_kind = self.fee_currency.is_some_and(|currency| terms.is_in_kind(currency));
        if is_in_kind { self.fee } else { Amount::ZERO }
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
        let currency = deal.fee_currency.unwrap_or_else(|| terms.settlement());
        self.charge(currency, deal.fee, sink)?;
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
        let unknown = || AppendError::UnknownInstrument(fill.instrument.clone());
        let number = number.ok_or_else(unknown)?;
        let terms = self.instruments.at(number).ok_or_else(unknown)?;
        self.check_fill(terms, fill)?;
        let pair = match known {
            Some(pair) => pair,
            None => self.add_pair(&entry.account, &fill.instrument, number),
        };
        let key = Key::new(pair, &fill.trade_id);
        if let Some(place) = self.fills.find(&key) {
            return Ok(match self.difference(place, fill, number) {
                None => Posting::Duplicate,
                Some(difference) => Posting::Conflict(difference),
            });
        }
        self.check_apart(entry)?;
        let voided = self.take_waiting(pair, fill)?;
        let slot = self.slot_at(pair, fill.leg.as_ref())?;
        // No order and no desk is the common case of books that only follow a venue.
        let has_orders = !self.orders.is_empty();
        let desk = if has_orders { self.fill_order(entry, fill, voided)? } else { desk_of(entry) };
        let share = if desk.is_none() { None } else { self.share_for(slot, &desk)? };
        let place = self.keep((sequence, entry), (&key, fill), (pair, slot, share))?;
        let mut deal = Deal::of_fill((sequence, entry.at), fill);
        if !voided.is_zero() {
            // A row that is taken back takes this with it.
            let amended = Amended { voided, ..Amended::default() };
            let terms = self.instruments.at(number).ok_or_else(unknown)?;
            deal = deal.amend(Some(&amended), terms)?;
            self.amended.insert(place, amended);
        }
        self.book_deal((slot, share), place, &deal, number)?;
        Ok(if voided == fill.quantity { Posting::Voided } else { Posting::Applied })
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
    fn difference(&self, place: Place, offered: &Fill, instrument: u32) -> Option<Difference> {
        let terms = self.instruments.at(instrument)?;
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
        self.trail.push(Undo::Waiting(Box::new((key, Some(waiting)))));
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
            self.count_filled(fill.order_id, total);
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
        (key, fill): (&Key<'_>, &Fill),
        (pair, slot, share): (u32, u32, Option<u32>),
    ) -> Result<Place, AppendError> {
        let held = self.pair(pair);
        let terms = held.and_then(|pair| self.instruments.at(pair.instrument));
        let Some((held, terms)) = held.zip(terms).filter(|_| self.fills.has_room()) else {
            return Err(AppendError::Full);
        };
        let slot = (held.legs.first() != Some(slot)).then_some(slot);
        let settlement = terms.settlement();
        let booking = Booking { slot, share, sequence, at: entry.at, settlement };
        let Some(place) = self.fills.push(key, &booking, fill) else {
            return Err(AppendError::Full);
        };
        self.trail.fills.push(place);
        if !fill.lots.is_empty() {
            drop(self.choices.insert(place, fill.lots.clone().into_boxed_slice()));
        }
        Ok(place)
    }

    /// Books a deal on a position and a share of it: at their end, or where it belongs by time.
    fn book_deal(
        &mut self,
        (slot, share): (u32, Option<u32>),
        place: Place,
        deal: &Deal<'_>,
        instrument: u32,
    ) -> Result<(), AppendError> {
        let Some(terms) = self.instruments.at(instrument) else { return Ok(()) };
        let key = key(terms, deal.sequence, deal.at);
        let is_last = |number| self.slot(number).is_some_and(|slot| key >= slot.track.last);
        if is_last(slot) && share.is_none_or(is_last) {
            self.book_last((slot, place), deal, instrument, key)?;
            return match share {
                Some(share) => self.book_last((share, place), deal, instrument, key),
                None => Ok(()),
            };
        }
        // Both have it before either is derived again, since a transfer may tie them.
        let slots = [Some(slot), share].into_iter().flatten();
        for slot in slots.clone() {
            self.add_op(slot, Op::Fill(place), instrument, (deal.sequence, deal.at));
        }
        self.rederive(slots)
    }

    /// Books a deal at the end of a position or a share.
    fn book_last(
        &mut self,
        (number, place): (u32, Place),
        deal: &Deal<'_>,
        instrument: u32,
        key: (Timestamp, u64),
    ) -> Result<(), AppendError> {
        let Some(terms) = self.instruments.at(instrument) else { return Ok(()) };
        let Some(slot) = self.slots.get_mut(index(number)) else { return Ok(()) };
        self.trail.booked.push(Booked::before(number, slot));
        slot.track = Track { last: key, active: deal.at.max(slot.track.active) };
        slot.ops.push(Op::Fill(place));
        let (before, is_share) = (slot.state.holding, slot.main.is_some());
        let mut sink = Sink::of(&mut self.trail, number);
        slot.state.deal((terms, is_share), deal, &mut sink)?;
        if is_share {
            return Ok(());
        }
        let moved = Moved::by_trade(&before, &slot.state.holding).map_err(of("balance"))?;
        self.settle(number, &moved, &[(deal.fee_currency, deal.fee)], instrument)
    }

    /// Puts an operation into the history of a slot, and tells whether it is the last one.
    pub(crate) fn add_op(
        &mut self,
        number: u32,
        op: Op,
        instrument: u32,
        (sequence, at): (u64, Timestamp),
    ) -> bool {
        let terms = self.instruments.at(instrument);
        let Some((slot, terms)) = self.slot(number).zip(terms) else { return true };
        let key = key(terms, sequence, at);
        let (next, place) = if let Some(next) = slot.track.next(key, at) {
            (next, slot.ops.len())
        } else {
            let place = slot.ops.partition_point(|op| self.op_key(op, terms) <= key);
            (Track { active: at.max(slot.track.active), ..slot.track }, place)
        };
        let Some(slot) = self.slots.get_mut(index(number)) else { return true };
        let is_last = place == slot.ops.len();
        self.trail.push(Undo::Track(number, std::mem::replace(&mut slot.track, next)));
        slot.ops.insert(place, op);
        self.trail.push(Undo::OpAdded(number, place));
        is_last
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
