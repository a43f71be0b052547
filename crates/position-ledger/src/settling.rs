//! Settling: balances follow what positions moved.

use crate::amount::Amount;
use crate::books::Books;
use crate::change::{Undo, index};
use crate::error::{AmountError, AppendError};
use crate::money::Part;
use crate::name::Currency;
use crate::rules::Contract;
use crate::slots::Hints;
use crate::state::{Holding, State, of};

/// The sums of a position that balances follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    holding: Holding,
    carried: Amount,
    income: Amount,
}

/// What the balance of settlement gets.
#[derive(Clone, Copy, Debug)]
struct Moved {
    gain: Amount,
    income: Amount,
    /// Nothing unless the base currency changes hands.
    invested: Amount,
}

impl Sums {
    pub(crate) const fn of(state: &State) -> Self {
        Self { holding: state.holding, carried: state.carried, income: state.income }
    }

    /// What moved since `before`.
    #[inline]
    fn less(&self, before: &Self, is_spot: bool) -> Result<Moved, AmountError> {
        let gain = self.holding.realized.checked_sub(before.holding.realized)?;
        let income = self.income.checked_sub(before.income)?;
        let mut invested = Amount::ZERO;
        if is_spot {
            let cash = self.cash()?.checked_sub(before.cash()?)?;
            invested = gain.checked_sub(cash)?;
        }
        Ok(Moved { gain, income, invested })
    }

    /// What moved in cash.
    fn cash(&self) -> Result<Amount, AmountError> {
        self.holding.cash_flow.checked_sub(self.carried)
    }
}

impl Books {
    /// Moves the balances of an account by what a position moved, and by its fees; no currency is that of settlement.
    pub(crate) fn settle(
        &mut self,
        number: u32,
        before: &Sums,
        fees: &[(Option<&Currency>, Amount)],
        instrument: u32,
    ) -> Result<(), AppendError> {
        let Some(slot) = self.slots.get(index(number)) else { return Ok(()) };
        let after = Sums::of(&slot.state);
        let settlement = match slot.hints.settlement {
            Some(settlement) => settlement,
            None => self.settlement_of(number, instrument)?,
        };
        let Some(terms) = self.instruments.at(instrument) else { return Ok(()) };
        let is_spot = terms.contract() == Contract::Spot;
        let moved = after.less(before, is_spot).map_err(of("balance"))?;
        let (mut own, mut has_others) = (Amount::ZERO, false);
        for (currency, fee) in fees {
            if currency.is_none_or(|currency| currency == terms.settlement()) {
                own = own.checked_add(*fee).map_err(of("balance"))?;
            } else {
                has_others = true;
            }
        }
        self.add_money(settlement, Part::RealizedGross, moved.gain)?;
        self.add_money(settlement, Part::Income, moved.income)?;
        self.add_money(settlement, Part::Invested, moved.invested)?;
        self.add_money(settlement, Part::Fees, own)?;
        if has_others {
            self.settle_fees(number, settlement, fees)?;
        }
        if is_spot { self.settle_base(number, (before, &after), fees, instrument) } else { Ok(()) }
    }

    /// Fees in other currencies than that of settlement.
    fn settle_fees(
        &mut self,
        number: u32,
        settlement: u32,
        fees: &[(Option<&Currency>, Amount)],
    ) -> Result<(), AppendError> {
        for (currency, fee) in fees {
            let Some(currency) = currency.filter(|_| !fee.is_zero()) else { continue };
            let is_of = |number: u32| {
                self.balances.get(index(number)).is_some_and(|held| held.currency == *currency)
            };
            if is_of(settlement) {
                continue;
            }
            let Some(slot) = self.slot(number) else { continue };
            let balance = if let Some(balance) = slot.hints.fee.filter(|hint| is_of(*hint)) {
                balance
            } else {
                let balance = self.balance_of(number, currency)?;
                self.hint(number, |hints| hints.fee = Some(balance));
                balance
            };
            self.add_money(balance, Part::Fees, *fee)?;
        }
        Ok(())
    }

    /// Of a spot pair the base currency changed hands; a fee in it was taken out of the quantity already.
    fn settle_base(
        &mut self,
        number: u32,
        (before, after): (&Sums, &Sums),
        fees: &[(Option<&Currency>, Amount)],
        instrument: u32,
    ) -> Result<(), AppendError> {
        let base = self.instruments.at(instrument).and_then(|terms| terms.base().cloned());
        let Some(base) = base else { return Ok(()) };
        let in_kind = fees.iter().filter(|(currency, _)| *currency == Some(&base));
        let fee = in_kind.map(|(_, fee)| *fee).try_fold(Amount::ZERO, Amount::checked_add);
        let moved = after.holding.quantity.checked_sub(before.holding.quantity);
        let moved = moved.and_then(|moved| moved.checked_add(fee?)).map_err(of("balance"))?;
        if moved.is_zero() {
            return Ok(());
        }
        let balance = self.balance_of(number, &base)?;
        self.add_money(balance, Part::Held, moved)
    }

    /// The balance in which a position settles, looked up by name once.
    fn settlement_of(&mut self, number: u32, instrument: u32) -> Result<u32, AppendError> {
        let terms = self.instruments.at(instrument);
        let Some(currency) = terms.map(|terms| terms.settlement().clone()) else {
            return Err(AppendError::Full);
        };
        let balance = self.balance_of(number, &currency)?;
        self.hint(number, |hints| hints.settlement = Some(balance));
        Ok(balance)
    }

    /// The balance in a currency of the account that has a position.
    fn balance_of(&mut self, number: u32, currency: &Currency) -> Result<u32, AppendError> {
        let pair = self.slot(number).and_then(|slot| self.pair(slot.pair));
        let Some(account) = pair.map(|pair| pair.account.clone()) else {
            return Err(AppendError::Full);
        };
        Ok(self.balance_for(&account, currency))
    }

    /// Remembers a balance, which may be one that is taken back with this entry.
    fn hint(&mut self, number: u32, set: impl FnOnce(&mut Hints)) {
        if let Some(slot) = self.slots.get_mut(index(number)) {
            set(&mut slot.hints);
            self.trail.push(Undo::Hinted(number));
        }
    }
}
