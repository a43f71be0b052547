//! What there is to read of a breaker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Breaker, Counts, Policy, State, Totals, Trip, state::Machine, tally::Counted, time::left,
};

impl Breaker {
    /// The verdicts that the state judges by.
    ///
    /// `now` is read only where verdicts are counted by time.
    pub fn counts(&self, now: impl FnOnce() -> Instant) -> Counts {
        let gate = self.gate();
        let tick = gate.word().is_sliced().then(|| gate.moment(now()).tick);
        let (counts, stale) = gate.locked(|machine| {
            if let Some(tick) = tick {
                machine.roll(tick);
            }
            machine.counts()
        });
        self.count_stale(stale);
        counts
    }

    /// What happened since the breaker was made.
    pub fn totals(&self) -> Totals {
        let gate = self.gate();
        let (opened, reclaimed) = self.read(|machine| (machine.opened(), machine.reclaimed()));
        Totals {
            rejected: gate.total(Counted::Rejected),
            would_reject: gate.total(Counted::WouldReject),
            prioritized: gate.total(Counted::Prioritized),
            opened: opened.into(),
            stale: gate.total(Counted::Stale),
            reclaimed,
        }
    }

    /// Reopenings since the last close: 0 for the first opening, then 1, 2, ...
    pub fn open_attempt(&self) -> u32 {
        self.read(Machine::open_attempt)
    }

    /// Probes that have not ended yet.
    pub fn probes_in_flight(&self) -> u32 {
        self.read(Machine::in_flight)
    }

    /// The rest of the open time; `None` unless open, and where nobody told the time yet.
    pub fn open_left(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        if self.state() != State::Open {
            return None;
        }
        let tick = self.gate().moment(now()).tick;
        let until = self.read(|machine| machine.until().filter(|_| machine.state() == State::Open));
        until.map(|until| left(until, tick))
    }

    /// The last openings, oldest first; at most sixteen.
    ///
    /// For a rule such as "alert at three trips within ten minutes":
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_circuit_breaker::{Breaker, Policy};
    /// use backstop_clock::{Clock, ManualClock, Timestamp};
    ///
    /// let clock = ManualClock::new(Timestamp::EPOCH);
    /// let now = || clock.instant();
    /// let venue = Breaker::new(Policy::new(Duration::ZERO).with_consecutive_failures(1))?;
    /// for _ in 0..3 {
    ///     venue.admit(now)?.failure(now);
    ///     venue.admit(now)?.success(now);
    ///     clock.advance(Duration::from_secs(120));
    /// }
    /// let recent = |at| clock.instant() - at <= Duration::from_secs(600);
    /// let trips = venue.trips().into_iter().filter(|trip| trip.at.is_some_and(recent));
    /// assert_eq!(trips.count(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trips(&self) -> Vec<Trip> {
        let origin = self.gate().origin();
        self.read(|machine| machine.history().trips(origin))
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.read(|machine| Arc::clone(&machine.policy))
    }
}
