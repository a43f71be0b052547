//! Contracts that are traded, and the currencies of the books.

use std::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::error::{AmountError, Invalid};
use crate::name::{Currency, InstrumentId};

/// A linear contract, settled in its quote currency.
///
/// Its value is `quantity * price * multiplier` in the quote currency.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::{Amount, Currency, Instrument, InstrumentId};
///
/// let id = InstrumentId::new("EUR/USD")?;
/// let steps = ("0.00001".parse()?, Amount::from_int(1000));
/// let instrument = Instrument::new(id, Currency::new("USD")?, steps.0, steps.1)?;
/// assert_eq!(instrument.multiplier(), Amount::ONE);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    id: InstrumentId,
    quote: Currency,
    price_step: Amount,
    lot_step: Amount,
    multiplier: Amount,
}

impl Instrument {
    /// A contract with a multiplier of one.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when a step is not above zero.
    pub fn new(
        id: InstrumentId,
        quote: Currency,
        price_step: Amount,
        lot_step: Amount,
    ) -> Result<Self, Invalid> {
        Invalid::unless_positive("price_step", price_step)?;
        Invalid::unless_positive("lot_step", lot_step)?;
        Ok(Self { id, quote, price_step, lot_step, multiplier: Amount::ONE })
    }

    /// Sets what one unit of quantity stands for.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is not above zero.
    pub fn with_multiplier(mut self, multiplier: Amount) -> Result<Self, Invalid> {
        Invalid::unless_positive("multiplier", multiplier)?;
        self.multiplier = multiplier;
        Ok(self)
    }

    /// The venue's name of the contract.
    pub const fn id(&self) -> &InstrumentId {
        &self.id
    }

    /// The currency of its price, in which it settles.
    pub const fn quote(&self) -> &Currency {
        &self.quote
    }

    /// Limit prices of orders are whole multiples of this.
    pub const fn price_step(&self) -> Amount {
        self.price_step
    }

    /// Quantities of orders are whole multiples of this.
    pub const fn lot_step(&self) -> Amount {
        self.lot_step
    }

    /// The factor from `quantity * price` to value.
    pub const fn multiplier(&self) -> Amount {
        self.multiplier
    }

    /// The value of `quantity` at `price`, exact, in the quote currency.
    ///
    /// # Errors
    ///
    /// [`AmountError::Inexact`] beyond 18 decimals, [`AmountError::Overflow`] out of range.
    pub fn value(&self, quantity: Amount, price: Amount) -> Result<Amount, AmountError> {
        self.units(quantity)?.checked_mul(price)
    }

    /// The value of `quantity` at a mark, rounded half to even at the 18th decimal.
    pub(crate) fn marked(&self, quantity: Amount, mark: Amount) -> Result<Amount, AmountError> {
        self.units(quantity)?.mul_div(mark, Amount::ONE)
    }

    /// `quantity * multiplier`.
    pub(crate) fn units(&self, quantity: Amount) -> Result<Amount, AmountError> {
        if self.multiplier == Amount::ONE {
            Ok(quantity)
        } else {
            quantity.checked_mul(self.multiplier)
        }
    }
}

/// The contracts and currencies that the books know.
///
/// # Examples
///
/// ```
/// # use backstop_position_ledger::{Amount, Currency, Instrument, InstrumentId, Instruments};
/// let spot = Instrument::new(InstrumentId::new("BTC-USDT")?, Currency::new("USDT")?, Amount::ONE, Amount::ONE)?;
/// let known = Instruments::new([spot])?.with_currency(Currency::new("BNB")?);
/// assert!(known.knows(&Currency::new("USDT")?) && known.knows(&Currency::new("BNB")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruments {
    by_id: BTreeMap<InstrumentId, Instrument>,
    currencies: BTreeSet<Currency>,
}

impl Instruments {
    /// Takes the contracts; their quote currencies become known with them.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when two contracts have the same id.
    pub fn new(contracts: impl IntoIterator<Item = Instrument>) -> Result<Self, Invalid> {
        let mut known = Self::default();
        for contract in contracts {
            known.currencies.insert(contract.quote.clone());
            if let Some(former) = known.by_id.insert(contract.id.clone(), contract) {
                return Err(Invalid::new("instrument", former.id, "be listed once"));
            }
        }
        Ok(known)
    }

    /// Adds a currency that is no quote: of fees, deposits or adjustments.
    #[must_use]
    pub fn with_currency(mut self, currency: Currency) -> Self {
        self.currencies.insert(currency);
        self
    }

    /// The contract of that name.
    pub fn find(&self, id: &InstrumentId) -> Option<&Instrument> {
        self.by_id.get(id)
    }

    /// Whether the books may hold amounts of this currency.
    pub fn knows(&self, currency: &Currency) -> bool {
        self.currencies.contains(currency)
    }

    /// All contracts, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = &Instrument> {
        self.by_id.values()
    }
}
