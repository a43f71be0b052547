//! What books are made of: accounts with instruments, positions and shares, and their histories.

use std::borrow::Cow;
use std::time::Duration;

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::action::Action;
use crate::amount::Amount;
use crate::archive::Place;
use crate::money::Balance;
use crate::name::{Account, Currency, InstrumentId, LegId, Portfolio, Reference, Strategy, Text};
use crate::series::Series;
use crate::state::State;

/// One position, or a desk's share of one.
///
/// In the order of the fields: what every fill changes comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) track: Track,
    /// All that made it, in the order in which that counts.
    pub(crate) ops: Ops,
    /// The balances it moves.
    #[serde(skip)]
    pub(crate) hints: Hints,
    /// The position that it is a share of.
    pub(crate) main: Option<u32>,
    pub(crate) pair: u32,
    /// Whether a transfer or delivery ties it to other positions.
    pub(crate) is_linked: bool,
    pub(crate) state: State,
    pub(crate) funding: Amount,
    pub(crate) leg: Option<LegId>,
    pub(crate) desk: Desk,
    /// The shares in it.
    pub(crate) desks: Vec<u32>,
}

/// Numbers of balances that were looked up by name once; no part of the state.
///
/// What takes a balance back takes the hints at it back as well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints {
    /// That of the settlement currency.
    pub(crate) settlement: Option<u32>,
    /// That of the last fee in another currency.
    pub(crate) fee: Option<u32>,
}

impl PartialEq for Hints {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Hints {}

/// Who wanted a trade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Desk {
    pub(crate) strategy: Option<Strategy>,
    pub(crate) portfolio: Option<Portfolio>,
}

impl Desk {
    pub(crate) const fn is_none(&self) -> bool {
        self.strategy.is_none() && self.portfolio.is_none()
    }
}

/// The latest of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Track {
    /// The key of the last operation, by which the next one is in order or late.
    pub(crate) last: (Timestamp, u64),
    /// When something last happened to it.
    pub(crate) active: Timestamp,
}

impl Track {
    /// The track with one more operation at its end; none for one that is late.
    #[inline]
    pub(crate) fn next(&self, key: (Timestamp, u64), at: Timestamp) -> Option<Self> {
        (key >= self.last).then(|| Self { last: key, active: at.max(self.active) })
    }
}

/// One step in the history of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Fill(Place),
    /// The number of a deed.
    Deed(u32),
}

/// Steps, four bytes each: there is one per fill, for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ops(Series);

/// Marks a deed; places of fills stay below it.
const DEED: u32 = 1 << 31;

impl Ops {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Op> {
        self.0.iter().map(unpacked)
    }

    pub(crate) fn push(&mut self, op: Op) {
        self.0.push(packed(op));
    }

    pub(crate) fn insert(&mut self, place: usize, op: Op) {
        self.0.insert(place, packed(op));
    }

    /// Removes the last step.
    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    pub(crate) fn remove(&mut self, place: usize) {
        self.0.remove(place);
    }

    /// Where the first step is that is not before.
    pub(crate) fn partition_point(&self, is_before: impl Fn(Op) -> bool) -> usize {
        self.0.partition_point(|op| is_before(unpacked(op)))
    }
}

const fn packed(op: Op) -> u32 {
    match op {
        Op::Fill(place) => place.number(),
        Op::Deed(number) => number | DEED,
    }
}

const fn unpacked(op: u32) -> Op {
    if op & DEED == 0 { Op::Fill(Place::of_number(op)) } else { Op::Deed(op & !DEED) }
}

/// What changed positions besides fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deed {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) what: What,
}

/// An action where event time decides: it also concerns whoever held the instrument then, and says so later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    /// Whose positions it concerns; none for those of every account.
    pub(crate) account: Option<Account>,
    pub(crate) action: Action,
    /// The deed it was, unless each position has one of its own.
    pub(crate) deed: u32,
}

/// What a deed does to a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Settle(Amount),
    Split(crate::action::Split),
    Dividend(Amount),
    Fee(Currency, Amount),
    /// A signed change at a price.
    Adjust(Amount, Amount),
    /// A signed quantity and its cost.
    Open(Amount, Amount),
    /// From one position to another, and from a desk's share of the one to that of the other.
    Move {
        from: u32,
        to: u32,
        shares: Option<(u32, u32)>,
        quantity: Amount,
    },
    Deliver {
        from: u32,
        to: u32,
        price: Amount,
    },
}

impl What {
    /// Whether it ties positions together, so that they are derived together.
    pub(crate) const fn is_tie(&self) -> bool {
        // What a split rounds, and what is paid for fractions, is that of the position, and its shares have their parts.
        matches!(self, Self::Move { .. } | Self::Deliver { .. } | Self::Split(_))
    }
}

/// What was said of a fill after it was booked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amended {
    pub(crate) voided: Amount,
    pub(crate) restated: Option<Restated>,
    /// The last restatement that had a revision, which another one may have followed.
    pub(crate) revised: Option<(u64, Restated)>,
}

/// The price that a fill was restated to, and the value if the venue stated it.
pub(crate) type Restated = (Amount, Option<Amount>);

/// What identifies an entry that is neither fill nor news of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum NoteKey {
    /// The id of the entry.
    Entry(Uuid),
    /// The id that the source gave, within account, instrument and kind; no account for what concerns every one.
    Given {
        kind: Cow<'static, str>,
        account: Option<Account>,
        instrument: Option<InstrumentId>,
        id: Reference,
    },
}

/// Why, and since when, something is set apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The entry that did it.
    pub sequence: u64,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: Text,
}

impl Isolation {
    /// How old the figures are that it keeps from changing.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.at)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BalanceSlot {
    pub(crate) account: Account,
    pub(crate) currency: Currency,
    pub(crate) balance: Balance,
}
