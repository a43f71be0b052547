//! Rates into one reporting currency: given from outside, never invented.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::error::{Invalid, RateError};
use crate::name::Currency;

/// What one unit of each currency is worth in a reporting currency.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::{Amount, Currency};
/// use backstop_position_ledger::pnl::Rates;
///
/// let (usd, bnb) = (Currency::new("USD")?, Currency::new("BNB")?);
/// let rates = Rates::into(usd).with_rate(bnb.clone(), Amount::from_int(600))?;
/// assert_eq!(rates.convert(&bnb, "0.001".parse()?)?.to_string(), "0.6");
/// assert!(rates.convert(&Currency::new("EUR")?, Amount::ONE).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    reporting: Currency,
    rates: BTreeMap<Currency, Amount>,
}

impl Rates {
    /// No rates yet, into this currency.
    pub const fn into(reporting: Currency) -> Self {
        Self { reporting, rates: BTreeMap::new() }
    }

    /// Gives the worth of one unit of a currency.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is not above zero, or not one for the reporting currency itself.
    pub fn with_rate(mut self, currency: Currency, rate: Amount) -> Result<Self, Invalid> {
        Invalid::unless_positive("rate", rate)?;
        if currency == self.reporting && rate != Amount::ONE {
            return Err(Invalid::new("rate", rate, "be 1 for the reporting currency"));
        }
        self.rates.insert(currency, rate);
        Ok(self)
    }

    /// The currency that everything is converted into.
    pub const fn reporting(&self) -> &Currency {
        &self.reporting
    }

    /// The worth of an amount, rounded half to even at the 18th decimal.
    ///
    /// # Errors
    ///
    /// [`RateError::Missing`] when no rate was given, [`RateError::Amount`] out of range.
    pub fn convert(&self, currency: &Currency, amount: Amount) -> Result<Amount, RateError> {
        if *currency == self.reporting {
            return Ok(amount);
        }
        let rate = self.rates.get(currency);
        let missing =
            || RateError::Missing { from: currency.clone(), into: self.reporting.clone() };
        Ok(amount.rounded_mul(*rate.ok_or_else(missing)?)?)
    }
}
