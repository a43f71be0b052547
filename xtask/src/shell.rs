//! Running other programs, and saying so.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Why a command of the project stopped, in a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// Wraps the sentence.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Runs a program to its end, with its output on our streams.
///
/// # Errors
///
/// The program cannot be started, or it ends with a status other than zero.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    println!("$ {}", line(command));
    let status = command.status().map_err(|why| not_started(command, &why))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{}` ended with {status}", line(command))))
    }
}

/// Whether a program can be started and answers `arguments` with status zero; prints nothing.
pub fn answers(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The failure for a program that did not start.
pub fn not_started(command: &Command, why: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` cannot be started: {why}", line(command)))
}

/// The command as a person would type it, the program without its folder.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name();
    let program = program.into_iter();
    let words: Vec<_> = program.chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// Time since some fixed moment, for measuring how long a section took.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the tool measures real programs")]
    Instant::now()
}

/// Lets a started program run for a while.
pub fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the tool waits for real programs")]
    std::thread::sleep(time);
}
