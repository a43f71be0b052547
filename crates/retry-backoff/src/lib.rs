//! Retry with backoff that never resends what may have happened.
//!
//! ```
//! use std::io::{Error, ErrorKind};
//! use std::time::Duration;
//! use backstop_clock::{ManualClock, Timestamp};
//! use backstop_retry_backoff::{Attempt, Policy, Retry, Schedule};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! # pollster::block_on(async {
//! let clock = ManualClock::new(Timestamp::EPOCH);
//! let mut rng = StdRng::seed_from_u64(7);
//! let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)))
//!     .with_attempts_max(4)
//!     .with_deadline(Duration::from_secs(20));
//! let reads = Retry::new(policy)?;
//!
//! let fetch = async |attempt: Attempt<()>| match attempt.number {
//!     1 | 2 => Err(Error::from(ErrorKind::ConnectionReset)),
//!     _ => Ok("candles"),
//! };
//! let finished = reads.read().run(&clock, &mut rng, fetch).await.unwrap();
//! assert_eq!((finished.value, finished.attempts), ("candles", 3));
//! # Ok::<(), backstop_retry_backoff::PolicyError>(())
//! # }).unwrap();
//! ```
//!
//! An error says by [`Classify`](backstop_error_taxonomy::Classify) whether it may pass and whether
//! the request may have taken effect.
//! Under [`Guard::Once`] an unknown effect is never resent: the run stops, or asks a look-up first.
//!
//! # Defaults
//!
//! Four attempts, factor 2, full jitter, delays up to a minute, no deadline, no attempt timeout,
//! a `Retry-After` honoured up to 5 s beyond the schedule.
//! A refusal by a circuit breaker and an exhausted inner retry are final.
//!
//! # What it is not
//!
//! No runtime, no clock and no global generator of its own: all three are arguments, so that the
//! same seed gives the same run.
//! No classification of errors either; that is the error's business.
//!
//! # Which part for what
//!
//! | you want | use |
//! |---|---|
//! | a call under a policy | [`Retry`], [`Call`], or the sentence of [`Retryable`] |
//! | to retry on a value, or to obey a pushback | [`Outcome`] |
//! | to ask whether an order was accepted | [`Call::asking`] |
//! | to hear it from elsewhere, to stop in order | [`Handle`], [`StopToken`] |
//! | a payload made anew for each attempt | [`sending`] |
//! | a limit on the retries of all calls together | [`budget`] |
//! | to look on | [`observer`] |
//! | company for a slow read | [`hedge`] |
//! | a loop of your own | [`pure`] |
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `metrics` | the module `metrics` with counters and gauges for the facade of that name |
//! | `serde` | policies and budgets in the form of data, times in whole milliseconds |
//! | `tokio` | [`SystemClock`](backstop_clock::SystemClock) sleeps on tokio's timer |
//! | `tower` | the module `layer` with a tower layer |
//! | `tracing` | the module `tracing` with events of runs |
//!
//! # Failing
//!
//! [`PolicyError`] before anything runs; afterwards only [`Stopped`], with the reason, the last
//! error unchanged and the class of the whole run.

pub use crate::call::{Call, Retry, Retryable};
pub use crate::error::PolicyError;
pub use crate::guard::{Attempt, Guard, sending};
pub use crate::outcome::{Elapsed, Ending, Finished, Outcome, Resolution, Stopped};
pub use crate::policy::{OnRefusal, Policy, RetryAfter};
pub use crate::progress::StopReason;
pub use crate::schedule::{Jitter, Schedule};
pub use crate::signal::{Handle, StopToken};

mod schedule;
mod policy;
#[cfg(feature = "serde")]
mod plain;
mod error;
mod guard;
mod outcome;
mod progress;
pub mod history;
pub mod observer;
pub mod budget;
mod signal;
mod call;
mod run;
mod first;
mod drive;
mod blocking;
pub mod hedge;
#[cfg(feature = "tower")]
pub mod layer;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "tracing")]
pub mod tracing;
#[expect(unexpected_cfgs, reason = "`--cfg loom` is set by hand to run the model checker")]
mod sync;
mod within;

/// The decisions without clock, sleep or generator, for a driver of your own.
pub mod pure {
    pub use crate::progress::{Progress, Step, Trouble};
    pub use crate::schedule::Delays;
}

/// What closures, clocks and settings are to a call; seldom named.
pub mod bounds {
    pub use crate::blocking::Pause;
    pub use crate::call::{BlockingLookUp, LookUp, Nobody, Retrying};
    pub use crate::error::Problem;
    pub use crate::guard::{Operation, Sending};
    pub use crate::outcome::Answer;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
