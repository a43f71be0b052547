//! What a call can be told, in both drivers: token, handle, payload, values, budget, observer.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use backstop_clock::{Clock as _, ManualClock, Sleep as _, SystemClock, Timestamp};
use backstop_error_taxonomy::{Class, Classify as _, Effect, Error, Kind, Transience};
use backstop_retry_backoff::bounds::Pause;
use backstop_retry_backoff::budget::{Budget, Rule};
use backstop_retry_backoff::observer::Event;
use backstop_retry_backoff::{
    Attempt, Ending, Handle, Jitter, OnRefusal, Outcome, Policy, Resolution, Retry, RetryAfter,
    Schedule, StopReason, StopToken, sending,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sim::{Outside, Sim};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn policy() -> Policy {
    Policy::new(Schedule::fixed(ms(100)).with_jitter(Jitter::None))
}

fn retry() -> Retry {
    Retry::new(policy()).unwrap()
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn manual() -> ManualClock {
    ManualClock::new(Timestamp::EPOCH)
}

fn busy() -> Error {
    Error::new(Kind::RateLimited, "busy")
}

fn silent() -> Error {
    Error::new(Kind::Timeout, "no answer")
}

#[test]
fn a_token_lets_the_attempt_in_flight_finish() {
    let sim = Sim::new();
    let token = StopToken::default();
    let news: Vec<Outside<'_>> = vec![(ms(30), Box::new(|| token.stop()))];
    let slow = async |_: Attempt<u32>| {
        sim.sleep(ms(50)).await;
        Ok::<_, Error>("accepted")
    };
    let retry = retry();
    let call = retry.at_most_once(7).until(&token);
    let ended = sim.block_on_with(call.run(&sim, &mut rng(), slow), None, news).unwrap();
    assert_eq!((ended.unwrap().value, sim.ms()), ("accepted", 50));
}

#[test]
fn a_stop_during_an_attempt_of_unknown_outcome_keeps_it_unknown() {
    let sim = Sim::new();
    let token = StopToken::default();
    let news: Vec<Outside<'_>> = vec![(ms(30), Box::new(|| token.stop()))];
    let lost = async |_: Attempt<u32>| {
        sim.sleep(ms(50)).await;
        Err::<(), _>(silent())
    };
    let retry = retry();
    let call = retry.idempotent(7).until(&token);
    let stopped = sim.block_on_with(call.run(&sim, &mut rng(), lost), None, news).unwrap();
    let stopped = stopped.unwrap_err();
    assert_eq!((stopped.reason, sim.ms()), (StopReason::Cancelled, 50));
    assert_eq!(stopped.class.effect(), Effect::Unknown);
    assert_eq!(stopped.class.transience(), Transience::Exhausted);
}

#[test]
fn a_stop_before_the_first_attempt_has_no_error_and_no_effect() {
    let token = StopToken::default();
    token.stop();
    let never = |_: Attempt<u32>| -> Result<(), Error> { unreachable!("nothing is sent") };
    let stopped = retry().at_most_once(7).until(&token).run_blocking(&manual(), &mut rng(), never);
    let stopped = stopped.unwrap_err();
    assert!(stopped.error.is_none());
    assert_eq!((stopped.attempts, stopped.class.effect()), (0, Effect::NotApplied));
    assert_eq!(stopped.class().kind(), Kind::Cancelled);
}

#[test]
fn a_value_that_waits_for_another_try_survives_a_stop() {
    let token = StopToken::default();
    let pending = |_: Attempt<()>| {
        token.stop();
        Outcome::<_, Error>::Again("pending")
    };
    let call = retry().read().until(&token).run_blocking(&manual(), &mut rng(), pending);
    let finished = call.unwrap();
    assert_eq!(finished.value, "pending");
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::Cancelled));
}

#[test]
fn values_are_tried_again_and_the_last_one_comes_back() {
    let pending = |attempt: Attempt<()>| Outcome::<_, Error>::Again(attempt.number);
    let finished = retry().read().run_blocking(&manual(), &mut rng(), pending).unwrap();
    assert_eq!((finished.value, finished.attempts), (4, 4));
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::AttemptsExhausted));
}

#[test]
fn a_handle_ends_the_sleep_and_the_attempt_in_flight() {
    for at in [ms(30), ms(120)] {
        let sim = Sim::new();
        let handle = Handle::new();
        let news: Vec<Outside<'_>> =
            vec![(at, Box::new(|| handle.resolve("accepted").expect("the call runs")))];
        let runs = Cell::new(0);
        let lost = async |_: Attempt<u32>| {
            runs.set(runs.get() + 1);
            sim.sleep(ms(50)).await;
            Err(silent())
        };
        let retry = retry();
        let call = retry.idempotent(7).resolved_by(&handle);
        let ended = sim.block_on_with(call.run(&sim, &mut rng(), lost), None, news).unwrap();
        let finished = ended.unwrap();
        assert_eq!((finished.value, finished.ending), ("accepted", Ending::Resolved));
        assert_eq!((runs.get(), Duration::from_millis(sim.ms())), (1, at));
    }
}

#[test]
fn news_from_before_the_call_are_enough() {
    let handle = Handle::new();
    handle.resolve("accepted").unwrap();
    assert_eq!(handle.resolve("twice"), Err("twice"));
    let never = |_: Attempt<u32>| -> Result<&str, Error> { unreachable!("nothing is sent") };
    let call =
        retry().at_most_once(7).resolved_by(&handle).run_blocking(&manual(), &mut rng(), never);
    assert_eq!(call.unwrap().attempts, 0);
}

#[test]
fn late_news_come_back_to_the_messenger() {
    let handle = Handle::new();
    let refused = |_: Attempt<u32>| Err::<&str, _>(Error::new(Kind::Rejected, "no"));
    let retry = retry();
    let call = retry.at_most_once(7).resolved_by(&handle);
    assert!(call.run_blocking(&manual(), &mut rng(), refused).is_err());
    assert_eq!(handle.resolve("late"), Err("late"));

    let sim = Sim::new();
    let handle = Handle::new();
    let hangs = async |_: Attempt<u32>| {
        sim.sleep(ms(10_000)).await;
        Ok::<_, Error>("never")
    };
    let call = retry.at_most_once(7).resolved_by(&handle);
    assert!(sim.block_on(call.run(&sim, &mut rng(), hangs), Some(ms(10))).is_none());
    assert_eq!(handle.resolve("late"), Err("late"), "the run was dropped");
}

#[test]
fn a_thread_that_pauses_is_woken_by_token_and_handle() {
    let fails = |_: Attempt<u32>| Err::<&str, _>(busy());
    let hour = Duration::from_hours(1);
    let long = Retry::new(Policy::new(Schedule::fixed(hour).with_jitter(Jitter::None))).unwrap();
    let token = StopToken::default();
    let handle = Handle::new();
    thread::scope(|scope| {
        let (stopping, resolving) = (token.clone(), handle.clone());
        let one = scope.spawn(|| {
            long.at_most_once(7).until(&token).run_blocking(&SystemClock, &mut rng(), fails)
        });
        let two = scope.spawn(|| {
            let call = long.at_most_once(7).resolved_by(&handle);
            call.run_blocking(&SystemClock, &mut rng(), fails)
        });
        stopping.stop();
        resolving.resolve("accepted").unwrap();
        assert_eq!(one.join().unwrap().unwrap_err().reason, StopReason::Cancelled);
        assert_eq!(two.join().unwrap().unwrap().value, "accepted");
    });
}

/// A clock whose pauses end early, as an unparked thread's do.
struct Restless(ManualClock);

impl backstop_clock::Clock for Restless {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn instant(&self) -> std::time::Instant {
        self.0.instant()
    }
}

impl Pause for Restless {
    fn pause(&self, duration: Duration) {
        self.0.advance(duration.min(ms(7)));
    }
}

#[test]
fn a_pause_that_ends_early_is_taken_up_again() {
    let clock = Restless(manual());
    let second = |attempt: Attempt<u32>| if attempt.number == 1 { Err(busy()) } else { Ok(()) };
    assert!(retry().at_most_once(7).run_blocking(&clock, &mut rng(), second).is_ok());
    assert_eq!(clock.0.elapsed(), ms(100));
}

#[test]
fn a_changed_payload_is_refused_while_an_outcome_is_open() {
    let sent = RefCell::new(Vec::new());
    let lost = |_: Attempt<u32>, size: u32| {
        sent.borrow_mut().push(size);
        Err::<(), _>(silent())
    };
    let halved = sending(|number| 100 / number, lost);
    let stopped = retry().idempotent(7).run_blocking(&manual(), &mut rng(), halved).unwrap_err();
    assert_eq!(stopped.reason, StopReason::ModifiedAfterUnknown);
    assert_eq!((stopped.attempts, stopped.class.effect()), (1, Effect::Unknown));
    assert_eq!(stopped.class.transience(), Transience::Permanent);
    assert_eq!(sent.into_inner(), [100]);
}

#[test]
fn a_changed_payload_passes_after_a_definite_failure_or_a_definite_no() {
    let sent = RefCell::new(Vec::new());
    let answers = |attempt: Attempt<u32>, size: u32| {
        sent.borrow_mut().push(size);
        match attempt.number {
            1 => Err(busy()),
            2 => Err(silent()),
            _ => Ok(()),
        }
    };
    let retry = retry();
    let call = retry.at_most_once(7).asking(|| Resolution::NotFound);
    let smaller = sending(|number| 100 / number, answers);
    assert!(call.run_blocking(&manual(), &mut rng(), smaller).is_ok());
    assert_eq!(sent.into_inner(), [100, 50, 33]);
}

#[test]
fn an_earlier_open_outcome_still_forbids_a_change() {
    let sent = Cell::new(0);
    let answers = |attempt: Attempt<u32>, _size: u32| {
        sent.set(sent.get() + 1);
        Err::<(), _>(if attempt.number == 1 { silent() } else { busy() })
    };
    let grows = sending(|number| if number < 3 { 1 } else { 2 }, answers);
    let stopped = retry().idempotent(7).run_blocking(&manual(), &mut rng(), grows).unwrap_err();
    assert_eq!((stopped.reason, sent.get()), (StopReason::ModifiedAfterUnknown, 2));
}

#[test]
fn nobody_is_asked_under_idempotent() {
    let asked = Cell::new(0);
    let retry = retry();
    let call = retry.idempotent(7).asking(|| {
        asked.set(asked.get() + 1);
        Resolution::Found(())
    });
    let lost = |_: Attempt<u32>| Err(silent());
    let stopped = call.run_blocking(&manual(), &mut rng(), lost).unwrap_err();
    assert_eq!((stopped.reason, asked.get()), (StopReason::AttemptsExhausted, 0));
}

#[test]
fn a_blocking_look_up_settles_an_order() {
    let lost = |_: Attempt<u32>| Err(silent());
    let answers = [
        (Resolution::Found(42), Ok((42, Ending::Resolved, 1))),
        (Resolution::Unknown, Err((StopReason::UnknownOutcome, 1))),
        (Resolution::NotFound, Err((StopReason::AttemptsExhausted, 4))),
    ];
    for (answer, expected) in answers {
        let retry = retry();
        let call = retry.at_most_once(7).asking(|| answer);
        let ended = call.run_blocking(&manual(), &mut rng(), lost);
        let ended = ended.map(|done| (done.value, done.ending, done.attempts));
        assert_eq!(ended.map_err(|stopped| (stopped.reason, stopped.attempts)), expected);
    }
}

#[test]
fn pushback_stops_with_the_error() {
    let away = |_: Attempt<()>| Outcome::<(), _>::Pushback(busy());
    let stopped = retry().read().run_blocking(&manual(), &mut rng(), away).unwrap_err();
    assert_eq!((stopped.reason, stopped.attempts), (StopReason::Pushback, 1));
    assert_eq!(stopped.error.unwrap().message(), "busy");
    assert_eq!(stopped.class.transience(), Transience::Exhausted);
}

#[test]
fn no_attempt_starts_before_its_time() {
    let clock = manual();
    let starts = RefCell::new(Vec::new());
    let ready = |attempt: Attempt<()>| {
        starts.borrow_mut().push(clock.elapsed());
        if attempt.number == 1 { Err(busy()) } else { Ok(()) }
    };
    let retry = retry();
    let call = retry.read().not_before(clock.instant() + ms(500));
    assert!(call.run_blocking(&clock, &mut rng(), ready).is_ok());
    assert_eq!(starts.into_inner(), [ms(500), ms(600)]);

    let short = Retry::new(policy().with_deadline(ms(400))).unwrap();
    let never = |_: Attempt<()>| -> Result<(), Error> { unreachable!("nothing is sent") };
    let call = short.read().not_before(clock.instant() + ms(500));
    let stopped = call.run_blocking(&clock, &mut rng(), never).unwrap_err();
    assert_eq!((stopped.reason, stopped.attempts), (StopReason::Deadline, 0));
    assert_eq!(stopped.class.effect(), Effect::NotApplied);
}

fn refusal(wait: Option<Duration>) -> impl Fn(Attempt<()>) -> Result<(), Refused> {
    move |attempt| {
        let class = Class::of(Kind::Unavailable).refused_by_breaker();
        let class = wait.map_or(class, |wait| class.with_retry_after(wait));
        if attempt.number == 1 { Err(Refused(class)) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Refused(Class);

impl backstop_error_taxonomy::Classify for Refused {
    fn class(&self) -> Class {
        self.0
    }
}

#[test]
fn a_refusal_by_the_breaker_is_waited_for_only_on_request() {
    let minute = Duration::from_mins(1);
    let cases = [
        (OnRefusal::Stop, Some(minute), None),
        (OnRefusal::Wait, Some(minute), Some(minute)),
        (OnRefusal::Wait, None, None),
        (OnRefusal::Retry, Some(minute), Some(ms(100))),
        (OnRefusal::Retry, None, Some(ms(100))),
    ];
    for (on_refusal, hint, slept) in cases {
        let clock = manual();
        let retry = Retry::new(policy().with_on_refusal(on_refusal)).unwrap();
        let ended = retry.read().run_blocking(&clock, &mut rng(), refusal(hint));
        assert_eq!(ended.is_ok().then(|| clock.elapsed()), slept, "{on_refusal:?} {hint:?}");
        if let Err(stopped) = ended {
            assert_eq!(stopped.reason, StopReason::BreakerRefused);
        }
    }
}

#[test]
fn an_exact_hint_starts_the_schedule_again() {
    let clock = manual();
    let starts = RefCell::new(Vec::new());
    let schedule = Schedule::exponential(ms(100)).with_jitter(Jitter::None);
    let policy = Policy::new(schedule).with_attempts_max(5).with_retry_after(RetryAfter::Exact);
    let answers = |attempt: Attempt<()>| {
        starts.borrow_mut().push(clock.elapsed());
        let hint = ms(30);
        Err::<(), _>(Refused(match attempt.number {
            3 => Class::of(Kind::RateLimited).with_retry_after(hint),
            _ => Class::of(Kind::RateLimited),
        }))
    };
    let retry = Retry::new(policy).unwrap();
    assert!(retry.read().run_blocking(&clock, &mut rng(), answers).is_err());
    assert_eq!(starts.into_inner(), [0, 100, 300, 330, 430].map(ms));
}

#[test]
fn the_history_tells_each_attempt() {
    let clock = manual();
    let start = clock.instant();
    let kinds = [Kind::RateLimited, Kind::Timeout, Kind::Rejected];
    let answers = |attempt: Attempt<u32>| {
        clock.advance(ms(10));
        let index = usize::try_from(attempt.number).unwrap() - 1;
        Err::<(), _>(Error::new(kinds[index], "no"))
    };
    let stopped = retry().idempotent(7).run_blocking(&clock, &mut rng(), answers).unwrap_err();
    let told: Vec<_> = stopped.history.iter().collect();
    let seen: Vec<_> = told.iter().map(|past| past.class.unwrap().kind()).collect();
    assert_eq!(seen, kinds);
    let at: Vec<_> = told.iter().map(|past| past.ended_at - start).collect();
    assert_eq!(at, [10, 120, 230].map(ms));
    assert_eq!(told[0].slept, Some(ms(100)));
    assert_eq!((told[2].slept, told[2].attempt), (None, 3));
    assert_eq!(stopped.error.unwrap().kind(), Kind::Rejected, "the original error");
    assert_eq!(stopped.class.effect(), Effect::Unknown, "one outcome is still open");
}

#[test]
fn a_loop_without_end_remembers_a_bounded_past() {
    let retry = Retry::new(policy().with_attempts_max(1_000)).unwrap();
    let fails = |_: Attempt<()>| Err::<(), _>(busy());
    let stopped = retry.read().run_blocking(&manual(), &mut rng(), fails).unwrap_err();
    let attempts: Vec<_> = stopped.history.iter().map(|past| past.attempt).collect();
    assert_eq!(attempts, (985..=1_000).collect::<Vec<_>>());
    assert_eq!(stopped.history.omitted(), 984);
}

#[test]
fn the_observer_sees_each_step_once() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let observer = Arc::new(move |event: Event| log.lock().unwrap().push(event));
    let retry = retry().with_observer(observer);
    let lost = |_: Attempt<u32>| Err(silent());
    let call = retry.at_most_once(7).asking(|| Resolution::Found(()));
    assert!(call.run_blocking(&manual(), &mut rng(), lost).is_ok());
    let class = Class::of(Kind::Timeout);
    let resolved = [
        Event::Started { attempt: 1 },
        Event::Failed { attempt: 1, class },
        Event::Sleeping { attempt: 1, delay: ms(100) },
        Event::Resolved { attempt: 1 },
    ];
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), resolved);

    let refused = |attempt: Attempt<()>| match attempt.number {
        1 => Outcome::Again(()),
        _ => Outcome::Failure(Error::new(Kind::Rejected, "no")),
    };
    assert!(retry.read().run_blocking(&manual(), &mut rng(), refused).is_err());
    let class = Class::of(Kind::Rejected);
    let stopped = [
        Event::Started { attempt: 1 },
        Event::Unwanted { attempt: 1 },
        Event::Sleeping { attempt: 1, delay: ms(100) },
        Event::Started { attempt: 2 },
        Event::Failed { attempt: 2, class },
        Event::Stopped { attempt: 2, reason: StopReason::Permanent },
    ];
    assert_eq!(*seen.lock().unwrap(), stopped);
}

#[test]
fn a_dropped_run_gives_its_place_among_the_retries_back() {
    let sim = Sim::new();
    let rule = Rule::InFlightRatio { ratio: 0.0, floor: 1 };
    let budget = Arc::new(Budget::new(rule, sim.instant()).unwrap());
    let retry = retry().with_budget(Arc::clone(&budget));
    let hangs = async |attempt: Attempt<()>| {
        if attempt.number > 1 {
            sim.sleep(ms(10_000)).await;
        }
        Err::<(), _>(busy())
    };
    for dropped_at in [ms(50), ms(150)] {
        let mut rng = rng();
        let run = retry.read().run(&sim, &mut rng, hangs);
        let held = Cell::new(None);
        let begun = Duration::from_millis(sim.ms());
        let look: Vec<Outside<'_>> =
            vec![(begun + ms(40), Box::new(|| held.set(budget.retries_in_flight())))];
        assert!(sim.block_on_with(run, Some(begun + dropped_at), look).is_none());
        assert_eq!((held.get(), budget.retries_in_flight()), (Some(1), Some(0)));
    }
}

#[test]
fn no_token_is_spent_when_the_run_ends_for_another_reason() {
    let now = SystemClock.instant();
    let rule = Rule::TokenBucket {
        capacity: 10.0,
        cost: 1.0,
        throttled_cost: None,
        timeout_cost: None,
        success_reward: 0.0,
    };
    let budget = Arc::new(Budget::new(rule, now).unwrap());
    let fails = |_: Attempt<u32>| Err::<(), _>(busy());
    let lost = |_: Attempt<u32>| Err::<(), _>(silent());
    let tight = policy().with_deadline(ms(50));
    let single = policy().with_attempts_max(1);
    for policy in [tight, single] {
        let retry = Retry::new(policy).unwrap().with_budget(Arc::clone(&budget));
        assert!(retry.at_most_once(7).run_blocking(&manual(), &mut rng(), fails).is_err());
        assert!(retry.at_most_once(7).run_blocking(&manual(), &mut rng(), lost).is_err());
    }
    assert_eq!(budget.tokens(), Some(10.0));
}

#[test]
fn a_blocking_operation_is_told_its_limit() {
    let clock = manual();
    let limits = RefCell::new(Vec::new());
    let policy = policy().with_attempt_timeout(ms(300)).with_deadline(ms(500));
    let slow = |attempt: Attempt<()>| {
        limits.borrow_mut().push(attempt.limit);
        clock.advance(ms(250));
        Err::<(), _>(busy())
    };
    let retry = Retry::new(policy).unwrap();
    let stopped = retry.read().run_blocking(&clock, &mut rng(), slow).unwrap_err();
    assert_eq!(limits.into_inner(), [Some(ms(300)), Some(ms(150))]);
    assert_eq!(stopped.reason, StopReason::Deadline);
}

#[test]
fn an_outer_loop_may_be_told_to_start_over_but_never_with_an_open_order() {
    let clock = manual();
    let inner = Retry::new(policy().with_attempts_max(3)).unwrap();
    let outer = Retry::new(policy().with_attempts_max(3).with_exhausted_retried()).unwrap();
    let count = |error: fn() -> Error| {
        let runs = Cell::new(0);
        let around = |_: Attempt<()>| {
            let fails = |_: Attempt<u32>| {
                runs.set(runs.get() + 1);
                Err::<(), _>(error())
            };
            inner.at_most_once(7).run_blocking(&clock, &mut rng(), fails)
        };
        assert!(outer.read().run_blocking(&clock, &mut rng(), around).is_err());
        runs.get()
    };
    assert_eq!(count(busy), 9);
    assert_eq!(count(silent), 1);
}

#[test]
fn after_a_stop_no_token_is_spent_and_no_sleep_announced() {
    let now = SystemClock.instant();
    let rule = Rule::TokenBucket {
        capacity: 10.0,
        cost: 1.0,
        throttled_cost: None,
        timeout_cost: None,
        success_reward: 0.0,
    };
    let budget = Arc::new(Budget::new(rule, now).unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let retry = retry()
        .with_budget(Arc::clone(&budget))
        .with_observer(Arc::new(move |event: Event| log.lock().unwrap().push(event)));
    let token = StopToken::default();
    let stopped_meanwhile = |_: Attempt<u32>| {
        token.stop();
        Err::<(), _>(busy())
    };
    let call = retry.at_most_once(7).until(&token);
    let stopped = call.run_blocking(&manual(), &mut rng(), stopped_meanwhile).unwrap_err();
    assert_eq!(stopped.reason, StopReason::Cancelled);
    assert_eq!(budget.tokens(), Some(10.0));
    let sleeping = |event: &Event| matches!(event, Event::Sleeping { .. });
    assert!(!seen.lock().unwrap().iter().any(sleeping));
}

#[test]
fn the_end_of_a_retry_counts_once() {
    let now = SystemClock.instant();
    let rule = Rule::InFlightRatio { ratio: 0.0, floor: 2 };
    let budget = Budget::new(rule, now).unwrap();
    let (mut one, mut other) = (budget.begin(), budget.begin());
    assert!(one.grants(None, now, &mut rng()) && other.grants(None, now, &mut rng()));
    one.retry_ended();
    one.retry_ended();
    assert_eq!(budget.retries_in_flight(), Some(1));
    drop((one, other));
    assert_eq!(budget.retries_in_flight(), Some(0));
}

#[test]
fn deposits_and_retries_are_forgotten_after_their_time() {
    let start = SystemClock.instant();
    let rule = Rule::DepositRatio { ttl: Duration::from_secs(10), min_per_s: 0.1, ratio: 1.0 };
    let budget = Budget::new(rule, start).unwrap();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let balance = |ms| budget.balance(at(ms)).unwrap();
    budget.begin().sent(|| at(0));
    budget.begin().sent(|| at(5_000));
    assert!(budget.begin().grants(None, at(5_000), &mut rng()));
    let balances = [5_000, 9_999, 10_000, 14_999, 15_000, 3_600_000].map(balance);
    let expected = [2.0, 2.0, 1.0, 1.0, 1.0, 1.0];
    for (got, want) in balances.iter().zip(expected) {
        assert!((got - want).abs() < 1e-9, "{balances:?}");
    }
    // The reserve of one retry for ten seconds comes back when the retry is forgotten.
    assert!(budget.begin().grants(None, at(3_600_000), &mut rng()));
    assert!(!budget.allows(at(3_609_999)));
    assert!(budget.allows(at(3_610_000)));
}
