//! The host over many seeds: every report must say that all invariants hold.
//!
//! `storm` runs it in the fault storm.
//! `kill` does the same while the host, the venue or both are killed with SIGKILL at moments drawn from the seed, and started again on the same data.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::project::Project;
use crate::report;
use crate::shell::{self, Failure};

/// Which runs to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// What is done to the host.
    pub subject: Subject,
    /// One run, or one series of kills, for each of these.
    pub seeds: RangeInclusive<u64>,
    /// A folder of market data in place of the bundled one.
    pub market: Option<PathBuf>,
}

/// What a campaign does to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The fault storm, uninterrupted.
    Storm,
    /// The fault storm, killed again and again.
    Kill,
}

/// Kills of each run; enough that start-up, trading and shutdown are all hit over a few seeds.
const KILLS: u64 = 6;
/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(2);
/// A run that takes longer than this hangs: the slowest allowed run takes 20 seconds.
const RUN_TIME_MAX: Duration = Duration::from_mins(5);
/// A venue that does not accept connections by then will not.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(10);

/// Builds the host and makes the runs, one line for each.
///
/// # Errors
///
/// The first run that does not end with status zero and `"ok": true`; its report is kept, and the message says where.
pub fn run(project: &Project, campaign: &Campaign) -> Result<(), Failure> {
    shell::run(project.cargo().args(["build", "--release", "-p", "trading-host"]))?;
    let folder = project.target().join("campaign");
    // What an earlier campaign left behind must not be taken for this one's.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|why| unwritable(&folder, &why))?;
    }
    fs::create_dir_all(&folder).map_err(|why| unwritable(&folder, &why))?;
    let host = Host::new(project.host(), campaign.market.clone(), folder);
    let start = shell::now();
    for seed in campaign.seeds.clone() {
        match campaign.subject {
            Subject::Storm => host.storm(seed)?,
            Subject::Kill => host.kill(seed)?,
        }
    }
    let (first, last) = (campaign.seeds.start(), campaign.seeds.end());
    println!("{:?} seeds {first} to {last}: all ok in {:.1?}", campaign.subject, start.elapsed());
    Ok(())
}

/// The built host and where its runs keep what they leave.
#[derive(Debug)]
pub struct Host {
    program: PathBuf,
    market: Option<PathBuf>,
    folder: PathBuf,
}

impl Host {
    /// A host whose reports and data go into `folder`, which exists.
    pub fn new(program: PathBuf, market: Option<PathBuf>, folder: PathBuf) -> Self {
        Self { program, market, folder }
    }

    /// One uninterrupted run in the fault storm.
    ///
    /// # Errors
    ///
    /// The run does not end with status zero and `"ok": true`.
    pub fn storm(&self, seed: u64) -> Result<(), Failure> {
        let start = shell::now();
        let report = self.finish(self.trade(seed), &format!("storm-{seed}"))?;
        println!("storm seed {seed}: ok in {:.1?}, {}", start.elapsed(), summary(&report));
        Ok(())
    }

    /// Two series of kills: with the venue inside the host, then with the venue as a program of its own.
    ///
    /// # Errors
    ///
    /// The last run of a series does not end with status zero and `"ok": true`.
    pub fn kill(&self, seed: u64) -> Result<(), Failure> {
        let name = format!("kill-{seed}-whole");
        let start = shell::now();
        let mut undisturbed = self.trade(seed);
        undisturbed.arg("--data-dir").arg(self.folder.join(format!("{name}-undisturbed")));
        self.finish(undisturbed, &format!("{name}-undisturbed"))?;
        let length = start.elapsed();
        let (kills, report) = self.killed_whole(seed, length, &name)?;
        println!("kill seed {seed}, one process, {kills} kills: ok, {}", summary(&report));
        let (kills, report) = self.killed_in_parts(seed, length, &format!("kill-{seed}-parts"))?;
        println!("kill seed {seed}, two processes, {kills} kills: ok, {}", summary(&report));
        Ok(())
    }

    fn killed_whole(
        &self,
        seed: u64,
        length: Duration,
        name: &str,
    ) -> Result<(u32, String), Failure> {
        let again = || {
            let mut command = self.trade(seed);
            command.arg("--data-dir").arg(self.folder.join(name));
            command
        };
        let mut kills = 0;
        for time in moments(seed, length) {
            let mut host = Running::start(again())?;
            if host.ends_within(time)? {
                break;
            }
            host.kill()?;
            kills += 1;
        }
        Ok((kills, self.finish(again(), name)?))
    }

    fn killed_in_parts(
        &self,
        seed: u64,
        length: Duration,
        name: &str,
    ) -> Result<(u32, String), Failure> {
        let address = free_address()?;
        let listen = || {
            let mut command = Command::new(&self.program);
            command.args(["venue", "--faults", "storm", "--listen", &address.to_string()]);
            command.args(["--seed", &seed.to_string()]);
            command.arg("--data-dir").arg(self.folder.join(format!("{name}-venue")));
            command
        };
        let again = || {
            let mut command = self.trade(seed);
            command.arg("--data-dir").arg(self.folder.join(name));
            command.args(["--venue", &format!("http://{address}")]);
            command
        };
        let mut venue = Running::start(listen())?;
        wait_for(address)?;
        let mut host = Running::start(again())?;
        let mut kills = 0;
        for (turn, time) in (0..).zip(moments(seed ^ u64::MAX, length)) {
            if host.ends_within(time)? {
                break;
            }
            // In turns: the host, the venue, both, as when the power fails.
            if turn % 3 != 0 {
                venue.kill()?;
                venue = Running::start(listen())?;
            }
            if turn % 3 != 1 {
                host.kill()?;
                wait_for(address)?;
                host = Running::start(again())?;
            }
            kills += 1;
        }
        host.kill()?;
        wait_for(address)?;
        Ok((kills, self.finish(again(), name)?))
    }

    fn trade(&self, seed: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["run", "--faults", "storm", "--report", "json", "--seed", &seed.to_string()]);
        if let Some(market) = &self.market {
            command.arg("--market").arg(market);
        }
        command
    }

    /// Runs to the end, checks status and report, and returns the report.
    fn finish(&self, mut command: Command, name: &str) -> Result<String, Failure> {
        let path = self.folder.join(format!("{name}.json"));
        let file = fs::File::create(&path).map_err(|why| unwritable(&path, &why))?;
        command.stdout(file).stdin(Stdio::null());
        let mut child = command.spawn().map_err(|why| shell::not_started(&command, &why))?;
        let start = shell::now();
        let status = loop {
            let ended = child.try_wait().map_err(|why| lost(&why))?;
            if let Some(status) = ended {
                break status;
            }
            if start.elapsed() > RUN_TIME_MAX {
                child.kill().map_err(|why| lost(&why))?;
                child.wait().map_err(|why| lost(&why))?;
                return Err(Failure::new(format!("`{}` hangs", shell::line(&command))));
            }
            shell::pause(POLL);
        };
        let text = fs::read_to_string(&path).unwrap_or_default();
        if status.success() && report::at(&text, &["ok"]) == Some("true") {
            return Ok(text);
        }
        let line = shell::line(&command);
        Err(Failure::new(format!("`{line}` ended with {status}; report: {}", path.display())))
    }
}

/// A started program that is killed when the campaign lets go of it.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Result<Self, Failure> {
        command.stdout(Stdio::null()).stdin(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self).map_err(|why| shell::not_started(&command, &why))
    }

    fn ends_within(&mut self, time: Duration) -> Result<bool, Failure> {
        let start = shell::now();
        while start.elapsed() < time {
            if self.0.try_wait().map_err(|why| lost(&why))?.is_some() {
                return Ok(true);
            }
            shell::pause(POLL);
        }
        Ok(false)
    }

    /// SIGKILL where the system has it; a program that ended already is fine.
    fn kill(&mut self) -> Result<(), Failure> {
        self.0.kill().and_then(|()| self.0.wait()).map(|_| ()).map_err(|why| lost(&why))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to tell when a program on its way out cannot be killed.
        drop(self.kill());
    }
}

/// After how long each run of a series is killed, as shares of an undisturbed run.
///
/// Each is below a third of the whole, so that several kills fit before the series has traded to its end.
pub fn moments(seed: u64, length: Duration) -> Vec<Duration> {
    let spread = |kill: u64| u32::try_from(mix(seed.wrapping_mul(KILLS) ^ kill) % 1_000);
    let shares = (0..KILLS).filter_map(|kill| spread(kill).ok());
    shares.map(|share| length * share / 3_000).collect()
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): neighbouring seeds give unlike numbers.
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The figures worth a line, as far as the report has them.
fn summary(report: &str) -> String {
    let figures: &[&[&str]] = &[
        &["orders", "intended"],
        &["fills", "total"],
        &["retries"],
        &["dead_letters", "put"],
        &["reconciliation", "auto_resolved"],
        &["recovery_rate"],
        &["durable_commits"],
    ];
    let told = figures.iter().filter_map(|path| {
        report::at(report, path).map(|value| format!("{} {value}", path.join(".")))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// An address on this machine that nobody listens on now.
fn free_address() -> Result<SocketAddr, Failure> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = TcpListener::bind(any).and_then(|listener| listener.local_addr());
    bound.map_err(|why| Failure::new(format!("no port to listen on: {why}")))
}

fn wait_for(address: SocketAddr) -> Result<(), Failure> {
    let start = shell::now();
    while TcpStream::connect(address).is_err() {
        if start.elapsed() > LISTEN_TIME_MAX {
            return Err(Failure::new(format!("the venue does not listen on {address}")));
        }
        shell::pause(POLL);
    }
    Ok(())
}

fn lost(why: &std::io::Error) -> Failure {
    Failure::new(format!("a started program cannot be waited for or killed: {why}"))
}

fn unwritable(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {why}", path.display()))
}
