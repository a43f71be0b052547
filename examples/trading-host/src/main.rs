//! The binary `trading-host`: arguments in, one run or one look, exit status out.

use std::{
    io::{ErrorKind, IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use backstop_clock::{Clock, SystemClock, Timestamp};
use backstop_dlq::LetterId;
use backstop_position_ledger::pnl::{Kind, Query};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use trading_host::{
    alerts::utc,
    crash::Passage,
    faults::Profile,
    fill::Repeats,
    guard::Submitting,
    halt::SqliteHalts,
    host::{BrokenOff, Controls},
    inspect,
    letters::Committing,
    operator::{Decided, Operator, Reason, Released},
    order::Absence,
    recon::Repair,
    redrive::symbol_of,
    serve,
    setup::{self, Request},
    snapshots::Publishing,
};

/// Trades recorded market data through a storm of faults, and proves that nothing was lost,
/// doubled or invented.
///
/// Without arguments: `run --faults storm --seed 1`.
/// Exit status of a run: 0 when every invariant holds, 1 when one broke or trading broke off, 2 when
/// it refused before trading.
///
/// Of a look (letters, positions, reconcile, snapshots, verify): 0 when all is as it should be, 1
/// when something is not, 2 when it refused.
///
/// Of lift, isolate, release and discard: 0 when it is done, 1 when nothing was to be done, 2 when
/// it refused or could not complete it.
///
/// A result that cannot be written is 1.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trade the market data to its end and report
    Run(RunArgs),
    /// Run the venue as a process of its own
    Venue(VenueArgs),
    /// List the letters that a run left
    Letters(KeptRun),
    /// Show positions and balances that a run left
    Positions(KeptRun),
    /// Compare the books that a run left with those of its venue's file
    Reconcile(LookArgs),
    /// List the snapshots of profit and loss that a run kept, each checked against the journal
    Snapshots(HistoryArgs),
    /// Verify the journal that a run left
    Verify(KeptRun),
    /// Lift the halt that keeps a run from trading on
    Lift(LiftArgs),
    /// Set an instrument apart: the next run books and sends nothing of it
    Isolate(ApartArgs),
    /// Release an instrument that was set apart, or one letter; the next run replays what waited
    Release(ReleaseArgs),
    /// Give up one letter that is open; a trade that only it told of is found by comparison
    Discard(DiscardArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Which faults the venue injects: none, calm or storm (a venue of its own process decides itself)
    #[arg(long, default_value = "storm")]
    faults: Profile,
    /// Decides ids, jitter and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep everything in this folder, so that a killed run goes on where it was
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Trade against a venue in another process, at a URL as <http://127.0.0.1:7070>
    #[arg(long, value_name = "URL")]
    venue: Option<String>,
    /// Read this market folder instead of the bundled year
    #[arg(long, value_name = "DIR")]
    market: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    report: Format,
    /// Break one rule on purpose, to see its invariant fail
    #[arg(long, value_enum, value_name = "RULE")]
    break_rule: Option<Rule>,
    /// Kill this process at the n-th passage of a point, for crash tests
    #[arg(long, value_name = "POINT:N")]
    crash_at: Option<Passage>,
    /// Halt and flatten at this moment of simulated time, as a drill
    #[arg(long, value_name = "RFC3339")]
    halt_at: Option<jiff::Timestamp>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rule {
    /// Send an order again though its outcome is unknown
    PlainRetry,
    /// Take every delivery for a trade of its own
    NoDeduplication,
    /// Write the place in the stream before the letter, and lose the letter
    CommitBeforePut,
    /// Let reconciliation overwrite our figures with the venue's
    OverwriteBooks,
    /// Take an order that the venue does not show at first for never placed
    PresumeFailed,
    /// Publish the end of the first day with another balance than it was taken with
    AlterSnapshot,
}

#[derive(Debug, Args)]
struct VenueArgs {
    /// Where to listen, for example 127.0.0.1:7070
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Which faults to inject: none, calm or storm
    #[arg(long, default_value = "none")]
    faults: Profile,
    /// Decides the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the venue's file in this folder, so that a killed venue goes on where it was
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Read this market folder instead of the bundled year
    #[arg(long, value_name = "DIR")]
    market: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct KeptRun {
    /// The folder that the run kept
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The market folder that the run traded, if it was not the bundled year
    #[arg(long, value_name = "DIR")]
    market: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct LookArgs {
    #[command(flatten)]
    at: KeptRun,
    /// The venue of another process, if the run traded against one
    #[arg(long, value_name = "URL")]
    venue: Option<String>,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    #[command(flatten)]
    at: KeptRun,
    /// Only those of this kind
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// Only those that are not in order: unchecked, accepted with a drift, or worse
    #[arg(long)]
    doubtful: bool,
    /// Only those taken at or after this time
    #[arg(long, value_name = "RFC3339")]
    from: Option<jiff::Timestamp>,
    /// Only those taken before this time
    #[arg(long, value_name = "RFC3339")]
    until: Option<jiff::Timestamp>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum KindArg {
    Periodic,
    EndOfDay,
    Reconciliation,
}

#[derive(Debug, Args)]
struct LiftArgs {
    /// The folder that the run kept
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// What was found, in at most 512 bytes; kept beside the halt
    #[arg(long, value_name = "WORDS")]
    reason: Reason,
}

#[derive(Debug, Args)]
struct ApartArgs {
    #[command(flatten)]
    at: KeptRun,
    /// The instrument's symbol
    #[arg(long, value_name = "SYMBOL")]
    instrument: String,
    /// What was found, in at most 512 bytes; kept in the journal
    #[arg(long, value_name = "WORDS")]
    reason: Reason,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    #[command(flatten)]
    at: KeptRun,
    /// The symbol of an instrument that is set apart, with all letters of it
    #[arg(long, value_name = "SYMBOL", required_unless_present = "letter")]
    instrument: Option<String>,
    /// One letter that waits for a human, whatever instrument it names; `letters` lists the ids
    #[arg(long, value_name = "ID", conflicts_with = "instrument")]
    letter: Option<LetterId>,
    /// What was found, in at most 512 bytes; kept in the journal, and beside the letters
    #[arg(long, value_name = "WORDS")]
    reason: Reason,
}

#[derive(Debug, Args)]
struct DiscardArgs {
    #[command(flatten)]
    at: KeptRun,
    /// The letter; `letters` lists the ids
    #[arg(long, value_name = "ID")]
    letter: LetterId,
    /// What was found, in at most 512 bytes; kept beside the letter
    #[arg(long, value_name = "WORDS")]
    reason: Reason,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(
            |_unset| {
                tracing_subscriber::EnvFilter::new(
                    "error,trading_host::alerts=warn,trading_host::halt=warn",
                )
            },
        ))
        .with_writer(std::io::stderr)
        .init();
    let command = Cli::parse().command;
    match execute(command) {
        Ok(status) => status,
        Err(error) => {
            // Nobody is left to be told of a stderr that cannot be written.
            drop(writeln!(std::io::stderr(), "trading-host: {}", in_words(&error)));
            let is_refusal = !error.is::<BrokenOff>() && !error.is::<Unsaid>();
            ExitCode::from(if is_refusal { 2 } else { 1 })
        }
    }
}

fn execute(command: Option<Command>) -> anyhow::Result<ExitCode> {
    let default = || RunArgs {
        faults: Profile::Storm,
        seed: 1,
        data_dir: None,
        venue: None,
        market: None,
        report: Format::Text,
        break_rule: None,
        crash_at: None,
        halt_at: None,
    };
    let look = |at: &KeptRun, look: fn(&inspect::Look) -> anyhow::Result<inspect::Seen>| {
        let seen = look(&inspect::Look::at(&at.data_dir, at.market.as_deref())?)?;
        say(&seen.text)?;
        Ok(ExitCode::from(u8::from(!seen.is_well)))
    };
    match command {
        None => run(default()),
        Some(Command::Run(args)) => run(args),
        Some(Command::Venue(args)) => venue(&args),
        Some(Command::Letters(at)) => look(&at, inspect::letters),
        Some(Command::Positions(at)) => look(&at, inspect::positions),
        Some(Command::Snapshots(args)) => history(&args),
        Some(Command::Verify(at)) => look(&at, inspect::verify),
        Some(Command::Lift(args)) => lift(&args),
        Some(Command::Isolate(args)) => isolate(&args),
        Some(Command::Release(args)) => release(&args),
        Some(Command::Discard(args)) => discard(&args),
        Some(Command::Reconcile(args)) => {
            let look = inspect::Look::at(&args.at.data_dir, args.at.market.as_deref())?;
            let seen = inspect::reconcile(&look, args.venue.as_deref())?;
            say(&seen.text)?;
            Ok(ExitCode::from(u8::from(!seen.is_well)))
        }
    }
}

fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let mut settings = setup::settings(args.seed)?;
    settings.controls = controls(args.break_rule);
    settings.crash_at = args.crash_at;
    settings.halt_at = args.halt_at.map(|at| Timestamp::from_millis(at.as_millisecond()));
    if std::io::stderr().is_terminal() {
        settings.progress = Some(ProgressBar::new(0));
    }
    let request = Request {
        faults: args.faults,
        seed: args.seed,
        data_dir: args.data_dir,
        venue: args.venue,
        market: args.market,
    };
    let report = setup::execute(&request, settings)?;
    let text = match args.report {
        Format::Text => report.to_string(),
        Format::Json => serde_json::to_string_pretty(&report)?,
    };
    say(&text)?;
    Ok(ExitCode::from(u8::from(!report.ok)))
}

fn venue(args: &VenueArgs) -> anyhow::Result<ExitCode> {
    serve::venue(&serve::Served {
        listen: args.listen,
        faults: args.faults,
        seed: args.seed,
        data_dir: args.data_dir.clone(),
        market: args.market.clone(),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn history(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let look = inspect::Look::at(&args.at.data_dir, args.at.market.as_deref())?;
    let moment = |at: jiff::Timestamp| Timestamp::from_millis(at.as_millisecond());
    let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    let query = Query::new()
        .with_times(args.from.map_or(first, moment), args.until.map_or(last, moment))
        .with_limit(args.limit);
    let query = match args.kind {
        None => query,
        Some(KindArg::Periodic) => query.with_kind(Kind::Periodic),
        Some(KindArg::EndOfDay) => query.with_kind(Kind::EndOfDay),
        Some(KindArg::Reconciliation) => query.with_kind(Kind::Reconciliation),
    };
    let seen = inspect::snapshots(&look, &query, args.doubtful)?;
    say(&seen.text)?;
    Ok(ExitCode::from(u8::from(!seen.is_well)))
}

fn lift(args: &LiftArgs) -> anyhow::Result<ExitCode> {
    let (_folder, db) = setup::write_into(&args.data_dir)?;
    let lifted = SqliteHalts::open(&db)?.lift(SystemClock.now(), &args.reason.to_string())?;
    let text = match &lifted {
        Some(halt) => format!("lifted the halt of {}: {}", utc(halt.at), halt.reason),
        None => "no halt stands".to_owned(),
    };
    say(&text)?;
    Ok(ExitCode::from(u8::from(lifted.is_none())))
}

fn isolate(args: &ApartArgs) -> anyhow::Result<ExitCode> {
    let before = operator(&args.at)?.isolate(&args.instrument, &args.reason)?;
    let text = before.as_ref().map_or_else(
        || format!("set {} apart", args.instrument),
        |since| {
            format!("{} is set apart since {}: {}", args.instrument, utc(since.at), since.reason)
        },
    );
    say(&text)?;
    Ok(ExitCode::from(u8::from(before.is_some())))
}

fn release(args: &ReleaseArgs) -> anyhow::Result<ExitCode> {
    if let Some(id) = args.letter {
        let Decided { letter, isolation } = operator(&args.at)?.release_letter(id, &args.reason)?;
        let symbol = symbol_of(&letter);
        let then = match isolation {
            None => "the next run replays it".to_owned(),
            Some(_) => format!("it waits until {symbol} is released"),
        };
        say(&format!("released letter {id} of {symbol:?}; {then}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let symbol = args.instrument.as_deref().unwrap_or_default();
    let released = operator(&args.at)?.release(symbol, &args.reason)?;
    let text = match &released {
        Some(Released { isolation, letters }) => format!(
            "released {symbol}, set apart since {}: {}; letters that the next run replays: {letters}",
            utc(isolation.at),
            isolation.reason
        ),
        None => format!("{symbol} is not set apart"),
    };
    say(&text)?;
    Ok(ExitCode::from(u8::from(released.is_none())))
}

fn discard(args: &DiscardArgs) -> anyhow::Result<ExitCode> {
    let Decided { letter, .. } = operator(&args.at)?.discard_letter(args.letter, &args.reason)?;
    let symbol = symbol_of(&letter);
    say(&format!("discarded letter {} of {symbol:?}; nothing is booked from it", letter.id()))?;
    Ok(ExitCode::SUCCESS)
}

fn operator(at: &KeptRun) -> anyhow::Result<Operator> {
    Operator::at(&at.data_dir, at.market.as_deref())
}

fn controls(broken: Option<Rule>) -> Controls {
    let right = Controls::default();
    match broken {
        None => right,
        Some(Rule::PlainRetry) => Controls { submitting: Submitting::PlainRetry, ..right },
        Some(Rule::NoDeduplication) => Controls { repeats: Repeats::Booked, ..right },
        Some(Rule::CommitBeforePut) => Controls { committing: Committing::BeforeLetter, ..right },
        Some(Rule::OverwriteBooks) => Controls { repair: Repair::Overwrite, ..right },
        Some(Rule::AlterSnapshot) => Controls { publishing: Publishing::Altered, ..right },
        Some(Rule::PresumeFailed) => Controls { absence: Absence::AtFirstLook, ..right },
    }
}

/// Tells the result; a reader that has gone away is no reason to fail.
fn say(text: &str) -> Result<(), Unsaid> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Unsaid(error)),
        _ => Ok(()),
    }
}

/// What was asked for is done, and nobody was told what came of it.
#[derive(Debug, thiserror::Error)]
#[error("the result could not be written: {0}")]
struct Unsaid(std::io::Error);

/// An error with its causes, each said once: some tell the cause in their own words.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1) {
        let told = cause.to_string();
        // SQLite's cause is its number, and the same words again.
        if !words.contains(&told) && !cause.is::<rusqlite::ffi::Error>() {
            words = format!("{words}: {told}");
        }
    }
    words
}
