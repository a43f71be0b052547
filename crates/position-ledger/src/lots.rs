//! Lots: parts of a position, each with its own cost, in the order in which they will be taken.

use std::collections::VecDeque;

use backstop_clock::Timestamp;
use ethnum::I256;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::change::Undo;
use crate::error::{AmountError, AppendError};
use crate::fill::LotChoice;
use crate::name::TradeId;
use crate::rules::Method;
use crate::state::{Sink, of};
use crate::wide;

/// A part of a position that was opened at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The entry that opened it; a transfer keeps it.
    pub sequence: u64,
    /// When it was opened; a transfer keeps it.
    pub at: Timestamp,
    /// The fill that opened it, if one did.
    pub trade_id: Option<TradeId>,
    /// How much of it is left, without a sign for the side.
    pub quantity: Amount,
    /// What that cost.
    pub cost: Amount,
    /// The price it was opened at, in today's units; ranks lots, and survives partial closes.
    pub price: Amount,
    /// What makes it older or younger: its place in the journal, or its time where that decides.
    pub(crate) age: (Timestamp, u64),
}

/// Parts of a whole, scaled by one ratio, so that together they are the whole scaled by it.
///
/// Their sums are rounded, and each part is the difference of two sums: none is off by more than a unit, or of the other
/// sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    ratio: (Amount, Amount),
    sum: Amount,
    scaled: Amount,
}

impl Parts {
    /// Parts that are scaled by `numerator / denominator`.
    pub(crate) const fn of(ratio: (Amount, Amount)) -> Self {
        Self { ratio, sum: Amount::ZERO, scaled: Amount::ZERO }
    }

    /// What the next part is, scaled.
    pub(crate) fn next(&mut self, part: Amount) -> Result<Amount, AmountError> {
        if part.is_zero() {
            return Ok(part);
        }
        self.sum = self.sum.checked_add(part)?;
        let before =
            std::mem::replace(&mut self.scaled, self.sum.mul_div(self.ratio.0, self.ratio.1)?);
        self.scaled.checked_sub(before)
    }
}

/// The open lots of one position.
///
/// By age, or by price where the worst is taken first: then the next one is at the back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lots {
    lots: VecDeque<Lot>,
}

impl Lots {
    /// The open lots, oldest first.
    pub(crate) fn oldest_first(&self, method: Method) -> Vec<&Lot> {
        let mut lots: Vec<_> = self.lots.iter().collect();
        if method == Method::Hifo {
            // Where the next one is at the back, of two alike the one that came first is too.
            lots.reverse();
        }
        // Stable: parts of one lot keep the order in which they came.
        lots.sort_by_key(|lot| lot.age);
        lots
    }

    /// Total quantity and cost.
    pub(crate) fn sums(&self) -> (I256, I256) {
        let lots = self.lots.iter();
        (wide::sum(lots.clone().map(|lot| lot.quantity)), wide::sum(lots.map(|lot| lot.cost)))
    }

    /// Puts a lot where its turn will be.
    pub(crate) fn add(&mut self, (method, long): (Method, bool), lot: Lot, sink: &mut Sink<'_>) {
        let is_before = |held: &Lot| match method {
            // The dearest long, or the cheapest short, has to be at the back, and the oldest of a tie behind the others.
            Method::Hifo if held.price != lot.price => (held.price < lot.price) == long,
            Method::Hifo => held.age > lot.age,
            _ => held.age <= lot.age,
        };
        // Almost always the last place, which costs one comparison.
        let place = if self.lots.back().is_none_or(is_before) {
            self.lots.len()
        } else {
            self.lots.partition_point(is_before)
        };
        self.lots.insert(place, lot);
        sink.keep(|slot| Undo::Lot(slot, LotUndo::Added(place)));
    }

    /// Takes `quantity` (which is there) in the order of the method, and gives its cost.
    pub(crate) fn take(
        &mut self,
        method: Method,
        quantity: Amount,
        sink: &mut Sink<'_>,
        mut taken: Option<&mut Vec<Lot>>,
    ) -> Result<Amount, AppendError> {
        let (mut left, mut cost) = (quantity, Amount::ZERO);
        while left.is_positive() {
            let place = self.next_place(method, false).unwrap_or_default();
            let Some(lot) = self.lots.get(place) else {
                let held = quantity.checked_sub(left).map_err(of("lots"))?;
                return Err(AppendError::InsufficientQuantity { held, asked: quantity });
            };
            let part = lot.quantity.min(left);
            let lot = self.take_from(place, part, sink).map_err(of("lots"))?;
            left = left.checked_sub(part).map_err(of("lots"))?;
            cost = cost.checked_add(lot.cost).map_err(of("lots"))?;
            if let Some(taken) = taken.as_deref_mut() {
                taken.push(lot);
            }
        }
        Ok(cost)
    }

    /// Takes the lots that a fill names, and gives their cost.
    pub(crate) fn take_chosen(
        &mut self,
        choice: &[LotChoice],
        sink: &mut Sink<'_>,
    ) -> Result<Amount, AppendError> {
        let mut cost = Amount::ZERO;
        for chosen in choice {
            let (taken, part) = self.take_named(chosen, sink).map_err(of("lots"))?;
            if taken < chosen.quantity {
                let (lot, asked) = (chosen.lot.clone(), chosen.quantity);
                return Err(AppendError::LotUnavailable { lot, asked, open: taken });
            }
            cost = cost.checked_add(part).map_err(of("lots"))?;
        }
        Ok(cost)
    }

    /// Takes `quantity` of the named lots as far as they are there, then of the oldest, and gives the cost.
    ///
    /// For the share of a desk: the position has the lots that are named, and another desk may have opened them.
    pub(crate) fn take_preferred(
        &mut self,
        choice: &[LotChoice],
        quantity: Amount,
        sink: &mut Sink<'_>,
    ) -> Result<Amount, AppendError> {
        let (mut left, mut cost) = (quantity, Amount::ZERO);
        for chosen in choice {
            let wanted = LotChoice { lot: chosen.lot.clone(), quantity: chosen.quantity.min(left) };
            let (taken, part) = self.take_named(&wanted, sink).map_err(of("lots"))?;
            left = left.checked_sub(taken).map_err(of("lots"))?;
            cost = cost.checked_add(part).map_err(of("lots"))?;
        }
        let rest = self.take(Method::Specific, left, sink, None)?;
        cost.checked_add(rest).map_err(of("lots"))
    }

    /// Takes of the lots of one name, oldest first, as much as is there, and gives quantity and cost.
    fn take_named(
        &mut self,
        chosen: &LotChoice,
        sink: &mut Sink<'_>,
    ) -> Result<(Amount, Amount), AmountError> {
        let (mut taken, mut cost) = (Amount::ZERO, Amount::ZERO);
        while taken < chosen.quantity {
            let place = self.lots.iter().position(|lot| chosen.lot.is_of(lot));
            let Some((place, held)) = place.and_then(|place| Some((place, self.lots.get(place)?)))
            else {
                break;
            };
            let part = held.quantity.min(chosen.quantity.checked_sub(taken)?);
            let lot = self.take_from(place, part, sink)?;
            (taken, cost) = (taken.checked_add(part)?, cost.checked_add(lot.cost)?);
        }
        Ok((taken, cost))
    }

    /// Takes `part` (at most all) of the lot at a place: the last part takes what is left of the cost.
    fn take_from(
        &mut self,
        place: usize,
        part: Amount,
        sink: &mut Sink<'_>,
    ) -> Result<Lot, AmountError> {
        let lot = self.lots.get_mut(place).ok_or(AmountError::Overflow)?;
        if part == lot.quantity {
            let lot = self.lots.remove(place).ok_or(AmountError::Overflow)?;
            sink.keep(|slot| Undo::Lot(slot, LotUndo::Removed(place, Box::new(lot.clone()))));
            return Ok(lot);
        }
        let cost = lot.cost.mul_div(part, lot.quantity)?;
        let (quantity, rest) = (lot.quantity.checked_sub(part)?, lot.cost.checked_sub(cost)?);
        let before = (lot.quantity, lot.cost);
        (lot.quantity, lot.cost) = (quantity, rest);
        let taken = Lot { quantity: part, cost, ..lot.clone() };
        sink.keep(|slot| Undo::Lot(slot, LotUndo::Changed(place, before)));
        Ok(taken)
    }

    /// Scales the quantities to their parts of a whole, and the prices by `old / new`.
    ///
    /// A lot that becomes less than a unit leaves its cost to the next one.
    pub(crate) fn scale(
        &mut self,
        mut parts: Parts,
        (new, old): (Amount, Amount),
    ) -> Result<(), AmountError> {
        let mut orphaned = Amount::ZERO;
        for lot in &mut self.lots {
            lot.quantity = parts.next(lot.quantity)?;
            lot.price = lot.price.mul_div(old, new)?;
            lot.cost = lot.cost.checked_add(std::mem::take(&mut orphaned))?;
            if lot.quantity.is_zero() {
                orphaned = std::mem::take(&mut lot.cost);
            }
        }
        self.lots.retain(|lot| !lot.quantity.is_zero());
        if let Some(last) = self.lots.back_mut() {
            last.cost = last.cost.checked_add(orphaned)?;
        }
        Ok(())
    }

    /// Forgets all lots: the position is over.
    pub(crate) fn clear(&mut self, sink: &mut Sink<'_>) {
        while let Some(lot) = self.lots.pop_back() {
            let place = self.lots.len();
            sink.keep(|slot| Undo::Lot(slot, LotUndo::Removed(place, Box::new(lot))));
        }
    }

    /// Changes the quantity by a fee in kind, lot by lot, and leaves the cost as it is.
    ///
    /// The fee of an opening fill changes its own lot, which is the youngest; that of a closing one the next in turn.
    pub(crate) fn resize(
        &mut self,
        (method, opened): (Method, bool),
        change: Amount,
        sink: &mut Sink<'_>,
    ) -> Result<(), AmountError> {
        if change.is_positive()
            && let Some(place) = self.next_place(method, opened)
            && let Some(lot) = self.lots.get_mut(place)
        {
            let before = (lot.quantity, lot.cost);
            lot.quantity = lot.quantity.checked_add(change)?;
            sink.keep(|slot| Undo::Lot(slot, LotUndo::Changed(place, before)));
            return Ok(());
        }
        let (mut left, mut orphaned) = (change.abs(), Amount::ZERO);
        while let (true, Some(place)) = (left.is_positive(), self.next_place(method, opened)) {
            let is_last = self.lots.len() == 1;
            let lot = self.lots.get_mut(place).ok_or(AmountError::Overflow)?;
            if lot.quantity <= left && !is_last {
                left = left.checked_sub(lot.quantity)?;
                orphaned = orphaned.checked_add(lot.cost)?;
                let lot = self.lots.remove(place).ok_or(AmountError::Overflow)?;
                sink.keep(|slot| Undo::Lot(slot, LotUndo::Removed(place, Box::new(lot))));
                continue;
            }
            let before = (lot.quantity, lot.cost);
            // Both or none: what fails half-way could not be taken back.
            let cost = lot.cost.checked_add(std::mem::take(&mut orphaned))?;
            (lot.quantity, lot.cost) = (lot.quantity.checked_sub(left)?, cost);
            sink.keep(|slot| Undo::Lot(slot, LotUndo::Changed(place, before)));
            break;
        }
        // The last lot may have gone just as the fee was borne.
        if let (false, Some(place)) = (orphaned.is_zero(), self.next_place(method, opened))
            && let Some(lot) = self.lots.get_mut(place)
        {
            let before = (lot.quantity, lot.cost);
            lot.cost = lot.cost.checked_add(orphaned)?;
            sink.keep(|slot| Undo::Lot(slot, LotUndo::Changed(place, before)));
        }
        Ok(())
    }

    /// Where the next lot to take is, or the youngest.
    fn next_place(&self, method: Method, youngest: bool) -> Option<usize> {
        let last = self.lots.len().checked_sub(1)?;
        match method {
            Method::Hifo if youngest => {
                let lots = self.lots.iter().enumerate();
                lots.max_by_key(|(_, lot)| lot.age).map(|(place, _)| place)
            }
            Method::Lifo | Method::Hifo => Some(last),
            _ if youngest => Some(last),
            _ => Some(0),
        }
    }

    pub(crate) fn restore(&mut self, undo: LotUndo) {
        match undo {
            LotUndo::Added(place) => drop(self.lots.remove(place)),
            LotUndo::Removed(place, lot) => self.lots.insert(place, *lot),
            LotUndo::Changed(place, (quantity, cost)) => {
                if let Some(lot) = self.lots.get_mut(place) {
                    (lot.quantity, lot.cost) = (quantity, cost);
                }
            }
        }
    }
}

/// What undoes a change of the lots.
#[derive(Debug)]
pub(crate) enum LotUndo {
    Added(usize),
    Removed(usize, Box<Lot>),
    Changed(usize, (Amount, Amount)),
}
