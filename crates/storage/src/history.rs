//! The rows that say which migrations a database has.
//!
//! Stores check them when they open, `create` writes them for a quick start, and the crate
//! `backstop-schema-version` builds status and safe migration on them.
//!
//! | table | columns |
//! |---|---|
//! | `_schema_history` | `seq, component, id, checksum, state, applied_at_ms, duration_us, tool_version` |
//! | `_schema_meta` | `key, value`; always holds `layout` |

mod apply;

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use apply::{ApplyError, Place, apply};

use crate::{Database, Migration, WriteError};

/// The layout of the two tables that this version writes and understands.
pub const LAYOUT: u32 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _schema_history (
        seq INTEGER PRIMARY KEY,
        component TEXT NOT NULL,
        id TEXT NOT NULL,
        checksum TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('started', 'applied', 'failed')),
        applied_at_ms INTEGER NOT NULL,
        duration_us INTEGER NOT NULL,
        tool_version TEXT NOT NULL,
        UNIQUE (component, id)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS _schema_meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO _schema_meta (key, value) VALUES ('layout', '1');
";

/// How far a recorded migration came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Begun outside a transaction, and not known to have ended.
    Started,
    /// Done.
    Applied,
    /// Ended with an error.
    Failed,
}

/// One recorded migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose schema.
    pub component: String,
    /// Which step.
    pub id: String,
    /// See [`checksum`].
    pub checksum: String,
    /// How far it came.
    pub state: State,
    /// When it was recorded.
    pub applied_at: Timestamp,
}

/// What a database says of its own schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// No history tables.
    Absent {
        /// Tables, views, indexes and triggers that are there all the same.
        user_objects: u32,
    },
    /// The history as recorded.
    Present {
        /// The layout of the history tables; one above [`LAYOUT`] was written by a newer tool.
        layout: u32,
        /// In the order in which they were applied; empty when the layout is not understood.
        rows: Vec<Row>,
        /// Everything in `_schema_meta`.
        meta: BTreeMap<String, String>,
    },
}

/// A history that cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The database refused.
    #[error("the schema history cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored word is none of those that this version knows.
    #[error("the schema history holds {field} = {value:?}, which is not understood")]
    Content {
        /// The column or key.
        field: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Classify for ReadError {
    fn class(&self) -> Class {
        match self {
            Self::Sqlite(error) => error.class().with_effect(Effect::NotApplied),
            Self::Content { .. } => Class::of(Kind::Data),
        }
    }
}

/// Why a store refuses a database.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The history cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// A migration of the store is not applied.
    #[error("the database lacks migration {component}/{id}: migrate it first")]
    Missing {
        /// Whose migration.
        component: String,
        /// Which one.
        id: String,
    },
    /// A migration of the store was applied with another content.
    #[error("migration {component}/{id} was applied with checksum {found}, not {expected}")]
    Edited {
        /// Whose migration.
        component: String,
        /// Which one.
        id: String,
        /// The checksum of the code.
        expected: String,
        /// The checksum in the database.
        found: String,
    },
    /// A migration was begun and did not end.
    #[error("migration {component}/{id} was begun and not finished")]
    Unfinished {
        /// Whose migration.
        component: String,
        /// Which one.
        id: String,
    },
    /// The database has a migration of this component that the code does not know.
    #[error("the database has migration {component}/{id}, which this version does not know")]
    Newer {
        /// Whose migration.
        component: String,
        /// Which one.
        id: String,
    },
    /// The history tables were written by a newer tool.
    #[error("the schema history has layout {found}; this version understands {LAYOUT}")]
    NewerLayout {
        /// The layout found.
        found: u32,
    },
}

impl Classify for Refusal {
    fn class(&self) -> Class {
        match self {
            Self::Unreadable(error) => error.class(),
            _ => Class::of(Kind::Precondition),
        }
    }
}

/// Why a quick start failed; nothing of it is left in the database.
#[derive(Debug, Error)]
#[error("cannot create the schema: {0}")]
pub struct CreateError(#[source] WriteError<Failure>);

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Stopped(#[from] ApplyError),
}

impl Classify for Failure {
    fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => refusal.class(),
            Self::Stopped(error) => error.class(),
        }
    }
}

impl Classify for CreateError {
    fn class(&self) -> Class {
        self.0.class()
    }
}

/// Reads the history with SELECT alone.
///
/// # Errors
/// [`ReadError`] when the database refuses or holds words that are not understood.
pub fn read(connection: &Connection) -> Result<History, ReadError> {
    let tables: u32 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema
         WHERE type = 'table' AND name IN ('_schema_history', '_schema_meta')",
        [],
        |row| row.get(0),
    )?;
    if tables < 2 {
        let user_objects = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            [],
            |row| row.get(0),
        )?;
        return Ok(History::Absent { user_objects });
    }
    let meta = read_meta(connection)?;
    let stored = meta.get("layout").cloned().unwrap_or_default();
    let Ok(layout) = stored.parse() else {
        return Err(ReadError::Content { field: "layout", value: stored });
    };
    let rows = if layout == LAYOUT { read_rows(connection)? } else { Vec::new() };
    Ok(History::Present { layout, rows, meta })
}

fn read_meta(connection: &Connection) -> Result<BTreeMap<String, String>, ReadError> {
    let mut statement = connection.prepare("SELECT key, value FROM _schema_meta")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_rows(connection: &Connection) -> Result<Vec<Row>, ReadError> {
    let mut statement = connection.prepare(
        "SELECT component, id, checksum, state, applied_at_ms FROM _schema_history ORDER BY seq",
    )?;
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(Row {
            component: row.get(0)?,
            id: row.get(1)?,
            checksum: row.get(2)?,
            state: state_named(row.get(3)?)?,
            applied_at: Timestamp::from_millis(row.get(4)?),
        });
    }
    Ok(rows)
}

fn state_named(name: String) -> Result<State, ReadError> {
    match name.as_str() {
        "started" => Ok(State::Started),
        "applied" => Ok(State::Applied),
        "failed" => Ok(State::Failed),
        _ => Err(ReadError::Content { field: "state", value: name }),
    }
}

/// SHA-256 of a migration's text, the same whatever the editor did to line ends.
///
/// Before hashing, a byte order mark goes, CR LF and CR become LF, and blanks at the ends of
/// lines and of the text go; comments stay.
///
/// ```
/// use backstop_storage::history::checksum;
///
/// assert_eq!(checksum("SELECT 1;\n"), checksum("\u{feff}SELECT 1;  \r\n\r\n"));
/// assert_ne!(checksum("SELECT 1;"), checksum("SELECT 2;"));
/// ```
pub fn checksum(sql: &str) -> String {
    let text = sql.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut hash = Sha256::new();
    for (n, line) in text.trim_end().lines().enumerate() {
        if n > 0 {
            hash.update(b"\n");
        }
        hash.update(line.trim_end().as_bytes());
    }
    let digest = hash.finalize();
    digest.iter().fold(String::from("v1:"), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

/// Brings a fresh database to the given schema, for a quick start without a migration plan.
///
/// Applies what is missing in one transaction; calling it again changes nothing.
///
/// # Errors
/// [`CreateError`] for a database that this set does not understand, or that refuses; it names the statement that failed.
pub fn create(db: &Database, set: &'static [Migration], now: Timestamp) -> Result<(), CreateError> {
    db.exclusive(move |connection| match check(connection, set) {
        Err(Refusal::Missing { .. }) => {
            let applied = match read(connection).map_err(Refusal::from)? {
                History::Absent { .. } => Vec::new(),
                History::Present { rows, .. } => rows,
            };
            let is_new = |m: &&Migration| {
                !applied.iter().any(|row| row.component == m.component && row.id == m.id)
            };
            for migration in set.iter().filter(is_new) {
                apply(connection, migration, now)?;
            }
            Ok(check(connection, set)?)
        }
        checked => Ok(checked?),
    })
    .map_err(CreateError)
}

/// Refuses a database whose schema is not exactly the given set, per component.
///
/// Stores call it when they open; migrations of other components do not matter.
///
/// # Errors
/// [`Refusal`] names the first migration at fault.
pub fn check(connection: &Connection, set: &[Migration]) -> Result<(), Refusal> {
    let rows = match read(connection)? {
        History::Absent { .. } => Vec::new(),
        History::Present { layout, .. } if layout != LAYOUT => {
            return Err(Refusal::NewerLayout { found: layout });
        }
        History::Present { rows, .. } => rows,
    };
    let known = |row: &&Row| set.iter().any(|m| m.component == row.component && m.id == row.id);
    let ours = |row: &&Row| set.iter().any(|m| m.component == row.component);
    for migration in set {
        let component = || migration.component.to_owned();
        let id = || migration.id.to_owned();
        let applied =
            rows.iter().find(|row| row.component == migration.component && row.id == migration.id);
        let Some(row) = applied else {
            return Err(Refusal::Missing { component: component(), id: id() });
        };
        if row.state != State::Applied {
            return Err(Refusal::Unfinished { component: component(), id: id() });
        }
        let expected = checksum(migration.sql);
        if row.checksum != expected {
            let found = row.checksum.clone();
            return Err(Refusal::Edited { component: component(), id: id(), expected, found });
        }
    }
    match rows.iter().filter(ours).find(|row| !known(row)) {
        None => Ok(()),
        Some(row) => Err(Refusal::Newer { component: row.component.clone(), id: row.id.clone() }),
    }
}
