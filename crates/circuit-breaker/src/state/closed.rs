//! Closed and metrics only: verdicts, what is remembered of them, and what is granted in advance.

use std::{sync::Arc, time::Duration};

use super::{Machine, Recorded, Room};
use crate::{
    Counts, Event, Policy, Rule, State,
    allowance::Granted,
    counts::Outcome,
    policy::Span,
    time::{Now, nanos},
    trip,
    window::{Ring, Slices, Window},
};

/// The window, and what of it is granted to callers.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) window: Window,
    granted: Granted,
}

impl Memory {
    pub(super) fn new(window: Window) -> Self {
        Self { window, granted: Granted::default() }
    }
}

impl Machine {
    /// As of the last call of [`roll`](Self::roll).
    pub(crate) fn counts(&self) -> Counts {
        let run = self.counts.consecutive_failures;
        match self.window() {
            _ if !self.is_counting() => self.counts,
            Some(window) => Counts { consecutive_failures: run, ..window.counts() },
            None => Counts { failure: run.into(), consecutive_failures: run, ..Counts::default() },
        }
    }

    /// One more good verdict would change nothing.
    ///
    /// A full window of nothing but good verdicts looks the same after one more of them.
    pub(super) fn is_quiet(&self) -> bool {
        match (&self.state, self.window()) {
            (State::Disabled, _) => true,
            _ if !self.is_counting() || self.counts.consecutive_failures > 0 => false,
            (_, None) => true,
            (_, Some(Window::Ring(ring))) => ring.is_full() && ring.counts().is_clean(),
            (_, Some(Window::Slices(_))) => false,
        }
    }

    /// How many good verdicts may come before the machine has to look again.
    pub(crate) fn room(&self) -> Room {
        let Some(window) = self.window() else { return Room::None };
        if !self.is_counting() || self.counts.consecutive_failures > 0 || self.is_quiet() {
            return Room::None;
        }
        let now = self.counts();
        let mut next = now;
        next.add(Outcome::GOOD, 1);
        let looms = |rule| self.announced & bit(rule) == 0;
        // A full ring forgets one for each that comes, so a rule that a new policy made hold may go on to hold.
        if [now, next].into_iter().flat_map(|at| trip::rules_met(&self.policy, at)).any(looms) {
            return Room::None;
        }
        let safe = trip::safe_good(&self.policy, now);
        match window {
            Window::Ring(ring) => {
                let many = safe.min(ring.room_for_good().into());
                if many == 0 { Room::None } else { Room::Some { many, slice_end: None } }
            }
            // Divided among threads a part of it would be lost, so it is all or nothing.
            Window::Slices(slices) if safe == u64::MAX => match slices.slice_end() {
                None => Room::None,
                slice_end => Room::Some { many: safe, slice_end },
            },
            Window::Slices(_) => Room::None,
        }
    }

    /// What is granted of the window, if there is one.
    pub(crate) fn granted(&mut self) -> Option<&mut Granted> {
        self.memory.as_mut().map(|memory| &mut memory.granted)
    }

    /// Books good verdicts that were granted by [`room`](Self::room).
    pub(crate) fn book_good(&mut self, many: u64) {
        if let Some(memory) = &mut self.memory {
            memory.window.push_good(many);
        }
    }

    /// Forgets what is too old, where verdicts are counted by time.
    pub(crate) fn roll(&mut self, tick: i64) {
        if self.is_counting()
            && let Some(memory) = &mut self.memory
        {
            memory.window.roll(tick);
        }
    }

    pub(super) fn record_call(
        &mut self,
        outcome: Outcome,
        now: Now,
        events: &mut Vec<Event>,
    ) -> Recorded {
        let is_sliced = matches!(self.window(), Some(Window::Slices(_)));
        match now {
            Now::Unread if is_sliced => return Recorded::NeedsTime,
            Now::At(moment) => self.roll(moment.tick),
            Now::Unread | Now::Unreadable => {}
        }
        if self.state == State::Closed && matches!(now, Now::Unread) && self.would_trip(outcome) {
            return Recorded::NeedsTime;
        }
        self.counts.consecutive_failures = self.run_after(outcome);
        if let Some(memory) = &mut self.memory {
            memory.window.push(outcome);
        }
        self.reconsider(now, events);
        Recorded::Counted
    }

    /// Tells of the rules that hold, and opens a closed breaker if one does.
    pub(crate) fn reconsider(&mut self, now: Now, events: &mut Vec<Event>) {
        if !self.is_counting() {
            return;
        }
        let counts = self.counts();
        let trips = trip::rules_met(&self.policy, counts).next().is_some();
        self.announce(counts, events);
        if trips && self.state == State::Closed {
            self.enter(State::Open, now, events);
            self.until = now.tick().map(|tick| self.open_end(tick));
        }
    }

    /// A verdict would open the breaker; of a count window, or of a run of failures.
    pub(super) fn would_trip(&self, outcome: Outcome) -> bool {
        let run = self.run_after(outcome);
        let counts = match self.window() {
            Some(Window::Ring(ring)) => ring.preview(outcome),
            _ => Counts { failure: run.into(), ..Counts::default() },
        };
        let counts = Counts { consecutive_failures: run, ..counts };
        trip::rules_met(&self.policy, counts).next().is_some()
    }

    /// Tells of the rules that hold, each once until the counts start again.
    pub(super) fn announce(&mut self, counts: Counts, events: &mut Vec<Event>) {
        for rule in trip::rules_met(&self.policy, counts) {
            if self.announced & bit(rule) == 0 {
                self.announced |= bit(rule);
                events.push(Event::Threshold { rule, counts });
            }
        }
    }

    /// Puts another policy in force; state, counts and permits stay.
    pub(crate) fn reconfigure(&mut self, policy: Arc<Policy>) {
        if policy.window != self.policy.window {
            let old = self.memory.take();
            let mut next = window(&policy).map(Memory::new);
            if let (Some(next), Some(old)) = (&mut next, old) {
                next.window.take_over(&old.window);
                // The cells go on counting grants from here.
                next.granted = old.granted;
            }
            self.memory = next.map(Box::new);
        }
        self.policy = policy;
    }

    pub(super) fn window(&self) -> Option<&Window> {
        self.memory.as_ref().map(|memory| &memory.window)
    }

    pub(super) const fn is_counting(&self) -> bool {
        matches!(self.state, State::Closed | State::MetricsOnly)
    }
}

const fn bit(rule: Rule) -> u8 {
    1 << rule as u8
}

pub(super) fn window(policy: &Policy) -> Option<Window> {
    let window = match policy.window? {
        Span::Count(size) => Window::Ring(Ring::new(size)),
        Span::Time { length, slices } => {
            let slice: Duration = length / slices;
            Window::Slices(Slices::new(slices, nanos(slice)))
        }
    };
    Some(window)
}
