//! What a closed breaker costs each call.

use std::{convert::Infallible, io, time::Duration};

use backstop_circuit_breaker::{Breaker, Policy};
use backstop_clock::{Clock, SystemClock};
use criterion::Criterion;
use recloser::Recloser;

/// Verdicts in the window.
const WINDOW: u8 = 100;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    closed(&mut criterion);
    criterion.final_summary();
}

fn closed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker_closed");
    let policy = Policy::new(Duration::from_secs(30));
    let now = || SystemClock.instant();

    // The same rule as recloser's: half of the last hundred.
    let windowed = policy.clone().with_count_window(WINDOW.into()).with_failure_rate(0.5);
    let windowed = Breaker::new(windowed).expect("a policy that can hold");
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| windowed.call(now, || Ok::<_, io::Error>(1)).is_ok());
    });
    let consecutive = Breaker::new(policy.with_consecutive_failures(5)).expect("so can this");
    group.bench_function("backstop_consecutive", |bencher| {
        bencher.iter(|| consecutive.call(now, || Ok::<_, io::Error>(1)).is_ok());
    });
    let recloser = Recloser::custom().error_rate(0.5).closed_len(WINDOW.into()).build();
    group.bench_function("recloser", |bencher| {
        bencher.iter(|| recloser.call(|| Ok::<_, Infallible>(1)).is_ok());
    });
    group.finish();
}
