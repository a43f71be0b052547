//! Errors of rusqlite.

use rusqlite::Error;

use crate::drivers::Database;
use crate::{Class, Classify, Kind, codes};

/// By `SQLite`'s extended result code where there is one.
///
/// It says what the statement did; who rolls its transaction back knows better and replaces the
/// effect by [`Effect::NotApplied`](crate::Effect::NotApplied).
impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::SqliteFailure(error, _) | Self::SqlInputError { error, .. } => {
                codes::sqlite(error.extended_code)
            }
            Self::QueryReturnedNoRows => Database::RowNotFound.class(),
            Self::FromSqlConversionFailure(..)
            | Self::InvalidColumnType(..)
            | Self::IntegralValueOutOfRange(..)
            | Self::Utf8Error(..) => Database::Decode.class(),
            Self::ToSqlConversionFailure(..) | Self::NulError(..) | Self::InvalidPath(..) => {
                Class::of(Kind::Invalid)
            }
            // Wrong columns, wrong numbers of parameters: faults of our own code.
            _ => Class::of(Kind::Internal),
        }
    }
}
