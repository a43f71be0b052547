//! The campaign against a script that prints what a host would.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::campaign::Host;

/// A folder for the reports of the runs on this market.
fn folder(market: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(market);
    fs::create_dir_all(&folder).expect("the folder for tests is writable");
    folder
}

fn host(market: &str) -> Host {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pretended_host.sh");
    Host::new(script, Some(market.into()), folder(market))
}

#[test]
fn a_run_whose_invariants_hold_passes() {
    assert!(host("ok").storm(9).is_ok());
    let report = fs::read_to_string(folder("ok").join("storm-9.json")).expect("the report is kept");
    let asked = xtask::report::at(&report, &["asked"]);
    assert_eq!(asked, Some(r#""run --faults storm --report json --seed 9 --market ok""#));
}

#[test]
fn a_run_that_says_not_ok_fails_and_its_report_is_named() {
    let why = host("broken").storm(3).expect_err("ok is false").to_string();
    assert!(why.contains("storm-3.json"), "{why}");
}

#[test]
fn a_run_that_says_ok_and_ends_badly_fails() {
    let why = host("failing").storm(1).expect_err("the status is 1").to_string();
    assert!(why.contains("exit status: 1"), "{why}");
}

#[test]
fn two_runs_that_say_different_things_fail() {
    let why = host("moody").storm(2).expect_err("the process id differs").to_string();
    assert!(why.contains("seed 2 gave two reports"), "{why}");
    // How long it took may differ.
    assert!(host("slow").storm(2).is_ok());
}

#[test]
fn a_run_that_prints_nothing_fails() {
    assert!(host("silent").storm(1).is_err());
}
