//! The layers around one call: what each of them sees of the others.

use std::{cell::Cell, future::pending, time::Duration};

use backstop_circuit_breaker::{
    Breaker, Policy as BreakerPolicy, State,
    bulkhead::{Bulkhead, Limits},
};
use backstop_clock::{Clock, Sleep, Timestamp};
use backstop_retry_backoff::{Jitter, Policy, Retry, Schedule};
use rand::{SeedableRng, rngs::SmallRng};
use trading_host::{
    guard::CallError,
    runtime::{SimClock, Simulation},
    stack::Stack,
    venue::{Answer, VenueError},
};

const TIMEOUT: Duration = Duration::from_secs(2);
const OPEN_TIME: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 3;

fn retry() -> Retry {
    let schedule = Schedule::fixed(Duration::from_secs(1)).with_jitter(Jitter::None);
    Retry::new(Policy::new(schedule).with_attempts_max(ATTEMPTS)).unwrap()
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(1)
}

fn breaker(failures: u32) -> Breaker {
    Breaker::new(BreakerPolicy::new(OPEN_TIME).with_consecutive_failures(failures)).unwrap()
}

/// Everything a case needs, with the number of requests that reached the venue.
struct Case {
    clock: SimClock,
    retry: Retry,
    sent: Cell<u32>,
}

impl Case {
    fn new() -> Self {
        Self { clock: SimClock::new(Timestamp::EPOCH), retry: retry(), sent: Cell::new(0) }
    }

    fn stack(&self) -> Stack<'_> {
        Stack::new(&self.clock, &self.retry, TIMEOUT)
    }

    fn answers(&self, answer: Result<u32, VenueError>) -> Answer<'_, u32> {
        self.sent.set(self.sent.get() + 1);
        Box::pin(async move { answer })
    }
}

/// Runs a case to its end on simulated time.
fn play<F: Future<Output = ()> + 'static>(case: impl FnOnce(&'static Case) -> F) {
    let state: &'static Case = Box::leak(Box::new(Case::new()));
    Simulation::new(state.clock.clone()).run(case(state)).unwrap();
}

#[test]
fn a_closed_gate_says_nothing_of_the_venue() {
    play(async |case| {
        let breaker = breaker(1);
        let stack = case.stack().with_breaker(&breaker).with_gate(&|| false);
        let stopped = stack.run(&mut rng(), None, || case.answers(Ok(1))).await;
        assert!(matches!(stopped.unwrap_err().error, Some(CallError::Closed)));
        assert_eq!((case.sent.get(), breaker.state()), (0, State::Closed));
    });
}

#[test]
fn an_open_breaker_ends_the_retry_and_takes_no_slot() {
    play(async |case| {
        let (breaker, bulkhead) = (breaker(1), Bulkhead::new(Limits::new(1)).unwrap());
        breaker.open(case.clock.instant());
        // With no slot left, whoever asked for one would be refused by the bulkhead instead.
        let _slot = bulkhead.try_enter().unwrap();
        let stack = case.stack().with_bulkhead(&bulkhead).with_breaker(&breaker);
        let stopped = stack.run(&mut rng(), None, || case.answers(Ok(1))).await;
        let stopped = stopped.unwrap_err();
        assert!(matches!(stopped.error, Some(CallError::KeptBack(_))));
        assert_eq!((stopped.attempts, case.sent.get(), bulkhead.totals().full), (1, 0, 0));
    });
}

#[test]
fn each_attempt_is_judged_and_a_full_bulkhead_judges_nobody() {
    play(async |case| {
        let (breaker, bulkhead) = (breaker(10), Bulkhead::new(Limits::new(1)).unwrap());
        let stack = case.stack().with_breaker(&breaker).with_bulkhead(&bulkhead);
        let hangs = || case.answers(Err(VenueError::Timeout { limit: TIMEOUT }));
        let now = || case.clock.instant();
        assert!(stack.run(&mut rng(), None, hangs).await.is_err());
        assert_eq!(breaker.counts(now).consecutive_failures, ATTEMPTS);
        let _slot = bulkhead.try_enter().unwrap();
        let stopped = stack.run(&mut rng(), None, || case.answers(Ok(1))).await;
        assert!(matches!(stopped.unwrap_err().error, Some(CallError::Crowded(_))));
        assert_eq!(breaker.counts(now).consecutive_failures, ATTEMPTS);
    });
}

#[test]
fn waiting_for_a_slot_is_not_taken_for_a_slow_venue() {
    play(async |case| {
        let limits = Limits::new(1).with_max_waiting(1).with_max_wait(TIMEOUT * 10);
        let (breaker, bulkhead) = (breaker(1), Bulkhead::new(limits).unwrap());
        let slot = bulkhead.try_enter().unwrap();
        let stack = case.stack().with_breaker(&breaker).with_bulkhead(&bulkhead);
        let mut rng = rng();
        let waits = stack.run(&mut rng, None, || case.answers(Ok(7)));
        let frees = async {
            case.clock.sleep(TIMEOUT * 5).await;
            drop(slot);
        };
        let (answer, ()) = futures::join!(waits, frees);
        assert_eq!((answer.unwrap().value, breaker.state()), (7, State::Closed));
        assert_eq!(case.clock.now(), Timestamp::from_millis(10_000));
    });
}

#[test]
fn who_waits_for_a_slot_when_the_gate_closes_sends_nothing() {
    play(async |case| {
        let limits = Limits::new(1).with_max_waiting(1).with_max_wait(TIMEOUT * 10);
        let (breaker, bulkhead) = (breaker(1), Bulkhead::new(limits).unwrap());
        let (slot, open) = (bulkhead.try_enter().unwrap(), Cell::new(true));
        let gate = || open.get();
        let stack = case.stack().with_breaker(&breaker).with_bulkhead(&bulkhead).with_gate(&gate);
        let mut rng = rng();
        let waits = stack.run(&mut rng, None, || case.answers(Ok(7)));
        let halts = async {
            case.clock.sleep(TIMEOUT).await;
            open.set(false);
            drop(slot);
        };
        let (stopped, ()) = futures::join!(waits, halts);
        assert!(matches!(stopped.unwrap_err().error, Some(CallError::Closed)));
        assert_eq!((case.sent.get(), breaker.state()), (0, State::Closed));
        assert!(bulkhead.try_enter().is_ok(), "the slot is given back");
    });
}

#[test]
fn a_call_that_hangs_is_ended_and_opens_the_breaker() {
    play(async |case| {
        let breaker = breaker(1);
        let stack = case.stack().with_breaker(&breaker);
        let hangs = || -> Answer<'_, u32> { Box::pin(pending()) };
        let stopped = stack.run(&mut rng(), None, hangs).await;
        assert!(matches!(stopped.unwrap_err().error, Some(CallError::KeptBack(_))));
        assert_eq!((breaker.state(), breaker.totals().opened), (State::Open, 1));
    });
}

#[test]
fn a_fallback_stands_in_once_all_attempts_have_failed() {
    play(async |case| {
        let fails = || case.answers(Err(VenueError::Timeout { limit: TIMEOUT }));
        let stack = case.stack();
        let answer = stack
            .read_or(&mut rng(), fails, |stopped| (stopped.attempts == ATTEMPTS).then_some(9))
            .await;
        assert_eq!((answer.unwrap(), case.sent.get()), (9, ATTEMPTS));
        let none = stack.read_or(&mut rng(), fails, |_| None).await;
        assert!(matches!(none.unwrap_err().error, Some(CallError::Venue(_))));
    });
}
