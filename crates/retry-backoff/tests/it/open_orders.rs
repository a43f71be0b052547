//! Ways in which an order of unknown outcome could be sent again, or taken for not sent.

use std::cell::Cell;
use std::time::Duration;

use backstop_clock::{Clock as _, ManualClock, Sleep as _, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect, Error, Kind, Transience};
use backstop_retry_backoff::{
    Attempt, Ending, Handle, Jitter, Outcome, Policy, Resolution, Retry, Schedule, StopReason,
    StopToken, sending,
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

#[test]
fn a_pending_order_is_not_sent_again() {
    let runs = Cell::new(0);
    let pending = |_: Attempt<u32>| {
        runs.set(runs.get() + 1);
        Outcome::<_, Error>::Pending("pending")
    };
    let retry = retry();
    let finished = retry.at_most_once(7).run_blocking(&manual(), &mut rng(), pending).unwrap();
    assert_eq!((finished.value, runs.get()), ("pending", 1));
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::UnknownOutcome));

    let pending = async |_: Attempt<u32>| Outcome::<_, Error>::Pending("pending");
    let (sim, order) = (Sim::new(), retry.at_most_once(7));
    let finished = sim.block_on(order.run(&sim, &mut rng(), pending), None).unwrap().unwrap();
    assert_eq!((finished.value, finished.attempts), ("pending", 1));
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::UnknownOutcome));
}

#[test]
fn a_pending_order_is_looked_up() {
    for (answer, ending, sent) in [
        (Resolution::Found("filled"), Ending::Resolved, 1),
        (Resolution::NotFound, Ending::Success, 2),
        (Resolution::Unknown, Ending::Unwanted(StopReason::UnknownOutcome), 1),
    ] {
        let runs = Cell::new(0);
        let pending = |attempt: Attempt<u32>| {
            runs.set(runs.get() + 1);
            let value = "pending";
            if attempt.number == 1 {
                Outcome::<_, Error>::Pending(value)
            } else {
                Outcome::Success(value)
            }
        };
        let retry = retry();
        let call = retry.at_most_once(7).asking(|| answer);
        let finished = call.run_blocking(&manual(), &mut rng(), pending).unwrap();
        assert_eq!((finished.ending, runs.get()), (ending, sent));
    }
}

#[test]
fn the_short_form_sends_no_order_twice() {
    for (is_order, sent) in [(true, 1), (false, 4)] {
        let runs = Cell::new(0);
        let queued = |_: Attempt<u32>| {
            runs.set(runs.get() + 1);
            Outcome::of(Ok::<_, Error>("queued"), |answer| *answer == "queued")
        };
        let retry = retry();
        let call = if is_order { retry.at_most_once(7) } else { retry.idempotent(7) };
        let finished = call.run_blocking(&manual(), &mut rng(), queued).unwrap();
        assert_eq!((finished.attempts, runs.get()), (sent, sent));
    }
}

#[test]
fn whoever_gets_a_value_learns_that_an_outcome_is_open() {
    let ends = |first: fn() -> Outcome<&'static str, Error>| {
        let answers = move |attempt: Attempt<u32>| match attempt.number {
            1 => first(),
            _ => Outcome::Again("loading"),
        };
        let retry = retry();
        let finished = retry.idempotent(7).run_blocking(&manual(), &mut rng(), answers).unwrap();
        assert_eq!(finished.ending, Ending::Unwanted(StopReason::AttemptsExhausted));
        finished.is_open
    };
    assert!(ends(|| Outcome::Failure(Error::new(Kind::Timeout, "no answer"))));
    assert!(ends(|| Outcome::Pending("queued")));
    assert!(!ends(|| Outcome::Again("loading")));
    assert!(!ends(|| Outcome::Failure(Error::new(Kind::RateLimited, "busy"))));

    let retry = retry();
    let lost = |_: Attempt<u32>| Err::<(), _>(Error::new(Kind::Timeout, "no answer"));
    let stopped = retry.idempotent(7).run_blocking(&manual(), &mut rng(), lost).unwrap_err();
    assert!(stopped.fall_back(|_| ()).unwrap().is_open);
    let busy = |_: Attempt<u32>| Err::<(), _>(Error::new(Kind::RateLimited, "busy"));
    let stopped = retry.idempotent(7).run_blocking(&manual(), &mut rng(), busy).unwrap_err();
    assert!(!stopped.fall_back(|_| ()).unwrap().is_open);
    let late = |attempt: Attempt<u32>| match attempt.number {
        1 => Err(Error::new(Kind::Timeout, "no answer")),
        _ => Ok(()),
    };
    assert!(!retry.idempotent(7).run_blocking(&manual(), &mut rng(), late).unwrap().is_open);
}

#[test]
fn a_pending_order_may_not_change_under_its_key() {
    let sent = Cell::new(0);
    let pending = |_: Attempt<u32>, _size: u32| {
        sent.set(sent.get() + 1);
        Outcome::<_, Error>::Pending("pending")
    };
    let order = sending(|number| 10 / number, pending);
    let retry = retry();
    let finished = retry.idempotent(7).run_blocking(&manual(), &mut rng(), order).unwrap();
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::ModifiedAfterUnknown));
    assert_eq!((finished.value, sent.get()), ("pending", 1));
}

#[test]
fn an_answer_that_only_asks_for_another_try_is_tried_again_without_a_look_up() {
    for is_wished in [false, true] {
        let answers = |attempt: Attempt<u32>| match (attempt.number, is_wished) {
            (1, false) => Outcome::<_, Error>::Again("loading"),
            (1, true) => Outcome::AgainAfter("loading", ms(200)),
            _ => Outcome::Success("ready"),
        };
        let retry = retry();
        let unasked = || -> Resolution<&str> { unreachable!("nothing is unknown") };
        let call = retry.at_most_once(7).asking(unasked);
        let finished = call.run_blocking(&manual(), &mut rng(), answers).unwrap();
        let wanted = ("ready", 2, Ending::Success);
        assert_eq!((finished.value, finished.attempts, finished.ending), wanted);
    }
}

#[test]
fn an_answer_from_a_side_that_wants_no_other_try_ends_the_run() {
    let retry = retry();
    let never = |_: Attempt<u32>| Outcome::<_, Error>::AgainNever("loading");
    let finished = retry.at_most_once(7).run_blocking(&manual(), &mut rng(), never).unwrap();
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::Pushback));
    assert_eq!((finished.value, finished.attempts), ("loading", 1));

    let never = async |_: Attempt<u32>| Outcome::<_, Error>::AgainNever("loading");
    let (sim, order) = (Sim::new(), retry.at_most_once(7));
    let finished = sim.block_on(order.run(&sim, &mut rng(), never), None).unwrap().unwrap();
    assert_eq!(finished.ending, Ending::Unwanted(StopReason::Pushback));
}

#[test]
fn a_handle_of_a_call_that_is_over_cuts_nothing_short() {
    let retry = retry();
    let handle = Handle::new();
    handle.resolve("first").unwrap();
    let never = |_: Attempt<u32>| -> Result<_, Error> { unreachable!("the news are there") };
    let first = retry.at_most_once(1).resolved_by(&handle);
    assert_eq!(first.run_blocking(&manual(), &mut rng(), never).unwrap().value, "first");

    // The same handle by mistake: the second order is still awaited, and its sleeps are slept.
    let sim = Sim::new();
    let slow = async |attempt: Attempt<u32>| {
        sim.sleep(ms(50)).await;
        if attempt.number == 1 { Err(Error::new(Kind::RateLimited, "busy")) } else { Ok("second") }
    };
    let second = retry.at_most_once(2).resolved_by(&handle);
    let finished = sim.block_on(second.run(&sim, &mut rng(), slow), None).unwrap().unwrap();
    assert_eq!((finished.value, finished.attempts, sim.ms()), ("second", 2, 200));
}

#[test]
fn an_open_order_ends_for_good_whatever_stopped_it() {
    let attempts = Retry::new(policy().with_attempts_max(1)).unwrap();
    let silent = |_: Attempt<u32>| Err::<(), _>(Error::new(Kind::Timeout, "no answer"));
    let order = attempts.at_most_once(7).asking(|| Resolution::Unknown);
    let stopped = order.run_blocking(&manual(), &mut rng(), silent).unwrap_err();
    assert_eq!(stopped.reason, StopReason::AttemptsExhausted);
    assert_eq!(stopped.class().effect(), Effect::Unknown);
    assert_eq!(stopped.class().transience(), Transience::Permanent);

    // What may be done twice is only exhausted.
    let stopped = attempts.idempotent(7).run_blocking(&manual(), &mut rng(), silent).unwrap_err();
    assert_eq!(stopped.class().effect(), Effect::Unknown);
    assert_eq!(stopped.class().transience(), Transience::Exhausted);
}

#[test]
fn nothing_is_sent_if_the_wait_before_it_outlasts_the_deadline() {
    let sim = Sim::new();
    sim.set_slack(ms(300));
    let retry = Retry::new(policy().with_deadline(ms(400))).unwrap();
    let never = async |_: Attempt<u32>| -> Result<(), Error> { unreachable!("it is too late") };
    let call = retry.at_most_once(7).not_before(sim.instant() + ms(200));
    let stopped = sim.block_on(call.run(&sim, &mut rng(), never), None).unwrap().unwrap_err();
    assert_eq!((stopped.reason, stopped.attempts), (StopReason::Deadline, 0));
    assert_eq!(stopped.class().effect(), Effect::NotApplied);
}

#[test]
fn a_stop_ends_a_look_up_and_the_order_stays_unknown() {
    let (sim, token, runs) = (Sim::new(), StopToken::default(), Cell::new(0));
    let lost = async |_: Attempt<u32>| {
        runs.set(runs.get() + 1);
        Err::<(), _>(Error::new(Kind::Timeout, "no answer"))
    };
    let slow = async || {
        sim.sleep(ms(10_000)).await;
        Resolution::NotFound
    };
    let retry = retry();
    let call = retry.at_most_once(7).until(&token).asking(slow);
    let stop: Vec<Outside<'_>> = vec![(ms(150), Box::new(|| token.stop()))];
    let mut rng = rng();
    let stopped = sim.block_on_with(call.run(&sim, &mut rng, lost), None, stop);
    let stopped = stopped.unwrap().unwrap_err();
    assert_eq!((stopped.reason, runs.get(), sim.ms()), (StopReason::Cancelled, 1, 150));
    let class = stopped.class();
    assert_eq!((class.effect(), class.transience()), (Effect::Unknown, Transience::Permanent));
}

#[test]
fn an_answer_that_comes_with_the_stop_counts() {
    let (sim, token) = (Sim::new(), StopToken::default());
    let lost = async |_: Attempt<u32>| Err(Error::new(Kind::Timeout, "no answer"));
    let found = async || {
        token.stop();
        Resolution::Found("filled")
    };
    let retry = retry();
    let call = retry.at_most_once(7).until(&token).asking(found);
    let finished = sim.block_on(call.run(&sim, &mut rng(), lost), None).unwrap().unwrap();
    assert_eq!((finished.value, finished.ending), ("filled", Ending::Resolved));
}

#[test]
fn nobody_falls_back_on_an_order_that_took_effect() {
    let duplicate = Class::of(Kind::Conflict).with_effect(Effect::Applied);
    let retry = retry();
    let taken = |_: Attempt<u32>| Err::<u32, _>(Known(duplicate));
    let stopped = retry.at_most_once(7).run_blocking(&manual(), &mut rng(), taken).unwrap_err();
    assert_eq!(stopped.reason, StopReason::AlreadyApplied);
    assert!(stopped.fall_back(|_| 0).is_err());
    let stopped = retry.idempotent(7).run_blocking(&manual(), &mut rng(), taken).unwrap_err();
    assert_eq!(stopped.fall_back(|_| 0).unwrap().value, 0);
}

/// An error that is nothing but its class.
#[derive(Debug)]
struct Known(Class);

impl Classify for Known {
    fn class(&self) -> Class {
        self.0
    }
}
