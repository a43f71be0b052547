//! Word from outside: stop, or it took effect already.

use std::fmt;
use std::future::pending;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event;

/// A flag that is raised once, and those who wait for it.
#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    event: Event,
}

impl Signal {
    fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.event.notify(usize::MAX);
    }

    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        while !self.is_raised() {
            let listener = self.event.listen();
            // Looked at again: it may have been raised before anybody listened.
            if self.is_raised() {
                return;
            }
            listener.await;
        }
    }
}

/// Ends runs gracefully; clones share it, and one serves any number of runs.
///
/// An attempt in flight is awaited, a sleep or a look-up ends at once, and nothing is sent
/// afterwards.
/// A look-up that is cut has found out nothing: the outcome stays unknown.
/// A blocking look-up cannot be cut and is awaited.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_retry_backoff::{Policy, Retry, Schedule, StopReason, StopToken};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let retry = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?;
/// let token = StopToken::default();
/// token.stop();
///
/// let never = |_| -> std::io::Result<()> { unreachable!("nothing is sent") };
/// let call = retry.read().until(&token);
/// let stopped = call.run_blocking(&clock, &mut StdRng::seed_from_u64(7), never).unwrap_err();
/// assert_eq!((stopped.reason, stopped.attempts), (StopReason::Cancelled, 0));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopToken {
    signal: Arc<Signal>,
}

impl StopToken {
    /// Ends the runs that hold the token, now and in future.
    pub fn stop(&self) {
        self.signal.raise();
    }

    /// Whether it has been stopped.
    pub fn is_stopped(&self) -> bool {
        self.signal.is_raised()
    }

    /// Completes once it has been stopped.
    pub async fn stopped(&self) {
        self.signal.wait().await;
    }
}

/// What a handle holds.
enum Message<T> {
    None,
    Arrived(T),
    /// The call is over; nobody will look again.
    Closed,
}

struct Shared<T> {
    signal: Signal,
    news: Mutex<Message<T>>,
}

/// Resolves one call from outside, when its acceptance came on another channel.
///
/// Clones resolve the same call; make one for each call.
/// In a second call it is as good as none.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_error_taxonomy::{Error, Kind};
/// use backstop_retry_backoff::{Handle, Policy, Retry, Schedule};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let retry = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?;
/// let handle = Handle::new();
/// // The stream of order events, here called from within the attempt, hears of it first.
/// let stream = handle.clone();
/// let submit = |_| {
///     stream.resolve("accepted").unwrap();
///     Err(Error::new(Kind::Timeout, "no answer"))
/// };
/// let call = retry.at_most_once("order 7").resolved_by(&handle);
/// let finished = call.run_blocking(&clock, &mut StdRng::seed_from_u64(7), submit).unwrap();
/// assert_eq!((finished.value, finished.attempts), ("accepted", 1));
/// assert_eq!(handle.resolve("again"), Err("again"), "the call is over");
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
pub struct Handle<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Handle<T> {
    /// A handle of a call that has not been made yet.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { signal: Signal::default(), news: Message::None.into() }) }
    }

    /// States that the request took effect; the call ends with `value`.
    ///
    /// # Errors
    /// The value comes back if the call has ended or has been resolved before.
    pub fn resolve(&self, value: T) -> Result<(), T> {
        let mut news = self.news();
        if !matches!(*news, Message::None) {
            return Err(value);
        }
        *news = Message::Arrived(value);
        drop(news);
        self.shared.signal.raise();
        Ok(())
    }

    /// Takes what has arrived; the handle is closed then.
    pub(crate) fn take(&self) -> Option<T> {
        // The flag first: looking is all that most steps do.
        if !self.shared.signal.is_raised() {
            return None;
        }
        self.close()
    }

    /// Closes the handle and gives what had arrived.
    pub(crate) fn close(&self) -> Option<T> {
        let news = mem::replace(&mut *self.news(), Message::Closed);
        match news {
            Message::Arrived(value) => Some(value),
            Message::None | Message::Closed => None,
        }
    }

    /// Completes once there are news to take.
    ///
    /// Never on a handle of a call that is over: used again, it must not cut an attempt short.
    pub(crate) async fn arrival(&self) {
        self.shared.signal.wait().await;
        if !matches!(*self.news(), Message::Arrived(_)) {
            pending::<()>().await;
        }
    }

    fn news(&self) -> MutexGuard<'_, Message<T>> {
        // Nobody's code runs under the lock, so a poisoned state is still whole.
        self.shared.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Handle<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
