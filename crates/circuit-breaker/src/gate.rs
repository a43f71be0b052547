//! The machine behind a lock, and what can be decided without it.

use std::{
    sync::{Arc, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Event, Policy, State,
    allowance::{Allowance, Granted},
    counts::Outcome,
    state::{Machine, Ordinal, Recorded, Room},
    sync::{AtomicI64, AtomicU64, Mutex, MutexGuard, Ordering},
    time::{self, Moment, Now},
    word::{Period, Word},
};

/// No end of an open time that could be told without the lock.
const UNKNOWN: i64 = i64::MIN;

pub(crate) struct Gate {
    /// What callers look at first; changes only under the lock, and follows the machine.
    word: AtomicU64,
    /// The end of the open time, for rejections without the lock.
    ///
    /// Set after the word says open and cleared before it says otherwise: while it is known, the
    /// breaker is open.
    open_until: AtomicI64,
    /// The end of the slice of time to which granted verdicts belong; set before they are granted.
    slice_end: AtomicI64,
    /// From how many nanoseconds on a call is slow; `i64::MAX` where calls are not timed.
    slow_from: AtomicI64,
    /// Ticks are counted from here.
    origin: OnceLock<Instant>,
    /// There once a policy has a window; without one no good verdict needs booking.
    allowance: OnceLock<Box<Allowance>>,
    inner: Mutex<Inner>,
}

/// What the lock guards.
pub(crate) struct Inner {
    pub(crate) machine: Machine,
    granted: Granted,
}

impl Gate {
    pub(crate) fn new(machine: Machine, origin: Option<Instant>) -> Self {
        let gate = Self {
            word: AtomicU64::new(Word::SPENT.bits()),
            open_until: AtomicI64::new(UNKNOWN),
            slice_end: AtomicI64::new(UNKNOWN),
            slow_from: AtomicI64::new(i64::MAX),
            origin: origin.map_or_else(OnceLock::new, OnceLock::from),
            allowance: OnceLock::new(),
            inner: Mutex::new(Inner { machine, granted: Granted::default() }),
        };
        gate.prepare(&gate.lock().machine.policy);
        let ((), _) = gate.locked(|_| ());
        gate
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn moment(&self, now: Instant) -> Moment {
        Moment::new(*self.origin.get_or_init(|| now), now)
    }

    /// A call from `started` to `tick` is slow; a clock that stepped back makes it last nothing.
    #[inline]
    pub(crate) fn is_slow(&self, tick: i64, started: i64) -> bool {
        let took = tick.saturating_sub(started).max(0);
        took >= self.slow_from.load(Ordering::Relaxed)
    }

    pub(crate) fn origin(&self) -> Option<Instant> {
        self.origin.get().copied()
    }

    /// The rest of the open time; `None` if only the lock can tell.
    #[inline]
    pub(crate) fn open_left(&self, now: Moment) -> Option<Duration> {
        let until = self.open_until.load(Ordering::Acquire);
        (now.tick < until).then(|| time::left(until, now.tick))
    }

    /// Books a good verdict without the lock; false if that is for the lock to do.
    ///
    /// `word` is of the permit's period, and `now` is known where verdicts are booked by time.
    #[inline]
    pub(crate) fn book_good(&self, word: Word, now: Now) -> bool {
        let Some(allowance) = self.allowance.get() else { return false };
        allowance.take(|| {
            self.word() == word
                && (!word.is_sliced()
                    || now.tick().is_some_and(|t| t < self.slice_end.load(Ordering::Acquire)))
        })
    }

    /// Gives the machine a verdict, and says what came of it.
    pub(crate) fn record(
        &self,
        permit: (Period, Ordinal),
        outcome: Outcome,
        now: Now,
    ) -> (Recorded, Told) {
        let mut events = Vec::new();
        let (recorded, stale) = self.locked(|inner| {
            if let (Some(tick), Some(end)) = (now.tick(), inner.machine.slice_end())
                && tick >= end
            {
                self.revoke(inner);
            }
            let period = inner.machine.period();
            let recorded = inner.machine.record(permit, outcome, now, &mut events);
            let goes_on = inner.machine.period() == period;
            if goes_on && inner.machine.room() == Room::None && self.revoke(inner) > 0 {
                // They came in while the machine decided, and may complete what makes it trip.
                inner.machine.reconsider(now, &mut events);
            }
            recorded
        });
        (recorded, Told { events, stale })
    }

    /// Does something to the machine under the lock, and lets the atomics follow it.
    ///
    /// Granted verdicts are booked before.
    /// With the result comes the number of those that came after the end of their period.
    pub(crate) fn locked<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> (R, u64) {
        let mut inner = self.lock();
        self.collect(&mut inner);
        let done = change(&mut inner);
        let stale = self.follow(&mut inner);
        (done, stale)
    }

    /// [`locked`](Self::locked) for a change that causes events.
    pub(crate) fn changed<R>(
        &self,
        change: impl FnOnce(&mut Machine, &mut Vec<Event>) -> R,
    ) -> (R, Told) {
        let mut events = Vec::new();
        let (done, stale) = self.locked(|inner| change(&mut inner.machine, &mut events));
        (done, Told { events, stale })
    }

    /// Forgets what is too old, after what was granted for that time has been booked.
    pub(crate) fn roll(&self, inner: &mut Inner, tick: i64) {
        if inner.machine.slice_end().is_some_and(|end| tick >= end) {
            self.revoke(inner);
        }
        inner.machine.roll(tick);
    }

    /// Puts another policy in force.
    pub(crate) fn reconfigure(&self, policy: Arc<Policy>) -> u64 {
        self.prepare(&policy);
        let ((), stale) = self.locked(|inner| {
            self.revoke(inner);
            inner.machine.reconfigure(policy);
        });
        stale
    }

    /// What calls need of a policy without the lock.
    ///
    /// Cells for granted verdicts are made here, so that no call has to allocate them.
    fn prepare(&self, policy: &Policy) {
        let slow_from = policy.slow_call.map_or(i64::MAX, time::nanos);
        self.slow_from.store(slow_from, Ordering::Relaxed);
        if policy.window.is_some() {
            self.allowance.get_or_init(|| Box::new(Allowance::new()));
        }
    }

    /// Books what was taken of the grant.
    fn collect(&self, inner: &mut Inner) {
        let Some(allowance) = self.allowance.get() else { return };
        let Inner { machine, granted } = inner;
        // Of a window by count the order matters, so nothing may be taken while it changes.
        let taken = match machine.slice_end() {
            Some(_) => allowance.collect(granted),
            None => allowance.revoke(granted),
        };
        machine.book_good(taken);
    }

    /// Books what was taken of the grant and ends it; how many were.
    fn revoke(&self, inner: &mut Inner) -> u64 {
        let Some(allowance) = self.allowance.get() else { return 0 };
        let taken = allowance.revoke(&mut inner.granted);
        inner.machine.book_good(taken);
        taken
    }

    /// Lets the atomics follow the machine; the number of verdicts that are stale by it.
    fn follow(&self, inner: &mut Inner) -> u64 {
        let Inner { machine, granted } = inner;
        let old = self.word();
        let word = Word::new(machine.period(), machine.state(), machine.flags());
        let mut stale = 0;
        if word != old {
            // What was taken since the machine decided came after the end of the period.
            let late = self.allowance.get().map_or(0, |allowance| allowance.revoke(granted));
            if word.period() == old.period() {
                machine.book_good(late);
            } else {
                stale = late;
            }
            self.open_until.store(UNKNOWN, Ordering::Release);
            self.word.store(word.bits(), Ordering::Release);
        }
        if machine.state() == State::Open {
            let until = machine.until().unwrap_or(UNKNOWN);
            self.open_until.store(until, Ordering::Release);
        }
        if let Some(allowance) = self.allowance.get() {
            self.grant(allowance, machine, granted);
        }
        stale
    }

    fn grant(&self, allowance: &Allowance, machine: &mut Machine, granted: &mut Granted) {
        match machine.room() {
            Room::None if granted.is_some() => machine.book_good(allowance.revoke(granted)),
            Room::None => {}
            // Of a slice that has not ended: what was granted for it still holds.
            Room::Some { slice_end: Some(end), .. }
                if granted.is_some() && self.slice_end.load(Ordering::Relaxed) == end => {}
            Room::Some { many, slice_end } => {
                machine.book_good(allowance.revoke(granted));
                self.slice_end.store(slice_end.unwrap_or(UNKNOWN), Ordering::Release);
                allowance.grant(many, granted);
            }
        }
    }

    /// Nothing of ours panics under the lock, so a poisoned machine is still whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a change has to tell once the lock is free.
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    /// Granted verdicts that came after the end of their period.
    pub(crate) stale: u64,
}
