//! Group commit against the bare driver, and against the disk itself.

use std::{fs::File, io::Write, path::Path, time::Duration};

use backstop_storage::Database;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// Rows per commit.
const ROWS: u64 = 100;

/// How often each way is measured.
const ROUNDS: u32 = 5;

/// A row like those of the ledger's journal, of 300 bytes.
const TABLE: &str = "
    CREATE TABLE journal (
        sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
        previous BLOB NOT NULL CHECK (length(previous) = 32),
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        body BLOB NOT NULL
    ) STRICT";

const INSERT: &str = "INSERT INTO journal (previous, hash, body) VALUES (?1, ?2, ?3)";

const DIGEST: [u8; 32] = [7; 32];
const BODY_LENGTH: usize = 236;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    group_commit(&mut criterion);
    fdatasync(&mut criterion);
    criterion.final_summary();
}

/// A folder on the disk of the target folder; a temporary one may be in memory.
fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder can be written")
}

fn insert(connection: &Connection, body: &[u8]) -> rusqlite::Result<usize> {
    connection.prepare_cached(INSERT)?.execute(params![DIGEST, DIGEST, body])
}

/// In short rounds, because what else uses the disk changes from second to second: the functions of
/// one round can be compared, those of two cannot.
fn group_commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage_group_commit");
    group.throughput(Throughput::Elements(ROWS));
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1)).sampling_mode(SamplingMode::Flat);
    for round in 1..=ROUNDS {
        let folder = folder();
        // One database at a time: SQLite shares its page cache among all that are open.
        let db = with_table(&folder.path().join("backstop.db"));
        group.bench_function(BenchmarkId::new("backstop", round), |bencher| {
            bencher.iter(|| submit_rows(&db));
        });
        group.bench_function(BenchmarkId::new("backstop_one_job", round), |bencher| {
            bencher.iter(|| write_rows(&db));
        });
        drop(db);
        let bare = bare_driver(&folder.path().join("rusqlite.db"));
        group.bench_function(BenchmarkId::new("rusqlite", round), |bencher| {
            bencher.iter(|| commit_rows(&bare).expect("the rows are durable"));
        });
        drop(bare);
        let mut file = File::create(folder.path().join("raw")).expect("a new file");
        let bytes = vec![7; (2 * DIGEST.len() + BODY_LENGTH) * 100];
        group.bench_function(BenchmarkId::new("fdatasync", round), |bencher| {
            bencher.iter(|| append(&mut file, &bytes));
        });
    }
    group.finish();
}

/// One job per row; the last one waits for all.
fn submit_rows(db: &Database) {
    let job = || {
        let body = vec![7; BODY_LENGTH];
        move |connection: &Connection| insert(connection, &body)
    };
    for _ in 1..ROWS {
        drop(db.submit(job()));
    }
    db.write(job()).expect("the rows are durable");
}

/// One job for all rows, as a caller has it that knows them together.
fn write_rows(db: &Database) {
    db.write(insert_rows).expect("the rows are durable");
}

/// The same rows in one transaction of the bare driver.
fn commit_rows(bare: &Connection) -> rusqlite::Result<()> {
    bare.execute_batch("BEGIN IMMEDIATE")?;
    insert_rows(bare)?;
    bare.execute_batch("COMMIT")
}

fn insert_rows(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..ROWS {
        let body = vec![7; BODY_LENGTH];
        insert(connection, &body)?;
    }
    Ok(())
}

fn with_table(path: &Path) -> Database {
    let db = Database::open(path).expect("a new file");
    db.write(|connection| connection.execute_batch(TABLE)).expect("an empty database");
    db
}

/// A connection with the settings that `Database::open` makes.
fn bare_driver(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a new file");
    let settings = "
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = ON;";
    connection.execute_batch(settings).expect("an empty database");
    connection.execute_batch(TABLE).expect("an empty database");
    connection
}

fn append(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).expect("the disk has room");
    file.sync_data().expect("the disk works");
}

/// The rate of durable appends of this disk, the yardstick of everything that waits for it.
fn fdatasync(criterion: &mut Criterion) {
    let folder = folder();
    let mut file = File::create(folder.path().join("raw")).expect("a new file");
    let mut group = criterion.benchmark_group("fdatasync_single");
    group.throughput(Throughput::Elements(1));
    group.bench_function("1KiB", |bencher| bencher.iter(|| append(&mut file, &[7; 1024])));
    group.finish();
}
