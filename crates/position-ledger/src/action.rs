//! What happens to positions and money besides fills: payments, corporate actions, transfers, repairs.
//!
//! Each carries the id that its source gave it, unique within account, instrument and kind; what concerns every account,
//! within instrument and kind, whichever account it is reported under.
//! The same id with the same content is a duplicate, with other content a conflict.
//! What everyone had is a duplicate for each account; what some account had is a conflict for everyone.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::name::{Account, Currency, InstrumentId, Text};

pub use crate::name::{LegId, Reference};
pub use crate::slots::Isolation;

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A fee that belongs to no fill; the amount is what was paid, above zero.
    ///
    /// In the base currency of a spot pair that it names it is taken out of the quantity, as that of a fill is.
    Fee,
    /// A rebate that belongs to no fill; the amount is what was received, above zero.
    Rebate,
    /// Funding of a perpetual position: received positive, paid negative.
    Funding,
    /// Interest on a balance: received positive, paid negative.
    Interest,
}

impl Purpose {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fee => "fee",
            Self::Rebate => "rebate",
            Self::Funding => "funding",
            Self::Interest => "interest",
        }
    }
}

/// Money that was paid or received outside of a fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// What its source calls it.
    pub id: Reference,
    /// What it is for.
    pub purpose: Purpose,
    /// The instrument it belongs to; funding has to name one.
    pub instrument: Option<InstrumentId>,
    /// The leg it belongs to, of a hedged position.
    pub leg: Option<LegId>,
    /// In this currency; funding in the settlement currency of its instrument.
    pub currency: Currency,
    /// So much, signed as its purpose says.
    pub amount: Amount,
}

/// Whose positions an action concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Those of the account of the entry.
    #[default]
    Account,
    /// Those of every account.
    Everyone,
}

/// Something that happened to an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What its source calls it.
    pub id: Reference,
    /// The instrument it happened to.
    pub instrument: InstrumentId,
    /// One leg of a hedged position, or all of them.
    pub leg: Option<LegId>,
    /// Whose positions it concerns.
    pub reach: Reach,
    /// What happened.
    pub act: Act,
}

/// What happened to an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Open positions were closed at a price: expiry, delisting, liquidation by the venue.
    Settlement {
        /// The price.
        price: Amount,
    },
    /// Open positions were closed at a price, and the underlying changed hands at it.
    Delivery {
        /// The price.
        price: Amount,
        /// The spot pair that was delivered: `quantity * multiplier` of it.
        into: InstrumentId,
    },
    /// Quantities became `quantity * new / old`; their cost stayed.
    Split(Split),
    /// An amount per unit was paid to longs, and by shorts, in the settlement currency.
    Dividend {
        /// For one unit of quantity.
        per_unit: Amount,
    },
}

impl Act {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Settlement { .. } => "settlement",
            Self::Delivery { .. } => "delivery",
            Self::Split(_) => "split",
            Self::Dividend { .. } => "dividend",
        }
    }
}

/// A split: so many new units for so many old ones; a reverse split has fewer new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// New units, above zero.
    pub new: Amount,
    /// Old units, above zero.
    pub old: Amount,
    /// Cash for fractions; none keeps them.
    pub in_lieu: Option<CashInLieu>,
}

/// The part beyond a multiple of `whole` is closed at `price`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CashInLieu {
    /// What can be held, such as 1 share; above zero.
    pub whole: Amount,
    /// What is paid for the rest.
    pub price: Amount,
}

/// A position on its way to another account of the books: no profit is realized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// What its source calls it.
    pub id: Reference,
    /// What is held.
    pub instrument: InstrumentId,
    /// The leg, of a hedged position.
    pub leg: Option<LegId>,
    /// How much of it, above zero, whichever side is held.
    pub quantity: Amount,
    /// Where to.
    pub to: Account,
}

/// A repair of a position, booked like a fill at a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// What its source calls it.
    pub id: Reference,
    /// What is held.
    pub instrument: InstrumentId,
    /// The leg, of a hedged position.
    pub leg: Option<LegId>,
    /// By how much, signed and not zero.
    pub change: Amount,
    /// At which price; the average price realizes nothing, zero writes off.
    pub price: Amount,
    /// The finding, or the operator's words.
    pub reason: Text,
}

/// A position that was there before the books began; no cash moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// What its source calls it.
    pub id: Reference,
    /// What is held.
    pub instrument: InstrumentId,
    /// The leg, of a hedged position.
    pub leg: Option<LegId>,
    /// How much, long positive, short negative.
    pub quantity: Amount,
    /// What it cost in all, in the settlement currency, without a sign for the side.
    pub cost: Amount,
}

/// What can be set apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The account of the entry.
    Account,
    /// An instrument, in every account.
    Instrument(InstrumentId),
}
