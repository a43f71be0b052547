//! The breaker as a layer of tower.

use std::{
    future::{Pending, pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use backstop_circuit_breaker::{Breaker, CallError, Policy, Reason, State, tower::Layer};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};
use tower::{Layer as _, Service, service_fn};

const OPEN_TIME: Duration = Duration::from_secs(30);

fn breaker() -> (Breaker, ManualClock) {
    let policy = Policy::new(OPEN_TIME).with_consecutive_failures(1);
    (Breaker::new(policy).unwrap(), ManualClock::new(Timestamp::EPOCH))
}

#[test]
fn calls_are_judged_and_rejected() {
    let (breaker, clock) = breaker();
    let answer = |call: u32| {
        ready(if call == 0 { Err(Error::new(Kind::Timeout, "no answer")) } else { Ok(call) })
    };
    let mut client = Layer::new(breaker.clone(), &clock).layer(service_fn(answer));
    assert_eq!(pollster::block_on(client.call(1)).unwrap(), 1);
    assert!(matches!(pollster::block_on(client.call(0)), Err(CallError::Failed(_))));
    let Err(CallError::Rejected(rejection)) = pollster::block_on(client.call(1)) else {
        panic!("an open breaker sends nothing");
    };
    assert_eq!((rejection.reason, rejection.retry_after), (Reason::Open, Some(OPEN_TIME)));
    clock.advance(OPEN_TIME);
    assert_eq!(pollster::block_on(client.call(2)).unwrap(), 2);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn clones_share_the_breaker_and_their_calls_outlive_them() {
    let (breaker, clock) = breaker();
    let answer = |_: u32| ready(Err::<(), _>(Error::new(Kind::Timeout, "no answer")));
    let client = Layer::new(breaker.clone(), &clock).layer(service_fn(answer));
    let call = client.clone().call(1);
    assert!(matches!(pollster::block_on(call), Err(CallError::Failed(_))));
    let call = { client }.call(2);
    assert!(matches!(pollster::block_on(call), Err(CallError::Rejected(_))));
    assert_eq!((breaker.totals().opened, breaker.totals().rejected), (1, 1));
}

#[test]
fn getting_ready_takes_no_permit_and_a_dropped_call_gives_it_back() {
    let (breaker, clock) = breaker();
    breaker.open(clock.instant());
    clock.advance(OPEN_TIME);
    let service = service_fn(|_: u32| pending::<Result<(), Error>>());
    let mut client = Layer::new(breaker.clone(), &clock).layer(service);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(matches!(client.poll_ready(&mut context), Poll::Ready(Ok(()))));
    }
    for _ in 0..3 {
        let mut call = pin!(client.call(1));
        assert!(call.as_mut().poll(&mut context).is_pending());
        assert_eq!((breaker.state(), breaker.probes_in_flight()), (State::HalfOpen, 1));
        // Shadowing would keep it to the end of the round, which is soon enough.
    }
    assert_eq!(breaker.probes_in_flight(), 0);
}

#[test]
fn a_panic_is_booked_at_once_even_if_the_future_lives_on() {
    let (breaker, clock) = breaker();
    let service = service_fn(async |_: u32| -> Result<(), Error> {
        resume_unwind(Box::new("the call panics"))
    });
    let mut client = Layer::new(breaker.clone(), &clock).layer(service);
    let mut call = Box::pin(client.call(1));
    let mut context = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| drop(call.as_mut().poll(&mut context))));
    assert!(polled.is_err());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.open_left(|| clock.instant()), Some(OPEN_TIME));
    drop(call);
    assert_eq!((breaker.totals().opened, breaker.totals().stale), (1, 0));
}

#[test]
fn the_panic_of_a_neighbour_is_no_failure_of_a_call_in_flight() {
    let (breaker, clock) = breaker();
    let service = service_fn(|_: u32| pending::<Result<(), Error>>());
    let call = Layer::new(breaker.clone(), &clock).layer(service).call(1);
    let both = async {
        let mut call = pin!(call);
        let neighbour = poll_fn(|context| -> Poll<()> {
            assert!(call.as_mut().poll(context).is_pending());
            resume_unwind(Box::new("the neighbour panics"))
        });
        neighbour.await;
    };
    assert!(catch_unwind(AssertUnwindSafe(|| pollster::block_on(both))).is_err());
    assert_eq!((breaker.state(), breaker.totals().opened), (State::Closed, 0));
}

#[test]
fn a_service_that_panics_before_it_gives_a_future_is_booked_at_its_own_time() {
    let (breaker, clock) = breaker();
    let service = service_fn(|_: u32| -> Pending<Result<(), Error>> {
        resume_unwind(Box::new("the call panics"))
    });
    let mut client = Layer::new(breaker.clone(), &clock).layer(service);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(client.call(1)))).is_err());
    assert_eq!(breaker.open_left(|| clock.instant()), Some(OPEN_TIME));
}
