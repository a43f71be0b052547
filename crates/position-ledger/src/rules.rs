//! How positions of an instrument are kept: its value, what a close takes first, and in which order things count.

use serde::{Deserialize, Serialize};

/// How a contract turns quantity and price into value.
///
/// | kind | value of `q` units at price `p`, in the settlement currency | gain of a long |
/// | --- | --- | --- |
/// | spot, linear, quanto | `q * p * multiplier` | value out - cost |
/// | inverse | `q * multiplier / p` | cost - value out |
///
/// Of a spot pair the base currency itself is delivered, so balances move by all that is bought and sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// The base currency against the quote currency.
    Spot,
    /// Value in the quote currency.
    Linear,
    /// Quantity in the quote currency, value and profit in the base currency.
    Inverse,
    /// Priced in the quote currency, settled in a third one at a fixed multiplier.
    Quanto,
}

/// Which part of a position a closing fill takes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All parts alike: one running total cost.
    #[default]
    Average,
    /// The oldest lot.
    Fifo,
    /// The youngest lot.
    Lifo,
    /// The lot that is worst for the holder: dearest for a long, cheapest for a short; the oldest on a tie.
    Hifo,
    /// The lots that the fill names.
    Specific,
}

/// Whether buys and sells of one account meet in one position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One position per account.
    #[default]
    Netting,
    /// A position per leg; every fill names its leg, and legs never net.
    Hedging,
}

/// In which order fills make a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sequencing {
    /// As they stand in the journal.
    #[default]
    Arrival,
    /// By the time of the event, those of one time as they stand in the journal; a late fill re-derives the position.
    EventTime,
}
