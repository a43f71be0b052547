//! Refuses retries by the share of calls that fail, over a window of time.
#![expect(clippy::float_arithmetic, reason = "shares and probabilities")]

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// A row counts up to this in its lower bits; above them stands the slice it counts.
const COUNT_BITS: u32 = 24;

/// Most that a row counts; 16 million calls in one slice, then it stays.
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// When and how often it refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) success_threshold: f64,
    pub(super) max_rejection: f64,
    pub(super) min_calls: u32,
}

#[derive(Debug)]
pub(super) struct Throttle {
    sent: Counter,
    ok: Counter,
    limits: Limits,
    slice_ns: u128,
}

impl Throttle {
    pub(super) fn new(limits: Limits, window: Duration, slices: u32) -> Self {
        let slice_ns = (window.as_nanos() / u128::from(slices.max(1))).max(1);
        Self { sent: Counter::new(slices), ok: Counter::new(slices), limits, slice_ns }
    }

    pub(super) fn sent(&self, age: Duration) {
        self.sent.add(self.slice(age));
    }

    pub(super) fn succeeded(&self, age: Duration) {
        self.ok.add(self.slice(age));
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^53")]
    pub(super) fn reject_probability(&self, age: Duration) -> f64 {
        let slice = self.slice(age);
        let sent = self.sent.sum(slice);
        if sent < self.limits.min_calls.into() {
            return 0.0;
        }
        let (sent, ok) = (sent as f64, self.ok.sum(slice) as f64);
        let missing = (sent - ok / self.limits.success_threshold) / (sent + 1.0);
        missing.max(0.0).min(self.limits.max_rejection)
    }

    /// The number of the slice, from 1: a row that never counted is older than all of them.
    fn slice(&self, age: Duration) -> u64 {
        let slice = u64::try_from(age.as_nanos() / self.slice_ns).unwrap_or(u64::MAX);
        // As many slices as the rows can name; at a millisecond each, that is 34 years.
        slice.saturating_add(1).min(u64::MAX >> COUNT_BITS)
    }
}

/// Events of the last slices; each row is one word, so it never mixes two slices.
#[derive(Debug)]
struct Counter {
    rows: Box<[AtomicU64]>,
}

impl Counter {
    fn new(slices: u32) -> Self {
        Self { rows: (0..slices).map(|_| AtomicU64::new(0)).collect() }
    }

    fn add(&self, slice: u64) {
        let count = |row: u64| {
            let (of, count) = (row >> COUNT_BITS, row & COUNT_MAX);
            match of.cmp(&slice) {
                std::cmp::Ordering::Less => Some((slice << COUNT_BITS) | 1),
                // Also what comes late from a thread whose clock reading is older.
                _ => (count < COUNT_MAX).then_some(row + 1),
            }
        };
        // Nothing is changed only if the row is full; it stays so.
        let _full = self.row(slice).fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }

    /// The events of this slice and as many before it as the window has.
    fn sum(&self, slice: u64) -> u64 {
        let oldest = (slice + 1).saturating_sub(self.rows.len().try_into().unwrap_or(u64::MAX));
        let rows = self.rows.iter().map(|row| row.load(Ordering::Relaxed));
        rows.filter(|row| row >> COUNT_BITS >= oldest).map(|row| row & COUNT_MAX).sum()
    }

    fn row(&self, slice: u64) -> &AtomicU64 {
        let rows = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        &self.rows[usize::try_from(slice % rows).unwrap_or(0)]
    }
}
