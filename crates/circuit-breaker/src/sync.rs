//! The atomics and the lock of the shared handle: std's, or the model checker's.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// Cells over which the threads of a breaker spread; a power of two.
///
/// Eight threads on one breaker are many for a bot, and a cell costs two cache lines.
#[cfg(not(loom))]
pub(crate) const CELLS: usize = 8;
/// Two show everything that several can, and the model checker must visit each.
#[cfg(loom)]
pub(crate) const CELLS: usize = 2;

/// A number below [`CELLS`] that differs between threads, mostly.
///
/// Threads have stacks of their own, so where a local variable lies tells them apart for free.
/// Two that share a cell are slower and just as right.
#[cfg(not(loom))]
#[inline]
pub(crate) fn cell_of_thread() -> usize {
    // Stacks lie at least this far apart, and a thread stays within that much most of the time.
    const STACK_BITS: u32 = 21;
    // Spreads neighbours evenly: Knuth, The Art of Computer Programming, 6.4, Fibonacci hashing.
    const GOLDEN: u32 = 0x9E37_79B9;
    let here = 0_u8;
    let [a, b, c, d, ..] = ((&raw const here).addr() >> STACK_BITS).to_le_bytes();
    let spread = u32::from_le_bytes([a, b, c, d]).wrapping_mul(GOLDEN);
    (spread >> (u32::BITS - CELLS.trailing_zeros())) as usize
}

/// The first thread of a model takes the first cell, all others the second.
#[cfg(loom)]
pub(crate) fn cell_of_thread() -> usize {
    usize::from(format!("{:?}", loom::thread::current().id()) != "ThreadId(0)")
}
