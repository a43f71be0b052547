//! What the command line asks for, as typed values.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::campaign::{Campaign, Fuzz, Subject};
use crate::ci;

/// The text that `help` prints and that follows a wrong argument.
pub const USAGE: &str = "\
usage: cargo run -p xtask -- <command>

  ci [SECTION]...   every check in order, or only the named sections
  tidy              the rules about the repository itself
  perf              the benchmarks, with ratios against the peers
  perf ledger-peers the ledger against peers that are no part of the workspace
  campaign storm --seeds 1..50 [--market DIR]
                    the host in the fault storm, twice per seed
  campaign kill --seeds 1..30 [--market DIR]
                    the same on one month, killed with SIGKILL again and again
  campaign ledger-kill --seeds 1..200
                    a ledger in SQLite, killed at every step of its writing
  campaign fuzz --seconds 300 [--target NAME]
                    libFuzzer on what reads foreign data, so long for each target
  help              this text

Seeds are inclusive on both ends.
The sections of ci: fmt typos tidy clippy test doctest examples host features docs deny benches";

/// The campaigns that there are.
const CAMPAIGNS: &str = "storm, kill, ledger-kill or fuzz";

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print [`USAGE`].
    Help,
    /// Run the checks; an empty list means all of them.
    Ci {
        /// The names of the sections to run.
        sections: Vec<String>,
    },
    /// Check the rules about the repository.
    Tidy,
    /// Run the benchmarks.
    Perf,
    /// Run the ledger against peers that are no part of the workspace.
    LedgerPeers,
    /// Run the host over many seeds.
    Campaign(Campaign),
    /// Kill the writer of a ledger, for each seed at every step.
    LedgerKill(RangeInclusive<u64>),
    /// Look for inputs that break what reads foreign data.
    Fuzz(Fuzz),
}

impl Command {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    ///
    /// A sentence that names the argument and the rule it breaks.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut rest = arguments.into_iter();
        let Some(name) = rest.next() else {
            return Err("a command is missing".to_owned());
        };
        match name.as_str() {
            "help" | "--help" | "-h" => Ok(Self::Help),
            "ci" => sections(rest.collect()),
            "tidy" => no_more(rest, Self::Tidy),
            "perf" => parse_perf(rest),
            "campaign" => parse_campaign(rest),
            other => Err(format!("`{other}` is not a command")),
        }
    }
}

fn no_more(mut rest: impl Iterator<Item = String>, command: Command) -> Result<Command, String> {
    match rest.next() {
        None => Ok(command),
        Some(extra) => Err(format!("`{extra}` is one argument too many")),
    }
}

fn parse_perf(mut rest: impl Iterator<Item = String>) -> Result<Command, String> {
    match rest.next().as_deref() {
        None => Ok(Command::Perf),
        Some("ledger-peers") => no_more(rest, Command::LedgerPeers),
        Some(other) => Err(format!("`{other}` is not a part of perf: ledger-peers, or none")),
    }
}

fn sections(names: Vec<String>) -> Result<Command, String> {
    match names.iter().find(|name| !ci::SECTIONS.iter().any(|section| section.name == **name)) {
        None => Ok(Command::Ci { sections: names }),
        Some(wrong) => Err(format!("`{wrong}` is not a section of ci")),
    }
}

fn parse_campaign(mut rest: impl Iterator<Item = String>) -> Result<Command, String> {
    let subject = match rest.next().as_deref() {
        Some("storm") => Subject::Storm,
        Some("kill") => Subject::Kill,
        Some("ledger-kill") => {
            return parse_runs(rest).and_then(|(seeds, market)| match market {
                None => Ok(Command::LedgerKill(seeds)),
                Some(_) => Err("`--market` is not an option of campaign ledger-kill".to_owned()),
            });
        }
        Some("fuzz") => return parse_fuzz(rest).map(Command::Fuzz),
        Some(other) => return Err(format!("`{other}` is not a campaign: {CAMPAIGNS}")),
        None => return Err(format!("the campaign's name is missing: {CAMPAIGNS}")),
    };
    let (seeds, market) = parse_runs(rest)?;
    Ok(Command::Campaign(Campaign { subject, seeds, market }))
}

/// The seeds of a campaign, and the market where one is given.
type Runs = (RangeInclusive<u64>, Option<PathBuf>);

fn parse_runs(mut rest: impl Iterator<Item = String>) -> Result<Runs, String> {
    let mut seeds = None;
    let mut market = None;
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
        match flag.as_str() {
            "--seeds" => seeds = Some(parse_seeds(&value)?),
            "--market" => market = Some(PathBuf::from(value)),
            other => return Err(format!("`{other}` is not an option of campaign")),
        }
    }
    let seeds =
        seeds.ok_or_else(|| "`--seeds` is missing, for example --seeds 1..50".to_owned())?;
    Ok((seeds, market))
}

fn parse_fuzz(mut rest: impl Iterator<Item = String>) -> Result<Fuzz, String> {
    let mut seconds = None;
    let mut target = None;
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
        match flag.as_str() {
            "--seconds" => {
                let number = value.parse::<u32>().ok().filter(|number| *number > 0);
                let wrong = || format!("`--seconds {value}` is not a number from 1");
                seconds = Some(number.ok_or_else(wrong)?);
            }
            "--target" => target = Some(value),
            other => return Err(format!("`{other}` is not an option of campaign fuzz")),
        }
    }
    let seconds = seconds.ok_or("`--seconds` is missing, for example --seconds 300")?;
    Ok(Fuzz { target, seconds })
}

fn parse_seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let wrong = || format!("`--seeds {text}` is not FIRST..LAST with FIRST at most LAST");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(wrong()),
    }
}
