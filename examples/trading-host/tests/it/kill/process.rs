//! Programs that a test starts, kills and waits for.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use trading_host::{report::Report, setup::VENUE_FILE};

const SIGKILL: i32 = 9;

/// A run that takes longer hangs: it is over within seconds even where everything is slow.
const RUN_TIME_MAX: Duration = Duration::from_mins(2);

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(1);

/// The command line of a host on a market, with its own data and perhaps a venue elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) seed: u64,
    pub(crate) market: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) venue: Option<SocketAddr>,
}

/// How a host ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By SIGKILL.
    Killed,
    /// By itself: exit status and report.
    Finished(ExitStatus, Vec<u8>),
}

impl Host {
    pub(crate) fn start(&self, crash_at: Option<&str>) -> Running {
        let mut command = program("run");
        command.args(["--faults", "storm", "--report", "json", "--seed", &self.seed.to_string()]);
        command.arg("--market").arg(&self.market).arg("--data-dir").arg(&self.data);
        command.args(crash_at.iter().flat_map(|point| ["--crash-at", point]));
        if let Some(venue) = self.venue {
            command.args(["--venue", &format!("http://{venue}")]);
        }
        let (child, mut stdout) = spawn(command);
        let (ended, output) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            let read = stdout.read_to_end(&mut text);
            // Nobody waits any more for a program that was killed.
            drop(ended.send(read.map(|_| text)));
        });
        Running { child, output }
    }

    /// Runs to the end; a run that is to end by itself must have kept every invariant.
    pub(crate) fn finish(&self, context: &str) -> Report {
        let End::Finished(status, text) = self.start(None).end(context) else {
            panic!("{context}: nobody killed the last run")
        };
        let report: Report = serde_json::from_slice(&text).unwrap_or_else(|error| {
            panic!("{context}: {status}, no report: {error}");
        });
        let broken: Vec<_> =
            report.invariants.iter().filter(|invariant| invariant.holds != Some(true)).collect();
        assert!(status.success() && report.ok, "{context}: {status}, {broken:#?}");
        assert_eq!(report.orders.duplicates_at_venue, 0, "{context}");
        report
    }
}

/// A started host; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    output: Receiver<std::io::Result<Vec<u8>>>,
}

impl Running {
    /// Waits for the end, but not for ever.
    pub(crate) fn end(mut self, context: &str) -> End {
        let text = match self.output.recv_timeout(RUN_TIME_MAX) {
            Ok(text) => text.unwrap(),
            Err(why) => panic!("{context}: hangs ({why})"),
        };
        let status = self.child.wait().unwrap();
        if status.signal() == Some(SIGKILL) { End::Killed } else { End::Finished(status, text) }
    }

    /// Waits until a file has grown to a length; false when the host ended before.
    pub(crate) fn reaches(&self, file: &Path, length: u64, context: &str) -> bool {
        let looks = RUN_TIME_MAX.as_millis() / POLL.as_millis();
        for _ in 0..looks {
            match self.output.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) if length_of(file) < length => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        panic!("{context}: hangs before {length} bytes of {}", file.display())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A venue in a process of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Venue {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Held open: the venue may say more.
    _stdout: BufReader<ChildStdout>,
}

impl Venue {
    /// Starts a venue and waits until it listens; port 0 takes a free one.
    pub(crate) fn start(seed: u64, market: &Path, data: &Path, listen: SocketAddr) -> Self {
        let mut command = program("venue");
        command.args(["--faults", "storm", "--seed", &seed.to_string()]);
        command.args(["--listen", &listen.to_string()]);
        command.arg("--market").arg(market).arg("--data-dir").arg(data);
        let (child, stdout) = spawn(command);
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap();
        Self { child, address: address.parse().unwrap(), _stdout: stdout }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The length of the venue's file in a folder; it grows with everything that happens.
pub(crate) fn progress(folder: &Path) -> u64 {
    length_of(&folder.join(VENUE_FILE))
}

fn length_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

fn program(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trading-host"));
    command.arg(name).env_remove("RUST_LOG");
    command
}

fn spawn(mut command: Command) -> (Child, ChildStdout) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    (child, stdout)
}

/// SIGKILL; one that ended already is fine.
fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
