//! Ports: each part of the host stands behind one, and a test puts something else there.

use std::{cell::RefCell, rc::Rc};

use backstop_clock::{Clock, Timestamp};
use backstop_dlq::{MemoryStore, Message, StoreError};
use backstop_error_taxonomy::{Class, Kind};
use backstop_position_ledger::{
    Books as View, Durability, Entry, Ledger, MemoryJournal, Outcome,
    error::{AppendError, JournalError, ReplayError},
    journal::Digest,
    pnl::Snapshot,
};
use backstop_schema_version::{MigrationSet, SchemaGate, assess, gate};
use backstop_storage::history::History;
use rust_decimal::Decimal;
use trading_host::{
    accounts::Books,
    faults::Profile,
    host::{Gate, Ports, Settings, Stop, run},
    market::{Bar, Feed, Instrument, Tick},
    report::Report,
    runtime::SimClock,
    setup,
    sim_venue::{InProcess, SimVenue},
    snapshots::Stream,
    strategy::{Strategy, Style, Target},
};

use crate::{
    sim_venue::config,
    stage::{Set, Stage, at, broken},
};

fn stage() -> Stage {
    Stage::new(1, 120).with_liquidity(50).wishing(20, 0, 200)
}

fn settings() -> Settings {
    setup::settings(1).unwrap()
}

fn ledger(set: &Set) -> Ledger {
    let instruments = setup::instruments(set.ports.feed.instruments()).unwrap();
    Ledger::open(Box::new(MemoryJournal::new()), instruments).unwrap()
}

fn traded(report: &Report) {
    assert!(report.ok, "{:?}", broken(report));
    assert_eq!(report.fills.total, 4);
}

/// The first half of the ticks of another feed.
#[derive(Debug)]
struct Half(Box<dyn Feed>);

impl Feed for Half {
    fn instruments(&self) -> &[Instrument] {
        self.0.instruments()
    }

    fn next(&mut self) -> Option<Tick> {
        self.peek_time().and_then(|_| self.0.next())
    }

    fn peek_time(&self) -> Option<Timestamp> {
        self.0.peek_time().filter(|time| *time < at(60))
    }

    fn bars(&self) -> u64 {
        6
    }
}

#[test]
fn feed() {
    let Set { mut ports, venue, .. } = stage().wishing(70, 0, 500).set();
    ports.feed = Box::new(Half(ports.feed));
    let report = run(ports, settings()).unwrap();
    traded(&report);
    assert_eq!((report.market_events, venue.truth().submits.len()), (6, 1));
}

/// Goes long and short in turn.
#[derive(Debug)]
struct Pendulum(i64);

impl Strategy for Pendulum {
    fn name(&self) -> &'static str {
        "pendulum"
    }

    fn on_close(&mut self, _at: Timestamp, bars: &[Bar]) -> Vec<Target> {
        self.0 = -self.0;
        let target = |bar: &Bar| Target {
            instrument: bar.instrument,
            quantity: self.0.into(),
            style: Style::Market,
        };
        bars.iter().map(target).collect()
    }
}

#[test]
fn strategy() {
    let Set { mut ports, .. } = stage().set();
    ports.strategies = vec![Box::new(Pendulum(10))];
    let report = run(ports, settings()).unwrap();
    assert!(report.ok, "{:?}", broken(&report));
    // Every one of the 13 bars turned the position round but the last, which ends trading.
    assert_eq!((report.orders.intended, report.fills.total), (12, 12));
}

#[test]
fn venue() {
    let Set { mut ports, venue: unused, .. } = stage().set();
    let feed = stage().feed();
    let sim = SimVenue::new(Box::new(feed), &config(1, Profile::None, 1_000)).unwrap();
    ports.venue = Rc::new(InProcess::new(sim, ports.clock.clone()));
    traded(&run(ports, settings()).unwrap());
    assert_eq!(unused.calls(), 0);
}

#[test]
fn books_in_memory() {
    let mut set = stage().set();
    set.ports.books = Box::new(ledger(&set));
    traded(&run(set.ports, settings()).unwrap());
    let rows = set.db.read(|c| {
        c.query_row("SELECT count(*) FROM ledger_journal", [], |row| row.get::<_, u32>(0))
    });
    assert_eq!(rows.unwrap(), 0);
}

/// Books whose disk is full from the n-th entry on.
#[derive(Debug)]
struct Full {
    ledger: Ledger,
    left: u32,
}

impl Books for Full {
    fn view(&self) -> &View {
        self.ledger.view()
    }

    fn append(&mut self, entry: &Entry, durability: Durability) -> Result<Outcome, AppendError> {
        let Some(left) = self.left.checked_sub(1) else {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(JournalError::new(Class::of(Kind::Unavailable), full).into());
        };
        self.left = left;
        self.ledger.append(entry, durability)
    }

    fn flush(&mut self) -> Result<(), AppendError> {
        self.ledger.flush()
    }

    fn as_of(&self, sequence: u64) -> Result<View, ReplayError> {
        self.ledger.as_of(sequence)
    }

    fn disagreeing(
        &self,
        snapshots: &mut dyn Iterator<Item = Snapshot>,
    ) -> Result<Vec<Digest>, ReplayError> {
        self.ledger.disagreeing(snapshots)
    }

    fn replay(&self) -> Result<View, ReplayError> {
        Books::replay(&self.ledger)
    }

    fn last_written_at(&self) -> Result<Option<Timestamp>, JournalError> {
        self.ledger.last_written_at()
    }
}

#[test]
fn books_that_can_no_longer_be_written_end_the_run() {
    // Deposit, snapshot, intent, acceptance, four fills: each may be the first not to fit.
    for room in 0..8 {
        let mut set = stage().set();
        set.ports.books = Box::new(Full { ledger: ledger(&set), left: room });
        let stopped = run(set.ports, settings()).unwrap_err();
        let stop = stopped.downcast_ref::<Stop>();
        assert!(matches!(stop, Some(Stop::Books(_))), "room for {room}: {stopped:#}");
        // An intent that is not on disk is not sent.
        let submits = set.venue.truth().submits.len();
        assert_eq!(submits, usize::from(room >= 3), "room for {room}");
    }
}

#[test]
fn letters_in_memory() {
    let Set { ports, db, .. } = {
        let mut stage = stage();
        stage.script.events.insert(2, crate::stage::Fate::Torn(std::time::Duration::ZERO, 1));
        stage.set()
    };
    let Ports { clock, feed, strategies, venue, books, snapshots, stream, .. } = ports;
    let Ports { gate, alerts, halts, .. } = ports;
    let letters = MemoryStore::new();
    let ports = Ports {
        clock,
        feed,
        strategies,
        venue,
        books,
        letters,
        snapshots,
        stream,
        gate,
        alerts,
        halts,
    };
    let report = run(ports, settings()).unwrap();
    traded(&report);
    assert_eq!((report.dead_letters.put, report.dead_letters.resolved), (1, 1));
    let rows = db
        .read(|c| c.query_row("SELECT count(*) FROM dlq_letters", [], |row| row.get::<_, u32>(0)));
    assert_eq!(rows.unwrap(), 0);
}

/// A stream that forgets with the process.
#[derive(Clone, Debug, Default)]
struct Memory(Rc<RefCell<Vec<Message>>>);

impl Stream for Memory {
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StoreError> {
        let position = u64::try_from(self.0.borrow().len()).unwrap();
        self.0.borrow_mut().push(Message::new("memory", position, payload, at));
        Ok(position)
    }

    fn read(&self, position: u64) -> Result<Option<Message>, StoreError> {
        Ok(self.0.borrow().get(usize::try_from(position).unwrap()).cloned())
    }
}

#[test]
fn stream() {
    let Set { mut ports, .. } = stage().set();
    let stream = Memory::default();
    ports.stream = Box::new(stream.clone());
    let report = run(ports, settings()).unwrap();
    traded(&report);
    let published = stream.0.borrow();
    // After the comparisons of the start and of the end.
    assert_eq!((report.pnl_snapshots.taken, published.len()), (2, 2));
    let snapshot: Snapshot = serde_json::from_slice(&published[0].payload).unwrap();
    snapshot.verify().unwrap();
}

#[test]
fn a_closed_gate_refuses_before_the_venue_hears_of_us() {
    let set = MigrationSet::new(&[backstop_dlq::MIGRATIONS]).unwrap();
    let closed = gate(&assess(&History::Absent { user_objects: 3 }, &set));
    assert!(matches!(closed, SchemaGate::Closed(_)));
    for verdict in [closed, SchemaGate::ReadOnly] {
        let Set { mut ports, venue, .. } = stage().set();
        ports.gate = Box::new(verdict);
        let refused = run(ports, settings()).unwrap_err();
        assert!(matches!(refused.downcast_ref(), Some(Stop::Refused(_))), "{refused:#}");
        assert_eq!(venue.calls(), 0);
    }
}

/// A gate that closes while the host trades.
#[derive(Debug)]
struct ClosesAt(SimClock, Timestamp);

impl Gate for ClosesAt {
    fn state(&self) -> SchemaGate {
        if self.0.now() < self.1 { SchemaGate::ReadWrite } else { SchemaGate::ReadOnly }
    }
}

#[test]
fn a_gate_that_closes_later_ends_new_orders() {
    let Set { mut ports, venue, .. } = stage().wishing(80, 0, 500).set();
    ports.gate = Box::new(ClosesAt(ports.clock.clone(), at(70)));
    let report = run(ports, settings()).unwrap();
    traded(&report);
    // Not even an intent is written that could not be sent.
    assert_eq!((report.orders.intended, venue.truth().submits.len()), (1, 1));
}

#[test]
fn alerts() {
    let Set { ports, alerts, .. } = {
        let mut stage = stage();
        stage.script.drift = Some((at(1), Decimal::from(-1_000)));
        stage.set()
    };
    let report = run(ports, settings()).unwrap();
    assert!(!report.ok);
    let raised = alerts.raised.borrow();
    assert_eq!(report.alerts, u64::try_from(raised.len()).unwrap());
    assert_eq!(raised[0].name, "reconciliation_manual");
}

#[test]
fn clock() {
    // A host that begins in the middle of its market shows the strategies what has passed.
    let mut set = stage().set();
    let clock = SimClock::new(at(55));
    let feed = stage().feed();
    let sim = SimVenue::new(Box::new(feed), &config(1, Profile::None, 1_000)).unwrap();
    set.ports.venue = Rc::new(InProcess::new(sim, clock.clone()));
    set.ports.clock = clock.clone();
    let report = run(set.ports, settings()).unwrap();
    traded(&report);
    assert!(clock.now() >= at(120));
}
