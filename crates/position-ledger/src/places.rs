//! Where things are booked: the position of an account, its legs, and the shares of desks in it.

use crate::amount::Amount;
use crate::books::Books;
use crate::change::{Undo, index};
use crate::error::{AppendError, Invalid};
use crate::instrument::Instrument;
use crate::name::{Account, InstrumentId, LegId};
use crate::pairs::{Legs, Pair};
use crate::rules::Mode;
use crate::slots::{Desk, Hints, Ops, Slot, Track};
use crate::state::State;

impl Books {
    /// The number of an account with an instrument, made if there is none.
    pub(crate) fn pair_for(
        &mut self,
        account: &Account,
        id: &InstrumentId,
    ) -> Result<u32, AppendError> {
        if let Some(pair) = self.pair_number(account, id) {
            return Ok(pair);
        }
        let number = self.instruments.number(id);
        let number = number.ok_or_else(|| AppendError::UnknownInstrument(id.clone()))?;
        Ok(self.add_pair(account, id, number))
    }

    pub(crate) fn add_pair(
        &mut self,
        account: &Account,
        id: &InstrumentId,
        instrument: u32,
    ) -> u32 {
        self.trail.push(Undo::PairAdded);
        let (account, id) = (account.clone(), id.clone());
        self.pairs.push(Pair { account, id, instrument, legs: Legs::default() })
    }

    /// The position of an account in an instrument, made if there is none.
    pub(crate) fn slot_for(
        &mut self,
        account: &Account,
        terms: &Instrument,
        leg: Option<&LegId>,
    ) -> Result<u32, AppendError> {
        check_leg(terms, leg)?;
        let pair = self.pair_for(account, terms.id())?;
        self.slot_at(pair, leg)
    }

    /// The position of a leg that was checked with the entry.
    #[inline]
    pub(crate) fn slot_at(&mut self, pair: u32, leg: Option<&LegId>) -> Result<u32, AppendError> {
        // Without a leg it is netted, and then it is the only one.
        let found = match leg {
            None => self.pair(pair).and_then(|pair| pair.legs.first()),
            Some(_) => self.leg_number(pair, leg),
        };
        found.map_or_else(|| self.begin_slot(pair, leg), Ok)
    }

    fn begin_slot(&mut self, pair: u32, leg: Option<&LegId>) -> Result<u32, AppendError> {
        let number = self.add_slot(pair, leg.cloned(), None, Desk::default());
        if let Some(pair) = self.pairs.at_mut(pair) {
            pair.legs.push(number);
        }
        self.catch_up_on_actions(number)?;
        Ok(number)
    }

    /// A desk's share of a position, made if there is none; none for nobody.
    pub(crate) fn share_for(&mut self, main: u32, desk: &Desk) -> Result<Option<u32>, AppendError> {
        let Some(slot) = self.slot(main).filter(|_| !desk.is_none()) else { return Ok(None) };
        let held = slot.desks.iter().copied();
        let found = held
            .into_iter()
            .find(|number| self.slot(*number).is_some_and(|share| share.desk == *desk));
        if found.is_some() {
            return Ok(found);
        }
        let (pair, leg) = (slot.pair, slot.leg.clone());
        let number = self.add_slot(pair, leg, Some(main), desk.clone());
        if let Some(slot) = self.slots.get_mut(index(main)) {
            slot.desks.push(number);
        }
        self.catch_up_on_actions(number)?;
        Ok(Some(number))
    }

    fn add_slot(&mut self, pair: u32, leg: Option<LegId>, main: Option<u32>, desk: Desk) -> u32 {
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot {
            pair,
            leg,
            main,
            desk,
            state: State::default(),
            funding: Amount::ZERO,
            ops: Ops::default(),
            track: Track::default(),
            is_linked: false,
            desks: Vec::new(),
            hints: Hints::default(),
        });
        self.trail.push(Undo::SlotAdded);
        number
    }
}

/// A leg is named exactly where positions are hedged.
#[inline]
pub(crate) fn check_leg(terms: &Instrument, leg: Option<&LegId>) -> Result<(), Invalid> {
    match (terms.mode(), leg) {
        (Mode::Hedging, None) => Err(Invalid::new("leg", "-", "be named for a hedged position")),
        (Mode::Netting, Some(leg)) => {
            Err(Invalid::new("leg", leg, "be named only for a hedged position"))
        }
        _ => Ok(()),
    }
}
