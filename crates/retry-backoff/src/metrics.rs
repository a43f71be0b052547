//! What runs and budgets tell the `metrics` facade.
//!
//! The label `retry` or `budget` is the name that the caller gives, one of a few.
//!
//! | name | kind | further labels |
//! |---|---|---|
//! | `retry_attempts_total` | counter | |
//! | `retry_failures_total` | counter | `kind`, `effect` |
//! | `retry_unwanted_total` | counter: values that ask for another try | |
//! | `retry_sleep_seconds` | histogram | |
//! | `retry_resolved_total` | counter | |
//! | `retry_stopped_total` | counter | `reason` |
//! | `retry_budget_tokens`, `retry_budget_balance` | gauge | |
//! | `retry_budget_reject_probability`, `retry_budget_in_flight` | gauge | |
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use backstop_clock::{ManualClock, Timestamp};
//! use backstop_error_taxonomy::{Error, Kind};
//! use backstop_retry_backoff::{Policy, Retry, Schedule, metrics};
//! use backstop_testkit::metrics::Recorded;
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! let reads = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?
//!     .with_observer(Arc::new(|event| metrics::observe("candles", event)));
//! let recorded = Recorded::default(); // a program installs its exporter instead
//! ::metrics::with_local_recorder(&recorded, || {
//!     let clock = ManualClock::new(Timestamp::EPOCH);
//!     let busy = |_| Err::<(), _>(Error::new(Kind::RateLimited, "busy"));
//!     reads.read().run_blocking(&clock, &mut StdRng::seed_from_u64(7), busy).unwrap_err();
//! });
//! assert_eq!(recorded.value("retry_attempts_total{retry=candles}"), Some(4.0));
//! let name = "retry_stopped_total{reason=attempts_exhausted,retry=candles}";
//! assert_eq!(recorded.value(name), Some(1.0));
//! # Ok::<(), backstop_retry_backoff::PolicyError>(())
//! ```

use std::time::Instant;

use ::metrics::{counter, gauge, histogram};

use crate::budget::Budget;
use crate::observer::Event;

/// Counts an event; for [`Retry::with_observer`](crate::Retry::with_observer).
pub fn observe(name: &str, event: Event) {
    let name = ("retry", name.to_owned());
    match event {
        Event::Started { .. } => counter!("retry_attempts_total", &[name]).increment(1),
        Event::Failed { class, .. } => {
            let kind = ("kind", class.kind().as_str().to_owned());
            let effect = ("effect", class.effect().as_str().to_owned());
            counter!("retry_failures_total", &[name, kind, effect]).increment(1);
        }
        Event::Unwanted { .. } => counter!("retry_unwanted_total", &[name]).increment(1),
        Event::Sleeping { delay, .. } => {
            histogram!("retry_sleep_seconds", &[name]).record(delay.as_secs_f64());
        }
        Event::Resolved { .. } => counter!("retry_resolved_total", &[name]).increment(1),
        Event::Stopped { reason, .. } => {
            let reason = ("reason", reason.as_str().to_owned());
            counter!("retry_stopped_total", &[name, reason]).increment(1);
        }
    }
}

/// Shows what is left of a budget; by a timer, or before each scrape.
pub fn publish_budget(name: &str, budget: &Budget, now: Instant) {
    let label = [("budget", name.to_owned())];
    if let Some(tokens) = budget.tokens() {
        gauge!("retry_budget_tokens", &label).set(tokens);
    }
    if let Some(balance) = budget.balance(now) {
        gauge!("retry_budget_balance", &label).set(balance);
    }
    if let Some(probability) = budget.reject_probability(now) {
        gauge!("retry_budget_reject_probability", &label).set(probability);
    }
    if let Some(retries) = budget.retries_in_flight() {
        gauge!("retry_budget_in_flight", &label).set(retries);
    }
}
