//! What a retry costs a call that succeeds at once, and one that fails three times.
//!
//! Each group has the bare call, ours and the peers; the figure that counts is the difference to
//! the bare call.
//! What a call gives is unknown to the compiler, or it would remove the peers' loops and ours.

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

const BASE: Duration = Duration::from_millis(100);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
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

fn blocking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_blocking");
    let mut rng = SmallRng::seed_from_u64(1);
    let ours = retry(Schedule::exponential(BASE));

    group.bench_function("bare", |bencher| bencher.iter(|| call().is_ok()));
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            black_box(&ours).read().run_blocking(&SystemClock, &mut rng, |_| call()).is_ok()
        });
    });
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let schedule =
                ExponentialBuilder::default().with_min_delay(black_box(BASE)).with_jitter();
            call.retry(schedule).sleep(|_| ()).call().is_ok()
        });
    });
    group.finish();
}

fn on_futures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_async");
    let mut rng = SmallRng::seed_from_u64(1);
    let ours = retry(Schedule::exponential(BASE));

    group.bench_function("bare", |bencher| {
        bencher.iter(|| now(async { call() }).is_ok());
    });
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            let run = black_box(&ours).read().run(&SystemClock, &mut rng, async |_| call());
            now(run).is_ok()
        });
    });
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let schedule =
                ExponentialBuilder::default().with_min_delay(black_box(BASE)).with_jitter();
            let run = (async || call()).retry(schedule).sleep(|_| ready(()));
            now(run).is_ok()
        });
    });
    group.bench_function("tokio_retry", |bencher| {
        bencher.iter(|| {
            let schedule = ExponentialBackoff::from_millis(black_box(100)).take(3);
            now(tokio_retry::Retry::start(schedule, || async { call() })).is_ok()
        });
    });
    group.finish();
}

/// A deadline has to read the clock once; the group shows what that alone takes.
fn with_deadline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try_deadline");
    let mut rng = SmallRng::seed_from_u64(1);
    let policy = Policy::new(Schedule::exponential(BASE)).with_deadline(Duration::from_mins(1));
    let ours = Retry::new(policy).expect("a policy that can hold");

    group.bench_function("clock_read", |bencher| {
        bencher.iter(|| SystemClock.instant());
    });
    group.bench_function("backstop_blocking", |bencher| {
        bencher.iter(|| {
            let op = |_| call();
            black_box(&ours).read().run_blocking(&SystemClock, &mut rng, op).is_ok()
        });
    });
    group.bench_function("backstop_async", |bencher| {
        bencher.iter(|| {
            now(black_box(&ours).read().run(&SystemClock, &mut rng, async |_| call())).is_ok()
        });
    });
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
    let poll_ready = |cx: &mut Context<'_>, venue: &mut Venue| venue.poll_ready(cx).is_ready();

    let mut bare = Venue;
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            let mut context = Context::from_waker(Waker::noop());
            poll_ready(&mut context, &mut bare) && now(bare.call(7)).is_ok()
        });
    });
    let layer = Layer::new(retry(Schedule::exponential(BASE)), SystemClock, 1, |request: &u32| {
        Guard::Once(*request)
    });
    let mut ours = layer.layer(Venue);
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            let mut context = Context::from_waker(Waker::noop());
            ours.poll_ready(&mut context).is_ready() && now(ours.call(7)).is_ok()
        });
    });
    group.finish();
}

/// Three failures, then success, with sleeps that take no time; ours reads the clock all the same.
fn failing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_fourth_try_blocking");
    let mut rng = SmallRng::seed_from_u64(1);
    let ours = retry(Schedule::fixed(Duration::ZERO).with_jitter(Jitter::None));
    // Its pauses take no time, as the peer's do.
    let clock = ManualClock::new(Timestamp::EPOCH);
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);

    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            let op = |at: Attempt<()>| if at.number < 4 { Err(refused()) } else { call() };
            black_box(&ours).read().run_blocking(&clock, &mut rng, op).is_ok()
        });
    });
    let schedule = ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(3);
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let mut failures = (0..3).map(|_| Err(refused()));
            let op = || failures.next().unwrap_or_else(call);
            op.retry(schedule).sleep(|_| ()).call().is_ok()
        });
    });
    group.finish();
}
