//! Database status, safe migration, and the gate in front of trading.
//!
//! ```
//! use backstop_clock::Timestamp;
//! use backstop_schema_version::{Environment, MigrationSet, SchemaGate, sqlite};
//! use backstop_storage::{Database, Migration};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What the crates that persist publish; here it is one table.
//! const LETTERS: &[Migration] = &[Migration {
//!     component: "dlq",
//!     id: "0001_letters",
//!     sql: "CREATE TABLE letters (id TEXT PRIMARY KEY) STRICT",
//! }];
//!
//! let set = MigrationSet::new(&[LETTERS])?;
//! let db = Database::in_memory()?;
//! let start = sqlite::on_start(&db, &set, Environment::Development, Timestamp::EPOCH)?;
//! match start.gate {
//!     SchemaGate::ReadWrite => {} // trade
//!     SchemaGate::Closed(refusal) => return Err(refusal.into()),
//!     _ => return Err("the database may be read only".into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each crate that persists has a component of its own and publishes its migrations as data; a
//! [`MigrationSet`] joins them, [`assess`] compares the set with what a database has recorded, and
//! [`gate`] says what may be done.
//! These three are plain functions without a database; [`sqlite`] reads and migrates one.
//!
//! # Defaults
//!
//! | what | default | why |
//! |---|---|---|
//! | environment | production | a slip in a name must not change a database |
//! | pending below the highest applied | refused | the order in which it was tested is another one |
//! | ahead without floors | closed | nobody has said that this program understands the schema |
//! | unknown component | closed | the same |
//! | batch | one transaction | all of the path, or nothing |
//!
//! # What it is not
//!
//! It makes no backups, has no migrations downwards, and does not yet look at the tables
//! themselves: only at what the history says was applied.
//!
//! # Features
//!
//! `sqlite` (default): the module [`sqlite`], over `backstop-storage`.
//!
//! # How it fails
//!
//! A wrong set is a [`SetError`] before any connection.
//! A database that does not fit is no error but a [`Status`] with [`Finding`]s and a closed gate,
//! whose [`Refusal`] is one line of text for a terminal.
//! A migration that fails names the statement and leaves the database as it was.

mod set;
mod finding;
mod assess;
mod gate;
mod environment;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use assess::{Assessment, Compatibility, Line, Status, assess};
pub use environment::Environment;
pub use finding::{Finding, Lead};
pub use gate::{Refusal, SchemaGate, gate};
pub use set::{MigrationId, MigrationSet, SetError};

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
