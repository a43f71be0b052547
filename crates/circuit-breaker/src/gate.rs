//! The machine behind a lock, and what can be decided without it.

use std::{
    sync::{OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Policy, State,
    state::{Machine, Now, Recorded, Verdict},
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
    word::{Period, Word},
};

pub(crate) struct Gate {
    /// What callers look at first.
    ///
    /// Period and state change only under the lock, and follow the machine before it is released.
    /// The run of failures belongs to the word alone while it is closed and `run_threshold` is set.
    word: AtomicU64,
    /// Nanoseconds from `origin` to the end of the open time, for rejections without the lock.
    ///
    /// Set after the word says open and cleared before it says otherwise: while it is not zero, the
    /// breaker is open.
    /// Zero sends the caller to the lock.
    open_until_ns: AtomicU64,
    /// The first reading of the time: an `Instant` fits no atomic, its distance from here does.
    origin: OnceLock<Instant>,
    /// The threshold, if the policy looks at the run of failures alone.
    run_threshold: Option<u32>,
    machine: Mutex<Machine>,
}

impl Gate {
    /// The policy has been checked.
    pub(crate) fn new(policy: Policy) -> Self {
        let run_threshold = policy.run_threshold_alone();
        let machine = Machine::new(policy);
        let word = Word::new(machine.period(), machine.state(), 0);
        Self {
            word: AtomicU64::new(word.bits()),
            open_until_ns: AtomicU64::new(0),
            origin: OnceLock::new(),
            run_threshold,
            machine: Mutex::new(machine),
        }
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// The rest of the open time; `None` if only the lock can tell.
    pub(crate) fn open_left(&self, now: Instant) -> Option<Duration> {
        let origin = *self.origin.get_or_init(|| now);
        let until = self.open_until_ns.load(Ordering::Acquire);
        let passed = u64::try_from(now.checked_duration_since(origin)?.as_nanos()).ok()?;
        until.checked_sub(passed).filter(|&left| left > 0).map(Duration::from_nanos)
    }

    /// Counts a verdict in the word alone; false if that is for the lock to do.
    #[inline]
    pub(crate) fn record_run(&self, period: Period, verdict: Verdict) -> bool {
        let Some(threshold) = self.run_threshold else { return false };
        let mut word = self.word();
        loop {
            if word.period() != period || word.state() != State::Closed {
                return false;
            }
            let run = match verdict {
                Verdict::Success => 0,
                Verdict::Failure => word.run() + 1,
            };
            if run == threshold {
                return false;
            }
            // A success after a success writes nothing: healthy callers only read the word.
            if run == word.run() {
                return true;
            }
            match self.swap(word, word.with_run(run)) {
                Ok(()) => return true,
                Err(newer) => word = newer,
            }
        }
    }

    /// Counts a verdict of a machine whose lock the caller holds.
    pub(crate) fn record(
        &self,
        machine: &mut Machine,
        period: Period,
        verdict: Verdict,
        now: Now,
    ) -> Recorded {
        if let Now::At(now) = now {
            self.origin.get_or_init(|| now);
        }
        if self.run_threshold.is_none() || machine.state() != State::Closed {
            return machine.record(period, verdict, now);
        }
        // The lock holds the period still, but the run may change under our hands.
        loop {
            if self.record_run(period, verdict) {
                return Recorded::Counted;
            }
            let word = self.word();
            if word.period() != period {
                return Recorded::Stale;
            }
            if matches!(now, Now::Unread) {
                return Recorded::NeedsTime;
            }
            let trips = verdict == Verdict::Failure && Some(word.run() + 1) == self.run_threshold;
            // Once the word says open no verdict counts without the lock: the run is ours.
            if trips && self.swap(word, Word::new(period.next(), State::Open, 0)).is_ok() {
                machine.set_run(word.run());
                return machine.record(period, verdict, now);
            }
        }
    }

    /// Does something to the machine under the lock, and lets the atomics follow it.
    pub(crate) fn locked<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> R {
        let mut machine = self.lock();
        let done = change(&mut machine);
        self.follow(&machine);
        done
    }

    /// Like [`locked`](Self::locked), with a machine that knows the run of failures.
    pub(crate) fn locked_with_run<R>(&self, change: impl FnOnce(&mut Machine) -> R) -> R {
        self.locked(|machine| {
            if self.run_threshold.is_some() && machine.state() == State::Closed {
                machine.set_run(self.word().run());
            }
            change(machine)
        })
    }

    fn follow(&self, machine: &Machine) {
        let entered = self.word().period() != machine.period();
        let Some(until) = machine.open_until().map(|until| self.nanos_until(until)) else {
            // Of the same period the word is left alone: the run in it is newer than the machine's.
            if entered {
                self.open_until_ns.store(0, Ordering::Release);
                self.enter(machine);
            }
            return;
        };
        if entered {
            self.enter(machine);
        }
        self.open_until_ns.store(until, Ordering::Release);
    }

    fn enter(&self, machine: &Machine) {
        let word = Word::new(machine.period(), machine.state(), 0);
        self.word.store(word.bits(), Ordering::Release);
    }

    /// From the origin to `until`; zero if that cannot be said.
    fn nanos_until(&self, until: Instant) -> u64 {
        let passed = self.origin.get().and_then(|origin| until.checked_duration_since(*origin));
        passed.and_then(|passed| u64::try_from(passed.as_nanos()).ok()).unwrap_or(0)
    }

    #[inline]
    fn swap(&self, word: Word, next: Word) -> Result<(), Word> {
        self.word
            .compare_exchange_weak(word.bits(), next.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word::from_bits)
    }

    /// Nothing of ours panics under the lock, so a poisoned machine is still whole.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
