//! What a call costs the processor when several threads make it at once.

use std::{hint::black_box, sync::Barrier, thread, time::Duration};

use criterion::{BenchmarkGroup, BenchmarkId, SamplingMode, measurement::WallTime};
use rustix::time::{ClockId, clock_gettime};

pub(crate) type Group<'c> = BenchmarkGroup<'c, WallTime>;

/// What one call costs the processor when so many threads make it at once, each with something of
/// its own.
pub(crate) fn with_own<O, R>(
    group: &mut Group<'_>,
    name: &str,
    threads: u32,
    own: impl Fn() -> O + Sync,
    call: impl Fn(&mut O) -> R + Sync,
) {
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(BenchmarkId::new(name, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let barrier = Barrier::new(usize::try_from(threads).expect("a few threads"));
            let work = || {
                let mut own = own();
                barrier.wait();
                timed(|| (0..rounds).for_each(|_| drop(black_box(call(&mut own)))))
            };
            let all: Duration = thread::scope(|scope| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
            });
            all / threads
        });
    });
}

/// The time of the processor that this thread spends on `work`.
fn timed(work: impl FnOnce()) -> Duration {
    let start = cpu_time();
    work();
    cpu_time().saturating_sub(start)
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it began at zero")
}
