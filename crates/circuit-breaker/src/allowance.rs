//! What threads count apart from each other.

use crate::{
    sync::{AtomicI64, AtomicU64, CELLS, Ordering, cell_of_thread},
    tally::{Counted, Tally},
};

/// Room in one cell: good verdicts that one grant can give to a thread.
const CELL_MAX: u64 = u32::MAX as u64;
const LEFT_BITS: u32 = 32;

/// A number of good verdicts that need no thinking, handed out in advance.
///
/// Most verdicts are good, and most good ones change nothing but a count.
/// So whoever holds the lock works out how many in a row may come before anybody has to look, and
/// grants them; a thread takes one of them by a compare-and-swap in a cell of its own; and
/// whoever holds the lock next collects what was taken before it does anything else.
///
/// Each cell holds the number of its grant beside what is left of it, so that nobody can take
/// from a grant that was revoked after it was looked at.
///
/// A cell also takes what its thread adds to the totals.
#[derive(Debug)]
pub(crate) struct Allowance {
    cells: [Cell; CELLS],
    /// The end of the slice of time to which granted verdicts belong; set before they are granted.
    slice_end: AtomicI64,
    /// From how many nanoseconds on a call is slow; `i64::MAX` where calls are not timed.
    slow_from: AtomicI64,
}

/// Two cache lines apart, because some processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Cell {
    granted: AtomicU64,
    tally: Tally,
}

/// What the holder of the lock remembers of the grant in force.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Granted {
    /// Grows with every grant, so that cells of two grants are never equal.
    number: u32,
    /// In all cells together.
    total: u64,
    /// Taken, and booked already.
    booked: u64,
    /// All of it lies in one cell, if this is its index.
    only: Option<u8>,
    /// Verdicts belong to slices of time, within which their order does not matter.
    pub(crate) is_timed: bool,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self {
            cells: std::array::from_fn(|_| Cell {
                granted: AtomicU64::new(0),
                tally: Tally::new(),
            }),
            slice_end: AtomicI64::new(i64::MIN),
            slow_from: AtomicI64::new(i64::MAX),
        }
    }

    #[inline]
    pub(crate) fn slice_end(&self) -> i64 {
        self.slice_end.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_slow(&self, took: i64) -> bool {
        took >= self.slow_from.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slow_from(&self, nanos: i64) {
        self.slow_from.store(nanos, Ordering::Relaxed);
    }

    /// What the caller's thread adds to the totals.
    #[inline]
    pub(crate) fn tally(&self) -> &Tally {
        &self.cells[cell_of_thread()].tally
    }

    /// What all threads added to one of the totals.
    pub(crate) fn total(&self, what: Counted) -> u64 {
        self.cells.iter().map(|cell| cell.tally.get(what)).sum()
    }

    /// There is a grant, and it is of the slice that ends then.
    pub(crate) fn holds_until(&self, granted: &Granted, slice_end: i64) -> bool {
        granted.total > 0 && self.slice_end.load(Ordering::Relaxed) == slice_end
    }

    /// Takes one, if one is left and `holds` still says so after the cell was read.
    #[inline]
    pub(crate) fn take(&self, holds: impl Fn() -> bool) -> bool {
        let cell = &self.cells[cell_of_thread()].granted;
        // What is published before a grant is seen by whoever sees the grant.
        let mut seen = cell.load(Ordering::Acquire);
        loop {
            if seen & CELL_MAX == 0 || !holds() {
                return false;
            }
            // Fails if the grant was revoked since: whatever `holds` saw was then of its time.
            match cell.compare_exchange(seen, seen - 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(newer) => seen = newer,
            }
        }
    }

    /// Grants so many, in a grant of their own; nothing may be granted meanwhile.
    ///
    /// Few go to the caller's own cell, for whoever calls next is likely the same thread.
    pub(crate) fn grant(&self, many: u64, slice_end: Option<i64>, granted: &mut Granted) {
        const FEW: u64 = 8 * CELLS as u64;
        self.slice_end.store(slice_end.unwrap_or(i64::MIN), Ordering::Release);
        let number = granted.number.wrapping_add(1);
        let put = |cell: &Cell, left: u64| {
            cell.granted.store(u64::from(number) << LEFT_BITS | left, Ordering::Release);
            left
        };
        let (total, only) = if many <= FEW {
            let mine = cell_of_thread();
            (put(&self.cells[mine], many), u8::try_from(mine).ok())
        } else {
            let each = (many / CELLS as u64).min(CELL_MAX);
            (self.cells.iter().map(|cell| put(cell, each)).sum(), None)
        };
        *granted = Granted { number, total, booked: 0, only, is_timed: slice_end.is_some() };
    }

    /// What was taken and not booked yet; the grant stays in force.
    pub(crate) fn collect(&self, granted: &mut Granted) -> u64 {
        let left = self.left(*granted, |cell| cell.load(Ordering::Acquire));
        Self::book(granted, left)
    }

    /// Ends the grant; what was taken and not booked yet.
    pub(crate) fn revoke(&self, granted: &mut Granted) -> u64 {
        let empty = u64::from(granted.number) << LEFT_BITS;
        let left = self.left(*granted, |cell| cell.swap(empty, Ordering::AcqRel));
        let taken = Self::book(granted, left);
        *granted = Granted { number: granted.number, ..Granted::default() };
        taken
    }

    fn left(&self, granted: Granted, read: impl Fn(&AtomicU64) -> u64) -> u64 {
        let read = |cell: &Cell| read(&cell.granted) & CELL_MAX;
        match granted.only {
            _ if granted.total == 0 => 0,
            Some(only) => read(&self.cells[usize::from(only)]),
            None => self.cells.iter().map(read).sum(),
        }
    }

    const fn book(granted: &mut Granted, left: u64) -> u64 {
        let taken = granted.total - left;
        let fresh = taken - granted.booked;
        granted.booked = taken;
        fresh
    }
}
