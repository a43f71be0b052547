//! What runs write to `tracing`.
//!
//! A failure that is tried again is no error of the run, so it is written at the level debug.
//!
//! | event | level |
//! |---|---|
//! | an attempt starts, fails or gives an unwanted value; a sleep | debug |
//! | a look-up or a handle settled the outcome; a run was cancelled | info |
//! | a run gave up | warn |
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use backstop_retry_backoff::{Policy, Retry, Schedule, tracing};
//!
//! let reads = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?
//!     .with_observer(Arc::new(|event| tracing::log("candles", event)));
//! # Ok::<(), backstop_retry_backoff::PolicyError>(())
//! ```

use ::tracing::{debug, info, warn};

use crate::StopReason;
use crate::observer::Event;

/// Writes an event down; for [`Retry::with_observer`](crate::Retry::with_observer).
pub fn log(name: &str, event: Event) {
    match event {
        Event::Started { attempt } => debug!(retry = name, attempt, "attempt starts"),
        Event::Failed { attempt, class } => {
            let (kind, effect) = (class.kind().as_str(), class.effect().as_str());
            debug!(retry = name, attempt, kind, effect, "attempt failed");
        }
        Event::Unwanted { attempt } => {
            debug!(retry = name, attempt, "attempt gave a value that asks for another try");
        }
        Event::Sleeping { attempt, delay } => {
            debug!(retry = name, attempt, ?delay, "sleeps before the next try");
        }
        Event::Resolved { attempt } => info!(retry = name, attempt, "took effect, as others know"),
        Event::Stopped { attempt, reason: StopReason::Cancelled } => {
            info!(retry = name, attempt, "cancelled");
        }
        Event::Stopped { attempt, reason } => {
            warn!(retry = name, attempt, %reason, "gave up");
        }
    }
}
