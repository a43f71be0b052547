//! Averages: the price that a position was bought at, without what its cost was rounded by.

use crate::amount::Amount;
use crate::error::AmountError;
use crate::instrument::Instrument;

/// What a handful of roundings may have left in a cost: four units of the last decimal.
const COST_SLACK: Amount = Amount::tiny(4);

/// Decimals that prices are traded at, and then some.
const PRICE_DECIMALS: u32 = 9;

/// The distance of two such prices.
const PRICE_STEP: Amount = Amount::tiny(1_000_000_000);

/// The lowest and the highest price that are possible.
type Bounds = (Amount, Amount);

impl Instrument {
    /// The average price of what cost so much in all, rounded half to even at the 18th decimal.
    ///
    /// The cost of an inverse contract is the sum of rounded quotients, and that of finest units the sum of rounded products.
    /// So if a price of few decimals costs the same but for a few units, then that is the average, without the rounding.
    pub(crate) fn average(&self, quantity: Amount, cost: Amount) -> Result<Amount, AmountError> {
        let quotient = self.price_of(quantity, cost)?;
        // At the ends of the range, or of a cost that is all slack, there is nothing to choose from.
        let Ok(Some((lowest, highest))) = self.prices_around(quantity, cost) else {
            return Ok(quotient);
        };
        let rounded = |places| quotient.mul_div_at(Amount::ONE, Amount::ONE, places).ok();
        let mut short = (0..=PRICE_DECIMALS).filter_map(rounded);
        Ok(short.find(|price| lowest <= *price && *price <= highest).unwrap_or(quotient))
    }

    /// The prices that cost the same but for a few units; none where cost and quantity are exact, or say too little.
    fn prices_around(&self, quantity: Amount, cost: Amount) -> Result<Option<Bounds>, AmountError> {
        let size = cost.abs();
        let (less, more) = (size.checked_sub(COST_SLACK)?, size.checked_add(COST_SLACK)?);
        if self.is_inverse() {
            return Ok(Some((self.price_of(quantity, more)?, self.price_of(quantity, less)?)));
        }
        if quantity.is_multiple_of(PRICE_STEP) {
            return Ok(None);
        }
        // A split may have left a part of a unit in the quantity as well.
        let lowest = self.price_of(quantity.checked_add(Amount::tiny(1))?, less)?;
        let highest = self.price_of(quantity.checked_sub(Amount::tiny(1))?, more)?;
        let is_narrow = highest.checked_sub(lowest)? < PRICE_STEP;
        let signed = if cost.is_negative() {
            (highest.negated(), lowest.negated())
        } else {
            (lowest, highest)
        };
        Ok(is_narrow.then_some(signed))
    }
}
