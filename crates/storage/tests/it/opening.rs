use std::{
    path::Path,
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
};

use backstop_storage::{Database, OpenError};

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
