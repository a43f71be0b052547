//! The venue's events: numbered without gaps, delivered with the faults of their delivery.

use std::time::Duration;

use backstop_clock::Timestamp;

use crate::chance::Chance;
use crate::faults::{EventFault, EventRates};
use crate::venue::{Delivery, Event, EventPage};

/// Most deliveries of one page; who wants more asks again.
const PAGE_LEN_MAX: usize = 500;

/// How long a delayed event stays away.
const DELAY_MS: std::ops::RangeInclusive<u64> = 1_000..=2_000;

/// Everything that happened, in that order.
#[derive(Debug)]
pub(super) struct EventLog {
    chance: Chance,
    rates: EventRates,
    /// The event numbered n stands at n - 1.
    rows: Vec<Row>,
}

/// A fault, and the number of the event that it befell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) fault: EventFault,
    pub(super) sequence: u64,
}

#[derive(Clone, Debug)]
struct Row {
    symbol: String,
    /// True time at which it happened.
    happened: Timestamp,
    /// By the venue's clock.
    at: Timestamp,
    /// True time from which it is delivered.
    visible: Timestamp,
    payload: Vec<u8>,
    fault: Option<EventFault>,
    /// Whether a page has had it; kept for events whose first delivery differs.
    delivered: bool,
}

impl Row {
    fn is_visible(&self, now: Timestamp) -> bool {
        self.fault != Some(EventFault::Dropped) && self.visible <= now
    }

    /// Whether the next delivery is the one that goes wrong.
    fn is_pending(&self, fault: EventFault) -> bool {
        self.fault == Some(fault) && !self.delivered
    }

    fn differs_at_first(&self) -> bool {
        self.is_pending(EventFault::Malformed) || self.is_pending(EventFault::OutOfOrder)
    }
}

impl EventLog {
    pub(super) const fn new(chance: Chance, rates: EventRates) -> Self {
        Self { chance, rates, rows: Vec::new() }
    }

    /// The last number given.
    pub(super) fn head(&self) -> u64 {
        sequence(self.rows.len())
    }

    /// Numbers an event, and tells the fault that shows at once.
    pub(super) fn append(
        &mut self,
        now: Timestamp,
        at: Timestamp,
        symbol: &str,
        event: &Event,
    ) -> Option<Hit> {
        // An event is made of strings, numbers as strings and integers, all of which JSON can say.
        let payload = serde_json::to_vec(event).unwrap_or_default();
        let number = self.head() + 1;
        let fault = self.rates.draw(self.chance, number);
        let mut row = Row {
            symbol: symbol.to_owned(),
            happened: now,
            at,
            visible: now,
            payload,
            fault,
            delivered: false,
        };
        if fault == Some(EventFault::Delayed) {
            let delay_ms = self.chance.within(DELAY_MS, "delay_ms", number.to_be_bytes(), 0);
            row.visible = now.saturating_add(Duration::from_millis(delay_ms));
        }
        self.rows.push(row.clone());
        if fault == Some(EventFault::Duplicate) {
            // The copy is free of faults, so that every duplicate is seen.
            self.rows.push(Row { fault: None, ..row });
        }
        let shows_later = [EventFault::Malformed, EventFault::OutOfOrder];
        fault
            .filter(|fault| !shows_later.contains(fault))
            // What a duplicate hits is the copy.
            .map(|fault| Hit {
                fault,
                sequence: number + u64::from(fault == EventFault::Duplicate),
            })
    }

    /// When each happened.
    pub(super) fn times(&self) -> Vec<Timestamp> {
        self.rows.iter().map(|row| row.happened).collect()
    }

    /// Trades that nobody will hear of as an event.
    pub(super) fn dropped_trades(&self) -> Vec<String> {
        let dropped = self.rows.iter().filter(|row| row.fault == Some(EventFault::Dropped));
        let trade_of = |row: &Row| match serde_json::from_slice(&row.payload) {
            Ok(Event::Filled { trade }) => Some(trade.trade_id),
            _ => None,
        };
        dropped.filter_map(trade_of).collect()
    }

    /// Whether the page after `after` delivers something for the first time that differs then.
    pub(super) fn page_changes(&self, now: Timestamp, after: u64) -> bool {
        self.places(now, after).iter().any(|&place| self.rows[place].differs_at_first())
    }

    /// The page after `after`, and the faults that show on it.
    pub(super) fn page(&mut self, now: Timestamp, after: u64) -> (EventPage, Vec<Hit>) {
        let mut places = self.places(now, after);
        let mut hits = Vec::new();
        let mut nth = 0;
        while nth + 1 < places.len() {
            if self.rows[places[nth]].is_pending(EventFault::OutOfOrder) {
                hits.push(Hit {
                    fault: EventFault::OutOfOrder,
                    sequence: sequence(places[nth] + 1),
                });
                places.swap(nth, nth + 1);
                // Swapped on, it would go further back than by one.
                nth += 1;
            }
            nth += 1;
        }
        let deliveries = places.iter().map(|&place| {
            let row = &mut self.rows[place];
            let mut payload = row.payload.clone();
            if row.is_pending(EventFault::Malformed) {
                payload.truncate(payload.len() / 2);
                hits.push(Hit { fault: EventFault::Malformed, sequence: sequence(place + 1) });
            }
            row.delivered = true;
            Delivery {
                sequence: sequence(place + 1),
                symbol: row.symbol.clone(),
                at: row.at,
                payload,
            }
        });
        let deliveries = deliveries.collect();
        (EventPage { deliveries, head: self.head() }, hits)
    }

    /// Places of the events on the page after `after`, in the order of their numbers.
    fn places(&self, now: Timestamp, after: u64) -> Vec<usize> {
        let first = usize::try_from(after).unwrap_or(usize::MAX).min(self.rows.len());
        (first..self.rows.len())
            .filter(|&place| self.rows[place].is_visible(now))
            .take(PAGE_LEN_MAX)
            .collect()
    }
}

fn sequence(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
