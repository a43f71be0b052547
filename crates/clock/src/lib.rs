//! Time and sleep as values: the system's clock, and one that tests move by hand.
//!
//! A pure core takes `now` as an argument; only an edge holds a [`Clock`].
//!
//! ```
//! use std::time::Duration;
//! use backstop_clock::{Clock, ManualClock, Timestamp};
//!
//! let clock = ManualClock::new(Timestamp::from_millis(1_000));
//! let before = clock.instant();
//! clock.advance(Duration::from_secs(2));
//! assert_eq!(clock.now(), Timestamp::from_millis(3_000));
//! assert_eq!(clock.instant() - before, Duration::from_secs(2));
//! ```
//!
//! Two kinds of time, because they answer different questions: [`Timestamp`] says when
//! something happened and may be written down; [`std::time::Instant`] measures how long
//! something took and never goes back.
//!
//! # What it is not
//! No calendar, no time zones, no formatting, no timers of its own.
//!
//! # Features
//! `serde`: [`Timestamp`] as an integer of milliseconds.
//! `tokio`: [`SystemClock`] sleeps on tokio's timer.

mod timestamp;
mod clock;
mod manual;
mod system;

pub use clock::{Clock, Sleep};
pub use manual::ManualClock;
pub use system::SystemClock;
pub use timestamp::Timestamp;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
