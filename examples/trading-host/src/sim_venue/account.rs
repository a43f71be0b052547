//! The venue's own books: linear contracts, netted, at average cost.
//!
//! A close removes `open_cost * closed / held`, rounded half to even at the 18th decimal.
//! The last close takes what is left, so a flat position costs exactly nothing.
//! A balance is deposit + realised profit - fees + drift.
//! They share the number type with the host's ledger and nothing else, so that comparing the two
//! says something.

use backstop_position_ledger::{Amount, error::AmountError};
use rust_decimal::Decimal;

use crate::venue::Side;

/// One trade, as the books see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub(super) instrument: usize,
    pub(super) side: Side,
    /// Above zero.
    pub(super) quantity: Amount,
    /// Of the whole trade: quantity times price times multiplier.
    pub(super) value: Amount,
    pub(super) fee: Amount,
}

/// What a currency holds at first.
#[derive(Clone, Debug)]
pub(super) struct Deposit {
    pub(super) currency: String,
    pub(super) amount: Amount,
    /// The amount as a statement shows it.
    pub(super) shown: Decimal,
}

/// Positions and money.
#[derive(Debug)]
pub(super) struct Account {
    /// By instrument.
    positions: Vec<Position>,
    /// Sorted by currency.
    purses: Vec<Purse>,
}

#[derive(Clone, Debug)]
struct Position {
    symbol: String,
    /// Place of the purse that it settles in.
    purse: usize,
    quantity: Amount,
    /// What the open quantity cost, without a sign for the side.
    open_cost: Amount,
    /// The quantity as a statement shows it.
    shown: Decimal,
}

#[derive(Clone, Debug)]
struct Purse {
    currency: String,
    balance: Amount,
    fees: Amount,
    /// The balance as a statement shows it.
    shown: Decimal,
}

impl Account {
    /// A flat account in `instruments`, given as symbol and quote currency, with its `deposits`.
    ///
    /// Every quote currency needs a deposit; deposits are sorted by currency, once each.
    pub(super) fn new(
        instruments: impl Iterator<Item = (String, String)>,
        deposits: Vec<Deposit>,
    ) -> Self {
        let purses: Vec<_> = deposits
            .into_iter()
            .map(|Deposit { currency, amount, shown }| Purse {
                currency,
                balance: amount,
                fees: Amount::ZERO,
                shown,
            })
            .collect();
        let positions = instruments
            .map(|(symbol, quote)| Position {
                symbol,
                purse: purses.partition_point(|purse| purse.currency < quote),
                quantity: Amount::ZERO,
                open_cost: Amount::ZERO,
                shown: Decimal::ZERO,
            })
            .collect();
        Self { positions, purses }
    }

    /// Books a trade; when a figure would leave its range, nothing changes.
    pub(super) fn book(&mut self, trade: &Booking) -> Result<(), AmountError> {
        let mut position = self.positions[trade.instrument].clone();
        let mut purse = self.purses[position.purse].clone();
        let gain = position.trade(trade)?;
        purse.fees = purse.fees.checked_add(trade.fee)?;
        purse.add(gain.checked_sub(trade.fee)?)?;
        position.shown = position.quantity.try_into()?;
        self.purses[position.purse] = purse;
        self.positions[trade.instrument] = position;
        Ok(())
    }

    /// Changes a balance without a word; without effect when it would leave the range.
    pub(super) fn drift(&mut self, currency: &str, amount: Amount) {
        let Some(place) = self.purses.iter().position(|purse| purse.currency == currency) else {
            return;
        };
        let mut purse = self.purses[place].clone();
        if purse.add(amount).is_ok() {
            self.purses[place] = purse;
        }
    }

    /// Signed quantity by symbol, flat ones left out.
    pub(super) fn positions(&self) -> Vec<(String, Decimal)> {
        let open = self.positions.iter().filter(|position| !position.quantity.is_zero());
        open.map(|position| (position.symbol.clone(), position.shown)).collect()
    }

    /// Money by currency.
    pub(super) fn balances(&self) -> Vec<(String, Decimal)> {
        self.purses.iter().map(|purse| (purse.currency.clone(), purse.shown)).collect()
    }

    /// Fees paid by currency.
    pub(super) fn fees(&self) -> Vec<(String, Decimal)> {
        let shown = |fees: Amount| fees.try_into().unwrap_or(Decimal::MAX);
        self.purses.iter().map(|purse| (purse.currency.clone(), shown(purse.fees))).collect()
    }
}

impl Position {
    /// Changes quantity and cost, and tells what was gained.
    fn trade(&mut self, trade: &Booking) -> Result<Amount, AmountError> {
        let is_long = self.quantity.is_positive();
        let closes = !self.quantity.is_zero() && is_long == (trade.side == Side::Sell);
        if !closes {
            self.open(trade.side, trade.quantity, trade.value)?;
            return Ok(Amount::ZERO);
        }
        let held = self.quantity.abs();
        if trade.quantity <= held {
            return self.close(trade.side, trade.quantity, trade.value);
        }
        // The price is the same on both legs, so each has its share of the value, exactly.
        let closing = trade.value.mul_div(held, trade.quantity)?;
        let gain = self.close(trade.side, held, closing)?;
        let rest = trade.quantity.checked_sub(held)?;
        self.open(trade.side, rest, trade.value.checked_sub(closing)?)?;
        Ok(gain)
    }

    fn open(&mut self, side: Side, quantity: Amount, value: Amount) -> Result<(), AmountError> {
        self.move_by(side, quantity)?;
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
        let is_last = quantity == held;
        let cost = if is_last { self.open_cost } else { self.open_cost.mul_div(quantity, held)? };
        self.open_cost = self.open_cost.checked_sub(cost)?;
        self.move_by(side, quantity)?;
        match side {
            Side::Sell => value.checked_sub(cost),
            Side::Buy => cost.checked_sub(value),
        }
    }

    fn move_by(&mut self, side: Side, quantity: Amount) -> Result<(), AmountError> {
        self.quantity = match side {
            Side::Buy => self.quantity.checked_add(quantity)?,
            Side::Sell => self.quantity.checked_sub(quantity)?,
        };
        Ok(())
    }
}

impl Purse {
    fn add(&mut self, amount: Amount) -> Result<(), AmountError> {
        self.balance = self.balance.checked_add(amount)?;
        self.shown = self.balance.try_into()?;
        Ok(())
    }
}
