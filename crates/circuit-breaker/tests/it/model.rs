//! The breaker against a naive model that keeps every verdict of a period in a plain list.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use backstop_circuit_breaker::{Breaker, Permit, Policy, ProbeRule, Reason, State};
use backstop_clock::{Clock, ManualClock, Timestamp};
use proptest::{option, prelude::*};

#[derive(Clone, Debug)]
struct Rules {
    run: Option<u32>,
    window: Option<usize>,
    count: Option<u32>,
    rate_percent: Option<u32>,
    min_calls: usize,
    open_ms: u64,
    doubles_to_ms: Option<u64>,
    probes: usize,
    probe_rule: ProbeRule,
}

impl Rules {
    fn policy(&self) -> Policy {
        let small = |n: usize| u32::try_from(n).unwrap();
        let mut policy = Policy::new(Duration::from_millis(self.open_ms))
            .with_probes(small(self.probes))
            .with_probe_rule(self.probe_rule);
        if let Some(run) = self.run {
            policy = policy.with_consecutive_failures(run);
        }
        if let Some(size) = self.window {
            policy = policy.with_count_window(small(size)).with_min_calls(small(self.min_calls));
        }
        if let Some(count) = self.count {
            policy = policy.with_failure_count(count);
        }
        if let Some(percent) = self.rate_percent {
            policy = policy.with_failure_rate(format!("{percent}e-2").parse().unwrap());
        }
        if let Some(limit) = self.doubles_to_ms {
            policy = policy.with_escalation(2.0, Duration::from_millis(limit));
        }
        policy
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let windowed = (1..7_usize)
        .prop_flat_map(|size| {
            let count = option::of(1..=u32::try_from(size).unwrap());
            (Just(size), count, option::of(prop_oneof![1..=100_u32, Just(30), Just(50)]), 1..=size)
        })
        .prop_filter("a window needs a rule", |(_, count, rate, _)| {
            count.is_some() || rate.is_some()
        });
    let trip = prop_oneof![
        (1..5_u32).prop_map(|run| (Some(run), None, None, None, 1)),
        (option::of(1..5_u32), windowed).prop_map(|(run, (size, count, rate, min))| (
            run,
            Some(size),
            count,
            rate,
            min
        )),
    ];
    let open = (0..20_u64).prop_flat_map(|ms| (Just(ms), option::of(ms..100)));
    let probes = (1..5_usize).prop_flat_map(|n| (Just(n), 0..=n + 1));
    (trip, open, probes).prop_map(|(trip, (open_ms, doubles_to_ms), (probes, rule))| {
        let (run, window, count, rate_percent, min_calls) = trip;
        let probe_rule = match rule {
            0 => ProbeRule::All,
            k if k <= probes => ProbeRule::AtLeast(u32::try_from(k).unwrap()),
            _ if rate_percent.is_some() => ProbeRule::Rate,
            _ => ProbeRule::All,
        };
        Rules {
            run,
            window,
            count,
            rate_percent,
            min_calls,
            open_ms,
            doubles_to_ms,
            probes,
            probe_rule,
        }
    })
}

#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Failure,
    Ignore,
    Drop,
    Panic,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    /// Ends one of the permits held, which may be of any earlier period.
    End(prop::sample::Index, End),
    Advance(u64),
    Reset,
    Switch(State),
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Success),
        6 => Just(End::Failure),
        1 => Just(End::Ignore),
        1 => Just(End::Drop),
        1 => Just(End::Panic),
    ];
    prop_oneof![
        20 => Just(Step::Admit),
        20 => (any::<prop::sample::Index>(), end).prop_map(|(which, end)| Step::End(which, end)),
        8 => (0..15_u64).prop_map(Step::Advance),
        1 => Just(Step::Reset),
        1 => prop_oneof![Just(State::ForcedOpen), Just(State::Disabled), Just(State::MetricsOnly)]
            .prop_map(Step::Switch),
    ]
}

/// The rules read aloud: everything is kept, everything is counted again each time.
struct Model {
    rules: Rules,
    state: State,
    period: u64,
    /// True is a failure; those of the period before while open.
    verdicts: Vec<bool>,
    /// While open: whether `verdicts` are those of probes.
    by_probes: bool,
    in_flight: usize,
    /// `None` after an opening by a panic.
    open_until: Option<u64>,
    reopenings: u32,
    opened: u64,
    stale: u64,
}

impl Model {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Closed,
            period: 0,
            verdicts: Vec::new(),
            by_probes: false,
            in_flight: 0,
            open_until: None,
            reopenings: 0,
            opened: 0,
            stale: 0,
        }
    }

    fn open_ms(&self) -> u64 {
        match self.rules.doubles_to_ms {
            Some(limit) => (self.rules.open_ms << self.reopenings.min(20)).min(limit),
            None => self.rules.open_ms,
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.period += 1;
        self.in_flight = 0;
        if state != State::Open {
            self.verdicts.clear();
            self.by_probes = state == State::HalfOpen;
        }
    }

    fn open(&mut self, now: Option<u64>) {
        self.open_until = now.map(|now| now + self.open_ms());
        self.opened += 1;
        self.enter(State::Open);
    }

    fn close(&mut self) {
        self.reopenings = 0;
        self.enter(State::Closed);
    }

    /// `Err` with the reason and the rest of the open time.
    fn admit(&mut self, now: u64) -> Result<(), (Reason, Option<u64>)> {
        if self.state == State::Open {
            let until = self.open_until.unwrap_or(now + self.open_ms());
            self.open_until = Some(until);
            if now < until {
                return Err((Reason::Open, Some(until - now)));
            }
            self.enter(State::HalfOpen);
        }
        match self.state {
            State::ForcedOpen => return Err((Reason::ForcedOpen, None)),
            State::HalfOpen if self.verdicts.len() + self.in_flight == self.rules.probes => {
                return Err((Reason::HalfOpenFull, None));
            }
            State::HalfOpen => self.in_flight += 1,
            _ => {}
        }
        Ok(())
    }

    fn release(&mut self, period: u64) {
        if period == self.period && self.state == State::HalfOpen {
            self.in_flight -= 1;
        }
    }

    fn record(&mut self, period: u64, failure: bool, now: Option<u64>) {
        if period != self.period {
            self.stale += 1;
            return;
        }
        if self.state != State::Disabled {
            self.verdicts.push(failure);
        }
        match self.state {
            State::Closed if self.trips() => self.open(now),
            State::HalfOpen => {
                self.in_flight -= 1;
                self.judge(now);
            }
            _ => {}
        }
    }

    fn judge(&mut self, now: Option<u64>) {
        let (success, failure, _) = self.counts();
        let needed = match self.rules.probe_rule {
            ProbeRule::AtLeast(needed) => needed,
            ProbeRule::Rate if self.verdicts.len() < self.rules.probes => return,
            // After the last probe: one success is enough to close, or none is.
            ProbeRule::Rate if self.rate_met() => u32::MAX,
            ProbeRule::Rate => 0,
            _ => u32::try_from(self.rules.probes).unwrap(),
        };
        let left = u32::try_from(self.rules.probes).unwrap() - success - failure;
        if success >= needed {
            self.close();
        } else if success + left < needed {
            self.reopenings += 1;
            self.open(now);
        }
    }

    fn trips(&self) -> bool {
        let (success, failure, run) = self.counts();
        let enough = usize::try_from(success + failure).unwrap() >= self.rules.min_calls;
        self.rules.run.is_some_and(|limit| run >= limit)
            || self.rules.count.is_some_and(|limit| failure >= limit)
            || (enough && self.rate_met())
    }

    fn rate_met(&self) -> bool {
        let (success, failure, _) = self.counts();
        self.rules.rate_percent.is_some_and(|limit| failure * 100 >= limit * (success + failure))
    }

    /// Successes, failures and the run of failures.
    fn counts(&self) -> (u32, u32, u32) {
        let run = self.verdicts.iter().rev().take_while(|failure| **failure).count();
        let kept = match (self.by_probes, self.rules.window) {
            (true, _) => self.verdicts.len(),
            (false, Some(size)) => size.min(self.verdicts.len()),
            (false, None) => run,
        };
        let last = &self.verdicts[self.verdicts.len() - kept..];
        let failures = last.iter().filter(|failure| **failure).count();
        let small = |n: usize| u32::try_from(n).unwrap();
        (small(last.len() - failures), small(failures), small(run))
    }
}

/// Ends a permit in the breaker and in the model.
fn end(permit: Permit<&Breaker>, period: u64, end: End, clock: &ManualClock, model: &mut Model) {
    let now = || clock.instant();
    let ms = u64::try_from(clock.elapsed().as_millis()).unwrap();
    match end {
        End::Success => permit.success(now),
        End::Failure => permit.failure(now),
        End::Ignore => permit.ignore(),
        End::Drop => drop(permit),
        End::Panic => {
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _permit = permit;
                resume_unwind(Box::new(()))
            }));
            assert!(unwound.is_err());
        }
    }
    match end {
        End::Success => model.record(period, false, Some(ms)),
        End::Failure => model.record(period, true, Some(ms)),
        End::Panic => model.record(period, true, None),
        End::Ignore | End::Drop => model.release(period),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_rules_say(rules in rules(), steps in prop::collection::vec(step(), 1..120)) {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let breaker = Breaker::new(rules.policy()).unwrap();
        let mut model = Model::new(rules);
        let mut permits: Vec<(Permit<&Breaker>, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Admit => {
                    let ms = u64::try_from(clock.elapsed().as_millis()).unwrap();
                    let got = breaker.admit(|| clock.instant());
                    let wait = |left: Duration| u64::try_from(left.as_millis()).unwrap();
                    let seen = got.as_ref().map(|_| ()).map_err(|at| (at.reason, at.retry_after.map(wait)));
                    prop_assert_eq!(seen, model.admit(ms));
                    permits.extend(got.ok().map(|permit| (permit, model.period)));
                }
                Step::End(which, how) if !permits.is_empty() => {
                    let (permit, period) = permits.swap_remove(which.index(permits.len()));
                    end(permit, period, how, &clock, &mut model);
                }
                Step::End(..) => {}
                Step::Advance(ms) => clock.advance(Duration::from_millis(ms)),
                Step::Reset => {
                    breaker.reset();
                    model.close();
                }
                Step::Switch(state) => {
                    match state {
                        State::ForcedOpen => breaker.force_open(),
                        State::Disabled => breaker.disable(),
                        _ => breaker.metrics_only(),
                    }
                    if model.state != state {
                        model.enter(state);
                    }
                }
            }
            let counts = breaker.counts(|| clock.instant());
            prop_assert_eq!(breaker.state(), model.state);
            let (success, failure, run) = model.counts();
            prop_assert_eq!((counts.success, counts.failure), (success.into(), failure.into()));
            prop_assert_eq!(counts.consecutive_failures, run);
            prop_assert_eq!(breaker.open_attempt(), model.reopenings);
            prop_assert_eq!((breaker.totals().opened, breaker.totals().stale), (model.opened, model.stale));
        }
    }
}
