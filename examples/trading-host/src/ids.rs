//! Ids that a run repeats and a resumed run never reuses.

use backstop_clock::Timestamp;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Mints ids from simulated time and a hash of (seed, purpose, journal sequence).
///
/// The sequence is that of the journal entry to come: it is on disk before the id leaves the
/// process, so a process that dies and goes on does not come to the same sequence again.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    seed: u64,
}

impl Ids {
    /// Ids of one seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A uuid v7 for one purpose at one journal sequence.
    pub fn mint(self, at: Timestamp, purpose: &str, sequence: u64) -> Uuid {
        let hash = Sha256::new()
            .chain_update(b"trading-host id\0")
            .chain_update(self.seed.to_be_bytes())
            .chain_update(sequence.to_be_bytes())
            .chain_update(purpose)
            .finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&hash[..10]);
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
