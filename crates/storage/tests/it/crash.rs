//! A child process, which is this test program again, writes until it is killed or its disk is full.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use backstop_storage::{Database, WriteError};
use rusqlite::Connection;

/// Tells the child which file to write.
const FILE: &str = "BACKSTOP_STORAGE_CHILD_FILE";

/// What a child prints before the number of a row that it was told is durable.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Queued jobs per durable one.
const GROUP: i64 = 7;

fn insert(n: i64) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    // A body over several pages, so that a torn write would show.
    move |c| c.execute("INSERT INTO t (n, body) VALUES (?1, zeroblob(9000))", [n])
}

/// Writes rows 1, 2, 3 and on until a write fails, and prints the last of each durable group.
fn write_until_it_fails(path: &OsStr) -> WriteError<rusqlite::Error> {
    let db = Database::open(Path::new(path)).unwrap();
    db.write(|c| {
        c.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    })
    .unwrap();
    for n in 1.. {
        if n % GROUP != 0 {
            drop(db.submit(insert(n)));
            continue;
        }
        match db.write(insert(n)) {
            Ok(_) => println!("\n{ACKNOWLEDGED}{n}"),
            Err(error) => return error,
        }
    }
    unreachable!("no disk is endless")
}

/// This program, told to run the calling test alone and as a child.
fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(FILE, path);
    command
}

/// Lets a child run; ends it with SIGKILL after so many acknowledgements. Answers the last one.
fn last_acknowledged(mut command: Command, kill_after: usize) -> i64 {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    let mut count = 0;
    for line in lines {
        // What was printed before the kill still comes out of the pipe and counts.
        if let Some(n) = line.unwrap().strip_prefix(ACKNOWLEDGED) {
            last = n.parse().unwrap();
            count += 1;
            if count == kill_after {
                child.kill().unwrap();
            }
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.success(), count < kill_after, "{status} after {count} acknowledgements");
    last
}

/// The rows that are there after recovery, which are 1 to the answer without a gap.
fn recovered(path: &Path) -> i64 {
    let db = Database::open(path).unwrap();
    let check = |c: &Connection| -> rusqlite::Result<(String, i64, i64)> {
        let sound = c.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let (count, last) =
            c.query_row("SELECT count(*), ifnull(max(n), 0) FROM t", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok((sound, count, last))
    };
    let (sound, count, last) = db.read(check).unwrap();
    assert_eq!((sound.as_str(), count), ("ok", last));
    last
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(path) = env::var_os(FILE) {
        panic!("{}", write_until_it_fails(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    for kill_after in [1, 2, 3, 5, 8, 13, 21, 34] {
        let path = folder.path().join(format!("{kill_after}.db"));
        let command = child("crash::what_was_acknowledged_survives_a_kill", &path);
        let acknowledged = last_acknowledged(command, kill_after);
        let there = recovered(&path);
        assert!(there >= acknowledged, "{there} rows, though {acknowledged} were acknowledged");
    }
}

/// The limit stands for a full disk: the kernel takes no byte beyond it.
#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_costs_nothing_that_was_acknowledged() {
    if let Some(path) = env::var_os(FILE) {
        let error = write_until_it_fails(&path);
        assert!(matches!(error, WriteError::Commit(_)), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let test = "crash::a_disk_that_takes_no_more_costs_nothing_that_was_acknowledged";
    let alone = child(test, &path);
    let mut limited = Command::new("sh");
    // Ignored, the signal becomes an error of the write. A block is 512 or 1024 bytes.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""]);
    limited.arg(alone.get_program()).args(alone.get_args()).env(FILE, &path);
    let acknowledged = last_acknowledged(limited, usize::MAX);
    assert!(acknowledged > 0, "the limit leaves room for a few groups");
    assert_eq!(recovered(&path), acknowledged);
}
