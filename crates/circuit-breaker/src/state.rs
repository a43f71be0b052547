//! The breaker as a pure machine: state, event and time in; state, verdict and events out.
//!
//! | from | what happens | to |
//! |---|---|---|
//! | closed | a verdict makes a rule of the policy hold | open |
//! | open | a call arrives when the open time is over | half-open, and the call is a probe |
//! | half-open | the probes' verdict is good | closed |
//! | half-open | the probes' verdict is bad | open, for longer if the policy escalates |
//! | any | `force_open`, `disable`, `metrics_only` | that state, until a reset |
//! | any | `reset` | closed |
//!
//! Every row starts a new period, and so does a reset of a closed breaker.
//! A permit of an earlier period changes nothing.

use std::{
    mem,
    time::{Duration, Instant},
};

use crate::{
    Counts, Event, Policy, Rejection, State, policy::ProbeVerdict, window::Window, word::Period,
};

/// How a guarded call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
}

/// What is known of the present.
///
/// Reading the time costs more than all the rest, so nobody reads it before it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now {
    /// Not read yet; the machine answers `NeedsTime`, unchanged, if it cannot go on without.
    Unread,
    At(Instant),
    /// Cannot be read: the permit was dropped by a panic, and there is no clock to ask.
    Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted(Period),
    Rejected(Rejection),
    NeedsTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Counted,
    Stale,
    NeedsTime,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open {
        /// `None` when nobody knew the time at the opening: the open time starts at the next look,
        /// so that it may last longer than asked for, never shorter.
        until: Option<Instant>,
    },
    HalfOpen {
        /// Probes without a verdict.
        in_flight: u32,
    },
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

/// Everything a breaker knows, for one thread at a time.
#[derive(Debug)]
pub(crate) struct Machine {
    policy: Policy,
    phase: Phase,
    period: Period,
    counts: Counts,
    window: Option<Window>,
    /// Openings since the last close, less one.
    open_attempt: u32,
    /// Rules told of since the counts started, a bit each.
    announced: u8,
    /// What has happened since the last [`take_events`](Self::take_events).
    events: Vec<Event>,
}

impl Machine {
    /// The policy has been checked.
    pub(crate) fn new(policy: Policy) -> Self {
        let window = policy.window_size().map(Window::new);
        Self {
            policy,
            phase: Phase::Closed,
            period: Period::FIRST,
            counts: Counts::default(),
            window,
            open_attempt: 0,
            announced: 0,
            events: Vec::new(),
        }
    }

    pub(crate) const fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::Disabled => State::Disabled,
            Phase::MetricsOnly => State::MetricsOnly,
        }
    }

    pub(crate) const fn period(&self) -> Period {
        self.period
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) const fn open_attempt(&self) -> u32 {
        self.open_attempt
    }

    /// When the open time ends, if it has an end that is known.
    pub(crate) const fn open_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => until,
            _ => None,
        }
    }

    /// Takes over the run of failures from whoever counted it outside.
    pub(crate) const fn set_run(&mut self, run: u32) {
        self.counts = Counts { success: 0, failure: run, consecutive_failures: run };
    }

    pub(crate) fn admit(&mut self, now: Now) -> Admission {
        match self.phase {
            Phase::Closed | Phase::Disabled | Phase::MetricsOnly => {
                Admission::Admitted(self.period)
            }
            Phase::Open { until } => {
                let Now::At(now) = now else { return Admission::NeedsTime };
                let until = until.unwrap_or_else(|| self.open_end(now));
                let left = until.saturating_duration_since(now);
                if left > Duration::ZERO {
                    self.phase = Phase::Open { until: Some(until) };
                    return Admission::Rejected(Rejection::open(left));
                }
                self.enter(Phase::HalfOpen { in_flight: 0 });
                self.admit_probe(0)
            }
            Phase::HalfOpen { in_flight } => self.admit_probe(in_flight),
            Phase::ForcedOpen => Admission::Rejected(Rejection::FORCED_OPEN),
        }
    }

    pub(crate) fn record(&mut self, period: Period, verdict: Verdict, now: Now) -> Recorded {
        match self.phase {
            _ if period != self.period => Recorded::Stale,
            Phase::Closed => self.record_call(verdict, now),
            Phase::HalfOpen { in_flight } => self.record_probe(in_flight, verdict, now),
            Phase::MetricsOnly => {
                let counts = self.preview(verdict);
                self.take(verdict, counts);
                self.announce(counts);
                Recorded::Counted
            }
            Phase::Disabled => Recorded::Counted,
            // No permit is of such a period.
            Phase::Open { .. } | Phase::ForcedOpen => Recorded::Stale,
        }
    }

    /// A permit ends without a verdict: a probe's slot is free again.
    pub(crate) fn release(&mut self, period: Period) {
        if let Phase::HalfOpen { in_flight } = &mut self.phase
            && period == self.period
        {
            *in_flight -= 1;
        }
    }

    pub(crate) fn force_open(&mut self) {
        if self.state() != State::ForcedOpen {
            self.enter(Phase::ForcedOpen);
        }
    }

    pub(crate) fn disable(&mut self) {
        if self.state() != State::Disabled {
            self.enter(Phase::Disabled);
        }
    }

    pub(crate) fn metrics_only(&mut self) {
        if self.state() != State::MetricsOnly {
            self.enter(Phase::MetricsOnly);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.close();
    }

    /// What happened, in order; empty and without allocation unless something did.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    fn admit_probe(&mut self, in_flight: u32) -> Admission {
        if self.counts.total() + in_flight >= self.policy.probes() {
            return Admission::Rejected(Rejection::HALF_OPEN_FULL);
        }
        self.phase = Phase::HalfOpen { in_flight: in_flight + 1 };
        Admission::Admitted(self.period)
    }

    fn record_call(&mut self, verdict: Verdict, now: Now) -> Recorded {
        let counts = self.preview(verdict);
        let trips = self.policy.rules_met(counts).next().is_some();
        let until = match (trips, now) {
            (true, Now::Unread) => return Recorded::NeedsTime,
            (true, Now::At(now)) => Some(self.open_end(now)),
            (true, Now::Unreadable) | (false, _) => None,
        };
        self.take(verdict, counts);
        if trips {
            self.announce(counts);
            self.enter(Phase::Open { until });
        }
        Recorded::Counted
    }

    /// Books a verdict that leads to `counts`.
    fn take(&mut self, verdict: Verdict, counts: Counts) {
        self.counts = counts;
        if let Some(window) = &mut self.window {
            window.push(verdict);
        }
    }

    /// Tells of the rules that hold, each once until the counts start again.
    fn announce(&mut self, counts: Counts) {
        for rule in self.policy.rules_met(counts) {
            let bit = 1 << rule as u8;
            if self.announced & bit == 0 {
                self.announced |= bit;
                self.events.push(Event::Threshold { rule, counts });
            }
        }
    }

    fn record_probe(&mut self, in_flight: u32, verdict: Verdict, now: Now) -> Recorded {
        let counts = probed(self.counts, verdict);
        let judged = self.policy.judge_probes(counts);
        if judged == ProbeVerdict::Reopen && matches!(now, Now::Unread) {
            return Recorded::NeedsTime;
        }
        self.counts = counts;
        match judged {
            ProbeVerdict::Wait => self.phase = Phase::HalfOpen { in_flight: in_flight - 1 },
            ProbeVerdict::Close => self.close(),
            ProbeVerdict::Reopen => {
                self.open_attempt = self.open_attempt.saturating_add(1);
                let until = match now {
                    Now::At(now) => Some(self.open_end(now)),
                    Now::Unread | Now::Unreadable => None,
                };
                self.enter(Phase::Open { until });
            }
        }
        Recorded::Counted
    }

    /// The counts of a closed breaker after one more verdict.
    fn preview(&self, verdict: Verdict) -> Counts {
        let run = run_after(self.counts, verdict);
        match &self.window {
            Some(window) => {
                Counts { consecutive_failures: run, ..window.preview(self.counts, verdict) }
            }
            None => Counts { success: 0, failure: run, consecutive_failures: run },
        }
    }

    fn open_end(&self, opened_at: Instant) -> Instant {
        saturating_add(opened_at, self.policy.open_time(self.open_attempt))
    }

    fn close(&mut self) {
        self.open_attempt = 0;
        self.enter(Phase::Closed);
    }

    /// Starts a new period; the only place where state and period change.
    fn enter(&mut self, phase: Phase) {
        let (from, counts) = (self.state(), self.counts);
        self.phase = phase;
        self.period = self.period.next();
        let to = self.state();
        if to != State::Open {
            self.counts = Counts::default();
            self.announced = 0;
            if let Some(window) = &mut self.window {
                window.clear();
            }
        }
        if from != to {
            self.events.push(Event::Transition { from, to, period: self.period.number(), counts });
        }
    }
}

const fn run_after(counts: Counts, verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Success => 0,
        Verdict::Failure => counts.consecutive_failures.saturating_add(1),
    }
}

/// The counts of a half-open breaker after one more verdict; the limit of probes bounds them.
const fn probed(counts: Counts, verdict: Verdict) -> Counts {
    let consecutive_failures = run_after(counts, verdict);
    match verdict {
        Verdict::Success => Counts { success: counts.success + 1, consecutive_failures, ..counts },
        Verdict::Failure => Counts { failure: counts.failure + 1, consecutive_failures, ..counts },
    }
}

/// What a clock cannot express any more is a hundred years away, which is as good as never.
fn saturating_add(at: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(100 * 365 * 24);
    at.checked_add(by).or_else(|| at.checked_add(FAR)).unwrap_or(at)
}
