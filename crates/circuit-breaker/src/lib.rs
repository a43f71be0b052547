//! A circuit breaker whose stale results change nothing.
//!
//! ```
//! use std::time::Duration;
//! use backstop_circuit_breaker::{Breaker, Policy, State};
//! use backstop_clock::{Clock, ManualClock, Timestamp};
//!
//! let clock = ManualClock::new(Timestamp::EPOCH);
//! let now = || clock.instant();
//! let venue = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(2))?;
//!
//! let late = venue.admit(now)?; // a call that will take its time
//! venue.admit(now)?.failure(now);
//! venue.admit(now)?.failure(now);
//! assert!(venue.admit(now).is_err()); // open: nothing is sent
//!
//! clock.advance(Duration::from_secs(30));
//! let probe = venue.admit(now)?; // half-open: one probe
//! late.failure(now); // of an earlier period: counted as stale, judges nothing
//! probe.success(now);
//! assert_eq!(venue.state(), State::Closed);
//! assert_eq!(venue.totals().stale, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Breaker::admit`] gives a [`Permit`] or a [`Rejection`]; the permit takes the verdict.
//! [`Breaker::call`] and [`Breaker::call_async`] do both and judge errors by their class.
//! A [`Registry`] keeps a breaker for each key, a [`Snapshot`] carries one over a restart.
//!
//! # Defaults
//! [`Policy`] lists them; a trip rule and the open time have none.
//!
//! # What it is not
//! It does not retry, time out, sleep or read a clock; a probe that never ends holds its slot
//! unless the policy gives it a lease ([`Policy::probes_may_hang`] tells).
//! It knows nothing of other processes.
//!
//! # Features
//! None by default; each only adds.
//! `bulkhead`: a limit on how many calls run at once, on tokio's semaphore.
//! `metrics`: counters and gauges for the facade of that name.
//! `serde`: policies, limits and snapshots as data, times in milliseconds.
//! `tower`: the breaker as a layer.
//! `tracing`: transitions as its events.
//!
//! # How it fails
//! An impossible [`Policy`] is a [`PolicyError`] that names every setting at fault; a call that is
//! not admitted is a [`Rejection`] that says when to come back; a change of state by hand that is
//! none is an [`IllegalTransition`].
//! Nothing else can fail.

mod policy;
mod policy_error;
mod counts;
mod event;
mod rejection;
mod trip;
mod state;
mod tally;
mod window;
mod history;
mod time;
mod word;
mod allowance;
mod gate;
mod listeners;
mod breaker;
mod control;
mod gauges;
mod permit;
mod call;
mod snapshot;
mod registry;
#[cfg(feature = "bulkhead")]
pub mod bulkhead;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "tracing")]
pub mod tracing;
#[cfg(feature = "serde")]
mod kinds;
#[cfg(feature = "serde")]
mod plain;
#[expect(unexpected_cfgs, reason = "`--cfg loom` is set by hand to run the model checker")]
mod sync;

pub use breaker::Breaker;
pub use call::CallError;
pub use control::IllegalTransition;
pub use counts::{Counts, Totals};
pub use event::{Event, Rule, State};
pub use history::Trip;
pub use permit::Permit;
pub use policy::{AfterHalfOpen, Initial, Policy, ProbeRule, Verdict};
pub use policy_error::{PolicyError, Problem};
pub use registry::{Occupancy, Registry};
pub use rejection::{Reason, Rejection};
pub use snapshot::Snapshot;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
