//! The fills whose ids came in rising order, as venues give them: they need no index.
//!
//! Of each position the places of these fills are kept in that order, apart for numbers and for texts.
//! An id that is greater than the last of them cannot be known, and any other is found among them by halving.
//! What came out of order is left to the index.

use super::key::{Id, Key, Rank};
use crate::change::index;
use crate::series::Series;

/// The runs of all positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    numbers: Vec<Run<u64>>,
    texts: Vec<Run<Rank>>,
}

/// Places of rows whose ids rise.
#[derive(Clone, Debug, Default)]
struct Run<R> {
    /// The rank of the last one.
    greatest: R,
    places: Series,
}

impl Runs {
    /// Whether an id is greater than all of its kind, and so not known.
    #[inline]
    pub(super) fn is_new(&self, key: &Key<'_>) -> bool {
        let pair = index(key.pair);
        match key.id {
            Id::Number(number) => self.numbers.get(pair).is_none_or(|run| number > run.greatest),
            Id::Text(text) => self.texts.get(pair).is_none_or(|run| Rank::of(text) > run.greatest),
        }
    }

    /// Adds a row, if its id is greater than all of its kind.
    #[inline]
    pub(super) fn push(&mut self, key: &Key<'_>, place: u32) -> bool {
        match key.id {
            Id::Number(number) => push(&mut self.numbers, key.pair, number, place),
            Id::Text(text) => push(&mut self.texts, key.pair, Rank::of(text), place),
        }
    }

    /// The row of the same rank, if one is in the run; `key_of` reads that of a place.
    pub(super) fn find<'a>(&self, key: &Key<'_>, key_of: impl Fn(u32) -> Key<'a>) -> Option<u32> {
        let pair = index(key.pair);
        match key.id {
            Id::Number(number) => {
                self.numbers.get(pair)?.find(number, |place| number_of(key_of(place).id))
            }
            Id::Text(text) => {
                self.texts.get(pair)?.find(Rank::of(text), |place| rank_of(key_of(place).id))
            }
        }
    }

    /// Removes the last row of all, if it is in a run.
    pub(super) fn pop<'a>(
        &mut self,
        key: &Key<'_>,
        place: u32,
        key_of: impl Fn(u32) -> Key<'a>,
    ) -> bool {
        let pair = index(key.pair);
        match key.id {
            Id::Number(_) => {
                let run = self.numbers.get_mut(pair);
                run.is_some_and(|run| run.pop(place, |place| number_of(key_of(place).id)))
            }
            Id::Text(_) => {
                let run = self.texts.get_mut(pair);
                run.is_some_and(|run| run.pop(place, |place| rank_of(key_of(place).id)))
            }
        }
    }
}

#[inline]
fn push<R: Copy + Default + Ord>(runs: &mut Vec<Run<R>>, pair: u32, rank: R, place: u32) -> bool {
    let pair = index(pair);
    if pair >= runs.len() {
        runs.resize(pair.saturating_add(1), Run::default());
    }
    let Some(run) = runs.get_mut(pair).filter(|run| rank > run.greatest) else { return false };
    run.greatest = rank;
    run.places.push(place);
    true
}

impl<R: Copy + Default + Ord> Run<R> {
    fn find(&self, sought: R, rank_of: impl Fn(u32) -> R) -> Option<u32> {
        let rank = |at: usize| self.places.get(at).map(&rank_of);
        // What is told twice is told again soon, so the search begins at the end.
        let mut end = self.places.len();
        let (mut start, mut step) = (end.saturating_sub(1), 1_usize);
        while start > 0 && rank(start).is_some_and(|rank| rank > sought) {
            end = start;
            start = start.saturating_sub(step);
            step = step.saturating_mul(2);
        }
        while start < end {
            let middle = start.midpoint(end);
            if rank(middle).is_some_and(|rank| rank < sought) {
                start = middle.saturating_add(1);
            } else {
                end = middle;
            }
        }
        self.places.get(start).filter(|place| rank_of(*place) == sought)
    }

    fn pop(&mut self, place: u32, rank_of: impl Fn(u32) -> R) -> bool {
        if self.places.last() != Some(place) {
            return false;
        }
        self.places.pop();
        self.greatest = self.places.last().map(rank_of).unwrap_or_default();
        true
    }
}

/// In a run of numbers; zero elsewhere.
fn number_of(id: Id<'_>) -> u64 {
    match id {
        Id::Number(number) => number,
        Id::Text(_) => 0,
    }
}

/// In a run of texts; that of nothing elsewhere.
fn rank_of(id: Id<'_>) -> Rank {
    match id {
        Id::Number(_) => Rank::default(),
        Id::Text(text) => Rank::of(text),
    }
}
