use std::{collections::VecDeque, time::Instant};

use crate::time;

/// Openings that are remembered: enough to see a breaker flap, and a bound.
const TRIPS_MAX: usize = 16;

/// One opening of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trip {
    /// When, by the caller's clock; `None` while nobody has told the time since.
    pub at: Option<Instant>,
    /// 0 for an opening after a close, else which reopening it was.
    pub open_attempt: u32,
}

/// The last openings, oldest first; costs nothing until the first of them.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a thin pointer: most breakers never open")]
pub(crate) struct History(Option<Box<VecDeque<Opening>>>);

/// The tick, if it is known, and the number of the reopening.
type Opening = (Option<i64>, u32);

impl History {
    pub(crate) fn push(&mut self, tick: Option<i64>, open_attempt: u32) {
        let trips = self.0.get_or_insert_default();
        if trips.len() == TRIPS_MAX {
            trips.pop_front();
        }
        trips.push_back((tick, open_attempt));
    }

    /// Dates the last opening, if nobody knew the time when it happened.
    pub(crate) fn date_last(&mut self, tick: i64) {
        if let Some((at @ None, _)) = self.0.as_mut().and_then(|trips| trips.back_mut()) {
            *at = Some(tick);
        }
    }

    pub(crate) fn trips(&self, origin: Option<Instant>) -> Vec<Trip> {
        let instant = |tick| origin.map(|origin| time::instant(origin, tick));
        let trips = self.0.iter().flat_map(|trips| trips.iter());
        trips
            .map(|(tick, open_attempt)| Trip {
                at: tick.and_then(instant),
                open_attempt: *open_attempt,
            })
            .collect()
    }
}
