//! Guarded calls, and which errors speak against the other side.

use std::{
    error::Error as _,
    future::{Ready, pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, CallError, Policy, Reason, State};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect, Error, Kind, Transience};

const OPEN_TIME: Duration = Duration::from_secs(30);

fn breaker() -> (Breaker, ManualClock) {
    let policy = Policy::new(OPEN_TIME).with_count_window(2).with_failure_count(1);
    (Breaker::new(policy).unwrap(), ManualClock::new(Timestamp::EPOCH))
}

fn fails(kind: Kind) -> impl Fn() -> Result<(), Error> {
    move || Err(Error::new(kind, "scripted"))
}

#[test]
fn only_trouble_with_the_route_counts_as_a_failure() {
    let cases = [
        (Kind::RateLimited, (0, 1)),
        (Kind::Timeout, (0, 1)),
        (Kind::Connection, (0, 1)),
        (Kind::Unavailable, (0, 1)),
        (Kind::Internal, (0, 1)),
        (Kind::Invalid, (1, 0)),
        (Kind::Auth, (1, 0)),
        (Kind::NotFound, (1, 0)),
        (Kind::Conflict, (1, 0)),
        (Kind::Precondition, (1, 0)),
        (Kind::InsufficientFunds, (1, 0)),
        (Kind::Rejected, (1, 0)),
        (Kind::Unsupported, (1, 0)),
        (Kind::Data, (0, 0)),
        (Kind::Inconsistent, (0, 0)),
        (Kind::Calculation, (0, 0)),
        (Kind::Config, (0, 0)),
        (Kind::Cancelled, (0, 0)),
        (Kind::Other, (0, 0)),
    ];
    for (kind, expected) in cases {
        let (breaker, clock) = breaker();
        let error = breaker.call(|| clock.instant(), fails(kind)).unwrap_err();
        assert_eq!(error.class(), Class::of(kind));
        let counts = breaker.counts(|| clock.instant());
        assert_eq!((counts.success, counts.failure), expected, "{kind:?}");
    }
}

#[test]
fn a_refusal_is_known_to_have_changed_nothing_and_counts_for_no_breaker() {
    let (inner, clock) = breaker();
    let (outer, _) = breaker();
    let now = || clock.instant();
    assert!(inner.call(now, fails(Kind::Timeout)).is_err());

    let error = outer.call(now, || inner.call(now, || Ok::<_, Error>(()))).unwrap_err();
    let class = error.class();
    assert!(matches!(error, CallError::Failed(CallError::Rejected(_))));
    assert!(class.is_breaker_refusal() && !class.counts_for_breaker());
    assert_eq!((class.kind(), class.effect()), (Kind::Unavailable, Effect::NotApplied));
    assert_eq!(class.transience(), Transience::Transient);
    assert_eq!(class.retry_after(), Some(OPEN_TIME));
    assert_eq!(outer.counts(now).total(), 0);
}

#[test]
fn errors_print_and_lead_to_their_source() {
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    let failed = breaker.call(now, fails(Kind::Timeout)).unwrap_err();
    assert_eq!(failed.source().unwrap().to_string(), failed.to_string());
    let rejected = breaker.call(now, fails(Kind::Timeout)).unwrap_err();
    assert_eq!(rejected.to_string(), "circuit breaker rejected the call: open");
}

#[test]
fn a_panicking_call_is_a_failure_at_its_own_time() {
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    let call = || breaker.call(now, || -> Result<(), Error> { resume_unwind(Box::new(())) });
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    clock.advance(OPEN_TIME);
    breaker.call(now, || Ok::<_, Error>(())).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_asynchronous_call_is_judged_alike() {
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    let call = |kind| breaker.call_async(now, move || async move { fails(kind)() });
    assert!(matches!(pollster::block_on(call(Kind::Rejected)), Err(CallError::Failed(_))));
    assert_eq!(breaker.state(), State::Closed);
    assert!(matches!(pollster::block_on(call(Kind::Timeout)), Err(CallError::Failed(_))));
    let Err(CallError::Rejected(rejection)) = pollster::block_on(call(Kind::Timeout)) else {
        panic!("an open breaker sends nothing");
    };
    assert_eq!((rejection.reason, rejection.retry_after), (Reason::Open, Some(OPEN_TIME)));
}

#[test]
fn a_cancelled_call_gives_its_slot_back() {
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    assert!(breaker.call(now, fails(Kind::Timeout)).is_err());
    clock.advance(OPEN_TIME);
    {
        let mut probe = pin!(breaker.call_async(now, pending::<Result<(), Error>>));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(probe.as_mut().poll(&mut context), Poll::Pending));
        assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::HalfOpenFull);
    }
    assert_eq!((breaker.state(), breaker.counts(now).total()), (State::HalfOpen, 0));
    breaker.call(now, || Ok::<_, Error>(())).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_asynchronous_call_asks_when_it_is_polled_first() {
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    let late = breaker.call_async(now, async || -> Result<(), Error> {
        panic!("an open breaker sends nothing");
    });
    assert!(breaker.call(now, fails(Kind::Timeout)).is_err());
    assert!(matches!(pollster::block_on(late), Err(CallError::Rejected(_))));
    assert_eq!(breaker.totals().rejected, 1);
}

#[test]
fn a_panic_on_the_way_is_booked_at_once_even_if_the_future_lives_on() {
    type Answer = Result<(), Error>;
    fn panics<T>() -> T {
        resume_unwind(Box::new("the call panics"))
    }
    let (one, clock) = breaker();
    let now = || clock.instant();
    let call = one.call_async(now, panics::<Ready<Answer>>);
    outlive_a_panic(pin!(call), &one);
    assert_eq!(one.open_left(now), Some(OPEN_TIME));

    let (other, clock) = breaker();
    let now = || clock.instant();
    let call = other.call_async(now, async || panics::<Answer>());
    outlive_a_panic(pin!(call), &other);
    assert_eq!(other.open_left(now), Some(OPEN_TIME));

    for polls in [false, true] {
        let (breaker, clock) = breaker();
        let now = || clock.instant();
        let permit = breaker.admit(now).unwrap();
        let op = || if polls { poll_fn(|_| panics::<Poll<Answer>>()) } else { panics() };
        outlive_a_panic(pin!(permit.call_async(now, op)), &breaker);
        assert_eq!(breaker.open_left(now), Some(OPEN_TIME));
    }
}

#[test]
fn a_clock_that_panics_after_the_call_costs_no_slot() {
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    let broken = || -> Instant { resume_unwind(Box::new("no clock today")) };
    let call = || breaker.call(broken, fails(Kind::Timeout));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(call()))).is_err());
    assert_eq!(breaker.state(), State::Open, "the panic counts, at the time of the next call");
    assert!(breaker.admit(now).is_err());
    clock.advance(OPEN_TIME);
    assert!(breaker.call(now, || Ok::<_, Error>(())).is_ok());
}

#[test]
fn the_panic_of_a_neighbour_is_no_failure_of_a_call_in_flight() {
    type Answer = Result<(), Error>;
    let (breaker, clock) = breaker();
    let now = || clock.instant();
    perish_beside_a_panic(breaker.call_async(now, pending::<Answer>), true);
    perish_beside_a_panic(breaker.call_async(now, pending::<Answer>), false);
    let permit = || breaker.admit(now).unwrap();
    perish_beside_a_panic(permit().call_async(now, pending::<Answer>), true);
    perish_beside_a_panic(permit().call_async(now, pending::<Answer>), false);
    assert_eq!((breaker.state(), breaker.totals().opened), (State::Closed, 0));

    breaker.open_for(Duration::ZERO, now());
    perish_beside_a_panic(breaker.call_async(now, pending::<Answer>), true);
    assert_eq!((breaker.state(), breaker.probes_in_flight()), (State::HalfOpen, 0));
}

/// Drops the call by the panic of another one in the same task.
fn perish_beside_a_panic(call: impl Future, is_polled: bool) {
    let both = async {
        let mut call = pin!(call);
        let neighbour = poll_fn(|context| -> Poll<()> {
            if is_polled {
                assert!(call.as_mut().poll(context).is_pending());
            }
            resume_unwind(Box::new("the neighbour panics"))
        });
        neighbour.await;
    };
    assert!(catch_unwind(AssertUnwindSafe(|| pollster::block_on(both))).is_err());
}

fn outlive_a_panic<F: Future>(mut call: Pin<&mut F>, breaker: &Breaker) {
    let mut context = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| drop(call.as_mut().poll(&mut context))));
    assert!(polled.is_err());
    assert_eq!((breaker.state(), breaker.totals().opened), (State::Open, 1));
}

#[test]
fn an_asynchronous_call_may_move_to_another_thread() {
    let (breaker, clock) = breaker();
    let call = breaker.call_async(|| clock.instant(), || ready(Ok::<_, Error>(1)));
    let answer = thread::scope(|scope| scope.spawn(|| pollster::block_on(call)).join().unwrap());
    assert_eq!(answer.unwrap(), 1);
}
