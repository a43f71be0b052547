//! A year's storm of the host against the disk's own rate, in one run of one program.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "figures for the reader")]

use std::{fs::File, io::Write, time::Duration};

use backstop_clock::{Clock, SystemClock};
use trading_host::{
    faults::Profile,
    setup::{Request, execute, settings},
};

/// Storms measured; the middle one counts.
const ROUNDS: usize = 3;

/// Synced appends that make one reading of the disk.
const APPENDS: u32 = 1_000;

/// What the run may take, as a multiple of its commits at the disk's rate.
const BUDGET: f64 = 4.0;

/// Synced appends of one kilobyte a second.
fn disk_rate(folder: &std::path::Path) -> f64 {
    let mut file = File::create(folder.join("raw")).expect("a new file");
    let took = timed(|| {
        for _ in 0..APPENDS {
            file.write_all(&[7; 1024]).expect("room on the disk");
            file.sync_data().expect("a sync");
        }
    });
    f64::from(APPENDS) / took.as_secs_f64()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = SystemClock.instant();
    work();
    SystemClock.instant().duration_since(start)
}

fn main() {
    let mut rounds = Vec::new();
    for seed in 1..=ROUNDS {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let before = disk_rate(folder.path());
        let seed = u64::try_from(seed).expect("a small number");
        let request = Request {
            faults: Profile::Storm,
            seed,
            data_dir: Some(folder.path().join("run")),
            venue: None,
            market: None,
        };
        let settings = settings(seed).expect("settings");
        let report = execute(&request, settings).expect("a run");
        assert!(report.ok, "the storm broke an invariant");
        let after = disk_rate(folder.path());
        let rate = f64::midpoint(before, after);
        let commits = u32::try_from(report.durable_commits).expect("a few thousand");
        let millis = u32::try_from(report.elapsed_ms).expect("seconds");
        let at_disk_rate = f64::from(commits) / rate;
        let ratio = f64::from(millis) / 1_000.0 / at_disk_rate;
        println!(
            "seed {seed}: {millis} ms, {commits} commits, {rate:.0} synced appends/s, \
             {ratio:.2} x the disk's own time"
        );
        rounds.push(ratio);
    }
    rounds.sort_by(f64::total_cmp);
    println!("host_storm: median {:.2}, budget {BUDGET}", rounds[ROUNDS / 2]);
}
