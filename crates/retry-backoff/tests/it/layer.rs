//! The retry as a tower layer.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backstop_clock::{ManualClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};
use backstop_retry_backoff::layer::{Layer, Retried};
use backstop_retry_backoff::{Guard, Jitter, Policy, Retry, Schedule, StopReason};
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
