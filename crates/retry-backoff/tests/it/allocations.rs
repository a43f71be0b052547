//! The first try allocates nothing, counted by the allocator itself.

use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backstop_clock::{ManualClock, Timestamp};
use backstop_retry_backoff::{Attempt, Policy, Retry, Retryable as _, Schedule};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn call() -> io::Result<u32> {
    black_box(Ok(1))
}

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn a_first_try_that_succeeds_allocates_nothing() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(1);
    let retry = Retry::new(Policy::new(Schedule::exponential(Duration::from_secs(1)))).unwrap();
    let blocking = allocations(|| {
        let ended = retry.at_most_once(7).run_blocking(&clock, &mut rng, |_| call());
        assert_eq!(ended.unwrap().value, 1);
    });
    let sentence = allocations(|| {
        assert!(call.retry(retry.read()).blocking_on(&clock, &mut rng).is_ok());
    });
    let on_futures = allocations(|| {
        let mut run = pin!(retry.at_most_once(7).run(&clock, &mut rng, async |_| call()));
        let Poll::Ready(ended) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing is waited for");
        };
        assert_eq!(ended.unwrap().value, 1);
    });
    assert_eq!([blocking, sentence, on_futures], [0; 3]);
}

#[test]
fn a_run_with_a_deadline_allocates_nothing_either() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(1);
    let policy = Policy::new(Schedule::exponential(Duration::from_secs(1)))
        .with_deadline(Duration::from_secs(20));
    let retry = Retry::new(policy).unwrap();
    let blocking = allocations(|| {
        assert!(retry.at_most_once(7).run_blocking(&clock, &mut rng, |_| call()).is_ok());
    });
    let on_futures = allocations(|| {
        let run = pin!(retry.at_most_once(7).run(&clock, &mut rng, async |_| call()));
        let ended = run.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(ended, Poll::Ready(Ok(_))));
    });
    assert_eq!([blocking, on_futures], [0; 2]);
}

#[test]
fn the_counter_counts() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(1);
    let retry = Retry::new(Policy::new(Schedule::exponential(Duration::from_secs(1)))).unwrap();
    let refused = |attempt: Attempt<()>| match attempt.number {
        1 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        _ => call(),
    };
    let failing = allocations(|| {
        assert!(retry.read().run_blocking(&clock, &mut rng, refused).is_ok());
    });
    assert!(failing > 0, "the history of a failure is kept somewhere");
}
