use std::collections::VecDeque;

use backstop_storage::{
    Database, WriteError,
    history::{self, Refusal},
};
use rusqlite::{Connection, Row, params};

use super::{
    MIGRATIONS,
    fault::Fault,
    rows::{all, column, header, number, ordinals, time},
};
use crate::{
    Message, Source,
    error::StoreError,
    message::POSITION_MAX,
    stream::{Publisher, Record},
};

/// Records read from the file at once.
const READ_AHEAD: u32 = 256;

/// A stream that lives in an SQLite file: records are appended and keep their positions.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::{Source, SqliteStore, stream::{Publisher, Record, SqliteLog}};
/// use backstop_storage::Database;
/// use pollster::block_on;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Database::in_memory()?;
/// SqliteStore::create(&db, Timestamp::EPOCH)?;
/// let log = SqliteLog::open(&db, "snapshots")?;
/// assert_eq!(block_on(log.publish(Record::new(b"one".to_vec(), Timestamp::EPOCH)))?, 0);
///
/// let mut source = log.source(0);
/// assert_eq!(block_on(source.next())?.map(|m| m.payload), Some(b"one".to_vec()));
/// assert_eq!(block_on(source.next())?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteLog {
    db: Database,
    stream: String,
}

impl SqliteLog {
    /// Opens a stream of a database that was migrated with [`MIGRATIONS`].
    ///
    /// # Errors
    /// [`Refusal`] for any other schema; nothing is changed.
    pub fn open(db: &Database, stream: impl Into<String>) -> Result<Self, WriteError<Refusal>> {
        db.read(|connection| history::check(connection, MIGRATIONS))?;
        Ok(Self { db: db.clone(), stream: stream.into() })
    }

    /// Reads the stream from a position on, usually the committed one of the store.
    pub fn source(&self, from: u64) -> LogSource {
        LogSource { log: self.clone(), next: from, ready: VecDeque::new() }
    }
}

impl Publisher for SqliteLog {
    type Error = StoreError;

    async fn publish(&self, record: Record) -> Result<u64, StoreError> {
        let stream = self.stream.clone();
        Ok(self.db.submit(move |connection| append(connection, &stream, &record)).await?)
    }
}

/// Reads a [`SqliteLog`]; sees records as soon as they are queued, before they are durable.
#[derive(Debug)]
pub struct LogSource {
    log: SqliteLog,
    /// The first position that was not read from the file.
    next: u64,
    /// Read and not handed out, oldest in front.
    ready: VecDeque<Message>,
}

impl Source for LogSource {
    type Error = StoreError;

    async fn next(&mut self) -> Result<Option<Message>, StoreError> {
        if self.ready.is_empty() && self.next <= POSITION_MAX {
            let (stream, from) = (self.log.stream.clone(), self.next);
            self.ready = self.log.db.read(move |c| records(c, &stream, from))?.into();
            self.next = self.ready.back().map_or(self.next, |last| last.position + 1);
        }
        Ok(self.ready.pop_front())
    }
}

fn append(connection: &Connection, stream: &str, record: &Record) -> Result<u64, Fault> {
    let position: i64 = connection
        .prepare_cached(
            "INSERT INTO dlq_streams (stream, next) VALUES (?1, 1)
             ON CONFLICT (stream) DO UPDATE SET next = next + 1 RETURNING next - 1",
        )?
        .query_row([stream], |row| row.get(0))?;
    connection
        .prepare_cached(
            "INSERT INTO dlq_records (stream, position, key, payload, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![stream, position, record.key, record.payload, record.at.as_millis()])?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO dlq_record_headers (stream, position, ordinal, name, value)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (ordinal, (name, value)) in ordinals(&record.headers) {
        statement.execute(params![stream, position, ordinal, name, value])?;
    }
    Ok(number("position", position)?)
}

fn records(connection: &Connection, stream: &str, from: u64) -> Result<Vec<Message>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT position, key, payload, at_ms FROM dlq_records
         WHERE stream = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
    )?;
    let rows = statement.query(params![stream, column("position", from)?, READ_AHEAD])?;
    all(rows, |row| message(connection, stream, row))
}

fn message(connection: &Connection, stream: &str, row: &Row<'_>) -> Result<Message, Fault> {
    let position: i64 = row.get(0)?;
    let mut statement = connection.prepare_cached(
        "SELECT name, value FROM dlq_record_headers WHERE stream = ?1 AND position = ?2
         ORDER BY ordinal",
    )?;
    Ok(Message {
        stream: stream.to_owned(),
        partition: 0,
        position: number("position", position)?,
        key: row.get(1)?,
        payload: row.get(2)?,
        headers: all(statement.query(params![stream, position])?, header)?,
        at: time(row.get(3)?),
    })
}
