//! Who works the queue off: whoever waits, else the background thread.

use std::{sync::mpsc, thread, time::Duration};

use backstop_storage::{Database, Grouping, QUEUE_LENGTH_MAX, WriteError};
use rusqlite::Connection;

fn with_table(grouping: Grouping) -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open_with(&folder.path().join("t.db"), grouping).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")).unwrap();
    (folder, db)
}

fn insert(n: i64) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    move |c| c.execute("INSERT INTO t VALUES (?1)", [n])
}

fn count(db: &Database) -> i64 {
    db.read(|c| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).unwrap()
}

/// Every way to wait, chosen by the number.
fn wait_somehow(db: &Database, n: i64) {
    match n % 6 {
        0 => drop(db.submit(insert(n))),
        1 => drop(pollster::block_on(db.submit(insert(n))).unwrap()),
        2 => assert_eq!(db.exclusive(insert(n)).unwrap(), 1),
        3 => {
            let ticket = db.submit(insert(n));
            assert!(count(db) > 0, "a read while others write");
            assert_eq!(ticket.wait().unwrap(), 1);
        }
        4 => {
            let ticket = db.submit(insert(n));
            db.flush().unwrap();
            assert_eq!(ticket.wait().unwrap(), 1);
        }
        _ => assert_eq!(db.write(insert(n)).unwrap(), 1),
    }
}

#[test]
fn threads_that_wait_in_every_way_get_their_answers() {
    for grouping in [Grouping::Explicit, Grouping::Timed(Duration::from_millis(1))] {
        let (_folder, db) = with_table(grouping);
        let db = &db;
        let work = |worker: i64| (0..60).for_each(|n| wait_somehow(db, worker * 60 + n));
        thread::scope(|scope| {
            for worker in 0..6 {
                scope.spawn(move || work(worker));
            }
        });
        db.flush().unwrap();
        assert_eq!(count(db), 360);
    }
}

#[test]
fn a_timed_group_needs_nobody_who_waits() {
    let (_folder, db) = with_table(Grouping::Timed(Duration::from_millis(1)));
    for n in 0..3 {
        let commits = db.commits();
        drop(db.submit(insert(n)));
        while db.commits() == commits {
            thread::yield_now();
        }
    }
}

#[test]
fn a_flush_waits_for_a_commit_that_another_thread_makes() {
    let (folder, db) = with_table(Grouping::Explicit);
    let other = Connection::open(folder.path().join("t.db")).unwrap();
    let (running, runs) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let slow = move |_: &Connection| -> rusqlite::Result<()> {
                running.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok(())
            };
            db.write(slow).unwrap();
        });
        runs.recv().unwrap();
        drop(db.submit(insert(1)));
        go_on.send(()).unwrap();
        db.flush().unwrap();
        let seen: i64 = other.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(seen, 1);
    });
}

#[test]
fn a_queue_that_nobody_waits_for_stays_bounded() {
    let (_folder, db) = with_table(Grouping::Explicit);
    let commits = db.commits();
    let jobs = i64::try_from(QUEUE_LENGTH_MAX).unwrap() + 1;
    for n in 0..jobs {
        drop(db.submit(insert(n)));
    }
    assert!(db.commits() > commits, "the one that found it full has worked it off");
    assert_eq!(count(&db), jobs);
}

#[test]
fn a_job_that_waits_for_its_own_database_is_told_so() {
    let (_folder, db) = with_table(Grouping::Explicit);
    let inner = db.clone();
    let outer = db.write(move |_| match inner.write(insert(1)) {
        Err(WriteError::Nested) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(outer.is_ok(), "{outer:?}");
    db.flush().unwrap();
    assert_eq!(count(&db), 1, "it is queued all the same");
}

#[test]
fn a_job_queued_by_a_job_needs_nobody_who_waits() {
    let (_folder, db) = with_table(Grouping::Timed(Duration::from_millis(1)));
    let (inner, commits) = (db.clone(), db.commits());
    let outer = db.write(move |c| {
        assert!(matches!(inner.write(insert(1)), Err(WriteError::Nested)));
        c.execute("INSERT INTO t VALUES (2)", [])
    });
    assert_eq!(outer.unwrap(), 1);
    while db.commits() < commits + 2 {
        thread::yield_now();
    }
    assert_eq!(count(&db), 2);
}

#[test]
fn a_job_may_hold_the_last_handle() {
    for wait_with_the_ticket in [true, false] {
        let (folder, db) = with_table(Grouping::Explicit);
        let held = db.clone();
        let ticket = db.submit(move |c| {
            c.execute("INSERT INTO t VALUES (1)", [])?;
            drop(held.submit(insert(2)));
            Ok::<_, rusqlite::Error>(())
        });
        drop(db);
        if wait_with_the_ticket {
            ticket.wait().unwrap();
        } else {
            pollster::block_on(ticket).unwrap();
        }
        // Row 2 is committed when the last handle is gone, which may be a moment after.
        let path = folder.path().join("t.db");
        let reader = Connection::open(path).unwrap();
        let seen =
            || reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        while seen() < 2 {
            thread::yield_now();
        }
    }
}
