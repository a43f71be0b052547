//! What takes an entry back: figures as they were before, in the order in which they were changed.
//!
//! An entry is booked figure by figure, and each first leaves here what it was.
//! If a later figure leaves its range, or the journal refuses the entry, all of it is put back, last first.
//! What was undone is bit by bit what it was: the cost is that of the entries, not of the books.

use uuid::Uuid;

use crate::action::Subject;
use crate::amount::Amount;
use crate::archive::Place;
use crate::books::Books;
use crate::lots::LotUndo;
use crate::money::Part;
use crate::name::{Account, TradeId};
use crate::order::Order;
use crate::slots::{Amended, Hints, Isolation, NoteKey, Slot, Track};
use crate::state::{Holding, State};

/// The undoing of one step; slots are added and removed only at the end of their list.
#[derive(Debug)]
pub(crate) enum Undo {
    PairAdded,
    SlotAdded,
    BalanceAdded,
    DeedAdded,
    ToldAdded,
    /// An operation at a place in the history of a slot.
    OpAdded(u32, usize),
    FeeAdded(u32),
    Lot(u32, LotUndo),
    State(u32, Box<State>),
    Track(u32, Track),
    Funding(u32, Amount),
    Linked(u32),
    /// A slot has learnt the number of a balance.
    Hinted(u32),
    Filled(Uuid, Amount),
    Order(Uuid, Option<Box<Order>>),
    Amended(Place, Option<Box<Amended>>),
    /// A bust that waits for its fill: its quantity, or none for the whole fill.
    Waiting(Box<(WaitingKey, Option<Bust>)>),
    Noted(Box<NoteKey>),
    AdjustmentAdded,
    Isolated(Box<(IsolationKey, Option<Isolation>)>),
}

/// How much of a fill is void: none for all of it.
pub(crate) type Bust = Option<Amount>;

/// The position and the trade that a bust names.
pub(crate) type WaitingKey = (u32, TradeId);

/// The account, for an isolated account, and what is isolated.
pub(crate) type IsolationKey = (Option<Account>, Subject);

/// A slot before a fill was booked at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Booked {
    slot: u32,
    holding: Holding,
    trades: u64,
    track: Track,
    /// The fee that it changed, by its place, and what that was.
    fee: Option<(usize, Amount)>,
}

impl Booked {
    #[inline]
    pub(crate) const fn before(number: u32, slot: &Slot) -> Self {
        let (holding, trades) = (slot.state.holding, slot.state.trades);
        Self { slot: number, holding, trades, track: slot.track, fee: None }
    }

    pub(crate) const fn holding(&self) -> &Holding {
        &self.holding
    }
}

/// Everything that takes back what was booked since it was last cleared.
///
/// What almost every entry needs is kept apart, in forms that cost nothing to make and to forget.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    pub(crate) fills: Vec<Place>,
    pub(crate) booked: Vec<Booked>,
    /// What was added to parts of balances.
    pub(crate) money: Vec<(u32, Part, Amount)>,
    /// Everything else, and how many slots were booked before it.
    rest: Vec<(usize, Undo)>,
}

impl Trail {
    pub(crate) fn push(&mut self, undo: Undo) {
        self.rest.push((self.booked.len(), undo));
    }

    /// Keeps a fee of the slot that was booked last.
    #[inline]
    pub(crate) fn keep_fee(&mut self, place: usize, before: Amount) {
        if let Some(booked) = self.booked.last_mut() {
            booked.fee = Some((place, before));
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.fills.clear();
        self.booked.clear();
        self.money.clear();
        self.rest.clear();
    }
}

impl Books {
    /// Keeps everything booked since the last time.
    #[inline]
    pub(crate) fn commit(&mut self) {
        self.trail.clear();
    }

    /// Takes back everything booked since the last time.
    pub(crate) fn take_back(&mut self) {
        let mut trail = std::mem::take(&mut self.trail);
        for (number, part, amount) in trail.money.drain(..).rev() {
            if let Some(slot) = self.balances.get_mut(index(number)) {
                let undone = slot.balance.add(part, amount.negated());
                debug_assert_eq!(undone, Ok(()), "what it was before was in range");
            }
        }
        for (booked, undo) in trail.rest.drain(..).rev() {
            trail.booked.drain(booked..).rev().for_each(|booked| self.unbook(&booked));
            self.undo(undo);
        }
        trail.booked.drain(..).rev().for_each(|booked| self.unbook(&booked));
        // Rows go last: what is said of a fill is put back before, and goes with it.
        for place in trail.fills.drain(..).rev() {
            self.fills.pop(place);
            drop((self.choices.remove(&place), self.amended.remove(&place)));
        }
        // Given back for its room.
        self.trail = trail;
    }

    fn unbook(&mut self, booked: &Booked) {
        let Some(slot) = self.slots.get_mut(index(booked.slot)) else { return };
        (slot.state.holding, slot.state.trades) = (booked.holding, booked.trades);
        slot.track = booked.track;
        slot.ops.pop();
        if let Some((place, before)) = booked.fee
            && let Some((_, fee)) = slot.state.fees.get_mut(place)
        {
            *fee = before;
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::DeedAdded => drop(self.deeds.pop()),
            Undo::ToldAdded => drop(self.told.pop()),
            Undo::Filled(order_id, before) => self.set_filled(order_id, before),
            Undo::Order(order_id, before) => self.put_order(order_id, before),
            Undo::Amended(place, before) => {
                match before {
                    Some(before) => self.amended.insert(place, *before),
                    None => self.amended.remove(&place),
                };
            }
            Undo::Waiting(waiting) => {
                let (key, before) = *waiting;
                match before {
                    Some(before) => self.waiting.insert(key, before),
                    None => self.waiting.remove(&key),
                };
            }
            Undo::Noted(key) => drop(self.noted.remove(&*key)),
            Undo::AdjustmentAdded => drop(self.adjustments.pop()),
            Undo::Isolated(isolated) => {
                let (key, before) = *isolated;
                drop(match before {
                    Some(before) => self.isolated.insert(key, before),
                    None => self.isolated.remove(&key),
                });
            }
            Undo::PairAdded | Undo::SlotAdded | Undo::BalanceAdded => self.drop_last(&undo),
            // A slot that is not there was taken back already.
            _ => drop(self.undo_slot(undo)),
        }
    }

    fn undo_slot(&mut self, undo: Undo) -> Option<()> {
        match undo {
            Undo::OpAdded(slot, place) => {
                self.slots.get_mut(index(slot))?.ops.remove(place);
            }
            Undo::FeeAdded(slot) => {
                drop(self.slots.get_mut(index(slot))?.state.fees.pop());
            }
            Undo::Lot(slot, lot) => self.slots.get_mut(index(slot))?.state.lots.restore(lot),
            Undo::State(slot, state) => self.slots.get_mut(index(slot))?.state = *state,
            Undo::Track(slot, track) => self.slots.get_mut(index(slot))?.track = track,
            Undo::Funding(slot, before) => self.slots.get_mut(index(slot))?.funding = before,
            Undo::Hinted(slot) => self.slots.get_mut(index(slot))?.hints = Hints::default(),
            Undo::Linked(slot) => self.slots.get_mut(index(slot))?.is_linked = false,
            _ => {}
        }
        Some(())
    }

    fn drop_last(&mut self, undo: &Undo) {
        match undo {
            Undo::PairAdded => {
                self.pairs.pop();
            }
            Undo::SlotAdded => {
                let Some(slot) = self.slots.pop() else { return };
                if let Some(main) = slot.main {
                    self.slots.get_mut(index(main)).and_then(|main| main.desks.pop());
                } else if let Some(pair) = self.pairs.at_mut(slot.pair) {
                    pair.legs.pop();
                }
            }
            _ => {
                if let Some(slot) = self.balances.pop() {
                    self.balance_numbers.remove(&(slot.account, slot.currency));
                }
            }
        }
    }
}

/// Numbers of slots are small; on every platform they fit.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
