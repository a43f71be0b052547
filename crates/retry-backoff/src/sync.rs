//! The atomics of the budgets: std's, or the model checker's.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Parts of a time to live that are forgotten together; a model has no time for more.
pub(crate) const SLICES: u64 = if cfg!(loom) { 2 } else { 100 };
