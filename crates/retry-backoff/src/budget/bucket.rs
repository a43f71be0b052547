//! A bucket of tokens between empty and full.

use crate::sync::{AtomicU64, Ordering};

/// Counts millionths of a token; each change is one compare-and-swap, so no reward is ever lost.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: AtomicU64,
    capacity: u64,
}

impl Bucket {
    pub(super) fn full(capacity: u64) -> Self {
        Self { tokens: AtomicU64::new(capacity), capacity }
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Takes all of it or nothing.
    pub(super) fn take(&self, cost: u64) -> bool {
        self.change(|tokens| tokens.checked_sub(cost))
    }

    /// Takes what is there, down to nothing.
    pub(super) fn drain(&self, cost: u64) {
        self.change(|tokens| Some(tokens.saturating_sub(cost)));
    }

    /// Gives tokens, up to the capacity.
    pub(super) fn fill(&self, reward: u64) {
        if reward > 0 {
            self.change(|tokens| Some(tokens.saturating_add(reward).min(self.capacity)));
        }
    }

    /// Whether `change` was made; it is asked again with the new number if somebody was faster.
    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        // Nothing else is published by the number, so its own order is enough.
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}
