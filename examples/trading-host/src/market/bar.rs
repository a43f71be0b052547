//! A recorded bar, and the ticks it stands for.

use std::time::Duration;

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

/// Ticks of a bar that has a range: open, one extreme, the other, close.
const PATH_LEN: u8 = 4;

/// One recorded span of trading in one instrument.
///
/// Prices are in quote currency, volume and sizes in units; `None` is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Place of the instrument in the market's list.
    pub instrument: usize,
    /// When the bar begins.
    pub start: Timestamp,
    /// When the next one may begin; `start` itself for a close-only bar.
    pub end: Timestamp,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Units traded.
    pub volume: Option<Decimal>,
    /// Best bid at the close.
    pub bid: Option<Decimal>,
    /// Best ask at the close.
    pub ask: Option<Decimal>,
    /// Units wanted at that bid.
    pub bid_size: Option<Decimal>,
    /// Units offered at that ask.
    pub ask_size: Option<Decimal>,
}

/// One moment of one instrument, as a strategy or a venue sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it happened.
    pub at: Timestamp,
    /// Place of the instrument in the feed's list.
    pub instrument: usize,
    /// Best bid, in quote currency.
    pub bid: Decimal,
    /// Best ask, in quote currency, at least the bid.
    pub ask: Decimal,
    /// Units wanted at the bid.
    pub bid_size: Option<Decimal>,
    /// Units offered at the ask.
    pub ask_size: Option<Decimal>,
    /// This tick's equal share of the units traded in its bar.
    pub liquidity: Option<Decimal>,
    /// The bar whose last tick this is.
    pub completes: Option<Bar>,
}

impl Bar {
    /// Whether all that is known is one price.
    pub fn is_close_only(&self) -> bool {
        self.volume.is_none() && self.high == self.low
    }

    /// Best bid and ask at the close.
    ///
    /// A side that was not recorded is one price step from the other.
    /// If neither was, the bar is of ask prices, as the bundled EUR/USD is.
    pub fn quote(&self, price_step: Decimal) -> (Decimal, Decimal) {
        match (self.bid, self.ask) {
            (Some(bid), Some(ask)) => (bid, ask),
            (Some(bid), None) => (bid, bid + price_step),
            (None, ask) => {
                let ask = ask.unwrap_or(self.close);
                ((ask - price_step).max(price_step), ask)
            }
        }
    }

    /// Number of ticks it stands for.
    pub(super) fn path_len(&self) -> u8 {
        if self.is_close_only() { 1 } else { PATH_LEN }
    }

    /// Time of the tick `nth`, counted from 0.
    pub(super) fn time_of(&self, nth: u8) -> Timestamp {
        let length = self.end.since(self.start);
        match nth {
            _ if self.is_close_only() => self.start,
            0 => self.start,
            1 => self.start.saturating_add(length / 4),
            2 => self.start.saturating_add(length / 2),
            _ => {
                let last = length.saturating_sub(Duration::from_millis(1));
                self.start.saturating_add(last)
            }
        }
    }

    /// The tick `nth`, counted from 0.
    pub(super) fn tick(&self, nth: u8, price_step: Decimal) -> Tick {
        let is_last = nth + 1 == self.path_len();
        let (mut bid, mut ask) = self.quote(price_step);
        if !is_last {
            // The spread of the close, around the price of this tick.
            let shift = self.price_of(nth) - self.close;
            bid = (bid + shift).max(price_step);
            ask = (ask + shift).max(bid);
        }
        Tick {
            at: self.time_of(nth),
            instrument: self.instrument,
            bid,
            ask,
            bid_size: self.bid_size.filter(|_| is_last),
            ask_size: self.ask_size.filter(|_| is_last),
            liquidity: self.volume.map(|volume| volume / Decimal::from(self.path_len())),
            completes: is_last.then_some(*self),
        }
    }

    /// Price of the tick `nth` that is not the last.
    fn price_of(&self, nth: u8) -> Decimal {
        let low_first = self.open - self.low <= self.high - self.open;
        match (nth, low_first) {
            (0, _) => self.open,
            (1, true) | (2, false) => self.low,
            (1, false) | (2, true) => self.high,
            _ => self.close,
        }
    }
}
