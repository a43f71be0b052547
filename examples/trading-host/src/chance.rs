//! Chance that repeats: every draw is a hash of what it is about.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

/// Keeps these hashes apart from those that other programs make of the same words.
const DOMAIN: &[u8] = b"trading-host/chance/1";

/// One in this many is what a rate counts.
const MILLION: u64 = 1_000_000;

/// Draws from a seed, in any order and as often as one likes.
///
/// A draw depends on the seed, its kind, its key and its attempt alone, never on the draws before
/// it, so what befalls one order stays the same when another one is added or left out.
///
/// ```
/// use trading_host::chance::Chance;
///
/// let chance = Chance::new(1);
/// let order = b"order 7";
/// assert_eq!(chance.draw("submit", order, 1), chance.draw("submit", order, 1));
/// assert_ne!(chance.draw("submit", order, 1), chance.draw("submit", order, 2));
/// assert!(chance.hits(1_000_000, "submit", order, 1));
/// assert!((5..=20).contains(&chance.within(5..=20, "latency_ms", order, 1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    seed: u64,
}

impl Chance {
    /// The chance of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Any number: the first 8 bytes of SHA-256 over the seed, the kind, the key and the attempt.
    pub fn draw(&self, kind: &str, key: impl AsRef<[u8]>, attempt: u64) -> u64 {
        let mut hash = Sha256::new();
        for part in [DOMAIN, &self.seed.to_be_bytes(), kind.as_bytes(), key.as_ref()] {
            // With its length before it, a part cannot run into the next.
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(part);
        }
        hash.update(attempt.to_be_bytes());
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// Whether something that happens `rate` times in a million happens here.
    pub fn hits(&self, rate: u32, kind: &str, key: impl AsRef<[u8]>, attempt: u64) -> bool {
        rate > 0 && self.draw(kind, key, attempt) % MILLION < u64::from(rate)
    }

    /// A number of the range, each as likely as the next; the start of an empty range.
    pub fn within(
        &self,
        range: RangeInclusive<u64>,
        kind: &str,
        key: impl AsRef<[u8]>,
        attempt: u64,
    ) -> u64 {
        let (start, end) = range.into_inner();
        let draw = self.draw(kind, key, attempt);
        // The ranges here are short against 2^64, so the bias of the remainder is far below 1e-6.
        match end.saturating_sub(start).checked_add(1) {
            Some(count) => start.saturating_add(draw % count),
            None => draw,
        }
    }
}
