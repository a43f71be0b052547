//! The journal in a SQLite database, which it may share with other stores.

mod snapshots;

use std::fmt;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_storage::{Database, Migration, WriteError, history};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params, params_from_iter};

use crate::error::JournalError;
use crate::journal::{Checkpoint, Digest, Durability, Image, Journal, Record};

/// The schema of journal and snapshots, for whoever migrates the database.
pub const MIGRATIONS: &[Migration] = &[JOURNAL, SNAPSHOTS, IMAGES];

const SNAPSHOTS: Migration =
    Migration { component: "position-ledger", id: "0002_pnl_snapshots", sql: snapshots::SCHEMA };

const IMAGES: Migration = Migration {
    component: "position-ledger",
    id: "0003_images",
    sql: "
        CREATE TABLE ledger_images (
            sequence INTEGER PRIMARY KEY CHECK (sequence >= 0),
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            digest BLOB NOT NULL CHECK (length(digest) = 32),
            body BLOB NOT NULL
        ) STRICT;
        CREATE TABLE ledger_image_rows (
            number INTEGER PRIMARY KEY CHECK (number >= 0),
            body BLOB NOT NULL
        ) STRICT;
    ",
};

const JOURNAL: Migration = Migration {
    component: "position-ledger",
    id: "0001_journal",
    sql: "
        CREATE TABLE ledger_journal (
            sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
            previous BLOB NOT NULL CHECK (length(previous) = 32),
            hash BLOB NOT NULL CHECK (length(hash) = 32),
            body BLOB NOT NULL
        ) STRICT;
        CREATE TRIGGER ledger_journal_keeps_content BEFORE UPDATE ON ledger_journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
        CREATE TRIGGER ledger_journal_keeps_entries BEFORE DELETE ON ledger_journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
    ",
};

pub use snapshots::SqliteSnapshots;

const INSERT: &str =
    "INSERT INTO ledger_journal (sequence, previous, hash, body) VALUES (?, ?, ?, ?)";

/// Rows that one statement adds: it looks for its place in the table once, and not for each row.
const ROWS_PER_STATEMENT: usize = 25;

const SELECT: &str = "
    SELECT sequence, previous, hash, body FROM ledger_journal
    WHERE sequence > :after ORDER BY sequence LIMIT :limit";

const HEAD: &str = "
    SELECT sequence, previous, hash, body FROM ledger_journal
    WHERE sequence = (SELECT max(sequence) FROM ledger_journal) AND sequence > :after LIMIT :limit";

/// Records in a table of a [`Database`], which groups the commits.
///
/// An entry that is appended as [`Durability::Durable`] waits for a commit, and takes with it all that were queued before.
/// Triggers refuse to change or delete a row; whoever drops them is found out by the chain.
///
/// # Examples
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_position_ledger::{Instruments, Ledger, SqliteJournal};
/// use backstop_storage::Database;
///
/// let db = Database::in_memory()?;
/// let journal = SqliteJournal::create(db, Timestamp::EPOCH)?;
/// let ledger = Ledger::open(Box::new(journal), Instruments::default())?;
/// assert_eq!(ledger.version(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteJournal {
    db: Database,
    /// The last record given to the database, committed or not.
    head: Checkpoint,
}

impl SqliteJournal {
    /// Applies what is missing of [`MIGRATIONS`], recorded as of `now`, and opens the journal.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the database has a schema that this version does not understand, or refuses.
    pub fn create(db: Database, now: Timestamp) -> Result<Self, JournalError> {
        create(&db, now)?;
        Self::open(db)
    }

    /// Opens a journal whose schema is in place.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the schema is missing, older, newer or edited, or the database refuses.
    pub fn open(db: Database) -> Result<Self, JournalError> {
        db.read(|connection| history::check(connection, MIGRATIONS)).map_err(failed)?;
        let last = db.read(|connection| select(connection, HEAD, 0, 1)).map_err(failed)?;
        let head = last.first().map_or(Checkpoint::START, Record::checkpoint);
        Ok(Self { db, head })
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, records: Vec<Record>, durability: Durability) -> Result<(), JournalError> {
        let head = self.head.advanced_by(&records)?;
        // One job is one savepoint: the records of a group are stored together or not at all.
        let job = move |connection: &Connection| insert(connection, &records);
        match durability {
            Durability::Durable => self.db.write(job).map_err(failed)?,
            // A failure that nobody waits for stops the database, and the next durable entry or flush reports it.
            Durability::Grouped => drop(self.db.submit(job)),
        }
        self.head = head;
        Ok(())
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.db.read(move |connection| select(connection, SELECT, after, limit)).map_err(failed)
    }

    fn head(&self) -> Result<Checkpoint, JournalError> {
        Ok(self.head)
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.db.flush().map_err(|error| {
            let effect = match &error {
                WriteError::Commit(_) => Effect::Unknown,
                _ => Effect::NotApplied,
            };
            let class = match &error {
                WriteError::Commit(source) | WriteError::Begin(source) => source.class(),
                _ => Class::of(Kind::Unavailable),
            };
            JournalError::new(class.with_effect(effect), error)
        })
    }

    fn keep_image(
        &mut self,
        image: Image,
        first: usize,
        rows: Vec<Vec<u8>>,
    ) -> Result<(), JournalError> {
        let job = move |connection: &Connection| keep_image(connection, &image, first, &rows);
        self.db.write(job).map_err(failed)
    }

    fn image(&self) -> Result<Option<Image>, JournalError> {
        let last =
            "SELECT sequence, hash, digest, body FROM ledger_images ORDER BY sequence DESC LIMIT 1";
        let job = |connection: &Connection| -> Result<Option<Image>, Refused> {
            Ok(connection.query_row(last, [], image).optional()?)
        };
        self.db.read(job).map_err(failed)
    }

    fn image_rows(&self, number: usize) -> Result<Option<Vec<u8>>, JournalError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let job = move |connection: &Connection| -> Result<Option<Vec<u8>>, Refused> {
            let mut statement = connection
                .prepare_cached("SELECT body FROM ledger_image_rows WHERE number = ?1")?;
            Ok(statement.query_row([number], |row| row.get(0)).optional()?)
        };
        self.db.read(job).map_err(failed)
    }
}

fn keep_image(
    connection: &Connection,
    image: &Image,
    first: usize,
    rows: &[Vec<u8>],
) -> Result<(), Refused> {
    // A chunk may be there from an image whose journal did not reach the disk, or was replayed since.
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO ledger_image_rows (number, body) VALUES (?1, ?2)",
    )?;
    for (number, body) in (first..).zip(rows) {
        statement.execute(params![i64::try_from(number).unwrap_or(i64::MAX), body])?;
    }
    connection.execute(
        "INSERT OR REPLACE INTO ledger_images (sequence, hash, digest, body) VALUES (?1, ?2, ?3, ?4)",
        params![
            i64::try_from(image.checkpoint.sequence).unwrap_or(i64::MAX),
            image.checkpoint.hash.as_bytes(),
            image.digest.as_bytes(),
            image.body
        ],
    )?;
    connection.execute(
        "DELETE FROM ledger_images WHERE sequence NOT IN
         (SELECT sequence FROM ledger_images ORDER BY sequence DESC LIMIT 2)",
        [],
    )?;
    Ok(())
}

fn image(row: &Row<'_>) -> rusqlite::Result<Image> {
    let sequence: i64 = row.get(0)?;
    let sequence = u64::try_from(sequence)
        .map_err(|_negative| rusqlite::Error::IntegralValueOutOfRange(0, sequence))?;
    let checkpoint = Checkpoint { sequence, hash: Digest::from_bytes(row.get(1)?) };
    Ok(Image { checkpoint, digest: Digest::from_bytes(row.get(2)?), body: row.get(3)? })
}

/// A statement that failed, classified by the code of SQLite.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Refused(#[from] rusqlite::Error);

impl Classify for Refused {
    fn class(&self) -> Class {
        // The job is rolled back with its savepoint.
        self.0.class().with_effect(Effect::NotApplied)
    }
}

fn create(db: &Database, now: Timestamp) -> Result<(), JournalError> {
    let created = history::create(db, MIGRATIONS, now);
    created.map(drop).map_err(|error| JournalError::new(error.class(), error))
}

fn failed<E: std::error::Error + Classify + Send + Sync + 'static>(
    error: WriteError<E>,
) -> JournalError {
    JournalError::new(error.class(), error)
}

fn insert(connection: &Connection, records: &[Record]) -> Result<(), Refused> {
    for rows in records.chunks(ROWS_PER_STATEMENT) {
        let more = ", (?, ?, ?, ?)".repeat(rows.len().saturating_sub(1));
        let mut statement = connection.prepare_cached(&format!("{INSERT}{more}"))?;
        let inserted = statement.execute(params_from_iter(rows.iter().flat_map(columns)))?;
        debug_assert_eq!(inserted, rows.len(), "an insert adds its rows or fails");
    }
    Ok(())
}

/// What [`INSERT`] binds, not copied until the database does.
fn columns(record: &Record) -> [ToSqlOutput<'_>; 4] {
    let sequence = i64::try_from(record.sequence).unwrap_or(i64::MAX);
    let bytes = |bytes| ToSqlOutput::Borrowed(ValueRef::Blob(bytes));
    let (previous, hash) = (bytes(record.previous.as_bytes()), bytes(record.hash.as_bytes()));
    [ToSqlOutput::from(sequence), previous, hash, bytes(&record.body)]
}

fn select(
    connection: &Connection,
    query: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Record>, Refused> {
    let mut statement = connection.prepare_cached(query)?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(named_params! { ":after": after, ":limit": limit }, record)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let sequence: i64 = row.get(0)?;
    let sequence = u64::try_from(sequence)
        .map_err(|_negative| rusqlite::Error::IntegralValueOutOfRange(0, sequence))?;
    let (previous, hash) = (Digest::from_bytes(row.get(1)?), Digest::from_bytes(row.get(2)?));
    Ok(Record { sequence, previous, hash, body: row.get(3)? })
}
