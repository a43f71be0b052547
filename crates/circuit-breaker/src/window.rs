use crate::{Counts, state::Verdict};

/// The last `size` verdicts, one bit each, allocated once.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// A set bit is a failure; bits at and after `len` are meaningless until the ring is full.
    failures: Box<[u64]>,
    size: u32,
    len: u32,
    /// Where the next verdict goes; when full, also where the oldest is.
    head: u32,
}

impl Window {
    pub(crate) fn new(size: u32) -> Self {
        debug_assert!(size > 0);
        let words = size.div_ceil(u64::BITS) as usize;
        Self { failures: vec![0; words].into(), size, len: 0, head: 0 }
    }

    /// What `counts` becomes once `verdict` is in and the oldest is out; changes nothing.
    pub(crate) fn preview(&self, counts: Counts, verdict: Verdict) -> Counts {
        let mut counts = counts;
        if self.len == self.size {
            *Self::side(&mut counts, self.oldest()) -= 1;
        }
        *Self::side(&mut counts, verdict) += 1;
        counts
    }

    pub(crate) fn push(&mut self, verdict: Verdict) {
        let (word, bit) = self.head_position();
        match verdict {
            Verdict::Failure => self.failures[word] |= bit,
            Verdict::Success => self.failures[word] &= !bit,
        }
        self.head = if self.head + 1 == self.size { 0 } else { self.head + 1 };
        self.len = self.size.min(self.len + 1);
    }

    pub(crate) const fn clear(&mut self) {
        self.len = 0;
        self.head = 0;
    }

    const fn side(counts: &mut Counts, verdict: Verdict) -> &mut u32 {
        match verdict {
            Verdict::Success => &mut counts.success,
            Verdict::Failure => &mut counts.failure,
        }
    }

    fn oldest(&self) -> Verdict {
        let (word, bit) = self.head_position();
        if self.failures[word] & bit == 0 { Verdict::Success } else { Verdict::Failure }
    }

    const fn head_position(&self) -> (usize, u64) {
        ((self.head / u64::BITS) as usize, 1 << (self.head % u64::BITS))
    }
}
