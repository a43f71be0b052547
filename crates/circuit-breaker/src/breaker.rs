use std::{fmt, sync::Arc, time::Instant};

use crate::{
    Event, Permit, Policy, PolicyError, Rejection, State,
    counts::Outcome,
    gate::{Gate, Told},
    listeners::Listeners,
    permit::Ticket,
    rejection::Reason,
    state::{Admission, Machine, Recorded},
    tally::Counted,
    time::Now,
    word::Word,
};

/// A circuit breaker; clones share it.
///
/// The closed state is read from one atomic word, and a good verdict that would change nothing
/// but confirm it writes nothing.
/// Good verdicts that have to be counted go to a cell of their thread; the others take a short
/// lock.
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
    listeners: Listeners<Breaker, Event>,
}

impl Breaker {
    /// A breaker in the policy's initial state.
    ///
    /// Breakers may share one policy; a bare one is taken as well.
    /// Its time line starts with the first time it is told: slices of a time window lie on it, and
    /// an initial open time starts there.
    ///
    /// # Errors
    /// Every setting of the policy that is impossible, alone or with the others.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Result<Self, PolicyError> {
        let policy = policy.into();
        policy.check()?;
        Ok(Self::of(Machine::new(policy), None))
    }

    /// A breaker whose time line starts at `start`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn starting(policy: impl Into<Arc<Policy>>, start: Instant) -> Result<Self, PolicyError> {
        let policy = policy.into();
        policy.check()?;
        Ok(Self::keyed(policy, Some(start), 0))
    }

    pub(crate) fn of(machine: Machine, origin: Option<Instant>) -> Self {
        let shared = Shared { gate: Gate::new(machine, origin), listeners: Listeners::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Asks to make one call.
    ///
    /// `now` is read only while the breaker is open or half-open, or where calls are timed.
    ///
    /// # Errors
    /// The call is not admitted: nothing may be sent.
    #[inline]
    pub fn admit(&self, now: impl FnOnce() -> Instant) -> Result<Permit<&Self>, Rejection> {
        Ok(Permit::new(self, self.ticket(Rank::Ordinary, now)?))
    }

    /// Asks to make one call, for a permit that outlives this handle.
    ///
    /// It counts a reference, which is two contended writes more than [`admit`](Self::admit).
    ///
    /// # Errors
    /// The call is not admitted: nothing may be sent.
    #[inline]
    pub fn admit_owned(&self, now: impl FnOnce() -> Instant) -> Result<Permit, Rejection> {
        let ticket = self.ticket(Rank::Ordinary, now)?;
        Ok(Permit::new(self.clone(), ticket))
    }

    /// Asks to make one call that must pass while others are kept back.
    ///
    /// For what lowers a risk: cancels and closes while order entry is open.
    /// Where an ordinary call would be admitted this is one, and it may be the probe.
    /// Where it would be rejected this one passes, and its result does not judge.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_circuit_breaker::{Breaker, Policy, State};
    /// use backstop_clock::{Clock, SystemClock};
    ///
    /// let now = || SystemClock.instant();
    /// let venue = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?;
    /// venue.admit(now)?.failure(now);
    /// assert!(venue.admit(now).is_err());
    /// venue.admit_priority(now)?.success(now);
    /// assert_eq!((venue.state(), venue.totals().prioritized), (State::Open, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The breaker is forced open: then nothing passes at all.
    #[inline]
    pub fn admit_priority(
        &self,
        now: impl FnOnce() -> Instant,
    ) -> Result<Permit<&Self>, Rejection> {
        Ok(Permit::new(self, self.ticket(Rank::Priority, now)?))
    }

    /// The state as of the last call.
    ///
    /// An open breaker stays so until a call arrives after the open time, and a half-open one until
    /// a call, a verdict or [`expire`](Self::expire) comes after its longest time.
    #[inline]
    pub fn state(&self) -> State {
        self.gate().word().state()
    }

    #[inline]
    pub(crate) fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    pub(crate) fn listeners(&self) -> &Listeners<Self, Event> {
        &self.shared.listeners
    }

    /// A breaker of a registry; the policy has been checked.
    pub(crate) fn keyed(policy: Arc<Policy>, start: Option<Instant>, number: u32) -> Self {
        let mut machine = Machine::new(policy);
        machine.draw = number;
        if start.is_some() {
            machine.start();
        }
        Self::of(machine, start)
    }

    /// Nobody but the asker holds it or a permit of it, and it has nothing to remember.
    pub(crate) fn is_disposable(&self, now: Instant) -> bool {
        Arc::strong_count(&self.shared) == 1 && self.state() == State::Closed && {
            let counts = self.counts(|| now);
            counts.is_clean() && counts.consecutive_failures == 0
        }
    }

    #[inline]
    pub(crate) fn ticket(
        &self,
        rank: Rank,
        now: impl FnOnce() -> Instant,
    ) -> Result<Ticket, Rejection> {
        let word = self.gate().word();
        if word.is_free() {
            Ok(Ticket { word, ordinal: 0, started: Ticket::UNTIMED })
        } else {
            self.ticket_asked(word, rank, now)
        }
    }

    /// Apart from the usual way, so that that is small enough to be part of its caller.
    #[inline(never)]
    fn ticket_asked(
        &self,
        word: Word,
        rank: Rank,
        now: impl FnOnce() -> Instant,
    ) -> Result<Ticket, Rejection> {
        // Apart from the rest, because an open breaker must be cheap.
        if word.state() == State::Open {
            self.ticket_of_open(word, rank, now())
        } else {
            self.ticket_unopened(word, rank, now)
        }
    }

    #[inline(never)]
    fn ticket_unopened(
        &self,
        word: Word,
        rank: Rank,
        now: impl FnOnce() -> Instant,
    ) -> Result<Ticket, Rejection> {
        match word.state() {
            // They are asked only where calls are timed.
            State::Closed | State::Disabled | State::MetricsOnly => {
                let started = self.gate().moment(now()).tick;
                Ok(Ticket { word, ordinal: 0, started })
            }
            State::HalfOpen if word.is_timed() => {
                self.ticket_locked(rank, Some(now()), &mut || None)
            }
            State::Open | State::HalfOpen => self.ticket_locked(rank, None, &mut once(now)),
            State::ForcedOpen => self.refuse(word, rank, Rejection::FORCED_OPEN),
        }
    }

    #[inline(never)]
    fn ticket_of_open(&self, word: Word, rank: Rank, now: Instant) -> Result<Ticket, Rejection> {
        match self.gate().open_left(self.gate().moment(now)) {
            Some(left) => self.refuse(word, rank, Rejection::open(left)),
            None => self.ticket_locked(rank, Some(now), &mut || None),
        }
    }

    fn ticket_locked(
        &self,
        rank: Rank,
        mut now: Option<Instant>,
        clock: &mut dyn FnMut() -> Option<Instant>,
    ) -> Result<Ticket, Rejection> {
        let gate = self.gate();
        loop {
            let at = now.map_or(Now::Unread, |now| Now::At(gate.moment(now)));
            let ((admission, word), told) = gate.changed(|machine, events| {
                let admission = machine.admit(at, events);
                (admission, Word::new(machine.period(), machine.state(), machine.flags()))
            });
            match admission {
                Admission::NeedsTime => now = clock(),
                Admission::Admitted(_, ordinal) => {
                    let started = at.tick().filter(|_| word.is_timed());
                    let started = started.unwrap_or(Ticket::UNTIMED);
                    // A listener that panics is caught, so the slot cannot be lost here.
                    self.tell(&told);
                    return Ok(Ticket { word, ordinal, started });
                }
                Admission::Rejected(rejection) => {
                    self.tell(&told);
                    return self.refuse(word, rank, rejection);
                }
            }
        }
    }

    /// Rejects, unless the call is exempt.
    #[inline]
    fn refuse(&self, word: Word, rank: Rank, rejection: Rejection) -> Result<Ticket, Rejection> {
        let passes = rank == Rank::Priority && rejection.reason != Reason::ForcedOpen;
        let (what, answer) = match (passes, word.is_dry_run()) {
            (true, _) => (Counted::Prioritized, Ok(Ticket::SPENT)),
            (false, true) => (Counted::WouldReject, Ok(Ticket::SPENT)),
            (false, false) => (Counted::Rejected, Err(rejection)),
        };
        self.gate().count(what);
        answer
    }

    /// Gives a verdict to the machine, with a clock should it need the time.
    pub(crate) fn record(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        mut now: Now,
        clock: &mut dyn FnMut() -> Now,
    ) {
        let permit = (ticket.word.period(), ticket.ordinal);
        loop {
            let (recorded, told) = self.gate().record(permit, outcome, now);
            match recorded {
                Recorded::NeedsTime => now = clock(),
                Recorded::Counted => return self.tell(&told),
                Recorded::Stale => {
                    self.count_stale(1);
                    return self.tell(&told);
                }
            }
        }
    }

    /// A permit was dropped by a panic, where no clock is at hand.
    #[cold]
    pub(crate) fn record_panic(&self, ticket: Ticket) {
        self.record(ticket, Outcome::FAILED, Now::Unreadable, &mut || Now::Unreadable);
    }

    #[inline]
    pub(crate) fn release(&self, ticket: Ticket) {
        // A closed breaker keeps no slots, and a stale permit has none.
        let word = self.gate().word();
        if word.state() == State::HalfOpen && word.period() == ticket.word.period() {
            let permit = (word.period(), ticket.ordinal);
            let ((), told) = self.gate().changed(|machine, _| machine.release(permit));
            self.tell(&told);
        }
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&Machine) -> R) -> R {
        let (read, stale) = self.gate().locked(|machine| read(machine));
        self.count_stale(stale);
        read
    }

    pub(crate) fn count_stale(&self, stale: u64) {
        if stale > 0 {
            self.gate().count_many(Counted::Stale, stale);
        }
    }

    pub(crate) fn tell(&self, told: &Told) {
        self.count_stale(told.stale);
        if !told.events.is_empty() {
            self.shared.listeners.tell(self, &told.events);
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    Ordinary,
    Priority,
}

/// A clock to be read at most once.
fn once(now: impl FnOnce() -> Instant) -> impl FnMut() -> Option<Instant> {
    let mut now = Some(now);
    move || now.take().map(|now| now())
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}
