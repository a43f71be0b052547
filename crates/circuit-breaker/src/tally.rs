//! Totals that calls count without the lock.

use crate::sync::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    Rejected,
    WouldReject,
    Prioritized,
    Stale,
}

/// One number for each.
#[derive(Debug)]
pub(crate) struct Tally([AtomicU64; 4]);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline]
    fn of(&self, what: Counted) -> &AtomicU64 {
        &self.0[what as usize]
    }

    pub(crate) fn get(&self, what: Counted) -> u64 {
        self.of(what).load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn add(&self, what: Counted, many: u64) {
        self.of(what).fetch_add(many, Ordering::Relaxed);
    }

    /// Counts one, unless another thread does so at the same moment.
    #[inline]
    pub(crate) fn try_add(&self, what: Counted) -> bool {
        let total = self.of(what);
        let seen = total.load(Ordering::Relaxed);
        total.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
