use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::{Clock, Timestamp};

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads wall time")]
    fn now(&self) -> Timestamp {
        let since = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp::from_millis(since(after)),
            Err(before) => Timestamp::from_millis(since(before.duration()).saturating_neg()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the timer")]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(feature = "tokio")]
impl crate::Sleep for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that sleeps on tokio")]
    async fn sleep(&self, duration: std::time::Duration) {
        if duration.is_zero() {
            // tokio's own zero sleep may complete at once; the contract asks for one yield.
            crate::manual::yield_once().await;
        } else {
            tokio::time::sleep(duration).await;
        }
    }
}
