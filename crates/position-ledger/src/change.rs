//! Changes of the books, each of which can be taken back.
//!
//! Applying a change gives its inverse.
//! A group that fails half-way, or that the journal refuses, is undone by applying the inverses in reverse order.
//! A single entry needs no inverses: it is applied when nothing can fail any more.

use uuid::Uuid;

use crate::amount::Amount;
use crate::archive::{Booking, Place};
use crate::books::{BalanceSlot, Books, PositionSlot};
use crate::entry::{Entry, Fact};
use crate::instrument::Instrument;
use crate::money::{Adjustment, Balance};
use crate::name::{Account, Currency};
use crate::order::{Order, Status};
use crate::position::Holding;

/// One change; slots are added and removed only at the end of their list.
#[derive(Debug)]
pub(crate) enum Change {
    AddBalance(Account, Currency),
    DropBalance,
    Balance(usize, Balance),
    AddPosition(Box<(Account, Instrument)>),
    DropPosition,
    Holding(usize, Holding),
    AddFee(usize, Currency),
    DropFee(usize),
    Fee(usize, usize, Amount),
    Order(Uuid, Option<Box<Order>>),
    /// The order has been filled up to this quantity.
    OrderFilled(Uuid, Amount),
    /// The fill of the entry itself, with what it closed and realized.
    AddFill {
        position: usize,
        closed: Amount,
        realized: Amount,
    },
    DropFill(Place),
    AddAdjustment(Box<Adjustment>),
    DropAdjustment,
    Note(Uuid, Option<Box<(Account, Fact)>>),
}

impl Books {
    /// Applies the changes that `entry` makes as number `sequence`, and gives what takes them back to `undo`.
    pub(crate) fn apply(
        &mut self,
        (sequence, entry): (u64, &Entry),
        changes: &mut Vec<Change>,
        mut undo: Option<&mut Vec<Change>>,
    ) {
        for change in changes.drain(..) {
            match (change, undo.as_deref_mut()) {
                (Change::AddFill { position, closed, realized }, undo) => {
                    let kept = self.keep_fill((sequence, entry), position, (closed, realized));
                    undo.into_iter().zip(kept).for_each(|(undo, kept)| undo.push(kept));
                }
                // What every fill does is done in place, unless it may have to be taken back: making the inverses, and
                // moving them about, would cost more than the changes.
                (Change::Holding(number, holding), None) => self.set_holding(number, holding),
                (Change::Balance(number, balance), None) => self.set_balance(number, balance),
                (Change::OrderFilled(order_id, filled), None) => self.fill_order(order_id, filled),
                (change, None) => drop(self.apply_one(change)),
                (change, Some(undo)) => undo.extend(self.apply_one(change)),
            }
        }
    }

    fn set_holding(&mut self, number: usize, holding: Holding) {
        if let Some(slot) = self.positions.get_mut(number) {
            slot.holding = holding;
        }
    }

    fn set_balance(&mut self, number: usize, balance: Balance) {
        if let Some(slot) = self.balances.get_mut(number) {
            slot.balance = balance;
        }
    }

    /// Takes back what [`Books::apply`] gave.
    pub(crate) fn take_back(&mut self, undo: Vec<Change>) {
        for change in undo.into_iter().rev() {
            // What would take this back again is of no use.
            drop(self.apply_one(change));
        }
    }

    fn keep_fill(
        &mut self,
        (sequence, entry): (u64, &Entry),
        position: usize,
        (closed, realized): (Amount, Amount),
    ) -> Option<Change> {
        let Fact::Filled(fill) = &entry.fact else { return None };
        let settlement = self.positions.get(position)?.instrument.quote();
        let booking = Booking { position, sequence, at: entry.at, settlement, closed, realized };
        self.fills.push(&booking, fill).map(Change::DropFill)
    }

    fn fill_order(&mut self, order_id: Uuid, filled: Amount) {
        if let Some(order) = self.orders.get_mut(&order_id) {
            order.fill(filled);
            if order.status().is_open() {
                self.open.insert(order_id);
            } else {
                self.open.remove(&order_id);
            }
        }
    }

    /// `None` only for a slot that does not exist, which the posting of an entry never names.
    fn apply_one(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::Balance(number, balance) => {
                let held = &mut self.balances.get_mut(number)?.balance;
                Some(Change::Balance(number, std::mem::replace(held, balance)))
            }
            Change::Holding(number, holding) => {
                let held = &mut self.positions.get_mut(number)?.holding;
                Some(Change::Holding(number, std::mem::replace(held, holding)))
            }
            Change::Fee(number, place, fee) => {
                let (_, held) = self.positions.get_mut(number)?.fees.get_mut(place)?;
                Some(Change::Fee(number, place, std::mem::replace(held, fee)))
            }
            Change::AddFee(number, currency) => {
                self.positions.get_mut(number)?.fees.push((currency, Amount::ZERO));
                Some(Change::DropFee(number))
            }
            Change::DropFee(number) => {
                let (currency, _) = self.positions.get_mut(number)?.fees.pop()?;
                Some(Change::AddFee(number, currency))
            }
            Change::Order(order_id, order) => Some(self.swap_order(order_id, order)),
            Change::OrderFilled(order_id, filled) => {
                let before = self.orders.get(&order_id)?.clone();
                self.fill_order(order_id, filled);
                Some(Change::Order(order_id, Some(Box::new(before))))
            }
            // A fill is kept by `apply`, which knows its entry; once taken back it does not return.
            Change::AddFill { .. } => None,
            Change::DropFill(place) => {
                self.fills.pop(place);
                None
            }
            Change::AddAdjustment(adjustment) => {
                self.adjustments.push(*adjustment);
                Some(Change::DropAdjustment)
            }
            Change::DropAdjustment => {
                self.adjustments.pop().map(Box::new).map(Change::AddAdjustment)
            }
            Change::Note(id, note) => {
                let held = match note {
                    Some(note) => self.noted.insert(id, *note),
                    None => self.noted.remove(&id),
                };
                Some(Change::Note(id, held.map(Box::new)))
            }
            Change::AddBalance(..)
            | Change::DropBalance
            | Change::AddPosition(_)
            | Change::DropPosition => self.change_slots(change),
        }
    }

    fn change_slots(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::AddBalance(account, currency) => {
                self.balance_slots.insert((account.clone(), currency.clone()), self.balances.len());
                self.balances.push(BalanceSlot { account, currency, balance: Balance::default() });
                Some(Change::DropBalance)
            }
            Change::DropBalance => {
                let slot = self.balances.pop()?;
                let names = (slot.account, slot.currency);
                self.balance_slots.remove(&names);
                Some(Change::AddBalance(names.0, names.1))
            }
            Change::AddPosition(names) => {
                let (account, instrument) = *names;
                let names = (account.clone(), instrument.id().clone());
                self.position_slots.insert(names, self.positions.len());
                let (holding, fees) = (Holding::default(), Vec::new());
                self.positions.push(PositionSlot { account, instrument, holding, fees });
                Some(Change::DropPosition)
            }
            Change::DropPosition => {
                let slot = self.positions.pop()?;
                let names = (slot.account, slot.instrument.id().clone());
                self.position_slots.remove(&names);
                Some(Change::AddPosition(Box::new((names.0, slot.instrument))))
            }
            _ => None,
        }
    }

    fn swap_order(&mut self, order_id: Uuid, order: Option<Box<Order>>) -> Change {
        if order.as_ref().is_some_and(|order| Status::is_open(order.status())) {
            self.open.insert(order_id);
        } else {
            self.open.remove(&order_id);
        }
        let held = match order {
            Some(order) => self.orders.insert(order_id, *order),
            None => self.orders.remove(&order_id),
        };
        Change::Order(order_id, held.map(Box::new))
    }
}
