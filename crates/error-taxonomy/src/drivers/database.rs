//! What a database client reports besides the codes of its database.

use crate::names::names;
use crate::{Class, Effect, Kind, Transience};

/// A failure on the client's side of a database connection.
///
/// | failure | kind | transience | effect |
/// |---|---|---|---|
/// | pool timed out | unavailable | transient | not applied |
/// | pool closed | cancelled | permanent | not applied |
/// | row not found | not found | permanent | not applied |
/// | TLS | connection | permanent | not applied |
/// | protocol, decode | data | permanent | unknown |
/// | configuration | config | permanent | not applied |
/// | column not found | internal | permanent | unknown |
/// | worker crashed | internal | permanent | unknown |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Database {
    /// No connection of the pool became free in time; nothing was sent.
    PoolTimedOut,
    /// The pool was closed while somebody waited for it.
    PoolClosed,
    /// A query that must return a row returned none.
    RowNotFound,
    /// No encrypted connection could be made; certificates do not mend themselves.
    Tls,
    /// The server said something that the protocol does not allow.
    Protocol,
    /// A value of the answer is not of the type that was asked for.
    Decode,
    /// The connection string or the options are wrong.
    Configuration,
    /// Our own code names a column or a type that is not there.
    ColumnNotFound,
    /// The thread that talks to the database is gone.
    WorkerCrashed,
}

names!("database client failure", Database {
    PoolTimedOut => "pool_timed_out",
    PoolClosed => "pool_closed",
    RowNotFound => "row_not_found",
    Tls => "tls",
    Protocol => "protocol",
    Decode => "decode",
    Configuration => "configuration",
    ColumnNotFound => "column_not_found",
    WorkerCrashed => "worker_crashed",
});

impl Database {
    /// What is known of it.
    pub const fn class(self) -> Class {
        match self {
            Self::PoolTimedOut => Class::of(Kind::Unavailable).with_effect(Effect::NotApplied),
            Self::PoolClosed => Class::of(Kind::Cancelled).with_effect(Effect::NotApplied),
            Self::RowNotFound => Class::of(Kind::NotFound),
            Self::Tls => Class::of(Kind::Connection)
                .with_transience(Transience::Permanent)
                .with_effect(Effect::NotApplied),
            // The statement was carried out before its answer could not be read.
            Self::Protocol | Self::Decode => Class::of(Kind::Data).with_effect(Effect::Unknown),
            Self::Configuration => Class::of(Kind::Config),
            Self::ColumnNotFound | Self::WorkerCrashed => Class::of(Kind::Internal),
        }
    }
}
