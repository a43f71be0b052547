//! Consume, retry, dead-letter, park and replay, without losing a message.
//!
//! # What it is not
//! No scheduler and no broker.

mod message;
mod source;
mod handler;
mod letter;
pub mod history;
mod dead_letter_store;
pub mod store;
mod memory;
pub mod config;
mod attempt;
mod consumer;
mod replay;
pub mod stream;
mod error;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use consumer::{Consumer, Step};
pub use dead_letter_store::DeadLetterStore;
pub use error::{ConsumerError, StoreError};
pub use handler::Handler;
pub use letter::{Letter, LetterId, Reason, State};
pub use memory::MemoryStore;
pub use message::Message;
pub use replay::{Replay, Replayed};
pub use source::Source;
#[cfg(feature = "sqlite")]
pub use sqlite::{MIGRATIONS, SqliteStore};
