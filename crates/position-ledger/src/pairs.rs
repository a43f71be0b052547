//! Accounts with instruments: the scopes of trade ids, found by name once and then by number.

use std::hash::{BuildHasher as _, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use crate::change::index;
use crate::name::{Account, InstrumentId};

/// An account with an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) account: Account,
    pub(crate) id: InstrumentId,
    /// The number of the instrument.
    pub(crate) instrument: u32,
    pub(crate) legs: Legs,
}

/// The positions of a pair: one, or one per leg.
///
/// The first is kept here, since mostly it is the only one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Legs {
    first: Option<u32>,
    others: Vec<u32>,
}

impl Legs {
    pub(crate) const fn first(&self) -> Option<u32> {
        self.first
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.first.into_iter().chain(self.others.iter().copied())
    }

    pub(crate) fn push(&mut self, slot: u32) {
        match self.first {
            None => self.first = Some(slot),
            Some(_) => self.others.push(slot),
        }
    }

    /// Forgets the last one.
    pub(crate) fn pop(&mut self) {
        if self.others.pop().is_none() {
            self.first = None;
        }
    }
}

/// All pairs, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    rows: Vec<Pair>,
    /// Numbers by the hash of both names; which names they are stands in the rows alone.
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// The numbers follow from the rows.
impl PartialEq for Pairs {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl Eq for Pairs {}

impl Pairs {
    #[inline]
    pub(crate) fn number(&self, account: &Account, id: &InstrumentId) -> Option<u32> {
        let is_named = |number: &u32| {
            self.at(*number).is_some_and(|pair| pair.id == *id && pair.account == *account)
        };
        self.numbers.find(hash(&self.hasher, account, id), is_named).copied()
    }

    pub(crate) fn at(&self, number: u32) -> Option<&Pair> {
        self.rows.get(index(number))
    }

    pub(crate) fn at_mut(&mut self, number: u32) -> Option<&mut Pair> {
        self.rows.get_mut(index(number))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pair> {
        self.rows.iter()
    }

    pub(crate) fn rows(&self) -> &[Pair] {
        &self.rows
    }

    /// Adds a pair that is not there, and gives its number.
    pub(crate) fn push(&mut self, pair: Pair) -> u32 {
        let number = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let hashes = |pair: &Pair| hash(&self.hasher, &pair.account, &pair.id);
        let of_new = hashes(&pair);
        self.rows.push(pair);
        let again = |number: &u32| self.rows.get(index(*number)).map_or(0, hashes);
        self.numbers.insert_unique(of_new, number, again);
        number
    }

    /// Forgets the last pair.
    pub(crate) fn pop(&mut self) {
        let Some(pair) = self.rows.pop() else { return };
        let of_last = hash(&self.hasher, &pair.account, &pair.id);
        let number = self.rows.len();
        if let Ok(found) = self.numbers.find_entry(of_last, |held| index(*held) == number) {
            found.remove();
        }
    }
}

#[inline]
fn hash(hasher: &DefaultHashBuilder, account: &Account, id: &InstrumentId) -> u64 {
    let mut state = hasher.build_hasher();
    // Two names that end at another place make another hash or are told apart by comparison.
    state.write(account.as_str().as_bytes());
    state.write(id.as_str().as_bytes());
    state.finish()
}
