//! The venue's clock: right on most days, ahead or behind on some, never going back.

use std::time::Duration;

use backstop_clock::Timestamp;

use crate::chance::Chance;

const DAY: Duration = Duration::from_hours(24);

/// Furthest that the clock is off.
const SKEW_MS_MAX: u64 = 1_500;

/// The venue's clock as a function of true time.
///
/// At midnight UTC it is set anew.
/// Set back, it stands still until the new day has caught up with the old one.
#[derive(Debug)]
pub(super) struct SkewedClock {
    chance: Chance,
    /// Days per million on which it is off.
    rate: u32,
    /// From here on it is right.
    end: Timestamp,
    /// When the day under way began.
    midnight: Timestamp,
    /// Milliseconds that it is ahead today.
    ahead_ms: i64,
    /// What it showed when yesterday ended.
    shown: Timestamp,
}

impl SkewedClock {
    /// The clock from the beginning of the first day of `span` to its end.
    pub(super) fn new(chance: Chance, rate: u32, span: (Timestamp, Timestamp)) -> Self {
        let into_day = span.0.as_millis().rem_euclid(day_ms());
        let midnight = Timestamp::from_millis(span.0.as_millis().saturating_sub(into_day));
        let shown = Timestamp::from_millis(i64::MIN);
        let mut clock = Self { chance, rate, end: span.1, midnight, ahead_ms: 0, shown };
        clock.ahead_ms = clock.drawn();
        clock
    }

    /// What the clock shows at a true time of the day under way.
    pub(super) fn reading(&self, now: Timestamp) -> Timestamp {
        shifted(now, self.ahead_ms).max(self.shown)
    }

    /// When the next day begins; none once the span is over.
    pub(super) fn next_day(&self) -> Option<Timestamp> {
        (self.midnight <= self.end).then(|| self.midnight.saturating_add(DAY))
    }

    /// Whether it is off today.
    pub(super) const fn is_skewed(&self) -> bool {
        self.ahead_ms != 0
    }

    /// Goes on to the next day.
    pub(super) fn turn_day(&mut self) {
        let midnight = self.midnight.saturating_add(DAY);
        self.shown = self.reading(midnight.saturating_sub(Duration::from_millis(1)));
        self.midnight = midnight;
        self.ahead_ms = if midnight > self.end { 0 } else { self.drawn() };
    }

    fn drawn(&self) -> i64 {
        let day = self.midnight.as_millis().to_be_bytes();
        if !self.chance.hits(self.rate, "skewed_day", day, 0) {
            return 0;
        }
        let off = self.chance.within(1..=SKEW_MS_MAX, "skew_ms", day, 0);
        let off = i64::try_from(off).unwrap_or(0);
        if self.chance.draw("skew_side", day, 0).is_multiple_of(2) { off } else { -off }
    }
}

fn day_ms() -> i64 {
    i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX)
}

fn shifted(at: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(ms))
}
