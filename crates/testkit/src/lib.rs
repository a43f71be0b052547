//! What the tests of several crates share; never published, imports none of the other crates.
//!
//! [`scenarios`] reads the acceptance scenarios that are kept as JSON files.

pub mod scenarios;
