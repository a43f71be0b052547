//! Money of an account, currency by currency.

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::error::AmountError;
use crate::name::{Account, Currency, Text};

/// What an account has in one currency, and where it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Sum of deposits.
    pub deposited: Amount,
    /// Sum of adjustments.
    pub adjusted: Amount,
    /// Profit of closed positions that settle in this currency, without fees.
    pub realized_gross: Amount,
    /// Sum of fees, paid positive.
    pub fees: Amount,
    /// `deposited + adjusted + realized_gross - fees`.
    pub total: Amount,
}

impl Balance {
    /// Whether the total is the sum of its parts.
    pub(crate) fn is_conserved(&self) -> bool {
        let sum = self
            .deposited
            .checked_add(self.adjusted)
            .and_then(|sum| sum.checked_add(self.realized_gross));
        sum.and_then(|sum| sum.checked_sub(self.fees)) == Ok(self.total)
    }

    pub(crate) fn deposit(mut self, amount: Amount) -> Result<Self, AmountError> {
        self.deposited = self.deposited.checked_add(amount)?;
        self.total = self.total.checked_add(amount)?;
        Ok(self)
    }

    pub(crate) fn adjust(mut self, amount: Amount) -> Result<Self, AmountError> {
        self.adjusted = self.adjusted.checked_add(amount)?;
        self.total = self.total.checked_add(amount)?;
        Ok(self)
    }

    pub(crate) fn realize(mut self, gain: Amount) -> Result<Self, AmountError> {
        self.realized_gross = self.realized_gross.checked_add(gain)?;
        self.total = self.total.checked_add(gain)?;
        Ok(self)
    }

    pub(crate) fn charge(mut self, fee: Amount) -> Result<Self, AmountError> {
        self.fees = self.fees.checked_add(fee)?;
        self.total = self.total.checked_sub(fee)?;
        Ok(self)
    }
}

/// A correction of a balance as it stands in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Its place in the journal.
    pub sequence: u64,
    /// The account that was corrected.
    pub account: Account,
    /// In this currency.
    pub currency: Currency,
    /// By so much.
    pub amount: Amount,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
}
