//! Positions: signed quantity and total cost; everything else is derived.
//!
//! Method: one netted position per account and instrument, at average cost.
//! A close removes `open_cost * closed / quantity`, rounded half to even at the 18th decimal, and the rest stays;
//! the last close takes what is left, so a flat position costs exactly nothing.
//! A fill that turns the position around closes first and opens with the rest, in value as in quantity.

use crate::amount::Amount;
use crate::error::AmountError;
use crate::fill::Side;
use crate::instrument::Instrument;
use crate::name::{Account, Currency};

/// The figures of one position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) quantity: Amount,
    pub(crate) open_cost: Amount,
    pub(crate) realized: Amount,
    /// What selling brought minus what buying cost, without fees.
    pub(crate) cash_flow: Amount,
    pub(crate) fills: u64,
}

/// What one fill does to a holding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) after: Holding,
    pub(crate) closed: Amount,
    pub(crate) realized: Amount,
}

impl Holding {
    /// Books `quantity` (above zero) worth `value`; fails only when a figure leaves the range.
    pub(crate) fn filled(
        mut self,
        side: Side,
        quantity: Amount,
        value: Amount,
    ) -> Result<Filled, AmountError> {
        self.fills = self.fills.saturating_add(1);
        self.cash_flow = self.cash_flow.checked_sub(side.signed(value))?;
        let opposite = match side {
            Side::Buy => self.quantity.is_negative(),
            Side::Sell => self.quantity.is_positive(),
        };
        if !opposite {
            self.open(side, quantity, value)?;
            return Ok(Filled { after: self, closed: Amount::ZERO, realized: Amount::ZERO });
        }
        let held = self.quantity.abs();
        if quantity <= held {
            let realized = self.close(side, quantity, value)?;
            return Ok(Filled { after: self, closed: quantity, realized });
        }
        let close_value = value.mul_div(held, quantity)?;
        let realized = self.close(side, held, close_value)?;
        self.open(side, quantity.checked_sub(held)?, value.checked_sub(close_value)?)?;
        Ok(Filled { after: self, closed: held, realized })
    }

    fn open(&mut self, side: Side, quantity: Amount, value: Amount) -> Result<(), AmountError> {
        self.quantity = self.quantity.checked_add(side.signed(quantity))?;
        self.open_cost = self.open_cost.checked_add(value)?;
        Ok(())
    }

    fn close(
        &mut self,
        side: Side,
        quantity: Amount,
        value: Amount,
    ) -> Result<Amount, AmountError> {
        let held = self.quantity.abs();
        let removed = if quantity == held {
            self.open_cost
        } else {
            self.open_cost.mul_div(quantity, held)?
        };
        // Selling closes a long, which gains what the sale brings above its cost; buying mirrors it.
        let gain = match side {
            Side::Sell => value.checked_sub(removed)?,
            Side::Buy => removed.checked_sub(value)?,
        };
        self.quantity = self.quantity.checked_add(side.signed(quantity))?;
        self.open_cost = self.open_cost.checked_sub(removed)?;
        self.realized = self.realized.checked_add(gain)?;
        Ok(gain)
    }

    /// `realized - side * open_cost = cash_flow`: no fill created or lost money.
    pub(crate) fn is_conserved(&self) -> bool {
        let signed =
            if self.quantity.is_negative() { self.open_cost.negated() } else { self.open_cost };
        let flat = self.quantity.is_zero() && !self.open_cost.is_zero();
        !flat && self.realized.checked_sub(signed) == Ok(self.cash_flow)
    }
}

/// Profit after fees, as far as it can be told without rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// In the quote currency, after the fees in the quote currency.
    pub amount: Amount,
    /// Currencies of further fees, which are not in the amount, sorted; empty when the amount is all there is.
    pub unconverted: Vec<Currency>,
}

/// One position of the books.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    pub(crate) account: &'a Account,
    pub(crate) instrument: &'a Instrument,
    pub(crate) holding: &'a Holding,
    pub(crate) fees: &'a [(Currency, Amount)],
}

impl<'a> Position<'a> {
    /// Whose it is.
    pub const fn account(&self) -> &'a Account {
        self.account
    }

    /// The contract that is held.
    pub const fn instrument(&self) -> &'a Instrument {
        self.instrument
    }

    /// The quantity held: long positive, short negative, flat zero.
    pub const fn quantity(&self) -> Amount {
        self.holding.quantity
    }

    /// What the open quantity cost in all, in the quote currency, without a sign for the side.
    pub const fn open_cost(&self) -> Amount {
        self.holding.open_cost
    }

    /// Profit of everything closed so far, over all cycles, without fees, in the quote currency.
    pub const fn realized_gross(&self) -> Amount {
        self.holding.realized
    }

    /// What selling brought minus what buying cost, without fees, in the quote currency.
    pub const fn cash_flow(&self) -> Amount {
        self.holding.cash_flow
    }

    /// How many fills made it.
    pub const fn fills(&self) -> u64 {
        self.holding.fills
    }

    /// Fees by currency, sorted; a currency without fees is not listed.
    pub fn fees(&self) -> Vec<(&'a Currency, Amount)> {
        let mut fees: Vec<_> =
            self.fees.iter().map(|(currency, amount)| (currency, *amount)).collect();
        fees.sort_unstable();
        fees
    }

    /// Realized profit after the fees that were paid in the quote currency.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    pub fn realized_net(&self) -> Result<Net, AmountError> {
        let mut net = Net { amount: self.realized_gross(), unconverted: Vec::new() };
        for (currency, fee) in self.fees() {
            if currency == self.instrument.quote() {
                net.amount = net.amount.checked_sub(fee)?;
            } else {
                net.unconverted.push(currency.clone());
            }
        }
        Ok(net)
    }

    /// The average price: `open_cost / (|quantity| * multiplier)`, rounded half to even; none when flat.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when it is out of range.
    pub fn average(&self) -> Result<Option<Amount>, AmountError> {
        if self.quantity().is_zero() {
            return Ok(None);
        }
        let units = self.instrument.units(self.quantity().abs())?;
        self.open_cost().mul_div(Amount::ONE, units).map(Some)
    }

    /// What closing at `mark` would realize, without fees; rounded half to even at the 18th decimal.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when it is out of range.
    pub fn unrealized(&self, mark: Amount) -> Result<Amount, AmountError> {
        if self.quantity().is_zero() {
            return Ok(Amount::ZERO);
        }
        let gain =
            self.instrument.marked(self.quantity().abs(), mark)?.checked_sub(self.open_cost())?;
        Ok(if self.quantity().is_negative() { gain.negated() } else { gain })
    }
}
