//! A policy that was checked, and the calls that follow it.

use std::fmt;
use std::future::Ready;
use std::sync::Arc;
use std::time::Instant;

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::Classify;
use rand::Rng;

use crate::blocking::Pause;
use crate::budget::Budget;
use crate::guard::Operation;
use crate::observer::Observer;
use crate::outcome::Answer;
use crate::progress::Progress;
use crate::{
    Elapsed, Finished, Guard, Handle, Policy, PolicyError, Resolution, StopToken, Stopped,
    blocking, drive,
};

/// A checked policy; make it once, call by it as often as you like.
///
/// It needs no runtime: clock and generator are arguments, and any executor can poll a run.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_retry_backoff::{Policy, Resolution, Retry, Schedule, StopReason};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// # pollster::block_on(async {
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut rng = StdRng::seed_from_u64(7);
/// let orders = Retry::new(Policy::new(Schedule::exponential(Duration::from_millis(500))))?;
///
/// // The connection broke after the order had left: it is not sent again.
/// let broken = async |_| Err::<u64, _>(Error::from(ErrorKind::ConnectionReset));
/// let stopped = orders.at_most_once("id 7").run(&clock, &mut rng, broken).await.unwrap_err();
/// assert_eq!((stopped.reason, stopped.attempts), (StopReason::UnknownOutcome, 1));
///
/// // The same with somebody to ask: the venue has it as order 42.
/// let asking = orders.at_most_once("id 7").asking(async || Resolution::Found(42));
/// let finished = asking.run(&clock, &mut rng, broken).await.unwrap();
/// assert_eq!((finished.value, finished.is_resolved()), (42, true));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Retry {
    policy: Policy,
    budget: Option<Arc<Budget>>,
    observer: Option<Arc<dyn Observer>>,
    start: Start,
}

/// What a first attempt needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// Nothing but to be made.
    Bare,
    /// To be made in time.
    Timed,
    /// All that belongs to a run.
    Whole,
}

impl Retry {
    /// Checks the policy.
    ///
    /// # Errors
    /// [`PolicyError`] with every setting that no loop can work with.
    pub fn new(policy: Policy) -> Result<Self, PolicyError> {
        policy.check()?;
        let start = if policy.is_timed() { Start::Timed } else { Start::Bare };
        Ok(Self { policy, budget: None, observer: None, start })
    }

    /// Shares a budget of retries with everybody who holds the same one.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self.start = Start::Whole;
        self
    }

    /// Lets somebody look on.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self.start = Start::Whole;
        self
    }

    /// A call whose unknown outcome is never sent again, such as an order.
    #[inline]
    pub fn at_most_once<T, K>(&self, key: K) -> Call<'_, T, K> {
        self.guarded(Guard::Once(key))
    }

    /// A call that may be done twice under this key.
    #[inline]
    pub fn idempotent<T, K>(&self, key: K) -> Call<'_, T, K> {
        self.guarded(Guard::Idempotent(key))
    }

    /// A call that changes nothing.
    #[inline]
    pub fn read<T>(&self) -> Call<'_, T, ()> {
        self.guarded(Guard::READ)
    }

    /// A call under this guard.
    #[inline]
    pub fn guarded<T, K>(&self, guard: Guard<K>) -> Call<'_, T, K> {
        Call { retry: self, guard, look_up: Nobody, token: None, handle: None, not_before: None }
    }

    /// The first attempt starts `now`; for those who drive the pure core themselves.
    pub fn start<K>(&self, guard: &Guard<K>, now: Instant) -> Progress {
        Progress::new(self.policy, guard.without_key(), now)
    }

    /// The settings.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    #[cfg(feature = "tower")]
    pub(crate) fn is_bare(&self) -> bool {
        self.start == Start::Bare
    }

    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.budget.as_deref()
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("policy", &self.policy)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Nobody can be asked about an unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Nobody;

/// Who is asked whether a request of unknown outcome took effect: a closure, or [`Nobody`].
pub trait LookUp<T> {
    /// The answer that is on its way.
    type Asking: Future<Output = Resolution<T>>;

    /// Asks; `None` if there is nobody to ask.
    fn ask(&mut self) -> Option<Self::Asking>;

    /// Whether there is somebody to ask.
    fn can_ask(&self) -> bool;
}

impl<T> LookUp<T> for Nobody {
    type Asking = Ready<Resolution<T>>;

    fn ask(&mut self) -> Option<Self::Asking> {
        None
    }

    fn can_ask(&self) -> bool {
        false
    }
}

impl<T, L, F> LookUp<T> for L
where
    L: FnMut() -> F,
    F: Future<Output = Resolution<T>>,
{
    type Asking = F;

    fn ask(&mut self) -> Option<F> {
        Some(self())
    }

    fn can_ask(&self) -> bool {
        true
    }
}

/// The same for a thread that waits for the answer: a closure, or [`Nobody`].
pub trait BlockingLookUp<T> {
    /// Asks; `None` if there is nobody to ask.
    fn ask_blocking(&mut self) -> Option<Resolution<T>>;

    /// Whether there is somebody to ask.
    fn can_ask_blocking(&self) -> bool;
}

impl<T> BlockingLookUp<T> for Nobody {
    fn ask_blocking(&mut self) -> Option<Resolution<T>> {
        None
    }

    fn can_ask_blocking(&self) -> bool {
        false
    }
}

impl<T, L: FnMut() -> Resolution<T>> BlockingLookUp<T> for L {
    fn ask_blocking(&mut self) -> Option<Resolution<T>> {
        Some(self())
    }

    fn can_ask_blocking(&self) -> bool {
        true
    }
}

/// One call that has not been made yet.
#[must_use = "nothing happens until it is run"]
pub struct Call<'c, T, K, L = Nobody> {
    pub(crate) retry: &'c Retry,
    pub(crate) guard: Guard<K>,
    pub(crate) look_up: L,
    pub(crate) token: Option<&'c StopToken>,
    pub(crate) handle: Option<&'c Handle<T>>,
    pub(crate) not_before: Option<Instant>,
}

impl<'c, T, K> Call<'c, T, K> {
    /// Asks before anything of unknown outcome is sent again under [`Guard::Once`].
    ///
    /// It is asked after the sleep and before the resend, within the attempt timeout and the rest
    /// of the deadline.
    /// When no attempt is left, nothing is asked and the outcome stays unknown; under
    /// [`Guard::Idempotent`] nobody is asked.
    pub fn asking<L>(self, look_up: L) -> Call<'c, T, K, L> {
        let Self { retry, guard, look_up: Nobody, token, handle, not_before } = self;
        Call { retry, guard, look_up, token, handle, not_before }
    }
}

impl<'c, T, K, L> Call<'c, T, K, L> {
    /// Ends gracefully once the token is stopped.
    pub fn until(mut self, token: &'c StopToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Ends with the value of the handle once somebody resolves it.
    pub fn resolved_by(mut self, handle: &'c Handle<T>) -> Self {
        self.handle = Some(handle);
        self
    }

    /// Starts no attempt before this moment, the first included.
    pub fn not_before(mut self, moment: Instant) -> Self {
        self.not_before = Some(moment);
        self
    }

    /// Runs `op` until it succeeds or nothing is left to try.
    ///
    /// Dropping the future that `op` returned must be harmless: that is how an attempt is cut.
    /// Dropping the run cancels it; nothing is sent or slept on afterwards.
    /// While the first attempt goes well, no clock is read unless the policy has a deadline or an
    /// attempt timeout.
    ///
    /// # Errors
    /// [`Stopped`] with the reason and the last error.
    #[inline]
    pub fn run<E, O, C, R>(
        self,
        clock: &C,
        rng: &mut R,
        op: O,
    ) -> impl Future<Output = Result<Finished<T>, Stopped<E>>>
    where
        K: Clone,
        L: LookUp<T>,
        O: Operation<K>,
        O::Output: Future<Output: Answer<Value = T, Error = E>>,
        E: Classify + From<Elapsed>,
        C: Clock + Sleep,
        R: Rng + ?Sized,
    {
        drive::run(self, clock, rng, op)
    }

    /// Runs `op` on this thread until it succeeds or nothing is left to try.
    ///
    /// Nothing can cut a blocking operation: it has to keep to [`Attempt::limit`] itself.
    /// An answer that comes later counts as it is.
    ///
    /// # Errors
    /// [`Stopped`] with the reason and the last error.
    ///
    /// [`Attempt::limit`]: crate::Attempt::limit
    #[inline]
    pub fn run_blocking<E, O, C, R>(
        self,
        clock: &C,
        rng: &mut R,
        op: O,
    ) -> Result<Finished<T>, Stopped<E>>
    where
        K: Clone,
        L: BlockingLookUp<T>,
        O: Operation<K>,
        O::Output: Answer<Value = T, Error = E>,
        E: Classify,
        C: Clock + Pause,
        R: Rng + ?Sized,
    {
        blocking::run(self, clock, rng, op)
    }

    /// What the first attempt needs.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        if self.token.is_some() || self.handle.is_some() || self.not_before.is_some() {
            Start::Whole
        } else {
            self.retry.start
        }
    }
}

impl<T, K: fmt::Debug, L> fmt::Debug for Call<'_, T, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("retry", &self.retry)
            .field("guard", &self.guard)
            .field("not_before", &self.not_before)
            .finish_non_exhaustive()
    }
}

/// Closures that can be retried, so that a call reads as a sentence.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_error_taxonomy::{Error, Kind};
/// use backstop_retry_backoff::{Policy, Retry, Retryable, Schedule};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// # pollster::block_on(async {
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut rng = StdRng::seed_from_u64(7);
/// let patiently = Retry::new(Policy::new(Schedule::exponential(Duration::from_millis(500))))?;
///
/// let fetch_candles = async || Ok::<_, Error>(24);
/// let candles = fetch_candles.retry(patiently.read()).on(&clock, &mut rng).await.unwrap();
/// assert_eq!(candles.value, 24);
///
/// let mut warm = false;
/// let fetch_rate = || {
///     if std::mem::replace(&mut warm, true) { Ok(1.25) } else { Err(Error::new(Kind::RateLimited, "")) }
/// };
/// let rate = fetch_rate.retry(patiently.read()).blocking_on(&clock, &mut rng).unwrap();
/// assert_eq!((rate.value, rate.attempts), (1.25, 2));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// # }).unwrap();
/// ```
pub trait Retryable<R>: FnMut() -> R + Sized {
    /// Runs this as the call says.
    #[inline]
    fn retry<C>(self, call: C) -> Retrying<Self, C> {
        Retrying { op: self, call }
    }
}

impl<F: FnMut() -> R, R> Retryable<R> for F {}

/// A closure and how it is to be called.
#[derive(Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Retrying<O, C> {
    op: O,
    call: C,
}

impl<O, T, K, L> Retrying<O, Call<'_, T, K, L>> {
    /// Runs it, see [`Call::run`].
    ///
    /// # Errors
    /// [`Stopped`] with the reason and the last error.
    #[inline]
    pub fn on<E, F, C, R>(
        self,
        clock: &C,
        rng: &mut R,
    ) -> impl Future<Output = Result<Finished<T>, Stopped<E>>>
    where
        K: Clone,
        L: LookUp<T>,
        O: FnMut() -> F,
        F: Future<Output: Answer<Value = T, Error = E>>,
        E: Classify + From<Elapsed>,
        C: Clock + Sleep,
        R: Rng + ?Sized,
    {
        let mut op = self.op;
        self.call.run(clock, rng, move |_| op())
    }

    /// Runs it on this thread, see [`Call::run_blocking`].
    ///
    /// # Errors
    /// [`Stopped`] with the reason and the last error.
    #[inline]
    pub fn blocking_on<E, A, C, R>(self, clock: &C, rng: &mut R) -> Result<Finished<T>, Stopped<E>>
    where
        K: Clone,
        L: BlockingLookUp<T>,
        O: FnMut() -> A,
        A: Answer<Value = T, Error = E>,
        E: Classify,
        C: Clock + Pause,
        R: Rng + ?Sized,
    {
        let mut op = self.op;
        self.call.run_blocking(clock, rng, move |_| op())
    }
}
