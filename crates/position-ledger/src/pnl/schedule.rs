//! When snapshots are due, by the clock of the caller.

use std::time::Duration;

use backstop_clock::Timestamp;

use super::Kind;
use crate::error::Invalid;

const DAY: Duration = Duration::from_hours(24);

/// Says when a snapshot is due: every so often, and at the end of each day.
///
/// It reads no clock.
/// After a pause one snapshot is due and not all that were missed, since they would all say the same.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::Timestamp;
/// use backstop_position_ledger::pnl::{Kind, Schedule};
///
/// let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
/// let mut schedule = Schedule::new(Duration::from_secs(60), at(0))?.with_day_end(Duration::from_secs(100));
/// assert_eq!(schedule.due(at(59)), None);
/// assert_eq!(schedule.due(at(60)), Some(Kind::Periodic));
/// assert_eq!(schedule.due(at(60)), None);
/// assert_eq!(schedule.due(at(100)), Some(Kind::EndOfDay));
/// # Ok::<(), backstop_position_ledger::error::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    every: Duration,
    next: Timestamp,
    /// The end of a day, counted from midnight UTC, and the next one.
    day_end: Option<(Duration, Timestamp)>,
    start: Timestamp,
}

impl Schedule {
    /// A snapshot after every such time, the first one that long after `start`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the time is less than a millisecond, which is the step of the clock.
    pub fn new(every: Duration, start: Timestamp) -> Result<Self, Invalid> {
        if every < Duration::from_millis(1) {
            let given = format!("{every:?}");
            return Err(Invalid::new("every", given, "be at least a millisecond"));
        }
        Ok(Self { every, next: after(start, every), day_end: None, start })
    }

    /// Ends each day this long after midnight UTC; what is beyond a day is cut off.
    #[must_use]
    pub fn with_day_end(mut self, after_midnight: Duration) -> Self {
        let offset =
            Duration::from_millis(millis(after_midnight).rem_euclid(millis(DAY)).cast_unsigned());
        self.day_end = Some((offset, next_end(self.start, offset)));
        self
    }

    /// The snapshot that is due now, which is then taken for done.
    ///
    /// The end of the day comes before the interval, and is no reason to skip it.
    pub fn due(&mut self, now: Timestamp) -> Option<Kind> {
        if let Some((offset, end)) = &mut self.day_end
            && *end <= now
        {
            *end = next_end(now, *offset);
            return Some(Kind::EndOfDay);
        }
        if self.next > now {
            return None;
        }
        // On the grid of the interval, so that late calls do not shift those after them.
        let late = now.as_millis().saturating_sub(self.next.as_millis());
        let missed = late.checked_div(millis(self.every)).unwrap_or(0).saturating_add(1);
        let step = millis(self.every).saturating_mul(missed);
        self.next = Timestamp::from_millis(self.next.as_millis().saturating_add(step));
        Some(Kind::Periodic)
    }

    /// When the next snapshot is due.
    pub fn next(&self) -> Timestamp {
        self.day_end.map_or(self.next, |(_, end)| end.min(self.next))
    }
}

/// A length in milliseconds; the longest there is, if it is longer.
fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn after(start: Timestamp, length: Duration) -> Timestamp {
    Timestamp::from_millis(start.as_millis().saturating_add(millis(length)))
}

/// The first end of a day after `now`.
fn next_end(now: Timestamp, offset: Duration) -> Timestamp {
    let midnight = now.as_millis().saturating_sub(now.as_millis().rem_euclid(millis(DAY)));
    let today = Timestamp::from_millis(midnight.saturating_add(millis(offset)));
    if today > now { today } else { after(today, DAY) }
}
