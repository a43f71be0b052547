//! What can be said of an instrument's bars as a whole.

use std::time::Duration;

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

use super::Market;

/// Length given to the bar of a symbol that has only one: there is no gap to measure.
const LONE_BAR: Duration = Duration::from_hours(1);

/// How often an instrument is quoted, and where its prices begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Place of the instrument in the market's list.
    pub instrument: usize,
    /// Smallest gap between the starts of two neighbouring bars.
    ///
    /// One hour if there is only one bar.
    pub length: Duration,
    /// Close of the first bar, in quote currency.
    pub first_close: Decimal,
}

/// The series of each instrument that has bars, in instrument order.
pub(super) fn of(market: &Market) -> Vec<Series> {
    let count = market.instruments.len();
    let mut closes = vec![None; count];
    for bar in &market.bars {
        closes[bar.instrument].get_or_insert(bar.close);
    }
    let lengths = lengths(count, market.bars.iter().map(|bar| (bar.instrument, bar.start)));
    let known = closes.into_iter().zip(lengths).enumerate();
    known
        .filter_map(|(instrument, (close, length))| {
            close.map(|first_close| Series { instrument, length, first_close })
        })
        .collect()
}

/// The bar length of each of `count` instruments, from starts that are sorted by time.
pub(super) fn lengths(
    count: usize,
    starts: impl Iterator<Item = (usize, Timestamp)>,
) -> Vec<Duration> {
    let mut last = vec![None; count];
    let mut gaps: Vec<Option<Duration>> = vec![None; count];
    for (instrument, start) in starts {
        if let Some(before) = last[instrument].replace(start) {
            let gap = start.since(before);
            gaps[instrument] = Some(gaps[instrument].map_or(gap, |least| least.min(gap)));
        }
    }
    gaps.into_iter().map(|gap| gap.unwrap_or(LONE_BAR)).collect()
}
