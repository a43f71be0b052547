//! What is traded, and on which terms.

use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;

/// Longest symbol or currency code, in bytes.
const CODE_LEN_MAX: usize = 32;

/// The terms of trading one instrument.
///
/// ```
/// use trading_host::market::Market;
///
/// let market = Market::bundled()?;
/// let euro = &market.instruments[0];
/// assert_eq!(euro.symbol.as_str(), "EURUSD");
/// assert_eq!(euro.quote.as_str(), "USD");
/// # Ok::<(), trading_host::market::MarketError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The name by which feed, venue and books know it.
    pub symbol: Symbol,
    /// What one unit is made of.
    pub base: Currency,
    /// Currency of its prices, fees and profit.
    pub quote: Currency,
    /// Every price is a multiple of this, in quote currency.
    pub price_step: Decimal,
    /// Every quantity is a multiple of this, in units.
    pub lot_step: Decimal,
    /// Quote currency gained by one unit when the price rises by one.
    pub multiplier: Decimal,
    /// Fee as a share of the traded value: 0.0005 is five basis points.
    pub fee_rate: Decimal,
}

/// The name of an instrument; cloning shares the text.
///
/// ```
/// use trading_host::market::Symbol;
///
/// let symbol = Symbol::new("EURUSD").unwrap();
/// assert_eq!(symbol.to_string(), "EURUSD");
/// assert_eq!(Symbol::new("EUR USD"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// A symbol of 1 to 32 visible ASCII characters, or `None`.
    pub fn new(text: &str) -> Option<Self> {
        is_code(text).then(|| Self(text.into()))
    }

    /// The symbol as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The code of a currency or other unit of account; cloning shares the text.
///
/// Codes that differ in case are different currencies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(Arc<str>);

impl Currency {
    /// A code of 1 to 32 visible ASCII characters, or `None`.
    pub fn new(text: &str) -> Option<Self> {
        is_code(text).then(|| Self(text.into()))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` can be printed, compared and keyed on without surprises.
fn is_code(text: &str) -> bool {
    (1..=CODE_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
