//! The ledger alone, killed at every step of its writing.

use std::ops::RangeInclusive;

use crate::project::Project;
use crate::shell::{self, Failure};

/// The test that kills children of itself; see `crates/position-ledger/tests/it/kills.rs`.
const TEST: &str = "kills::nothing_is_lost_and_nothing_applied_twice";

/// Tells the test to take these seeds, and every step of them.
const SEEDS: &str = "BACKSTOP_LEDGER_KILL_SEEDS";

/// Kills the writer of a ledger in SQLite at every step, for each seed.
///
/// # Errors
///
/// The first kill after which something acknowledged is missing, or something is there twice.
pub fn ledger_kill(project: &Project, seeds: &RangeInclusive<u64>) -> Result<(), Failure> {
    let start = shell::now();
    let (first, last) = (seeds.start(), seeds.end());
    let mut test = project.cargo();
    test.args(["test", "--release", "-p", "backstop-position-ledger", "--test", "it", "--"]);
    test.args(["--exact", "--nocapture", TEST]).env(SEEDS, format!("{first}..{last}"));
    shell::run(&mut test)?;
    println!("ledger-kill seeds {first} to {last}, all ok in {:.1?}", start.elapsed());
    Ok(())
}
