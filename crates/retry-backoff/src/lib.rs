//! Retry with backoff that never resends what may have happened.
//!
//! ```
//! use std::io::{Error, ErrorKind};
//! use std::time::Duration;
//! use backstop_clock::{Clock, ManualClock, Timestamp};
//! use backstop_retry_backoff::{Guard, Policy, Retry, Schedule};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! # pollster::block_on(async {
//! let clock = ManualClock::new(Timestamp::EPOCH);
//! let mut rng = StdRng::seed_from_u64(7);
//! let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)))
//!     .with_attempts_max(4)
//!     .with_deadline(Duration::from_secs(20));
//! let read = Retry::new(policy, Guard::Idempotent)?;
//!
//! let finished = read
//!     .run(&clock, &mut rng, async |attempt| match attempt {
//!         1 | 2 => Err(Error::from(ErrorKind::ConnectionReset)),
//!         _ => Ok("candles"),
//!     })
//!     .await
//!     .unwrap();
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
//! # Failing
//!
//! [`PolicyError`] before anything runs; afterwards only [`Stopped`], with the reason, the last
//! error unchanged and the class of the whole run.

pub use crate::outcome::{Elapsed, Finished, Resolution, Stopped};
pub use crate::policy::{Guard, Policy, PolicyError};
pub use crate::progress::{Progress, Step, StopReason};
pub use crate::retry::{Resolving, Retry};
pub use crate::schedule::{Jitter, Schedule};

mod schedule;
mod policy;
mod progress;
mod outcome;
mod retry;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
