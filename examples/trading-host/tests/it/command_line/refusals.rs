//! What is refused before trading: with exit status 2, a clear word, and nothing changed.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    SqliteSnapshots,
    pnl::{Query, Store as _},
};
use backstop_storage::{Database, Migration, history};
use rusqlite::Connection;
use tempfile::TempDir;
use trading_host::{
    halt::{Called, Cause, Depth, Halts as _, SqliteHalts},
    setup::DATABASE,
};

use super::{host, run, told};
use crate::stage::{contents, market_until};

const DAY: Duration = Duration::from_hours(24);

/// The folder of a short finished run, and its market.
pub(super) fn finished() -> (TempDir, TempDir) {
    let (market, folder) = (market_until("2017-01-06"), tempfile::tempdir().unwrap());
    let (status, _, err) = told(&run(market.path(), Some(folder.path()), &[]));
    assert_eq!(status, Some(0), "{err}");
    (market, folder)
}

/// Asserts that a run in the folder is refused in these words, and that all stays as it was.
pub(super) fn refused(market: &Path, folder: &Path, more: &[&str], words: &[&str]) {
    let before = contents(folder);
    let (status, out, err) = told(&run(market, Some(folder), more));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.starts_with("trading-host: ") && err.lines().count() == 1, "{err}");
    for word in words {
        assert!(err.contains(word), "{word}: {err}");
    }
    assert_eq!(contents(folder), before);
}

#[test]
fn a_market_file_that_cannot_be_read_is_named_with_its_line() {
    let (market, folder) = (market_until("2017-01-06"), tempfile::tempdir().unwrap());
    let path = market.path().join("eurusd.bars.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen(",1.05236,", ",one,", 1)).unwrap();
    let data_dir = folder.path().join("run");
    let (status, out, err) = told(&run(market.path(), Some(&data_dir), &[]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert!(err.contains("eurusd.bars.csv:2: open is \"one\": must be a decimal"), "{err}");
    assert!(!data_dir.exists());

    let nowhere = market.path().join("nowhere");
    let (status, _, err) = told(&run(&nowhere, Some(&data_dir), &[]));
    assert_eq!(status, Some(2));
    assert!(err.contains("nowhere: cannot be read"), "{err}");
    assert!(!data_dir.exists());
}

#[test]
fn a_corrupt_journal_byte_is_found_with_its_sequence() {
    let (market, folder) = finished();
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    db.write(|c| {
        // Whoever can write the file can drop its triggers first.
        c.execute_batch("DROP TRIGGER ledger_journal_keeps_content")?;
        let select = "SELECT body FROM ledger_journal WHERE sequence = 7";
        let mut body: Vec<u8> = c.query_row(select, [], |row| row.get(0))?;
        let middle = body.len() / 2;
        body[middle] ^= 1;
        c.execute("UPDATE ledger_journal SET body = ?1 WHERE sequence = 7", [body])
    })
    .unwrap();
    drop(db);
    refused(market.path(), folder.path(), &[], &["the journal does not verify", "entry 7"]);

    let (market, data_dir) = (market.path().to_str().unwrap(), folder.path().to_str().unwrap());
    let before = contents(folder.path());
    for look in ["verify", "positions", "reconcile"] {
        let (status, _, err) = told(&host([look, "--data-dir", data_dir, "--market", market]));
        assert_eq!(status, Some(2), "{look}");
        assert!(err.contains("the journal does not verify"), "{look}: {err}");
    }
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn another_market_than_the_run_traded_is_what_a_refusal_names() {
    let (market, folder) = (market_until("2017-01-06"), tempfile::tempdir().unwrap());
    let path = market.path().join("instruments.csv");
    let terms = fs::read_to_string(&path).unwrap();
    let doubled =
        terms.replacen("EURUSD,EUR,USD,0.00001,1000,1,", "EURUSD,EUR,USD,0.00001,1000,2,", 1);
    assert_ne!(doubled, terms);
    fs::write(&path, doubled).unwrap();
    let (status, _, err) = told(&run(market.path(), Some(folder.path()), &["--faults", "none"]));
    assert_eq!(status, Some(0), "{err}");
    let at = folder.path().to_str().unwrap();
    let (status, _, err) = told(&host(["positions", "--data-dir", at]));
    assert_eq!(status, Some(2));
    let words =
        "the journal does not fit this market; name the run's own with --market: journal entry";
    assert!(err.contains(words), "{err}");
}

#[test]
fn a_database_of_a_newer_schema_is_refused() {
    let (market, folder) = finished();
    let later = Migration {
        component: "dlq",
        id: "0009_priorities",
        sql: "ALTER TABLE dlq_letters ADD COLUMN priority INTEGER",
    };
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    db.write(move |c| history::apply(c, &later, Timestamp::EPOCH)).unwrap();
    drop(db);
    let words = ["the schema is newer than this program", "component `dlq` has `0009_priorities`"];
    refused(market.path(), folder.path(), &[], &words);

    let (market, data_dir) = (market.path().to_str().unwrap(), folder.path().to_str().unwrap());
    let (status, _, err) = told(&host(["letters", "--data-dir", data_dir, "--market", market]));
    assert_eq!(status, Some(2));
    assert!(err.contains(words[0]), "{err}");
}

#[test]
fn what_only_a_newer_program_may_write_is_read_and_not_written() {
    let (market, folder) = finished();
    let later = Migration {
        component: "dlq",
        id: "0009_priorities",
        sql: "ALTER TABLE dlq_letters ADD COLUMN priority INTEGER;
              INSERT INTO _schema_meta VALUES ('read_floor:dlq', '0001_letters')",
    };
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let known = "SELECT id FROM _schema_history WHERE component = 'dlq'";
    let known: String = db.read(|c| c.query_row(known, [], |row| row.get(0))).unwrap();
    assert!(later.sql.contains(&known), "{known}");
    let halted = Called {
        at: Timestamp::EPOCH,
        cause: Cause::Operator,
        depth: Depth::Cancel,
        reason: "a look at the books".to_owned(),
    };
    SqliteHalts::open(&db).unwrap().write(&halted).unwrap();
    db.write(move |c| history::apply(c, &later, Timestamp::EPOCH)).unwrap();
    drop(db);

    let at = folder.path().to_str().unwrap();
    let before = contents(folder.path());
    let instrument = ["--instrument", "EURUSD", "--market", market.path().to_str().unwrap()];
    for (command, more) in [("lift", &[][..]), ("isolate", &instrument), ("release", &instrument)] {
        let args = [command, "--data-dir", at, "--reason", "it is well"];
        let (status, out, err) = told(&host(args.into_iter().chain(more.iter().copied())));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{command}: {err}");
        assert!(err.contains("lets this one read the schema, not write"), "{command}: {err}");
    }
    assert_eq!(contents(folder.path()), before);
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    assert_eq!(SqliteHalts::open(&db).unwrap().standing().unwrap(), Some(halted));
}

#[test]
fn a_file_that_is_no_database_of_a_host_stays_as_it_is() {
    let (market, folder) = (market_until("2017-01-04"), tempfile::tempdir().unwrap());
    let (at, file) = (folder.path().to_str().unwrap(), folder.path().join(DATABASE));
    let commands = ["letters", "positions", "reconcile", "snapshots", "verify"];
    let looked = |words: &str| {
        let before = contents(folder.path());
        let market = market.path().to_str().unwrap();
        let looks = commands.map(|command| (command, &[][..])).into_iter();
        let instrument = ["--instrument", "EURUSD"];
        let writes = [("lift", &["--reason", "x"][..]), ("isolate", &["--reason", "x"])];
        for (command, more) in looks.chain(writes) {
            let mut args = vec![command, "--data-dir", at];
            args.extend(more);
            if command != "lift" {
                args.extend(["--market", market]);
            }
            if command == "isolate" {
                args.extend(instrument);
            }
            let (status, out, err) = told(&host(args));
            assert_eq!((status, out.as_str()), (Some(2), ""), "{command}: {err}");
            assert!(err.contains(words), "{command}: {err}");
        }
        assert_eq!(contents(folder.path()), before);
    };
    let theirs = Connection::open(&file).unwrap();
    theirs.execute_batch("CREATE TABLE trades (n INTEGER); INSERT INTO trades VALUES (1)").unwrap();
    drop(theirs);
    looked("unknown");
    refused(market.path(), folder.path(), &[], &["unknown"]);

    fs::write(&file, "date,open,high,low,close and so on, for longer than a header").unwrap();
    looked("file is not a database");
    // The cause is told once.
    let (_, _, err) = told(&host(["letters", "--data-dir", at]));
    let words = format!("cannot open the database {}: file is not a database", file.display());
    assert_eq!(err, format!("trading-host: {words}\n"));
    refused(market.path(), folder.path(), &[], &["file is not a database"]);

    // Nothing is in it, and so nothing to look into; a run may begin there.
    fs::write(&file, "").unwrap();
    looked("holds no run: host.db is empty");
    let (status, _, err) = told(&run(market.path(), Some(folder.path()), &["--faults", "none"]));
    assert_eq!(status, Some(0), "{err}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let (market, folder) = finished();
    let lock = File::create(folder.path().join("host.lock")).unwrap();
    lock.lock().unwrap();
    refused(market.path(), folder.path(), &[], &["is in use by another process"]);
    drop(lock);
    let (status, _, _) = told(&run(market.path(), Some(folder.path()), &[]));
    assert_eq!(status, Some(0));
}

#[test]
fn the_folder_of_another_run_is_refused() {
    let (market, folder) = finished();
    refused(market.path(), folder.path(), &["--seed", "2"], &["written with seed 1, not 2"]);
    let more = ["--faults", "calm"];
    refused(market.path(), folder.path(), &more, &["written with profile storm, not calm"]);
    let other = market_until("2017-01-10");
    refused(other.path(), folder.path(), &[], &["venue.jsonl: written with span"]);
}

#[test]
fn books_without_their_venue_are_refused() {
    let (market, folder) = finished();
    let file = folder.path().join("venue.jsonl");
    let kept = fs::read(&file).unwrap();
    // The venue forgot everything, the books did not; the other way round it is the same.
    fs::remove_file(folder.path().join(DATABASE)).unwrap();
    let (status, out, err) = told(&run(market.path(), Some(folder.path()), &[]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert!(err.contains("has a past that these empty books do not know"), "{err}");
    assert_eq!(fs::read(&file).unwrap(), kept);
}

#[test]
fn books_that_lost_their_end_are_refused() {
    let (market, folder) = finished();
    let db = Database::open(&folder.path().join(DATABASE)).unwrap();
    let mut store = SqliteSnapshots::open(db).unwrap();
    let mut later = store.find(&Query::new().with_limit(1)).unwrap().remove(0).snapshot;
    (later.sequence, later.at) = (later.sequence + 100, later.at.saturating_add(DAY));
    later.checksum = later.seal();
    store.put(&later).unwrap();
    drop(store);
    let words = &["the journal does not contain its newest snapshot"];
    refused(market.path(), folder.path(), &[], words);
}

/// Leaves a database as a process does that is killed within these statements.
fn cut_short(folder: &Path, statements: &str) {
    let lived = tempfile::tempdir().unwrap();
    let theirs = Connection::open(lived.path().join(DATABASE)).unwrap();
    theirs.execute_batch(statements).unwrap();
    theirs.cache_flush().unwrap();
    for file in [DATABASE, &format!("{DATABASE}-journal")] {
        fs::copy(lived.path().join(file), folder.join(file)).unwrap();
    }
}

#[test]
fn a_database_whose_last_write_was_cut_short_is_refused_unless_it_was_the_first() {
    let (market, folder) = (market_until("2017-01-04"), tempfile::tempdir().unwrap());
    let words = "its last write was cut short";
    cut_short(folder.path(), "CREATE TABLE t (n INTEGER); BEGIN; CREATE TABLE u (n INTEGER)");
    refused(market.path(), folder.path(), &[], &[words]);
    let (status, _, err) = told(&host(["verify", "--data-dir", folder.path().to_str().unwrap()]));
    assert!(status == Some(2) && err.contains(words), "{err}");

    cut_short(folder.path(), "BEGIN; CREATE TABLE u (n INTEGER)");
    let (status, _, err) = told(&run(market.path(), Some(folder.path()), &["--faults", "none"]));
    assert_eq!(status, Some(0), "{err}");
}

#[test]
fn a_folder_without_a_run_cannot_be_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    for look in ["letters", "positions", "reconcile", "snapshots", "verify"] {
        let (status, out, err) = told(&host([look, "--data-dir", data_dir]));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{look}");
        assert!(err.contains("holds no run: there is no host.db"), "{look}: {err}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{look}");
    }
    let (status, _, err) = told(&host(["verify", "--data-dir", "/nowhere/at/all"]));
    assert_eq!(status, Some(2));
    assert!(err.contains("/nowhere/at/all is no folder"), "{err}");
}
