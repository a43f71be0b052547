//! The breaker as a pure machine: state, event and time in; state, verdict and events out.
//!
//! | from | what happens | to |
//! |---|---|---|
//! | closed | a verdict makes a rule of the policy hold | open |
//! | open | a call arrives when the open time is over | half-open, and the call is a probe |
//! | half-open | the probes' verdict is good | closed |
//! | half-open | the probes' verdict is bad | open, for longer if the policy escalates |
//! | half-open | it has lasted as long as it may | open or closed, as the policy says |
//! | open | `half_open` | half-open |
//! | any but forced open | `open` | open |
//! | any | `force_open`, `disable`, `metrics_only` | that state |
//! | any | `reset` | closed |
//!
//! Every row that changes the state starts a new period, and so does a reset of a closed breaker.
//! A permit of an earlier period changes nothing.

mod closed;
mod half_open;

use std::sync::Arc;

use self::{
    closed::{Memory, window},
    half_open::Trial,
};
use crate::{
    Counts, Event, Policy, Rejection, State,
    counts::Outcome,
    history::History,
    policy::{Initial, Span},
    time::{Moment, Now, left, nanos},
    trip,
    word::{Flags, Period},
};

/// Number of a probe within its breaker.
pub(crate) type Ordinal = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted(Period, Ordinal),
    Rejected(Rejection),
    NeedsTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Counted,
    Stale,
    NeedsTime,
}

/// Good verdicts that may be booked without the machine, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    None,
    /// So many; with a time window, until its slice ends.
    Some {
        many: u64,
        slice_end: Option<i64>,
    },
}

/// Everything a breaker knows, for one thread at a time.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) policy: Arc<Policy>,
    state: State,
    period: Period,
    /// When the open time or the half-open period ends.
    ///
    /// `None` where it has no end, or nobody knew the time at its start: then it starts at the next
    /// look, so that it may last longer than asked for, never shorter.
    until: Option<i64>,
    /// Of the probes while half-open, frozen while open; closed, only the run of failures.
    counts: Counts,
    /// There once the breaker was half-open.
    trial: Option<Box<Trial>>,
    memory: Option<Box<Memory>>,
    /// Openings since the last close.
    openings: u32,
    /// Rules told of since the counts started, a bit each.
    announced: u8,
    opened: u32,
    history: History,
    /// Tells this breaker's jitter from that of others with the same policy.
    pub(crate) draw: u32,
}

impl Machine {
    /// The policy has been checked.
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        let state = match policy.initial {
            Initial::Closed => State::Closed,
            Initial::Open => State::Open,
            Initial::ForcedOpen => State::ForcedOpen,
            Initial::Disabled => State::Disabled,
            Initial::MetricsOnly => State::MetricsOnly,
        };
        Self {
            memory: window(&policy).map(|w| Box::new(Memory::new(w))),
            policy,
            state,
            period: Period::FIRST,
            until: None,
            counts: Counts::default(),
            trial: None,
            openings: u32::from(state == State::Open),
            announced: 0,
            opened: 0,
            history: History::default(),
            draw: 0,
        }
    }

    /// Starts the initial open time at the origin.
    pub(crate) fn start(&mut self) {
        if self.state == State::Open {
            self.until = Some(self.open_end(0));
        }
    }

    /// A machine that goes on where another was, but for its counts and permits.
    ///
    /// `last_attempt` is the number of the last opening since the last close, if there was one.
    pub(crate) fn resume(&mut self, state: State, until: Option<i64>, last_attempt: Option<u32>) {
        (self.state, self.until) = (state, until);
        self.openings = match state {
            State::Closed => 0,
            State::Open | State::HalfOpen => last_attempt.unwrap_or(0).saturating_add(1),
            _ => last_attempt.map_or(0, |attempt| attempt.saturating_add(1)),
        };
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) const fn period(&self) -> Period {
        self.period
    }

    pub(crate) const fn until(&self) -> Option<i64> {
        self.until
    }

    pub(crate) const fn open_attempt(&self) -> u32 {
        self.openings.saturating_sub(1)
    }

    /// It has opened since the last close.
    pub(crate) const fn has_opened(&self) -> bool {
        self.openings > 0
    }

    pub(crate) const fn opened(&self) -> u32 {
        self.opened
    }

    pub(crate) const fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn flags(&self) -> Flags {
        let policy = &self.policy;
        Flags {
            quiet: self.is_quiet(),
            timed: policy.slow_call.is_some(),
            sliced: matches!(policy.window, Some(Span::Time { .. })),
            dry_run: policy.dry_run,
            own_kinds: !policy.verdicts.is_empty(),
        }
    }

    pub(crate) fn admit(&mut self, now: Now, events: &mut Vec<Event>) -> Admission {
        match (self.state, now) {
            (State::Closed | State::Disabled | State::MetricsOnly, _) => {
                Admission::Admitted(self.period, 0)
            }
            (State::ForcedOpen, _) => Admission::Rejected(Rejection::FORCED_OPEN),
            (State::HalfOpen, now) if !self.probes_are_timed() => self.admit_probe(now, events),
            // A breaker without a clock never gets here: only the caller of admit asks.
            (_, Now::Unread | Now::Unreadable) => Admission::NeedsTime,
            (State::Open, Now::At(moment)) => {
                let until = self.until.unwrap_or_else(|| self.open_end(moment.tick));
                self.until = Some(until);
                self.history.date_last(moment.tick);
                if moment.tick < until {
                    return Admission::Rejected(Rejection::open(left(until, moment.tick)));
                }
                self.start_half_open(moment, events);
                self.admit_probe(now, events)
            }
            (State::HalfOpen, Now::At(moment)) if self.end_half_open(moment, events) => {
                self.admit(now, events)
            }
            (State::HalfOpen, Now::At(_)) => self.admit_probe(now, events),
        }
    }

    pub(crate) fn record(
        &mut self,
        (period, ordinal): (Period, Ordinal),
        outcome: Outcome,
        now: Now,
        events: &mut Vec<Event>,
    ) -> Recorded {
        match self.state {
            _ if period != self.period => Recorded::Stale,
            State::Disabled => Recorded::Counted,
            State::Closed | State::MetricsOnly => self.record_call(outcome, now, events),
            State::HalfOpen => self.record_probe(ordinal, outcome, now, events),
            // No permit is of such a period.
            State::Open | State::ForcedOpen => Recorded::Stale,
        }
    }

    /// Lets time alone do what it does: leases and half-open periods end.
    pub(crate) fn expire(&mut self, moment: Moment, events: &mut Vec<Event>) {
        self.roll(moment.tick);
        if self.state == State::HalfOpen && !self.end_half_open(moment, events) {
            self.reclaim(moment.tick, events);
        }
    }

    /// Opens by hand for the policy's time, or until `until`; forced open it stays so.
    pub(crate) fn open(&mut self, moment: Moment, until: Option<i64>, events: &mut Vec<Event>) {
        if self.state == State::ForcedOpen {
            return;
        }
        self.expire(moment, events);
        if self.state != State::Open {
            self.enter(State::Open, Now::At(moment), events);
        }
        self.until = Some(until.unwrap_or_else(|| self.open_end(moment.tick)));
    }

    /// To a state that only a hand leads to.
    pub(crate) fn switch(&mut self, state: State, events: &mut Vec<Event>) {
        if self.state != state {
            self.enter(state, Now::Unread, events);
        }
    }

    pub(crate) fn reset(&mut self, events: &mut Vec<Event>) {
        self.close(Now::Unread, events);
    }

    const fn run_after(&self, outcome: Outcome) -> u32 {
        if outcome.failed { self.counts.consecutive_failures.saturating_add(1) } else { 0 }
    }

    fn open_end(&self, opened_at: i64) -> i64 {
        // Openings and breakers differ in the draw, so their jitters differ too.
        let draw = u64::from(self.draw) | u64::from(self.opened) << u32::BITS;
        let time = trip::open_time(&self.policy, self.open_attempt(), draw);
        opened_at.saturating_add(nanos(time))
    }

    fn reopen(&mut self, now: Now, events: &mut Vec<Event>) {
        self.enter(State::Open, now, events);
        self.until = now.tick().map(|tick| self.open_end(tick));
    }

    fn close(&mut self, now: Now, events: &mut Vec<Event>) {
        self.openings = 0;
        self.enter(State::Closed, now, events);
    }

    /// Starts a new period; the only place where state and period change.
    fn enter(&mut self, to: State, now: Now, events: &mut Vec<Event>) {
        let (from, counts) = (self.state, self.counts());
        self.state = to;
        self.period = self.period.next();
        self.until = None;
        if let Some(trial) = &mut self.trial {
            trial.in_flight.clear();
            trial.bad = 0;
        }
        self.announced = 0;
        self.counts = if to == State::Open { counts } else { Counts::default() };
        if let Some(memory) = &mut self.memory {
            memory.window.clear();
        }
        if to == State::Open && from != to {
            self.opened = self.opened.saturating_add(1);
            self.openings = self.openings.saturating_add(1);
            self.history.push(now.tick(), self.open_attempt());
        }
        if from != to {
            let (at, period) = (now.instant(), self.period.number());
            events.push(Event::Transition { from, to, at, period, counts });
        }
    }
}
