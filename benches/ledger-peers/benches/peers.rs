//! A fill on one of a thousand positions: our books, and the positions of others.
//!
//! Measured in time of the processor, with the inputs made beforehand, as the benchmark `ledger` does.

use std::time::Duration;

use backstop_ledger_peers::{
    Backstop, Barter, Deal, Deals, Keeper, Nautilus057, Nautilus067, Pattern,
};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use rustix::time::{ClockId, clock_gettime};

/// Fills made at a time, outside of what is measured.
const BATCH: usize = 1_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for (pattern, name) in [(Pattern::Mixed, "mixed"), (Pattern::Reopening, "reopening")] {
        // A hundred fills for each position, and a thousand.
        for (count, size) in [(100_000, "100k"), (1_000_000, "1M")] {
            let mut group = criterion.benchmark_group(format!("peers_{name}/{size}"));
            group.throughput(Throughput::Elements(1));
            measure::<Backstop>(&mut group, "backstop", pattern, count);
            measure::<Barter>(&mut group, "barter_0.14", pattern, count);
            measure::<Nautilus057>(&mut group, "nautilus_0.57", pattern, count);
            measure::<Nautilus067>(&mut group, "nautilus_0.67", pattern, count);
            group.finish();
        }
    }
    criterion.final_summary();
}

fn measure<K: Keeper>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    pattern: Pattern,
    count: usize,
) {
    let whole = u64::try_from(count).expect("small");
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            // Nothing less than the whole stream says what a fill costs.
            let runs = times.div_ceil(whole);
            let spent: Duration = (0..runs).map(|_| timed::<K>(pattern, count)).sum();
            let nanos = spent.as_nanos() * u128::from(times) / u128::from(runs * whole);
            Duration::from_nanos(u64::try_from(nanos).expect("below centuries"))
        });
    });
}

/// The time that `count` fills need from empty books on.
fn timed<K: Keeper>(pattern: Pattern, count: usize) -> Duration {
    let mut keeper = K::empty();
    let mut deals = Deals::new(pattern);
    let mut spent = Duration::ZERO;
    for _ in 0..count / BATCH {
        let deals: Vec<Deal> = deals.by_ref().take(BATCH).collect();
        let batch: Vec<_> = deals.iter().map(|deal| keeper.fill(deal)).collect();
        let start = worked();
        for fill in &batch {
            keeper.apply(fill);
        }
        spent += worked().saturating_sub(start);
    }
    spent
}

/// The time that this thread has had a processor for.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it began at zero")
}
