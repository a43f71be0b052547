//! The verdicts that are remembered: the last so many, or those of the last while.

use std::mem;

use crate::{Counts, counts::Outcome};

/// The memory of a closed breaker; its counts are kept up with every change.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    Ring(Ring),
    Slices(Slices),
}

impl Window {
    /// The run of failures is not a window's business and always zero here.
    pub(crate) const fn counts(&self) -> Counts {
        match self {
            Self::Ring(ring) => ring.counts,
            Self::Slices(slices) => slices.counts,
        }
    }

    pub(crate) fn push(&mut self, outcome: Outcome) {
        match self {
            Self::Ring(ring) => ring.push(outcome),
            Self::Slices(slices) => slices.push(outcome, 1),
        }
    }

    /// Books good verdicts that were granted.
    pub(crate) fn push_good(&mut self, many: u64) {
        match self {
            Self::Ring(ring) => ring.push_good(many),
            Self::Slices(slices) => slices.push(Outcome::GOOD, many),
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Ring(ring) => ring.clear(),
            Self::Slices(slices) => slices.clear(),
        }
    }

    /// Forgets what is too old at `tick`; a time before the newest slice changes nothing.
    pub(crate) fn roll(&mut self, tick: i64) {
        if let Self::Slices(slices) = self {
            slices.roll(tick);
        }
    }

    /// Takes over the verdicts of another window, the newest of them if not all fit.
    ///
    /// A time window does not know the order within a slice: failures are taken as the older.
    pub(crate) fn take_over(&mut self, old: &Self) {
        match (self, old) {
            (Self::Ring(ring), Self::Ring(old)) => old.outcomes().for_each(|one| ring.push(one)),
            (Self::Ring(ring), Self::Slices(old)) => {
                for slice in old.oldest_first() {
                    ring.push_counts(slice);
                }
            }
            (Self::Slices(slices), Self::Ring(old)) => slices.add(old.counts),
            (Self::Slices(slices), Self::Slices(old)) => slices.take_over(old),
        }
    }
}

/// The last `size` verdicts, two bits each, allocated once.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    /// Bits of 64 verdicts: failed, slow.
    bits: Box<[[u64; 2]]>,
    size: u32,
    len: u32,
    /// Where the next verdict goes; when full, also where the oldest is.
    head: u32,
    counts: Counts,
}

impl Ring {
    pub(crate) fn new(size: u32) -> Self {
        debug_assert!(size > 0);
        let words = size.div_ceil(u64::BITS) as usize;
        let bits = vec![[0; 2]; words].into();
        Self { bits, size, len: 0, head: 0, counts: Counts::default() }
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len == self.size
    }

    /// The counts after one more verdict; changes nothing.
    pub(crate) fn preview(&self, outcome: Outcome) -> Counts {
        let mut counts = self.counts;
        if self.is_full() {
            counts.remove(self.at(self.head));
        }
        counts.add(outcome, 1);
        counts
    }

    fn push(&mut self, outcome: Outcome) {
        self.counts = self.preview(outcome);
        let (word, bit) = Self::position(self.head);
        let [failed, slow] = &mut self.bits[word];
        *failed = if outcome.failed { *failed | bit } else { *failed & !bit };
        *slow = if outcome.slow { *slow | bit } else { *slow & !bit };
        self.head = if self.head + 1 == self.size { 0 } else { self.head + 1 };
        self.len = self.size.min(self.len + 1);
    }

    /// Like so many pushes; of a full ring only good verdicts fall out, so nothing but the head moves.
    fn push_good(&mut self, many: u64) {
        if self.is_full() {
            let moved = (u64::from(self.head) + many) % u64::from(self.size);
            self.head = u32::try_from(moved).unwrap_or(0);
        } else {
            (0..many).for_each(|_| self.push(Outcome::GOOD));
        }
    }

    /// Good verdicts that may come in before another sort falls out, or before the ring is full.
    pub(crate) fn room_for_good(&self) -> u32 {
        /// Enough that looking again costs nothing per verdict.
        const FAR: u32 = 4_096;
        if !self.is_full() {
            return self.size - self.len;
        }
        let (mut room, mut place) = (0, self.head);
        while room < self.size.min(FAR) {
            let (word, bit) = (place / u64::BITS, place % u64::BITS);
            let [failed, slow] = self.bits[word as usize];
            let in_word = (u64::BITS - bit).min(self.size - place);
            let good = ((failed | slow) >> bit).trailing_zeros().min(in_word);
            room += good;
            if good < in_word {
                break;
            }
            place = if place + in_word == self.size { 0 } else { place + in_word };
        }
        room.min(self.size)
    }

    fn push_counts(&mut self, counts: &Counts) {
        let slow_failed = counts.slow.min(counts.failure);
        let slow_only = counts.slow - slow_failed;
        for (outcome, many) in [
            (Outcome { failed: true, slow: true }, slow_failed),
            (Outcome::FAILED, counts.failure - slow_failed),
            (Outcome { failed: false, slow: true }, slow_only),
            (Outcome::GOOD, counts.success - slow_only),
        ] {
            // More than fit would push each other out.
            for _ in 0..many.min(self.size.into()) {
                self.push(outcome);
            }
        }
    }

    fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let oldest = if self.is_full() { self.head } else { 0 };
        (0..self.len).map(move |n| self.at((oldest + n) % self.size))
    }

    const fn clear(&mut self) {
        self.len = 0;
        self.head = 0;
        self.counts = EMPTY;
    }

    fn at(&self, place: u32) -> Outcome {
        let (word, bit) = Self::position(place);
        let [failed, slow] = self.bits[word];
        Outcome { failed: failed & bit != 0, slow: slow & bit != 0 }
    }

    const fn position(place: u32) -> (usize, u64) {
        ((place / u64::BITS) as usize, 1 << (place % u64::BITS))
    }
}

const EMPTY: Counts = Counts { success: 0, failure: 0, slow: 0, consecutive_failures: 0 };

/// The verdicts of the current slice of time and the ones before it, added up by slice.
///
/// A verdict costs the same whatever the traffic: it changes one slice and the sum.
#[derive(Clone, Debug)]
pub(crate) struct Slices {
    /// Slice `n` of the time line lies at `n` modulo the length.
    ring: Box<[Counts]>,
    slice_ns: i64,
    /// The newest slice; `None` until the time is known.
    current: Option<i64>,
    counts: Counts,
}

impl Slices {
    pub(crate) fn new(slices: u32, slice_ns: i64) -> Self {
        debug_assert!(slices > 0 && slice_ns > 0);
        let ring = vec![EMPTY; slices as usize].into();
        Self { ring, slice_ns, current: None, counts: EMPTY }
    }

    /// When the newest slice ends.
    pub(crate) fn slice_end(&self) -> Option<i64> {
        self.current.map(|slice| slice.saturating_add(1).saturating_mul(self.slice_ns))
    }

    fn push(&mut self, outcome: Outcome, many: u64) {
        let place = self.place(self.current.unwrap_or(0));
        self.ring[place].add(outcome, many);
        self.counts.add(outcome, many);
    }

    fn add(&mut self, counts: Counts) {
        let place = self.place(self.current.unwrap_or(0));
        for sum in [&mut self.ring[place], &mut self.counts] {
            sum.success += counts.success;
            sum.failure += counts.failure;
            sum.slow += counts.slow;
        }
    }

    fn roll(&mut self, tick: i64) {
        let slice = tick.div_euclid(self.slice_ns);
        let Some(current) = self.current else {
            // What came before the time was known belongs to its first slice.
            let early = mem::take(&mut self.ring[0]);
            self.current = Some(slice);
            let place = self.place(slice);
            self.ring[place] = early;
            return;
        };
        if slice <= current {
            return;
        }
        let len = i64::try_from(self.ring.len()).unwrap_or(i64::MAX);
        for passed in 0..slice.saturating_sub(current).min(len) {
            let place = self.place(slice.saturating_sub(passed));
            let gone = mem::take(&mut self.ring[place]);
            self.counts.success -= gone.success;
            self.counts.failure -= gone.failure;
            self.counts.slow -= gone.slow;
        }
        self.current = Some(slice);
    }

    fn take_over(&mut self, old: &Self) {
        let Some(newest) = old.current else { return self.add(old.counts) };
        let len = i64::try_from(old.ring.len()).unwrap_or(i64::MAX);
        for age in (0..len).rev() {
            let slice = newest.saturating_sub(age);
            self.roll(slice.saturating_mul(old.slice_ns));
            self.add(old.ring[old.place(slice)]);
        }
    }

    fn oldest_first(&self) -> impl Iterator<Item = &Counts> {
        let newest = self.current.unwrap_or(0);
        let len = i64::try_from(self.ring.len()).unwrap_or(i64::MAX);
        (0..len).rev().map(move |age| &self.ring[self.place(newest.saturating_sub(age))])
    }

    fn clear(&mut self) {
        self.ring.fill(EMPTY);
        self.counts = EMPTY;
    }

    fn place(&self, slice: i64) -> usize {
        let len = i64::try_from(self.ring.len()).unwrap_or(i64::MAX);
        usize::try_from(slice.rem_euclid(len)).unwrap_or(0)
    }
}
