use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
};

use backstop_error_taxonomy::{Classify, Kind};
use backstop_storage::{Database, OpenError};
use rusqlite::Connection;
use tempfile::TempDir;

/// Opens the file from several threads at the same moment.
fn open_together(path: &Path, threads: usize) -> Vec<Result<Database, OpenError>> {
    let start = Barrier::new(threads);
    let open = || {
        start.wait();
        Database::open(path)
    };
    thread::scope(|scope| {
        let opening: Vec<_> = (0..threads).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(ScopedJoinHandle::join).map(Result::unwrap).collect()
    })
}

#[test]
fn a_fresh_file_can_be_opened_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..30 {
        let path = folder.path().join(format!("{round}.db"));
        for db in open_together(&path, 8) {
            let db = db.unwrap();
            let mode: String =
                db.read(|c| c.query_row("PRAGMA journal_mode", [], |row| row.get(0))).unwrap();
            assert_eq!(mode, "wal");
        }
    }
}

/// Every file of a folder but the index of the log, which a reader makes anew.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
    let kept = files.filter(|(name, _)| !name.ends_with("-shm"));
    kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

fn count(db: &Database) -> u32 {
    db.read(|c| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).unwrap()
}

/// Looks into the file and tries to write it; gives back how many rows it holds.
fn looked(path: &Path) -> u32 {
    let db = Database::open_for_reading(path).unwrap();
    let found = count(&db);
    for sql in ["INSERT INTO t VALUES (9)", "DROP TABLE t"] {
        drop(db.write(move |c| c.execute(sql, [])).unwrap_err());
    }
    assert_eq!((count(&db), db.commits()), (found, 0));
    found
}

#[test]
fn a_look_leaves_the_file_of_another_program_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)").unwrap();
    drop(theirs);
    let before = contents(folder.path());
    assert_eq!(looked(&path), 1);
    assert!(contents(folder.path()) == before);
}

/// Folders with one row in `a.db`: of a process that closed it, and of one that was killed before.
fn lived_and_killed() -> (TempDir, TempDir) {
    let (lived, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let db = Database::open(&lived.path().join("a.db")).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER)")).unwrap();
    db.write(|c| c.execute("INSERT INTO t VALUES (1)", [])).unwrap();
    // As the disk is when the process is gone before it could tidy up.
    for file in ["a.db", "a.db-wal"] {
        fs::copy(lived.path().join(file), folder.path().join(file)).unwrap();
    }
    drop(db);
    (lived, folder)
}

#[test]
fn a_look_leaves_the_log_of_a_killed_process_where_it_is() {
    let (lived, folder) = lived_and_killed();
    let path = folder.path().join("a.db");
    let before = contents(folder.path());
    assert!(before["a.db-wal"].len() > 1_000);
    assert_eq!(looked(&path), 1);
    assert!(contents(folder.path()) == before);

    // Without a log nothing is left beside the file.
    let tidied = lived.path().join("a.db");
    let before = contents(lived.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), ["a.db"]);
    assert_eq!(looked(&tidied), 1);
    assert!(contents(lived.path()) == before);
    assert!(!lived.path().join("a.db-shm").exists());
}

#[test]
fn a_look_makes_no_file_and_takes_nothing_else_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    assert!(Database::open_for_reading(&path).is_err() && !path.exists());
    fs::write(&path, "no database, but long enough to be read as the header of one").unwrap();
    let before = contents(folder.path());
    let refused = Database::open_for_reading(&path).unwrap_err().to_string();
    assert!(refused.contains("a.db: file is not a database"), "{refused}");
    assert!(contents(folder.path()) == before);
    fs::write(&path, "").unwrap();
    let db = Database::open_for_reading(&path).unwrap();
    drop(db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER)")).unwrap_err());
    drop(db);
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_look_needs_no_room_for_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("50% of #a?.db");
    let db = Database::open(&path).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER)")).unwrap();
    drop(db);
    // As in a folder that is not to be written, nothing can be made in this place.
    fs::create_dir(folder.path().join("50% of #a?.db-shm")).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(looked(&path), 0);
    assert!(fs::read(&path).unwrap() == before);
}

#[cfg(unix)]
#[test]
fn a_look_through_a_link_leaves_the_log_beside_the_real_file() {
    let (_lived, folder) = lived_and_killed();
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("a.db"), &link).unwrap();
    let before = contents(folder.path());
    assert_eq!(looked(&link), 1);
    assert!(contents(folder.path()) == before);
    assert_eq!(fs::read_dir(links.path()).unwrap().count(), 1);
}

/// What a process leaves that is killed while it writes without a log; gives back the file.
fn cut_short(folder: &Path) -> PathBuf {
    let lived = tempfile::tempdir().unwrap();
    let theirs = Connection::open(lived.path().join("a.db")).unwrap();
    theirs
        .execute_batch(
            "CREATE TABLE t (n INTEGER, padding TEXT);
             WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000)
             INSERT INTO t SELECT n, hex(zeroblob(400)) FROM r;
             BEGIN; DELETE FROM t WHERE n > 10;",
        )
        .unwrap();
    theirs.cache_flush().unwrap();
    for file in ["a.db", "a.db-journal"] {
        fs::copy(lived.path().join(file), folder.join(file)).unwrap();
    }
    folder.join("a.db")
}

#[test]
fn a_look_refuses_a_file_whose_last_write_was_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = cut_short(folder.path());
    // A switch to a log that is cut short leaves the mark of a log beside the journal.
    for mark in [1, 2] {
        let mut bytes = fs::read(&path).unwrap();
        bytes[18..20].fill(mark);
        fs::write(&path, bytes).unwrap();
        let before = contents(folder.path());
        assert_ne!(before["a.db-journal"][0], 0);
        let refused = Database::open_for_reading(&path).unwrap_err();
        let is_named = matches!(&refused, OpenError::CutShort { path } if path.ends_with("a.db"));
        assert!(is_named && refused.class().kind() == Kind::Precondition, "{refused:?}");
        assert!(contents(folder.path()) == before);
    }
    // Who may write rolls it back, and then there is nothing to refuse.
    let theirs = Connection::open(&path).unwrap();
    let all: u32 = theirs.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    drop(theirs);
    assert_eq!((all, looked(&path)), (2_000, 2_000));
}

#[test]
fn a_look_finds_nothing_in_a_file_whose_first_write_was_cut_short() {
    let (lived, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = Connection::open(lived.path().join("a.db")).unwrap();
    theirs.execute_batch("BEGIN; CREATE TABLE t (n INTEGER)").unwrap();
    theirs.cache_flush().unwrap();
    for file in ["a.db", "a.db-journal"] {
        fs::copy(lived.path().join(file), folder.path().join(file)).unwrap();
    }
    let path = folder.path().join("a.db");
    let mut bytes = fs::read(&path).unwrap();
    // As a process leaves it that is killed while it makes the file with a log.
    bytes[18..20].fill(2);
    fs::write(&path, bytes).unwrap();
    let before = contents(folder.path());
    let db = Database::open_for_reading(&path).unwrap();
    let tables: u32 =
        db.read(|c| c.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))).unwrap();
    assert_eq!(tables, 0);
    drop(db.write(|c| c.execute_batch("CREATE TABLE u (n INTEGER)")).unwrap_err());
    drop(db);
    assert!(contents(folder.path()) == before);
    // Whoever makes it anew finds it empty, too.
    let db = Database::open(&path).unwrap();
    db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER)")).unwrap();
    assert_eq!(count(&db), 0);
}
