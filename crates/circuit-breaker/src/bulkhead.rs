//! A limit on how many calls run at once, so that one slow venue cannot take every task.
//!
//! ```
//! use std::time::Duration;
//! use backstop_circuit_breaker::bulkhead::{Bulkhead, Limits, Refusal};
//! use backstop_clock::{ManualClock, Timestamp};
//!
//! let clock = ManualClock::new(Timestamp::EPOCH);
//! let limits = Limits::new(2).with_max_waiting(8).with_max_wait(Duration::from_millis(500));
//! let venue = Bulkhead::new(limits)?;
//! pollster::block_on(async {
//!     let slots = [venue.enter(&clock).await?, venue.enter(&clock).await?];
//!     assert_eq!(venue.try_enter().unwrap_err(), Refusal::Full);
//!     drop(slots);
//!     venue.enter(&clock).await?;
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use backstop_clock::Sleep;
use backstop_error_taxonomy::{Class, Classify, Kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{PolicyError, Problem, listeners::Listeners};

/// How many calls may run, how many may wait, and for how long.
///
/// | setting | default |
/// |---|---|
/// | `max_waiting` | 0: who cannot run at once is refused |
/// | `max_wait` | none: who may wait does so until there is a slot |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[expect(clippy::struct_field_names, reason = "each of the limits is a maximum")]
pub struct Limits {
    max_concurrent: u32,
    #[cfg_attr(feature = "serde", serde(default))]
    max_waiting: u32,
    #[cfg_attr(feature = "serde", serde(rename = "max_wait_ms", default))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::optional_millis"))]
    max_wait: Option<Duration>,
}

impl Limits {
    /// At most so many calls at once, at least one; nobody waits.
    pub const fn new(max_concurrent: u32) -> Self {
        Self { max_concurrent, max_waiting: 0, max_wait: None }
    }

    /// Lets so many calls wait for a slot, first come, first served.
    #[must_use]
    pub const fn with_max_waiting(mut self, calls: u32) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Refuses a call that has waited for `time`.
    #[must_use]
    pub const fn with_max_wait(mut self, time: Duration) -> Self {
        self.max_wait = Some(time);
        self
    }

    fn check(self) -> Result<(), PolicyError> {
        let mut problems = Vec::new();
        if self.max_concurrent == 0 {
            problems.push(Problem::MaxConcurrent);
        }
        if self.max_wait == Some(Duration::ZERO) {
            problems.push(Problem::MaxWait);
        }
        PolicyError::of(problems)
    }
}

/// A call was not let in, so it certainly did not happen.
///
/// Its class is that of a breaker's rejection: nothing was sent, no breaker counts it, and a retry
/// loop ends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Every slot is taken, and so is every place to wait.
    #[error("bulkhead is full")]
    Full,
    /// No slot became free in time.
    #[error("bulkhead gave no slot in time")]
    TimedOut,
}

impl Classify for Refusal {
    fn class(&self) -> Class {
        Class::of(Kind::Unavailable).refused_by_breaker()
    }
}

/// Something a listener of a bulkhead hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call has to wait.
    Waiting,
    /// A call was not let in.
    Refused(Refusal),
}

/// What happened since the bulkhead was made; each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls that had to wait.
    pub waited: u64,
    /// Calls refused because every place was taken.
    pub full: u64,
    /// Calls refused because they had waited long enough.
    pub timed_out: u64,
}

/// Limits how many calls run at once; clones share it.
///
/// Whoever waits is served in the order of coming, and a call that is dropped while it waits
/// leaves nothing behind.
#[derive(Clone)]
pub struct Bulkhead {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    /// Fair, and safe to cancel; it needs no runtime.
    slots: Arc<Semaphore>,
    waiting: AtomicU32,
    waited: AtomicU64,
    full: AtomicU64,
    timed_out: AtomicU64,
    listeners: Listeners<Bulkhead, Event>,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping a slot gives it back"]
pub struct Slot {
    /// Given back by its own drop.
    _permit: OwnedSemaphorePermit,
}

impl Bulkhead {
    /// An empty bulkhead.
    ///
    /// # Errors
    /// Every limit that is impossible.
    pub fn new(limits: Limits) -> Result<Self, PolicyError> {
        limits.check()?;
        let slots = usize::try_from(limits.max_concurrent).unwrap_or(usize::MAX);
        let shared = Shared {
            limits,
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicU32::new(0),
            waited: AtomicU64::new(0),
            full: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            listeners: Listeners::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Adds a listener, as [`Breaker::with_listener`](crate::Breaker::with_listener) does.
    #[must_use]
    pub fn with_listener(self, listener: impl Fn(&Self, &Event) + Send + Sync + 'static) -> Self {
        self.shared.listeners.add(Arc::new(listener));
        self
    }

    /// Takes a slot if one is free and nobody waits for it.
    ///
    /// # Errors
    /// There is none.
    pub fn try_enter(&self) -> Result<Slot, Refusal> {
        self.take().ok_or_else(|| self.refuse(Refusal::Full))
    }

    /// Takes a slot, and waits for one if there is a place to wait.
    ///
    /// `timer` is used only where the wait has a limit.
    ///
    /// # Errors
    /// Every place is taken, or none became free in time.
    pub async fn enter(&self, timer: &impl Sleep) -> Result<Slot, Refusal> {
        if let Some(slot) = self.take() {
            return Ok(slot);
        }
        let Some(_waiting) = Waiting::start(&self.shared) else {
            return Err(self.refuse(Refusal::Full));
        };
        self.shared.waited.fetch_add(1, Ordering::Relaxed);
        self.shared.listeners.tell(self, &[Event::Waiting]);
        let slot = self.slot();
        let Some(limit) = self.shared.limits.max_wait else {
            return slot.await.ok_or_else(|| self.refuse(Refusal::TimedOut));
        };
        let (mut slot, mut timer) = (pin!(slot), pin!(timer.sleep(limit)));
        let slot = poll_fn(|cx| match slot.as_mut().poll(cx) {
            // A slot that comes at the last moment is taken.
            Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
            ready @ Poll::Ready(_) => ready,
        });
        slot.await.ok_or_else(|| self.refuse(Refusal::TimedOut))
    }

    /// Runs one call in a slot of its own.
    ///
    /// # Errors
    /// The call was not let in, or what it returned.
    pub async fn run<T, E: From<Refusal>, F: Future<Output = Result<T, E>>>(
        &self,
        timer: &impl Sleep,
        op: impl FnOnce() -> F,
    ) -> Result<T, E> {
        let _slot = self.enter(timer).await?;
        op().await
    }

    /// Calls that run now.
    pub fn running(&self) -> u32 {
        let free = u32::try_from(self.shared.slots.available_permits()).unwrap_or(u32::MAX);
        self.shared.limits.max_concurrent.saturating_sub(free)
    }

    /// Calls that wait now.
    pub fn waiting(&self) -> u32 {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// What happened since the bulkhead was made.
    pub fn totals(&self) -> Totals {
        let shared = &self.shared;
        Totals {
            waited: shared.waited.load(Ordering::Relaxed),
            full: shared.full.load(Ordering::Relaxed),
            timed_out: shared.timed_out.load(Ordering::Relaxed),
        }
    }

    fn take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.shared.slots).try_acquire_owned().ok()?;
        Some(Slot { _permit: permit })
    }

    /// A slot, in turn; nobody closes the semaphore, so there will be one.
    async fn slot(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.shared.slots).acquire_owned().await.ok()?;
        Some(Slot { _permit: permit })
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        let total = match refusal {
            Refusal::Full => &self.shared.full,
            Refusal::TimedOut => &self.shared.timed_out,
        };
        total.fetch_add(1, Ordering::Relaxed);
        self.shared.listeners.tell(self, &[Event::Refused(refusal)]);
        refusal
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("limits", &self.shared.limits)
            .field("running", &self.running())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// A place to wait, given back when the wait ends or is given up.
struct Waiting<'s>(&'s AtomicU32);

impl<'s> Waiting<'s> {
    fn start(shared: &'s Shared) -> Option<Self> {
        let max = shared.limits.max_waiting;
        let more = |waiting: u32| (waiting < max).then(|| waiting + 1);
        let started =
            shared.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        // Not `then_some`: a place that was never taken must not be given back.
        started.then(|| Self(&shared.waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
