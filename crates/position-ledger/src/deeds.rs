//! Deeds: what changes positions besides fills.
//!
//! Each is kept and stands in the history of every position it concerns, so that a position can be derived again.

use std::sync::Arc;

use backstop_clock::Timestamp;

use crate::action::{Act, Action, Move, Opening, Reach, Repair, Split};
use crate::amount::Amount;
use crate::books::Books;
use crate::change::{Undo, index};
use crate::entry::Entry;
use crate::error::{AppendError, Invalid};
use crate::instrument::Instrument;
use crate::name::{Account, LegId};
use crate::posting::desk_of;
use crate::rules::Contract;
use crate::slots::{Deed, Desk, Op, What};

impl Books {
    /// Books an action on every position it reaches, and on all shares in them.
    pub(crate) fn act(
        &mut self,
        sequence: u64,
        entry: &Entry,
        action: &Action,
    ) -> Result<(), AppendError> {
        let terms = self.find_instrument(&action.instrument)?.clone();
        check_act(&terms, &action.act)?;
        let account = match action.reach {
            Reach::Account => Some(&entry.account),
            Reach::Everyone => None,
        };
        let reached = self.reached(&terms, account, action.leg.as_ref());
        let when = (sequence, entry.at);
        let what = match &action.act {
            Act::Settlement { price } => What::Settle(*price),
            Act::Split(split) => What::Split(*split),
            Act::Dividend { per_unit } => What::Dividend(*per_unit),
            Act::Delivery { price, into } => {
                let into = self.find_instrument(into)?.clone();
                return self.deliver(when, &reached, *price, &into);
            }
        };
        self.do_deed(when, &reached, what)
    }

    /// The positions of an instrument, of one account or all, one leg or all, each followed by the shares in it.
    fn reached(
        &self,
        terms: &Instrument,
        account: Option<&Account>,
        leg: Option<&LegId>,
    ) -> Vec<u32> {
        let pairs = self.pairs.iter().filter(|pair| {
            pair.id == *terms.id() && account.is_none_or(|account| pair.account == *account)
        });
        let legs = pairs.flat_map(|pair| pair.legs.iter().copied());
        let slots = legs.filter_map(|number| Some((number, self.slot(number)?)));
        slots
            .filter(|(_, slot)| leg.is_none() || slot.leg.as_ref() == leg)
            .flat_map(|(number, slot)| std::iter::once(number).chain(slot.desks.iter().copied()))
            .collect()
    }

    /// Delivery closes each position at the price, and the underlying changes hands at it.
    fn deliver(
        &mut self,
        when: (u64, Timestamp),
        reached: &[u32],
        price: Amount,
        into: &Instrument,
    ) -> Result<(), AppendError> {
        for from in reached.iter().copied() {
            let Some(slot) = self.slot(from) else { continue };
            let (pair, desk, main) = (slot.pair, slot.desk.clone(), slot.main);
            let Some(account) = self.pair(pair).map(|pair| pair.account.clone()) else { continue };
            let underlying = self.slot_for(&account, into, None)?;
            let to = if main.is_some() { self.share_for(underlying, &desk) } else { None };
            let to = to.unwrap_or(underlying);
            self.do_deed(when, &[from, to], What::Deliver { from, to, price })?;
        }
        Ok(())
    }

    pub(crate) fn move_position(
        &mut self,
        sequence: u64,
        entry: &Entry,
        moved: &Move,
    ) -> Result<(), AppendError> {
        let terms = self.find_instrument(&moved.instrument)?.clone();
        let quantity = moved.quantity;
        Invalid::unless_positive("quantity", quantity)?;
        if moved.to == entry.account {
            return Err(Invalid::new("to", &moved.to, "be another account").into());
        }
        let leg = moved.leg.as_ref();
        let from = self.slot_for(&entry.account, &terms, leg)?;
        let to = self.slot_for(&moved.to, &terms, leg)?;
        let desk = desk_of(entry);
        let shares = self.share_for(from, &desk).zip(self.share_for(to, &desk));
        for (from, to) in [Some((from, to)), shares].into_iter().flatten() {
            let what = What::Move { from, to, quantity };
            self.do_deed((sequence, entry.at), &[from, to], what)?;
        }
        Ok(())
    }

    pub(crate) fn repair(
        &mut self,
        sequence: u64,
        entry: &Entry,
        repair: &Repair,
    ) -> Result<(), AppendError> {
        let terms = self.find_instrument(&repair.instrument)?.clone();
        Invalid::unless_not_zero("change", repair.change)?;
        terms.check_price("price", repair.price)?;
        let slot = self.slot_for(&entry.account, &terms, repair.leg.as_ref())?;
        let slots = self.with_share(slot, &desk_of(entry));
        self.do_deed((sequence, entry.at), &slots, What::Adjust(repair.change, repair.price))
    }

    pub(crate) fn open_position(
        &mut self,
        sequence: u64,
        entry: &Entry,
        opening: &Opening,
    ) -> Result<(), AppendError> {
        let terms = self.find_instrument(&opening.instrument)?.clone();
        Invalid::unless_not_zero("quantity", opening.quantity)?;
        terms.check_cost(opening.cost)?;
        let slot = self.slot_for(&entry.account, &terms, opening.leg.as_ref())?;
        let slots = self.with_share(slot, &desk_of(entry));
        self.do_deed((sequence, entry.at), &slots, What::Open(opening.quantity, opening.cost))
    }

    fn with_share(&mut self, slot: u32, desk: &Desk) -> Vec<u32> {
        let share = self.share_for(slot, desk);
        [Some(slot), share].into_iter().flatten().collect()
    }

    /// Keeps a deed, and books it on the positions it concerns: at their end, or where it belongs by time.
    pub(crate) fn do_deed(
        &mut self,
        (sequence, at): (u64, Timestamp),
        slots: &[u32],
        what: What,
    ) -> Result<(), AppendError> {
        let number = u32::try_from(self.deeds.len()).map_err(|_full| AppendError::Full)?;
        let links = matches!(what, What::Move { .. } | What::Deliver { .. });
        self.deeds.push(Deed { sequence, at, what });
        self.trail.rest.push(Undo::DeedAdded);
        let instruments = Arc::clone(&self.instruments);
        let mut in_order = true;
        for slot in slots.iter().copied() {
            let pair = self.slot(slot).and_then(|slot| self.pair(slot.pair));
            let terms = pair.and_then(|pair| instruments.at(pair.instrument));
            let Some(terms) = terms else { continue };
            in_order &= self.add_op(slot, Op::Deed(number), terms, (sequence, at));
            if links {
                self.link(slot);
            }
        }
        if in_order {
            let states = slots.iter().copied();
            let mut states: Vec<_> = states
                .filter_map(|number| Some((number, self.slot(number)?.state.clone())))
                .collect();
            for slot in slots.iter().copied() {
                self.run(&mut states, slot, Op::Deed(number), &mut |_| ())?;
            }
            return self.install(states);
        }
        slots.iter().copied().try_for_each(|slot| self.rederive(slot))
    }

    fn link(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(index(number))
            && !slot.is_linked
        {
            slot.is_linked = true;
            self.trail.rest.push(Undo::Linked(number));
        }
    }

    /// Adds funding to a position or share.
    pub(crate) fn fund(&mut self, number: u32, amount: Amount) -> Result<(), AppendError> {
        if let Some(slot) = self.slots.get_mut(index(number)) {
            let sum = slot.funding.checked_add(amount).map_err(crate::state::of("funding"))?;
            let before = std::mem::replace(&mut slot.funding, sum);
            self.trail.rest.push(Undo::Funding(number, before));
        }
        Ok(())
    }
}

fn check_act(terms: &Instrument, act: &Act) -> Result<(), Invalid> {
    match act {
        Act::Settlement { price } => terms.check_price("price", *price),
        Act::Delivery { price, into } => {
            if into == terms.id() || terms.contract() == Contract::Spot {
                return Err(Invalid::new("into", into, "be what a contract delivers"));
            }
            terms.check_price("price", *price)
        }
        Act::Dividend { .. } => Ok(()),
        Act::Split(Split { new, old, in_lieu }) => {
            Invalid::unless_positive("new", *new)?;
            Invalid::unless_positive("old", *old)?;
            if let Some(in_lieu) = in_lieu {
                Invalid::unless_positive("whole", in_lieu.whole)?;
                terms.check_price("cash_in_lieu_price", in_lieu.price)?;
            }
            Ok(())
        }
    }
}
