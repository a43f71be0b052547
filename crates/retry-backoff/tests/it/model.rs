//! Whole runs of the driver against a naive model, and laws that need no model.

use std::cell::RefCell;
use std::time::Duration;

use backstop_error_taxonomy::{Class, Classify, Effect, Kind, Transience};
use backstop_retry_backoff::{
    Attempt, Elapsed, Guard, Jitter, Policy, Retry, Schedule, StopReason,
};
use proptest::prelude::*;
use proptest::sample::select;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sim::Sim;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Failure(Class);

impl Classify for Failure {
    fn class(&self) -> Class {
        self.0
    }
}

impl From<Elapsed> for Failure {
    fn from(elapsed: Elapsed) -> Self {
        Self(elapsed.class())
    }
}

/// What one attempt takes and comes to; `None` is a success.
type Planned = (u64, Option<Class>);

#[derive(Clone, Debug)]
struct Plan {
    guard: Guard<()>,
    base_ms: u64,
    cap_ms: u64,
    attempts_max: u32,
    deadline_ms: Option<u64>,
    timeout_ms: Option<u64>,
    /// The last one repeats.
    attempts: Vec<Planned>,
}

impl Plan {
    fn policy(&self, jitter: Jitter) -> Policy {
        let schedule = Schedule::exponential(Duration::from_millis(self.base_ms))
            .with_cap(Duration::from_millis(self.cap_ms))
            .with_jitter(jitter);
        let mut policy = Policy::new(schedule).with_attempts_max(self.attempts_max);
        if let Some(deadline) = self.deadline_ms {
            policy = policy.with_deadline(Duration::from_millis(deadline));
        }
        if let Some(timeout) = self.timeout_ms {
            policy = policy.with_attempt_timeout(Duration::from_millis(timeout));
        }
        policy
    }

    fn attempt(&self, index: usize) -> Planned {
        self.attempts[index.min(self.attempts.len() - 1)]
    }
}

/// What can be seen of a run.
#[derive(PartialEq, Debug)]
struct Seen {
    starts_ms: Vec<u64>,
    ended_ms: u64,
    stop: Option<StopReason>,
}

fn drive(plan: &Plan, jitter: Jitter, seed: u64) -> Seen {
    let sim = Sim::new();
    let starts = RefCell::new(Vec::new());
    let op = async |attempt: Attempt<()>| {
        starts.borrow_mut().push(sim.ms());
        let (duration, failure) = plan.attempt(usize::try_from(attempt.number).unwrap() - 1);
        if duration > 0 {
            backstop_clock::Sleep::sleep(&sim, Duration::from_millis(duration)).await;
        }
        failure.map_or(Ok(()), |class| Err(Failure(class)))
    };
    let retry = Retry::new(plan.policy(jitter)).unwrap();
    let result = sim
        .block_on(retry.guarded(plan.guard).run(&sim, &mut StdRng::seed_from_u64(seed), op), None);
    let stop = result.unwrap().err().map(|stopped| stopped.reason);
    Seen { starts_ms: starts.into_inner(), ended_ms: sim.ms(), stop }
}

/// The same run as arithmetic on milliseconds, one rule after the other.
fn model(plan: &Plan) -> Seen {
    let (mut now, mut starts) = (0, Vec::new());
    let mut delay = plan.base_ms;
    loop {
        starts.push(now);
        let (duration, mut failure) = plan.attempt(starts.len() - 1);
        let rest = plan.deadline_ms.map(|deadline| deadline - now);
        let limit = plan.timeout_ms.unwrap_or(u64::MAX).min(rest.unwrap_or(u64::MAX));
        if duration > limit {
            failure = Some(Class::of(Kind::Timeout));
        }
        now += duration.min(limit);
        let stop = |reason| Seen { starts_ms: starts.clone(), ended_ms: now, stop: reason };
        let Some(class) = failure else { return stop(None) };
        if class.effect() == Effect::Applied {
            return stop(Some(StopReason::AlreadyApplied));
        }
        if class.effect() == Effect::Unknown && plan.guard == Guard::Once(()) {
            return stop(Some(StopReason::UnknownOutcome));
        }
        if class.transience() != Transience::Transient {
            return stop(Some(StopReason::Permanent));
        }
        if plan.deadline_ms.is_some_and(|deadline| now >= deadline) {
            return stop(Some(StopReason::Deadline));
        }
        if starts.len() >= usize::try_from(plan.attempts_max).unwrap() {
            return stop(Some(StopReason::AttemptsExhausted));
        }
        let wait = delay.min(plan.cap_ms);
        if plan.deadline_ms.is_some_and(|deadline| now + wait >= deadline) {
            return stop(Some(StopReason::Deadline));
        }
        now += wait;
        delay = wait * 2;
    }
}

fn any_attempt() -> impl Strategy<Value = Planned> {
    let class = (select(Kind::ALL), select(Transience::ALL), select(Effect::ALL), 0..4_u8)
        .prop_map(|(kind, transience, effect, choice)| match choice {
            // Mostly failures that go on, or nearly every run would end at once.
            0 => Some(Class::of(kind).with_transience(transience).with_effect(effect)),
            1 => Some(Class::of(Kind::Timeout)),
            _ => Some(Class::of(Kind::RateLimited)),
        });
    (0..300_u64, prop_oneof![6 => class, 1 => Just(None)])
}

fn any_plan() -> impl Strategy<Value = Plan> {
    (
        select(&[Guard::Once(()), Guard::READ][..]),
        (0..200_u64, 0..400_u64),
        1..8_u32,
        proptest::option::of(1..2_000_u64),
        proptest::option::of(1..250_u64),
        proptest::collection::vec(any_attempt(), 1..8),
    )
        .prop_map(
            |(guard, (base_ms, extra), attempts_max, deadline_ms, timeout_ms, attempts)| {
                let cap_ms = base_ms + extra;
                Plan { guard, base_ms, cap_ms, attempts_max, deadline_ms, timeout_ms, attempts }
            },
        )
}

proptest! {
    #[test]
    fn a_run_equals_the_model(plan in any_plan()) {
        prop_assert_eq!(drive(&plan, Jitter::None, 0), model(&plan));
    }

    #[test]
    fn with_jitter_the_laws_still_hold(plan in any_plan(), seed: u64) {
        let seen = drive(&plan, Jitter::Full, seed);
        let attempts = seen.starts_ms.len();
        prop_assert!(attempts <= usize::try_from(plan.attempts_max).unwrap());
        if let Some(deadline) = plan.deadline_ms {
            prop_assert!(seen.ended_ms <= deadline);
            prop_assert!(seen.starts_ms.iter().all(|start| *start < deadline));
        }
        for (index, pair) in seen.starts_ms.windows(2).enumerate() {
            let (duration, failure) = plan.attempt(index);
            let cut = plan.timeout_ms.is_some_and(|timeout| duration > timeout);
            let worked = if cut { plan.timeout_ms.unwrap() } else { duration };
            // One more, because the start is cut to whole milliseconds.
            prop_assert!(pair[1] - pair[0] <= worked + plan.cap_ms + 1);
            let class = if cut { Class::of(Kind::Timeout) } else { failure.unwrap() };
            prop_assert!(class.may_retry(plan.guard == Guard::READ), "resent {class:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run(plan in any_plan(), seed: u64) {
        prop_assert_eq!(drive(&plan, Jitter::Full, seed), drive(&plan, Jitter::Full, seed));
    }
}
