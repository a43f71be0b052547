//! Letters, positions and internal streams in one SQLite file.

mod schema;
mod fault;
mod rows;
mod letters;
mod store;
mod log;

pub use log::{LogSource, SqliteLog};
pub use schema::MIGRATIONS;
pub use store::SqliteStore;
