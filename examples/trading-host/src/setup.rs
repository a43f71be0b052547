//! Puts a host together from what the command line asks for.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use backstop_clock::{Clock, SystemClock, Timestamp};
use backstop_dlq::{SqliteStore, stream::SqliteLog};
use backstop_position_ledger::{
    self as ledger, Account, Amount, Currency, InstrumentId, Instruments, Ledger, SqliteJournal,
    SqliteSnapshots,
    error::ReplayError,
    journal,
    pnl::{Query, Store, Stored},
};
use backstop_schema_version::{
    Environment, MigrationSet, SchemaGate, Status,
    sqlite::{on_start, status},
};
use backstop_storage::{Database, Grouping};
use tempfile::TempDir;

use crate::{
    accounts::Books,
    alerts::Logged,
    chance::Chance,
    faults::Profile,
    halt::{self, SqliteHalts},
    host::{Ports, Settings, run},
    http_venue::HttpVenue,
    market::{Feed, Instrument, Market, Recorded},
    report::Report,
    runtime::SimClock,
    sim_venue::{InProcess, SimVenue, VenueConfig},
    snapshots,
    strategy::strategies_for,
    trouble,
    venue::Venue,
};

/// Name of the database in the data folder.
pub const DATABASE: &str = "host.db";

/// Name of the venue's file in the data folder.
pub const VENUE_FILE: &str = "venue.jsonl";

/// Name of the file whose lock says that a host works in this folder.
const LOCK: &str = "host.lock";

/// The account that trades.
pub const ACCOUNT: &str = "main";

/// What a run is made of, as the command line says it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which faults the venue in this process injects.
    pub faults: Profile,
    /// Decides ids, jitter and faults.
    pub seed: u64,
    /// Keeps everything, so that a killed run goes on; none for a folder of its own.
    pub data_dir: Option<PathBuf>,
    /// A venue in another process.
    pub venue: Option<String>,
    /// A market folder; none for the bundled year.
    pub market: Option<PathBuf>,
}

/// Every migration of a host's database.
///
/// # Errors
/// A set that contradicts itself.
pub fn migrations() -> anyhow::Result<MigrationSet> {
    Ok(MigrationSet::new(&[ledger::MIGRATIONS, backstop_dlq::MIGRATIONS, halt::MIGRATIONS])?)
}

/// Reads a market folder, or the bundled year.
///
/// # Errors
/// [`crate::market::MarketError`] with file and line.
pub fn market(folder: Option<&Path>) -> anyhow::Result<Arc<Market>> {
    let read = folder.map_or_else(Market::bundled, Market::read);
    Ok(Arc::new(read?))
}

/// The ledger's terms of the instruments of a market.
///
/// # Errors
/// A term outside of what the books take.
pub fn instruments(of: &[Instrument]) -> anyhow::Result<Instruments> {
    let known = of.iter().map(|instrument| {
        let id = InstrumentId::new(instrument.symbol.as_str())?;
        let quote = Currency::new(instrument.quote.as_str())?;
        let price_step = Amount::try_from(instrument.price_step)?;
        let lot_step = Amount::try_from(instrument.lot_step)?;
        let multiplier = Amount::try_from(instrument.multiplier)?;
        let terms = ledger::Instrument::new(id, quote, price_step, lot_step)?;
        Ok(terms.with_multiplier(multiplier)?)
    });
    Ok(Instruments::new(known.collect::<anyhow::Result<Vec<_>>>()?)?)
}

/// First and last moment of a market.
fn span(market: &Arc<Market>) -> (Timestamp, Timestamp) {
    let first = market.bars.first().map_or(Timestamp::EPOCH, |bar| bar.start);
    let last = market.bars.iter().map(|bar| bar.end).max().unwrap_or(first);
    (first, last)
}

/// The venue of a market, as this process or one of its own runs it.
///
/// # Errors
/// A setting that the venue cannot work with, or a file that it does not understand.
pub fn sim_venue(
    market: &Arc<Market>,
    (seed, faults): (u64, Profile),
    file: Option<&Path>,
) -> anyhow::Result<SimVenue> {
    let config = VenueConfig::new(seed, faults, span(market));
    let feed = Box::new(Recorded::new(Arc::clone(market)));
    Ok(match file {
        Some(file) => SimVenue::resume(feed, &config, file)?,
        None => SimVenue::new(feed, &config)?,
    })
}

/// The venue whose file is given, as that file says it was made.
///
/// # Errors
/// A file that is not a venue's.
pub fn venue_of(market: &Arc<Market>, file: &Path) -> anyhow::Result<SimVenue> {
    let text = fs::read_to_string(file)?;
    let first = text.lines().next().unwrap_or_default();
    let config: VenueConfig =
        serde_json::from_str(first).with_context(|| format!("{}, line 1", file.display()))?;
    Ok(SimVenue::resume(Box::new(Recorded::new(Arc::clone(market))), &config, file)?)
}

/// A folder that this process alone writes.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Removed at the end, when nobody asked for it to be kept.
    _temporary: Option<TempDir>,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Folder {
    /// Takes a folder into use.
    ///
    /// # Errors
    /// When another process uses it, or it cannot be made.
    pub fn take(asked: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = match asked {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("trading-host-").tempdir()?),
        };
        let made = temporary.as_ref().map(TempDir::path);
        let path = asked.or(made).context("no folder was made")?.to_owned();
        let cannot = || format!("cannot use the data folder {}", path.display());
        fs::create_dir_all(&path).with_context(cannot)?;
        let taken = Self::take_for(&path, LOCK)?;
        Ok(Self { _temporary: temporary, ..taken })
    }

    /// Takes an existing folder into use for one kind of process, known by its lock.
    ///
    /// # Errors
    /// When another process of the kind uses it.
    pub fn take_for(path: &Path, lock_name: &str) -> anyhow::Result<Self> {
        let cannot = || format!("cannot use the data folder {}", path.display());
        let file = path.join(lock_name);
        let lock = match File::create(&file) {
            // Whoever may not write may still look, and a lock that is there can be held.
            Err(error) if is_for_reading(&error) => File::open(&file),
            made => made,
        };
        let lock = lock.with_context(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _temporary: None, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("the data folder {} is in use by another process", path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
        }
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn is_for_reading(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// The durable parts of a host, over one file.
#[derive(Debug)]
pub struct Stores {
    /// The file.
    pub db: Database,
    /// The books.
    pub ledger: Ledger,
    /// The letters.
    pub letters: SqliteStore,
    /// The snapshots of profit and loss.
    pub snapshots: SqliteSnapshots,
    /// Where they are published.
    pub stream: SqliteLog,
    /// The halts.
    pub halts: SqliteHalts,
}

impl Stores {
    /// Opens what a folder holds; the schema has been judged before.
    ///
    /// # Errors
    /// A journal that does not verify, or a schema that a store does not know.
    pub fn open(db: Database, instruments: Instruments) -> anyhow::Result<Self> {
        let journal = SqliteJournal::open(db.clone()).context("cannot open the journal")?;
        let ledger = Ledger::open(Box::new(journal), instruments);
        let ledger = ledger.map_err(|error| {
            let why = match &error {
                ReplayError::Verify(_) => "the journal does not verify",
                // The chain is whole, so it is what it was replayed with.
                _ => "the journal does not fit this market; name the run's own with --market",
            };
            anyhow::Error::new(error).context(why)
        })?;
        let letters = SqliteStore::open(&db)?;
        let stream = SqliteLog::open(&db, snapshots::STREAM)?;
        let snapshots = SqliteSnapshots::open(db.clone())?;
        let halts = SqliteHalts::open(&db)?;
        Ok(Self { db, ledger, letters, snapshots, stream, halts })
    }

    /// When the newest snapshot was taken; the journal has to lead to it.
    ///
    /// # Errors
    /// When it is damaged, and when the journal does not contain it.
    pub fn last_snapshot_at(&self) -> anyhow::Result<Option<Timestamp>> {
        let newest = self.snapshots.find(&Query::new().with_limit(1));
        let newest = newest.context("cannot read the newest snapshot")?.pop();
        newest.map(|stored| self.led_to(&stored)).transpose()
    }

    /// As [`last_snapshot_at`](Self::last_snapshot_at), of the newest that is not damaged.
    ///
    /// No seal vouches for the time in the row of one that is.
    ///
    /// # Errors
    /// When none can be read at all, and when the journal does not contain it.
    pub fn last_whole_snapshot_at(&self) -> anyhow::Result<Option<Timestamp>> {
        for limit in [1, usize::MAX] {
            let newest_first = self.snapshots.find_each(&Query::new().with_limit(limit))?;
            if let Some(whole) = newest_first.into_iter().find_map(Result::ok) {
                return self.led_to(&whole).map(Some);
            }
        }
        Ok(None)
    }

    fn led_to(&self, stored: &Stored) -> anyhow::Result<Timestamp> {
        // From the inside a chain does not show that its last entries are gone.
        journal::verify_against(self.ledger.journal(), stored.snapshot.checkpoint())
            .context("the journal does not contain its newest snapshot")?;
        Ok(stored.snapshot.at)
    }
}

/// Takes a folder into use to look into its database; nothing of it is changed.
///
/// # Errors
/// When there is no run, or its schema is not one that this program may read.
pub fn look_into(path: &Path) -> anyhow::Result<(Folder, Database)> {
    match judged(path)? {
        (_, SchemaGate::Closed(refusal)) => bail!(refusal),
        // Whoever may not write may still look.
        (db, _) => Ok((Folder::take(Some(path))?, db)),
    }
}

/// Takes a folder into use to write what an operator says; nothing is migrated.
///
/// # Errors
/// When there is no run, or its schema is not one that this program may write.
pub fn write_into(path: &Path) -> anyhow::Result<(Folder, Database)> {
    match judged(path)? {
        (_, SchemaGate::Closed(refusal)) => bail!(refusal),
        (_, SchemaGate::ReadWrite) => {}
        _ => bail!("a newer program lets this one read the schema, not write"),
    }
    let folder = Folder::take(Some(path))?;
    let db = Database::open_with(&folder.file(DATABASE), Grouping::Explicit)?;
    Ok((folder, db))
}

/// The database of a run, opened for reading, and what its schema lets this program do.
fn judged(path: &Path) -> anyhow::Result<(Database, SchemaGate)> {
    let file = path.join(DATABASE);
    // Asked before the lock is made, so that a look in the wrong place leaves no trace.
    if !file.exists() {
        bail!("{} holds no run: there is no {DATABASE}", path.display());
    }
    if !has_content(&file) {
        bail!("{} holds no run: {DATABASE} is empty", path.display());
    }
    let db = Database::open_for_reading(&file)?;
    let gate = backstop_schema_version::gate(&status(&db, &migrations()?)?);
    Ok((db, gate))
}

/// Opens the database of a run that begins or goes on; a file that is not ours stays as it is.
fn open(file: &Path) -> anyhow::Result<Database> {
    if has_content(file) {
        let seen = status(&Database::open_for_reading(file)?, &migrations()?)?;
        // What is outdated is migrated.
        if seen.status != Status::Outdated
            && let SchemaGate::Closed(refusal) = backstop_schema_version::gate(&seen)
        {
            bail!(refusal);
        }
    }
    Ok(Database::open_with(file, Grouping::Explicit)?)
}

fn has_content(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|kept| kept.len() > 0)
}

/// Runs a host as asked.
///
/// # Errors
/// Everything that keeps it from trading, and [`crate::host::Stop`] afterwards.
pub fn execute(request: &Request, settings: Settings) -> anyhow::Result<Report> {
    let started = SystemClock.instant();
    let market = market(request.market.as_deref())?;
    let feed = Recorded::new(Arc::clone(&market));
    let strategies = strategies_for(&market.instruments, &market.series())?;
    let (first, _) = span(&market);
    let chance = Chance::new(request.seed);
    // A venue that cannot be reached is found out before anything is made.
    let asked = match &request.venue {
        Some(url) => {
            let asked = HttpVenue::new(url, SimClock::new(first), chance)?.reached();
            Some(asked.with_context(|| format!("no venue answers at {url}"))?)
        }
        None => None,
    };
    let folder = Folder::take(request.data_dir.as_deref())?;
    let db = open(&folder.file(DATABASE))?;
    let start = on_start(&db, &migrations()?, Environment::Development, first)?;
    if let SchemaGate::Closed(refusal) = start.gate {
        bail!(refusal);
    }
    let stores = Stores::open(db.clone(), instruments(&market.instruments)?)?;
    let written = Books::last_written_at(&stores.ledger)?;

    // The books begin before the first price, so that nothing of the market is missed.
    let before = Timestamp::from_millis(first.as_millis()).saturating_sub(Duration::from_mins(1));
    let reached = written.max(stores.last_snapshot_at()?).unwrap_or(before).max(before);
    let (venue, clock): (Rc<dyn Venue>, SimClock) = if let Some(url) = &request.venue {
        let clock = SimClock::new(reached.max(asked.unwrap_or(reached)));
        (Rc::new(HttpVenue::new(url, clock.clone(), chance)?), clock)
    } else {
        let file = folder.file(VENUE_FILE);
        let venue = sim_venue(&market, (request.seed, request.faults), Some(&file))
            .context("go on with the --faults, --seed and --market that this folder began with")?;
        let clock = SimClock::new(reached.max(venue.now()));
        (Rc::new(InProcess::new(venue, clock.clone())), clock)
    };
    let ports = Ports {
        clock,
        feed: Box::new(feed) as Box<dyn Feed>,
        strategies,
        venue,
        books: Box::new(stores.ledger),
        letters: stores.letters,
        snapshots: Box::new(stores.snapshots),
        stream: Box::new(stores.stream),
        gate: Box::new(start.gate),
        alerts: Rc::new(Logged::default()),
        halts: Box::new(stores.halts),
    };
    let mut report = run(ports, settings)?;
    report.seed = request.seed;
    report.durable_commits = db.commits();
    let took = SystemClock.instant().duration_since(started);
    report.elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// The settings of a plain run.
///
/// # Errors
/// Never with the account's name and the policy's rules as they are.
pub fn settings(seed: u64) -> anyhow::Result<Settings> {
    Ok(Settings {
        seed,
        account: Account::new(ACCOUNT)?,
        policy: Arc::new(trouble::policy()?),
        controls: crate::host::Controls::default(),
        crash_at: None,
        progress: None,
        halt_at: None,
    })
}
