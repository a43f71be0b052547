//! Halts as rows of the host's database.

use backstop_clock::Timestamp;
use backstop_storage::{Database, Migration, history};
use rusqlite::{Connection, OptionalExtension, Row, types::Type};

use super::{Called, Cause, Depth, Halts};
use crate::host::Stop;

/// The schema of the halts.
pub const MIGRATIONS: &[Migration] =
    &[Migration { component: "host", id: "0001_halts", sql: HALTS }];

const HALTS: &str = "
CREATE TABLE host_halts (
    called_at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    depth TEXT NOT NULL,
    reason TEXT NOT NULL,
    lifted_at_ms INTEGER,
    lifted_why TEXT
) STRICT;

-- At most one stands.
CREATE UNIQUE INDEX host_halts_standing ON host_halts (1) WHERE lifted_at_ms IS NULL;
";

/// The halts of a database that was migrated with [`MIGRATIONS`].
#[derive(Clone, Debug)]
pub struct SqliteHalts(Database);

impl SqliteHalts {
    /// Opens them.
    ///
    /// # Errors
    /// A database with another schema.
    pub fn open(db: &Database) -> anyhow::Result<Self> {
        db.read(|connection| history::check(connection, MIGRATIONS))?;
        Ok(Self(db.clone()))
    }

    /// Ends the standing halt in the words of whoever looked into it; gives it back.
    ///
    /// # Errors
    /// [`Stop::Halt`] when it cannot be read or written.
    pub fn lift(&self, at: Timestamp, why: &str) -> Result<Option<Called>, Stop> {
        let standing = self.standing()?;
        let why = why.to_owned();
        self.0
            .write(move |connection| {
                connection.execute(
                    "UPDATE host_halts SET lifted_at_ms = ?1, lifted_why = ?2
                     WHERE lifted_at_ms IS NULL",
                    (at.as_millis(), why),
                )
            })
            .map_err(|error| Stop::Halt(error.to_string()))?;
        Ok(standing)
    }
}

impl Halts for SqliteHalts {
    fn standing(&self) -> Result<Option<Called>, Stop> {
        self.0.read(standing).map_err(|error| Stop::Halt(error.to_string()))
    }

    fn write(&self, called: &Called) -> Result<(), Stop> {
        let called = called.clone();
        self.0
            .write(move |connection| write(connection, &called))
            .map_err(|error| Stop::Halt(error.to_string()))
    }
}

fn standing(connection: &Connection) -> rusqlite::Result<Option<Called>> {
    let sql = "SELECT called_at_ms, cause, depth, reason FROM host_halts
               WHERE lifted_at_ms IS NULL";
    connection.query_row(sql, (), called).optional()
}

fn write(connection: &Connection, called: &Called) -> rusqlite::Result<()> {
    let depth = called.depth.as_str();
    let deepened = connection
        .execute("UPDATE host_halts SET depth = ?1 WHERE lifted_at_ms IS NULL", [depth])?;
    if deepened == 0 {
        connection.execute(
            "INSERT INTO host_halts (called_at_ms, cause, depth, reason) VALUES (?1, ?2, ?3, ?4)",
            (called.at.as_millis(), called.cause.as_str(), depth, &called.reason),
        )?;
    }
    Ok(())
}

fn called(row: &Row<'_>) -> rusqlite::Result<Called> {
    Ok(Called {
        at: Timestamp::from_millis(row.get(0)?),
        cause: known(&Cause::ALL, Cause::as_str, row, 1)?,
        depth: known(&Depth::ALL, Depth::as_str, row, 2)?,
        reason: row.get(3)?,
    })
}

fn known<T: Copy>(
    all: &[T],
    name: fn(T) -> &'static str,
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    all.iter().copied().find(|value| name(*value) == text).ok_or_else(|| {
        let why = format!("no such word: {text}");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
    })
}
