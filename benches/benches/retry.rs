//! What a retry costs a call that succeeds at once.

use std::{io, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use backstop_clock::{ManualClock, Timestamp};
use backstop_retry_backoff::{Guard, Policy, Retry, Schedule};
use criterion::Criterion;
use rand::{SeedableRng, rngs::StdRng};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    first_try(&mut criterion);
    criterion.final_summary();
}

fn first_try(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry_first_try");
    let base = Duration::from_millis(100);

    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(1);
    let policy = Policy::new(Schedule::exponential(base));
    let retry = Retry::new(policy, Guard::Idempotent).expect("a policy that can hold");
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            let run = retry.run(&clock, &mut rng, async |_| Ok::<_, io::Error>(1));
            pollster::block_on(run).is_ok()
        });
    });
    group.bench_function("backon", |bencher| {
        bencher.iter(|| {
            let schedule = ExponentialBuilder::default().with_min_delay(base).with_jitter();
            let run = (async || Ok::<_, io::Error>(1)).retry(schedule);
            pollster::block_on(async { run.sleep(|_| std::future::ready(())).await }).is_ok()
        });
    });
    group.finish();
}
