//! Benchmarks of the backstop crates and their peers.
