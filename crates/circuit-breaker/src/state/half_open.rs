//! Half-open: probes, their slots and leases, and how long the period may last.

use super::{Admission, Machine, Ordinal, Recorded};
use crate::{
    Event, Rejection, State,
    counts::Outcome,
    policy::AfterHalfOpen,
    time::{Moment, Now, left, nanos},
    trip::{self, ProbeVerdict},
    word::Period,
};

/// A probe in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    ordinal: Ordinal,
    /// When its lease ends; `i64::MAX` without one.
    until: i64,
}

/// The probes of the half-open period.
#[derive(Debug, Default)]
pub(super) struct Trial {
    pub(super) in_flight: Vec<Probe>,
    /// Probes that failed, or were slow where that counts.
    pub(super) bad: u32,
    next: Ordinal,
    /// Probes that lost their slots, since the breaker was made.
    reclaimed: u64,
}

impl Machine {
    pub(crate) fn reclaimed(&self) -> u64 {
        self.trial.as_ref().map_or(0, |trial| trial.reclaimed)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        let probes = self.trial.as_ref().map_or(0, |trial| trial.in_flight.len());
        u32::try_from(probes).unwrap_or(u32::MAX)
    }

    /// Half-open by hand; false where that is no way to go.
    pub(crate) fn half_open(&mut self, moment: Moment, events: &mut Vec<Event>) -> bool {
        self.expire(moment, events);
        if self.state == State::Open {
            self.start_half_open(moment, events);
        }
        self.state == State::HalfOpen
    }

    pub(super) fn start_half_open(&mut self, moment: Moment, events: &mut Vec<Event>) {
        self.enter(State::HalfOpen, Now::At(moment), events);
        let max = self.policy.half_open_max.as_ref();
        self.until = max.map(|max| moment.tick.saturating_add(nanos(max.time)));
    }

    /// Ends a half-open period that is over; true if it was.
    pub(super) fn end_half_open(&mut self, moment: Moment, events: &mut Vec<Event>) -> bool {
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

    pub(super) fn probes_are_timed(&self) -> bool {
        self.policy.probe_lease.is_some() || self.policy.half_open_max.is_some()
    }

    pub(super) fn admit_probe(&mut self, now: Now, events: &mut Vec<Event>) -> Admission {
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
    pub(super) fn admit_judged(&mut self, now: Now, events: &mut Vec<Event>) -> Admission {
        match trip::judge_probes(&self.policy, self.counts, self.bad_probes()) {
            ProbeVerdict::Close => self.close(now, events),
            _ if matches!(now, Now::Unread) => return Admission::NeedsTime,
            ProbeVerdict::Reopen | ProbeVerdict::Wait => self.reopen(now, events),
        }
        self.admit(now, events)
    }

    pub(super) fn record_probe(
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

    /// A permit ends without a verdict: a probe's slot is free again.
    pub(crate) fn release(&mut self, (period, ordinal): (Period, Ordinal)) {
        if self.state == State::HalfOpen
            && period == self.period
            && let Some(trial) = &mut self.trial
        {
            trial.in_flight.retain(|probe| probe.ordinal != ordinal);
        }
    }

    /// Takes the slots of probes whose lease is over.
    pub(super) fn reclaim(&mut self, tick: i64, events: &mut Vec<Event>) {
        let Some(trial) = &mut self.trial else { return };
        let before = trial.in_flight.len();
        trial.in_flight.retain(|probe| tick < probe.until);
        for _ in trial.in_flight.len()..before {
            trial.reclaimed += 1;
            events.push(Event::ProbeReclaimed { period: self.period.number() });
        }
    }

    pub(super) fn bad_probes(&self) -> u32 {
        self.trial.as_ref().map_or(0, |trial| trial.bad)
    }
}
