//! Started programs: waited for, looked at while they run, and killed.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::shell::{self, Failure};

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(1);
/// A run that takes longer than this hangs: the slowest allowed run takes 20 seconds.
const RUN_TIME_MAX: Duration = Duration::from_mins(2);
/// A venue that does not accept connections by then will not.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(10);

/// A started program that is killed when the campaign lets go of it.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    line: String,
}

/// What came first.
#[derive(Debug)]
pub(super) enum First {
    /// The file has grown to the length.
    Length,
    /// The program has ended.
    End(ExitStatus),
}

impl Running {
    /// Starts a program; what it says goes to `out`, what it complains of behind `complaints`.
    pub(super) fn start(
        mut command: Command,
        out: Stdio,
        complaints: &Path,
    ) -> Result<Self, Failure> {
        let file = File::options().append(true).create(true).open(complaints);
        let file = file.map_err(|why| unwritable(complaints, &why))?;
        command.stdin(Stdio::null()).stdout(out).stderr(file);
        let child = command.spawn().map_err(|why| shell::not_started(&command, &why))?;
        Ok(Self { child, line: shell::line(&command) })
    }

    /// Waits for the end, but not for ever.
    pub(super) fn end(mut self) -> Result<ExitStatus, Failure> {
        match self.first(|| false)? {
            First::End(status) => Ok(status),
            First::Length => Err(self.hangs()),
        }
    }

    /// Waits until a file has grown to a length, or the program has ended.
    pub(super) fn reaches(&mut self, file: &Path, length: u64) -> Result<First, Failure> {
        self.first(|| length_of(file) >= length)
    }

    fn first(&mut self, is_there: impl Fn() -> bool) -> Result<First, Failure> {
        let start = shell::now();
        while start.elapsed() < RUN_TIME_MAX {
            if let Some(status) = self.child.try_wait().map_err(|why| lost(&why))? {
                return Ok(First::End(status));
            }
            if is_there() {
                return Ok(First::Length);
            }
            shell::pause(POLL);
        }
        Err(self.hangs())
    }

    fn hangs(&self) -> Failure {
        Failure::new(format!("`{}` hangs", self.line))
    }

    /// SIGKILL where the system has it; a program that ended already is fine.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().and_then(|()| self.child.wait()).map(|_| ()).map_err(|why| lost(&why))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to tell when a program on its way out cannot be killed.
        drop(self.kill());
    }
}

/// The length of a file; none yet is zero.
pub(super) fn length_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

/// An address on this machine that nobody listens on now.
pub(super) fn free_address() -> Result<SocketAddr, Failure> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = TcpListener::bind(any).and_then(|listener| listener.local_addr());
    bound.map_err(|why| Failure::new(format!("no port to listen on: {why}")))
}

/// Waits until somebody listens.
pub(super) fn wait_for(address: SocketAddr) -> Result<(), Failure> {
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

/// The failure for a path that cannot be written.
pub(super) fn unwritable(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {why}", path.display()))
}
