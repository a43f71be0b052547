//! Benchmarks of the backstop crates and their peers.
//!
//! One program per crate in `benches/`.
//! A group compares where one of its functions is named `backstop` and others are named after peers.
