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

/// What a position moved, which balances follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    gain: Amount,
    income: Amount,
    /// Fees in the settlement currency.
    fees: Amount,
    cash: Amount,
    quantity: Amount,
}

impl Moved {
    /// By a trade in what is not delivered: of such a contract only profit and fees are money.
    #[inline]
    pub(crate) const fn by_contract(gain: Amount, fees: Amount) -> Self {
        let nothing = Amount::ZERO;
        Self { gain, income: nothing, fees, cash: nothing, quantity: nothing }
    }

    /// By a trade, which moves no income, and cash is all that flows.
    pub(crate) fn by_trade(before: &Holding, after: &Holding) -> Result<Self, AmountError> {
        Ok(Self {
            gain: after.realized.checked_sub(before.realized)?,
            income: Amount::ZERO,
            fees: after.fees.checked_sub(before.fees)?,
            cash: after.cash_flow.checked_sub(before.cash_flow)?,
            quantity: after.quantity.checked_sub(before.quantity)?,
        })
    }

    /// By anything that made another state of one.
    pub(crate) fn between(before: &State, after: &State) -> Result<Self, AmountError> {
        let traded = Self::by_trade(&before.holding, &after.holding)?;
        let income = after.income.checked_sub(before.income)?;
        let carried = after.carried.checked_sub(before.carried)?;
        Ok(Self { income, cash: traded.cash.checked_sub(carried)?, ..traded })
    }
}

impl Books {
    /// Moves the balances of an account by what a position moved, and by its fees in other currencies.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        number: u32,
        moved: &Moved,
        fees: &[(&Currency, Amount)],
        instrument: u32,
    ) -> Result<(), AppendError> {
        let known = self.slot(number).and_then(|slot| slot.hints.settlement);
        let settlement = match known {
            Some(settlement) => settlement,
            None => self.settlement_of(number, instrument)?,
        };
        self.add_money(settlement, Part::RealizedGross, moved.gain)?;
        self.add_money(settlement, Part::Income, moved.income)?;
        self.add_money(settlement, Part::Fees, moved.fees)?;
        if !fees.is_empty() {
            self.settle_fees(number, fees)?;
        }
        let terms = self.instruments.at(instrument);
        if terms.is_some_and(|terms| terms.contract() == Contract::Spot) {
            self.settle_spot((number, settlement), moved, fees, instrument)
        } else {
            Ok(())
        }
    }

    /// Fees in other currencies than that of settlement.
    fn settle_fees(
        &mut self,
        number: u32,
        fees: &[(&Currency, Amount)],
    ) -> Result<(), AppendError> {
        for (currency, fee) in fees.iter().filter(|(_, fee)| !fee.is_zero()) {
            let Some(slot) = self.slot(number) else { continue };
            let is_of = |number: &u32| {
                self.balances.get(index(*number)).is_some_and(|held| held.currency == **currency)
            };
            let balance = if let Some(balance) = slot.hints.fee.filter(is_of) {
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

    /// Of a spot pair both currencies changed hands; a fee in the base currency was taken out of the quantity already.
    fn settle_spot(
        &mut self,
        (number, settlement): (u32, u32),
        moved: &Moved,
        fees: &[(&Currency, Amount)],
        instrument: u32,
    ) -> Result<(), AppendError> {
        let invested = moved.gain.checked_sub(moved.cash).map_err(of("balance"))?;
        self.add_money(settlement, Part::Invested, invested)?;
        let base = self.instruments.at(instrument).and_then(|terms| terms.base().cloned());
        let Some(base) = base else { return Ok(()) };
        let in_kind = fees.iter().filter(|(currency, _)| **currency == base);
        let fee = in_kind.map(|(_, fee)| *fee).try_fold(Amount::ZERO, Amount::checked_add);
        let held = fee.and_then(|fee| moved.quantity.checked_add(fee)).map_err(of("balance"))?;
        if held.is_zero() {
            return Ok(());
        }
        let balance = self.balance_of(number, &base)?;
        self.add_money(balance, Part::Held, held)
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
