//! What a run prints, and what its folder shows afterwards.

use std::{
    fs::{self, OpenOptions},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use trading_host::setup::DATABASE;

use super::{host, run, told};
use crate::stage::{contents, market_until};

/// Every key that a report must have, nested ones after a dot.
const KEYS: [&str; 51] = [
    "seed",
    "market_events",
    "elapsed_ms",
    "durable_commits",
    "orders.intended",
    "orders.accepted",
    "orders.rejected",
    "orders.unknown_resolved",
    "orders.duplicates_at_venue",
    "fills.total",
    "fills.partial",
    "fills.recovered",
    "faults_injected",
    "retries",
    "errors.execution",
    "errors.network",
    "recovery_rate",
    "detect_s_max",
    "recover_s_max",
    "consistency_age_s_max",
    "news_age_s_max",
    "breaker.opened",
    "breaker.rejected",
    "dead_letters.put",
    "dead_letters.replayed",
    "dead_letters.resolved",
    "dead_letters.remaining",
    "dead_letters.lost",
    "reconciliation.runs",
    "reconciliation.found",
    "reconciliation.auto_resolved",
    "reconciliation.manual",
    "reconciliation.remaining",
    "pnl_snapshots.taken",
    "pnl_snapshots.periodic",
    "pnl_snapshots.end_of_day",
    "pnl_snapshots.reconciliation",
    "pnl_snapshots.verified",
    "pnl_snapshots.accepted",
    "pnl_snapshots.mismatched",
    "pnl_snapshots.missing",
    "damaged_snapshots",
    "ledger.entries",
    "ledger.fills",
    "ledger.head",
    "ledger.chain_verified",
    "ledger.equals_venue",
    "isolated",
    "invariants",
    "invariants.0.detail",
    "ok",
];

fn look(command: &str, market: &Path, data_dir: &Path) -> (Option<i32>, String, String) {
    let (market, data_dir) = (market.to_str().unwrap(), data_dir.to_str().unwrap());
    told(&host([command, "--data-dir", data_dir, "--market", market]))
}

fn number(text: &str, before: &str) -> u64 {
    let (number, _) = text.rsplit_once(before).unwrap_or_else(|| panic!("{before}: {text}"));
    number.rsplit([' ', '\n']).next().unwrap().parse().unwrap()
}

#[test]
fn a_finished_run_can_be_looked_into_and_run_again() {
    let (market, folder) = (market_until("2017-01-13"), tempfile::tempdir().unwrap());
    // A folder that does not exist yet is made.
    let data_dir = folder.path().join("deep/run");
    let more = ["--report", "json", "--seed", "3"];
    let (status, out, err) = told(&run(market.path(), Some(&data_dir), &more));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&out).unwrap();
    for key in KEYS {
        let pointer = format!("/{}", key.replace('.', "/"));
        assert!(report.pointer(&pointer).is_some_and(|value| !value.is_null()), "{key}");
    }
    assert_eq!((&report["ok"], &report["seed"]), (&Value::Bool(true), &Value::from(3)));
    for invariant in report["invariants"].as_array().unwrap() {
        assert_eq!(invariant["holds"], Value::Bool(true), "{invariant}");
    }
    let figure = |key: &str| report.pointer(key).unwrap().as_u64().unwrap();

    let before = contents(&data_dir);
    let looks = |command| {
        let (status, out, err) = look(command, market.path(), &data_dir);
        assert_eq!((status, err.as_str()), (Some(0), ""), "{command}");
        out
    };
    assert_eq!(number(&looks("letters"), " letters, 0 open"), figure("/dead_letters/put"));
    let positions = looks("positions");
    assert_eq!(number(&positions, " entries"), figure("/ledger/entries"));
    assert!(positions.contains(" = 1000000 deposited + "), "{positions}");
    assert!(positions.contains(report["money"]["USD"]["balance"].as_str().unwrap()));
    let compared = looks("reconcile");
    assert_eq!(number(&compared, " fills in the books"), figure("/fills/total"));
    assert!(compared.ends_with(" 0 breaks\n"), "{compared}");
    let taken = figure("/pnl_snapshots/taken");
    assert_eq!(number(&looks("snapshots"), " agree with the books"), taken);
    let query = |more: &[&str]| {
        let mut args = vec!["snapshots", "--data-dir", data_dir.to_str().unwrap()];
        args.extend(["--market", market.path().to_str().unwrap()]);
        args.extend(more);
        told(&host(args)).1
    };
    let days = query(&["--kind", "end_of_day"]);
    assert_eq!(number(&days, " agree with the books"), figure("/pnl_snapshots/end_of_day"));
    assert!(days.starts_with("2017-01-02T22:00:00Z end_of_day entry "), "{days}");
    let between = ["--from", "2017-01-04T12:00:00Z", "--until", "2017-01-05T12:00:00Z"];
    let between = query(&[&between[..], &["--kind", "periodic"]].concat());
    assert!(between.starts_with("2017-01-04T12:00:00Z periodic entry "), "{between}");
    assert!(between.ends_with("\n1 snapshots, 1 agree with the books\n"), "{between}");
    let (none, all) = (query(&["--doubtful"]), format!("{taken} snapshots, "));
    assert!(none.starts_with(&all), "{none}");
    assert!(query(&["--limit", "2"]).ends_with("\n2 snapshots, 2 agree with the books\n"));
    let verified = looks("verify");
    assert_eq!(number(&verified, " entries verified"), figure("/ledger/entries"));
    assert!(verified.contains(report["ledger"]["head"].as_str().unwrap()), "{verified}");
    assert_eq!(contents(&data_dir), before, "a look must change nothing");

    // Nothing is left to trade, and what was traded stays.
    let (status, out, _) = told(&run(market.path(), Some(&data_dir), &more));
    let again: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status, Some(0));
    for key in ["orders", "fills", "money"] {
        let (mut now, mut then) = (again[key].clone(), report[key].clone());
        // What this process found out is not what the journal knows.
        for value in [&mut now, &mut then] {
            value.as_object_mut().unwrap().remove("unknown_resolved");
        }
        assert_eq!(now, then, "{key}");
    }
}

#[test]
fn a_look_at_the_database_alone_adds_its_lock() {
    let (market, folder) = (market_until("2017-01-04"), tempfile::tempdir().unwrap());
    let (status, _, err) = told(&run(market.path(), Some(folder.path()), &[]));
    assert_eq!(status, Some(0), "{err}");
    let copied = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join(DATABASE), copied.path().join(DATABASE)).unwrap();
    let before = contents(copied.path());
    let (at, market) = (copied.path().to_str().unwrap(), market.path().to_str().unwrap());
    for look in ["letters", "positions", "snapshots", "verify"] {
        let (status, _, err) = told(&host([look, "--data-dir", at, "--market", market]));
        assert_eq!((status, err.as_str()), (Some(0), ""), "{look}");
    }
    assert_eq!(contents(copied.path()), before);
    assert_eq!(fs::read(copied.path().join("host.lock")).unwrap(), b"");
    assert_eq!(fs::read_dir(copied.path()).unwrap().count(), 2);
}

#[test]
fn the_text_report_says_what_holds() {
    let market = market_until("2017-01-06");
    let (status, out, err) = told(&run(market.path(), None, &["--faults", "none"]));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("seed 1, "), "{out}");
    let held = out.lines().filter(|line| line.contains(" holds  ")).count();
    assert!(held >= 8 && !out.contains("BROKEN") && !out.contains("NOT"), "{out}");
    assert!(out.ends_with("\nok\n"), "{out}");
}

#[test]
fn a_halt_can_be_drilled() {
    let market = market_until("2017-01-13");
    let more = ["--faults", "none", "--halt-at", "2017-01-06T12:00:00Z", "--report", "json"];
    let (status, out, _) = told(&run(market.path(), None, &more));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, report["halted"].as_str()), (Some(0), Some("drill")));
    let intended = report["orders"]["intended"].as_u64().unwrap();
    let (_, out, _) = told(&run(market.path(), None, &more[..2]));
    assert!(number(&out, " intended") > intended, "{out}");
}

#[test]
fn a_halt_stands_until_it_is_lifted() {
    let market = market_until("2017-01-05");
    let folder = tempfile::tempdir().unwrap();
    let kept = Some(folder.path());
    let (status, out, err) =
        told(&run(market.path(), kept, &["--halt-at", "2017-01-04T12:00:00Z"]));
    assert!(status == Some(0) && out.contains("halted          drill"), "{out}{err}");
    let (status, out, _) = told(&run(market.path(), kept, &[]));
    assert!(status == Some(0) && out.contains("halted          drill"), "{out}");

    let lift = || {
        let folder = folder.path().to_str().unwrap();
        told(&host(["lift", "--data-dir", folder, "--reason", "the drill is over"]))
    };
    let (status, out, _) = lift();
    assert!(status == Some(0) && out.contains("lifted the halt of"), "{out}");
    let (status, out, _) = told(&run(market.path(), kept, &[]));
    assert!(status == Some(0) && !out.contains("halted"), "{out}");
    let (status, out, _) = lift();
    assert_eq!((status, out.trim()), (Some(1), "no halt stands"));
}

#[test]
fn a_report_that_cannot_be_written_is_no_success() {
    let (market, folder) = (market_until("2017-01-04"), tempfile::tempdir().unwrap());
    let (at, market) = (folder.path().to_str().unwrap(), market.path().to_str().unwrap());
    let run = ["run", "--faults", "none", "--report", "json"];
    for command in [&run[..], &["verify"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut host = Command::new(env!("CARGO_BIN_EXE_trading-host"));
        host.args(command).args(["--market", market, "--data-dir", at]).env_remove("RUST_LOG");
        let (status, _, err) = told(&host.stdout(full).stderr(Stdio::piped()).output().unwrap());
        assert_eq!(status, Some(1), "{err}");
        let words = "trading-host: the result could not be written: No space left on device";
        assert!(err.starts_with(words), "{err}");
    }

    // Whoever reads no further has what he wanted.
    let mut host = Command::new(env!("CARGO_BIN_EXE_trading-host"));
    host.args(["positions", "--market", market, "--data-dir", at]).env_remove("RUST_LOG");
    let mut child = host.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let (status, _, err) = told(&child.wait_with_output().unwrap());
    assert_eq!((status, err.as_str()), (Some(0), ""));
}
