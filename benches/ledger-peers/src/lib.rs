//! The same deals for our books and for the positions of other libraries.
//!
//! Each library keeps its positions as its own host does, and takes a deal as its own type.
//! `docs/benchmarks.md` says what each promises and what was measured.

pub use barter::Barter;
pub use deals::{Deal, Deals, POSITIONS, Pattern};
pub use nautilus_057::Nautilus057;
pub use nautilus_067::Nautilus067;
pub use ours::Backstop;

mod deals;
mod ours;
mod nautilus_057;
mod nautilus_067;
mod barter;

use rust_decimal::Decimal;

/// The positions of one library on [`POSITIONS`] instruments.
pub trait Keeper {
    /// What this library takes as a fill.
    type Fill;

    /// Without any position.
    fn empty() -> Self;

    /// The deal as this library takes it, with a trade id of sixteen letters; nothing here is measured.
    fn fill(&self, deal: &Deal) -> Self::Fill;

    /// Books one fill.
    ///
    /// # Panics
    ///
    /// The library refuses it.
    fn apply(&mut self, fill: &Self::Fill);

    /// The position of an instrument, unless it is flat or none was ever there.
    fn held(&self, place: usize) -> Option<Held>;
}

/// What is open of a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Long positive, short negative.
    pub quantity: Decimal,
    /// The average price at which it was opened.
    pub average: Decimal,
}
