//! From prices to the positions that are wanted.
//!
//! A [`Strategy`] sees completed bars and says which position it wants; the desk turns the
//! difference to what is held into an order.
//! What a strategy says depends on the bars it saw and on nothing else: it knows no clock,
//! no fills and no chance, so that a host that starts again shows it the past and finds it
//! in the same state.
//! All of it is integer and decimal arithmetic.
//!
//! [`strategies_for`] chooses what to run on a market by how often each instrument is quoted:
//!
//! | bars | strategy |
//! |---|---|
//! | shorter than 20 hours | [`MeanReversion`], one per instrument |
//! | longer, four or more of one length and quote currency | [`CrossSection`] of them |
//! | longer, fewer than that | [`MeanReversion`], one per instrument |

pub mod cross_section;
pub mod mean_reversion;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Class, Classify, Kind};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::market::{Bar, Instrument, Series};
use cross_section::{CrossSection, Member};
use mean_reversion::MeanReversion;

/// Bars at least this long count as daily: where clocks change, one day of the year has 23 hours.
const DAILY: Duration = Duration::from_hours(20);

/// Fewest instruments worth ranking: two to buy and two to sell.
const RANKED_MIN: usize = 4;

/// Value of an intraday position, in quote currency; half a standard lot of EUR/USD.
const INTRADAY_NOTIONAL: Decimal = Decimal::from_parts(50_000, 0, 0, false, 0);

/// Value of one position of a cross-section, in quote currency; ten of them make 100,000.
const RANKED_NOTIONAL: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

/// Fewest lots a position is planned with.
///
/// It matters where a lot is dear or the quote currency small, and the amounts above buy nothing.
const LOTS_MIN: Decimal = Decimal::TEN;

/// Says which positions are wanted, bar by bar.
///
/// A target holds until the strategy names another for the same instrument;
/// a call that changes nothing returns none.
pub trait Strategy: fmt::Debug + Send {
    /// A short fixed name for reports.
    fn name(&self) -> &'static str;

    /// Take in `bars`, all those that completed at `at`, and say what changes.
    ///
    /// Bars come in the order of time, each once; those of other instruments are ignored.
    fn on_close(&mut self, at: Timestamp, bars: &[Bar]) -> Vec<Target>;
}

/// Strategies that run side by side.
pub type Strategies = Vec<Box<dyn Strategy>>;

/// The position wanted in one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Place of the instrument in the market's list.
    pub instrument: usize,
    /// Units wanted in all, a multiple of the lot step; negative is short.
    pub quantity: Decimal,
    /// How to get there.
    pub style: Style,
}

/// How the order for a target is to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// At once, at the best price there is.
    Market,
    /// At this price or better, resting in the book until then.
    Limit {
        /// Worst price accepted, in quote currency.
        price: Decimal,
        /// How long the order may rest.
        good_for: Duration,
    },
}

/// A setting with which a strategy cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{strategy}: {field} is {value}: {rule}")]
pub struct ConfigError {
    /// Name of the strategy.
    pub strategy: &'static str,
    /// Name of the setting.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it must be.
    pub rule: &'static str,
}

impl Classify for ConfigError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}

/// The strategies that suit a market, in the order of their first instrument.
///
/// ```
/// use trading_host::market::Market;
/// use trading_host::strategy::strategies_for;
///
/// let market = Market::bundled().unwrap();
/// let strategies = strategies_for(&market.instruments, &market.series())?;
/// let names: Vec<_> = strategies.iter().map(|strategy| strategy.name()).collect();
/// assert_eq!(names, ["mean-reversion", "cross-section"]);
/// # Ok::<(), trading_host::strategy::ConfigError>(())
/// ```
///
/// Positions are planned at 50,000 of quote currency for mean reversion and at 10,000 for each
/// name of a cross-section, or at ten lots where those cost more; limits are twice that, by the
/// price of the first bar.
///
/// # Errors
/// [`ConfigError`] if the terms of an instrument leave no room for a position.
///
/// # Panics
/// If `series` names an instrument that is not in `instruments`.
pub fn strategies_for(
    instruments: &[Instrument],
    series: &[Series],
) -> Result<Strategies, ConfigError> {
    let mut groups: BTreeMap<_, Vec<Series>> = BTreeMap::new();
    for series in series.iter().filter(|series| series.length >= DAILY) {
        let quote = &instruments[series.instrument].quote;
        groups.entry((quote, series.length)).or_default().push(*series);
    }
    groups.retain(|_, group| group.len() >= RANKED_MIN);

    let mut chosen: BTreeMap<usize, Box<dyn Strategy>> = BTreeMap::new();
    for group in groups.values() {
        chosen.insert(group[0].instrument, Box::new(ranked(instruments, group)?));
    }
    for series in series {
        let instrument = &instruments[series.instrument];
        if !groups.contains_key(&(&instrument.quote, series.length)) {
            chosen.insert(series.instrument, Box::new(alone(instrument, series)?));
        }
    }
    Ok(chosen.into_values().collect())
}

fn alone(instrument: &Instrument, series: &Series) -> Result<MeanReversion, ConfigError> {
    let notional = INTRADAY_NOTIONAL.max(least_notional(instrument, series)?);
    let config = mean_reversion::Config {
        notional,
        limit: limit(instrument, notional, series.first_close),
        // An entry is given four bars: by then the score that asked for it is another.
        good_for: series.length.saturating_mul(4),
        ..mean_reversion::Config::default()
    };
    MeanReversion::new(series.instrument, instrument.clone(), config)
}

fn ranked(instruments: &[Instrument], group: &[Series]) -> Result<CrossSection, ConfigError> {
    let mut notional = RANKED_NOTIONAL;
    for series in group {
        notional = notional.max(least_notional(&instruments[series.instrument], series)?);
    }
    let members = group.iter().map(|series| {
        let terms = instruments[series.instrument].clone();
        let limit = limit(&terms, notional, series.first_close);
        Member { instrument: series.instrument, terms, limit }
    });
    let config = cross_section::Config {
        notional,
        // A quarter bought, a quarter sold: the half between has no opinion.
        names_per_side: group.len() / 4,
        ..cross_section::Config::default()
    };
    CrossSection::new(members.collect(), config)
}

/// Value of the fewest lots a position is planned with, in quote currency.
fn least_notional(terms: &Instrument, series: &Series) -> Result<Decimal, ConfigError> {
    let value = lot_value(terms, series.first_close).and_then(|lot| lot.checked_mul(LOTS_MIN));
    value.ok_or_else(|| ConfigError {
        strategy: "any",
        field: "lot_step",
        value: format!("{} of {}", terms.lot_step, terms.symbol),
        rule: "ten lots must be worth less than 10^28 of quote currency",
    })
}

/// Whole lots worth at most twice the planned value, at the first price.
fn limit(terms: &Instrument, notional: Decimal, price: Decimal) -> Decimal {
    units(terms, notional.saturating_mul(Decimal::TWO), price)
}

/// Whole lots worth at most `notional` at `price`, in units.
fn units(terms: &Instrument, notional: Decimal, price: Decimal) -> Decimal {
    let lots = lot_value(terms, price).and_then(|lot| notional.checked_div(lot));
    lots.and_then(|lots| lots.floor().checked_mul(terms.lot_step)).unwrap_or_default()
}

/// Value of one lot, in quote currency; `None` if it is too large for a decimal.
fn lot_value(terms: &Instrument, price: Decimal) -> Option<Decimal> {
    terms.lot_step.checked_mul(price)?.checked_mul(terms.multiplier)
}

/// The most that `limit` allows of `units`, in whole lots.
fn within(terms: &Instrument, limit: Decimal, units: Decimal) -> Decimal {
    units.min(limit - limit % terms.lot_step)
}

/// A price as a count of price steps; `None` if it is none of the kind a market folder allows.
fn steps(price: Decimal, terms: &Instrument) -> Option<i128> {
    price.checked_div(terms.price_step)?.round().to_i128()
}
