//! Time as the machine sees it: nanoseconds from an origin, so that an atomic can hold it.

use std::time::{Duration, Instant};

/// One reading of a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Nanoseconds from the breaker's origin, negative before it.
    pub(crate) tick: i64,
    instant: Instant,
}

impl Moment {
    #[inline]
    pub(crate) fn new(origin: Instant, instant: Instant) -> Self {
        Self { tick: tick(origin, instant), instant }
    }

    /// The moment that lies at `tick`, which is not after this one.
    pub(crate) fn back_to(self, tick: i64) -> Self {
        let instant = self.instant.checked_sub(left(self.tick, tick)).unwrap_or(self.instant);
        Self { tick, instant }
    }

    pub(crate) const fn instant(self) -> Instant {
        self.instant
    }
}

/// What is known of the present.
///
/// Reading the time costs more than all the rest, so nobody reads it before it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now {
    /// Not read yet; the machine answers `NeedsTime`, unchanged, if it cannot go on without.
    Unread,
    At(Moment),
    /// Cannot be read: the permit was dropped by a panic, and there is no clock to ask.
    Unreadable,
}

impl Now {
    pub(crate) const fn tick(self) -> Option<i64> {
        match self {
            Self::At(moment) => Some(moment.tick),
            Self::Unread | Self::Unreadable => None,
        }
    }

    pub(crate) const fn instant(self) -> Option<Instant> {
        match self {
            Self::At(moment) => Some(moment.instant()),
            Self::Unread | Self::Unreadable => None,
        }
    }
}

/// From `origin` to `instant`; what does not fit 292 years is 292 years.
#[inline]
pub(crate) fn tick(origin: Instant, instant: Instant) -> i64 {
    match instant.checked_duration_since(origin) {
        Some(after) => nanos(after),
        None => -nanos(origin.saturating_duration_since(instant)),
    }
}

#[inline]
pub(crate) const fn nanos(duration: Duration) -> i64 {
    const NANOS: u64 = 1_000_000_000;
    /// As many as fit with any part of a second beside them.
    const SECONDS_MAX: u64 = i64::MAX.cast_unsigned() / NANOS - 1;
    let seconds = duration.as_secs();
    if seconds > SECONDS_MAX {
        return i64::MAX;
    }
    (seconds * NANOS + duration.subsec_nanos() as u64).cast_signed()
}

/// The way from `tick` to `until`; zero if it is behind.
#[inline]
pub(crate) fn left(until: i64, tick: i64) -> Duration {
    Duration::from_nanos(u64::try_from(until.saturating_sub(tick)).unwrap_or(0))
}

/// The instant at `tick`; a clock that cannot express it gives its origin.
pub(crate) fn instant(origin: Instant, tick: i64) -> Instant {
    let moved = match u64::try_from(tick) {
        Ok(after) => origin.checked_add(Duration::from_nanos(after)),
        Err(_) => origin.checked_sub(Duration::from_nanos(tick.unsigned_abs())),
    };
    moved.unwrap_or(origin)
}
