//! Errors of sqlx.

use sqlx::Error;
use sqlx::error::DatabaseError;

use crate::drivers::Database;
use crate::{Class, Classify, Effect, Kind, codes};

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Database(error) => of_code(&**error),
            Self::Io(error) => error.class(),
            Self::PoolTimedOut => Database::PoolTimedOut.class(),
            Self::PoolClosed => Database::PoolClosed.class(),
            Self::RowNotFound => Database::RowNotFound.class(),
            Self::Tls(_) => Database::Tls.class(),
            Self::Protocol(_) => Database::Protocol.class(),
            Self::Decode(_) | Self::ColumnDecode { .. } => Database::Decode.class(),
            Self::Configuration(_) | Self::ConfigFile(_) => Database::Configuration.class(),
            Self::ColumnNotFound(_)
            | Self::ColumnIndexOutOfBounds { .. }
            | Self::TypeNotFound { .. } => Database::ColumnNotFound.class(),
            Self::WorkerCrashed => Database::WorkerCrashed.class(),
            Self::AnyDriverError(error) => error.class(),
            Self::InvalidArgument(_) | Self::Encode(_) => Class::of(Kind::Invalid),
            // Refused before a statement was sent.
            Self::InvalidSavePointStatement => {
                Class::of(Kind::Internal).with_effect(Effect::NotApplied)
            }
            Self::BeginFailed => Database::Protocol.class().with_effect(Effect::NotApplied),
            _ => Class::of(Kind::Other),
        }
    }
}

/// By the code of the database: an SQLSTATE, or a result code where the database is `SQLite`.
fn of_code(error: &dyn DatabaseError) -> Class {
    let Some(code) = error.code() else {
        return Class::of(Kind::Other);
    };
    match code.parse() {
        // An SQLSTATE has five characters, and no result code has so many.
        Ok(result) if code.len() < 5 => codes::sqlite(result),
        _ => codes::sqlstate(code.as_bytes()),
    }
}
