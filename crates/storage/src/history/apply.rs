//! One migration, statement by statement.

use std::fmt;

use backstop_clock::{Clock, SystemClock, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect};
use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator, params};
use thiserror::Error;

use super::{TABLES, checksum};
use crate::Migration;

/// Characters of a failing statement that an error quotes.
const TEXT_CHARS_MAX: usize = 80;

/// A migration that did not run to its end.
#[derive(Debug, Error)]
#[error("migration {component}/{id} failed{}: {}", At(place.as_deref()), text_of(source))]
#[non_exhaustive]
pub struct ApplyError {
    /// Whose migration.
    pub component: &'static str,
    /// Which one.
    pub id: &'static str,
    /// The statement that failed; none when it was the record of the migration.
    pub place: Option<Box<Place>>,
    /// What the database said.
    pub source: rusqlite::Error,
}

impl Classify for ApplyError {
    fn class(&self) -> Class {
        // The transaction is rolled back, whatever the code says of a single statement.
        self.source.class().with_effect(Effect::NotApplied)
    }
}

/// Where in a migration's text a statement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Which statement, from 1.
    pub statement: usize,
    /// Line of the text on which it begins, from 1.
    pub line: usize,
    /// Its first line, cut after 80 characters.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {} on line {}, `{}`", self.statement, self.line, self.text)
    }
}

struct At<'a>(Option<&'a Place>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |place| write!(f, " at {place}"))
    }
}

/// The driver's own text would repeat the whole migration.
fn text_of(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// Runs one migration and records it; the caller holds the transaction.
///
/// # Errors
/// [`ApplyError`] names the statement; the caller rolls its transaction back.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_storage::{Migration, history};
/// use rusqlite::Connection;
///
/// let wrong = Migration { component: "a", id: "0001", sql: "SELECT 1;\nSELECT FROM" };
/// let error = history::apply(&Connection::open_in_memory()?, &wrong, Timestamp::EPOCH).unwrap_err();
/// let text = "migration a/0001 failed at statement 2 on line 2, `SELECT FROM`: near \"FROM\": syntax error";
/// assert_eq!(error.to_string(), text);
/// # Ok::<(), rusqlite::Error>(())
/// ```
pub fn apply(
    connection: &Connection,
    migration: &Migration,
    now: Timestamp,
) -> Result<(), ApplyError> {
    let Migration { component, id, sql } = *migration;
    let failed = |place| move |source| ApplyError { component, id, place, source };
    connection.execute_batch(TABLES).map_err(failed(None))?;
    let started = SystemClock.instant();
    run(connection, sql).map_err(|(place, source)| failed(Some(Box::new(place)))(source))?;
    let took = SystemClock.instant().duration_since(started);
    let record = "INSERT INTO _schema_history
             (component, id, checksum, state, applied_at_ms, duration_us, tool_version)
         VALUES (?1, ?2, ?3, 'applied', ?4, ?5, ?6)";
    let row = params![
        component,
        id,
        checksum(sql),
        now.as_millis(),
        i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
        env!("CARGO_PKG_VERSION"),
    ];
    connection.execute(record, row).map(drop).map_err(failed(None))
}

/// Runs all statements of a text, and says which one failed.
fn run(connection: &Connection, sql: &str) -> Result<(), (Place, rusqlite::Error)> {
    let mut batch = Batch::new(connection, sql);
    let mut rest = sql;
    for number in 1.. {
        let ran = match batch.next() {
            Ok(None) => break,
            Ok(Some(mut statement)) => {
                // One step, as `execute_batch` does it.
                let stepped = statement.query([]).and_then(|mut rows| rows.next().map(drop));
                stepped.map(|()| statement.expanded_sql().unwrap_or_default())
            }
            Err(error) => Err(error),
        };
        let text = ran.map_err(|error| (place(number, sql, skip_comments(rest)), error))?;
        rest = rest.split_once(&text).map_or(rest, |(_, after)| after);
    }
    Ok(())
}

fn place(statement: usize, sql: &str, rest: &str) -> Place {
    let before = &sql[..sql.len() - rest.len()];
    let first_line = rest.lines().next().unwrap_or_default().trim_end();
    Place {
        statement,
        line: 1 + before.matches('\n').count(),
        text: first_line.chars().take(TEXT_CHARS_MAX).collect(),
    }
}

/// The text from its first character that is neither blank nor comment.
fn skip_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let comment_end = if text.starts_with("--") {
            text.find('\n').map(|at| at + 1)
        } else if text.starts_with("/*") {
            text.find("*/").map(|at| at + 2)
        } else {
            return text;
        };
        text = &text[comment_end.unwrap_or(text.len())..];
    }
}
