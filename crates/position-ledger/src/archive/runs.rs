//! The fills whose ids came in rising order, as venues give them: they need no index.
//!
//! Of each position the places of these fills are kept in that order, apart for numbers and for texts.
//! An id that is greater than the last of them cannot be known, and any other is found among them by halving.
//! What came out of order is left to the index.

use super::key::{Id, Rank};
use crate::change::index;

/// The runs of all positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    numbers: Vec<Run>,
    texts: Vec<Run>,
}

/// Places of rows whose ids rise.
#[derive(Clone, Debug, Default)]
struct Run {
    /// The rank of the last one.
    greatest: Rank,
    places: Vec<u32>,
}

impl Runs {
    /// Whether an id is greater than all of its kind, and so not known.
    pub(super) fn is_new(&self, id: Id) -> bool {
        self.run(id).is_none_or(|run| id.rank > run.greatest)
    }

    /// Adds a row, if its id is greater than all of its kind.
    pub(super) fn push(&mut self, id: Id, place: u32) -> bool {
        let runs = self.of_kind_mut(id);
        let pair = index(id.pair);
        if pair >= runs.len() {
            runs.resize_with(pair.saturating_add(1), Run::default);
        }
        let Some(run) = runs.get_mut(pair).filter(|run| id.rank > run.greatest) else {
            return false;
        };
        run.greatest = id.rank;
        run.places.push(place);
        true
    }

    /// The row of the same rank, if one is in the run; `rank_of` reads that of a place.
    pub(super) fn find(&self, id: Id, rank_of: impl Fn(u32) -> Rank) -> Option<u32> {
        let places = self.run(id)?.places.as_slice();
        let rank = |at: usize| places.get(at).map(|place| rank_of(*place));
        // What is told twice is told again soon, so the search begins at the end.
        let (mut start, mut step) = (places.len().saturating_sub(1), 1_usize);
        while start > 0 && rank(start) > Some(id.rank) {
            start = start.saturating_sub(step);
            step = step.saturating_mul(2);
        }
        let after = places.get(start..)?;
        let place = *after.get(after.partition_point(|place| rank_of(*place) < id.rank))?;
        (rank_of(place) == id.rank).then_some(place)
    }

    /// Removes the last row of all, if it is in a run.
    pub(super) fn pop(&mut self, id: Id, place: u32, rank_of: impl Fn(u32) -> Rank) -> bool {
        let Some(run) = self.of_kind_mut(id).get_mut(index(id.pair)) else { return false };
        if run.places.pop_if(|last| *last == place).is_none() {
            return false;
        }
        run.greatest = run.places.last().map(|last| rank_of(*last)).unwrap_or_default();
        true
    }

    fn run(&self, id: Id) -> Option<&Run> {
        if id.is_text { &self.texts } else { &self.numbers }.get(index(id.pair))
    }

    fn of_kind_mut(&mut self, id: Id) -> &mut Vec<Run> {
        if id.is_text { &mut self.texts } else { &mut self.numbers }
    }
}
