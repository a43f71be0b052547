use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use crate::{Clock, Sleep, SystemClock, Timestamp};

/// A clock that moves only when told to; clones share the time.
///
/// Sleeping moves it at once, so that a test of a retry loop takes no real time.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{Clock, ManualClock, Sleep, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// pollster::block_on(clock.sleep(Duration::from_secs(60)));
/// assert_eq!(clock.now(), Timestamp::from_millis(60_000));
/// // Wall time can be set anywhere, also back; the instant stays monotonic.
/// clock.set_now(Timestamp::EPOCH);
/// assert_eq!(clock.elapsed(), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Where `instant` starts; a real reading, because an `Instant` cannot be made from a number.
    anchor: Instant,
    /// Nanoseconds since the anchor.
    elapsed_ns: AtomicU64,
    /// Wall time less the elapsed milliseconds.
    wall_offset_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        let shared = Shared {
            anchor: SystemClock.instant(),
            elapsed_ns: AtomicU64::new(0),
            wall_offset_ms: AtomicI64::new(now.as_millis()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Moves wall time and instant forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.shared.elapsed_ns.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets wall time anywhere, also back; the instant does not move.
    pub fn set_now(&self, now: Timestamp) {
        let offset = now.as_millis().saturating_sub(self.elapsed_millis());
        self.shared.wall_offset_ms.store(offset, Ordering::SeqCst);
    }

    /// Time advanced since the clock was made.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shared.elapsed_ns.load(Ordering::SeqCst))
    }

    fn elapsed_millis(&self) -> i64 {
        i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let offset = self.shared.wall_offset_ms.load(Ordering::SeqCst);
        Timestamp::from_millis(offset.saturating_add(self.elapsed_millis()))
    }

    fn instant(&self) -> Instant {
        self.shared.anchor.checked_add(self.elapsed()).unwrap_or(self.shared.anchor)
    }
}

impl Sleep for ManualClock {
    async fn sleep(&self, duration: Duration) {
        yield_once().await;
        self.advance(duration);
    }
}

/// Lets the executor run others once.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
