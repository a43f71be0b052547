//! What the tests of several crates share; never published.
//!
//! [`scenarios`] reads the acceptance scenarios that are kept as JSON files.
//! With the feature `errors`, [`errors`] reads the failures that they describe; without it this
//! crate imports none of the others.

pub mod scenarios;
#[cfg(feature = "errors")]
pub mod errors;
