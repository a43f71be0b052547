//! What a Kafka client reports besides the codes of the protocol.

use crate::names::names;
use crate::{Class, Kind, Severity, Transience};

/// A failure on the client's side of a Kafka connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KafkaClient {
    /// The producer's queue has no room; nothing was sent.
    QueueFull,
    /// The message was not confirmed in time and may be in the log.
    MessageTimedOut,
    /// Another producer runs under the same transactional id; this one must stop.
    Fenced,
    /// The configuration is wrong, or no client can be made of it.
    ClientConfig,
    /// The client was dropped before the end.
    Canceled,
}

names!("Kafka client failure", KafkaClient {
    QueueFull => "queue_full",
    MessageTimedOut => "message_timed_out",
    Fenced => "fenced",
    ClientConfig => "client_config",
    Canceled => "canceled",
});

impl KafkaClient {
    /// What is known of it.
    pub const fn class(self) -> Class {
        match self {
            Self::QueueFull => Class::of(Kind::RateLimited),
            Self::MessageTimedOut => Class::of(Kind::Timeout),
            Self::Fenced => Class::of(Kind::Conflict)
                .with_transience(Transience::Permanent)
                .with_severity_floor(Severity::Critical),
            Self::ClientConfig => Class::of(Kind::Config),
            Self::Canceled => Class::of(Kind::Cancelled),
        }
    }
}

/// What a transactional call of a Kafka producer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KafkaTransaction {
    /// The producer is of no more use.
    Fatal,
    /// The transaction has to be aborted and may then be done again as a whole.
    Abort,
    /// The same call may be made again.
    Retriable,
}

names!("Kafka transaction failure", KafkaTransaction {
    Fatal => "fatal",
    Abort => "abort",
    Retriable => "retriable",
});

impl KafkaTransaction {
    /// What is known of it without a code.
    pub const fn class(self) -> Class {
        match self {
            Self::Fatal => Class::of(Kind::Internal).with_severity_floor(Severity::Critical),
            // Nobody who reads committed messages sees those of an aborted transaction.
            Self::Abort => Class::of(Kind::Conflict),
            // A commit called again finishes the same transaction, so its site is idempotent;
            // until then nobody knows whether it was committed.
            Self::Retriable => Class::of(Kind::Unavailable),
        }
    }
}
