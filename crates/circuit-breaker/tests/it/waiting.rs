//! The bulkhead: who runs, who waits, and who is refused.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::mpsc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use backstop_circuit_breaker::{
    Problem,
    bulkhead::{Bulkhead, Event, Limits, Refusal},
};
use backstop_clock::{Clock, ManualClock, Sleep, Timestamp};
use backstop_error_taxonomy::{Classify, Effect};

const SECOND: Duration = Duration::from_secs(1);

/// Sleeps as long as the test's clock says, unlike the clock itself, which moves on by a sleep.
struct Timer(ManualClock);

impl Sleep for Timer {
    async fn sleep(&self, duration: Duration) {
        let end = self.0.instant() + duration;
        let is_over = |_: &mut Context<'_>| {
            if self.0.instant() < end { Poll::Pending } else { Poll::Ready(()) }
        };
        poll_fn(is_over).await;
    }
}

fn clock() -> Timer {
    Timer(ManualClock::new(Timestamp::EPOCH))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn done<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("still waiting"),
    }
}

#[test]
fn so_many_run_so_many_wait_and_the_rest_is_refused() {
    let clock = clock();
    let (sender, events) = mpsc::channel();
    let bulkhead = Bulkhead::new(Limits::new(2).with_max_waiting(1)).unwrap();
    let bulkhead = bulkhead.with_listener(move |_, event| sender.send(*event).unwrap());
    let slots = [bulkhead.try_enter().unwrap(), done(poll(pin!(bulkhead.enter(&clock)))).unwrap()];
    let mut waits = pin!(bulkhead.enter(&clock));
    assert!(poll(waits.as_mut()).is_pending());
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (2, 1));
    assert_eq!(done(poll(pin!(bulkhead.enter(&clock)))).unwrap_err(), Refusal::Full);
    drop(slots);
    let slot = done(poll(waits.as_mut())).unwrap();
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (1, 0));
    drop(slot);
    assert_eq!(bulkhead.running(), 0);
    let totals = bulkhead.totals();
    assert_eq!((totals.waited, totals.full, totals.timed_out), (1, 1, 0));
    let told: Vec<_> = events.try_iter().collect();
    assert_eq!(told, [Event::Waiting, Event::Refused(Refusal::Full)]);
}

#[test]
fn first_come_is_first_served_and_nobody_overtakes() {
    let clock = clock();
    let bulkhead = Bulkhead::new(Limits::new(1).with_max_waiting(2)).unwrap();
    let slot = bulkhead.try_enter().unwrap();
    let (mut first, mut second) = (pin!(bulkhead.enter(&clock)), pin!(bulkhead.enter(&clock)));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    drop(slot);
    assert_eq!(bulkhead.try_enter().unwrap_err(), Refusal::Full, "the slot is spoken for");
    assert!(poll(second.as_mut()).is_pending());
    let slot = done(poll(first.as_mut())).unwrap();
    drop(slot);
    assert!(done(poll(second.as_mut())).is_ok());
}

#[test]
fn a_wait_ends_in_time() {
    let clock = clock();
    let limits = Limits::new(1).with_max_waiting(4).with_max_wait(SECOND);
    let bulkhead = Bulkhead::new(limits).unwrap();
    let slot = bulkhead.try_enter().unwrap();
    let mut waits = pin!(bulkhead.enter(&clock));
    assert!(poll(waits.as_mut()).is_pending());
    clock.0.advance(SECOND.saturating_sub(Duration::from_nanos(1)));
    assert!(poll(waits.as_mut()).is_pending());
    clock.0.advance(Duration::from_nanos(1));
    assert_eq!(done(poll(waits.as_mut())).unwrap_err(), Refusal::TimedOut);
    assert_eq!((bulkhead.waiting(), bulkhead.totals().timed_out), (0, 1));

    let mut waits = pin!(bulkhead.enter(&clock));
    assert!(poll(waits.as_mut()).is_pending());
    clock.0.advance(SECOND);
    drop(slot);
    assert!(done(poll(waits.as_mut())).is_ok(), "a slot at the last moment is taken");
}

#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    let clock = clock();
    let bulkhead = Bulkhead::new(Limits::new(1).with_max_waiting(1)).unwrap();
    let slot = bulkhead.try_enter().unwrap();
    for _ in 0..3 {
        let mut waits = Box::pin(bulkhead.enter(&clock));
        assert!(poll(waits.as_mut()).is_pending());
        drop(waits);
        assert_eq!(bulkhead.waiting(), 0);
    }
    drop(slot);
    assert!(bulkhead.try_enter().is_ok());
}

#[test]
fn a_refusal_is_known_to_have_changed_nothing() {
    for refusal in [Refusal::Full, Refusal::TimedOut] {
        let class = refusal.class();
        assert!(class.is_breaker_refusal() && !class.counts_for_breaker());
        assert_eq!(class.effect(), Effect::NotApplied);
    }
}

#[test]
fn impossible_limits_are_refused_together() {
    let error = Bulkhead::new(Limits::new(0).with_max_wait(Duration::ZERO)).unwrap_err();
    let settings: Vec<_> = error.problems().iter().map(Problem::setting).collect();
    assert_eq!(settings, ["max_concurrent", "max_wait"]);
}
