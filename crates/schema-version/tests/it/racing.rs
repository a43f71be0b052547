//! Several programs migrate one fresh database at once.
//!
//! The empty file is there before they start: racing to create it is the business of storage.

use std::{
    env,
    process::{Command, Stdio},
    sync::Barrier,
    thread,
};

use backstop_schema_version::{MigrationSet, Status, sqlite};
use backstop_storage::{Database, Migration};

use crate::fixtures::{M1, M2, M3, M4, NOW, file::File, set};

const STARTERS: usize = 8;
/// Names the file for a process that [`v22_eight_processes_start_at_once`] has started.
const CHILD: &str = "BACKSTOP_SCHEMA_RACE";

fn whole() -> MigrationSet {
    set(&[M1, M2, M3, M4])
}

fn assert_applied_once(file: &File) {
    let db = file.open();
    assert_eq!(sqlite::status(&db, &whole()).expect("a status").status, Status::Current);
    let orders: u32 =
        db.read(|c| c.query_row("SELECT count(*) FROM orders", [], |r| r.get(0))).expect("a count");
    assert_eq!(orders, 1, "the first migration ran more than once");
}

#[test]
fn v22_eight_handles_start_at_once() {
    let file = File::new();
    let _created = file.open();
    let together = Barrier::new(STARTERS);
    let reports: Vec<usize> = thread::scope(|scope| {
        let start = || {
            together.wait();
            let db = file.open();
            sqlite::migrate(&db, &whole(), NOW).expect("every starter succeeds").applied.len()
        };
        let started: Vec<_> = (0..STARTERS).map(|_| scope.spawn(start)).collect();
        started.into_iter().map(|starter| starter.join().expect("no panic")).collect()
    });
    let mut worked: Vec<_> = reports.into_iter().filter(|applied| *applied > 0).collect();
    worked.sort_unstable();
    assert_eq!(worked, [4], "exactly one reports work");
    assert_applied_once(&file);
}

#[test]
fn v22_eight_processes_start_at_once() {
    let file = File::new();
    let _created = file.open();
    let program = env::current_exe().expect("the test's own path");
    let started: Vec<_> = (0..STARTERS)
        .map(|_| {
            Command::new(&program)
                .args(["--exact", "racing::child", "--nocapture"])
                .env(CHILD, &file.path)
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process")
        })
        .collect();
    let mut worked = Vec::new();
    for process in started {
        let output = process.wait_with_output().expect("its output");
        assert!(output.status.success(), "every starter succeeds");
        let text = String::from_utf8(output.stdout).expect("text");
        let applied = text.lines().find_map(|line| line.split_once("applied=")).expect("a report");
        let applied: usize = applied.1.parse().expect("a number");
        worked.extend((applied > 0).then_some(applied));
    }
    assert_eq!(worked, [4], "exactly one reports work");
    assert_applied_once(&file);
}

/// One of the processes; without the variable there is nothing to do.
#[test]
fn child() {
    let Some(path) = env::var_os(CHILD) else { return };
    let db = Database::open(path.as_ref()).expect("the database opens");
    let report = sqlite::migrate(&db, &whole(), NOW).expect("the migration succeeds");
    println!("applied={}", report.applied.len());
}

#[test]
fn releases_of_different_age_start_at_once() {
    let file = File::new();
    let _created = file.open();
    let together = Barrier::new(STARTERS);
    let steps: [&'static [Migration]; STARTERS] = [
        &[M1],
        &[M1, M2],
        &[M1, M2, M3],
        &[M1, M2, M3, M4],
        &[M1],
        &[M1, M2],
        &[M1, M2, M3],
        &[M1, M2, M3, M4],
    ];
    let applied: usize = thread::scope(|scope| {
        let start = |migrations: &'static [Migration]| {
            together.wait();
            // An older release finds a newer database and is refused; that is no failure here.
            let report = sqlite::migrate(&file.open(), &set(migrations), NOW);
            report.map_or(0, |report| report.applied.len())
        };
        let started: Vec<_> =
            steps.into_iter().map(|migrations| scope.spawn(move || start(migrations))).collect();
        started.into_iter().map(|starter| starter.join().expect("no panic")).sum()
    });
    assert_eq!(applied, 4, "each migration is applied once");
    assert_applied_once(&file);
}
