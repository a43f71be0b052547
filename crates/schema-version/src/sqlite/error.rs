use std::fmt;

use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_storage::{WriteError, history::ReadError};
use thiserror::Error;

use super::Place;
use crate::{MigrationId, Refusal};

/// The database could not be asked how it stands.
#[derive(Debug, Error)]
#[error("the status of the database cannot be read: {0}")]
pub struct StatusError(#[source] pub(super) WriteError<ReadError>);

impl Classify for StatusError {
    fn class(&self) -> Class {
        self.0.class()
    }
}

/// Why a migration did not happen.
///
/// All but a failed commit leave the database as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database could not be asked how it stands.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The history could not be read under the lock.
    #[error(transparent)]
    History(#[from] ReadError),
    /// Only a database that is outdated, and nothing else, can be migrated.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Under the lock the database asks for another path than the approved one.
    #[error(
        "the plan is stale: approved were {}, but the database now asks for {}",
        List(approved),
        List(found)
    )]
    StalePlan {
        /// The path that was to run.
        approved: Vec<MigrationId>,
        /// The path that would have run.
        found: Vec<MigrationId>,
    },
    /// A statement failed.
    #[error("migration `{id}` failed{}: {}", At(place.as_deref()), text_of(source))]
    Statement {
        /// The migration.
        id: MigrationId,
        /// The statement, where it could be told.
        place: Option<Box<Place>>,
        /// What the database said.
        source: rusqlite::Error,
    },
    /// A statement would have left the transaction that makes the migration undoable.
    #[error("migration `{id}` is refused{}: it may not {what}", At(place.as_deref()))]
    Forbidden {
        /// The migration.
        id: MigrationId,
        /// The statement, where it could be told.
        place: Option<Box<Place>>,
        /// What it tried to do.
        what: String,
    },
    /// Rows would point to rows that do not exist.
    #[error(
        "after the migration {rows} rows would break a foreign key, \
         the first from table `{table}` to `{parent}`"
    )]
    ForeignKeys {
        /// How many rows.
        rows: u32,
        /// Table of the first of them.
        table: String,
        /// The table it points to.
        parent: String,
    },
    /// All statements ran, and yet the history was not what it has to be.
    #[error("the migration would not have led to the program's schema: {0}")]
    NotCurrent(#[source] Refusal),
    /// The database failed beside the statements of the migrations.
    #[error("the migration failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// The transaction did not begin, or its commit failed.
    #[error("the migration failed: {0}")]
    Database(#[source] Box<WriteError<Self>>),
}

impl From<WriteError<Self>> for MigrateError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Job(error) => error,
            other => Self::Database(Box::new(other)),
        }
    }
}

impl Classify for MigrateError {
    fn class(&self) -> Class {
        match self {
            Self::Status(error) => error.class(),
            Self::History(error) => error.class(),
            Self::Refused(refusal) => refusal.class(),
            Self::StalePlan { .. } => Class::of(Kind::Conflict),
            // The transaction is rolled back, whatever the code says of a single statement.
            Self::Statement { source, .. } | Self::Sqlite(source) => {
                source.class().with_effect(Effect::NotApplied)
            }
            Self::Forbidden { .. } | Self::ForeignKeys { .. } | Self::NotCurrent(_) => {
                Class::of(Kind::Invalid)
            }
            Self::Database(error) => error.class(),
        }
    }
}

/// The driver's own text would repeat the whole migration.
fn text_of(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

struct At<'a>(Option<&'a Place>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |place| write!(f, " at {place}"))
    }
}

struct List<'a>(&'a [MigrationId]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (n, id) in self.0.iter().enumerate() {
            write!(f, "{}`{id}`", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
