//! What a first attempt must keep to, whatever is left out around it.

use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use backstop_clock::{ManualClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};
use backstop_retry_backoff::{Attempt, Jitter, Policy, Resolution, Retry, Schedule, StopReason};
use rand::SeedableRng;
use rand::rngs::StdRng;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn policy() -> Policy {
    Policy::new(Schedule::fixed(ms(100)).with_jitter(Jitter::None)).with_attempts_max(2)
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn lost() -> Error {
    Error::new(Kind::Timeout, "no answer")
}

#[test]
fn the_time_before_the_first_wait_is_part_of_the_attempt() {
    // Of an attempt that hangs in the end, 10 ms pass while it is made and 20 while it starts.
    for (policy, reason, took) in [
        (policy().with_attempt_timeout(ms(50)), StopReason::AttemptsExhausted, ms(200)),
        (policy().with_deadline(ms(50)), StopReason::Deadline, ms(50)),
        (
            policy().with_deadline(ms(190)).with_attempt_timeout(ms(50)),
            StopReason::Deadline,
            ms(190),
        ),
    ] {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let hangs = |_: Attempt<()>| {
            clock.advance(ms(10));
            async {
                clock.advance(ms(20));
                pending::<Result<(), Error>>().await
            }
        };
        let retry = Retry::new(policy).unwrap();
        let stopped = pollster::block_on(retry.read().run(&clock, &mut rng(), hangs)).unwrap_err();
        assert_eq!((stopped.reason, clock.elapsed()), (reason, took));
    }
}

#[test]
fn the_time_before_the_first_wait_is_part_of_the_look_up() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let order = async |_: Attempt<u32>| Err::<(), _>(lost());
    let look_up = async || {
        clock.advance(ms(20));
        pending::<Resolution<()>>().await
    };
    let retry = Retry::new(policy().with_attempt_timeout(ms(50))).unwrap();
    let call = retry.at_most_once(7).asking(look_up);
    let stopped = pollster::block_on(call.run(&clock, &mut rng(), order)).unwrap_err();
    assert_eq!((stopped.reason, clock.elapsed()), (StopReason::UnknownOutcome, ms(150)));
}

#[test]
fn a_run_that_panicked_sends_nothing_when_it_is_polled_again() {
    for policy in [policy(), policy().with_attempt_timeout(ms(50))] {
        let (clock, sent) = (ManualClock::new(Timestamp::EPOCH), Cell::new(0));
        let panics = |_: Attempt<u32>| -> std::future::Ready<Result<(), Error>> {
            sent.set(sent.get() + 1);
            resume_unwind(Box::new("after the order has left"))
        };
        let (retry, mut rng) = (Retry::new(policy).unwrap(), rng());
        let mut run = pin!(retry.at_most_once(7).run(&clock, &mut rng, panics));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            drop(catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(&mut context).is_ready())));
        }
        assert_eq!(sent.get(), 1);
    }
}
