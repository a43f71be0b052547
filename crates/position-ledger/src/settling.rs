//! Settling: balances follow what positions moved.

use crate::amount::Amount;
use crate::books::Books;
use crate::change::index;
use crate::error::{AmountError, AppendError};
use crate::instrument::Instrument;
use crate::money::Part;
use crate::name::Currency;
use crate::rules::Contract;
use crate::slots::Hint;
use crate::state::{Holding, State, of};

/// The sums of a position that balances follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    holding: Holding,
    carried: Amount,
    income: Amount,
}

impl Sums {
    pub(crate) const fn of(state: &State) -> Self {
        Self { holding: state.holding, carried: state.carried, income: state.income }
    }

    /// What moved in cash.
    fn cash(&self) -> Result<Amount, AmountError> {
        self.holding.cash_flow.checked_sub(self.carried)
    }
}

impl Books {
    /// Moves the balances of an account by what a position moved, and by its fees.
    pub(crate) fn settle(
        &mut self,
        number: u32,
        before: &Sums,
        fees: &[(&Currency, Amount)],
        terms: &Instrument,
    ) -> Result<(), AppendError> {
        let Some(slot) = self.slots.get(index(number)) else { return Ok(()) };
        let (after, pair) = (Sums::of(&slot.state), slot.pair);
        let settlement = self.settlement_of(number, terms)?;
        let moved = || {
            let gain = after.holding.realized.checked_sub(before.holding.realized)?;
            let income = after.income.checked_sub(before.income)?;
            let cash = after.cash()?.checked_sub(before.cash()?)?;
            Ok((gain, income, gain.checked_sub(cash)?))
        };
        let (gain, income, invested) = moved().map_err(of("balance"))?;
        let in_settlement = |currency: &Currency| currency == terms.settlement();
        self.with_balance(settlement, |balance| {
            if !gain.is_zero() {
                balance.add(Part::RealizedGross, gain)?;
            }
            if !income.is_zero() {
                balance.add(Part::Income, income)?;
            }
            if terms.contract() == Contract::Spot {
                balance.add(Part::Invested, invested)?;
            }
            for (_, fee) in fees.iter().filter(|(currency, _)| in_settlement(currency)) {
                balance.add(Part::Fees, *fee)?;
            }
            Ok(())
        })?;
        for (currency, fee) in fees.iter().filter(|(currency, _)| !in_settlement(currency)) {
            if !fee.is_zero() {
                self.charge_account(pair, currency, *fee)?;
            }
        }
        match terms.base() {
            Some(base) if terms.contract() == Contract::Spot => {
                self.settle_base(pair, base, (before, &after), fees)
            }
            _ => Ok(()),
        }
    }

    /// Of a spot pair the base currency changed hands; a fee in it was taken out of the quantity already.
    fn settle_base(
        &mut self,
        pair: u32,
        base: &Currency,
        (before, after): (&Sums, &Sums),
        fees: &[(&Currency, Amount)],
    ) -> Result<(), AppendError> {
        let in_kind = fees.iter().filter(|(currency, _)| *currency == base);
        let fee = in_kind.map(|(_, fee)| *fee).try_fold(Amount::ZERO, Amount::checked_add);
        let moved = after.holding.quantity.checked_sub(before.holding.quantity);
        let moved = moved.and_then(|moved| moved.checked_add(fee?)).map_err(of("balance"))?;
        if moved.is_zero() {
            return Ok(());
        }
        let Some(account) = self.pair(pair).map(|pair| pair.account.clone()) else { return Ok(()) };
        let number = self.balance_for(&account, base);
        self.with_balance(number, |balance| balance.add(Part::Held, moved))
    }

    fn charge_account(
        &mut self,
        pair: u32,
        currency: &Currency,
        fee: Amount,
    ) -> Result<(), AppendError> {
        let Some(account) = self.pair(pair).map(|pair| pair.account.clone()) else { return Ok(()) };
        let number = self.balance_for(&account, currency);
        self.with_balance(number, |balance| balance.add(Part::Fees, fee))
    }

    /// The balance that a position settles in, looked up by name once.
    fn settlement_of(&mut self, number: u32, terms: &Instrument) -> Result<u32, AppendError> {
        let slot = self.slot(number).ok_or(AppendError::Full)?;
        let account = &self.pair(slot.pair).ok_or(AppendError::Full)?.account;
        // A balance that was taken back may have left its number to another one.
        let is_right = |hint: &u32| {
            self.balances.get(index(*hint)).is_some_and(|balance| {
                balance.currency == *terms.settlement() && balance.account == *account
            })
        };
        if let Some(hint) = slot.settlement.0.filter(is_right) {
            return Ok(hint);
        }
        let account = account.clone();
        let balance = self.balance_for(&account, terms.settlement());
        if let Some(slot) = self.slots.get_mut(index(number)) {
            slot.settlement = Hint(Some(balance));
        }
        Ok(balance)
    }
}
