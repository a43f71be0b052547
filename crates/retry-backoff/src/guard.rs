//! Whether a request may be sent twice, and what is sent.

use std::time::Duration;

/// Whether the operation may be done twice, with the key that every attempt carries.
///
/// The key is what the other side knows the request by: an idempotency key, a client order id.
///
/// ```
/// use backstop_retry_backoff::Guard;
///
/// assert_eq!(Guard::Once("order 7").key(), &"order 7");
/// assert_eq!(Guard::READ, Guard::Idempotent(()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Guard<K> {
    /// Doing it twice under the same key is the same as doing it once.
    Idempotent(K),
    /// It must not be done twice, such as an order; an unknown outcome is never resent.
    Once(K),
}

impl Guard<()> {
    /// A request that changes nothing needs no key.
    pub const READ: Self = Self::Idempotent(());
}

impl<K> Guard<K> {
    /// The key of the request.
    pub const fn key(&self) -> &K {
        match self {
            Self::Idempotent(key) | Self::Once(key) => key,
        }
    }

    pub(crate) const fn without_key(&self) -> Guard<()> {
        if self.is_once() { Guard::Once(()) } else { Guard::Idempotent(()) }
    }

    /// Whether an unknown outcome forbids to send it again.
    pub const fn is_once(&self) -> bool {
        matches!(self, Self::Once(_))
    }
}

/// What an operation is told about the attempt it makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Attempt<K> {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// The key of the guard, the same on every attempt.
    pub key: K,
    /// How long it may take; `None` for any time.
    ///
    /// A future is cut when it is over; a blocking operation has to look at it itself.
    pub limit: Option<Duration>,
}

/// Something that can be attempted more than once: a closure, or [`sending`].
pub trait Operation<K> {
    /// What an attempt gives: an answer, or a future of one.
    type Output;

    /// Starts an attempt, unless it would send something else while an outcome is open.
    fn start(&mut self, attempt: Attempt<K>, is_open: bool) -> Option<Self::Output>;
}

impl<K, F, R> Operation<K> for F
where
    F: FnMut(Attempt<K>) -> R,
{
    type Output = R;

    #[inline]
    fn start(&mut self, attempt: Attempt<K>, _is_open: bool) -> Option<R> {
        Some(self(attempt))
    }
}

/// An operation that sends what `prepare` makes anew for each attempt.
///
/// While the outcome of an earlier attempt is open, a payload that differs from what was sent is
/// refused, under either guard: the other side would hold two different requests for one key.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_error_taxonomy::{Error, Kind};
/// use backstop_retry_backoff::{Attempt, Policy, Retry, Schedule, StopReason, sending};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut rng = StdRng::seed_from_u64(7);
/// let retry = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?;
///
/// // Half the size on the second try, although nobody knows what became of the first.
/// let halved = |number: u32| 10 / number;
/// let lost = |_attempt: Attempt<&str>, _size: u32| Err::<(), _>(Error::new(Kind::Timeout, "?"));
/// let order = retry.idempotent("order 7");
/// let stopped = order.run_blocking(&clock, &mut rng, sending(halved, lost)).unwrap_err();
/// assert_eq!((stopped.reason, stopped.attempts), (StopReason::ModifiedAfterUnknown, 1));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
pub const fn sending<P, F, S>(prepare: F, send: S) -> Sending<P, F, S>
where
    F: FnMut(u32) -> P,
{
    Sending { prepare, send, sent: None }
}

/// See [`sending`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Sending<P, F, S> {
    prepare: F,
    send: S,
    /// What the last attempt sent.
    sent: Option<P>,
}

impl<K, P, F, S, R> Operation<K> for Sending<P, F, S>
where
    P: Clone + PartialEq,
    F: FnMut(u32) -> P,
    S: FnMut(Attempt<K>, P) -> R,
{
    type Output = R;

    fn start(&mut self, attempt: Attempt<K>, is_open: bool) -> Option<R> {
        let payload = (self.prepare)(attempt.number);
        if is_open && self.sent.as_ref().is_some_and(|sent| *sent != payload) {
            return None;
        }
        self.sent = Some(payload.clone());
        Some((self.send)(attempt, payload))
    }
}
