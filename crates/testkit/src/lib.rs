//! What the tests of several crates share; never published.
//!
//! [`scenarios`] reads the acceptance scenarios that are kept as JSON files.
//! With the feature `errors`, [`errors`] reads the failures that they describe; without it this
//! crate imports none of the others.
//! With the feature `metrics`, [`metrics`] records what is told to the facade of that name, and
//! with `tracing`, [`log`] gives the lines that are logged.

pub mod scenarios;
#[cfg(feature = "errors")]
pub mod errors;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "tracing")]
pub mod log;
