//! Times in which the venue lets nobody in.
//!
//! An outage begins with the first submit request after its planned moment, so that it is felt.
//! It ends at the later of its drawn length and the tenth submit request that it refused, but
//! after 24 hours at the latest.

use std::{collections::VecDeque, time::Duration};

use backstop_clock::Timestamp;

use crate::chance::Chance;

/// Shortest and longest outage, if the submit requests come.
const LENGTH_MS: std::ops::RangeInclusive<u64> = 300_000..=1_200_000;
const LENGTH_MAX: Duration = Duration::from_hours(24);

/// Submit requests that an outage refuses before it may end.
const REFUSALS_MIN: u32 = 10;

/// Outages to come, under way and over.
#[derive(Debug)]
pub(super) struct Outages {
    planned: VecDeque<Plan>,
    current: Option<Outage>,
    past: Vec<(Timestamp, Timestamp)>,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    from: Timestamp,
    length: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    start: Timestamp,
    length: Duration,
    refusals: u32,
    /// Known once it has refused enough.
    end: Option<Timestamp>,
}

impl Outages {
    /// Plans `count` outages, spread over `span`.
    pub(super) fn new(chance: Chance, count: u32, span: (Timestamp, Timestamp)) -> Self {
        let length_ms = u64::try_from(span.1.since(span.0).as_millis()).unwrap_or(u64::MAX);
        let gap_ms = length_ms / (u64::from(count) + 1);
        let planned = (1..=count).map(|number| {
            let key = number.to_be_bytes();
            let shift_ms = chance.within(0..=gap_ms / 4, "outage_from", key, 0);
            let from_ms = gap_ms.saturating_mul(u64::from(number)).saturating_add(shift_ms);
            let length_ms = chance.within(LENGTH_MS, "outage_length", key, 0);
            Plan {
                from: span.0.saturating_add(Duration::from_millis(from_ms)),
                length: Duration::from_millis(length_ms),
            }
        });
        Self { planned: planned.collect(), current: None, past: Vec::new() }
    }

    /// Whether a request that is not a submit is refused.
    pub(super) fn is_out(&mut self, now: Timestamp) -> bool {
        self.settle(now);
        self.current.is_some()
    }

    /// Whether a submit request is refused; it may be the one that an outage begins with.
    pub(super) fn refuses_submit(&mut self, now: Timestamp) -> bool {
        self.settle(now);
        if self.current.is_none()
            && let Some(plan) = self.planned.pop_front_if(|plan| plan.from <= now)
        {
            self.current = Some(Outage { start: now, length: plan.length, refusals: 0, end: None });
        }
        let Some(outage) = &mut self.current else { return false };
        outage.refusals = outage.refusals.saturating_add(1);
        if outage.refusals == REFUSALS_MIN {
            outage.end = Some(now.max(outage.start.saturating_add(outage.length)));
        }
        true
    }

    /// The number of the outage that began at this very request, counted from 1.
    pub(super) fn begun(&self) -> Option<u32> {
        let is_first = self.current.is_some_and(|outage| outage.refusals == 1);
        is_first.then(|| u32::try_from(self.past.len()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Start and end of each so far; the one under way has no end.
    pub(super) fn list(&mut self, now: Timestamp) -> Vec<(Timestamp, Option<Timestamp>)> {
        self.settle(now);
        let past = self.past.iter().map(|&(start, end)| (start, Some(end)));
        past.chain(self.current.map(|outage| (outage.start, None))).collect()
    }

    /// Closes the outage that is over by now.
    fn settle(&mut self, now: Timestamp) {
        let Some(outage) = self.current else { return };
        let latest = outage.start.saturating_add(LENGTH_MAX);
        let end = outage.end.map_or(latest, |end| end.min(latest));
        if end <= now {
            self.past.push((outage.start, end));
            self.current = None;
        }
    }
}
