//! SQLite opened right, one writer with group commit, migrations as data.
//!
//! ```
//! use backstop_storage::{Database, Migration, history};
//! use backstop_clock::Timestamp;
//!
//! const SET: &[Migration] = &[Migration {
//!     component: "notes",
//!     id: "0001_notes",
//!     sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
//! }];
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = Database::in_memory()?;
//! history::create(&db, SET, Timestamp::EPOCH)?;
//! // Queued: becomes durable with the next commit.
//! let queued = db.submit(|c| c.execute("INSERT INTO notes (text) VALUES ('first')", []));
//! // Durable when it returns, and so is everything queued before it.
//! db.write(|c| c.execute("INSERT INTO notes (text) VALUES ('second')", []))?;
//! assert_eq!(queued.wait()?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//! 1. Jobs run in the order in which they were queued, one at a time, over one connection.
//! 2. A job that fails loses its own changes and nobody else's.
//! 3. A ticket resolves only after the commit that made its job durable
//!    (write-ahead log, `synchronous = FULL`), so acknowledged means on disk.
//! 4. Groups end where somebody waits, after [`JOBS_PER_COMMIT_MAX`] jobs, or 10 ms after their
//!    first job; with [`Grouping::Explicit`] never by timing, so that the commits of a
//!    single-threaded run can be repeated.
//! 5. Who waits works: a thread that blocks on a result runs the queue itself, instead of waking
//!    another one and being woken by it. A background thread serves futures and timed groups, and
//!    threads that wait while another one works. So a job may run on any of them, and one that
//!    waits for its own database is told so ([`WriteError::Nested`]).
//! 6. The queue is bounded ([`QUEUE_LENGTH_MAX`]); who finds it full works it off, or waits.
//!
//! # What it is not
//! No pool, no query builder, no async runtime; reads for reports open their own connection.
//!
//! # How it fails
//! A commit that fails reports [`WriteError::Commit`] to every job of its group, and the
//! database refuses all later work: what is on disk is then a matter of recovery, not of guessing.
//! So it is with a constraint that SQLite checks only at the commit (`DEFERRABLE INITIALLY
//! DEFERRED`): one job that breaks it fails its whole group; prefer constraints checked at once.
//! A group whose jobs all failed is rolled back and leaves the bytes of the file as they were.
//! A lock that another process holds for more than ten seconds refuses a job
//! ([`WriteError::Begin`], nothing happened) and stops nothing.

mod migration;
mod error;
mod ticket;
mod writer;
mod queue;
mod prepare;
mod database;
pub mod history;

pub use database::{Database, Grouping};
pub use error::{OpenError, WriteError};
pub use migration::Migration;
pub use queue::QUEUE_LENGTH_MAX;
pub use ticket::Ticket;
pub use writer::JOBS_PER_COMMIT_MAX;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
