use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use thiserror::Error;

/// Why a database could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// SQLite refuses the file, or there is none.
    #[error("cannot open the database {path}: {source}")]
    Refused {
        /// The file.
        path: String,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A write was cut short, and only who may write the file can roll it back.
    #[error(
        "cannot look into the database {path}: its last write was cut short, \
         and its journal waits to be rolled back by a program that may write it"
    )]
    CutShort {
        /// The file; its journal lies beside it.
        path: String,
    },
}

impl Classify for OpenError {
    fn class(&self) -> Class {
        match self {
            Self::Refused { source, .. } => source.class().with_effect(Effect::NotApplied),
            Self::CutShort { .. } => Class::of(Kind::Precondition).with_effect(Effect::NotApplied),
        }
    }
}

/// Why a queued job has no result; `E` is the job's own error.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The job itself failed; its changes are rolled back, the rest of the group stands.
    #[error("{0}")]
    Job(E),
    /// The job panicked; its changes are rolled back, the rest of the group stands.
    #[error("a job panicked: {0}")]
    Panicked(Arc<str>),
    /// No transaction could be begun, so the job did not run; another process may hold the lock.
    #[error("no transaction could be begun: {0}")]
    Begin(#[source] Arc<rusqlite::Error>),
    /// The group's commit failed; whether it reached the disk is not known until recovery.
    #[error("the commit failed: {0}")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// A commit, or a job that nobody waited for, failed earlier; no more work is taken.
    #[error("the database stopped after an earlier failure: {0}")]
    Poisoned(Arc<str>),
    /// A job waited for another one of its own database, which can run only after it.
    #[error("a job of this database waited for another job of it")]
    Nested,
    /// The database is closed.
    #[error("the database is closed")]
    Closed,
}

impl<E: Classify> Classify for WriteError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::Panicked(_) => Class::of(Kind::Internal).with_effect(Effect::NotApplied),
            // The job is queued all the same.
            Self::Nested => Class::of(Kind::Internal).with_effect(Effect::Unknown),
            Self::Begin(error) => error.class().with_effect(Effect::NotApplied),
            Self::Commit(error) => error.class().with_effect(Effect::Unknown),
            Self::Poisoned(_) | Self::Closed => {
                Class::of(Kind::Unavailable).with_effect(Effect::NotApplied)
            }
        }
    }
}

/// The first failure after which the database takes no more work.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    is_set: AtomicBool,
    why: Mutex<Option<Arc<str>>>,
}

impl Poison {
    /// Keeps the first reason.
    pub(crate) fn set(&self, why: Arc<str>) {
        self.lock().get_or_insert(why);
        self.is_set.store(true, Ordering::Release);
    }

    /// Without a lock as long as nothing has failed: every job asks.
    pub(crate) fn why(&self) -> Option<Arc<str>> {
        if self.is_set.load(Ordering::Acquire) { self.lock().clone() } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
