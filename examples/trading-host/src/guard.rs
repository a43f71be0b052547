//! The seam in front of the venue: how each kind of call is guarded.
//!
//! The layers and their order are those of [`stack`](crate::stack).
//! The timeout lies inside the breaker, so that a venue that hangs opens it; the breaker lies
//! inside the retry, so that each attempt is judged and a rejection ends the loop at once.
//! An order of unknown outcome leaves this module as unknown: it is looked up, never sent again.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use backstop_circuit_breaker::{
    Breaker, Policy as BreakerPolicy, Rejection, Totals,
    bulkhead::{Bulkhead, Limits, Refusal},
};
use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::{Class, Classify, Component, Kind};
use backstop_retry_backoff::{
    Elapsed, Finished, Guard as Repeat, Policy as RetryPolicy, Retry, RetryAfter, Schedule, Stopped,
};
use rand::{SeedableRng, rngs::SmallRng};
use uuid::Uuid;

use crate::{
    chance::Chance,
    errors::Errors,
    runtime::SimClock,
    stack::Stack,
    venue::{Acceptance, Answer, OrderRequest, Venue, VenueError},
};

/// How long one attempt to place an order may take.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one attempt of a read or cancel may take: many times what it takes on a good day,
/// and little against the seconds within which the books have to be level.
pub const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// How often an order is tried: a venue that fails four times in a row has an outage.
const SUBMIT_ATTEMPTS_MAX: u32 = 4;

/// How often a read or a cancel is tried before the caller has to think of something else.
const READ_ATTEMPTS_MAX: u32 = 3;

/// Failures in a row that open the breaker.
const FAILURES_TO_OPEN: u32 = 5;

/// How long the breaker keeps orders back before it lets one try.
const OPEN_TIME: Duration = Duration::from_secs(30);

/// Orders on their way at once: more than the host ever sends at one price, and a bound.
const ORDERS_AT_ONCE: u32 = 64;

/// Why a guarded call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Schema gate or halt kept it back; nothing was sent.
    #[error("gate or halt keeps orders back")]
    Closed,
    /// The breaker kept it back; nothing was sent.
    #[error(transparent)]
    KeptBack(#[from] Rejection),
    /// Too many orders were on their way already; nothing was sent.
    #[error(transparent)]
    Crowded(#[from] Refusal),
    /// The venue, or the way to it, failed.
    #[error(transparent)]
    Venue(#[from] VenueError),
}

impl Classify for CallError {
    fn class(&self) -> Class {
        match self {
            Self::Closed => Class::of(Kind::Precondition),
            Self::KeptBack(rejection) => rejection.class(),
            Self::Crowded(refusal) => refusal.class(),
            Self::Venue(error) => error.class(),
        }
    }
}

impl From<Elapsed> for CallError {
    fn from(elapsed: Elapsed) -> Self {
        Self::Venue(elapsed.into())
    }
}

/// How an order is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitting {
    /// Never sent again while its outcome is unknown.
    Once,
    /// A plain retry, as most bots have it; shows what the invariants are for.
    PlainRetry,
}

/// Calls the venue on the host's behalf.
#[derive(Debug)]
pub struct Guard {
    clock: SimClock,
    breaker: Breaker,
    bulkhead: Bulkhead,
    submit: Retry,
    submitting: Submitting,
    read: Retry,
    chance: Chance,
    /// Attempts after the first, of all calls.
    retries: Cell<u64>,
    errors: Rc<Errors>,
    /// How often each intent was let through to the venue.
    sent: RefCell<BTreeMap<Uuid, u32>>,
}

impl Guard {
    /// A guard with a closed breaker.
    ///
    /// # Errors
    /// A setting that contradicts itself.
    pub fn new(
        clock: SimClock,
        chance: Chance,
        submitting: Submitting,
        errors: Rc<Errors>,
    ) -> anyhow::Result<Self> {
        let policy = BreakerPolicy::new(OPEN_TIME).with_consecutive_failures(FAILURES_TO_OPEN);
        let breaker = Breaker::new(policy)?
            .with_listener(|_, event| backstop_circuit_breaker::tracing::log("venue", event))
            .with_listener(|breaker, event| {
                backstop_circuit_breaker::metrics::observe("venue", breaker, event);
            });
        let counted = |name: &'static str| {
            Arc::new(move |event| backstop_retry_backoff::metrics::observe(name, event))
        };
        let limits = Limits::new(ORDERS_AT_ONCE)
            .with_max_waiting(ORDERS_AT_ONCE)
            .with_max_wait(SUBMIT_TIMEOUT);
        Ok(Self {
            clock,
            breaker,
            bulkhead: Bulkhead::new(limits)?,
            submit: Retry::new(submit_policy())?.with_observer(counted("submit")),
            submitting,
            read: Retry::new(read_policy())?.with_observer(counted("read")),
            chance,
            retries: Cell::default(),
            errors,
            sent: RefCell::default(),
        })
    }

    /// Places an order, at most once as far as anybody can know.
    ///
    /// `may_send` is asked before each attempt: a halt that comes between two of them counts.
    ///
    /// # Errors
    /// [`Stopped`] with the last error; its class says whether the order may have been placed.
    pub async fn submit(
        &self,
        venue: &dyn Venue,
        order: &OrderRequest,
        may_send: impl Fn() -> bool,
    ) -> Result<Finished<Acceptance>, Stopped<CallError>> {
        // Jitter by what is called, not by what else was called before it.
        let draw = self.chance.draw("jitter", order.client_order_id.as_bytes(), 0);
        let mut rng = SmallRng::seed_from_u64(draw);
        let send = || {
            *self.sent.borrow_mut().entry(order.tag).or_default() += 1;
            venue.submit(order)
        };
        let id = order.client_order_id;
        let repeat = match self.submitting {
            Submitting::Once => Repeat::Once(id),
            Submitting::PlainRetry => Repeat::Idempotent(id),
        };
        let last = Cell::new(None);
        let witness = |error: &CallError| last.set(Some(error.class().kind()));
        let stack = Stack::new(&self.clock, &self.submit, SUBMIT_TIMEOUT)
            .with_gate(&may_send)
            .with_breaker(&self.breaker)
            .with_bulkhead(&self.bulkhead)
            .with_witness(&witness);
        let result = stack.run(&mut rng, Some(repeat), send).await;
        self.count(result.as_ref().map_or_else(|stopped| stopped.attempts, |done| done.attempts));
        // One that failed for good is counted when it is known whether it was placed.
        if let (Ok(_), Some(kind)) = (&result, last.get()) {
            self.errors.recovered(kind, Component::EXECUTION, self.clock.now());
        }
        result
    }

    /// Repeats a call that changes nothing, or that changes the same thing however often it comes.
    ///
    /// Reads and cancels pass while order entry is kept back: they are what repairs it.
    ///
    /// # Errors
    /// [`Stopped`] with the last error.
    pub async fn repeat<'v, T: 'v>(
        &self,
        call: impl Fn() -> Answer<'v, T>,
    ) -> Result<T, Stopped<CallError>> {
        let mut rng = SmallRng::seed_from_u64(self.clock.now().as_millis().cast_unsigned());
        let last = Cell::new(None);
        let witness = |error: &CallError| last.set(Some(error.class().kind()));
        let stack = Stack::new(&self.clock, &self.read, READ_TIMEOUT).with_witness(&witness);
        let result = stack.run(&mut rng, None, call).await;
        match (&result, last.get()) {
            (_, None) => {}
            (Ok(_), Some(kind)) => {
                self.errors.recovered(kind, Component::NETWORK, self.clock.now());
            }
            (Err(_), Some(kind)) => {
                self.errors.failed(kind, Component::NETWORK, self.clock.now());
            }
        }
        self.count(result.as_ref().map_or_else(|stopped| stopped.attempts, |done| done.attempts));
        result.map(|finished| finished.value)
    }

    fn count(&self, attempts: u32) {
        self.retries.set(self.retries.get() + u64::from(attempts.saturating_sub(1)));
    }

    /// Attempts after the first, of all calls.
    pub fn retries(&self) -> u64 {
        self.retries.get()
    }

    /// What the breaker counted.
    pub fn breaker(&self) -> Totals {
        self.breaker.totals()
    }

    /// How often an intent was let through to the venue.
    pub fn sent(&self, tag: Uuid) -> u32 {
        self.sent.borrow().get(&tag).copied().unwrap_or(0)
    }

    /// Waits before the next look at something that could not be done.
    pub async fn pause(&self) {
        self.clock.sleep(OPEN_TIME).await;
    }
}

/// Half a second doubles to four; the acceptance deadline of the order bounds the whole.
fn submit_policy() -> RetryPolicy {
    let schedule =
        Schedule::exponential(Duration::from_millis(500)).with_cap(Duration::from_secs(4));
    RetryPolicy::new(schedule)
        .with_attempts_max(SUBMIT_ATTEMPTS_MAX)
        .with_deadline(crate::order::ACCEPT_WITHIN)
        .with_retry_after(RetryAfter::Unbounded)
}

fn read_policy() -> RetryPolicy {
    let schedule =
        Schedule::exponential(Duration::from_millis(200)).with_cap(Duration::from_secs(1));
    RetryPolicy::new(schedule)
        .with_attempts_max(READ_ATTEMPTS_MAX)
        .with_retry_after(RetryAfter::Unbounded)
}
