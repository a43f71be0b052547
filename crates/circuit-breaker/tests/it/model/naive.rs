//! The rules read aloud: everything is kept, everything is counted again each time.

use backstop_circuit_breaker::{AfterHalfOpen, ProbeRule, Reason, State};

use super::{Rules, Window};

#[derive(Clone, Copy, Debug)]
struct Verdict {
    /// `None` when nobody knew the time: then it belongs to the newest slice there is.
    at: Option<u64>,
    failed: bool,
    slow: bool,
}

/// What the model remembers of a permit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    period: u64,
    number: u64,
    admitted: u64,
}

pub(crate) struct Model {
    rules: Rules,
    pub(crate) state: State,
    period: u64,
    /// Those of the period before while open.
    verdicts: Vec<Verdict>,
    /// While open: when the counts were frozen, and whether they are those of probes.
    frozen: Option<(u64, bool)>,
    probes: Vec<Held>,
    permits: u64,
    /// The newest time that was told to the window.
    newest: u64,
    /// The end of the open time, or of the half-open period; `None` after an opening by a panic.
    until: Option<u64>,
    /// Openings since the last close.
    openings: u32,
    pub(crate) opened: u64,
    pub(crate) stale: u64,
    pub(crate) reclaimed: u64,
    /// Which of the four rules were told since the counts started, and how often in all.
    told: [bool; 4],
    pub(crate) thresholds: [u64; 4],
}

impl Model {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Closed,
            period: 0,
            verdicts: Vec::new(),
            frozen: None,
            probes: Vec::new(),
            permits: 0,
            newest: 0,
            until: None,
            openings: 0,
            opened: 0,
            stale: 0,
            reclaimed: 0,
            told: [false; 4],
            thresholds: [0; 4],
        }
    }

    /// Other thresholds for the same window; they are looked at with the next verdict.
    pub(crate) fn reconfigure(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Another process goes on: counts, permits and totals are gone, the rest is not.
    pub(crate) fn restart(&mut self, now: u64) {
        self.expire(now);
        self.verdicts.clear();
        self.probes.clear();
        self.told = [false; 4];
        (self.opened, self.stale, self.reclaimed) = (0, 0, 0);
        self.newest = now;
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.probes.len().try_into().unwrap()
    }

    pub(crate) fn reopenings(&self) -> u32 {
        self.openings.saturating_sub(1)
    }

    fn open_ms(&self) -> u64 {
        match self.rules.doubles_to_ms {
            Some(limit) => (self.rules.open_ms << self.reopenings().min(20)).min(limit),
            None => self.rules.open_ms,
        }
    }

    fn enter(&mut self, state: State) {
        if state == State::Open {
            self.frozen = Some((self.newest, self.state == State::HalfOpen));
            if !matches!(self.state, State::Closed | State::HalfOpen | State::MetricsOnly) {
                self.verdicts.clear();
            }
        } else {
            self.frozen = None;
            self.verdicts.clear();
        }
        self.told = [false; 4];
        self.state = state;
        self.period += 1;
        self.probes.clear();
        self.until = None;
    }

    fn open(&mut self, now: Option<u64>) {
        self.opened += 1;
        self.openings += 1;
        self.enter(State::Open);
        self.until = now.map(|now| now + self.open_ms());
    }

    pub(crate) fn close(&mut self) {
        self.openings = 0;
        self.enter(State::Closed);
    }

    pub(crate) fn switch(&mut self, state: State) {
        if self.state != state {
            self.enter(state);
        }
    }

    pub(crate) fn open_by_hand(&mut self, now: u64, until: Option<u64>) {
        self.expire(now);
        match self.state {
            State::ForcedOpen => return,
            State::Open => {}
            _ => self.open(Some(now)),
        }
        self.until = Some(until.unwrap_or(now + self.open_ms()));
    }

    pub(crate) fn half_open_by_hand(&mut self, now: u64) -> bool {
        self.expire(now);
        if self.state == State::Open {
            self.start_half_open(now);
        }
        self.state == State::HalfOpen
    }

    fn start_half_open(&mut self, now: u64) {
        self.enter(State::HalfOpen);
        self.until = self.rules.half_open_max.map(|(max, _)| now + max);
    }

    /// Ends what the time ends: an overlong half-open period, else leases.
    pub(crate) fn expire(&mut self, now: u64) {
        if self.state != State::HalfOpen {
            return;
        }
        if let (Some(until), Some((_, then))) = (self.until, self.rules.half_open_max)
            && now >= until
        {
            return match then {
                AfterHalfOpen::Open => self.open(Some(until)),
                AfterHalfOpen::Closed => self.close(),
            };
        }
        if let Some(lease) = self.rules.lease_ms {
            let before = self.in_flight();
            self.probes.retain(|probe| now < probe.admitted + lease);
            self.reclaimed += before - self.in_flight();
        }
    }

    /// `Err` with the reason and how long to wait.
    pub(crate) fn admit(&mut self, now: u64) -> Result<Held, (Reason, Option<u64>)> {
        self.expire(now);
        if self.state == State::Open {
            let until = self.until.unwrap_or(now + self.open_ms());
            self.until = Some(until);
            if now < until {
                return Err((Reason::Open, Some(until - now)));
            }
            self.start_half_open(now);
        }
        let held = Held { period: self.period, number: self.permits, admitted: now };
        self.permits += 1;
        match self.state {
            State::ForcedOpen => return Err((Reason::ForcedOpen, None)),
            State::HalfOpen if self.verdicts.len() + self.probes.len() == self.rules.probes => {
                let oldest = self.probes.iter().map(|probe| probe.admitted).min();
                let rest = oldest.zip(self.rules.lease_ms).map(|(at, lease)| at + lease - now);
                return Err((Reason::HalfOpenFull, rest));
            }
            State::HalfOpen => self.probes.push(held),
            _ => {}
        }
        Ok(held)
    }

    pub(crate) fn release(&mut self, held: Held) {
        self.probes.retain(|probe| probe.number != held.number);
    }

    pub(crate) fn record(&mut self, held: Held, failed: bool, now: Option<u64>) {
        let is_late = held.period != self.period;
        if let (Some(now), false) = (now, is_late) {
            self.expire(now);
        }
        let is_probe = self.probes.iter().any(|probe| probe.number == held.number);
        if held.period != self.period || (self.state == State::HalfOpen && !is_probe) {
            self.stale += 1;
            return;
        }
        let took = now.map(|now| now - held.admitted);
        let slow = self.rules.slow.is_some_and(|(limit, _)| took.is_some_and(|t| t >= limit));
        if self.state != State::Disabled {
            self.newest = self.newest.max(now.unwrap_or(0));
            self.verdicts.push(Verdict { at: now.or(Some(self.newest)), failed, slow });
        }
        match self.state {
            State::Closed | State::MetricsOnly => {
                let met = self.rules_met();
                for (rule, _) in met.iter().enumerate().filter(|(_, met)| **met) {
                    self.thresholds[rule] += u64::from(!self.told[rule]);
                    self.told[rule] = true;
                }
                if self.state == State::Closed && met.contains(&true) {
                    self.open(now);
                }
            }
            State::HalfOpen => {
                self.release(held);
                self.judge(now);
            }
            _ => {}
        }
    }

    fn judge(&mut self, now: Option<u64>) {
        let slow_is_bad = matches!(self.rules.slow, Some((_, Some(_))));
        let is_bad = |verdict: &&Verdict| verdict.failed || (verdict.slow && slow_is_bad);
        let bad = self.verdicts.iter().filter(is_bad).count();
        let good = self.verdicts.len() - bad;
        let left = self.rules.probes - self.verdicts.len();
        let needed = match self.rules.probe_rule {
            ProbeRule::AtLeast(needed) => needed.try_into().unwrap(),
            ProbeRule::Rate if left > 0 => return,
            // After the last probe: none is enough to close, or nothing is.
            ProbeRule::Rate if self.rates_met(&self.verdicts).contains(&true) => usize::MAX,
            ProbeRule::Rate => 0,
            _ => self.rules.probes,
        };
        if good >= needed {
            self.close();
        } else if good + left < needed {
            self.open(now);
        }
    }

    /// Of the run, the count, the rate of failures, and the rate of slow calls.
    fn rules_met(&self) -> [bool; 4] {
        let window = self.window(self.newest);
        let (_, failure, _, run) = self.tally(&window);
        let enough = window.len() >= self.rules.min_calls;
        let [failed, slow] = self.rates_met(&window);
        let run = self.rules.run.is_some_and(|limit| run >= limit.into());
        let count = self.rules.count.is_some_and(|limit| failure >= limit.into());
        [run, count, enough && failed, enough && slow]
    }

    fn rates_met(&self, verdicts: &[Verdict]) -> [bool; 2] {
        let (success, failure, slow, _) = self.tally(verdicts);
        let met = |percent: Option<u32>, part: u64| {
            let total = success + failure;
            percent.is_some_and(|limit| total > 0 && part * 100 >= u64::from(limit) * total)
        };
        let slow_rate = self.rules.slow.and_then(|(_, rate)| rate);
        [met(self.rules.rate_percent, failure), met(slow_rate, slow)]
    }

    /// The verdicts that a closed breaker judges by at a time.
    fn window(&self, now: u64) -> Vec<Verdict> {
        let run = self.verdicts.iter().rev().take_while(|verdict| verdict.failed).count();
        let kept = match self.rules.window {
            Some(Window::Count(size)) => size.min(self.verdicts.len()),
            Some(Window::Time { slice_ms, slices }) => {
                let is_in = |at: u64| at / slice_ms + slices > now / slice_ms;
                return (self.verdicts.iter().copied())
                    .filter(|verdict| verdict.at.is_some_and(is_in))
                    .collect();
            }
            None => run,
        };
        self.verdicts[self.verdicts.len() - kept..].to_vec()
    }

    /// Successes, failures, slow calls and the run of failures, which is no matter of the window.
    fn tally(&self, verdicts: &[Verdict]) -> (u64, u64, u64, u64) {
        let count = |is: &dyn Fn(&Verdict) -> bool| -> u64 {
            verdicts.iter().filter(|verdict| is(verdict)).count().try_into().unwrap()
        };
        let run = self.verdicts.iter().rev().take_while(|verdict| verdict.failed).count();
        let slow = count(&|verdict| verdict.slow);
        (count(&|v| !v.failed), count(&|v| v.failed), slow, run.try_into().unwrap())
    }

    pub(crate) fn counts(&mut self, now: u64) -> (u64, u64, u64, u64) {
        let is_timed = matches!(self.rules.window, Some(Window::Time { .. }));
        match (self.state, self.frozen) {
            (State::HalfOpen, _) | (_, Some((_, true))) => self.tally(&self.verdicts),
            (_, Some((at, false))) => self.tally(&self.window(at)),
            (State::Closed | State::MetricsOnly, None) => {
                if is_timed {
                    self.newest = self.newest.max(now);
                }
                self.tally(&self.window(now))
            }
            _ => self.tally(&[]),
        }
    }
}
