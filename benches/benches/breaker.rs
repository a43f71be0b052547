//! What a breaker costs each call, beside its peers.
//!
//! Each group has the bare call, ours and the peers, on 1, 2 and 4 threads that share one breaker.
//! The figure that counts is the difference to the bare call.
//! Times are of the processor, per thread: who waits for a turn on a busy machine is not charged.

mod threads;

use std::{
    convert::Infallible,
    future::ready,
    hint::black_box,
    io,
    time::{Duration, Instant},
};

use backstop_circuit_breaker::{Breaker, Policy, tower::Layer};
use backstop_clock::{Clock, SystemClock};
use criterion::{BatchSize, BenchmarkId, Criterion};
use failsafe::{backoff, failure_policy};
use recloser::{AsyncRecloser, Recloser};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_resilience_circuitbreaker::{
    CircuitBreakerConfigBuilder, CircuitBreakerLayer, SlidingWindowType,
};

use threads::{Group, with_own};

/// Verdicts in a window by count.
const WINDOW: u8 = 100;
/// Length of a window by time.
const SPAN: Duration = Duration::from_secs(10);
const OPEN_TIME: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_hours(1);

fn main() {
    // Many short functions: each is steady, and what disturbs one comes and goes within a second.
    let mut criterion = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(200))
        .configure_from_args();
    by_run(&mut criterion);
    by_count(&mut criterion);
    with_failures(&mut criterion);
    by_time(&mut criterion);
    rejected(&mut criterion);
    on_futures(&mut criterion);
    on_tower(&mut criterion);
    window_sizes(&mut criterion);
    criterion.final_summary();
}

fn policy() -> Policy {
    Policy::new(OPEN_TIME)
}

fn breaker(policy: Policy) -> Breaker {
    Breaker::new(policy).expect("a policy that can hold")
}

/// What is guarded: cheap, and unknown to the compiler.
fn call() -> io::Result<u32> {
    black_box(Ok(1))
}

/// A time that the caller knows already.
fn given() -> impl Fn() -> Instant {
    let now = SystemClock.instant();
    move || black_box(now)
}

/// What one call costs the processor on 1, 2 and 4 threads.
fn on_threads<R>(group: &mut Group<'_>, name: &str, call: impl Fn() -> R + Sync) {
    for threads in [1, 2, 4] {
        with_own(group, name, threads, || (), |()| call());
    }
}

/// Failures in a row: no clock is needed.
fn by_run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_closed_run");
    on_threads(&mut group, "bare", || call().is_ok());
    let ours = breaker(policy().with_consecutive_failures(5));
    let now = given();
    on_threads(&mut group, "backstop", || ours.call(&now, call).is_ok());
    let raw = breaker(policy().with_consecutive_failures(5));
    on_threads(&mut group, "backstop_permit", || {
        raw.admit(&now).map(|permit| permit.success(&now)).is_ok()
    });
    let accrual = failure_policy::consecutive_failures(5, backoff::constant(OPEN_TIME));
    let failsafe = failsafe::Config::new().failure_policy(accrual).build();
    on_threads(&mut group, "failsafe", || failsafe::CircuitBreaker::call(&failsafe, call).is_ok());
    group.finish();
}

/// Half of the last hundred: no clock is needed, and the window is exact.
fn by_count(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_closed_count");
    on_threads(&mut group, "bare", || call().is_ok());
    let ours = breaker(policy().with_count_window(WINDOW.into()).with_failure_rate(0.5));
    let now = given();
    on_threads(&mut group, "backstop", || ours.call(&now, call).is_ok());
    let recloser = Recloser::custom().error_rate(0.5).closed_len(WINDOW.into()).build();
    on_threads(&mut group, "recloser", || recloser.call(call).is_ok());
    group.finish();
}

/// The same with one failure in fifty calls, so that the window is never clean.
fn with_failures(criterion: &mut Criterion) {
    const EVERY: u32 = 50;
    let mut group = criterion.benchmark_group("breaker_closed_count_2_percent_fail");
    let call = |number: &mut u32| {
        *number += 1;
        if number.is_multiple_of(EVERY) {
            Err(io::Error::from(io::ErrorKind::TimedOut))
        } else {
            call()
        }
    };
    let ours = breaker(
        policy()
            .with_count_window(WINDOW.into())
            .with_failure_rate(0.5)
            .with_min_calls(WINDOW.into()),
    );
    let recloser = Recloser::custom().error_rate(0.5).closed_len(WINDOW.into()).build();
    let now = given();
    for threads in [1, 2, 4] {
        with_own(&mut group, "bare", threads, || 0, |number| call(number).is_ok());
        with_own(
            &mut group,
            "backstop",
            threads,
            || 0,
            |number| ours.call(&now, || call(number)).is_ok(),
        );
        with_own(
            &mut group,
            "recloser",
            threads,
            || 0,
            |number| recloser.call(|| call(number)).is_ok(),
        );
    }
    group.finish();
}

/// Half of the last ten seconds: with the time given, and with a clock that is read.
fn by_time(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_closed_time");
    on_threads(&mut group, "bare", || call().is_ok());
    on_threads(&mut group, "bare_with_clock", || (SystemClock.instant(), call()));
    let sliced = || breaker(policy().with_time_window(SPAN, 10).with_failure_rate(0.5));
    let (given, ours) = (given(), sliced());
    on_threads(&mut group, "backstop", || ours.call(&given, call).is_ok());
    let ours = sliced();
    on_threads(&mut group, "backstop_with_clock", || {
        ours.call(|| SystemClock.instant(), call).is_ok()
    });
    // It reads its own clock, and averages where ours counts.
    let failsafe = failsafe::Config::new().build();
    on_threads(&mut group, "failsafe", || failsafe::CircuitBreaker::call(&failsafe, call).is_ok());
    group.finish();
}

fn rejected(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_rejected");
    on_threads(&mut group, "bare", || call().is_ok());
    on_threads(&mut group, "bare_with_clock", || (SystemClock.instant(), call()));
    let ours = breaker(policy().with_consecutive_failures(1));
    ours.open_for(HOUR, SystemClock.instant());
    let now = given();
    on_threads(&mut group, "backstop", || ours.call(&now, call).is_ok());
    on_threads(&mut group, "backstop_with_clock", || {
        ours.call(|| SystemClock.instant(), call).is_ok()
    });
    // Both read their own clocks.
    let recloser = Recloser::custom().error_rate(0.1).closed_len(1).open_wait(HOUR).build();
    let fails = || Err::<u32, _>(io::Error::from(io::ErrorKind::TimedOut));
    for _ in 0..10 {
        drop(recloser.call(fails));
    }
    on_threads(&mut group, "recloser", || recloser.call(call).is_ok());
    let accrual = failure_policy::consecutive_failures(1, backoff::constant(HOUR));
    let failsafe = failsafe::Config::new().failure_policy(accrual).build();
    drop(failsafe::CircuitBreaker::call(&failsafe, fails));
    on_threads(&mut group, "failsafe", || failsafe::CircuitBreaker::call(&failsafe, call).is_ok());
    assert!(
        recloser.call(call).is_err() && failsafe::CircuitBreaker::call(&failsafe, call).is_err()
    );
    group.finish();
}

fn on_futures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_async");
    on_threads(&mut group, "bare", || pollster::block_on(async { call() }).is_ok());
    // Of the one above nothing is left; this one has something to keep across an await.
    on_threads(&mut group, "bare_kept", || {
        pollster::block_on(async {
            let answer = call();
            black_box(ready(())).await;
            answer
        })
        .is_ok()
    });
    let ours = breaker(policy().with_count_window(WINDOW.into()).with_failure_rate(0.5));
    let now = given();
    on_threads(&mut group, "backstop", || {
        pollster::block_on(ours.call_async(&now, async || call())).is_ok()
    });
    let recloser = Recloser::custom().error_rate(0.5).closed_len(WINDOW.into()).build();
    let recloser = AsyncRecloser::from(recloser);
    on_threads(&mut group, "recloser", || {
        pollster::block_on(recloser.call(async { call() })).is_ok()
    });
    let failsafe = failsafe::Config::new().build();
    on_threads(&mut group, "failsafe", || {
        pollster::block_on(failsafe::futures::CircuitBreaker::call(&failsafe, async { call() }))
            .is_ok()
    });
    group.finish();
}

fn on_tower(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_tower");
    let service = || service_fn(|()| ready(call()));
    let ours = breaker(policy().with_count_window(WINDOW.into()).with_failure_rate(0.5));
    let peer = |configured: CircuitBreakerConfigBuilder<_>| {
        let layer =
            configured.wait_duration_in_open(OPEN_TIME).build().expect("a policy that can hold");
        ServiceBuilder::new().layer(layer).service(service())
    };
    let by_count = peer(CircuitBreakerLayer::builder().sliding_window_size(WINDOW.into()));
    let by_run = peer(CircuitBreakerLayer::builder().consecutive_failures(5));
    let ours = ServiceBuilder::new().layer(Layer::new(ours, SystemClock)).service(service());
    for threads in [1, 2, 4] {
        with_own(&mut group, "bare", threads, service, once);
        with_own(&mut group, "backstop", threads, || ours.clone(), once);
        with_own(&mut group, "tower_resilience", threads, || by_count.clone(), once);
        with_own(&mut group, "tower_resilience_run", threads, || by_run.clone(), once);
    }
    group.finish();
}

/// Gets a service ready and calls it.
fn once<S: Service<()>>(service: &mut S) -> bool {
    pollster::block_on(async { service.ready().await.ok()?.call(()).await.ok() }).is_some()
}

/// A record in a time window that holds so many calls already.
fn window_sizes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_time_window_record");
    for calls in [100, 1_000, 1_000_000] {
        let ours = breaker(policy().with_time_window(HOUR, 60).with_failure_rate(0.5));
        let now = given();
        for _ in 0..calls {
            ours.admit(&now).expect("it is closed").success(&now);
        }
        group.bench_function(BenchmarkId::new("backstop", calls), |bencher| {
            bencher.iter(|| ours.call(&now, call).is_ok());
        });
    }
    // It looks at every call of the window each time, so a million would never end.
    let peer = || {
        let window = CircuitBreakerLayer::builder()
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(HOUR);
        let layer = window.build().expect("a policy that can hold");
        let service = service_fn(|()| ready(Ok::<_, Infallible>(())));
        let mut peer = ServiceBuilder::new().layer(layer).service(service);
        (0..1_000).for_each(|_| assert!(once(&mut peer)));
        peer
    };
    group.sample_size(10).bench_function(BenchmarkId::new("tower_resilience", 1_000), |bencher| {
        // What is measured fills the window too, so each one is used for a few calls only.
        bencher.iter_batched_ref(peer, once, BatchSize::SmallInput);
    });
    group.finish();
}
