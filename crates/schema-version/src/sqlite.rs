//! Status and migration of an `SQLite` database.
//!
//! ```
//! use backstop_clock::Timestamp;
//! use backstop_schema_version::{MigrationSet, SchemaGate, Status, gate, sqlite};
//! use backstop_storage::{Database, Migration};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let set = MigrationSet::new(&[&[Migration {
//!     component: "dlq",
//!     id: "0001_letters",
//!     sql: "CREATE TABLE letters (id TEXT PRIMARY KEY) STRICT",
//! }]])?;
//! let db = Database::in_memory()?;
//! assert_eq!(sqlite::status(&db, &set)?.status, Status::Outdated);
//! let report = sqlite::migrate(&db, &set, Timestamp::EPOCH)?;
//! assert_eq!(report.applied.len(), 1);
//! assert_eq!(gate(&sqlite::status(&db, &set)?), SchemaGate::ReadWrite);
//! # Ok(())
//! # }
//! ```

mod confine;
mod error;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Classify, Transience};
use backstop_storage::{
    Database, Migration, WriteError,
    history::{self, ApplyError, History, ReadError},
};
use rusqlite::{Connection, OptionalExtension};

pub use backstop_storage::history::Place;
pub use error::{MigrateError, StatusError};

use crate::{
    Assessment, Environment, MigrationId, MigrationSet, Refusal, SchemaGate, Status, assess, gate,
};

/// How often [`migrate`] plans again because somebody else migrated part of the way meanwhile.
///
/// Each time the rest is shorter, so a start of several releases at once settles well within it.
const REPLANS_MAX: u32 = 3;

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The migrations applied by this call, in order; empty if there was nothing to do.
    pub applied: Vec<MigrationId>,
}

/// What [`on_start`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Start {
    /// What the program may do now.
    pub gate: SchemaGate,
    /// The migrations applied by this call.
    pub applied: Vec<MigrationId>,
}

/// Says how the database stands to the program; reads only.
///
/// Content that cannot be understood is a status, [`Status::Unknown`]: never an empty database.
///
/// # Errors
/// [`StatusError`] if the database could not be asked, or not just now.
pub fn status(db: &Database, set: &MigrationSet) -> Result<Assessment, StatusError> {
    match db.read(observe) {
        Ok(history) => Ok(assess(&history, set)),
        // What does not pass is in the file, and so part of how the database stands.
        Err(WriteError::Job(error)) if error.class().transience() == Transience::Permanent => {
            Ok(Assessment::unreadable(match error {
                ReadError::Sqlite(source) => source.to_string(),
                other => other.to_string(),
            }))
        }
        Err(error) => Err(StatusError(error)),
    }
}

/// Applies everything that is pending, or nothing.
///
/// Several processes may start at once: one does the work, the others wait for it and report
/// nothing to do.
/// See [`apply`] for what happens under the lock.
///
/// # Errors
/// [`MigrateError`]; the database is as it was before, unless the error's effect is unknown.
pub fn migrate(db: &Database, set: &MigrationSet, now: Timestamp) -> Result<Report, MigrateError> {
    let mut replans = 0;
    loop {
        let seen = status(db, set)?;
        match apply(db, set, &seen, now) {
            Err(MigrateError::StalePlan { .. }) if replans < REPLANS_MAX => replans += 1,
            done => return done,
        }
    }
}

/// Applies exactly the path of an assessment, or nothing.
///
/// All in one transaction that begins with the write lock:
/// the history is read again and its path compared with the approved one;
/// the statements run, with one row of history per migration;
/// foreign keys are checked, and the result must be [`Status::Current`].
/// A path that somebody else has meanwhile applied as a whole leaves nothing to do.
///
/// A migration may not end the transaction, attach files, or set a pragma other than
/// `application_id`, `defer_foreign_keys` and `user_version`.
/// It may not drop a table that another table references when the migration begins: with enforced
/// foreign keys that deletes the rows of the other table.
///
/// # Errors
/// [`MigrateError`]; the database is as it was before, unless the error's effect is unknown.
pub fn apply(
    db: &Database,
    set: &MigrationSet,
    approved: &Assessment,
    now: Timestamp,
) -> Result<Report, MigrateError> {
    let plan = plan(approved)?.to_vec();
    if plan.is_empty() {
        return Ok(Report::default());
    }
    let set = set.clone();
    db.exclusive(move |connection| run(connection, &set, &plan, now)).map_err(MigrateError::from)
}

/// Opens the gate of a program that starts: development migrates first, production only looks.
///
/// # Errors
/// [`MigrateError`] if the migration failed or the database could not be asked.
/// A database that is not to be used is no error here but a gate that is not `ReadWrite`.
pub fn on_start(
    db: &Database,
    set: &MigrationSet,
    environment: Environment,
    now: Timestamp,
) -> Result<Start, MigrateError> {
    let seen = status(db, set)?;
    if environment == Environment::Development && seen.status == Status::Outdated {
        let Report { applied } = migrate(db, set, now)?;
        return Ok(Start { gate: gate(&status(db, set)?), applied });
    }
    Ok(Start { gate: gate(&seen), applied: Vec::new() })
}

/// What an assessment asks to be done; a database that is no longer understood is left alone.
fn plan(assessment: &Assessment) -> Result<&[Migration], Refusal> {
    match gate(assessment) {
        SchemaGate::ReadWrite => Ok(&[]),
        _ if assessment.status == Status::Outdated => Ok(&assessment.path),
        _ => Err(Refusal::new(assessment)),
    }
}

fn run(
    connection: &Connection,
    set: &MigrationSet,
    approved: &[Migration],
    now: Timestamp,
) -> Result<Report, MigrateError> {
    let seen = assess(&observe(connection)?, set);
    let found = plan(&seen)?;
    if found.is_empty() {
        return Ok(Report::default());
    }
    if found != approved {
        let names = |path: &[Migration]| path.iter().map(MigrationId::from).collect();
        return Err(MigrateError::StalePlan { approved: names(approved), found: names(found) });
    }
    for migration in found {
        step(connection, migration, now)?;
    }
    check_foreign_keys(connection)?;
    // A migration that touched the history itself is found out before anything is durable.
    let after = assess(&observe(connection)?, set);
    if after.status != Status::Current {
        return Err(MigrateError::NotCurrent(Refusal::new(&after)));
    }
    Ok(Report { applied: found.iter().map(MigrationId::from).collect() })
}

/// Runs one migration and records it; says where it failed.
fn step(
    connection: &Connection,
    migration: &Migration,
    now: Timestamp,
) -> Result<(), MigrateError> {
    let run = || history::apply(connection, migration, now);
    let (applied, forbidden) = confine::confined(connection, run).map_err(MigrateError::Sqlite)?;
    let Err(ApplyError { place, source, .. }) = applied else { return Ok(()) };
    let id = MigrationId::from(migration);
    Err(match forbidden {
        Some(what) => MigrateError::Forbidden { id, place, what },
        None => MigrateError::Statement { id, place, source },
    })
}

fn check_foreign_keys(connection: &Connection) -> Result<(), MigrateError> {
    let broken = "SELECT count(*) OVER (), \"table\", parent FROM pragma_foreign_key_check LIMIT 1";
    let first = connection
        .query_row(broken, [], |row| {
            Ok(MigrateError::ForeignKeys {
                rows: row.get(0)?,
                table: row.get(1)?,
                parent: row.get(2)?,
            })
        })
        .optional();
    first.map_err(MigrateError::Sqlite)?.map_or(Ok(()), Err)
}

/// Reads the history as of one moment, inside or outside a transaction.
fn observe(connection: &Connection) -> Result<History, ReadError> {
    // Between two statements of their own another process could commit its first migration,
    // and a fresh database would look like one with tables and no history.
    connection.execute_batch("SAVEPOINT observe")?;
    let seen = history::read(connection);
    let ended = connection.execute_batch("RELEASE observe");
    // A failed read may have ended the savepoint too; the read's own error says why.
    let seen = seen?;
    ended?;
    Ok(seen)
}
