//! Contracts that are traded, and the currencies of the books.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::amount::Amount;
use crate::error::{AmountError, Invalid};
use crate::name::{Currency, InstrumentId};
use crate::rules::{Contract, Method, Mode, Sequencing};
use crate::wide;

/// A contract: its value, its steps, its currencies, and how its positions are kept.
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
// In the order of the fields: what every fill reads comes first, in one line of memory.
#[repr(C)]
pub struct Instrument {
    multiplier: Amount,
    settlement: Currency,
    fee_places: u32,
    contract: Contract,
    method: Method,
    mode: Mode,
    sequencing: Sequencing,
    id: InstrumentId,
    base: Option<Currency>,
    quote: Currency,
    price_step: Amount,
    lot_step: Amount,
}

impl Instrument {
    /// A linear contract with a multiplier of one, settled in its quote currency.
    ///
    /// Netted, at average cost, in the order of arrival.
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
        Ok(Self {
            id,
            contract: Contract::Linear,
            base: None,
            settlement: quote.clone(),
            quote,
            price_step,
            lot_step,
            multiplier: Amount::ONE,
            fee_places: Amount::DECIMALS,
            method: Method::default(),
            mode: Mode::default(),
            sequencing: Sequencing::default(),
        })
    }

    /// Makes it a spot pair, of which `base` is delivered.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when base and quote are one currency, or the multiplier is not one.
    pub fn spot(mut self, base: Currency) -> Result<Self, Invalid> {
        if base == self.quote {
            return Err(Invalid::new("base", base, "differ from the quote currency"));
        }
        if self.multiplier != Amount::ONE {
            return Err(Invalid::new("multiplier", self.multiplier, "be 1 for a spot pair"));
        }
        (self.contract, self.base) = (Contract::Spot, Some(base));
        Ok(self)
    }

    /// Makes it an inverse contract, settled in `base`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when base and quote are one currency.
    pub fn inverse(mut self, base: Currency) -> Result<Self, Invalid> {
        if base == self.quote {
            return Err(Invalid::new("base", base, "differ from the quote currency"));
        }
        (self.contract, self.settlement, self.base) = (Contract::Inverse, base.clone(), Some(base));
        Ok(self)
    }

    /// Makes it a quanto contract, settled in a currency that is neither base nor quote.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the settlement currency is base or quote.
    pub fn quanto(mut self, settlement: Currency) -> Result<Self, Invalid> {
        if settlement == self.quote || self.base.as_ref() == Some(&settlement) {
            let rule = "be neither base nor quote of a quanto contract";
            return Err(Invalid::new("settlement", settlement, rule));
        }
        (self.contract, self.settlement) = (Contract::Quanto, settlement);
        Ok(self)
    }

    /// Names what is priced, where that is a currency.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it contradicts the settlement of an inverse or quanto contract, or is the quote of a spot pair.
    pub fn with_base(mut self, base: Currency) -> Result<Self, Invalid> {
        let rule = match self.contract {
            Contract::Spot if base == self.quote => "differ from the quote currency",
            Contract::Inverse if base != self.settlement => "be the settlement currency",
            Contract::Quanto if base == self.settlement => "differ from the settlement currency",
            _ => {
                self.base = Some(base);
                return Ok(self);
            }
        };
        Err(Invalid::new("base", base, rule))
    }

    /// Sets what one unit of quantity stands for.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is not above zero, or not 1 for a spot pair.
    pub fn with_multiplier(mut self, multiplier: Amount) -> Result<Self, Invalid> {
        Invalid::unless_positive("multiplier", multiplier)?;
        if self.contract == Contract::Spot && multiplier != Amount::ONE {
            return Err(Invalid::new("multiplier", multiplier, "be 1 for a spot pair"));
        }
        self.multiplier = multiplier;
        Ok(self)
    }

    /// Sets the decimals to which a share of a fee is rounded.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there are more than an amount has.
    pub fn with_fee_places(mut self, places: u32) -> Result<Self, Invalid> {
        if places > Amount::DECIMALS {
            return Err(Invalid::new("fee_places", places, "be at most 18"));
        }
        self.fee_places = places;
        Ok(self)
    }

    /// Sets which part of a position a closing fill takes first.
    #[must_use]
    pub const fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets whether buys and sells meet.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets in which order fills make a position.
    #[must_use]
    pub const fn with_sequencing(mut self, sequencing: Sequencing) -> Self {
        self.sequencing = sequencing;
        self
    }

    /// The venue's name of the contract.
    pub const fn id(&self) -> &InstrumentId {
        &self.id
    }

    /// How quantity and price make value.
    pub const fn contract(&self) -> Contract {
        self.contract
    }

    /// What is priced, where that is a currency.
    pub const fn base(&self) -> Option<&Currency> {
        self.base.as_ref()
    }

    /// The currency of its price.
    pub const fn quote(&self) -> &Currency {
        &self.quote
    }

    /// The currency of its value and profit.
    pub const fn settlement(&self) -> &Currency {
        &self.settlement
    }

    /// Limit prices of orders are whole multiples of this.
    pub const fn price_step(&self) -> Amount {
        self.price_step
    }

    /// Quantities of orders are whole multiples of this.
    pub const fn lot_step(&self) -> Amount {
        self.lot_step
    }

    /// The factor from quantity and price to value.
    pub const fn multiplier(&self) -> Amount {
        self.multiplier
    }

    /// Decimals to which a share of a fee is rounded.
    pub const fn fee_places(&self) -> u32 {
        self.fee_places
    }

    /// Which part of a position a closing fill takes first.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Whether buys and sells meet.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// In which order fills make a position.
    pub const fn sequencing(&self) -> Sequencing {
        self.sequencing
    }

    /// Whether a fee in this currency is taken out of the quantity: that of the base currency of a spot pair.
    #[inline]
    pub(crate) fn is_in_kind(&self, currency: &Currency) -> bool {
        self.contract == Contract::Spot && self.base.as_ref() == Some(currency)
    }

    /// The total value of an inverse contract is above zero, since its average divides by it.
    pub(crate) fn check_cost(&self, cost: Amount) -> Result<(), Invalid> {
        if self.is_inverse() { Invalid::unless_positive("cost", cost) } else { Ok(()) }
    }

    /// Whether the value falls when the price rises.
    pub const fn is_inverse(&self) -> bool {
        matches!(self.contract, Contract::Inverse)
    }

    /// The value of `quantity` at `price` in the settlement currency.
    ///
    /// Exact where 18 decimals hold it, else rounded half to even at the 18th decimal.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] out of range, [`AmountError::DivideByZero`] for an inverse contract at a price of zero.
    #[inline]
    pub fn value(&self, quantity: Amount, price: Amount) -> Result<Amount, AmountError> {
        if self.is_inverse() {
            return quantity.mul_div(self.multiplier, price);
        }
        if self.multiplier == Amount::ONE {
            return quantity.rounded_mul(price);
        }
        // At most one step rounds; mostly the first is exact, and cheap.
        match quantity.checked_mul(self.multiplier) {
            Ok(units) => units.rounded_mul(price),
            Err(_) => wide::product(quantity, self.multiplier, price),
        }
    }

    /// The price at which `quantity` is worth `value`: the inverse of [`Instrument::value`], rounded half to even.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when it is out of range, or there is nothing to divide by.
    pub fn price_of(&self, quantity: Amount, value: Amount) -> Result<Amount, AmountError> {
        if self.is_inverse() {
            return quantity.mul_div(self.multiplier, value);
        }
        match quantity.checked_mul(self.multiplier) {
            Ok(units) => value.mul_div(Amount::ONE, units),
            Err(_) => wide::quotient(value, quantity, self.multiplier),
        }
    }

    /// A price that a fill of this contract can have.
    #[inline]
    pub(crate) fn check_price(&self, field: &'static str, price: Amount) -> Result<(), Invalid> {
        if self.is_inverse() { Invalid::unless_positive(field, price) } else { Ok(()) }
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
    /// In the order they were added, which never changes: a number names a contract for ever.
    contracts: Vec<Instrument>,
    by_id: HashMap<InstrumentId, u32>,
    currencies: BTreeSet<Currency>,
}

impl Instruments {
    /// Takes the contracts; their currencies become known with them.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when two contracts have the same id.
    pub fn new(contracts: impl IntoIterator<Item = Instrument>) -> Result<Self, Invalid> {
        let mut known = Self::default();
        for contract in contracts {
            known.add(contract)?;
        }
        Ok(known)
    }

    /// Adds a contract, such as one that the venue has listed since.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when its id is taken; terms never change under positions that were booked on them.
    pub fn add(&mut self, contract: Instrument) -> Result<(), Invalid> {
        let number = u32::try_from(self.contracts.len())
            .map_err(|_full| Invalid::new("instrument", &contract.id, "be one of 4294967295"))?;
        if self.by_id.contains_key(&contract.id) {
            return Err(Invalid::new("instrument", &contract.id, "be listed once"));
        }
        let all = [Some(&contract.quote), Some(&contract.settlement), contract.base.as_ref()];
        self.currencies.extend(all.into_iter().flatten().cloned());
        self.by_id.insert(contract.id.clone(), number);
        self.contracts.push(contract);
        Ok(())
    }

    /// Adds a currency that no contract names: of fees, deposits or adjustments.
    #[must_use]
    pub fn with_currency(mut self, currency: Currency) -> Self {
        self.currencies.insert(currency);
        self
    }

    /// The contract of that name.
    pub fn find(&self, id: &InstrumentId) -> Option<&Instrument> {
        self.number(id).and_then(|number| self.at(number))
    }

    /// Whether the books may hold amounts of this currency.
    pub fn knows(&self, currency: &Currency) -> bool {
        self.currencies.contains(currency)
    }

    /// All contracts, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = &Instrument> {
        let mut sorted: Vec<_> = self.contracts.iter().collect();
        sorted.sort_unstable_by_key(|contract| &contract.id);
        sorted.into_iter()
    }

    pub(crate) fn number(&self, id: &InstrumentId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn at(&self, number: u32) -> Option<&Instrument> {
        self.contracts.get(usize::try_from(number).ok()?)
    }
}
