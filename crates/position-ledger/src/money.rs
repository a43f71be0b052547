//! Money of an account, currency by currency.

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::error::AmountError;
use crate::name::{Account, Currency, Text};
use crate::wide;

pub use crate::funds::Funds;

/// What an account has in one currency, and where it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Sum of deposits, and of what was there before the books began.
    pub deposited: Amount,
    /// Sum of withdrawals.
    pub withdrawn: Amount,
    /// What came from other accounts of the books, less what went to them.
    pub transferred: Amount,
    /// Sum of adjustments.
    pub adjusted: Amount,
    /// Profit of closed positions that settle in this currency, without fees.
    pub realized_gross: Amount,
    /// What spot positions cost that is not back yet: their realized profit less what they moved in cash.
    pub invested: Amount,
    /// Units of this currency that spot positions hold, before fees in kind.
    pub held: Amount,
    /// Funding received less funding paid.
    pub funding: Amount,
    /// Dividends received less dividends paid by shorts.
    pub income: Amount,
    /// Interest received less interest paid.
    pub interest: Amount,
    /// Sum of fees, paid positive.
    pub fees: Amount,
    /// All of these together; `withdrawn`, `invested` and `fees` count against it.
    pub total: Amount,
}

/// Where an amount of a balance belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Deposited,
    Withdrawn,
    Transferred,
    Adjusted,
    RealizedGross,
    Invested,
    Held,
    Funding,
    Income,
    Interest,
    Fees,
}

impl Balance {
    /// Adds to one part, and to the total with the sign that the part has there: both or none.
    #[inline]
    pub(crate) fn add(&mut self, part: Part, amount: Amount) -> Result<(), AmountError> {
        let held = match part {
            Part::Deposited => &mut self.deposited,
            Part::Withdrawn => &mut self.withdrawn,
            Part::Transferred => &mut self.transferred,
            Part::Adjusted => &mut self.adjusted,
            Part::RealizedGross => &mut self.realized_gross,
            Part::Invested => &mut self.invested,
            Part::Held => &mut self.held,
            Part::Funding => &mut self.funding,
            Part::Income => &mut self.income,
            Part::Interest => &mut self.interest,
            Part::Fees => &mut self.fees,
        };
        let sum = held.checked_add(amount)?;
        self.total = match part {
            Part::Withdrawn | Part::Invested | Part::Fees => self.total.checked_sub(amount)?,
            _ => self.total.checked_add(amount)?,
        };
        *held = sum;
        Ok(())
    }

    /// Whether the total is the sum of its parts.
    pub(crate) fn is_conserved(&self) -> bool {
        let parts = [
            self.deposited,
            self.transferred,
            self.adjusted,
            self.realized_gross,
            self.held,
            self.funding,
            self.income,
            self.interest,
            self.withdrawn.negated(),
            self.invested.negated(),
            self.fees.negated(),
        ];
        // Together they may be out of range on the way to a total that is not.
        wide::sum(parts) == wide::sum([self.total])
    }
}

/// A correction of a balance as it stands in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
