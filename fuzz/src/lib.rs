//! What reads data that others wrote, as fuzz targets.
//!
//! A target is a function of bytes that must return, whatever the bytes are: it reads them, and
//! where that succeeds it checks the laws of what was read.
//! [`TARGETS`] names them all.
//!
//! They run in three ways:
//!
//! - `cargo test -p backstop-fuzz`, on stable: the corpus, changed copies of it, and noise;
//! - `cargo run -p xtask -- campaign fuzz --target error_json --seconds 300`: libFuzzer, which needs
//!   a nightly compiler;
//! - `cargo run -p backstop-fuzz --bin error_json -- FILE...`, on stable: a finding once more.
//!
//! To add a target: a function here, its line in [`TARGETS`], a program in `fuzz_targets` with its
//! `[[bin]]`, and a few inputs in `corpus`; a test notices what lacks.

pub use crate::ledger::{ledger_amount, ledger_csv, ledger_entry, ledger_json};
pub use crate::program::reproduce;
pub use crate::taxonomy::{error_json, policy_file, venue_table};

mod ledger;
mod program;
mod taxonomy;

/// A function of bytes and the name by which it is called.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the program, of the folder of the corpus, and of the function.
    pub name: &'static str,
    /// Reads the bytes, and panics where what was read breaks a law.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "error_json", run: error_json },
    Target { name: "ledger_amount", run: ledger_amount },
    Target { name: "ledger_csv", run: ledger_csv },
    Target { name: "ledger_entry", run: ledger_entry },
    Target { name: "ledger_json", run: ledger_json },
    Target { name: "policy_file", run: policy_file },
    Target { name: "venue_table", run: venue_table },
];
