//! The atomics of the budgets: std's, or the model checker's.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A model has no time for many parts of anything.
pub(crate) const IS_MODEL: bool = cfg!(loom);
