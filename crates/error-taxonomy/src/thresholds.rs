//! Counts the failures of components, and says when they have become too many.

use std::collections::{BTreeMap, VecDeque};

use backstop_clock::Timestamp;

use crate::recovery::Recovery;
use crate::{AlertAfter, Component, Decision, Error};

/// How many counts of one component are remembered as told; one too many is told again.
const TOLD_MAX: usize = 16;

/// What counting one event came to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use = "an alert that nobody looks at is none"]
pub enum Counted {
    /// There are fewer events than make an alert.
    Below,
    /// This event makes the number: tell a person.
    Reached,
    /// There were enough before it, so it is told already.
    Above,
    /// It was recorded before, or no number is given for it: not counted.
    Ignored,
}

/// Says when the failures of a component within a window have become enough for an alert.
///
/// Telling somebody is not its business.
/// The alert is raised by the event that makes the number of the component's events with
/// `0 <= now - t < window` reach the count; what comes after it raises none until the number has
/// fallen below and is reached again.
/// Where rules give the failures of one component different counts, all of them are counted
/// together, and each count is compared when a failure comes for which it is given.
///
/// Memory is bounded: the events of [`EventCounts::MOMENTS_MAX`] milliseconds are told apart in
/// each of [`EventCounts::COMPONENTS_MAX`] components.
/// Beyond that events are taken for younger than they are, and components are counted together, so
/// that an alert comes rather too early than never.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use backstop_clock::Timestamp;
/// use backstop_error_taxonomy::thresholds::{Counted, EventCounts};
/// use backstop_error_taxonomy::{AlertAfter, Component};
///
/// let two = AlertAfter { count: NonZeroU32::new(2).unwrap(), window: Duration::from_mins(5) };
/// let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
///
/// let mut counts = EventCounts::default();
/// assert_eq!(counts.count(Component::POSITION, two, at(0)), Counted::Below);
/// assert_eq!(counts.count(Component::POSITION, two, at(300)), Counted::Below);
/// assert_eq!(counts.count(Component::POSITION, two, at(599)), Counted::Reached);
/// assert_eq!(counts.count(Component::POSITION, two, at(599)), Counted::Above);
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventCounts {
    by_component: BTreeMap<Component, Moments>,
    /// Events of all components that found no room of their own.
    others: Moments,
}

impl EventCounts {
    /// How many components are counted apart.
    pub const COMPONENTS_MAX: usize = 64;
    /// How many milliseconds with events are told apart per component.
    pub const MOMENTS_MAX: usize = 1_024;

    /// Counts an error that something was decided about, unless it was recorded before.
    ///
    /// An attempt that will be repeated is no failure yet and is not counted.
    /// An error that names no component is one of the [system](Component::SYSTEM).
    pub fn record(&mut self, error: &Error, decision: &Decision<'_>, now: Timestamp) -> Counted {
        let Some(after) = decision.alert_after else { return Counted::Ignored };
        if decision.action == crate::Action::Retry || !error.record_once() {
            return Counted::Ignored;
        }
        self.count(error.component().unwrap_or(Component::SYSTEM), after, now)
    }

    /// Counts what a recovery left to be recorded, as [`Recovery::event`] says.
    ///
    /// The recovery has recorded the error itself, so [`EventCounts::record`] would ignore it.
    pub fn record_recovery<T>(
        &mut self,
        recovery: &Recovery<T>,
        decision: &Decision<'_>,
        now: Timestamp,
    ) -> Counted {
        let Some(after) = decision.alert_after else { return Counted::Ignored };
        if recovery.event.is_none() {
            return Counted::Ignored;
        }
        self.count(recovery.component.unwrap_or(Component::SYSTEM), after, now)
    }

    /// Counts one event of `component` at `now`.
    pub fn count(&mut self, component: Component, after: AlertAfter, now: Timestamp) -> Counted {
        let moments = self.moments(component, now);
        moments.leave(after, now);
        moments.add(after, now);
        if !moments.is_enough(after, now) {
            Counted::Below
        } else if moments.is_told(after) {
            Counted::Above
        } else {
            Counted::Reached
        }
    }

    fn moments(&mut self, component: Component, now: Timestamp) -> &mut Moments {
        let is_full = self.by_component.len() >= Self::COMPONENTS_MAX;
        if is_full && !self.by_component.contains_key(&component) {
            self.by_component.retain(|_, moments| moments.is_live(now));
            if self.by_component.len() >= Self::COMPONENTS_MAX {
                return &mut self.others;
            }
        }
        self.by_component.entry(component).or_default()
    }
}

/// The events of one component.
#[derive(Clone, Debug, Default)]
struct Moments {
    /// When, and how many at that moment; sorted.
    events: VecDeque<(Timestamp, u64)>,
    /// How many in all of them, so that the usual count need not add them up.
    total: u64,
    /// When all of them have left their window.
    live_until: Option<Timestamp>,
    /// The counts that are reached and told, the latest last.
    told: Vec<AlertAfter>,
}

impl Moments {
    /// Forgets the events that left the window, and which counts are no longer reached.
    fn leave(&mut self, after: AlertAfter, now: Timestamp) {
        let gone = |at: Timestamp| now.since(at) >= after.window && at <= now;
        while let Some((_, times)) = self.events.pop_front_if(|(at, _)| gone(*at)) {
            self.total = self.total.saturating_sub(times);
        }
        // A clock that stepped back far leaves a future behind that would never pass.
        let far = |at: Timestamp| at.since(now) >= after.window;
        while let Some((_, times)) = self.events.pop_back_if(|(at, _)| far(*at)) {
            self.total = self.total.saturating_sub(times);
        }
        let mut told = std::mem::take(&mut self.told);
        told.retain(|after| self.is_enough(*after, now));
        self.told = told;
    }

    fn add(&mut self, after: AlertAfter, now: Timestamp) {
        // Almost always at the end; the clock may have stepped back a little.
        let place = self.events.partition_point(|(at, _)| *at <= now);
        match place.checked_sub(1).and_then(|last| self.events.get_mut(last)) {
            Some((at, times)) if *at == now => *times = times.saturating_add(1),
            _ => self.events.insert(place, (now, 1)),
        }
        self.total = self.total.saturating_add(1);
        if self.events.len() > EventCounts::MOMENTS_MAX
            && let Some((_, times)) = self.events.pop_front()
            && let Some((_, next)) = self.events.front_mut()
        {
            *next = next.saturating_add(times);
        }
        let until = now.saturating_add(after.window);
        self.live_until = self.live_until.max(Some(until));
    }

    fn is_enough(&self, after: AlertAfter, now: Timestamp) -> bool {
        self.within(after, now) >= u64::from(after.count.get())
    }

    /// Whether this count was told before; from now on it is.
    ///
    /// Not the number itself says so: the event that reached it may have had another count.
    fn is_told(&mut self, after: AlertAfter) -> bool {
        if self.told.contains(&after) {
            return true;
        }
        if self.told.len() == TOLD_MAX {
            self.told.remove(0);
        }
        self.told.push(after);
        false
    }

    fn within(&self, after: AlertAfter, now: Timestamp) -> u64 {
        let is_within = |at: Timestamp| at <= now && now.since(at) < after.window;
        let ends = [self.events.front(), self.events.back()];
        // They are sorted: with both ends all of them are within.
        if ends.into_iter().flatten().all(|(at, _)| is_within(*at)) {
            return self.total;
        }
        let events = self.events.iter().filter(|(at, _)| is_within(*at));
        events.fold(0, |sum, (_, times)| sum.saturating_add(*times))
    }

    fn is_live(&self, now: Timestamp) -> bool {
        self.live_until.is_some_and(|until| now < until)
    }
}
