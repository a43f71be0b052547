use std::{fmt, sync::Arc, time::Instant};

use crate::{
    Counts, Event, Permit, Policy, PolicyError, Rejection, State, Totals,
    gate::Gate,
    listeners::Listeners,
    state::{Admission, Machine, Now, Recorded, Verdict},
    sync::{AtomicU64, Ordering},
    word::Period,
};

/// A circuit breaker; clones share it.
///
/// The closed state is read from one atomic word.
/// With consecutive failures as the only rule, its verdicts are compared and swapped into that
/// word; with a window they take a short lock.
/// No lock is held while a listener or a `now` runs, so both may call the breaker.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy, Reason};
/// use backstop_clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let now = || clock.instant();
/// let breaker = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?;
///
/// breaker.admit(now)?.failure(now);
/// let rejection = breaker.admit(now).unwrap_err();
/// assert_eq!(rejection.reason, Reason::Open);
/// assert_eq!(rejection.retry_after, Some(Duration::from_secs(30)));
///
/// clock.advance(Duration::from_secs(30));
/// breaker.admit(now)?.success(now);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    rejected: AtomicU64,
    opened: AtomicU64,
    stale: AtomicU64,
    listeners: Listeners,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// A setting of the policy that is impossible, alone or with the others.
    pub fn new(policy: Policy) -> Result<Self, PolicyError> {
        policy.check()?;
        let shared = Shared {
            gate: Gate::new(policy),
            rejected: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            listeners: Listeners::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

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
        self.shared.listeners.add(Arc::new(listener));
        self
    }

    /// Asks to make one call.
    ///
    /// `now` is read only while the breaker is open.
    ///
    /// # Errors
    /// The call is not admitted: nothing may be sent.
    #[inline]
    pub fn admit(&self, now: impl FnOnce() -> Instant) -> Result<Permit<'_>, Rejection> {
        let word = self.shared.gate.word();
        match word.state() {
            State::Closed | State::Disabled | State::MetricsOnly => {
                Ok(Permit::new(self, word.period()))
            }
            State::Open => self.admit_open(now()),
            State::HalfOpen => self.admit_locked(Now::Unread, &mut once(now)),
            State::ForcedOpen => Err(self.reject(Rejection::FORCED_OPEN)),
        }
    }

    /// Back to closed from any state; counts and escalation start afresh, permits become stale.
    pub fn reset(&self) {
        self.change(Machine::reset);
    }

    /// Rejects everything until [`reset`](Self::reset); permits become stale.
    ///
    /// For an operator, or a host that has reason to stop.
    pub fn force_open(&self) {
        self.change(Machine::force_open);
    }

    /// Admits everything and counts nothing until [`reset`](Self::reset); permits become stale.
    pub fn disable(&self) {
        self.change(Machine::disable);
    }

    /// Admits everything and only counts, until [`reset`](Self::reset); permits become stale.
    ///
    /// Shows what a policy would do before it may do it: listeners hear of each threshold once.
    pub fn metrics_only(&self) {
        self.change(Machine::metrics_only);
    }

    /// The state as of the last call.
    ///
    /// An open breaker stays so until a call arrives after the open time.
    #[inline]
    pub fn state(&self) -> State {
        self.shared.gate.word().state()
    }

    /// The verdicts that the state judges by.
    pub fn counts(&self) -> Counts {
        self.shared.gate.locked_with_run(|machine| machine.counts())
    }

    /// What happened since the breaker was made.
    pub fn totals(&self) -> Totals {
        Totals {
            rejected: self.shared.rejected.load(Ordering::Relaxed),
            opened: self.shared.opened.load(Ordering::Relaxed),
            stale: self.shared.stale.load(Ordering::Relaxed),
        }
    }

    /// Reopenings since the last close: 0 for the first opening, then 1, 2, ...
    pub fn open_attempt(&self) -> u32 {
        self.shared.gate.locked(|machine| machine.open_attempt())
    }

    #[inline]
    pub(crate) fn record(&self, period: Period, verdict: Verdict, now: impl FnOnce() -> Instant) {
        if !self.shared.gate.record_run(period, verdict) {
            self.record_locked(period, verdict, &mut once(now));
        }
    }

    /// A permit was dropped by a panic, where no clock is at hand.
    pub(crate) fn record_panic(&self, period: Period) {
        if !self.shared.gate.record_run(period, Verdict::Failure) {
            self.record_locked(period, Verdict::Failure, &mut || Now::Unreadable);
        }
    }

    #[inline]
    pub(crate) fn release(&self, period: Period) {
        // A closed breaker keeps no slots, and a stale permit has none.
        let word = self.shared.gate.word();
        if word.period() == period && word.state() == State::HalfOpen {
            self.shared.gate.locked(|machine| machine.release(period));
        }
    }

    fn admit_open(&self, now: Instant) -> Result<Permit<'_>, Rejection> {
        match self.shared.gate.open_left(now) {
            Some(left) => Err(self.reject(Rejection::open(left))),
            None => self.admit_locked(Now::At(now), &mut || Now::At(now)),
        }
    }

    fn admit_locked(
        &self,
        mut now: Now,
        clock: &mut dyn FnMut() -> Now,
    ) -> Result<Permit<'_>, Rejection> {
        let gate = &self.shared.gate;
        loop {
            let (admission, events) =
                gate.locked(|machine| (machine.admit(now), machine.take_events()));
            match admission {
                Admission::NeedsTime => now = clock(),
                Admission::Admitted(period) => {
                    let permit = Permit::new(self, period);
                    self.tell(&events);
                    return Ok(permit);
                }
                Admission::Rejected(rejection) => {
                    self.tell(&events);
                    return Err(self.reject(rejection));
                }
            }
        }
    }

    fn record_locked(&self, period: Period, verdict: Verdict, clock: &mut dyn FnMut() -> Now) {
        let gate = &self.shared.gate;
        let mut now = Now::Unread;
        loop {
            let (recorded, events) = gate.locked(|machine| {
                (gate.record(machine, period, verdict, now), machine.take_events())
            });
            match recorded {
                Recorded::NeedsTime => now = clock(),
                Recorded::Counted => return self.tell(&events),
                Recorded::Stale => {
                    self.shared.stale.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Machine)) {
        let events = self.shared.gate.locked_with_run(|machine| {
            change(machine);
            machine.take_events()
        });
        self.tell(&events);
    }

    fn reject(&self, rejection: Rejection) -> Rejection {
        self.shared.rejected.fetch_add(1, Ordering::Relaxed);
        rejection
    }

    fn tell(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        // One step opens at most once.
        if events.iter().any(|event| matches!(event, Event::Transition { to: State::Open, .. })) {
            self.shared.opened.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.listeners.tell(self, events);
    }
}

/// A clock to be read at most once.
fn once(now: impl FnOnce() -> Instant) -> impl FnMut() -> Now {
    let mut now = Some(now);
    move || now.take().map_or(Now::Unreadable, |now| Now::At(now()))
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .field("counts", &self.counts())
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}
