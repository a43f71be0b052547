//! What a retry costs a call that succeeds at once, and one that fails three times.
//!
//! Each group has the bare call, ours and the peers, on 1, 2 and 4 threads that share one policy.
//! The figure that counts is the difference to the bare call.
//! What a call gives is unknown to the compiler, or it would remove the peers' loops and ours.
//! Times are of the processor, per thread: who waits for a turn on a busy machine is not charged.

mod threads;

use std::{
    future::{Ready, ready},
    hint::black_box,
    io,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use backon::{BlockingRetryable, ConstantBuilder, ExponentialBuilder, Retryable as _};
use backstop_clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use backstop_retry_backoff::{Attempt, Guard, Jitter, Policy, Retry, Schedule, layer::Layer};
use criterion::Criterion;
use rand::{SeedableRng, rngs::SmallRng};
use tokio_retry::strategy::ExponentialBackoff;
use tower_layer::Layer as _;
use tower_service::Service;

use threads::with_own;

const BASE: Duration = Duration::from_millis(100);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(200))
        .configure_from_args();
    blocking(&mut criterion);
    on_futures(&mut criterion);
    with_deadline(&mut criterion);
    as_layer(&mut criterion);
    failing(&mut criterion);
    criterion.final_summary();
}

/// What is retried.
fn call() -> io::Result<u32> {
    black_box(Ok(1))
}

/// The answer of a future that has one at once; an executor would cost more than what is measured.
#[inline(always)]
#[expect(clippy::inline_always, reason = "moving the future into a call would be measured too")]
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
    }
}

fn retry(schedule: Schedule) -> Retry {
    Retry::new(Policy::new(schedule)).expect("a policy that can hold")
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(1)
}

fn exponential() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(black_box(BASE)).with_jitter()
}

fn blocking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_blocking");
    let ours = retry(Schedule::exponential(BASE));
    for threads in [1, 2, 4] {
        with_own(&mut group, "bare", threads, || (), |()| call().is_ok());
        with_own(&mut group, "backstop", threads, rng, |rng| {
            black_box(&ours).read().run_blocking(&SystemClock, rng, |_| call()).is_ok()
        });
        with_own(
            &mut group,
            "backon",
            threads,
            || (),
            |()| call.retry(exponential()).sleep(|_| ()).call().is_ok(),
        );
    }
    group.finish();
}

fn on_futures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_async");
    let ours = retry(Schedule::exponential(BASE));
    for threads in [1, 2, 4] {
        with_own(&mut group, "bare", threads, || (), |()| now(async { call() }).is_ok());
        with_own(&mut group, "backstop", threads, rng, |rng| {
            now(black_box(&ours).read().run(&SystemClock, rng, async |_| call())).is_ok()
        });
        with_own(
            &mut group,
            "backon",
            threads,
            || (),
            |()| now((async || call()).retry(exponential())).is_ok(),
        );
        // Without a timer its future is smaller; ours and the others could really pause.
        with_own(
            &mut group,
            "backon_no_pauses",
            threads,
            || (),
            |()| {
                let run = (async || call()).retry(exponential()).sleep(|_| ready(()));
                now(run).is_ok()
            },
        );
        with_own(
            &mut group,
            "tokio_retry",
            threads,
            || (),
            |()| {
                let schedule = ExponentialBackoff::from_millis(black_box(100)).take(3);
                now(tokio_retry::Retry::start(schedule, || async { call() })).is_ok()
            },
        );
    }
    group.finish();
}

/// A deadline has to read the clock once; the group shows what that alone takes.
fn with_deadline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_deadline");
    let policy = Policy::new(Schedule::exponential(BASE)).with_deadline(Duration::from_mins(1));
    let ours = Retry::new(policy).expect("a policy that can hold");
    for threads in [1, 2, 4] {
        with_own(&mut group, "clock_read", threads, || (), |()| SystemClock.instant());
        with_own(&mut group, "backstop_blocking", threads, rng, |rng| {
            black_box(&ours).read().run_blocking(&SystemClock, rng, |_| call()).is_ok()
        });
        with_own(&mut group, "backstop_async", threads, rng, |rng| {
            now(black_box(&ours).read().run(&SystemClock, rng, async |_| call())).is_ok()
        });
    }
    group.finish();
}

/// A service that answers at once.
#[derive(Clone)]
struct Venue;

impl Service<u32> for Venue {
    type Response = u32;
    type Error = io::Error;
    type Future = Ready<io::Result<u32>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        black_box(Poll::Ready(Ok(())))
    }

    fn call(&mut self, _req: u32) -> Self::Future {
        ready(call())
    }
}

fn as_layer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_tower");
    let layer = Layer::new(retry(Schedule::exponential(BASE)), SystemClock, 1, |request: &u32| {
        Guard::Once(*request)
    });
    for threads in [1, 2, 4] {
        with_own(&mut group, "bare", threads, || Venue, once);
        with_own(&mut group, "backstop", threads, || layer.layer(Venue), once);
    }
    group.finish();
}

/// Gets a service ready and calls it.
fn once<S: Service<u32>>(service: &mut S) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    service.poll_ready(&mut context).is_ready() && now(service.call(7)).is_ok()
}

/// Three failures, then success, with sleeps that take no time; ours reads the clock all the same.
fn failing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_fourth_try_blocking");
    let ours = retry(Schedule::fixed(Duration::ZERO).with_jitter(Jitter::None));
    let schedule = ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(3);
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    // Its pauses take no time, as the peer's do.
    let own = || (rng(), ManualClock::new(Timestamp::EPOCH));
    for threads in [1, 2, 4] {
        with_own(&mut group, "backstop", threads, own, |(rng, clock)| {
            let op = |at: Attempt<()>| if at.number < 4 { Err(refused()) } else { call() };
            black_box(&ours).read().run_blocking(clock, rng, op).is_ok()
        });
        with_own(
            &mut group,
            "backon",
            threads,
            || (),
            |()| {
                let mut failures = (0..3).map(|_| Err(refused()));
                let op = || failures.next().unwrap_or_else(call);
                op.retry(schedule).sleep(|_| ()).call().is_ok()
            },
        );
    }
    group.finish();
}
