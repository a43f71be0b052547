//! How many failures were recovered from.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use backstop_clock::Timestamp;

use crate::recovery::Recovery;
use crate::{Component, Kind};

/// Counts recovered and failed operations by kind and component, and gives their rate.
///
/// The window is divided into [`Tally::SLOTS`] slots that leave it one by one, so a rate is that of
/// the last 59 to 60 sixtieths of the window.
/// At most [`Tally::CELLS_MAX`] pairs of kind and component are told apart; what finds no room
/// counts for the whole and for its kind, under a component of its own, [`Tally::OTHERS`].
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::Timestamp;
/// use backstop_error_taxonomy::tally::{Over, Tally};
/// use backstop_error_taxonomy::{Component, Kind};
///
/// let now = Timestamp::from_millis(1_000);
/// let mut tally = Tally::new(Duration::from_mins(5));
/// assert_eq!(tally.rate(Over::All, now).share(), None, "nothing is known, which is not 100 %");
///
/// tally.recovered(Kind::Timeout, Component::DATA, now);
/// tally.recovered(Kind::Timeout, Component::DATA, now);
/// tally.recovered(Kind::Conflict, Component::DATABASE, now);
/// tally.failed(Kind::Timeout, Component::EXECUTION, now);
/// assert_eq!(tally.rate(Over::All, now).share(), Some(0.75));
/// assert_eq!(tally.rate(Over::Component(Component::EXECUTION), now).share(), Some(0.0));
/// ```
#[derive(Clone, Debug)]
pub struct Tally {
    /// Length of a slot in milliseconds, at least one.
    slot_ms: i64,
    cells: BTreeMap<(Kind, Component), VecDeque<Slot>>,
}

/// What a rate is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Over {
    /// Everything.
    All,
    /// One kind in all components.
    Kind(Kind),
    /// One component with all kinds.
    Component(Component),
    /// One kind in one component.
    Pair(Kind, Component),
}

/// How many operations were recovered, and how many were not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rate {
    /// Failures after which the operation came to a result all the same.
    pub recovered: u64,
    /// Failures after which it did not.
    pub failed: u64,
}

impl Rate {
    /// The recovered share from 0 to 1; unknown while nothing was counted.
    #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a statistic")]
    pub fn share(self) -> Option<f64> {
        let all = self.recovered.saturating_add(self.failed);
        (all > 0).then(|| self.recovered as f64 / all as f64)
    }
}

/// What happened in one slot of time.
#[derive(Clone, Copy, Debug)]
struct Slot {
    number: i64,
    rate: Rate,
}

impl Tally {
    /// How many slots a window has.
    pub const SLOTS: u32 = 60;
    /// How many pairs of kind and component are told apart.
    pub const CELLS_MAX: usize = 256;
    /// Where components are counted that found no room of their own.
    pub const OTHERS: Component = Component::new("others");

    /// An empty tally over `window`.
    pub fn new(window: Duration) -> Self {
        let slot = i64::try_from((window / Self::SLOTS).as_millis()).unwrap_or(i64::MAX);
        Self { slot_ms: slot.max(1), cells: BTreeMap::new() }
    }

    /// Counts a failure that was recovered from.
    pub fn recovered(&mut self, kind: Kind, component: Component, now: Timestamp) {
        let recovered = &mut self.slot(kind, component, now).recovered;
        *recovered = recovered.saturating_add(1);
    }

    /// Counts a failure that ended its operation.
    pub fn failed(&mut self, kind: Kind, component: Component, now: Timestamp) {
        let failed = &mut self.slot(kind, component, now).failed;
        *failed = failed.saturating_add(1);
    }

    /// Counts what a recovery came to, under [`Component::SYSTEM`] if the error named none.
    ///
    /// One that is [open](Recovery::is_open) came to nothing yet and is not counted.
    pub fn record<T>(&mut self, recovery: &Recovery<T>, now: Timestamp) {
        let component = recovery.component.unwrap_or(Component::SYSTEM);
        if recovery.is_open() {
            return;
        }
        if recovery.is_recovered() {
            self.recovered(recovery.class.kind(), component, now);
        } else {
            self.failed(recovery.class.kind(), component, now);
        }
    }

    /// The rate over the window that ends `now`.
    pub fn rate(&self, over: Over, now: Timestamp) -> Rate {
        let current = self.number(now);
        let is_meant = |(kind, component): &(Kind, Component)| match over {
            Over::All => true,
            Over::Kind(meant) => *kind == meant,
            Over::Component(meant) => *component == meant,
            Over::Pair(k, c) => (*kind, *component) == (k, c),
        };
        let cells = self.cells.iter().filter(|(key, _)| is_meant(key));
        let slots = cells.flat_map(|(_, slots)| slots);
        let within = slots.filter(|slot| slot.number <= current && !is_past(slot.number, current));
        within.fold(Rate::default(), |sum, slot| Rate {
            recovered: sum.recovered.saturating_add(slot.rate.recovered),
            failed: sum.failed.saturating_add(slot.rate.failed),
        })
    }

    fn number(&self, now: Timestamp) -> i64 {
        now.as_millis().div_euclid(self.slot_ms)
    }

    fn slot(&mut self, kind: Kind, component: Component, now: Timestamp) -> &mut Rate {
        let current = self.number(now);
        let key = self.key((kind, component), current);
        let slots = self.cells.entry(key).or_default();
        while slots.front().is_some_and(|slot| is_past(slot.number, current)) {
            slots.pop_front();
        }
        // A clock that stepped back far leaves a future behind that would never pass.
        while slots.back().is_some_and(|slot| is_past(current, slot.number)) {
            slots.pop_back();
        }
        // Almost always at the end; the clock may have stepped back a little.
        let place = slots.partition_point(|slot| slot.number < current);
        if slots.get(place).is_none_or(|slot| slot.number != current) {
            slots.insert(place, Slot { number: current, rate: Rate::default() });
        }
        &mut slots[place].rate
    }

    /// The pair itself, or the one that stands for all that find no room.
    fn key(&mut self, key: (Kind, Component), current: i64) -> (Kind, Component) {
        // The last places are kept for what finds no room, one for each kind.
        let own_max = Self::CELLS_MAX - Kind::ALL.len();
        if self.cells.len() < own_max || self.cells.contains_key(&key) {
            return key;
        }
        self.cells
            .retain(|_, slots| slots.back().is_some_and(|slot| !is_past(slot.number, current)));
        if self.cells.len() < own_max { key } else { (key.0, Self::OTHERS) }
    }
}

/// Whether a slot has left the window.
const fn is_past(number: i64, current: i64) -> bool {
    current.saturating_sub(number) >= Tally::SLOTS as i64
}
