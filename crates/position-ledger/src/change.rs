//! Changes of the books, each of which can be taken back.
//!
//! Applying a change gives its inverse.
//! A group that fails half-way, or that the journal refuses, is undone by applying the inverses in reverse order.

use std::collections::HashMap;

use uuid::Uuid;

use crate::amount::Amount;
use crate::books::{BalanceSlot, Books, PositionSlot};
use crate::entry::Fact;
use crate::fill::Booked;
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
    AddFill(usize, Box<Booked>),
    DropFill(usize),
    AddAdjustment(Box<Adjustment>),
    DropAdjustment,
    Note(Uuid, Option<Box<(Account, Fact)>>),
}

impl Books {
    /// Applies changes in order and gives what takes them back, in order.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let mut inverse: Vec<_> =
            changes.into_iter().filter_map(|change| self.apply_one(change)).collect();
        inverse.reverse();
        inverse
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
            Change::AddFill(number, booked) => {
                let place = self.fills.len();
                self.positions.get_mut(number)?.trades.insert(booked.fill.trade_id.clone(), place);
                self.fills.push(*booked);
                Some(Change::DropFill(number))
            }
            Change::DropFill(number) => {
                let booked = self.fills.pop()?;
                self.positions.get_mut(number)?.trades.remove(&booked.fill.trade_id);
                Some(Change::AddFill(number, Box::new(booked)))
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
                let slots = self.balance_slots.entry(account.clone()).or_default();
                slots.insert(currency.clone(), self.balances.len());
                self.balances.push(BalanceSlot { account, currency, balance: Balance::default() });
                Some(Change::DropBalance)
            }
            Change::DropBalance => {
                let slot = self.balances.pop()?;
                remove(&mut self.balance_slots, &slot.account, &slot.currency);
                Some(Change::AddBalance(slot.account, slot.currency))
            }
            Change::AddPosition(names) => {
                let (account, instrument) = *names;
                let slots = self.position_slots.entry(account.clone()).or_default();
                slots.insert(instrument.id().clone(), self.positions.len());
                let (holding, fees, trades) = (Holding::default(), Vec::new(), HashMap::new());
                self.positions.push(PositionSlot { account, instrument, holding, fees, trades });
                Some(Change::DropPosition)
            }
            Change::DropPosition => {
                let slot = self.positions.pop()?;
                remove(&mut self.position_slots, &slot.account, slot.instrument.id());
                Some(Change::AddPosition(Box::new((slot.account, slot.instrument))))
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

/// Removes a name of two parts, and the first part with its last second one.
fn remove<K: Eq + std::hash::Hash>(
    slots: &mut HashMap<Account, HashMap<K, usize>>,
    account: &Account,
    name: &K,
) {
    if let Some(names) = slots.get_mut(account) {
        names.remove(name);
        if names.is_empty() {
            slots.remove(account);
        }
    }
}
