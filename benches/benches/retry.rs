//! What a retry costs a call that succeeds at once, and one that fails three times.
//!
//! Each group has the bare call, ours and the peers; the figure that counts is the difference to
//! the bare call.

use std::{future::ready, hint::black_box, io, time::Duration};

use backon::{BlockingRetryable, ConstantBuilder, ExponentialBuilder, Retryable as _};
use backstop_clock::SystemClock;
use backstop_retry_backoff::{Attempt, Jitter, Policy, Retry, Schedule};
use criterion::Criterion;
use rand::{SeedableRng, rngs::SmallRng};
use tokio_retry::strategy::{ExponentialBackoff, jitter};

const BASE: Duration = Duration::from_millis(100);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    blocking(&mut criterion);
    on_futures(&mut criterion);
    failing(&mut criterion);
    criterion.final_summary();
}

/// What is retried: cheap, and unknown to the compiler.
fn call() -> io::Result<u32> {
    Ok(black_box(1))
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
        bencher.iter(|| ours.read().run_blocking(&SystemClock, &mut rng, |_| call()).is_ok());
    });
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let schedule = ExponentialBuilder::default().with_min_delay(BASE).with_jitter();
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
        bencher.iter(|| pollster::block_on(async { call() }).is_ok());
    });
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            let run = ours.read().run(&SystemClock, &mut rng, async |_| call());
            pollster::block_on(run).is_ok()
        });
    });
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let schedule = ExponentialBuilder::default().with_min_delay(BASE).with_jitter();
            let run = (async || call()).retry(schedule).sleep(|_| ready(()));
            pollster::block_on(async { run.await }).is_ok()
        });
    });
    group.bench_function("tokio_retry", |bencher| {
        bencher.iter(|| {
            let schedule = ExponentialBackoff::from_millis(100).map(jitter).take(3);
            pollster::block_on(tokio_retry::Retry::start(schedule, || async { call() })).is_ok()
        });
    });
    group.finish();
}

/// Three failures, then success, with sleeps that take no time.
fn failing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_fourth_try_blocking");
    let mut rng = SmallRng::seed_from_u64(1);
    let ours = retry(Schedule::fixed(Duration::ZERO).with_jitter(Jitter::None));
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);

    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            let op = |at: Attempt<()>| if at.number < 4 { Err(refused()) } else { call() };
            ours.read().run_blocking(&SystemClock, &mut rng, op).is_ok()
        });
    });
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let mut number = 0;
            let op = || {
                number += 1;
                if number < 4 { Err(refused()) } else { call() }
            };
            let schedule = ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(3);
            op.retry(schedule).sleep(|_| ()).call().is_ok()
        });
    });
    group.finish();
}
