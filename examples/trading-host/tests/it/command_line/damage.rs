//! What a damaged snapshot spoils, and whom it stops.

use std::{path::Path, time::Duration};

use backstop_position_ledger::{
    SqliteSnapshots,
    pnl::{Query, Store as _},
};
use backstop_storage::Database;
use serde_json::Value;
use trading_host::{
    accounts::Books,
    setup::{self, DATABASE, Stores},
};

use super::{
    host,
    refusals::{finished, refused},
    run, told,
};

#[test]
fn a_damaged_snapshot_that_nobody_checked_is_refused_before_trading() {
    let (market, folder) = finished();
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let checksum = damage_the_oldest_snapshot(&db, "unchecked");
    drop(db);
    refused(market.path(), folder.path(), &[], &["the snapshots: ", &checksum]);
}

#[test]
fn a_damaged_snapshot_is_counted_alone_and_named() {
    let (market, folder) = finished();
    let more = ["--report", "json"];
    let count = |report: &Value, key: &str| report["pnl_snapshots"][key].as_u64().unwrap();
    let (status, out, _) = told(&run(market.path(), Some(folder.path()), &more));
    let before: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (status, &before["damaged_snapshots"]),
        (Some(0), &Value::from(Vec::<Value>::new()))
    );

    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let checksum = damage_the_oldest_snapshot(&db, "valid");
    drop(db);
    let (status, out, err) = told(&run(market.path(), Some(folder.path()), &more));
    assert_eq!((status, err.as_str()), (Some(1), ""));
    let report: Value = serde_json::from_str(&out).unwrap();
    let figures = ["mismatched", "missing"].map(|key| count(&report, key));
    assert_eq!(figures, [1, 0], "{}", report["pnl_snapshots"]);
    assert_eq!(count(&report, "verified") + 1, count(&report, "taken"));
    assert!(count(&report, "taken") > count(&before, "taken"));
    assert_eq!(report["damaged_snapshots"][0]["checksum"], Value::from(&*checksum));
    let broken = |check: &&Value| check["holds"] != Value::Bool(true);
    let broken: Vec<_> = report["invariants"].as_array().unwrap().iter().filter(broken).collect();
    assert_eq!((broken.len(), &broken[0]["name"]), (1, &Value::from("snapshots_verify")));
    let (_, out, _) = told(&run(market.path(), Some(folder.path()), &[]));
    assert!(
        out.contains(&format!("                snapshot {checksum}: it cannot be read")),
        "{out}"
    );

    let (market, at) = (market.path().to_str().unwrap(), folder.path().to_str().unwrap());
    let look = |command| told(&host([command, "--data-dir", at, "--market", market]));
    let (status, out, err) = look("snapshots");
    assert_eq!((status, err.as_str()), (Some(1), ""));
    let line = out.lines().find(|line| line.contains(&checksum)).unwrap();
    assert!(line.contains(" reconciliation damaged: snapshot "), "{line}");
    let (all, agreeing) = (out.lines().count() - 1, out.lines().count() - 2);
    assert!(
        out.ends_with(&format!("\n{all} snapshots, {agreeing} agree with the books\n")),
        "{out}"
    );

    // Even the newest: a run does not know then where the journal ended, a look shows it.
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    db.write(|c| c.execute("UPDATE ledger_pnl_snapshots SET body = '{}'", [])).unwrap();
    drop(db);
    for (command, expected) in [("snapshots", 1), ("verify", 0)] {
        let (status, _, err) = look(command);
        assert_eq!((status, err.as_str()), (Some(expected), ""), "{command}");
    }
    let market = Path::new(market);
    refused(market, folder.path(), &[], &["cannot read the newest snapshot: snapshot "]);
}

/// Empties the oldest one that is not, and gives its checksum.
fn damage_the_oldest_snapshot(db: &Database, status: &'static str) -> String {
    db.write(move |c| {
        let select = "SELECT checksum FROM ledger_pnl_snapshots ORDER BY at_ms, sequence LIMIT 1";
        let checksum: String = c.query_row(select, [], |row| row.get(0))?;
        c.execute(
            "UPDATE ledger_pnl_snapshots SET body = '{}', status = ?1 WHERE checksum = ?2",
            [status, &checksum],
        )?;
        Ok::<_, rusqlite::Error>(checksum)
    })
    .unwrap()
}

/// Empties the newest one of a kind, which is not the newest of all.
fn damage_the_newest(db: &Database, kind: &'static str) -> String {
    db.write(move |c| {
        let newest = "SELECT checksum FROM ledger_pnl_snapshots WHERE kind = ?1
                      ORDER BY at_ms DESC, checksum LIMIT 1";
        let checksum: String = c.query_row(newest, [kind], |row| row.get(0))?;
        let empty = "UPDATE ledger_pnl_snapshots SET body = '{}' WHERE checksum = ?1
                     AND at_ms < (SELECT max(at_ms) FROM ledger_pnl_snapshots)";
        assert_eq!(c.execute(empty, [&checksum])?, 1, "{kind}");
        Ok::<_, rusqlite::Error>(checksum)
    })
    .unwrap()
}

#[test]
fn the_newest_of_its_kind_stops_no_run_when_damaged() {
    let (market, folder) = finished();
    let report = || {
        let told = told(&run(market.path(), Some(folder.path()), &["--report", "json"]));
        assert_eq!(told.2, "");
        (told.0, serde_json::from_str::<Value>(&told.1).unwrap())
    };
    let (status, before) = report();
    assert_eq!(status, Some(0));
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let damaged = ["periodic", "end_of_day"].map(|kind| damage_the_newest(&db, kind));
    drop(db);
    let (status, report) = report();
    let listed = report["damaged_snapshots"].as_array().unwrap();
    let mut listed: Vec<_> = listed.iter().map(|row| row["checksum"].as_str().unwrap()).collect();
    let mut expected = damaged.each_ref().map(String::as_str);
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!((status, listed), (Some(1), expected.to_vec()));
    // Neither is owed again, as their rows tell when they were taken.
    for key in ["periodic", "end_of_day", "missing"] {
        assert_eq!(report["pnl_snapshots"][key], before["pnl_snapshots"][key], "{key}");
    }
}

#[test]
fn an_operator_works_where_the_newest_is_damaged() {
    let (market, folder) = finished();
    let (traded, at) = (market.path().to_str().unwrap(), folder.path().to_str().unwrap());
    let operate = |command| {
        let args = [command, "--data-dir", at, "--market", traded, "--instrument", "EURUSD"];
        told(&host(args.into_iter().chain(["--reason", "found damage"])))
    };
    let file = folder.path().join(DATABASE);
    let last_entry = || {
        let market = setup::market(Some(market.path())).unwrap();
        let traded = setup::instruments(&market.instruments).unwrap();
        let stores = Stores::open(Database::open(&file).unwrap(), traded).unwrap();
        Books::last_written_at(&stores.ledger).unwrap().unwrap()
    };
    let left = last_entry();
    let db = Database::open(&file).unwrap();
    // The row of a damaged one tells any time.
    let newest = "UPDATE ledger_pnl_snapshots SET body = '{}', at_ms = at_ms + 864000000
                  WHERE at_ms = (SELECT max(at_ms) FROM ledger_pnl_snapshots)";
    assert!(db.write(|c| c.execute(newest, [])).unwrap() > 0);
    drop(db);
    let (status, _, err) = operate("isolate");
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert_eq!(last_entry(), left);

    // The newest that is whole has to be in the journal all the same.
    let mut store = SqliteSnapshots::open(Database::open(&file).unwrap()).unwrap();
    let found = store.find_each(&Query::new()).unwrap();
    let mut later = found.into_iter().find_map(Result::ok).unwrap().snapshot;
    later.sequence += 1_000;
    later.at = left.saturating_add(Duration::from_millis(1));
    later.checksum = later.seal();
    store.put(&later).unwrap();
    drop(store);
    let (status, _, err) = operate("release");
    assert_eq!(status, Some(2));
    assert!(err.contains("the journal does not contain its newest snapshot"), "{err}");

    // With none that is whole the journal alone tells when the last process left.
    let db = Database::open(&file).unwrap();
    db.write(|c| c.execute("UPDATE ledger_pnl_snapshots SET body = '{}'", [])).unwrap();
    drop(db);
    let (status, _, err) = operate("release");
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert_eq!(last_entry(), left);
}
