//! The machine behind a lock, and what can be decided without it.

use std::{
    sync::{Arc, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Event, Policy, State,
    allowance::Allowance,
    counts::Outcome,
    state::{Machine, Ordinal, Recorded, Room},
    sync::{AtomicI64, AtomicU64, Mutex, MutexGuard, Ordering},
    tally::{Counted, Tally},
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
    /// Ticks are counted from here.
    origin: OnceLock<Instant>,
    /// There once a policy has a window or times its calls, or threads met at the tally.
    allowance: OnceLock<Box<Allowance>>,
    /// What was counted where there is no allowance, or rarely.
    tally: Tally,
    machine: Mutex<Machine>,
}

impl Gate {
    pub(crate) fn new(machine: Machine, origin: Option<Instant>) -> Self {
        let gate = Self {
            word: AtomicU64::new(Word::SPENT.bits()),
            open_until: AtomicI64::new(UNKNOWN),
            origin: origin.map_or_else(OnceLock::new, OnceLock::from),
            allowance: OnceLock::new(),
            tally: Tally::new(),
            machine: Mutex::new(machine),
        };
        let policy = Arc::clone(&gate.lock().policy);
        gate.prepare(&policy);
        let ((), _) = gate.locked(|_| gate.time_calls(&policy));
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
        self.allowance.get().is_some_and(|allowance| allowance.is_slow(took))
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
            let is_in_time = |tick| tick < allowance.slice_end();
            self.word() == word && (!word.is_sliced() || now.tick().is_some_and(is_in_time))
        })
    }

    /// Adds one to a total.
    ///
    /// Threads that are turned away at once would hand one line of memory to and fro, a hundred
    /// nanoseconds each time, and that line is read by every call.
    /// So the first two that meet make cells for all.
    #[inline]
    pub(crate) fn count(&self, what: Counted) {
        if let Some(allowance) = self.allowance.get() {
            allowance.tally().add(what, 1);
        } else if !self.tally.try_add(what) {
            self.allowance().tally().add(what, 1);
        }
    }

    /// Adds to a total where that happens seldom.
    pub(crate) fn count_many(&self, what: Counted, many: u64) {
        self.tally.add(what, many);
    }

    pub(crate) fn total(&self, what: Counted) -> u64 {
        self.tally.get(what) + self.allowance.get().map_or(0, |apart| apart.total(what))
    }

    #[cold]
    fn allowance(&self) -> &Allowance {
        self.allowance.get_or_init(|| Box::new(Allowance::new()))
    }

    /// Gives the machine a verdict, and says what came of it.
    pub(crate) fn record(
        &self,
        permit: (Period, Ordinal),
        outcome: Outcome,
        now: Now,
    ) -> (Recorded, Told) {
        let mut events = Vec::new();
        let (recorded, stale) = self.locked(|machine| {
            let period = machine.period();
            let recorded = machine.record(permit, outcome, now, &mut events);
            let goes_on = machine.period() == period;
            if goes_on && machine.room() == Room::None && self.revoke(machine) > 0 {
                // They came in while the machine decided, and may complete what makes it trip.
                machine.reconsider(now, &mut events);
            }
            recorded
        });
        (recorded, Told { events, stale })
    }

    /// Does something to the machine under the lock, and lets the atomics follow it.
    ///
    /// Granted verdicts are booked before.
    /// With the result comes the number of those that came after the end of their period.
    pub(crate) fn locked<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> (R, u64) {
        let mut machine = self.lock();
        self.collect(&mut machine);
        let done = change(&mut machine);
        let stale = self.follow(&mut machine);
        (done, stale)
    }

    /// [`locked`](Self::locked) for a change that causes events.
    pub(crate) fn changed<R>(
        &self,
        change: impl FnOnce(&mut Machine, &mut Vec<Event>) -> R,
    ) -> (R, Told) {
        let mut events = Vec::new();
        let (done, stale) = self.locked(|machine| change(machine, &mut events));
        (done, Told { events, stale })
    }

    /// Puts another policy in force.
    pub(crate) fn reconfigure(&self, policy: Arc<Policy>) -> u64 {
        self.prepare(&policy);
        let ((), stale) = self.locked(|machine| {
            self.revoke(machine);
            // Under the lock, so that of two at once it is that of the policy which stays.
            self.time_calls(&policy);
            machine.reconfigure(policy);
        });
        stale
    }

    /// Allocates what calls need of a policy without the lock, so that no call has to.
    fn prepare(&self, policy: &Policy) {
        if policy.window.is_some() || policy.slow_call.is_some() {
            self.allowance();
        }
    }

    /// Tells callers from when on a call is slow.
    fn time_calls(&self, policy: &Policy) {
        if let Some(allowance) = self.allowance.get() {
            allowance.set_slow_from(policy.slow_call.map_or(i64::MAX, time::nanos));
        }
    }

    /// Books what was taken of the grant.
    fn collect(&self, machine: &mut Machine) {
        let (Some(allowance), Some(granted)) = (self.allowance.get(), machine.granted()) else {
            return;
        };
        // Of a window by count the order matters, so nothing may be taken while it changes.
        let taken =
            if granted.is_timed { allowance.collect(granted) } else { allowance.revoke(granted) };
        machine.book_good(taken);
    }

    /// Books what was taken of the grant and ends it; how many were.
    fn revoke(&self, machine: &mut Machine) -> u64 {
        let taken = self.end_grant(machine);
        machine.book_good(taken);
        taken
    }

    /// Ends the grant; what was taken of it and not booked.
    fn end_grant(&self, machine: &mut Machine) -> u64 {
        match (self.allowance.get(), machine.granted()) {
            (Some(allowance), Some(granted)) => allowance.revoke(granted),
            _ => 0,
        }
    }

    /// Lets the atomics follow the machine; the number of verdicts that are stale by it.
    fn follow(&self, machine: &mut Machine) -> u64 {
        let old = self.word();
        let word = Word::new(machine.period(), machine.state(), machine.flags());
        let mut stale = 0;
        if word != old {
            // What was taken since the machine decided came after the end of the period.
            let late = self.end_grant(machine);
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
        self.grant(machine);
        stale
    }

    fn grant(&self, machine: &mut Machine) {
        let room = machine.room();
        let (Some(allowance), Some(granted)) = (self.allowance.get(), machine.granted()) else {
            return;
        };
        match room {
            // Of a slice that has not ended: what was granted for it still holds.
            Room::Some { slice_end: Some(end), .. } if allowance.holds_until(granted, end) => {}
            room => {
                let taken = allowance.revoke(granted);
                if let Room::Some { many, slice_end } = room {
                    allowance.grant(many, slice_end, granted);
                }
                machine.book_good(taken);
            }
        }
    }

    /// Nothing of ours panics under the lock, so a poisoned machine is still whole.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a change has to tell once the lock is free.
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    /// Granted verdicts that came after the end of their period.
    pub(crate) stale: u64,
}
