use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::time::Duration;
use std::{io, thread};

use backstop_clock::{ManualClock, Sleep as _, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect, Error, Kind, Transience};
use backstop_retry_backoff::{
    Attempt, Elapsed, Jitter, Policy, Resolution, Retry, Schedule, StopReason,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sim::Sim;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn policy() -> Policy {
    Policy::new(Schedule::fixed(ms(100)).with_jitter(Jitter::None))
}

fn retry(policy: Policy) -> Retry {
    Retry::new(policy).unwrap()
}

/// The key of every request here.
const KEY: u32 = 7;

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn timeout() -> Error {
    Error::new(Kind::Timeout, "no answer")
}

fn busy() -> Error {
    Error::new(Kind::RateLimited, "busy")
}

#[test]
fn a_cut_attempt_is_dropped_and_its_outcome_unknown() {
    let sim = Sim::new();
    let dropped = Cell::new(0);
    let retry = retry(policy().with_attempt_timeout(ms(50)));
    let hangs = async |_| {
        let _guard = OnDrop(&dropped);
        sim.sleep(ms(10_000)).await;
        Ok::<(), Error>(())
    };
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), hangs), None)
        .unwrap()
        .unwrap_err();
    assert_eq!((stopped.reason, stopped.attempts), (StopReason::UnknownOutcome, 1));
    assert_eq!(stopped.class().effect(), Effect::Unknown);
    assert_eq!((sim.ms(), dropped.get()), (50, 1));
}

struct OnDrop<'c>(&'c Cell<u32>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn an_answer_that_comes_with_the_limit_counts() {
    let sim = Sim::new();
    let retry = retry(policy().with_attempt_timeout(ms(50)));
    let just_in_time = async |_| {
        sim.sleep(ms(50)).await;
        Ok::<_, Error>("accepted")
    };
    let finished =
        sim.block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), just_in_time), None).unwrap();
    assert_eq!(finished.unwrap().value, "accepted");
}

#[test]
fn the_time_of_an_attempt_counts_from_its_start() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let hangs = async |_| {
        // It computes for a while before it waits.
        clock.advance(ms(30));
        pending::<Result<(), Error>>().await
    };
    let limits = [policy().with_attempt_timeout(ms(50)), policy().with_deadline(ms(50))];
    for (policy, end) in limits.into_iter().zip([50, 100]) {
        let retry = retry(policy.with_attempts_max(1));
        let stopped = pollster::block_on(retry.read().run(&clock, &mut rng(), hangs)).unwrap_err();
        assert_eq!((stopped.attempts, clock.elapsed()), (1, ms(end)));
    }
}

#[test]
fn a_run_may_move_to_another_thread() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let (retry, mut rng) = (retry(policy().with_deadline(ms(50))), rng());
    let run = retry.at_most_once(KEY).run(&clock, &mut rng, |_| ready(Ok::<_, Error>(1)));
    let ended = thread::scope(|scope| scope.spawn(|| pollster::block_on(run)).join().unwrap());
    assert_eq!(ended.unwrap().value, 1);
}

/// An error whose author believed that a timeout means "nothing happened".
#[derive(Debug)]
struct Optimist;

impl Classify for Optimist {
    fn class(&self) -> Class {
        Class::of(Kind::Timeout).with_effect(Effect::NotApplied)
    }
}

impl From<Elapsed> for Optimist {
    fn from(_: Elapsed) -> Self {
        Self
    }
}

#[test]
fn a_cut_attempt_is_unknown_whatever_its_error_claims() {
    let sim = Sim::new();
    let runs = Cell::new(0);
    let retry = retry(policy().with_attempt_timeout(ms(50)));
    let hangs = async |_| {
        runs.set(runs.get() + 1);
        sim.sleep(ms(10_000)).await;
        Ok::<(), Optimist>(())
    };
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), hangs), None)
        .unwrap()
        .unwrap_err();
    assert_eq!((stopped.reason, runs.get()), (StopReason::UnknownOutcome, 1));
}

#[test]
fn the_look_up_finds_it_and_nothing_is_sent_again() {
    let sim = Sim::new();
    let runs = Cell::new(0);
    let retry = retry(policy());
    let lost = async |_| {
        runs.set(runs.get() + 1);
        Err(timeout())
    };
    let asking = retry.at_most_once(KEY).asking(async || Resolution::Found(42));
    let finished = sim.block_on(asking.run(&sim, &mut rng(), lost), None).unwrap().unwrap();
    assert_eq!((finished.value, finished.attempts, finished.is_resolved()), (42, 1, true));
    assert_eq!((sim.ms(), runs.get()), (100, 1));
}

#[test]
fn what_was_certainly_not_applied_is_sent_again() {
    let sim = Sim::new();
    let asked = Cell::new(0);
    let retry = retry(policy());
    let second_time = async |attempt: Attempt<u32>| {
        if attempt.number == 1 { Err(timeout()) } else { Ok("accepted") }
    };
    let asking = retry.at_most_once(KEY).asking(async || {
        asked.set(asked.get() + 1);
        Resolution::NotFound
    });
    let finished = sim.block_on(asking.run(&sim, &mut rng(), second_time), None).unwrap().unwrap();
    assert_eq!((finished.value, finished.attempts, finished.is_resolved()), ("accepted", 2, false));
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_look_up_that_knows_nothing_or_hangs_ends_as_unknown() {
    for hang in [false, true] {
        let sim = Sim::new();
        let retry = retry(policy().with_attempt_timeout(ms(50)));
        let lost = async |_| Err::<(), _>(timeout());
        let asking = retry.at_most_once(KEY).asking(async || {
            if hang {
                sim.sleep(ms(10_000)).await;
            }
            Resolution::Unknown
        });
        let stopped = sim.block_on(asking.run(&sim, &mut rng(), lost), None).unwrap().unwrap_err();
        assert_eq!((stopped.reason, stopped.attempts), (StopReason::UnknownOutcome, 1));
        assert_eq!(stopped.class().effect(), Effect::Unknown);
        assert_eq!(sim.ms(), if hang { 150 } else { 100 });
    }
}

#[test]
fn a_look_up_settles_the_class_of_what_comes_later() {
    let sim = Sim::new();
    let retry = retry(policy().with_attempts_max(2));
    let answers = async |attempt: Attempt<u32>| {
        Err::<(), _>(if attempt.number == 1 { timeout() } else { busy() })
    };
    let asking = retry.at_most_once(KEY).asking(async || Resolution::NotFound);
    let stopped = sim.block_on(asking.run(&sim, &mut rng(), answers), None).unwrap().unwrap_err();
    assert_eq!(stopped.reason, StopReason::AttemptsExhausted);
    assert_eq!(stopped.class().effect(), Effect::NotApplied);
}

#[test]
fn an_outer_retry_does_not_start_over() {
    let sim = Sim::new();
    let runs = Cell::new(0);
    let retry = retry(policy().with_attempts_max(3));
    let inner = async |_| {
        let fails = async |_| {
            runs.set(runs.get() + 1);
            Err::<(), _>(busy())
        };
        let result = retry.at_most_once(KEY).run(&sim, &mut rng(), fails).await;
        result.map_err(|stopped| Error::caused_by(stopped, "inner"))
    };
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), inner), None)
        .unwrap()
        .unwrap_err();
    assert_eq!((stopped.reason, stopped.attempts), (StopReason::Permanent, 1));
    assert_eq!(stopped.class().transience(), Transience::Exhausted);
    assert_eq!(runs.get(), 3);
}

#[test]
fn dropping_the_run_sends_nothing_more() {
    let sim = Sim::new();
    let starts = RefCell::new(Vec::new());
    let retry = retry(policy());
    let fails = async |attempt: Attempt<u32>| {
        starts.borrow_mut().push((attempt.number, sim.ms()));
        Err::<(), _>(busy())
    };
    assert!(
        sim.block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), fails), Some(ms(150))).is_none()
    );
    assert_eq!(*starts.borrow(), [(1, 0), (2, 100)]);
}

#[test]
fn a_timer_that_fires_late_does_not_send_after_the_deadline() {
    let sim = Sim::new();
    sim.set_slack(ms(80));
    let runs = Cell::new(0);
    let retry = retry(policy().with_deadline(ms(150)));
    let fails = async |_| {
        runs.set(runs.get() + 1);
        Err::<(), _>(busy())
    };
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), fails), None)
        .unwrap()
        .unwrap_err();
    assert_eq!((stopped.reason, runs.get()), (StopReason::Deadline, 1));
}

#[test]
fn a_zero_delay_gives_way_once() {
    let sim = Sim::new();
    let retry = retry(Policy::new(Schedule::fixed(Duration::ZERO)).with_attempts_max(3));
    let fails = async |_| Err::<(), _>(busy());
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), fails), None)
        .unwrap()
        .unwrap_err();
    assert_eq!((stopped.attempts, sim.yields()), (3, 2));
}

#[test]
fn the_last_error_comes_back_as_it_was() {
    let sim = Sim::new();
    let retry = retry(policy());
    let fails = async |at: Attempt<u32>| {
        Err::<(), _>(Error::new(Kind::RateLimited, format!("attempt {}", at.number)))
    };
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), fails), None)
        .unwrap()
        .unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after 4 attempts: attempts_exhausted");
    assert_eq!(stopped.error.unwrap().message(), "attempt 4");
}

#[test]
fn closures_that_return_futures_work_too() {
    let sim = Sim::new();
    let retry = retry(policy());
    let op = |attempt: Attempt<u32>| async move {
        if attempt.number < 3 { Err(busy()) } else { Ok(attempt.number) }
    };
    let finished =
        sim.block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), op), None).unwrap().unwrap();
    assert_eq!((finished.value, finished.attempts), (3, 3));
}

#[test]
fn a_run_can_move_to_another_thread() {
    fn can_move<T: Send>(_: T) {}
    let retry = retry(policy());
    can_move(async move {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let text = String::from("captured");
        let reads = async |_| Err::<usize, _>(io::Error::other(text.clone()));
        retry
            .at_most_once(KEY)
            .run(&clock, &mut rng(), reads)
            .await
            .unwrap_or_else(|_| unreachable!())
            .value
    });
}

#[test]
fn foreign_error_types_take_the_elapsed_limit() {
    let sim = Sim::new();
    let retry = retry(policy().with_attempt_timeout(ms(50)));
    let hangs = async |_| {
        sim.sleep(ms(10_000)).await;
        Ok::<(), io::Error>(())
    };
    let stopped = sim
        .block_on(retry.at_most_once(KEY).run(&sim, &mut rng(), hangs), None)
        .unwrap()
        .unwrap_err();
    let error = stopped.error.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "no answer within 50ms");
}
