//! Series of kills: at the host's own crash points, from outside, and of host and venue in turns.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Host;
use super::figures::Figures;
use super::process::{First, Running, free_address, length_of, unwritable, wait_for};
use crate::shell::Failure;

/// The points at which the host can be told to kill itself; it refuses a name that it does not know.
const POINTS: [&str; 9] = [
    "intended",
    "submitted",
    "doubted",
    "booked",
    "consumed",
    "lettered",
    "compared",
    "kept",
    "snapshot",
];
/// The latest passage at which a run kills itself.
const PASSAGES: u64 = 60;
/// Kills from outside in each series; start-up, trading and the end are all hit over a few seeds.
const KILLS: u64 = 8;
/// The file of the venue, which grows with everything that happens.
const VENUE_FILE: &str = "venue.jsonl";
/// The host's exit status when it refuses before trading.
const REFUSED: i32 = 2;

/// All series of one seed.
pub(super) fn series(host: &Host, seed: u64) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let whole = Series::new(host, seed, "undisturbed", None)?;
    whole.finish(&mut figures)?;
    let length = length_of(&whole.data.join(VENUE_FILE));
    whole.forget()?;
    for point in POINTS {
        at_point(host, seed, point, &mut figures)?;
    }
    from_outside(host, seed, length, &mut figures)?;
    in_turns(host, seed, length, &mut figures)?;
    Ok(figures)
}

/// Dies at a passage drawn from the seed, then at the first one of the next run, then goes on.
fn at_point(host: &Host, seed: u64, point: &str, figures: &mut Figures) -> Result<(), Failure> {
    let mut nth = draw(seed, point, 0) % PASSAGES + 1;
    while nth > 0 {
        let series = Series::new(host, seed, &format!("{point}-{nth}"), None)?;
        if series.dies(&format!("{point}:{nth}"))? {
            figures.kill();
            if series.dies(&format!("{point}:1"))? {
                figures.kill();
            }
            series.finish(figures)?;
            return series.forget();
        }
        // This seed does not pass the point so often.
        series.forget()?;
        nth /= 2;
    }
    // A month may pass without a damaged event, for one.
    println!("kill seed {seed} never passes the point `{point}`");
    Ok(())
}

/// Host and venue in one process, killed wherever they are.
fn from_outside(host: &Host, seed: u64, length: u64, figures: &mut Figures) -> Result<(), Failure> {
    let series = Series::new(host, seed, "outside", None)?;
    for moment in moments(seed, "outside", length) {
        let mut running = series.start(&[])?;
        match running.reaches(&series.data.join(VENUE_FILE), moment)? {
            First::Length => {
                running.kill()?;
                figures.kill();
            }
            // It traded to its end before the moment came.
            First::End(status) if status.success() => break,
            First::End(status) => return Err(series.failed(&status.to_string())),
        }
    }
    series.finish(figures)?;
    series.forget()
}

/// Host and venue in a process each: now the host is killed, now the venue, now both.
fn in_turns(host: &Host, seed: u64, length: u64, figures: &mut Figures) -> Result<(), Failure> {
    let address = free_address()?;
    let series = Series::new(host, seed, "turns", Some(address))?;
    let venue_data = host.folder.join(format!("kill-{seed}-venue"));
    let listen = || {
        let venue =
            Running::start(venue(host, seed, address, &venue_data), Stdio::null(), &series.log)?;
        wait_for(address).map(|()| venue)
    };
    let mut venue = listen()?;
    let mut running = series.start(&[])?;
    for (turn, moment) in (0..).zip(moments(seed, "turns", length)) {
        let first = running.reaches(&venue_data.join(VENUE_FILE), moment)?;
        match first {
            First::End(status) if status.success() => break,
            // The venue was gone at the very moment at which the host began.
            First::End(status) if status.code() == Some(REFUSED) => {}
            First::End(status) => return Err(series.failed(&status.to_string())),
            First::Length => figures.kill(),
        }
        let (host_dies, venue_dies) = (turn % 3 != 1, turn % 3 != 0);
        if venue_dies {
            venue.kill()?;
            venue = listen()?;
        }
        if host_dies || matches!(first, First::End(_)) {
            running.kill()?;
            running = series.start(&[])?;
        }
    }
    running.kill()?;
    series.finish(figures)?;
    venue.kill()?;
    remove(&venue_data)?;
    series.forget()
}

/// Runs over one data folder.
struct Series<'a> {
    host: &'a Host,
    seed: u64,
    venue: Option<SocketAddr>,
    name: String,
    data: PathBuf,
    /// What the runs complain of, one behind the other.
    log: PathBuf,
}

impl<'a> Series<'a> {
    fn new(
        host: &'a Host,
        seed: u64,
        name: &str,
        venue: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let name = format!("kill-{seed}-{name}");
        let data = host.folder.join(&name);
        remove(&data)?;
        let log = host.folder.join(format!("{name}.log"));
        Ok(Self { host, seed, venue, name, data, log })
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.host.trade(self.seed);
        command.arg("--data-dir").arg(&self.data).args(more);
        if let Some(address) = self.venue {
            command.args(["--venue", &format!("http://{address}")]);
        }
        command
    }

    fn start(&self, more: &[&str]) -> Result<Running, Failure> {
        Running::start(self.command(more), Stdio::null(), &self.log)
    }

    /// Whether a run kills itself at a passage; else it must end well.
    fn dies(&self, passage: &str) -> Result<bool, Failure> {
        let status = self.start(&["--crash-at", passage])?.end()?;
        match status.code() {
            // Ended by a signal.
            None => Ok(true),
            Some(0) => Ok(false),
            Some(_) => Err(self.failed(&status.to_string())),
        }
    }

    /// The last run, which nobody kills.
    fn finish(&self, figures: &mut Figures) -> Result<(), Failure> {
        figures.add(&self.host.finish(self.command(&[]), &self.name)?);
        Ok(())
    }

    /// Removes the data of a series that ended well.
    fn forget(&self) -> Result<(), Failure> {
        remove(&self.data)
    }

    fn failed(&self, how: &str) -> Failure {
        let (data, log) = (self.data.display(), self.log.display());
        Failure::new(format!("series {} ended with {how}; data: {data}, log: {log}", self.name))
    }
}

fn venue(host: &Host, seed: u64, address: SocketAddr, data: &Path) -> Command {
    let mut command = Command::new(&host.program);
    command.args(["venue", "--faults", "storm", "--listen", &address.to_string()]);
    command.args(["--seed", &seed.to_string()]).arg("--data-dir").arg(data);
    if let Some(market) = &host.market {
        command.arg("--market").arg(market);
    }
    command
}

fn remove(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|why| unwritable(folder, &why))?;
    }
    Ok(())
}

/// Lengths of the venue's file at which a series is killed, ascending.
///
/// The file grows with what happens and not with the clock, so a slow machine kills at the same steps.
pub fn moments(seed: u64, series: &str, length: u64) -> Vec<u64> {
    let mut moments: Vec<_> =
        (0..KILLS).map(|nth| draw(seed, series, nth) % length.max(1)).collect();
    moments.sort_unstable();
    moments
}

/// A number that depends on all three.
fn draw(seed: u64, name: &str, nth: u64) -> u64 {
    let named = name.bytes().fold(mix(seed), |bits, byte| mix(bits ^ u64::from(byte)));
    mix(named ^ nth)
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): neighbouring seeds give unlike numbers.
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
