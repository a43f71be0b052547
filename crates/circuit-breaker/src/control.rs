//! What an operator, a timer or a server's word does to a breaker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backstop_error_taxonomy::{Class, Classify, Kind};

use crate::{Breaker, Event, Policy, PolicyError, State, state::Machine, time::nanos};

/// A state cannot be entered by hand from where the breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a breaker that is {from} cannot be made half-open: only an open one can")]
#[non_exhaustive]
pub struct IllegalTransition {
    /// The state it is in, and stays in.
    pub from: State,
}

impl Classify for IllegalTransition {
    fn class(&self) -> Class {
        Class::of(Kind::Precondition)
    }
}

impl Breaker {
    /// Adds a listener, which every clone shares.
    ///
    /// It runs in the thread that caused the event, after the change and outside every lock, so it
    /// may call the breaker it is handed.
    /// Two threads may deliver out of order; the period of a transition puts them right.
    /// A listener that panics harms neither the call nor other listeners.
    ///
    /// ```
    /// use std::{sync::mpsc, time::Duration};
    /// use backstop_circuit_breaker::{Breaker, Event, Policy, State};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let breaker = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(5))?
    ///     .with_listener(move |_, event| drop(sender.send(*event)));
    /// breaker.force_open();
    /// let event = receiver.try_recv().unwrap();
    /// assert!(matches!(event, Event::Transition { to: State::ForcedOpen, .. }));
    /// # Ok::<(), backstop_circuit_breaker::PolicyError>(())
    /// ```
    #[must_use]
    pub fn with_listener(self, listener: impl Fn(&Self, &Event) + Send + Sync + 'static) -> Self {
        self.listeners().add(Arc::new(listener));
        self
    }

    /// Back to closed from any state; counts and escalation start afresh, permits become stale.
    pub fn reset(&self) {
        self.change(Machine::reset);
    }

    /// Opens for the policy's open time; permits become stale.
    ///
    /// A breaker that is forced open stays so: an open time would end, and it must not.
    /// An open breaker stays open for that time from now on.
    pub fn open(&self, now: Instant) {
        let moment = self.gate().moment(now);
        self.change(|machine, events| machine.open(moment, None, events));
    }

    /// Opens for exactly `time`, as when a server says when to come back.
    ///
    /// Of an open breaker it moves the end of the open time, to either side; one that is forced open
    /// stays so.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_circuit_breaker::{Breaker, Policy};
    /// use backstop_clock::{Clock, SystemClock};
    ///
    /// let venue = Breaker::new(Policy::new(Duration::from_secs(5)).with_consecutive_failures(3))?;
    /// let now = SystemClock.instant();
    /// venue.open_for(Duration::from_secs(7_200), now);
    /// let rejection = venue.admit(|| now).unwrap_err();
    /// assert_eq!(rejection.retry_after, Some(Duration::from_secs(7_200)));
    /// # Ok::<(), backstop_circuit_breaker::PolicyError>(())
    /// ```
    pub fn open_for(&self, time: Duration, now: Instant) {
        let moment = self.gate().moment(now);
        let until = moment.tick.saturating_add(nanos(time));
        self.change(|machine, events| machine.open(moment, Some(until), events));
    }

    /// Opens until `until`; a time that has passed lets the next call probe.
    pub fn open_until(&self, until: Instant, now: Instant) {
        self.open_for(until.saturating_duration_since(now), now);
    }

    /// Ends the open time by hand, so that the next calls are probes.
    ///
    /// A half-open breaker stays as it is.
    ///
    /// # Errors
    /// The breaker is neither open nor half-open, and stays what it is.
    pub fn half_open(&self, now: Instant) -> Result<(), IllegalTransition> {
        let moment = self.gate().moment(now);
        let from = self.change(|machine, events| {
            if machine.half_open(moment, events) { None } else { Some(machine.state()) }
        });
        from.map_or(Ok(()), |from| Err(IllegalTransition { from }))
    }

    /// Rejects everything until [`reset`](Self::reset), whatever a server says; permits become stale.
    ///
    /// For an operator, or a host that has reason to stop.
    pub fn force_open(&self) {
        self.change(|machine, events| machine.switch(State::ForcedOpen, events));
    }

    /// Admits everything and counts nothing until a switch by hand; permits become stale.
    pub fn disable(&self) {
        self.change(|machine, events| machine.switch(State::Disabled, events));
    }

    /// Admits everything and only counts, until a switch by hand; permits become stale.
    ///
    /// Shows what a policy would do before it may do it: listeners hear of each threshold once.
    pub fn metrics_only(&self) {
        self.change(|machine, events| machine.switch(State::MetricsOnly, events));
    }

    /// Puts another policy in force; state, counts and permits stay.
    ///
    /// It decides from the next verdict on; a running open time keeps its end.
    /// A smaller window keeps the newest verdicts.
    ///
    /// # Errors
    /// Every impossible setting; the policy in force stays.
    pub fn reconfigure(&self, policy: impl Into<Arc<Policy>>) -> Result<(), PolicyError> {
        let policy = policy.into();
        policy.check()?;
        let stale = self.gate().reconfigure(policy);
        self.count_stale(stale);
        Ok(())
    }

    /// Lets time alone do what it does, for a timer where calls are rare.
    ///
    /// A half-open period that has lasted too long ends, and so do leases of probes.
    /// An open breaker waits for its call: only a call can be a probe.
    pub fn expire(&self, now: Instant) {
        let moment = self.gate().moment(now);
        self.change(|machine, events| machine.expire(moment, events));
    }

    fn change<R>(&self, change: impl FnOnce(&mut Machine, &mut Vec<Event>) -> R) -> R {
        let (done, told) = self.gate().changed(change);
        self.tell(&told);
        done
    }
}
