use std::time::{Duration, Instant};

use crate::Timestamp;

/// Reads the time.
///
/// The two readings need not agree: wall time may be set back, the instant never goes back.
///
/// ```
/// use backstop_clock::{Clock, SystemClock};
///
/// let clock = SystemClock;
/// let start = clock.instant();
/// assert!(clock.instant() >= start);
/// ```
pub trait Clock {
    /// Wall time, for what is written down.
    fn now(&self) -> Timestamp;

    /// Monotonic time, for measuring how long something took.
    fn instant(&self) -> Instant;
}

/// Waits without holding a thread.
///
/// A wait of zero still yields once, so that a retry loop never starves its neighbours.
pub trait Sleep {
    /// Completes once `duration` has passed.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn instant(&self) -> Instant {
        (**self).instant()
    }
}

impl<S: Sleep + ?Sized> Sleep for &S {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        (**self).sleep(duration)
    }
}
