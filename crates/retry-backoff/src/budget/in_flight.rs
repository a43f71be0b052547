//! Calls and retries in flight.
#![expect(clippy::float_arithmetic, reason = "a ratio of counts")]

use crate::sync::{AtomicU64, Ordering};

/// One call, in the upper half of the word.
const CALL: u64 = 1 << 32;

/// Calls in the upper half and retries in the lower half of one word, so that a retry is granted
/// against the calls of the same moment.
#[derive(Debug)]
pub(super) struct InFlight {
    word: AtomicU64,
    ratio: f64,
    floor: u32,
}

impl InFlight {
    pub(super) fn new(ratio: f64, floor: u32) -> Self {
        Self { word: AtomicU64::new(0), ratio, floor }
    }

    pub(super) fn begin(&self) {
        self.word.fetch_add(CALL, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.word.fetch_sub(CALL, Ordering::Relaxed);
    }

    pub(super) fn begin_retry(&self) -> bool {
        let grant = |word| self.admits(word).then_some(word + 1);
        self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant).is_ok()
    }

    pub(super) fn end_retry(&self) {
        self.word.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_place(&self) -> bool {
        self.admits(self.word.load(Ordering::Relaxed))
    }

    pub(super) fn retries(&self) -> u32 {
        halves(self.word.load(Ordering::Relaxed)).1
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32, rounded down, is a u32"
    )]
    fn admits(&self, word: u64) -> bool {
        // A ratio in decimals is seldom a float: 0.29 of a hundred must be 29 and not 28.
        const ROUNDING: f64 = 1e-6;
        let (calls, retries) = halves(word);
        let share = (self.ratio * f64::from(calls) + ROUNDING).floor() as u32;
        retries < self.floor.max(share)
    }
}

fn halves(word: u64) -> (u32, u32) {
    let half = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
    (half(word >> 32), half(word & u64::from(u32::MAX)))
}
