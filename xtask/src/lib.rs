//! The project's own commands, written against the standard library alone.
//!
//! `cargo run -p xtask -- help` lists them.
//! [`ci`] runs every check in order, [`tidy`] checks the rules about the repository itself, [`perf`] runs the benchmarks and prints ratios, and [`campaign`] runs the host over many seeds.
//!
//! A command ends in `Ok` or in a [`Failure`] that says what to look at.
//! Nothing here knows what a crate does: the packages, their features and their examples are read from the manifests.

#![expect(clippy::print_stdout, reason = "a command line tool speaks on standard output")]

pub mod arguments;
pub mod ci;
pub mod tidy;
pub mod perf;
pub mod campaign;
pub mod report;
pub mod project;
mod manifest;
pub mod shell;
pub mod tools;

pub use crate::shell::Failure;
