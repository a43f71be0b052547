//! Streams that we write ourselves.

use std::{error::Error, fmt};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::Classify;

use crate::message::Header;
#[cfg(feature = "sqlite")]
pub use crate::sqlite::{LogSource, SqliteLog};

/// Where records go.
pub trait Publisher {
    /// Why a record was not taken.
    type Error: Classify + Error + Send + Sync + 'static;

    /// Publishes a record; returns its position once it is durable.
    ///
    /// # Errors
    /// The publisher's own; its class says whether the record may have been taken.
    fn publish(&self, record: Record) -> impl Future<Output = Result<u64, Self::Error>>;
}

/// What is published: a message that has no place in a stream yet.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What must stay in order among itself.
    pub key: Option<Vec<u8>>,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Names and values in order; names may repeat, values may be null.
    pub headers: Vec<Header>,
    /// When it was written.
    pub at: Timestamp,
}

impl Record {
    /// A record without key or headers.
    pub fn new(payload: Vec<u8>, at: Timestamp) -> Self {
        Self { key: None, payload, headers: Vec::new(), at }
    }

    /// The same record with a key.
    #[must_use]
    pub fn with_key(self, key: Vec<u8>) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The same record with one more header behind those it has.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: Option<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value));
        self
    }
}

/// Shows the sizes: payloads do not belong in logs.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("at", &self.at)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
