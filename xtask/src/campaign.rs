//! Long runs: the host over many seeds, and fuzzing.
//!
//! Of the host every report must say that all invariants hold.
//! `storm` runs it in the fault storm, each seed twice: the two reports must be the same.
//! `kill` kills host and venue with SIGKILL at crash points, from outside and in turns, and starts them again on the same data.
//! `ledger-kill` kills the writer of a ledger at every step of its writing.
//! `fuzz` looks for inputs that break what reads foreign data.

mod figures;
mod fuzz;
mod kill;
mod ledger;
mod process;

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::{Project, unreadable};
use crate::report;
use crate::shell::{self, Failure};
pub use figures::{Figures, check};
pub use fuzz::{Fuzz, fuzz};
pub use kill::moments;
pub use ledger::ledger_kill;
use process::{Running, unwritable};

/// Which runs to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// What is done to the host.
    pub subject: Subject,
    /// One pair of runs, or all series of kills, for each of these.
    pub seeds: RangeInclusive<u64>,
    /// A folder of market data; none for the bundled year, of which `kill` takes one month.
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

/// The month of the bundled year in which hosts are killed: a year over HTTP would take a minute.
const MONTH: &str = "2017-03";

/// Builds the host and makes the runs, one line for each seed.
///
/// # Errors
///
/// The first run that does not end as it must; its report and data are kept, and the message says where.
pub fn run(project: &Project, campaign: &Campaign) -> Result<(), Failure> {
    shell::run(project.cargo().args(["build", "--release", "-p", "trading-host"]))?;
    let folder = project.target().join("campaign");
    // What an earlier campaign left behind must not be taken for this one's.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|why| unwritable(&folder, &why))?;
    }
    fs::create_dir_all(&folder).map_err(|why| unwritable(&folder, &why))?;
    let bundled = project.root().join("examples/trading-host/data/2017");
    let market = match (&campaign.market, campaign.subject) {
        (Some(market), _) => Some(market.clone()),
        (None, Subject::Storm) => None,
        (None, Subject::Kill) => Some(cut(&bundled, MONTH, &folder.join(MONTH))?),
    };
    let host = Host::new(project.host(), market, folder);
    let start = shell::now();
    let mut whole = Figures::default();
    for seed in campaign.seeds.clone() {
        let start = shell::now();
        let figures = match campaign.subject {
            Subject::Storm => host.storm(seed)?,
            Subject::Kill => host.kill(seed)?,
        };
        println!("{:?} seed {seed} in {:.1?}: {figures}", campaign.subject, start.elapsed());
        whole.join(&figures);
    }
    let (first, last) = (campaign.seeds.start(), campaign.seeds.end());
    println!("{:?} seeds {first} to {last}, all ok in {:.1?}", campaign.subject, start.elapsed());
    println!("{whole}");
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

    /// Two uninterrupted runs in the fault storm, which must say the same.
    ///
    /// On the bundled year the figures must keep to their limits too; see [`check`].
    ///
    /// # Errors
    ///
    /// A run does not end with status zero and `"ok": true`, the second differs, or a figure is beyond its limit.
    pub fn storm(&self, seed: u64) -> Result<Figures, Failure> {
        let mut figures = Figures::default();
        let name = format!("storm-{seed}");
        let first = self.finish(self.trade(seed), &name)?;
        let second = self.finish(self.trade(seed), &format!("{name}-again"))?;
        if untimed(&first) != untimed(&second) {
            let reports = self.folder.join(&name);
            let why = format!("seed {seed} gave two reports: {}*.json", reports.display());
            return Err(Failure::new(why));
        }
        if self.market.is_none() {
            check(&first).map_err(|why| Failure::new(format!("storm seed {seed}: {why}")))?;
        }
        figures.add(&first);
        figures.add(&second);
        Ok(figures)
    }

    /// All series of kills of a seed.
    ///
    /// # Errors
    ///
    /// The last run of a series does not end with status zero and `"ok": true`, or another ends neither killed nor well.
    pub fn kill(&self, seed: u64) -> Result<Figures, Failure> {
        kill::series(self, seed)
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
    fn finish(&self, command: Command, name: &str) -> Result<String, Failure> {
        let path = self.folder.join(format!("{name}.json"));
        let log = self.folder.join(format!("{name}.log"));
        let file = File::create(&path).map_err(|why| unwritable(&path, &why))?;
        let line = shell::line(&command);
        let status = Running::start(command, file.into(), &log)?.end()?;
        let text = fs::read_to_string(&path).map_err(|why| unreadable(&path, &why))?;
        if status.success() && report::at(&text, &["ok"]) == Some("true") {
            return Ok(text);
        }
        let (path, log) = (path.display(), log.display());
        Err(Failure::new(format!("`{line}` ended with {status}; report: {path}, log: {log}")))
    }
}

/// A report without the line that says how long it took.
fn untimed(report: &str) -> Vec<&str> {
    report.lines().filter(|line| !line.trim_start().starts_with("\"elapsed_ms\"")).collect()
}

/// Writes the part of a market folder whose times begin with `period` into another folder.
///
/// # Errors
///
/// A file cannot be read or written.
pub fn cut(market: &Path, period: &str, into: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(into).map_err(|why| unwritable(into, &why))?;
    for path in crate::project::entries(market)? {
        let Some(name) = path.file_name() else { continue };
        let text = fs::read_to_string(&path).map_err(|why| unreadable(&path, &why))?;
        // Only tables of bars have times; instruments and the notice stay whole.
        let is_bars = name.to_string_lossy().ends_with("bars.csv");
        let kept = text.lines().enumerate();
        let kept = kept.filter(|(nth, row)| !is_bars || *nth == 0 || row.starts_with(period));
        let lines: Vec<_> = kept.map(|(_, row)| row).collect();
        let to = into.join(name);
        fs::write(&to, lines.join("\n") + "\n").map_err(|why| unwritable(&to, &why))?;
    }
    Ok(into.to_owned())
}
