use backstop_error_taxonomy::{Class, Classify};
use backstop_storage::WriteError;

use crate::error::{Invalid, StoreError};

/// Why a job on the database failed, before it is known whose error that is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Driver(#[from] rusqlite::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Store(invalid.into())
    }
}

impl Classify for Fault {
    fn class(&self) -> Class {
        match self {
            Self::Driver(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl From<WriteError<Fault>> for StoreError {
    fn from(error: WriteError<Fault>) -> Self {
        match error {
            WriteError::Job(Fault::Store(error)) => error,
            other => Self::outage(other),
        }
    }
}
