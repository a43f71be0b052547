//! Positions as they are read: quantity, cost, lots, profit.

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::error::{AmountError, RateError};
use crate::instrument::Instrument;
use crate::name::{Account, Currency, LegId, Portfolio, Strategy};
use crate::rates::Rates;
use crate::slots::{Isolation, Slot};
use crate::state::Holding;

pub use crate::derive::Step;
pub use crate::lots::Lot;

/// Profit after fees, as far as it can be told without rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// In the settlement currency: realized, funding and income, less the fees in that currency.
    pub amount: Amount,
    /// Currencies of further fees, which are not in the amount, sorted; empty when the amount is all there is.
    pub unconverted: Vec<Currency>,
}

/// The sums of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Long positive, short negative, flat zero.
    pub quantity: Amount,
    /// What the open quantity cost in all, without a sign for the side.
    pub open_cost: Amount,
    /// Profit of everything closed, without fees.
    pub realized_gross: Amount,
    /// What selling brought minus what buying cost, without fees.
    pub cash_flow: Amount,
}

impl Figures {
    pub(crate) const fn of(holding: &Holding) -> Self {
        let Holding { quantity, open_cost, realized, cash_flow, .. } = *holding;
        Self { quantity, open_cost, realized_gross: realized, cash_flow }
    }
}

/// One position of the books, or a strategy's share of one.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    pub(crate) account: &'a Account,
    pub(crate) instrument: &'a Instrument,
    pub(crate) slot: &'a Slot,
    pub(crate) isolation: Option<&'a Isolation>,
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

    /// Its leg, if it is hedged.
    pub const fn leg(&self) -> Option<&'a LegId> {
        self.slot.leg.as_ref()
    }

    /// The strategy whose share it is; none for the position itself.
    pub const fn strategy(&self) -> Option<&'a Strategy> {
        self.slot.desk.strategy.as_ref()
    }

    /// The portfolio whose share it is; none for the position itself.
    pub const fn portfolio(&self) -> Option<&'a Portfolio> {
        self.slot.desk.portfolio.as_ref()
    }

    /// Why its figures do not follow what happens to it, if they do not: they are as old as that.
    ///
    /// What happens to everyone, such as a split, still does.
    pub const fn isolation(&self) -> Option<&'a Isolation> {
        self.isolation
    }

    /// When something last happened to it, by event time.
    pub const fn last_activity(&self) -> Timestamp {
        self.slot.track.active
    }

    /// The quantity held: long positive, short negative, flat zero.
    pub const fn quantity(&self) -> Amount {
        self.slot.state.holding.quantity
    }

    /// What the open quantity cost in all, in the settlement currency, without a sign for the side.
    pub const fn open_cost(&self) -> Amount {
        self.slot.state.holding.open_cost
    }

    /// Profit of everything closed so far, over all cycles, without fees, in the settlement currency.
    pub const fn realized_gross(&self) -> Amount {
        self.slot.state.holding.realized
    }

    /// What selling brought minus what buying cost, without fees, in the settlement currency.
    ///
    /// What was transferred, or there before the books began, counts at its cost.
    pub const fn cash_flow(&self) -> Amount {
        self.slot.state.holding.cash_flow
    }

    /// Funding received less funding paid, in the settlement currency.
    pub const fn funding(&self) -> Amount {
        self.slot.funding
    }

    /// Dividends received less dividends paid, in the settlement currency.
    pub const fn income(&self) -> Amount {
        self.slot.state.income
    }

    /// Cash paid out for fractions after splits; its profit is part of what is realized.
    pub const fn cash_in_lieu(&self) -> Amount {
        self.slot.state.in_lieu
    }

    /// How many trades made it: fills, and what is booked like one.
    pub const fn trades(&self) -> u64 {
        self.slot.state.trades
    }

    /// Open lots, oldest first; none at average cost.
    pub fn lots(&self) -> Vec<Lot> {
        let lots = self.slot.state.lots.oldest_first(self.instrument.method());
        lots.into_iter().cloned().collect()
    }

    /// Fees by currency, sorted; a currency without fees is not listed.
    pub fn fees(&self) -> Vec<(&'a Currency, Amount)> {
        let state = &self.slot.state;
        let own = (self.instrument.settlement(), state.holding.fees);
        let others = state.fees.iter().map(|(currency, fee)| (currency, *fee));
        let all = std::iter::once(own).chain(others);
        let mut fees: Vec<_> = all.filter(|(_, fee)| !fee.is_zero()).collect();
        fees.sort_unstable();
        fees
    }

    /// The fee that was taken out of the quantity of a spot pair counts there, and not again in money.
    pub(crate) fn counts_in_kind(&self, currency: &Currency) -> bool {
        self.instrument.is_in_kind(currency)
    }

    /// Realized profit, funding and income after the fees that were paid in the settlement currency.
    ///
    /// A fee in the base currency of a spot pair has reduced the quantity, and is not subtracted again.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    pub fn realized_net(&self) -> Result<Net, AmountError> {
        let gross = self.realized_gross().checked_add(self.funding())?;
        let mut net = Net { amount: gross.checked_add(self.income())?, unconverted: Vec::new() };
        for (currency, fee) in self.fees() {
            if currency == self.instrument.settlement() {
                net.amount = net.amount.checked_sub(fee)?;
            } else if !self.counts_in_kind(currency) {
                net.unconverted.push(currency.clone());
            }
        }
        Ok(net)
    }

    /// The same with every fee, at given rates into the settlement currency.
    ///
    /// # Errors
    ///
    /// [`RateError::Missing`] when a rate is not given; it is never taken for zero.
    pub fn realized_net_at(&self, rates: &Rates) -> Result<Amount, RateError> {
        if rates.reporting() != self.instrument.settlement() {
            return Err(RateError::Reporting {
                rates: rates.reporting().clone(),
                asked: self.instrument.settlement().clone(),
            });
        }
        let mut net = self.realized_net()?;
        for (currency, fee) in self.fees() {
            if net.unconverted.contains(currency) {
                net.amount = net.amount.checked_sub(rates.convert(currency, fee)?)?;
            }
        }
        Ok(net.amount)
    }

    /// The average price, rounded half to even; none when flat.
    ///
    /// `open_cost / (|quantity| * multiplier)`; for inverse contracts the harmonic one, `|quantity| * multiplier / open_cost`.
    /// The cost of an inverse contract is a rounded quotient, and that of quantities finer than 1e-9 a rounded product;
    /// that rounding does not show in the average: what was bought at 14000 has an average of 14000.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when it is out of range.
    pub fn average(&self) -> Result<Option<Amount>, AmountError> {
        if self.quantity().is_zero() {
            return Ok(None);
        }
        self.instrument.average(self.quantity().abs(), self.open_cost()).map(Some)
    }

    /// What closing at `mark` would realize, without fees; rounded half to even at the 18th decimal.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when it is out of range, or the mark of an inverse contract is zero.
    pub fn unrealized(&self, mark: Amount) -> Result<Amount, AmountError> {
        if self.quantity().is_zero() {
            return Ok(Amount::ZERO);
        }
        let value = self.instrument.value(self.quantity().abs(), mark)?;
        let gain = value.checked_sub(self.open_cost())?;
        let mirrored = self.quantity().is_negative() != self.instrument.is_inverse();
        Ok(if mirrored { gain.negated() } else { gain })
    }
}
