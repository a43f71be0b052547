//! `cargo run -p xtask -- <command>`: see `help`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its standard streams"
)]

use std::process::ExitCode;

use xtask::arguments::{Command, USAGE};
use xtask::project::Project;
use xtask::{Failure, campaign, ci, perf, tidy};

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let project = Project::open()?;
    match command {
        Command::Help => {
            println!("{USAGE}");
            Ok(())
        }
        Command::Ci { sections } => ci::run(&project, &sections),
        Command::Tidy => tidy::run(&project),
        Command::Perf => perf::run(&project),
        Command::LedgerPeers => perf::ledger_peers(&project),
        Command::Campaign(order) => campaign::run(&project, &order),
        Command::LedgerKill(seeds) => campaign::ledger_kill(&project, &seeds),
        Command::Fuzz(order) => campaign::fuzz(&project, &order),
    }
}
