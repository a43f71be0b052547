//! What breakers write to `tracing`.
//!
//! | event | level |
//! |---|---|
//! | a transition to open or forced open | warn |
//! | any other transition | info |
//! | a probe that outlived its lease | warn |
//! | a threshold that is reached | debug |
//!
//! ```
//! use std::time::Duration;
//! use backstop_circuit_breaker::{Breaker, Policy, tracing};
//!
//! let venue = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(5))?
//!     .with_listener(|_, event| tracing::log("venue", event));
//! venue.force_open(); // WARN circuit breaker changed its state breaker="venue" from=closed ...
//! # Ok::<(), backstop_circuit_breaker::PolicyError>(())
//! ```

use ::tracing::{debug, info, warn};

use crate::{Event, State};

/// Writes an event down; for [`Breaker::with_listener`](crate::Breaker::with_listener).
pub fn log(name: &str, event: &Event) {
    const CHANGED: &str = "circuit breaker changed its state";
    match event {
        Event::Transition {
            from,
            to: to @ (State::Open | State::ForcedOpen),
            period,
            counts,
            ..
        } => {
            let (success, failure, slow) = (counts.success, counts.failure, counts.slow);
            warn!(breaker = name, %from, %to, period, success, failure, slow, "{CHANGED}");
        }
        Event::Transition { from, to, period, counts, .. } => {
            let (success, failure, slow) = (counts.success, counts.failure, counts.slow);
            info!(breaker = name, %from, %to, period, success, failure, slow, "{CHANGED}");
        }
        Event::ProbeReclaimed { period } => {
            warn!(breaker = name, period, "circuit breaker took the slot of a hung probe");
        }
        Event::Threshold { rule, counts } => {
            let (success, failure, slow) = (counts.success, counts.failure, counts.slow);
            debug!(breaker = name, %rule, success, failure, slow, "circuit breaker threshold reached");
        }
    }
}
