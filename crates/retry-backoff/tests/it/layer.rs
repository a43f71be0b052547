//! The retry as a tower layer.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backstop_clock::{ManualClock, Timestamp};
use backstop_error_taxonomy::{Classify as _, Effect, Error, Kind};
use backstop_retry_backoff::layer::{Asking, Layer, Retried, Terms};
use backstop_retry_backoff::{
    Guard, Handle, Jitter, Policy, Resolution, Retry, Schedule, StopReason, StopToken,
};
use tower_layer::Layer as _;
use tower_service::Service;

type Guarding = fn(&Request) -> Guard<u64>;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Request {
    Read(u64),
    Order(u64),
}

fn guard(request: &Request) -> Guard<u64> {
    match *request {
        Request::Read(key) => Guard::Idempotent(key),
        Request::Order(key) => Guard::Once(key),
    }
}

/// A venue with a script of what goes wrong, whose clones have to be made ready each.
#[derive(Default)]
struct Venue {
    shared: Arc<Mutex<Script>>,
    is_ready: bool,
}

#[derive(Default)]
struct Script {
    failures: VecDeque<Kind>,
    calls: Vec<Request>,
    clones: u32,
}

impl Clone for Venue {
    fn clone(&self) -> Self {
        self.shared.lock().unwrap().clones += 1;
        Self { shared: Arc::clone(&self.shared), is_ready: false }
    }
}

impl Service<Request> for Venue {
    type Response = &'static str;
    type Error = Error;
    type Future = std::future::Ready<Result<&'static str, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        let mut script = self.shared.lock().unwrap();
        script.calls.push(req);
        let failure = script.failures.pop_front();
        std::future::ready(failure.map_or(Ok("done"), |kind| Err(Error::new(kind, "no"))))
    }
}

fn second() -> Policy {
    Policy::new(Schedule::fixed(Duration::from_secs(1)).with_jitter(Jitter::None))
}

fn venue(
    policy: Policy,
    failures: &[Kind],
) -> (Retried<Venue, ManualClock, Guarding>, ManualClock) {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let venue = Venue::default();
    venue.shared.lock().unwrap().failures.extend(failures);
    let retry = Retry::new(policy).unwrap();
    (Layer::new(retry, clock.clone(), 7, guard as Guarding).layer(venue), clock)
}

async fn called(
    venue: &mut Retried<Venue, ManualClock, Guarding>,
    request: Request,
) -> Result<&'static str, StopReason> {
    std::future::poll_fn(|cx| venue.poll_ready(cx)).await.unwrap();
    venue.call(request).await.map_err(|stopped| stopped.reason)
}

#[test]
fn a_read_is_tried_again_and_the_service_is_made_ready_each_time() {
    for policy in [second(), second().with_deadline(Duration::from_mins(1))] {
        let (mut venue, clock) = venue(policy, &[Kind::Timeout, Kind::RateLimited]);
        assert_eq!(pollster::block_on(called(&mut venue, Request::Read(1))), Ok("done"));
        assert_eq!(clock.elapsed(), Duration::from_secs(2));
    }
}

#[test]
fn an_order_without_an_answer_is_not_sent_again() {
    let (mut venue, clock) = venue(second(), &[Kind::RateLimited, Kind::Timeout]);
    let ended = pollster::block_on(called(&mut venue, Request::Order(1)));
    assert_eq!(ended, Err(StopReason::UnknownOutcome));
    assert_eq!(clock.elapsed(), Duration::from_secs(1));
}

/// Orders that can be looked up, or resolved by whoever holds the handle.
#[derive(Default)]
struct Desk {
    answer: Option<Resolution<&'static str>>,
    handle: Option<Handle<&'static str>>,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Terms<Request, &'static str> for Desk {
    type Key = u64;

    fn guard(&self, request: &Request) -> Guard<u64> {
        guard(request)
    }

    fn can_ask(&self) -> bool {
        self.answer.is_some()
    }

    fn ask(&self, request: &Request) -> Option<Asking<&'static str>> {
        self.asked.lock().unwrap().push(*request);
        let answer = self.answer?;
        Some(Box::pin(async move { answer }))
    }

    fn handle(&self, _request: &Request) -> Option<Handle<&'static str>> {
        self.handle.clone()
    }
}

type Ordered = Result<&'static str, (StopReason, Effect)>;

/// How a call of an order on these terms ends, and how often the venue was called.
fn ordered(
    desk: Desk,
    policy: Policy,
    token: Option<StopToken>,
    failures: &[Kind],
) -> (Ordered, usize) {
    let venue = Venue::default();
    let script = Arc::clone(&venue.shared);
    script.lock().unwrap().failures.extend(failures);
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut layer = Layer::new(Retry::new(policy).unwrap(), clock, 7, desk);
    if let Some(token) = token {
        layer = layer.until(token);
    }
    let mut venue = layer.layer(venue);
    let ended = pollster::block_on(async {
        std::future::poll_fn(|cx| venue.poll_ready(cx)).await.unwrap();
        venue.call(Request::Order(7)).await
    });
    let ended = ended.map_err(|stopped| (stopped.reason, stopped.class().effect()));
    (ended, script.lock().unwrap().calls.len())
}

#[test]
fn an_order_without_an_answer_is_looked_up_on_its_terms() {
    for policy in [second(), second().with_deadline(Duration::from_mins(1))] {
        for (answer, ended, calls) in [
            (Resolution::Found("filled"), Ok("filled"), 1),
            (Resolution::NotFound, Ok("done"), 2),
            (Resolution::Unknown, Err((StopReason::UnknownOutcome, Effect::Unknown)), 1),
        ] {
            let asked = Arc::default();
            let desk = Desk { answer: Some(answer), asked: Arc::clone(&asked), handle: None };
            assert_eq!(ordered(desk, policy, None, &[Kind::Timeout]), (ended, calls), "{answer:?}");
            assert_eq!(*asked.lock().unwrap(), [Request::Order(7)]);
        }
    }
    let nobody = ordered(Desk::default(), second(), None, &[Kind::Timeout]);
    assert_eq!(nobody, (Err((StopReason::UnknownOutcome, Effect::Unknown)), 1));
}

#[test]
fn a_stopped_token_sends_nothing_through_the_layer() {
    let token = StopToken::default();
    token.stop();
    let ended = ordered(Desk::default(), second(), Some(token), &[]);
    assert_eq!(ended, (Err((StopReason::Cancelled, Effect::NotApplied)), 0));
}

#[test]
fn news_from_elsewhere_resolve_a_call_through_the_layer() {
    let handle = Handle::new();
    handle.resolve("filled").unwrap();
    let desk = Desk { handle: Some(handle.clone()), ..Desk::default() };
    assert_eq!(ordered(desk, second(), None, &[Kind::Timeout]), (Ok("filled"), 0));
    assert_eq!(handle.resolve("late"), Err("late"), "the call is over");
}

#[test]
fn the_future_can_move_to_another_thread() {
    fn can_move<T: Send + 'static>(_: T) {}
    let (mut venue, _) = venue(second(), &[]);
    can_move(async move { called(&mut venue, Request::Read(1)).await });
}

#[test]
fn a_first_try_that_succeeds_allocates_nothing() {
    // A service whose calls and clones allocate nothing themselves.
    #[derive(Clone)]
    struct Quiet;

    impl Service<Request> for Quiet {
        type Response = u32;
        type Error = Error;
        type Future = std::future::Ready<Result<u32, Error>>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _req: Request) -> Self::Future {
            std::future::ready(Ok(1))
        }
    }
    let clock = ManualClock::new(Timestamp::EPOCH);
    let layer = Layer::new(Retry::new(second()).unwrap(), clock, 7, guard as Guarding);
    let mut quiet = layer.layer(Quiet);
    let counted = allocation_counter::measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        let run = pin!(quiet.call(Request::Order(1)));
        assert!(matches!(run.poll(&mut context), Poll::Ready(Ok(1))));
    });
    assert_eq!(counted.count_total, 0);
}
