//! Booking fills, and what the venue says of them later.

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::archive::{Booking, Key, Place};
use crate::books::Books;
use crate::change::{Booked, Undo, index};
use crate::deal::{Deal, key};
use crate::entry::Entry;
use crate::error::{AppendError, Difference, Invalid};
use crate::fill::Fill;
use crate::instrument::Instrument;
use crate::name::{Currency, LegId};
use crate::order::Order;
use crate::places::check_leg;
use crate::posting::{Posting, desk_of};
use crate::rules::{Contract, Method};
use crate::settling::Moved;
use crate::slots::{Amended, Op, Track};
use crate::state::{Birth, Sink, Traded, of};

/// Lots that one fill can name.
const LOTS_MAX: usize = 1_000;

/// Where a fill is booked.
#[derive(Clone, Copy, Debug)]
struct Target {
    slot: u32,
    share: Option<u32>,
    instrument: u32,
    /// What decides its place among other operations.
    turn: (Timestamp, u64),
}

impl Books {
    #[inline]
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
        let fee_currency = fill.fee_currency.as_ref();
        let fee_currency = fee_currency.filter(|currency| *currency != terms.settlement());
        self.check_fill(terms, fill, fee_currency)?;
        let turn = key(terms, sequence, entry.at);
        let pair = match known {
            Some(pair) => pair,
            None => self.add_pair(&entry.account, &fill.instrument, number),
        };
        let key = Key::new(pair, &fill.trade_id);
        if let Some(place) = self.fills.find(&key) {
            return Ok(match self.difference(place, fill, number) {
                None => Posting::Duplicate,
                Some(difference) => Posting::conflict(difference),
            });
        }
        self.check_apart(entry)?;
        // Nothing that waits, no order and no desk is the common case of books that only follow a venue.
        let is_awaited = !self.waiting.is_empty();
        let voided = if is_awaited { self.take_waiting(pair, fill)? } else { Amount::ZERO };
        let slot = self.slot_at(pair, fill.leg.as_ref())?;
        let is_ours = !self.orders.is_empty() || entry.has_desk();
        let share = if is_ours { self.share_of(slot, entry, fill, voided)? } else { None };
        let legs = self.pair(pair).filter(|_| fill.leg.is_some()).map(|pair| &pair.legs);
        let apart = legs.filter(|legs| legs.first() != Some(slot)).map(|_| slot);
        let booking = Booking { slot: apart, share, sequence, at: entry.at, fee_currency };
        let place = self.keep(&key, &booking, fill)?;
        let terms = self.instruments.at(number).ok_or_else(unknown)?;
        let deal = Deal::of_fill(terms, (sequence, entry.at), fill, fee_currency);
        let target = Target { slot, share, instrument: number, turn };
        if !voided.is_zero() {
            return self.post_voided(&target, place, deal, voided);
        }
        self.book_deal(&target, place, &deal).map(|()| Posting::Applied)
    }

    /// Books what is left of a fill that was void, in whole or in part, before it came.
    #[cold]
    fn post_voided(
        &mut self,
        target: &Target,
        place: Place,
        deal: Deal<'_>,
        voided: Amount,
    ) -> Result<Posting, AppendError> {
        let Some(terms) = self.instruments.at(target.instrument) else {
            return Ok(Posting::Voided);
        };
        let is_whole = voided == deal.trade.quantity;
        let (amended, mut lots) = (Amended { voided, ..Amended::default() }, Vec::new());
        let deal = deal.amend(&amended, terms, &mut lots)?;
        // A row that is taken back takes this with it.
        self.amended.insert(place, amended);
        self.book_deal(target, place, &deal)?;
        Ok(if is_whole { Posting::Voided } else { Posting::Applied })
    }

    #[inline]
    fn check_fill(
        &self,
        terms: &Instrument,
        fill: &Fill,
        fee_currency: Option<&Currency>,
    ) -> Result<(), AppendError> {
        Invalid::unless_positive("quantity", fill.quantity)?;
        terms.check_price("price", fill.price)?;
        fill.cost.map_or(Ok(()), |cost| terms.check_cost(cost))?;
        if let Some(currency) = fee_currency {
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

    /// Counts the fill to its order, if the books have it, and gives the share of who wanted it.
    fn share_of(
        &mut self,
        slot: u32,
        entry: &Entry,
        fill: &Fill,
        voided: Amount,
    ) -> Result<Option<u32>, AppendError> {
        let mut desk = desk_of(entry);
        let Some(order) = self.order_of(entry, fill)? else { return self.share_for(slot, &desk) };
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
        self.share_for(slot, &desk)
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

    #[inline]
    fn keep(
        &mut self,
        key: &Key<'_>,
        booking: &Booking<'_>,
        fill: &Fill,
    ) -> Result<Place, AppendError> {
        let Some(place) = self.fills.push(key, booking, fill) else {
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
        target: &Target,
        place: Place,
        deal: &Deal<'_>,
    ) -> Result<(), AppendError> {
        let is_last = |number| self.slot(number).is_some_and(|slot| target.turn >= slot.track.last);
        if !is_last(target.slot) || !target.share.is_none_or(is_last) {
            return self.book_late(target, place, deal);
        }
        let traded = self.book_last(target.slot, target, place, deal)?;
        let foreign = deal.fee_currency.map(|currency| (currency, deal.fee));
        let own = if foreign.is_none() { deal.fee } else { Amount::ZERO };
        let contract = self.instruments.at(target.instrument).map(Instrument::contract);
        let moved = match self.slot(target.slot).zip(self.trail.booked.last()) {
            Some((slot, booked)) if contract == Some(Contract::Spot) => {
                Moved::by_trade(booked.holding(), &slot.state.holding).map_err(of("balance"))?
            }
            _ => Moved::by_contract(traded.realized, own),
        };
        self.settle(target.slot, &moved, foreign.as_slice(), target.instrument)?;
        match target.share {
            Some(share) => self.book_last(share, target, place, deal).map(drop),
            None => Ok(()),
        }
    }

    /// Books a deal where it belongs by time.
    #[cold]
    fn book_late(
        &mut self,
        target: &Target,
        place: Place,
        deal: &Deal<'_>,
    ) -> Result<(), AppendError> {
        let Birth { sequence, at, .. } = deal.trade.opening;
        // Both have it before either is derived again, since a transfer may tie them.
        let slots = [Some(target.slot), target.share].into_iter().flatten();
        for slot in slots.clone() {
            self.add_op(slot, Op::Fill(place), target.instrument, (sequence, at));
        }
        self.rederive(slots)
    }

    /// Books a deal at the end of a position or a share.
    fn book_last(
        &mut self,
        number: u32,
        target: &Target,
        place: Place,
        deal: &Deal<'_>,
    ) -> Result<Traded, AppendError> {
        let slot = self.slots.get_mut(index(number));
        let Some((slot, terms)) = slot.zip(self.instruments.at(target.instrument)) else {
            return Ok(Traded::default());
        };
        self.trail.booked.push(Booked::before(number, slot));
        let Birth { sequence, at, .. } = deal.trade.opening;
        slot.track = Track { last: key(terms, sequence, at), active: at.max(slot.track.active) };
        slot.ops.push(Op::Fill(place));
        let is_share = slot.main.is_some();
        let mut sink = Sink::of(&mut self.trail, number);
        slot.state.deal((terms, is_share), deal, &mut sink)
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
