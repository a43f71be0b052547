//! Recorded prices become a stream of ticks.
//!
//! A market folder holds `instruments.csv` and one or more files of bars.
//! [`Market`] reads it whole, [`Recorded`] plays it, and [`Feed`] is all the host sees of either.
//!
//! # The form of a market folder
//!
//! | file | columns |
//! |---|---|
//! | `instruments.csv` | `symbol`, `base`, `quote`, `price_step`, `lot_step`, `multiplier`, `fee_rate` |
//! | `bars.csv`, any `*.bars.csv` | `time`, `symbol`, `open`, `high`, `low`, `close`, `volume`; optional `bid`, `ask`, `bid_size`, `ask_size` |
//!
//! Times are RFC 3339 in UTC, the start of the bar; rows of one file are sorted by time.
//! An empty field is unknown, never zero.
//! Numbers are decimals, with an exponent if need be (`1.00532E+11`); prices are rounded to the price step and the rounded are counted,
//! because many sources carry the noise of binary floats (`13.789999999999999`).
//! Whatever breaks these rules is refused by file, line, field, value and rule.
//!
//! # How a bar becomes a path
//!
//! A bar says where the price was, not when.
//! The path taken is open, then the extreme nearer to the open, then the other, then close:
//!
//! | tick | time | price |
//! |---|---|---|
//! | 1 | start | open |
//! | 2 | a quarter in | the nearer extreme; the low on a tie |
//! | 3 | half in | the other extreme |
//! | 4 | the last millisecond | close; completes the bar |
//!
//! A bar that knows only its close is one tick at its start, which completes it.

mod bar;
mod error;
mod feed;
mod instrument;
mod number;
mod read;
mod series;
mod table;

use std::path::Path;

pub use bar::{Bar, Tick};
#[expect(clippy::module_name_repetitions, reason = "the host imports it beside other errors")]
pub use error::MarketError;
pub use error::Rule;
pub use feed::{Feed, Recorded, Scripted};
pub use instrument::{Currency, Instrument, Symbol};
pub use series::Series;

/// Instruments and the bars recorded of them.
///
/// ```
/// use trading_host::market::Market;
///
/// let market = Market::bundled()?;
/// assert_eq!(market.instruments.len(), 21);
/// assert_eq!(market.bars.len(), 6_225 + 20 * 251);
/// # Ok::<(), trading_host::market::MarketError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// Terms of trading, in the order of `instruments.csv`.
    pub instruments: Vec<Instrument>,
    /// Every bar, sorted by start, then by instrument.
    pub bars: Vec<Bar>,
    /// How many prices of the files were not on their step and had to be rounded.
    pub rounded: u64,
}

impl Market {
    /// The year 2017 of EUR/USD by the hour and 20 US equities by the day.
    ///
    /// Its folder is part of the program; origin and licences stand in its NOTICE.
    ///
    /// # Errors
    /// As [`Market::read`], if the folder was changed before the build.
    pub fn bundled() -> Result<Self, MarketError> {
        read::bundled()
    }

    /// Read the market folder `dir`.
    ///
    /// # Errors
    /// [`MarketError`] names the file, line, field, value and the rule it breaks.
    pub fn read(dir: &Path) -> Result<Self, MarketError> {
        read::folder(dir)
    }

    /// What is known of each instrument that has bars, in instrument order.
    pub fn series(&self) -> Vec<Series> {
        series::of(self)
    }
}
