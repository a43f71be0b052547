use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use backstop_error_taxonomy::{Classify, Effect, Kind, Transience};
use backstop_storage::{Database, Grouping, Ticket, WriteError};
use rusqlite::{Connection, ErrorCode};
use tempfile::TempDir;

type Inserted = Ticket<usize, rusqlite::Error>;

fn file_with_rows() -> (TempDir, PathBuf, Database) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let db = Database::open_with(&path, Grouping::Explicit).unwrap();
    db.write(|c| {
        c.execute_batch(
            "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE child (
                 n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED
             ) STRICT;
             INSERT INTO t VALUES (1);",
        )
    })
    .unwrap();
    (folder, path, db)
}

fn run(db: &Database, sql: &'static str) -> Inserted {
    db.submit(move |c| c.execute(sql, []))
}

fn rows(path: &Path) -> Vec<i64> {
    let again = Database::open(path).unwrap();
    let list = |c: &Connection| -> rusqlite::Result<Vec<i64>> {
        c.prepare("SELECT n FROM t ORDER BY n")?.query_map([], |row| row.get(0))?.collect()
    };
    again.read(list).unwrap()
}

/// The bytes of the file and of its write-ahead log.
fn bytes(path: &Path) -> [Vec<u8>; 2] {
    [path.to_owned(), path.with_extension("db-wal")].map(|file| fs::read(file).unwrap())
}

#[test]
fn a_transaction_whose_jobs_all_failed_leaves_the_bytes_alone() {
    let (_folder, path, db) = file_with_rows();
    let (before, commits) = (bytes(&path), db.commits());
    let fail = |c: &Connection| {
        c.execute("INSERT INTO t VALUES (2)", [])?;
        c.execute("INSERT INTO t VALUES (1)", [])
    };
    assert!(matches!(db.exclusive(fail), Err(WriteError::Job(_))));
    let together = [db.submit(fail), db.submit(fail)];
    for ticket in together {
        assert!(matches!(ticket.wait(), Err(WriteError::Job(_))));
    }
    assert_eq!(bytes(&path), before);
    assert_eq!(db.commits(), commits, "nothing was made durable");
    db.write(|c| c.execute("INSERT INTO t VALUES (3)", [])).unwrap();
    assert_eq!(rows(&path), [1, 3]);
}

#[test]
fn a_failed_commit_is_reported_to_the_whole_group() {
    let (_folder, path, db) = file_with_rows();
    let well = run(&db, "INSERT INTO t VALUES (2)");
    // The foreign key is checked at the commit, when it is too late to undo one job.
    let orphan = run(&db, "INSERT INTO child VALUES (77)");
    let after = run(&db, "INSERT INTO t VALUES (3)");
    for ticket in [well, orphan, after] {
        let error = ticket.wait().unwrap_err();
        assert!(matches!(error, WriteError::Commit(_)), "{error}");
        assert_eq!(error.class().effect(), Effect::Unknown);
    }
    assert!(matches!(db.flush(), Err(WriteError::Poisoned(_))));
    let refused = run(&db, "INSERT INTO t VALUES (4)").wait().unwrap_err();
    assert!(matches!(refused, WriteError::Poisoned(_)));
    assert_eq!(refused.class().effect(), Effect::NotApplied);
    drop(db);
    assert_eq!(rows(&path), [1], "reopened, it has what was acknowledged");
}

#[test]
fn a_transaction_that_sqlite_rolls_back_fails_its_whole_group() {
    let (_folder, path, db) = file_with_rows();
    let well = run(&db, "INSERT INTO t VALUES (2)");
    let culprit = run(&db, "INSERT OR ROLLBACK INTO t VALUES (1)");
    assert!(matches!(culprit.wait(), Err(WriteError::Job(_))), "it knows its own error");
    assert!(matches!(well.wait(), Err(WriteError::Commit(_))));
    assert!(matches!(db.flush(), Err(WriteError::Poisoned(_))));
    drop(db);
    assert_eq!(rows(&path), [1]);
}

#[test]
fn a_job_for_which_the_file_has_no_room_fails_alone() {
    let (_folder, path, db) = file_with_rows();
    db.read(|c| c.pragma_update(None, "max_page_count", 8)).unwrap();
    let before = run(&db, "INSERT INTO t VALUES (2)");
    let large = run(
        &db,
        "INSERT INTO t SELECT value FROM (
             WITH RECURSIVE up (value) AS (SELECT 3 UNION ALL SELECT value + 1 FROM up)
             SELECT value FROM up LIMIT 100000)",
    );
    let after = run(&db, "INSERT INTO t VALUES (3)");
    assert_eq!(after.wait().unwrap(), 1);
    assert_eq!(before.wait().unwrap(), 1);
    let Err(WriteError::Job(error)) = large.wait() else { panic!("there was room") };
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
    assert_eq!(error.class().transience(), Transience::Permanent);
    drop(db);
    assert_eq!(rows(&path), [1, 2, 3]);
}

#[test]
fn a_lock_held_elsewhere_refuses_a_job_and_stops_nothing() {
    let (_folder, path, db) = file_with_rows();
    db.read(|c| c.busy_timeout(Duration::ZERO)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = run(&db, "INSERT INTO t VALUES (2)").wait().unwrap_err();
    assert!(matches!(error, WriteError::Begin(_)), "{error}");
    let class = error.class();
    assert_eq!(
        (class.kind(), class.transience(), class.effect()),
        (Kind::Conflict, Transience::Transient, Effect::NotApplied)
    );
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(run(&db, "INSERT INTO t VALUES (3)").wait().unwrap(), 1);
    drop(db);
    assert_eq!(rows(&path), [1, 3]);
}
