//! How long the way to the venue takes, in simulated time.

use std::{ops::RangeInclusive, time::Duration};

use backstop_clock::{Clock, Sleep};

use crate::{chance::Chance, runtime::SimClock};

/// What changes something takes longer than what only reads.
const WRITE_MS: RangeInclusive<u64> = 20..=80;
const READ_MS: RangeInclusive<u64> = 5..=20;

/// Lets the time of a call pass, drawn from what the call is about and when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    chance: Chance,
    clock: SimClock,
}

impl Latency {
    pub(crate) const fn new(chance: Chance, clock: SimClock) -> Self {
        Self { chance, clock }
    }

    /// Where the time is read and spent.
    pub(crate) const fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// A submit or cancel.
    pub(crate) async fn write(&self, key: &[u8]) {
        self.pass(WRITE_MS, key).await;
    }

    /// Any other request.
    pub(crate) async fn read(&self) {
        self.pass(READ_MS, &[]).await;
    }

    async fn pass(&self, range: RangeInclusive<u64>, key: &[u8]) {
        let moment = self.clock.now().as_millis().cast_unsigned();
        let ms = self.chance.within(range, "latency_ms", key, moment);
        self.clock.sleep(Duration::from_millis(ms)).await;
    }
}
