//! Consume, retry, dead-letter, park and replay, without losing a message.
//!
//! ```
//! use backstop_clock::{ManualClock, Timestamp};
//! use backstop_dlq::{Consumer, DeadLetterStore, Handler, MemoryStore, Message, Reason, Source};
//! # use backstop_error_taxonomy::{Class, Classify, Kind};
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("not text")]
//! # struct NotText;
//! # impl Classify for NotText { fn class(&self) -> Class { Class::of(Kind::Data) } }
//!
//! struct Feed(Vec<Message>);
//!
//! impl Source for Feed {
//!     type Error = NotText;
//!     async fn next(&mut self) -> Result<Option<Message>, NotText> { Ok(self.0.pop()) }
//! }
//!
//! struct Print;
//!
//! impl Handler for Print {
//!     type Message = String;
//!     type Error = NotText;
//!     fn decode(&self, raw: &Message) -> Result<String, NotText> {
//!         String::from_utf8(raw.payload.clone()).map_err(|_| NotText)
//!     }
//!     async fn handle(&mut self, _text: String, _raw: &Message) -> Result<(), NotText> { Ok(()) }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let feed = Feed(vec![Message::new("news", 0, b"\xff".to_vec(), Timestamp::EPOCH)]);
//! let clock = ManualClock::new(Timestamp::EPOCH);
//! let mut consumer = Consumer::new(feed, Print, MemoryStore::new(), clock);
//! let backstop_dlq::Step::Lettered(id) = pollster::block_on(consumer.step())? else { panic!() };
//! let letter = pollster::block_on(consumer.store().letter(id))?;
//! assert_eq!(letter.map(|letter| letter.reason()), Some(Reason::Undecodable));
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//! 1. A position is committed only after the message was handled or its letter is durable.
//! 2. The same failed delivery is the same letter, however often it comes.
//! 3. Key, payload and headers are kept byte for byte; an edit lies beside them.
//! 4. While a letter of a key is open, later messages of the key wait behind it, in order.
//! 5. Nothing is put without a bound: letters in a row, messages per key, attempts and edits kept.
//!
//! # Defaults
//! | what | default | change it with |
//! |---|---|---|
//! | attempts | 3 in total, 100 ms doubled up to 2 s, within 10 s | [`config::Retry`] |
//! | later messages of a failed key | parked | [`config::Followers`] |
//! | letters in a row | 20 | [`config::Config`] |
//! | failed replays before quarantine | 3 | [`Replay::with_replays_max`] |
//! | messages parked per key | 1,024 | fixed, [`store::PARKED_PER_KEY_MAX`] |
//!
//! # What it is not
//! No broker, no scheduler and no thread of its own: the caller steps the [`Consumer`].
//! Not exactly-once: a crash between a handler's success and the commit delivers again, so a
//! [`Handler`] must be idempotent.
//!
//! # Features
//! `sqlite` (default): [`SqliteStore`] and the stream [`stream::SqliteLog`], in one file.
//!
//! # How it fails
//! Every failure is typed and classified, and the message in hand stays in hand: see
//! [`ConsumerError`] for a step, [`StoreError`] for a store.
//! A transient failure that is retried is a `debug` event, a letter is a `warn` event.

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

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
