//! Buys what fell far below its recent mean, sells what rose far above it.

use std::collections::VecDeque;
use std::time::Duration;

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

use super::{ConfigError, Strategy, Style, Target};
use crate::market::{Bar, Instrument};

const NAME: &str = "mean-reversion";

/// Widest window, in bars: sums of squares of 10^14 steps then fit an i128.
const WINDOW_MAX: usize = 200;

/// Furthest entry, in hundredths of a standard deviation.
const ENTRY_MAX: u32 = 500;

/// One instrument, in and out around its rolling mean.
///
/// The score of a close is its distance from the mean of the last `window` closes, its own
/// included, in population standard deviations of the same closes.
///
/// | state | score | becomes | order |
/// |---|---|---|---|
/// | flat | at or above entry | short | limit at the ask |
/// | flat | at or below minus entry | long | limit at the bid |
/// | short | at or below zero | flat | market |
/// | long | at or above zero | flat | market |
///
/// It enters patiently, because the spread is a good part of what it hopes to gain, and leaves
/// at once, because the reason to hold is gone.
#[derive(Clone, Debug)]
pub struct MeanReversion {
    instrument: usize,
    terms: Instrument,
    config: Config,
    /// The last closes in price steps, oldest first.
    closes: VecDeque<i128>,
    /// The target in force.
    wanted: Decimal,
}

/// Settings of a [`MeanReversion`].
///
/// | setting | default | reason |
/// |---|---|---|
/// | `window` | 24 bars | a day of hours |
/// | `entry_hundredths` | 150 | 1.5 deviations: rare enough to pay for the spread |
/// | `notional` | 50,000 | half a standard lot |
/// | `limit` | 100,000 units | a standard lot |
/// | `good_for` | 4 hours | an older entry is an answer to another question |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Closes in the mean, 2 to 200.
    pub window: usize,
    /// Score that enters, in hundredths of a standard deviation, 1 to 500.
    pub entry_hundredths: u32,
    /// Value of a position at its entry, in quote currency.
    pub notional: Decimal,
    /// Most units held, long or short.
    pub limit: Decimal,
    /// How long an entry may rest.
    pub good_for: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: 24,
            entry_hundredths: 150,
            notional: Decimal::from(50_000),
            limit: Decimal::from(100_000),
            good_for: Duration::from_hours(4),
        }
    }
}

/// How far a close is from the mean of its window.
#[derive(Clone, Copy, Debug)]
struct Score {
    /// Distance, in price steps times the number of closes.
    distance: i128,
    /// Variance, in squared price steps times the square of the number of closes.
    variance: i128,
}

impl MeanReversion {
    /// A strategy for the instrument at place `instrument`, traded on `terms`.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting, its value and the rule it breaks.
    pub fn new(instrument: usize, terms: Instrument, config: Config) -> Result<Self, ConfigError> {
        let refuse = |field, value: &dyn ToString, rule| {
            Err(ConfigError { strategy: NAME, field, value: value.to_string(), rule })
        };
        if !(2..=WINDOW_MAX).contains(&config.window) {
            return refuse("window", &config.window, "must be 2 to 200 bars");
        }
        if !(1..=ENTRY_MAX).contains(&config.entry_hundredths) {
            return refuse("entry_hundredths", &config.entry_hundredths, "must be 1 to 500");
        }
        if config.notional <= Decimal::ZERO {
            return refuse("notional", &config.notional, "must be above zero");
        }
        if config.limit < terms.lot_step {
            return refuse("limit", &config.limit, "must be at least one lot");
        }
        if config.good_for.is_zero() {
            return refuse("good_for", &"0", "must be above zero");
        }
        let closes = VecDeque::with_capacity(config.window);
        Ok(Self { instrument, terms, config, closes, wanted: Decimal::ZERO })
    }

    /// The score of the last close, once the window is full.
    fn score(&self) -> Option<Score> {
        if self.closes.len() < self.config.window {
            return None;
        }
        let count = i128::try_from(self.closes.len()).ok()?;
        // Differences to the oldest close are small where prices are large.
        let origin = *self.closes.front()?;
        let (mut sum, mut squares) = (0_i128, 0_i128);
        for close in &self.closes {
            let moved = close.checked_sub(origin)?;
            sum = sum.checked_add(moved)?;
            squares = squares.checked_add(moved.checked_mul(moved)?)?;
        }
        let last = self.closes.back()?.checked_sub(origin)?;
        Some(Score {
            distance: last.checked_mul(count)?.checked_sub(sum)?,
            variance: squares.checked_mul(count)?.checked_sub(sum.checked_mul(sum)?)?,
        })
    }

    /// The target that `bar` leads to, if it is another than before.
    fn decide(&self, bar: &Bar) -> Option<Target> {
        let score = self.score()?;
        if !self.wanted.is_zero() {
            let back = (self.wanted.is_sign_positive() && score.distance >= 0)
                || (self.wanted.is_sign_negative() && score.distance <= 0);
            return back.then(|| self.target(Decimal::ZERO, Style::Market));
        }
        if !score.reaches(self.config.entry_hundredths)? {
            return None;
        }
        let (bid, ask) = bar.quote(self.terms.price_step);
        let planned = super::units(&self.terms, self.config.notional, bar.close);
        let size = super::within(&self.terms, self.config.limit, planned);
        let (quantity, price) = if score.distance > 0 { (-size, ask) } else { (size, bid) };
        let style = Style::Limit { price, good_for: self.config.good_for };
        (!size.is_zero()).then(|| self.target(quantity, style))
    }

    fn target(&self, quantity: Decimal, style: Style) -> Target {
        Target { instrument: self.instrument, quantity, style }
    }
}

impl Strategy for MeanReversion {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_close(&mut self, _at: Timestamp, bars: &[Bar]) -> Vec<Target> {
        let mut targets = Vec::new();
        for bar in bars.iter().filter(|bar| bar.instrument == self.instrument) {
            let Some(close) = super::steps(bar.close, &self.terms) else { continue };
            if self.closes.len() == self.config.window {
                self.closes.pop_front();
            }
            self.closes.push_back(close);
            if let Some(target) = self.decide(bar) {
                self.wanted = target.quantity;
                targets.push(target);
            }
        }
        targets
    }
}

impl Score {
    /// Whether its size is `hundredths` of a standard deviation or more.
    ///
    /// Squared on both sides, so that no root is taken; `None` if a square does not fit, which
    /// takes prices beyond those of a market folder.
    fn reaches(self, hundredths: u32) -> Option<bool> {
        let distance = self.distance.checked_mul(100)?;
        let entry = i128::from(hundredths);
        let (reached, asked) = (
            distance.checked_mul(distance)?,
            self.variance.checked_mul(entry.checked_mul(entry)?)?,
        );
        // In a flat window both are zero.
        Some(reached >= asked && reached > 0)
    }
}
