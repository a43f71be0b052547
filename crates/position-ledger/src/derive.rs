//! Deriving a position again from its history, and asking what happened in it.
//!
//! A bust, a correction, or what is late where event time decides, changes the past: the position is made anew.
//! The cost is that of the history of the position, and of those that a transfer ties to it; of no other.

use std::collections::{BTreeMap, BTreeSet};

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::archive::Place;
use crate::books::Books;
use crate::change::{Undo, index};
use crate::deal::{Deal, key};
use crate::error::{AmountError, AppendError, Invalid};
use crate::fill::{Legs, Side, TradeId};
use crate::instrument::Instrument;
use crate::name::{Account, Currency, InstrumentId, LegId};
use crate::position::Figures;
use crate::rules::Sequencing;
use crate::settling::Moved;
use crate::slots::{Deed, Op, What};
use crate::splitting::run_split;
use crate::state::{Birth, Holding, Sink, State, Trade, of};

/// One step in the history of a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The entry.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The fill, if it was one.
    pub trade_id: Option<TradeId>,
    /// How the quantity changed.
    pub change: Amount,
    /// The part of a fill that closed what was open; nothing for other steps.
    pub closed: Amount,
    /// What of the fee counts, and its currency, if it was a fill.
    pub fee: Option<(Amount, Currency)>,
    /// Profit that it realized, without fees.
    pub realized: Amount,
    /// The quantity after it.
    pub quantity: Amount,
    /// The open cost after it.
    pub open_cost: Amount,
    /// Whether it ended a cycle: the position became flat, or turned around.
    pub ended_cycle: bool,
}

/// A step on its way to an observer, with the slot it happened in.
#[derive(Debug)]
pub(crate) struct Seen {
    slot: u32,
    before: Holding,
    after: Holding,
    op: Op,
    closed: Amount,
    fee: Amount,
}

/// Fees by currency.
type Fees = Vec<(Currency, Amount)>;

/// States under derivation, by slot.
pub(crate) type States = Vec<(u32, State)>;

impl Books {
    /// Makes positions, and those that are tied to them, anew from their histories: what is tied together once.
    pub(crate) fn rederive(
        &mut self,
        slots: impl IntoIterator<Item = u32>,
    ) -> Result<(), AppendError> {
        let mut made = BTreeSet::new();
        for slot in slots {
            if made.contains(&slot) {
                continue;
            }
            let component = self.component(slot);
            let states = self.derive(&component, None, &mut |_| ())?;
            self.install(states)?;
            made.extend(component);
        }
        Ok(())
    }

    /// Puts new states in the place of old ones, and moves the balances by what differs.
    pub(crate) fn install(&mut self, states: States) -> Result<(), AppendError> {
        for (number, state) in states {
            let Some(slot) = self.slots.get_mut(index(number)) else { continue };
            let (pair, is_main) = (slot.pair, slot.main.is_none());
            let fees = if is_main { changed(&slot.state.fees, &state.fees)? } else { Vec::new() };
            // Before anything changes: what fails here is not in the trail.
            let moved = Moved::between(&slot.state, &state).map_err(of("balance"))?;
            let old = std::mem::replace(&mut slot.state, state);
            self.trail.push(Undo::State(number, Box::new(old)));
            if let (true, Some(instrument)) = (is_main, self.pair(pair).map(|pair| pair.instrument))
            {
                let fees: Vec<_> = fees.iter().map(|(currency, fee)| (currency, *fee)).collect();
                self.settle(number, &moved, &fees, instrument)?;
            }
        }
        Ok(())
    }

    /// The slot with all that transfers and deliveries tie to it.
    fn component(&self, slot: u32) -> Vec<u32> {
        let mut found = vec![slot];
        let mut next = 0;
        while let Some(number) = found.get(next).copied() {
            next = next.saturating_add(1);
            let Some(slot) = self.slot(number).filter(|slot| slot.is_linked) else { continue };
            let ends = slot.ops.iter().flat_map(|op| self.ends_of(op, number));
            let mut others: Vec<_> = ends.collect();
            others.retain(|other| !found.contains(other));
            others.sort_unstable();
            others.dedup();
            found.append(&mut others);
        }
        found
    }

    /// The positions and shares that an operation of a slot ties together, first that which it is run from.
    pub(crate) fn ends_of(&self, op: Op, slot: u32) -> Vec<u32> {
        let deed = match op {
            Op::Deed(number) => self.deeds.get(index(number)),
            Op::Fill(_) => None,
        };
        match deed.map(|deed| &deed.what) {
            Some(What::Deliver { from, to, .. }) => vec![*from, *to],
            Some(What::Move { from, to, shares, .. }) => {
                let shares = shares.iter().flat_map(|(from, to)| [*from, *to]);
                [*from, *to].into_iter().chain(shares).collect()
            }
            Some(What::Split(_)) => {
                let main = self.slot(slot).and_then(|slot| slot.main).unwrap_or(slot);
                let desks = self.slot(main).into_iter().flat_map(|slot| slot.desks.iter().copied());
                std::iter::once(main).chain(desks).collect()
            }
            _ => vec![slot],
        }
    }

    /// States made of histories alone, in the order that counts, or in another one that is asked for.
    fn derive(
        &self,
        component: &[u32],
        sequencing: Option<Sequencing>,
        watch: &mut dyn FnMut(&Seen),
    ) -> Result<States, AppendError> {
        let mut states: States =
            component.iter().map(|number| (*number, State::default())).collect();
        if let ([single], None) = (component, sequencing) {
            let ops = self.slot(*single).into_iter().flat_map(|slot| slot.ops.iter());
            for op in ops {
                self.run(&mut states, *single, op, watch)?;
            }
            return Ok(states);
        }
        let mut ops = Vec::new();
        for number in component {
            let Some((slot, terms)) = self.slot(*number).zip(self.terms_of(*number)) else {
                continue;
            };
            let terms = match sequencing {
                Some(sequencing) => &terms.clone().with_sequencing(sequencing),
                None => terms,
            };
            ops.extend(slot.ops.iter().map(|op| (self.op_key(op, terms), *number, op)));
        }
        // What one entry did to several legs in the order of their names, whichever slot this began with, and whichever of
        // them was known first.
        ops.sort_by_key(|(key, number, _)| (*key, self.slot(*number).map(|slot| &slot.leg)));
        for (_, number, op) in ops {
            self.run(&mut states, number, op, watch)?;
        }
        Ok(states)
    }

    fn terms_of(&self, slot: u32) -> Option<&Instrument> {
        let pair = self.pair(self.slot(slot)?.pair)?;
        self.instruments.at(pair.instrument)
    }

    /// Runs one operation of a slot on states.
    pub(crate) fn run(
        &self,
        states: &mut States,
        owner: u32,
        op: Op,
        watch: &mut dyn FnMut(&Seen),
    ) -> Result<(), AppendError> {
        let Some(terms) = self.terms_of(owner) else { return Ok(()) };
        let deed = match op {
            Op::Fill(place) => return self.run_fill(states, (owner, terms), place, watch),
            Op::Deed(number) => self.deeds.get(index(number)),
        };
        let Some(deed) = deed else { return Ok(()) };
        // All ends have it in their history; it is run once, from where it starts.
        let ends = self.ends_of(op, owner);
        if ends.first() != Some(&owner) {
            return Ok(());
        }
        let mut earlier = Vec::with_capacity(ends.len());
        for slot in &ends {
            earlier.push((*slot, state_of(states, *slot)?.holding));
        }
        if deed.what.is_tie() {
            self.run_tied(states, (terms, &ends), deed)?;
        } else {
            run_deed(state_of(states, owner)?, terms, deed)?;
        }
        for (slot, before) in earlier {
            let after = state_of(states, slot)?.holding;
            let (closed, fee) = (Amount::ZERO, Amount::ZERO);
            watch(&Seen { slot, before, after, op, closed, fee });
        }
        Ok(())
    }

    fn run_fill(
        &self,
        states: &mut States,
        (owner, terms): (u32, &Instrument),
        place: Place,
        watch: &mut dyn FnMut(&Seen),
    ) -> Result<(), AppendError> {
        let Some(kept) = self.fills.get(place) else { return Ok(()) };
        let lots = self.choices.get(&place).map(|lots| &**lots).unwrap_or_default();
        let (mut deal, mut amended_lots) = (Deal::of_kept(terms, &kept, lots), Vec::new());
        if let Some(amended) = self.amended.get(&place) {
            deal = deal.amend(amended, terms, &mut amended_lots)?;
        }
        let is_share = self.slot(owner).is_some_and(|slot| slot.main.is_some());
        let state = state_of(states, owner)?;
        let before = state.holding;
        let traded = state.deal((terms, is_share), &deal, &mut Sink::none())?;
        let (op, after, fee) = (Op::Fill(place), state.holding, deal.fee);
        watch(&Seen { slot: owner, before, after, op, closed: traded.closed, fee });
        Ok(())
    }

    /// Runs what concerns several positions or shares at once.
    fn run_tied(
        &self,
        states: &mut States,
        (terms, ends): (&Instrument, &[u32]),
        deed: &Deed,
    ) -> Result<(), AppendError> {
        match &deed.what {
            What::Move { from, to, shares, quantity } => {
                let side = move_load(states, terms, (*from, *to), (*quantity, None))?;
                let Some(shares) = shares else { return Ok(()) };
                move_load(states, terms, *shares, (*quantity, Some(side))).map(drop)
            }
            What::Deliver { from, to, price } => {
                let target = self.terms_of(*to).ok_or(AppendError::Full)?;
                deliver(states, (*from, terms), (*to, target), (deed, *price))
            }
            What::Split(split) => run_split(states, (terms, ends), deed, split),
            _ => Ok(()),
        }
    }

    /// What happened in a position, step by step, in the order that counts.
    ///
    /// # Errors
    ///
    /// None for books that were made by entries; [`AppendError`] names what could not be derived.
    pub fn history(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        leg: Option<&LegId>,
    ) -> Result<Vec<Step>, AppendError> {
        let pair = self.pair_number(account, instrument);
        let Some(slot) = pair.and_then(|pair| self.leg_number(pair, leg)) else {
            return Ok(Vec::new());
        };
        let (mut events, mut failed) = (Vec::new(), None);
        self.derive(&self.component(slot), None, &mut |seen| {
            if seen.slot == slot {
                match self.event(seen) {
                    Ok(event) => events.extend(event),
                    Err(error) => failed = Some(error),
                }
            }
        })?;
        failed.map_or(Ok(events), |error| Err(of("position")(error)))
    }

    fn event(&self, seen: &Seen) -> Result<Option<Step>, AmountError> {
        let (before, after) = (&seen.before, &seen.after);
        let (sequence, at, trade_id, fee) = match seen.op {
            Op::Deed(number) => {
                let Some(deed) = self.deeds.get(index(number)) else { return Ok(None) };
                (deed.sequence, deed.at, None, None)
            }
            Op::Fill(place) => {
                let kept = self.fills.get(place).zip(self.terms_of(seen.slot));
                let Some((kept, terms)) = kept else { return Ok(None) };
                let currency = kept.fee_currency.unwrap_or_else(|| terms.settlement().clone());
                (kept.sequence, kept.at, Some(kept.trade_id), Some((seen.fee, currency)))
            }
        };
        let turned = after.quantity.is_negative() != before.quantity.is_negative();
        // A fee in kind may begin a short again where a fill has just closed one.
        let is_over = after.quantity.is_zero() || turned || seen.closed == before.quantity.abs();
        Ok(Some(Step {
            sequence,
            at,
            trade_id,
            change: after.quantity.checked_sub(before.quantity)?,
            closed: seen.closed,
            fee,
            realized: after.realized.checked_sub(before.realized)?,
            quantity: after.quantity,
            open_cost: after.open_cost,
            ended_cycle: !before.quantity.is_zero() && is_over,
        }))
    }

    /// Realized profit, without fees, of each cycle of a position from flat to flat, oldest first.
    ///
    /// Derived from the history, so its cost grows with it.
    ///
    /// # Errors
    ///
    /// As [`Books::history`].
    pub fn closed_cycles(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        leg: Option<&LegId>,
    ) -> Result<Vec<Amount>, AppendError> {
        let (mut cycles, mut realized) = (Vec::new(), Amount::ZERO);
        for event in self.history(account, instrument, leg)? {
            realized = realized.checked_add(event.realized).map_err(of("realized"))?;
            if event.ended_cycle {
                cycles.push(std::mem::take(&mut realized));
            }
        }
        Ok(cycles)
    }

    /// The closing and the opening part of a fill; none for a fill that is not known.
    ///
    /// The fee is shared by quantity, rounded half to even for the closing leg; the opening leg takes the rest.
    ///
    /// # Errors
    ///
    /// As [`Books::history`].
    pub fn legs(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        trade_id: &TradeId,
    ) -> Result<Option<Legs>, AppendError> {
        let Some(fill) = self.fill(account, instrument, trade_id) else { return Ok(None) };
        let Some(terms) = self.instruments.find(instrument) else { return Ok(None) };
        let history = self.history(account, instrument, fill.fill.leg.as_ref())?;
        let found = history.into_iter().find(|event| event.trade_id.as_ref() == Some(trade_id));
        let Some(event) = found else { return Ok(None) };
        let counted = fill.fill.quantity.checked_sub(fill.voided).map_err(of("quantity"))?;
        let fee = event.fee.map_or(Amount::ZERO, |(fee, _)| fee);
        let legs = Legs::share((counted, event.closed), fee, terms.fee_places());
        legs.map(Some).map_err(of("fee"))
    }

    /// The figures of a position if its history counted in another order; none when nothing was booked on it.
    ///
    /// Quantity, cash flow, and profit at a mark do not depend on the order; cost and realized profit do.
    ///
    /// # Errors
    ///
    /// [`AppendError`] when that order cannot be booked, such as a lot that is closed before it is opened.
    pub fn in_order(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        leg: Option<&LegId>,
        sequencing: Sequencing,
    ) -> Result<Option<Figures>, AppendError> {
        let pair = self.pair_number(account, instrument);
        let Some(slot) = pair.and_then(|pair| self.leg_number(pair, leg)) else { return Ok(None) };
        let states = self.derive(&self.component(slot), Some(sequencing), &mut |_| ())?;
        let found = states.into_iter().find(|(number, _)| *number == slot);
        Ok(found.map(|(_, state)| Figures::of(&state.holding)))
    }
}

pub(crate) fn state_of(states: &mut States, slot: u32) -> Result<&mut State, AppendError> {
    let found = states.iter_mut().find(|(number, _)| *number == slot);
    found.map(|(_, state)| state).ok_or(AppendError::Full)
}

pub(crate) const fn birth<'a>(terms: &Instrument, deed: &Deed) -> Birth<'a> {
    let (sequence, at) = (deed.sequence, deed.at);
    Birth { sequence, at, trade_id: None, age: key(terms, sequence, at) }
}

/// Moves a part of a position with its cost, of the side that is given, and gives the side that was moved.
fn move_load(
    states: &mut States,
    terms: &Instrument,
    (from, to): (u32, u32),
    (quantity, side): (Amount, Option<Side>),
) -> Result<Side, AppendError> {
    let load = state_of(states, from)?.unload(terms, quantity, side)?;
    let held = state_of(states, to)?;
    let there = held.holding.quantity;
    if !there.is_zero() && there.is_negative() != load.quantity.is_negative() {
        return Err(Invalid::new("to", there, "hold no position of the other side").into());
    }
    let side = if load.quantity.is_negative() { Side::Sell } else { Side::Buy };
    held.load(terms, load).map(|()| side)
}

/// Closes one position at a price, and opens the other with what that stands for.
fn deliver(
    states: &mut States,
    (from, terms): (u32, &Instrument),
    (to, target): (u32, &Instrument),
    (deed, price): (&Deed, Amount),
) -> Result<(), AppendError> {
    let opening = birth(terms, deed);
    let (closed, _) = state_of(states, from)?.settle(terms, price, opening)?;
    if closed.is_zero() {
        return Ok(());
    }
    let side = if closed.is_negative() { Side::Sell } else { Side::Buy };
    let quantity = closed.abs().rounded_mul(terms.multiplier()).map_err(of("quantity"))?;
    let (value, base_fee, lots) = (None, Amount::ZERO, None);
    let trade = Trade { side, quantity, price, value, base_fee, lots, opening };
    state_of(states, to)?.trade((target, false), &trade, &mut Sink::none()).map(drop)
}

/// What a deed does to one position.
fn run_deed(state: &mut State, terms: &Instrument, deed: &Deed) -> Result<(), AppendError> {
    let opening = birth(terms, deed);
    match &deed.what {
        What::Settle(price) => state.settle(terms, *price, opening).map(drop),
        What::Dividend(per_unit) => state.dividend(*per_unit),
        What::Fee(currency, fee) => state.pay(terms, (currency, *fee), opening),
        What::Adjust(change, price) => {
            let side = if change.is_negative() { Side::Sell } else { Side::Buy };
            let (quantity, value, base_fee) = (change.abs(), None, Amount::ZERO);
            let price = *price;
            let trade = Trade { side, quantity, price, value, base_fee, lots: None, opening };
            state.trade((terms, false), &trade, &mut Sink::none()).map(drop)
        }
        What::Open(quantity, cost) => state.begin(terms, (*quantity, *cost), opening),
        What::Split(_) | What::Move { .. } | What::Deliver { .. } => Ok(()),
    }
}

/// The fees that differ, by currency, with the difference.
fn changed(old: &[(Currency, Amount)], new: &[(Currency, Amount)]) -> Result<Fees, AppendError> {
    let mut changes: BTreeMap<&Currency, Amount> = BTreeMap::new();
    for (currency, fee) in new {
        let sum = changes.entry(currency).or_default();
        *sum = sum.checked_add(*fee).map_err(of("fee"))?;
    }
    for (currency, fee) in old {
        let sum = changes.entry(currency).or_default();
        *sum = sum.checked_sub(*fee).map_err(of("fee"))?;
    }
    Ok(changes.into_iter().map(|(currency, fee)| (currency.clone(), fee)).collect())
}
