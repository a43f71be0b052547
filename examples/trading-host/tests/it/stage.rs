//! Where the chapters play: prices and wishes of a test's making, at a venue that fails as told.

mod venue;

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fs,
    path::Path,
    rc::Rc,
    time::Duration,
};

use backstop_clock::Timestamp;
use backstop_dlq::{
    DeadLetterStore, Letter, SqliteStore,
    store::{Filter, Page},
    stream::SqliteLog,
};
use backstop_position_ledger::{
    Entry, Fact, Ledger, SqliteJournal, SqliteSnapshots,
    fill::Booked,
    journal::Journal,
    order::Order,
    pnl::{Query, Store as _, Stored},
};
use backstop_schema_version::{Environment, SchemaGate, sqlite::on_start};
use backstop_storage::Database;
use rust_decimal::Decimal;
use tempfile::TempDir;
use trading_host::{
    alerts::{Alert, Alerts},
    halt::SqliteHalts,
    host::{Ports, Settings, run},
    market::{Bar, Feed, Instrument, Scripted, Tick},
    report::Report,
    runtime::SimClock,
    setup, snapshots,
    strategy::{Strategy, Style, Target},
    venue::Audit,
};

pub(crate) use crate::sim_venue::{START, at, decimal};
use crate::sim_venue::{instrument, tick};
pub(crate) use venue::{Fate, Script, ScriptedVenue, Submit};

/// Between two ticks of a stage, in seconds.
pub(crate) const STEP_S: u64 = 10;

/// Units that a tick of a stage offers, unless it says otherwise.
const LIQUIDITY: u32 = 1_000;

/// A run to be: a market that stands still, wishes, and what goes wrong.
#[derive(Debug)]
pub(crate) struct Stage {
    symbols: &'static [&'static str],
    ticks: Vec<Tick>,
    wishes: Vec<(Timestamp, Target)>,
    pub(crate) script: Script,
    pub(crate) settings: Settings,
}

impl Stage {
    /// So many instruments, up to three, that tick every [`STEP_S`] seconds at 10.00 to 10.01.
    pub(crate) fn new(instruments: usize, seconds: u64) -> Self {
        let symbols = &["AAA", "BBB", "CCC"][..instruments];
        let places = (0..=seconds / STEP_S)
            .flat_map(|nth| (0..instruments).map(move |instrument| (nth * STEP_S, instrument)));
        let ticks = places.map(|(second, instrument)| tick_of(instrument, second, LIQUIDITY));
        Self {
            symbols,
            ticks: ticks.collect(),
            wishes: Vec::new(),
            script: Script::default(),
            settings: setup::settings(1).unwrap(),
        }
    }

    /// With so many units on offer at each tick.
    pub(crate) fn with_liquidity(mut self, units: u32) -> Self {
        self.ticks.iter_mut().for_each(|tick| tick.liquidity = Some(units.into()));
        self
    }

    /// With other ticks of the first instrument: second and units on offer.
    pub(crate) fn with_ticks(mut self, ticks: &[(Duration, u32)]) -> Self {
        self.ticks.retain(|tick| tick.instrument != 0);
        self.ticks.extend(ticks.iter().map(|&(after, units)| {
            let tick = tick_of(0, 0, units);
            let at = START.saturating_add(after);
            let completes = tick.completes.map(|bar| Bar { start: at, end: at, ..bar });
            Tick { at, completes, ..tick }
        }));
        self
    }

    /// With the wish, from a second on, to hold so much of an instrument, got at the market.
    pub(crate) fn wishing(self, second: u64, instrument: usize, quantity: i64) -> Self {
        self.wishing_in_style(second, instrument, quantity, Style::Market)
    }

    pub(crate) fn wishing_in_style(
        mut self,
        second: u64,
        instrument: usize,
        quantity: i64,
        style: Style,
    ) -> Self {
        self.wishes.push((at(second), Target { instrument, quantity: quantity.into(), style }));
        self
    }

    fn instruments(&self) -> Vec<Instrument> {
        self.symbols.iter().map(|symbol| instrument(symbol)).collect()
    }

    pub(crate) fn feed(&self) -> Scripted {
        Scripted::new(self.instruments(), self.ticks.clone())
    }

    /// Every port with what a run has by default, in memory.
    pub(crate) fn set(&self) -> Set {
        let db = database();
        let clock = SimClock::new(START.saturating_sub(Duration::from_mins(1)));
        let feed = self.feed();
        let venue =
            Rc::new(ScriptedVenue::new(Box::new(feed.clone()), clock.clone(), &self.script));
        let instruments = setup::instruments(feed.instruments()).unwrap();
        let journal = SqliteJournal::open(db.clone()).unwrap();
        let alerts = Rc::new(Recorder::default());
        let ports = Ports {
            clock,
            feed: Box::new(feed),
            strategies: vec![Box::new(Wishes::new(self.wishes.clone()))],
            venue: Rc::clone(&venue) as Rc<_>,
            books: Box::new(Ledger::open(Box::new(journal), instruments).unwrap()),
            letters: SqliteStore::open(&db).unwrap(),
            snapshots: Box::new(SqliteSnapshots::open(db.clone()).unwrap()),
            stream: Box::new(SqliteLog::open(&db, snapshots::STREAM).unwrap()),
            gate: Box::new(SchemaGate::ReadWrite),
            alerts: Rc::clone(&alerts) as Rc<_>,
            halts: Box::new(SqliteHalts::open(&db).unwrap()),
        };
        Set { ports, db, venue, alerts }
    }

    /// Runs to the end.
    pub(crate) fn play(self) -> Ending {
        let Set { ports, db, venue, alerts } = self.set();
        let instruments = self.instruments();
        let report = run(ports, self.settings).unwrap();
        let audit = venue.truth();
        Ending { report, audit, venue, alerts: alerts.raised.take(), db, instruments }
    }
}

fn tick_of(instrument: usize, second: u64, units: u32) -> Tick {
    let tick = tick(second, "10.00", Some(units));
    let bar = Bar {
        instrument,
        start: tick.at,
        end: tick.at,
        open: tick.bid,
        high: tick.bid,
        low: tick.bid,
        close: tick.bid,
        volume: tick.liquidity,
        bid: Some(tick.bid),
        ask: Some(tick.ask),
        bid_size: None,
        ask_size: None,
    };
    Tick { instrument, completes: Some(bar), ..tick }
}

/// The ports of a stage, and what a test looks at afterwards.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) ports: Ports<SqliteStore>,
    pub(crate) db: Database,
    pub(crate) venue: Rc<ScriptedVenue>,
    pub(crate) alerts: Rc<Recorder>,
}

/// A strategy that wants what it was told to want.
#[derive(Debug)]
pub(crate) struct Wishes {
    to_come: VecDeque<(Timestamp, Target)>,
}

impl Wishes {
    fn new(mut wishes: Vec<(Timestamp, Target)>) -> Self {
        wishes.sort_by_key(|(due, _)| *due);
        Self { to_come: wishes.into() }
    }
}

impl Strategy for Wishes {
    fn name(&self) -> &'static str {
        "wishes"
    }

    fn on_close(&mut self, at: Timestamp, _bars: &[Bar]) -> Vec<Target> {
        let due = std::iter::from_fn(|| self.to_come.pop_front_if(|(due, _)| *due <= at));
        due.map(|(_, target)| target).collect()
    }
}

/// Alerts for a test to read.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) raised: RefCell<Vec<Alert>>,
}

impl Alerts for Recorder {
    fn raise(&self, alert: Alert) {
        self.raised.borrow_mut().push(alert);
    }

    fn raised(&self) -> usize {
        self.raised.borrow().len()
    }

    fn last(&self) -> Vec<String> {
        self.raised.borrow().iter().map(|alert| alert.text.clone()).collect()
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) report: Report,
    /// The venue's truth.
    pub(crate) audit: Audit,
    pub(crate) venue: Rc<ScriptedVenue>,
    pub(crate) alerts: Vec<Alert>,
    db: Database,
    instruments: Vec<Instrument>,
}

impl Ending {
    fn ledger(&self) -> Ledger {
        let journal = SqliteJournal::open(self.db.clone()).unwrap();
        Ledger::open(Box::new(journal), setup::instruments(&self.instruments).unwrap()).unwrap()
    }

    /// The whole journal.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let journal = SqliteJournal::open(self.db.clone()).unwrap();
        let records = journal.read(0, 100_000).unwrap();
        records.iter().map(|record| record.entry().unwrap()).collect()
    }

    /// What the journal says of orders, as `event` and when it was written, in that order.
    pub(crate) fn order_events(&self) -> Vec<(String, Timestamp)> {
        let entries = self.entries().into_iter();
        let word = |entry: Entry| {
            let word = match entry.fact {
                Fact::Intended(_) => "intended",
                Fact::Order { event, .. } => event.as_str(),
                _ => return None,
            };
            Some((word.to_owned(), entry.journaled_at))
        };
        entries.filter_map(word).collect()
    }

    /// Orders of the books, oldest first.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.ledger().books().orders().into_iter().cloned().collect()
    }

    /// Fills of the books in the order in which they were written.
    pub(crate) fn fills(&self) -> Vec<Booked> {
        let mut fills: Vec<_> = self.ledger().books().fills().collect();
        fills.sort_by_key(|booked| booked.sequence);
        fills
    }

    /// Trade ids in the order in which they were written.
    pub(crate) fn trade_ids(&self) -> Vec<String> {
        self.fills().iter().map(|booked| booked.fill.trade_id.as_str().to_owned()).collect()
    }

    /// Signed quantity held of an instrument.
    pub(crate) fn held(&self, symbol: &str) -> Decimal {
        let ledger = self.ledger();
        let positions = ledger.books().positions();
        let held = positions.iter().find(|held| held.instrument().id().as_str() == symbol);
        held.map_or(Decimal::ZERO, |held| held.quantity().try_into().unwrap())
    }

    /// Corrections of balances, as currency and amount.
    pub(crate) fn adjustments(&self) -> Vec<(String, Decimal)> {
        let ledger = self.ledger();
        let adjustments = ledger.books().adjustments().map(|adjusted| {
            let amount: Decimal = adjusted.amount.try_into().unwrap();
            (adjusted.currency.as_str().to_owned(), amount)
        });
        adjustments.collect()
    }

    /// Every snapshot that was kept, oldest first.
    pub(crate) fn snapshots(&self) -> Vec<Stored> {
        let mut kept = SqliteSnapshots::open(self.db.clone()).unwrap().find(&Query::new()).unwrap();
        kept.reverse();
        kept
    }

    /// Every letter that was ever put.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let store = SqliteStore::open(&self.db).unwrap();
        let all = Filter::default();
        pollster::block_on(store.list(&all, Page::first(1_000))).unwrap().letters
    }

    /// The names of the invariants that do not hold.
    pub(crate) fn broken(&self) -> Vec<&str> {
        broken(&self.report)
    }

    /// What an invariant's check said.
    pub(crate) fn detail(&self, name: &str) -> &str {
        let found = self.report.invariants.iter().find(|invariant| invariant.name == name);
        &found.unwrap().detail
    }
}

/// The names of the invariants that do not hold.
pub(crate) fn broken(report: &Report) -> Vec<&str> {
    let broken = report.invariants.iter().filter(|invariant| invariant.holds != Some(true));
    broken.map(|invariant| invariant.name.as_str()).collect()
}

/// A database with the schema of a host.
fn database() -> Database {
    let db = Database::in_memory().unwrap();
    let set = setup::migrations().unwrap();
    on_start(&db, &set, Environment::Development, START).unwrap();
    db
}

/// A market folder with the bundled days up to and with `last`, as `2017-01-31`.
pub(crate) fn market_until(last: &str) -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/2017");
    let folder = tempfile::tempdir().unwrap();
    fs::copy(source.join("instruments.csv"), folder.path().join("instruments.csv")).unwrap();
    for name in ["eurusd.bars.csv", "equities.bars.csv"] {
        let text = fs::read_to_string(source.join(name)).unwrap();
        let (header, rows) = text.split_once('\n').unwrap();
        let kept = rows.lines().filter(|row| &row[..last.len()] <= last);
        let lines: Vec<_> = std::iter::once(header).chain(kept).collect();
        fs::write(folder.path().join(name), lines.join("\n") + "\n").unwrap();
    }
    folder
}

/// The bundled market of January 2017.
pub(crate) fn january() -> TempDir {
    market_until("2017-01-31")
}

/// The bytes of every file in a folder, but for locks.
pub(crate) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kept = files.filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
    kept.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    })
    .collect()
}
