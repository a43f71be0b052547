//! Finds a row among millions by the hash of its key, and touches one line of memory for it.
//!
//! Open addressing with linear probing, split into parts that grow on their own, so that no fill waits for all slots
//! to be moved.
//! The store of a new slot hits the line that the look-up before it has brought; a table that keeps its tags apart
//! from its slots misses twice, and everything after waits for the second.

/// Parts, as a power of two.
const SHARDS: u32 = 6;

/// Slots of a part that is used for the first time.
const SLOTS_MIN: usize = 16;

/// Hash and number of a row in one word; zero is empty, so the number is kept plus one.
type Slot = u64;

/// The rows of a table, found by 32 bits of hash and a comparison of the whole key.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    shards: Vec<Shard>,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    used: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: vec![Shard::default(); 1 << SHARDS] }
    }
}

impl Index {
    /// The row of this hash for which `is_same` holds.
    pub(crate) fn find(&self, hash: u32, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        let shard = self.shards.get(number_of(hash))?;
        let mut at = shard.start(hash)?;
        loop {
            let slot = *shard.slots.get(at)?;
            if slot == 0 {
                return None;
            }
            let row = row(slot);
            if hash_of(slot) == hash && is_same(row) {
                return Some(row);
            }
            at = shard.next(at);
        }
    }

    /// Adds a row below `u32::MAX` that is not there.
    pub(crate) fn insert(&mut self, hash: u32, row: u32) {
        if let Some(shard) = self.shards.get_mut(number_of(hash)) {
            // At most 7 of 10 slots are used, which keeps the probes within a line or two.
            if shard.used.saturating_mul(10) >= shard.slots.len().saturating_mul(7) {
                shard.grow();
            }
            shard.put(slot(hash, row));
            shard.used = shard.used.saturating_add(1);
        }
    }

    /// Removes a row, if it is there.
    pub(crate) fn remove(&mut self, hash: u32, row: u32) {
        if let Some(shard) = self.shards.get_mut(number_of(hash)) {
            shard.remove(slot(hash, row));
        }
    }
}

impl Shard {
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    /// Where a hash is looked for first; none without slots.
    fn start(&self, hash: u32) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        usize::try_from(hash).ok().map(|hash| hash & self.mask())
    }

    fn next(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask()
    }

    fn grow(&mut self) {
        let length = self.slots.len().saturating_mul(2).max(SLOTS_MIN);
        let slots = std::mem::replace(&mut self.slots, vec![0; length]);
        slots.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.put(slot));
    }

    fn put(&mut self, slot: Slot) {
        let Some(mut at) = self.start(hash_of(slot)) else { return };
        while let Some(held) = self.slots.get_mut(at) {
            if *held == 0 {
                *held = slot;
                return;
            }
            at = self.next(at);
        }
    }

    fn remove(&mut self, slot: Slot) {
        let Some(mut at) = self.start(hash_of(slot)) else { return };
        loop {
            match self.slots.get(at) {
                Some(0) | None => return,
                Some(held) if *held == slot => break,
                Some(_) => at = self.next(at),
            }
        }
        self.used = self.used.saturating_sub(1);
        self.close(at);
    }

    /// Empties a slot, and moves those after it that would not be found behind a gap.
    fn close(&mut self, mut gap: usize) {
        let mut at = self.next(gap);
        while let Some(held) = self.slots.get(at).copied().filter(|held| *held != 0) {
            let wanted = self.start(hash_of(held)).unwrap_or(at);
            // Whether the place it wants is at or before the gap, on the ring.
            if at.wrapping_sub(wanted) & self.mask() >= at.wrapping_sub(gap) & self.mask() {
                self.set(gap, held);
                gap = at;
            }
            at = self.next(at);
        }
        self.set(gap, 0);
    }

    fn set(&mut self, at: usize, slot: Slot) {
        if let Some(held) = self.slots.get_mut(at) {
            *held = slot;
        }
    }
}

/// The part that a hash belongs to: its highest bits, since the lowest choose the slot.
fn number_of(hash: u32) -> usize {
    usize::try_from(hash.wrapping_shr(u32::BITS.wrapping_sub(SHARDS))).unwrap_or(0)
}

fn slot(hash: u32, row: u32) -> Slot {
    u64::from(hash).wrapping_shl(32) | u64::from(row.wrapping_add(1))
}

fn hash_of(slot: Slot) -> u32 {
    u32::try_from(slot.wrapping_shr(32)).unwrap_or(0)
}

fn row(slot: Slot) -> u32 {
    u32::try_from(slot & u64::from(u32::MAX)).unwrap_or(0).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Index;

    proptest! {
        /// Few hashes, so that rows of one hash and long probes are common.
        #[test]
        fn it_holds_what_was_put_in_and_not_taken_out(steps in prop::collection::vec((0_u32..40, any::<bool>()), 0..400)) {
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            for (number, (hash, keep)) in steps.into_iter().enumerate() {
                let hash = hash.wrapping_mul(0x0100_0001);
                let row = u32::try_from(number).unwrap();
                index.insert(hash, row);
                model.insert(row, hash);
                if !keep {
                    let (&row, &hash) = model.iter().next().unwrap();
                    index.remove(hash, row);
                    model.remove(&row);
                }
                for (&row, &hash) in &model {
                    prop_assert_eq!(index.find(hash, |found| found == row), Some(row));
                }
                prop_assert_eq!(index.find(hash, |_| false), None);
                prop_assert!(index.find(hash, |found| !model.contains_key(&found)).is_none());
            }
        }
    }
}
