//! The breakers of a registry, and which of them makes room for another.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::{Breaker, Policy};

pub(super) struct Slots<K> {
    /// Of keys that have none of their own.
    pub(super) policy: Arc<Policy>,
    /// In the order of their making, but for those that took another's place.
    pub(super) list: Vec<Slot<K>>,
    pub(super) places: HashMap<K, usize>,
    /// Where the search for a breaker to evict goes on.
    pub(super) hand: usize,
    pub(super) made: u64,
    pub(super) evicted: u64,
}

pub(super) struct Slot<K> {
    pub(super) key: K,
    pub(super) breaker: Breaker,
    /// Asked for since the hand last passed.
    pub(super) touched: AtomicBool,
}

impl<K: Eq + Hash> Slots<K> {
    /// The place of a breaker that nobody would miss, if there is one.
    ///
    /// The hand passes those that were asked for lately, and then comes back to the first of them.
    pub(super) fn evict(&mut self, now: Instant) -> Option<usize> {
        let (mut left, mut has_passed) = (self.list.len(), false);
        while left > 0 {
            left -= 1;
            let place = self.hand;
            self.hand = (place + 1) % self.list.len();
            let slot = &self.list[place];
            let is_disposable = slot.breaker.is_disposable(now);
            if is_disposable && !slot.touched.swap(false, Ordering::Relaxed) {
                self.evicted += 1;
                return Some(place);
            }
            if is_disposable && !has_passed {
                (left, has_passed) = (self.list.len(), true);
            }
        }
        None
    }

    /// Puts a breaker there; what it replaces is for the caller to drop, without the lock.
    #[must_use]
    pub(super) fn put(&mut self, place: usize, key: K, breaker: Breaker) -> Option<Slot<K>>
    where
        K: Clone,
    {
        let slot = Slot { key: key.clone(), breaker, touched: AtomicBool::new(true) };
        let old = if place == self.list.len() {
            self.list.push(slot);
            None
        } else {
            let old = std::mem::replace(&mut self.list[place], slot);
            self.places.remove(&old.key);
            Some(old)
        };
        self.places.insert(key, place);
        self.made += 1;
        old
    }
}
