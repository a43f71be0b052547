//! Series of numbers: thousands of them grow side by side, each by one number at a time.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many numbers stay with the series itself; with what stands beside it in a run they fill two lines of memory.
const RECENT: usize = 23;

/// Numbers in the order in which they were added.
///
/// The last few stand in the series itself, which whoever adds one has read already.
/// The others have memory of their own, a page or more for each of thousands of series: that is waited for when all of
/// the last few go there at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    older: Vec<u32>,
    recent: [u32; RECENT],
    used: u8,
}

impl Series {
    pub(crate) fn len(&self) -> usize {
        self.older.len().saturating_add(self.used.into())
    }

    pub(crate) fn get(&self, place: usize) -> Option<u32> {
        let found = match place.checked_sub(self.older.len()) {
            None => self.older.get(place),
            Some(place) => self.recent().get(place),
        };
        found.copied()
    }

    pub(crate) fn last(&self) -> Option<u32> {
        self.recent().last().or_else(|| self.older.last()).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.older.iter().chain(self.recent()).copied()
    }

    #[inline]
    pub(crate) fn push(&mut self, number: u32) {
        if usize::from(self.used) == RECENT {
            self.age();
        }
        if let Some(free) = self.recent.get_mut(usize::from(self.used)) {
            *free = number;
        }
        self.used = self.used.wrapping_add(1);
    }

    /// Removes the last one.
    pub(crate) fn pop(&mut self) {
        match self.used.checked_sub(1) {
            Some(used) => self.used = used,
            None => drop(self.older.pop()),
        }
    }

    pub(crate) fn insert(&mut self, place: usize, number: u32) {
        self.age();
        self.older.insert(place, number);
    }

    pub(crate) fn remove(&mut self, place: usize) {
        self.age();
        self.older.remove(place);
    }

    /// Where the first number is that is not before.
    pub(crate) fn partition_point(&self, is_before: impl Fn(u32) -> bool) -> usize {
        let recent = self.recent();
        if recent.first().is_some_and(|first| is_before(*first)) {
            let place = recent.partition_point(|number| is_before(*number));
            return self.older.len().saturating_add(place);
        }
        self.older.partition_point(|number| is_before(*number))
    }

    fn recent(&self) -> &[u32] {
        self.recent.get(..self.used.into()).unwrap_or_default()
    }

    fn age(&mut self) {
        let used = std::mem::take(&mut self.used);
        self.older.extend_from_slice(self.recent.get(..used.into()).unwrap_or_default());
    }
}

/// Which of the numbers are recent makes no difference.
impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Series {}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all: Vec<_> = self.iter().collect();
        all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { older: Vec::deserialize(deserializer)?, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Series;

    proptest! {
        #[test]
        fn it_is_a_list_of_what_was_added_and_not_removed(steps in prop::collection::vec((0..8_u8, any::<prop::sample::Index>()), 0..120)) {
            let (mut series, mut model) = (Series::default(), Vec::new());
            for (number, (step, place)) in (0_u32..).zip(steps) {
                match step {
                    0 => {
                        series.pop();
                        model.pop();
                    }
                    1 if !model.is_empty() => {
                        let place = place.index(model.len());
                        series.remove(place);
                        model.remove(place);
                    }
                    2 => {
                        let place = place.index(model.len().max(1));
                        series.insert(place, number);
                        model.insert(place, number);
                    }
                    _ => {
                        series.push(number);
                        model.push(number);
                    }
                }
                prop_assert_eq!(series.iter().collect::<Vec<_>>(), model.clone());
                prop_assert_eq!((series.len(), series.last()), (model.len(), model.last().copied()));
                let found: Vec<_> = (0..=model.len()).map(|place| series.get(place)).collect();
                let listed: Vec<_> = model.iter().map(|number| Some(*number)).chain([None]).collect();
                prop_assert_eq!(found, listed);
                // Whatever the order is, of a bound on places it is found.
                for bound in 0..=model.len() {
                    let before: Vec<_> = model[..bound].to_vec();
                    prop_assert_eq!(series.partition_point(|number| before.contains(&number)), bound);
                }
            }
            let again: Series = postcard::from_bytes(&postcard::to_stdvec(&series).unwrap()).unwrap();
            prop_assert_eq!(&again, &series);
            prop_assert_eq!(postcard::to_stdvec(&model).unwrap(), postcard::to_stdvec(&series).unwrap());
        }
    }
}
