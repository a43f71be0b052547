use std::fmt;

use backstop_clock::Timestamp;

use crate::error::Invalid;

/// The highest position a message may have; what follows it must still fit a signed 64-bit column.
pub(crate) const POSITION_MAX: u64 = i64::MAX.unsigned_abs() - 1;

/// A name and a value, which may be null.
pub(crate) type Header = (String, Option<Vec<u8>>);

/// A record as the stream delivered it, byte for byte.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::Message;
///
/// let fill = Message::new("fills", 7, b"\xff\x00".to_vec(), Timestamp::EPOCH)
///     .with_key(b"EURUSD".to_vec())
///     .with_header("trace", Some(b"a1".to_vec()))
///     .with_header("trace", None);
/// assert_eq!(fill.headers.len(), 2); // repeats and nulls are kept, in order
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The stream's name.
    pub stream: String,
    /// The part of the stream within which order holds.
    pub partition: u32,
    /// The place within the partition; rises from message to message, gaps are allowed.
    pub position: u64,
    /// What must stay in order among itself, for example an instrument.
    pub key: Option<Vec<u8>>,
    /// The bytes, which need not decode.
    pub payload: Vec<u8>,
    /// Names and values in the order of the record; names may repeat, values may be null.
    pub headers: Vec<Header>,
    /// When the record was written, by the stream's clock.
    pub at: Timestamp,
}

impl Message {
    /// A record of partition 0 without key or headers.
    pub fn new(stream: impl Into<String>, position: u64, payload: Vec<u8>, at: Timestamp) -> Self {
        let stream = stream.into();
        Self { stream, partition: 0, position, key: None, payload, headers: Vec::new(), at }
    }

    /// The same record in another partition.
    #[must_use]
    pub fn with_partition(self, partition: u32) -> Self {
        Self { partition, ..self }
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

/// Shows the place and the sizes: payloads do not belong in logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("stream", &self.stream)
            .field("partition", &self.partition)
            .field("position", &self.position)
            .field("at", &self.at)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// How far a partition is settled: `next` is the first position that is not.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::{Message, store::Position};
///
/// let message = Message::new("fills", 7, Vec::new(), Timestamp::EPOCH);
/// assert_eq!(Position::after(&message)?.next, 8);
/// # Ok::<(), backstop_dlq::store::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream's name.
    pub stream: String,
    /// The partition of the stream.
    pub partition: u32,
    /// The first position that is neither handled nor stored as a letter.
    pub next: u64,
}

impl Position {
    /// The place behind a message.
    ///
    /// # Errors
    /// [`Invalid`] when the message's position is above 2^63 - 2, which no store can hold.
    pub fn after(message: &Message) -> Result<Self, Invalid> {
        if message.position > POSITION_MAX {
            return Err(Invalid {
                field: "position",
                value: message.position.to_string(),
                rule: "must be at most 2^63 - 2",
            });
        }
        Ok(Self {
            stream: message.stream.clone(),
            partition: message.partition,
            next: message.position + 1,
        })
    }
}
