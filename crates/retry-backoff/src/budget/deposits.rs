//! Deposits by calls, withdrawals by retries, both forgotten after a time.
#![expect(clippy::float_arithmetic, reason = "a ratio and a rate, counted in whole millionths")]

use std::time::Duration;

use crate::sync::{AtomicI64, AtomicU64, IS_MODEL, Ordering};

/// Slices of a time to live, at most; a hundred at least, where it has as many nanoseconds.
const SLICES_MAX: u128 = 1_000;

/// One retry, in millionths.
const RETRY: i64 = 1_000_000;

/// The balance is one number, changed by compare-and-swap, so that no two retries are granted
/// against the same deposit; the rows only remember what to take back when.
///
/// Law: the balance is the reserve plus the sum of the rows.
#[derive(Debug)]
pub(super) struct Deposits {
    balance: AtomicI64,
    /// The slice up to which everything has been forgotten that is to be.
    slice: AtomicU64,
    /// One more than live, and one that is cleared before anybody writes to it.
    rows: Box<[AtomicI64]>,
    /// Slices that are live.
    slices: u64,
    deposit: i64,
    slice_ns: u128,
}

impl Deposits {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked settings: 1e6 per second for a time that saturates"
    )]
    pub(super) fn new(ttl: Duration, min_per_s: f64, ratio: f64) -> Self {
        // Rounding twice would make ten seconds of a tenth a little less than one.
        let reserve = (min_per_s * ttl.as_secs_f64() * 1e6).round().min(1e18) as i64;
        let (slice_ns, slices) = cut(ttl);
        Self {
            balance: AtomicI64::new(reserve),
            slice: AtomicU64::new(0),
            rows: (0..slices + 2).map(|_| AtomicI64::new(0)).collect(),
            deposit: (ratio * 1e6).round() as i64,
            slices,
            slice_ns,
        }
    }

    pub(super) fn deposit(&self, age: Duration) {
        let row = self.forget(age);
        self.balance.fetch_add(self.deposit, Ordering::Relaxed);
        row.fetch_add(self.deposit, Ordering::Relaxed);
    }

    pub(super) fn withdraw(&self, age: Duration) -> bool {
        let row = self.forget(age);
        let grant = |balance| (balance >= RETRY).then_some(balance - RETRY);
        let is_granted =
            self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant).is_ok();
        if is_granted {
            row.fetch_sub(RETRY, Ordering::Relaxed);
        }
        is_granted
    }

    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub(super) fn balance(&self, age: Duration) -> f64 {
        self.forget(age);
        self.balance.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// Takes back what is too old, and gives the row of this moment.
    fn forget(&self, age: Duration) -> &AtomicI64 {
        let current = u64::try_from(age.as_nanos() / self.slice_ns).unwrap_or(u64::MAX);
        let mut seen = self.slice.load(Ordering::Acquire);
        while seen < current {
            // After a long pause each row is cleared once, not once for every slice that passed.
            let next = (seen + 1).max(current.saturating_sub(self.ring()));
            match self.slice.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.clear(next);
                    seen = next;
                }
                Err(other) => seen = other,
            }
        }
        // A thread whose clock reading is older writes where the others are.
        self.row(seen.max(current))
    }

    /// The slice `current` starts: what was written a time to live ago is forgotten.
    fn clear(&self, current: u64) {
        // Its row is written to again only after two more slices have started.
        if let Some(old) = current.checked_sub(self.slices) {
            let row = self.row(old);
            // Most rows are empty where calls are rare, and looking is all they need.
            if row.load(Ordering::Relaxed) != 0 {
                let forgotten = row.swap(0, Ordering::Relaxed);
                self.balance.fetch_sub(forgotten, Ordering::Relaxed);
            }
        }
    }

    fn row(&self, slice: u64) -> &AtomicI64 {
        let index = usize::try_from(slice % self.ring()).unwrap_or(0);
        &self.rows[index]
    }

    const fn ring(&self) -> u64 {
        self.slices + 2
    }
}

/// The length of a slice, and how many make up the time to live.
///
/// A slice lasts a power of ten of nanoseconds, so that what is paid in at a round time is forgotten
/// exactly a round time to live later.
fn cut(ttl: Duration) -> (u128, u64) {
    let ttl = ttl.as_nanos().max(1);
    // Two are enough to find out about all of them.
    let fits = |slice: &u128| !IS_MODEL && ttl.div_ceil(*slice) <= SLICES_MAX;
    let mut powers = std::iter::successors(Some(1_u128), |slice| slice.checked_mul(10));
    let slice = powers.find(fits).unwrap_or(ttl.div_ceil(2));
    (slice, u64::try_from(ttl.div_ceil(slice)).unwrap_or(1))
}
