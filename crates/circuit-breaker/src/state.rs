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
//! | any | `open`, `force_open`, `disable`, `metrics_only` | that state |
//! | any | `reset` | closed |
//!
//! Every row that changes the state starts a new period, and so does a reset of a closed breaker.
//! A permit of an earlier period changes nothing.

use std::{sync::Arc, time::Duration};

use crate::{
    Counts, Event, Policy, Rejection, State,
    allowance::Granted,
    counts::Outcome,
    history::History,
    policy::{AfterHalfOpen, Initial, Span},
    time::{Moment, Now, left, nanos},
    trip::{self, ProbeVerdict},
    window::{Ring, Slices, Window},
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

/// A probe in flight.
#[derive(Clone, Copy, Debug)]
struct Probe {
    ordinal: Ordinal,
    /// When its lease ends; `i64::MAX` without one.
    until: i64,
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
    /// Openings since the last close, less one.
    open_attempt: u32,
    /// Rules told of since the counts started, a bit each.
    announced: u8,
    opened: u32,
    history: History,
    /// Tells this breaker's jitter from that of others with the same policy.
    pub(crate) draw: u32,
}

/// The probes of the half-open period.
#[derive(Debug, Default)]
struct Trial {
    in_flight: Vec<Probe>,
    /// Probes that failed, or were slow where that counts.
    bad: u32,
    next: Ordinal,
    /// Probes that lost their slots, since the breaker was made.
    reclaimed: u64,
}

/// The window, and what of it is granted to callers.
#[derive(Debug)]
struct Memory {
    window: Window,
    granted: Granted,
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
            open_attempt: 0,
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
    pub(crate) fn resume(&mut self, state: State, until: Option<i64>, open_attempt: u32) {
        (self.state, self.until, self.open_attempt) = (state, until, open_attempt);
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
        self.open_attempt
    }

    pub(crate) const fn opened(&self) -> u32 {
        self.opened
    }

    pub(crate) fn reclaimed(&self) -> u64 {
        self.trial.as_ref().map_or(0, |trial| trial.reclaimed)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        let probes = self.trial.as_ref().map_or(0, |trial| trial.in_flight.len());
        u32::try_from(probes).unwrap_or(u32::MAX)
    }

    /// What is granted of the window, if there is one.
    pub(crate) fn granted(&mut self) -> Option<&mut Granted> {
        self.memory.as_mut().map(|memory| &mut memory.granted)
    }

    pub(crate) const fn history(&self) -> &History {
        &self.history
    }

    /// As of the last call of [`roll`](Self::roll).
    pub(crate) fn counts(&self) -> Counts {
        let run = self.counts.consecutive_failures;
        match self.window() {
            _ if !self.is_counting() => self.counts,
            Some(window) => Counts { consecutive_failures: run, ..window.counts() },
            None => Counts { failure: run.into(), consecutive_failures: run, ..Counts::default() },
        }
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

    /// One more good verdict would change nothing.
    ///
    /// A full window of nothing but good verdicts looks the same after one more of them.
    fn is_quiet(&self) -> bool {
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
        let mut next = self.counts();
        next.add(Outcome::GOOD, 1);
        let looms = |rule| self.announced & bit(rule) == 0;
        if trip::rules_met(&self.policy, next).any(looms) {
            return Room::None;
        }
        let safe = trip::safe_good(&self.policy, self.counts());
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

    /// A permit ends without a verdict: a probe's slot is free again.
    pub(crate) fn release(&mut self, (period, ordinal): (Period, Ordinal)) {
        if self.state == State::HalfOpen
            && period == self.period
            && let Some(trial) = &mut self.trial
        {
            trial.in_flight.retain(|probe| probe.ordinal != ordinal);
        }
    }

    /// Lets time alone do what it does: leases and half-open periods end.
    pub(crate) fn expire(&mut self, moment: Moment, events: &mut Vec<Event>) {
        self.roll(moment.tick);
        if self.state == State::HalfOpen && !self.end_half_open(moment, events) {
            self.reclaim(moment.tick, events);
        }
    }

    /// Opens by hand for the policy's time, or until `until`.
    pub(crate) fn open(&mut self, moment: Moment, until: Option<i64>, events: &mut Vec<Event>) {
        if self.state == State::HalfOpen {
            self.open_attempt = self.open_attempt.saturating_add(1);
        }
        if self.state != State::Open {
            self.enter(State::Open, Now::At(moment), events);
        }
        self.until = Some(until.unwrap_or_else(|| self.open_end(moment.tick)));
    }

    /// Half-open by hand; false where that is no way to go.
    pub(crate) fn half_open(&mut self, moment: Moment, events: &mut Vec<Event>) -> bool {
        if self.state == State::Open {
            self.start_half_open(moment, events);
        }
        self.state == State::HalfOpen
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

    fn window(&self) -> Option<&Window> {
        self.memory.as_ref().map(|memory| &memory.window)
    }

    const fn is_counting(&self) -> bool {
        matches!(self.state, State::Closed | State::MetricsOnly)
    }

    fn probes_are_timed(&self) -> bool {
        self.policy.probe_lease.is_some() || self.policy.half_open_max.is_some()
    }

    fn start_half_open(&mut self, moment: Moment, events: &mut Vec<Event>) {
        self.enter(State::HalfOpen, Now::At(moment), events);
        let max = self.policy.half_open_max.as_ref();
        self.until = max.map(|max| moment.tick.saturating_add(nanos(max.time)));
    }

    /// Ends a half-open period that is over; true if it was.
    fn end_half_open(&mut self, moment: Moment, events: &mut Vec<Event>) -> bool {
        let Some(max) = self.policy.half_open_max else { return false };
        // A period that a reconfiguration gave its limit has no end yet: it starts now.
        let until = self.until.unwrap_or(moment.tick.saturating_add(nanos(max.time)));
        self.until = Some(until);
        if moment.tick < until {
            return false;
        }
        // As if somebody had looked right then.
        let end = Now::At(moment.back_to(until));
        match max.then {
            AfterHalfOpen::Open => self.reopen(end, events),
            AfterHalfOpen::Closed => self.close(end, events),
        }
        true
    }

    fn admit_probe(&mut self, now: Now, events: &mut Vec<Event>) -> Admission {
        if let Some(tick) = now.tick() {
            self.reclaim(tick, events);
        }
        let taken = self.counts.total().saturating_add(self.in_flight().into());
        if taken >= self.policy.probes.into() {
            // A reconfiguration may have asked for fewer probes than have answered already.
            if self.in_flight() == 0 {
                return self.admit_judged(now, events);
            }
            let probes = self.trial.iter().flat_map(|trial| &trial.in_flight);
            let oldest = probes.map(|probe| probe.until).min();
            let rest = match (oldest, now.tick()) {
                (Some(until), Some(tick)) if until < i64::MAX => Some(left(until, tick)),
                _ => None,
            };
            return Admission::Rejected(Rejection::half_open_full(rest));
        }
        let lease = match (self.policy.probe_lease, now.tick()) {
            (Some(lease), Some(tick)) => tick.saturating_add(nanos(lease)),
            _ => i64::MAX,
        };
        let trial = self.trial.get_or_insert_default();
        let ordinal = trial.next;
        trial.next += 1;
        trial.in_flight.push(Probe { ordinal, until: lease });
        Admission::Admitted(self.period, ordinal)
    }

    /// Admits to what becomes of a half-open period in which nothing is left to wait for.
    fn admit_judged(&mut self, now: Now, events: &mut Vec<Event>) -> Admission {
        match trip::judge_probes(&self.policy, self.counts, self.bad_probes()) {
            ProbeVerdict::Close => self.close(now, events),
            _ if matches!(now, Now::Unread) => return Admission::NeedsTime,
            ProbeVerdict::Reopen | ProbeVerdict::Wait => self.reopen(now, events),
        }
        self.admit(now, events)
    }

    /// Takes the slots of probes whose lease is over.
    fn reclaim(&mut self, tick: i64, events: &mut Vec<Event>) {
        let Some(trial) = &mut self.trial else { return };
        let before = trial.in_flight.len();
        trial.in_flight.retain(|probe| tick < probe.until);
        for _ in trial.in_flight.len()..before {
            trial.reclaimed += 1;
            events.push(Event::ProbeReclaimed { period: self.period.number() });
        }
    }

    fn record_call(&mut self, outcome: Outcome, now: Now, events: &mut Vec<Event>) -> Recorded {
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
    fn would_trip(&self, outcome: Outcome) -> bool {
        let run = self.run_after(outcome);
        let counts = match self.window() {
            Some(Window::Ring(ring)) => ring.preview(outcome),
            _ => Counts { failure: run.into(), ..Counts::default() },
        };
        let counts = Counts { consecutive_failures: run, ..counts };
        trip::rules_met(&self.policy, counts).next().is_some()
    }

    /// Tells of the rules that hold, each once until the counts start again.
    fn announce(&mut self, counts: Counts, events: &mut Vec<Event>) {
        for rule in trip::rules_met(&self.policy, counts) {
            if self.announced & bit(rule) == 0 {
                self.announced |= bit(rule);
                events.push(Event::Threshold { rule, counts });
            }
        }
    }

    fn record_probe(
        &mut self,
        ordinal: Ordinal,
        outcome: Outcome,
        now: Now,
        events: &mut Vec<Event>,
    ) -> Recorded {
        if matches!(now, Now::Unread) && self.probes_are_timed() {
            return Recorded::NeedsTime;
        }
        if let Now::At(moment) = now {
            if self.end_half_open(moment, events) {
                return Recorded::Stale;
            }
            self.reclaim(moment.tick, events);
        }
        let mut in_flight = self.trial.iter().flat_map(|trial| &trial.in_flight);
        let Some(place) = in_flight.position(|probe| probe.ordinal == ordinal) else {
            return Recorded::Stale;
        };
        let mut counts = self.counts;
        counts.add(outcome, 1);
        counts.consecutive_failures = self.run_after(outcome);
        let is_bad = outcome.failed || (outcome.slow && self.policy.slow_rate.is_some());
        let bad = self.bad_probes() + u32::from(is_bad);
        let judged = trip::judge_probes(&self.policy, counts, bad);
        if judged == ProbeVerdict::Reopen && matches!(now, Now::Unread) {
            return Recorded::NeedsTime;
        }
        self.counts = counts;
        if let Some(trial) = &mut self.trial {
            trial.bad = bad;
            trial.in_flight.swap_remove(place);
        }
        match judged {
            ProbeVerdict::Wait => {}
            ProbeVerdict::Close => self.close(now, events),
            ProbeVerdict::Reopen => self.reopen(now, events),
        }
        Recorded::Counted
    }

    fn bad_probes(&self) -> u32 {
        self.trial.as_ref().map_or(0, |trial| trial.bad)
    }

    const fn run_after(&self, outcome: Outcome) -> u32 {
        if outcome.failed { self.counts.consecutive_failures.saturating_add(1) } else { 0 }
    }

    fn open_end(&self, opened_at: i64) -> i64 {
        // Openings and breakers differ in the draw, so their jitters differ too.
        let draw = u64::from(self.draw) | u64::from(self.opened) << u32::BITS;
        let time = trip::open_time(&self.policy, self.open_attempt, draw);
        opened_at.saturating_add(nanos(time))
    }

    fn reopen(&mut self, now: Now, events: &mut Vec<Event>) {
        self.open_attempt = self.open_attempt.saturating_add(1);
        self.enter(State::Open, now, events);
        self.until = now.tick().map(|tick| self.open_end(tick));
    }

    fn close(&mut self, now: Now, events: &mut Vec<Event>) {
        self.open_attempt = 0;
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
            self.history.push(now.tick(), self.open_attempt);
        }
        if from != to {
            let (at, period) = (now.instant(), self.period.number());
            events.push(Event::Transition { from, to, at, period, counts });
        }
    }
}

const fn bit(rule: crate::Rule) -> u8 {
    1 << rule as u8
}

impl Memory {
    fn new(window: Window) -> Self {
        Self { window, granted: Granted::default() }
    }
}

fn window(policy: &Policy) -> Option<Window> {
    let window = match policy.window? {
        Span::Count(size) => Window::Ring(Ring::new(size)),
        Span::Time { length, slices } => {
            let slice: Duration = length / slices;
            Window::Slices(Slices::new(slices, nanos(slice)))
        }
    };
    Some(window)
}
