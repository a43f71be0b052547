//! How many bytes each library keeps for a fill, by a counting allocator.

use std::alloc::System;

use backstop_ledger_peers::{Backstop, Barter, Deals, Keeper, Nautilus057, Nautilus067, Pattern};
use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Fills on a thousand positions.
const FILLS: usize = 1_000_000;

fn main() {
    for (pattern, name) in [(Pattern::Mixed, "mixed"), (Pattern::Reopening, "reopening")] {
        for (library, bytes) in [
            ("backstop", kept::<Backstop>(pattern)),
            ("barter_0.14", kept::<Barter>(pattern)),
            ("nautilus_0.57", kept::<Nautilus057>(pattern)),
            ("nautilus_0.67", kept::<Nautilus067>(pattern)),
        ] {
            println!("peers_memory_{name}/{library}: {bytes} bytes per fill of {FILLS}");
        }
    }
}

/// Bytes per fill that stay when the fills are booked and their inputs are gone.
fn kept<K: Keeper>(pattern: Pattern) -> usize {
    let mut keeper = K::empty();
    let before = ALLOCATOR.allocated();
    for deal in Deals::new(pattern).take(FILLS) {
        let fill = keeper.fill(&deal);
        keeper.apply(&fill);
    }
    ALLOCATOR.allocated().saturating_sub(before) / FILLS
}
