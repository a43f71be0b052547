//! Ticks in the order of time, one at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use backstop_clock::Timestamp;

use super::{Instrument, Market, Tick};

/// Where ticks come from: a record, a script, or one day a venue.
///
/// Times never go back from one tick to the next.
pub trait Feed: std::fmt::Debug + Send {
    /// The instruments, in the order that ticks count them by.
    fn instruments(&self) -> &[Instrument];

    /// The next tick; `None` at the end.
    fn next(&mut self) -> Option<Tick>;

    /// Time of the next tick; `None` at the end.
    fn peek_time(&self) -> Option<Timestamp>;

    /// How many bars the whole feed completes, seen or not.
    fn bars(&self) -> u64;
}

/// A market played from its first bar to its last.
///
/// Ticks are sorted by time, ties by instrument: the same market gives the same ticks.
/// It holds the bars under way, not the ticks to come, so its memory does not grow with the record.
///
/// ```
/// use std::sync::Arc;
/// use trading_host::market::{Feed, Market, Recorded};
///
/// let mut feed = Recorded::new(Arc::new(Market::bundled()?));
/// let first = feed.next().unwrap();
/// assert_eq!(feed.instruments()[first.instrument].symbol.as_str(), "EURUSD");
/// assert_eq!(first.ask.to_string(), "1.05236");
/// assert!(feed.peek_time() > Some(first.at));
/// # Ok::<(), trading_host::market::MarketError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorded {
    market: Arc<Market>,
    /// The first bar that has not begun.
    next_bar: usize,
    /// The next leg of each bar under way, earliest first.
    under_way: BinaryHeap<Reverse<Leg>>,
}

/// A tick to come; the order of fields is the order of play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Leg {
    at: Timestamp,
    instrument: usize,
    bar: usize,
    nth: u8,
}

impl Recorded {
    /// A feed at the beginning of `market`.
    pub fn new(market: Arc<Market>) -> Self {
        Self { market, next_bar: 0, under_way: BinaryHeap::new() }
    }

    fn push(&mut self, bar: usize, nth: u8) {
        let of = &self.market.bars[bar];
        let at = of.time_of(nth);
        self.under_way.push(Reverse(Leg { at, instrument: of.instrument, bar, nth }));
    }
}

impl Feed for Recorded {
    fn instruments(&self) -> &[Instrument] {
        &self.market.instruments
    }

    fn next(&mut self) -> Option<Tick> {
        // A bar that begins by then may hold the next tick.
        while let Some(bar) = self.market.bars.get(self.next_bar)
            && self.under_way.peek().is_none_or(|Reverse(leg)| bar.start <= leg.at)
        {
            self.push(self.next_bar, 0);
            self.next_bar += 1;
        }
        let Reverse(Leg { bar: place, nth, .. }) = self.under_way.pop()?;
        let bar = self.market.bars[place];
        if nth + 1 < bar.path_len() {
            self.push(place, nth + 1);
        }
        Some(bar.tick(nth, self.market.instruments[bar.instrument].price_step))
    }

    fn peek_time(&self) -> Option<Timestamp> {
        let to_begin = self.market.bars.get(self.next_bar).map(|bar| bar.start);
        let under_way = self.under_way.peek().map(|Reverse(leg)| leg.at);
        to_begin.into_iter().chain(under_way).min()
    }

    fn bars(&self) -> u64 {
        self.market.bars.len().try_into().unwrap_or(u64::MAX)
    }
}

/// Ticks written down beforehand, for tests.
#[derive(Clone, Debug)]
pub struct Scripted {
    instruments: Vec<Instrument>,
    ticks: VecDeque<Tick>,
    bars: u64,
}

impl Scripted {
    /// A feed of `ticks`, sorted by time; ticks of one time stay as given.
    pub fn new(instruments: Vec<Instrument>, mut ticks: Vec<Tick>) -> Self {
        ticks.sort_by_key(|tick| tick.at);
        let completing = ticks.iter().filter(|tick| tick.completes.is_some()).count();
        let bars = completing.try_into().unwrap_or(u64::MAX);
        Self { instruments, ticks: ticks.into(), bars }
    }
}

impl Feed for Scripted {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn next(&mut self) -> Option<Tick> {
        self.ticks.pop_front()
    }

    fn peek_time(&self) -> Option<Timestamp> {
        self.ticks.front().map(|tick| tick.at)
    }

    fn bars(&self) -> u64 {
        self.bars
    }
}
