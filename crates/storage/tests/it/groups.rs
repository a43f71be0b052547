use std::thread;

use backstop_storage::{Database, Grouping, JOBS_PER_COMMIT_MAX, WriteError};
use proptest::prelude::*;
use rusqlite::Connection;

fn with_table() -> Database {
    let db = Database::in_memory().unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")).unwrap();
    db
}

fn insert(n: i64) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    move |c| c.execute("INSERT INTO t VALUES (?1)", [n])
}

fn count(db: &Database) -> i64 {
    db.read(|c| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).unwrap()
}

#[test]
fn a_job_that_fails_loses_its_own_changes_only() {
    let db = with_table();
    let before = db.submit(insert(1));
    let twice = db.submit(|c| {
        c.execute("INSERT INTO t VALUES (2)", [])?;
        c.execute("INSERT INTO t VALUES (1)", [])
    });
    let after = db.submit(insert(3));
    assert_eq!(after.wait().unwrap(), 1);
    assert!(matches!(twice.wait(), Err(WriteError::Job(_))));
    assert_eq!(before.wait().unwrap(), 1);
    let rows: String =
        db.read(|c| c.query_row("SELECT group_concat(n) FROM t", [], |r| r.get(0))).unwrap();
    assert_eq!(rows, "1,3");
}

#[test]
fn a_group_goes_on_when_its_first_jobs_fail() {
    let db = with_table();
    let commits = db.commits();
    let failing = |c: &Connection| -> Result<usize, String> {
        c.execute("INSERT INTO t VALUES (7)", []).map_err(|error| error.to_string())?;
        Err("on purpose".to_owned())
    };
    let first = [db.submit(failing), db.submit(failing)];
    let good = [db.submit(insert(1)), db.submit(insert(2))];
    let last = db.submit(failing);
    db.flush().unwrap();
    assert_eq!(db.commits(), commits + 1, "one for the two that did not fail");
    for ticket in first.into_iter().chain([last]) {
        assert!(matches!(ticket.wait(), Err(WriteError::Job(_))));
    }
    for ticket in good {
        assert_eq!(ticket.wait().unwrap(), 1);
    }
    let rows: String =
        db.read(|c| c.query_row("SELECT group_concat(n) FROM t", [], |r| r.get(0))).unwrap();
    assert_eq!(rows, "1,2");
}

#[test]
fn a_failure_that_nobody_waits_for_stops_the_database() {
    let db = with_table();
    db.write(insert(1)).unwrap();
    drop(db.submit(insert(1)));
    assert!(matches!(db.flush(), Err(WriteError::Poisoned(_))));
    assert!(matches!(db.write(insert(2)), Err(WriteError::Poisoned(_))));
}

#[test]
fn a_ticket_dropped_after_its_failure_stops_the_database_too() {
    let db = with_table();
    db.write(insert(1)).unwrap();
    let failed = db.submit(insert(1));
    db.flush().unwrap();
    drop(failed);
    assert!(matches!(db.write(insert(2)), Err(WriteError::Poisoned(_))));
}

#[test]
fn a_panicking_job_harms_neither_the_thread_nor_its_group() {
    let db = with_table();
    let good = db.submit(insert(1));
    let bad = db.submit(|c: &Connection| -> rusqlite::Result<()> {
        c.execute("INSERT INTO t VALUES (2)", [])?;
        panic!("on purpose")
    });
    let Err(WriteError::Panicked(text)) = bad.wait() else { panic!("not reported") };
    assert_eq!(&*text, "on purpose");
    assert_eq!(good.wait().unwrap(), 1);
    assert_eq!(count(&db), 1);
}

#[test]
fn groups_end_only_where_somebody_waits() {
    let db = with_table();
    let commits = db.commits();
    for n in 0..100 {
        drop(db.submit(insert(n)));
    }
    assert_eq!(count(&db), 100, "a read sees what is queued before it");
    assert_eq!(db.commits(), commits);
    db.flush().unwrap();
    assert_eq!(db.commits(), commits + 1);
    db.flush().unwrap();
    assert_eq!(db.commits(), commits + 1, "an empty flush commits nothing");
}

#[test]
fn a_group_is_bounded() {
    let db = with_table();
    let commits = db.commits();
    let jobs = i64::try_from(JOBS_PER_COMMIT_MAX).unwrap() + 1;
    for n in 0..jobs {
        drop(db.submit(insert(n)));
    }
    db.flush().unwrap();
    assert_eq!(db.commits(), commits + 2);
    assert_eq!(count(&db), jobs);
}

#[test]
fn a_read_cannot_write() {
    let db = with_table();
    assert!(matches!(db.read(insert(1)), Err(WriteError::Job(_))));
    db.write(insert(1)).unwrap();
    assert_eq!(count(&db), 1);
}

#[test]
fn a_ticket_is_a_future_that_ends_its_group() {
    let db = with_table();
    assert_eq!(pollster::block_on(db.submit(insert(1))).unwrap(), 1);
}

#[test]
fn what_is_acknowledged_survives_the_handle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let db = Database::open_with(&path, Grouping::Explicit).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")).unwrap();
    drop(db.submit(insert(7)));
    drop(db);
    let again = Database::open(&path).unwrap();
    assert_eq!(count(&again), 1, "the last handle commits what is queued");
}

#[test]
fn a_write_is_durable_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let db = Database::open_with(&path, Grouping::Explicit).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")).unwrap();
    db.write(insert(1)).unwrap();
    drop(db.submit(insert(2)));
    let other = Connection::open(&path).unwrap();
    let seen: i64 = other.query_row("SELECT max(n) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1, "the committed row is there for others, the queued one is not");
}

#[test]
fn threads_share_commits_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = &Database::open(&folder.path().join("t.db")).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")).unwrap();
    let work =
        |worker: i64| (0..50).for_each(|n| assert!(db.write(insert(worker * 50 + n)).is_ok()));
    thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || work(worker));
        }
    });
    assert_eq!(count(db), 200);
    assert!(db.commits() <= 201);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let text = "this is no database, it is a letter ".repeat(40);
    std::fs::write(&path, &text).unwrap();
    let error = Database::open(&path).unwrap_err();
    assert!(error.to_string().contains("t.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

proptest! {
    /// Law: after any mix of jobs, the rows are those of the jobs that did not fail.
    #[test]
    fn the_rows_are_those_of_the_jobs_that_did_not_fail(
        jobs in prop::collection::vec((0_i64..20, any::<bool>()), 0..60),
    ) {
        let db = with_table();
        let mut model = std::collections::BTreeSet::new();
        let mut tickets = Vec::new();
        for (n, waits) in jobs {
            let expected = model.insert(n);
            let ticket = db.submit(insert(n));
            if waits {
                prop_assert_eq!(ticket.wait().is_ok(), expected);
            } else {
                tickets.push((ticket, expected));
            }
        }
        for (ticket, expected) in tickets {
            prop_assert_eq!(ticket.wait().is_ok(), expected);
        }
        prop_assert_eq!(count(&db), i64::try_from(model.len()).unwrap());
    }
}
