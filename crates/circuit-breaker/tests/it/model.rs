//! The breaker against a naive model that keeps every verdict of a period in a plain list.

mod naive;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use backstop_circuit_breaker::{
    AfterHalfOpen, Breaker, Event, Permit, Policy, ProbeRule, Rule, State,
};
use backstop_clock::{Clock, ManualClock, Timestamp};
use proptest::{option, prelude::*};

use self::naive::{Held, Model};

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    run: Option<u32>,
    window: Option<Window>,
    count: Option<u32>,
    rate_percent: Option<u32>,
    /// How long is slow, and the share of slow calls that trips.
    slow: Option<(u64, Option<u32>)>,
    min_calls: usize,
    open_ms: u64,
    doubles_to_ms: Option<u64>,
    probes: usize,
    probe_rule: ProbeRule,
    lease_ms: Option<u64>,
    half_open_max: Option<(u64, AfterHalfOpen)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    Count(usize),
    Time { slice_ms: u64, slices: u64 },
}

impl Rules {
    fn policy(&self) -> Policy {
        let small = |n: usize| u32::try_from(n).unwrap();
        let ms = Duration::from_millis;
        let share = |percent: u32| format!("{percent}e-2").parse().unwrap();
        let mut policy = Policy::new(ms(self.open_ms))
            .with_probes(small(self.probes))
            .with_probe_rule(self.probe_rule)
            .with_min_calls(small(self.min_calls));
        if let Some(run) = self.run {
            policy = policy.with_consecutive_failures(run);
        }
        policy = match self.window {
            Some(Window::Count(size)) => policy.with_count_window(small(size)),
            Some(Window::Time { slice_ms, slices }) => {
                policy.with_time_window(ms(slice_ms * slices), u32::try_from(slices).unwrap())
            }
            None => policy,
        };
        if let Some(count) = self.count {
            policy = policy.with_failure_count(count);
        }
        if let Some(percent) = self.rate_percent {
            policy = policy.with_failure_rate(share(percent));
        }
        policy = match self.slow {
            Some((limit, Some(percent))) => policy.with_slow_calls(ms(limit), share(percent)),
            Some((limit, None)) => policy.with_slow_call(ms(limit)),
            None => policy,
        };
        if let Some(limit) = self.doubles_to_ms {
            policy = policy.with_escalation(2.0, ms(limit));
        }
        if let Some(lease) = self.lease_ms {
            policy = policy.with_probe_lease(ms(lease));
        }
        if let Some((max, then)) = self.half_open_max {
            policy = policy.with_half_open_max(ms(max), then);
        }
        policy
    }
}

fn percent() -> impl Strategy<Value = u32> {
    prop_oneof![1..=100_u32, Just(30), Just(50)]
}

/// What may trip, with the minimum of calls that goes with it.
fn trip() -> impl Strategy<Value = Rules> {
    let plain = Rules {
        run: None,
        window: None,
        count: None,
        rate_percent: None,
        slow: None,
        min_calls: 1,
        open_ms: 0,
        doubles_to_ms: None,
        probes: 1,
        probe_rule: ProbeRule::All,
        lease_ms: None,
        half_open_max: None,
    };
    let alone = plain.clone();
    let by_run = (1..5_u32).prop_map(move |run| Rules { run: Some(run), ..alone.clone() });
    let window = prop_oneof![
        (1..7_usize).prop_map(Window::Count),
        // Long enough that a full ring goes round several times, and spans more than one word.
        (60..140_usize).prop_map(Window::Count),
        (1..8_u64, 1..6_u64).prop_map(|(slice_ms, slices)| Window::Time { slice_ms, slices }),
    ];
    let windowed = window.prop_flat_map(|window| {
        let most = if let Window::Count(size) = window { size } else { 8 };
        let count = option::of(1..=u32::try_from(most).unwrap());
        let slow = option::of((1..12_u64, option::of(percent())));
        (Just(window), option::of(1..5_u32), count, option::of(percent()), slow, 1..=most.min(9))
    });
    let by_window =
        windowed.prop_map(move |(window, run, count, rate_percent, slow, min_calls)| {
            let window = Some(window);
            let rules =
                Rules { run, window, count, rate_percent, slow, min_calls, ..plain.clone() };
            let has_rule = count.is_some() || rate_percent.is_some() || run.is_some();
            if has_rule { rules } else { Rules { count: Some(1), ..rules } }
        });
    prop_oneof![1 => by_run, 3 => by_window]
}

fn rules() -> impl Strategy<Value = Rules> {
    let open = (0..20_u64).prop_flat_map(|ms| (Just(ms), option::of(ms..100)));
    let probes = (1..5_usize).prop_flat_map(|n| (Just(n), 0..=n + 1));
    let then = prop_oneof![Just(AfterHalfOpen::Open), Just(AfterHalfOpen::Closed)];
    let limits = (option::of(1..20_u64), option::of((1..40_u64, then)));
    (trip(), open, probes, limits).prop_map(|(trip, open, (probes, rule), limits)| {
        let rated = trip.rate_percent.is_some() || matches!(trip.slow, Some((_, Some(_))));
        let probe_rule = match rule {
            0 => ProbeRule::All,
            k if k <= probes => ProbeRule::AtLeast(u32::try_from(k).unwrap()),
            _ if rated => ProbeRule::Rate,
            _ => ProbeRule::All,
        };
        let ((open_ms, doubles_to_ms), (lease_ms, half_open_max)) = (open, limits);
        Rules { open_ms, doubles_to_ms, probes, probe_rule, lease_ms, half_open_max, ..trip }
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
    /// So many calls that go well at once, as between two troubles.
    Calm(u8),
    /// Ends one of the permits held, which may be of any earlier period.
    End(prop::sample::Index, End),
    Advance(u64),
    Reset,
    Switch(State),
    Open(Option<u64>),
    HalfOpen,
    Expire,
    Reconfigure(Change),
    /// A snapshot, and a breaker that goes on from it.
    Restart,
}

/// Other thresholds for the same window and the same probes.
#[derive(Clone, Copy, Debug)]
struct Change {
    run: Option<u32>,
    count: Option<u32>,
    rate_percent: Option<u32>,
    min_calls: usize,
    open_ms: u64,
}

impl Change {
    fn of(self, rules: &Rules) -> Rules {
        let most = match rules.window {
            Some(Window::Count(size)) => size,
            _ => 9,
        };
        let has_window = rules.window.is_some();
        let is_rated = rules.probe_rule == ProbeRule::Rate;
        // Probes that are judged by rates need one.
        let rate_percent = self.rate_percent.or(rules.rate_percent.filter(|_| is_rated));
        let has_rule = self.count.is_some() || rate_percent.is_some() || self.run.is_some();
        Rules {
            run: self.run.or((!has_window || !has_rule).then_some(2)),
            count: self.count.filter(|_| has_window).map(|n| n.min(u32::try_from(most).unwrap())),
            rate_percent: rate_percent.filter(|_| has_window),
            min_calls: if has_window { self.min_calls.min(most) } else { 1 },
            open_ms: self.open_ms,
            doubles_to_ms: rules.doubles_to_ms.map(|limit| limit.max(self.open_ms)),
            ..rules.clone()
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let rules = (option::of(1..5_u32), option::of(1..9_u32), option::of(percent()));
    (rules, 1..9_usize, 0..20_u64).prop_map(|((run, count, rate_percent), min_calls, open_ms)| {
        Change { run, count, rate_percent, min_calls, open_ms }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Success),
        6 => Just(End::Failure),
        1 => Just(End::Ignore),
        1 => Just(End::Drop),
        1 => Just(End::Panic),
    ];
    let switch =
        prop_oneof![Just(State::ForcedOpen), Just(State::Disabled), Just(State::MetricsOnly)];
    prop_oneof![
        20 => Just(Step::Admit),
        6 => (1..40_u8).prop_map(Step::Calm),
        20 => (any::<prop::sample::Index>(), end).prop_map(|(which, end)| Step::End(which, end)),
        8 => (0..15_u64).prop_map(Step::Advance),
        1 => Just(Step::Reset),
        1 => switch.prop_map(Step::Switch),
        1 => option::of(0..30_u64).prop_map(Step::Open),
        1 => Just(Step::HalfOpen),
        2 => Just(Step::Expire),
        1 => change().prop_map(Step::Reconfigure),
        1 => Just(Step::Restart),
    ]
}

/// Ends a permit in the breaker and in the model.
fn end(permit: Permit, held: Held, end: End, clock: &ManualClock, model: &mut Model) {
    let now = || clock.instant();
    let ms = elapsed(clock);
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
        End::Success => model.record(held, false, Some(ms)),
        End::Failure => model.record(held, true, Some(ms)),
        End::Panic => model.record(held, true, None),
        End::Ignore | End::Drop => model.release(held),
    }
}

fn elapsed(clock: &ManualClock) -> u64 {
    u64::try_from(clock.elapsed().as_millis()).unwrap()
}

/// One step by hand, in the breaker and in the model.
fn by_hand(step: Step, breaker: &Breaker, clock: &ManualClock, model: &mut Model) {
    let (now, ms) = (clock.instant(), elapsed(clock));
    match step {
        Step::Advance(by) => clock.advance(Duration::from_millis(by)),
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
            model.switch(state);
        }
        Step::Open(None) => {
            breaker.open(now);
            model.open_by_hand(ms, None);
        }
        Step::Open(Some(time)) => {
            breaker.open_for(Duration::from_millis(time), now);
            model.open_by_hand(ms, Some(ms + time));
        }
        Step::HalfOpen => {
            assert_eq!(breaker.half_open(now).is_ok(), model.half_open_by_hand(ms));
        }
        Step::Expire => {
            breaker.expire(now);
            model.expire(ms);
        }
        Step::Admit | Step::Calm(_) | Step::End(..) | Step::Reconfigure(_) | Step::Restart => {
            unreachable!()
        }
    }
}

/// Counts the thresholds that the breaker tells of.
fn heard(breaker: Breaker, told: &Arc<Mutex<[u64; 4]>>) -> Breaker {
    let told = Arc::clone(told);
    breaker.with_listener(move |_, event| {
        if let Event::Threshold { rule, .. } = event {
            let rules =
                [Rule::ConsecutiveFailures, Rule::FailureCount, Rule::FailureRate, Rule::SlowRate];
            told.lock().unwrap()[rules.iter().position(|one| one == rule).unwrap()] += 1;
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_rules_say(rules in rules(), steps in prop::collection::vec(step(), 1..150)) {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let now = || clock.instant();
        let told = Arc::new(Mutex::new([0_u64; 4]));
        let mut breaker = heard(Breaker::starting(rules.policy(), now()).unwrap(), &told);
        let mut rules = rules;
        let mut model = Model::new(rules.clone());
        let mut permits: Vec<(Permit, Held)> = Vec::new();
        for step in steps {
            let calls = match step {
                Step::Admit => 1,
                Step::Calm(calls) => calls,
                _ => 0,
            };
            for _ in 0..calls {
                let ms = elapsed(&clock);
                let wait = |left: Duration| u64::try_from(left.as_millis()).unwrap();
                let (got, wanted) = (breaker.admit_owned(now), model.admit(ms));
                let seen = got.as_ref().map(|_| ()).map_err(|at| (at.reason, at.retry_after.map(wait)));
                prop_assert_eq!(seen, wanted.map(|_| ()));
                match (got, wanted) {
                    (Ok(permit), Ok(held)) if matches!(step, Step::Calm(_)) => {
                        end(permit, held, End::Success, &clock, &mut model);
                    }
                    (got, wanted) => permits.extend(got.ok().zip(wanted.ok())),
                }
            }
            match step {
                Step::End(which, how) if !permits.is_empty() => {
                    let (permit, held) = permits.swap_remove(which.index(permits.len()));
                    end(permit, held, how, &clock, &mut model);
                }
                Step::Admit | Step::Calm(_) | Step::End(..) => {}
                Step::Reconfigure(change) => {
                    rules = change.of(&rules);
                    breaker.reconfigure(rules.policy()).unwrap();
                    model.reconfigure(rules.clone());
                }
                Step::Restart => {
                    permits.clear();
                    let restored = Breaker::restore(breaker.snapshot(&clock), &clock).unwrap();
                    breaker = heard(restored, &told);
                    model.restart(elapsed(&clock));
                }
                step => by_hand(step, &breaker, &clock, &mut model),
            }
            let counts = breaker.counts(now);
            let (success, failure, slow, run) = model.counts(elapsed(&clock));
            prop_assert_eq!((breaker.state(), breaker.open_attempt()), (model.state, model.reopenings()));
            prop_assert_eq!((counts.success, counts.failure, counts.slow), (success, failure, slow));
            prop_assert_eq!(u64::from(counts.consecutive_failures), run);
            prop_assert_eq!(*told.lock().unwrap(), model.thresholds);
            let totals = breaker.totals();
            prop_assert_eq!((totals.opened, totals.stale), (model.opened, model.stale));
            prop_assert_eq!(totals.reclaimed, model.reclaimed);
            prop_assert_eq!(u64::from(breaker.probes_in_flight()), model.in_flight());
        }
    }
}
