//! Deeds: what changes positions besides fills.
//!
//! Each is kept and stands in the history of every position it concerns, so that a position can be derived again.

use backstop_clock::Timestamp;

use crate::action::{Act, Action, Move, Opening, Reach, Repair, Split};
use crate::amount::Amount;
use crate::books::Books;
use crate::change::{Undo, index};
use crate::entry::Entry;
use crate::error::{AppendError, Invalid};
use crate::instrument::Instrument;
use crate::name::{Account, LegId};
use crate::places::check_leg;
use crate::posting::desk_of;
use crate::rules::{Contract, Mode, Sequencing};
use crate::slots::{Deed, Desk, Op, Told, What};

impl Books {
    /// Books an action on every position it reaches, and on all shares in them.
    pub(crate) fn act(
        &mut self,
        sequence: u64,
        entry: &Entry,
        action: &Action,
    ) -> Result<(), AppendError> {
        let terms = self.find_instrument(&action.instrument)?.clone();
        self.check_act(&terms, action)?;
        let account = match action.reach {
            Reach::Account => Some(&entry.account),
            Reach::Everyone => None,
        };
        let reached = self.reached(&terms, account, action.leg.as_ref());
        let when = (sequence, entry.at);
        if terms.sequencing() == Sequencing::EventTime {
            let deed = u32::try_from(self.deeds.len()).map_err(|_full| AppendError::Full)?;
            let (account, action) = (account.cloned(), action.clone());
            self.told.push(Told { sequence, at: entry.at, account, action, deed });
            self.trail.push(Undo::ToldAdded);
        }
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

    /// Puts into the history of a new position or share what happened to its instrument before anybody knew of it.
    ///
    /// Nothing was held then; but where event time decides, what comes late may come before it.
    pub(crate) fn catch_up_on_actions(&mut self, number: u32) -> Result<(), AppendError> {
        if self.told.is_empty() {
            return Ok(());
        }
        let Some((slot, pair)) =
            self.slot(number).and_then(|slot| Some((slot, self.pair(slot.pair)?)))
        else {
            return Ok(());
        };
        let concerns = |told: &&Told| {
            told.action.instrument == pair.id
                && told.account.as_ref().is_none_or(|account| *account == pair.account)
                && (told.action.leg.is_none() || told.action.leg == slot.leg)
        };
        let all: Vec<_> = self.told.iter().filter(concerns).cloned().collect();
        let instrument = pair.instrument;
        for Told { sequence, at, action, deed, .. } in all {
            if let Act::Delivery { price, into } = &action.act {
                let into = self.find_instrument(into)?.clone();
                self.deliver((sequence, at), &[number], *price, &into)?;
                continue;
            }
            self.add_op(number, Op::Deed(deed), instrument, (sequence, at));
            if self.deeds.get(index(deed)).is_some_and(|deed| deed.what.is_tie()) {
                self.link(number);
            }
        }
        Ok(())
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
        let legs = pairs.flat_map(|pair| pair.legs.iter().map(|number| (&pair.account, number)));
        let slots =
            legs.filter_map(|(account, number)| Some((account, number, self.slot(number)?)));
        let mut slots: Vec<_> =
            slots.filter(|(.., slot)| leg.is_none() || slot.leg.as_ref() == leg).collect();
        // By name: which of them was booked on first has no say.
        slots.sort_by_key(|(account, _, slot)| (*account, &slot.leg));
        let slots = slots.into_iter();
        slots
            .flat_map(|(_, number, slot)| std::iter::once(number).chain(slot.desks.iter().copied()))
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
            let to = if main.is_some() { self.share_for(underlying, &desk)? } else { None };
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
        let shares = self.share_for(from, &desk)?.zip(self.share_for(to, &desk)?);
        let slots = [Some((from, to)), shares].into_iter().flatten();
        let slots: Vec<_> = slots.flat_map(|(from, to)| [from, to]).collect();
        let what = What::Move { from, to, shares, quantity };
        self.do_deed((sequence, entry.at), &slots, what)
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
        let slots = self.with_share(slot, &desk_of(entry))?;
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
        let slots = self.with_share(slot, &desk_of(entry))?;
        self.do_deed((sequence, entry.at), &slots, What::Open(opening.quantity, opening.cost))
    }

    fn with_share(&mut self, slot: u32, desk: &Desk) -> Result<Vec<u32>, AppendError> {
        let share = self.share_for(slot, desk)?;
        Ok([Some(slot), share].into_iter().flatten().collect())
    }

    /// Keeps a deed, and books it on the positions it concerns: at their end, or where it belongs by time.
    pub(crate) fn do_deed(
        &mut self,
        (sequence, at): (u64, Timestamp),
        slots: &[u32],
        what: What,
    ) -> Result<(), AppendError> {
        let number = u32::try_from(self.deeds.len()).map_err(|_full| AppendError::Full)?;
        let links = what.is_tie();
        self.deeds.push(Deed { sequence, at, what });
        self.trail.push(Undo::DeedAdded);
        let mut in_order = true;
        for slot in slots.iter().copied() {
            let pair = self.slot(slot).and_then(|slot| self.pair(slot.pair));
            let Some(instrument) = pair.map(|pair| pair.instrument) else { continue };
            in_order &= self.add_op(slot, Op::Deed(number), instrument, (sequence, at));
            if links {
                self.link(slot);
            }
        }
        let mut slots = slots.iter().copied();
        if in_order {
            slots.try_for_each(|slot| self.run_at_end(slot, Op::Deed(number)))
        } else {
            self.rederive(slots)
        }
    }

    /// Runs an operation on its slot and on those that it ties to it; on them alone, since it may concern very many.
    fn run_at_end(&mut self, slot: u32, op: Op) -> Result<(), AppendError> {
        let ends = self.ends_of(op, slot);
        if ends.first() != Some(&slot) {
            return Ok(());
        }
        let states =
            ends.iter().filter_map(|number| Some((*number, self.slot(*number)?.state.clone())));
        let mut states: Vec<_> = states.collect();
        self.run(&mut states, slot, op, &mut |_| ())?;
        self.install(states)
    }

    fn link(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(index(number))
            && !slot.is_linked
        {
            slot.is_linked = true;
            self.trail.push(Undo::Linked(number));
        }
    }

    /// Adds funding to a position or share.
    pub(crate) fn fund(&mut self, number: u32, amount: Amount) -> Result<(), AppendError> {
        if let Some(slot) = self.slots.get_mut(index(number)) {
            let sum = slot.funding.checked_add(amount).map_err(crate::state::of("funding"))?;
            let before = std::mem::replace(&mut slot.funding, sum);
            self.trail.push(Undo::Funding(number, before));
        }
        Ok(())
    }
}

impl Books {
    fn check_act(&self, terms: &Instrument, action: &Action) -> Result<(), AppendError> {
        if action.leg.is_some() {
            check_leg(terms, action.leg.as_ref())?;
        }
        match &action.act {
            Act::Settlement { price } => terms.check_price("price", *price)?,
            Act::Delivery { price, into } => {
                let into = self.find_instrument(into)?;
                check_delivery(terms, into)?;
                terms.check_price("price", *price)?;
            }
            Act::Dividend { .. } => {}
            Act::Split(Split { new, old, in_lieu }) => {
                Invalid::unless_positive("new", *new)?;
                Invalid::unless_positive("old", *old)?;
                if let Some(in_lieu) = in_lieu {
                    Invalid::unless_positive("whole", in_lieu.whole)?;
                    terms.check_price("cash_in_lieu_price", in_lieu.price)?;
                }
            }
        }
        Ok(())
    }
}

/// A linear contract delivers units of a spot pair that is priced in the currency it settles in.
fn check_delivery(terms: &Instrument, into: &Instrument) -> Result<(), Invalid> {
    if terms.contract() != Contract::Linear {
        return Err(Invalid::new("instrument", terms.id(), "be a linear contract to be delivered"));
    }
    let is_underlying = terms.base().is_none_or(|base| into.base() == Some(base));
    let rule = if into.contract() != Contract::Spot {
        "be a spot pair"
    } else if into.quote() != terms.settlement() || !is_underlying {
        "be priced in what the contract settles in, and be of what it is on"
    } else if into.mode() == Mode::Hedging {
        "be netted, since a delivery names no leg"
    } else if into.sequencing() != terms.sequencing() {
        "count in the same order as the contract"
    } else {
        return Ok(());
    };
    Err(Invalid::new("into", into.id(), rule))
}
