//! A child process, which is this test program again, writes a ledger and is killed at every step of its writing.
//!
//! Two kinds of steps: between the calls of the ledger the child ends itself with SIGKILL, and within a write the kernel
//! ends it, at a limit that stands between any two writes of SQLite to its log.
//! A few seeds run here; `cargo run -p xtask -- campaign ledger-kill --seeds 1..200` runs as many as asked for.

use std::env;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use backstop_clock::Timestamp;
use backstop_position_ledger::journal::verify;
use backstop_position_ledger::{
    Durability, Entry, Fact, Ledger, MemoryJournal, Outcome, SqliteJournal, Text,
};
use backstop_storage::{Database, Grouping};
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};

use crate::kit::{Desk, amount, currency, fill, instruments, intent};

/// Tells the child its file, its seed, and where it ends.
const ORDER: &str = "BACKSTOP_LEDGER_CHILD";

/// The seeds to run instead of the few, as `first..last`, and every step of them.
const SEEDS: &str = "BACKSTOP_LEDGER_KILL_SEEDS";

/// What a child prints before the number of entries that it was told are durable.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Bytes of the header of SQLite's log, of the header of a page in it, and of a page.
const LOG: (u64, u64, u64) = (32, 24, 4096);

/// Entries that are given to the ledger together.
#[derive(Debug)]
struct Group {
    entries: Vec<Entry>,
    durability: Durability,
}

/// A history that follows from its seed: intents, fills and adjustments, alone and in groups.
fn history(seed: u64) -> Vec<Group> {
    let (mut desk, mut chance) = (Desk::default(), seed);
    let mut draw = |below: u64| {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut number = 0_u32;
    let mut entry = |kind: u64| {
        number += 1;
        desk.entry(match kind {
            0 => Fact::intended(intent(u128::from(number), "5")),
            1 => {
                let reason = Text::clipped(&"a long reason ".repeat(30));
                Fact::Adjusted { currency: currency("USD"), amount: amount("-0.01"), reason }
            }
            _ => Fact::Filled(fill(&format!("t{number}"), "1", "1.1")),
        })
    };
    let mut groups = Vec::new();
    for _ in 0..6 + draw(6) {
        let length = if draw(2) == 0 { 1 } else { 2 + draw(3) };
        let entries = (0..length).map(|_| entry(draw(5))).collect();
        let durability = if draw(2) == 0 { Durability::Durable } else { Durability::Grouped };
        groups.push(Group { entries, durability });
    }
    groups
}

/// Gives the history, from its start, to a ledger; `between` is called around every call. Answers the entries applied.
fn write(ledger: &mut Ledger, seed: u64, mut between: impl FnMut(Step)) -> u64 {
    let (mut given, mut applied) = (0, 0);
    for Group { entries, durability } in history(seed) {
        between(Step::Ahead);
        let outcomes = match &*entries {
            [entry] => vec![ledger.append(entry, durability).unwrap()],
            entries => ledger.append_all(entries, None, durability).unwrap(),
        };
        between(Step::Behind);
        given += u64::try_from(entries.len()).unwrap();
        for outcome in outcomes {
            let is_applied = matches!(outcome, Outcome::Applied { .. });
            assert!(is_applied || outcome == Outcome::Duplicate, "{outcome:?}");
            applied += u64::from(is_applied);
        }
        if durability == Durability::Durable {
            between(Step::Acknowledged(given));
        }
    }
    ledger.flush().unwrap();
    between(Step::Acknowledged(given));
    applied
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ahead,
    Behind,
    Acknowledged(u64),
}

fn open(path: &Path) -> Ledger {
    let db = Database::open_with(path, Grouping::Explicit).unwrap();
    let journal = SqliteJournal::create(db, Timestamp::EPOCH).unwrap();
    Ledger::open(Box::new(journal), instruments()).unwrap()
}

/// Where a child ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By itself, when all is written.
    Done,
    /// Before step `n` of the ledger.
    Step(u64),
    /// At the first byte of a file beyond this length.
    Byte(u64),
}

fn be_child(order: &str) {
    let mut parts = order.splitn(4, ' ');
    let mut next = || parts.next().unwrap();
    let (kind, at, seed): (_, u64, u64) =
        (next(), next().parse().unwrap(), next().parse().unwrap());
    if kind == "byte" {
        let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
        // The signal of this limit would leave an image of the process behind.
        setrlimit(Resource::Core, limit(0)).unwrap();
        setrlimit(Resource::Fsize, limit(at)).unwrap();
    }
    let mut steps = 0;
    write(&mut open(Path::new(next())), seed, |step| {
        if let Step::Acknowledged(entries) = step {
            println!("\n{ACKNOWLEDGED}{entries}");
        }
        steps += 1;
        if kind == "step" && steps == at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    });
}

/// Lets a child run to its end. Answers what was acknowledged, and whether it came to the end of the history.
fn run(path: &Path, seed: u64, end: End) -> (u64, bool) {
    let (kind, at) = match end {
        End::Done => ("done", 0),
        End::Step(at) => ("step", at),
        End::Byte(at) => ("byte", at),
    };
    let mut order = String::new();
    write!(order, "{kind} {at} {seed} {}", path.display()).unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "kills::nothing_is_lost_and_nothing_applied_twice"]);
    command.env(ORDER, order).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.filter_map(|line| line.unwrap().strip_prefix(ACKNOWLEDGED)?.parse().ok());
    let acknowledged = told.last().unwrap_or(0);
    (acknowledged, child.wait().unwrap().success())
}

/// Kills a child at one point, looks at what it left, and lets another one finish. Answers whether it was killed.
fn kill_once(folder: &Path, seed: u64, end: End) -> bool {
    let name = format!("{seed}-{end:?}.db");
    let path = folder.join(&name);
    let (acknowledged, is_whole) = run(&path, seed, end);

    let mut wanted = Ledger::open(Box::new(MemoryJournal::new()), instruments()).unwrap();
    write(&mut wanted, seed, |_| {});
    let mut found = open(&path);
    // The journal holds the first entries of the history, each once, in order, and all that were acknowledged.
    assert!(found.version() >= acknowledged, "{name}: {} of {acknowledged}", found.version());
    assert_eq!(found.books(), &wanted.as_of(found.version()).unwrap(), "{name}");
    assert!(!is_whole || found.version() == wanted.version(), "{name}");
    // Whoever starts again is told everything again.
    let missing = wanted.version() - found.version();
    assert_eq!(write(&mut found, seed, |_| {}), missing, "{name}");
    drop(found);
    let found = open(&path);
    assert_eq!(found.books(), wanted.books(), "{name}");
    assert_eq!(verify(found.journal()).unwrap(), wanted.books().checkpoint(), "{name}");
    !is_whole
}

/// Kills at every `nth` step of both kinds until a child comes through. Answers the number of kills.
fn kill_all(folder: &Path, seed: u64, nth: u64) -> u64 {
    let mut kills = 0;
    for step in (1..).step_by(usize::try_from(nth).unwrap()) {
        if !kill_once(folder, seed, End::Step(step)) {
            break;
        }
        kills += 1;
    }
    let (header, frame, page) = LOG;
    // Pages are written as two pieces: a limit before the first, and one before the second.
    for piece in (0..).step_by(usize::try_from(nth).unwrap()) {
        let (whole, half) = (piece / 2, piece % 2);
        let limit = header + whole * (frame + page) + half * frame;
        if !kill_once(folder, seed, End::Byte(limit)) {
            break;
        }
        kills += 1;
    }
    kills
}

#[test]
fn nothing_is_lost_and_nothing_applied_twice() {
    if let Ok(order) = env::var(ORDER) {
        return be_child(&order);
    }
    let whole = env::var(SEEDS).ok();
    let (seeds, nth) = match whole.as_deref().and_then(|seeds| seeds.split_once("..")) {
        Some((first, last)) => (first.parse().unwrap()..=last.parse().unwrap(), 1),
        None => (1..=2, 9),
    };
    for seed in seeds {
        let folder = tempfile::tempdir().unwrap();
        let kills = kill_all(folder.path(), seed, nth);
        assert!(kills > 5, "seed {seed} was killed {kills} times");
        println!("ledger-kill seed {seed}: {kills} kills, nothing lost, nothing twice");
    }
}

/// The comparison has to see what it is there for.
#[test]
fn a_child_that_acknowledges_too_early_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let (acknowledged, is_whole) = run(&path, 1, End::Done);
    assert!(is_whole);
    let found = open(&path);
    assert_eq!(found.version(), acknowledged);
    let total: usize = history(1).iter().map(|group| group.entries.len()).sum();
    assert_eq!(usize::try_from(acknowledged).unwrap(), total);
}
