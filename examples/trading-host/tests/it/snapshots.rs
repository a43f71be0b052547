//! Snapshots of profit and loss: taken when they are due, kept, published, and checked bit by bit.

use std::{cell::Cell, fmt, time::Duration};

use backstop_clock::Timestamp;
use backstop_dlq::{Message, StoreError as StreamError};
use backstop_error_taxonomy::{Class, Kind as ErrorKind};
use backstop_position_ledger::{
    Amount,
    error::{JournalError, StoreError},
    journal::Digest,
    pnl::{Kind, Query, Snapshot, Status, Store, Stored, Validation},
};
use trading_host::{
    host::{BrokenOff, Controls, Stop, run},
    report::Report,
    snapshots::{Publishing, Stream},
};

use crate::stage::{Ending, Fate, START, Set, Stage, at, broken};

const HOUR_S: u64 = 3_600;

/// Buys within a minute of midnight, loses the news of a fill, and holds for 40 hours.
fn stage() -> Stage {
    let ticks = [(20, 50), (30, 50), (40, 50), (40 * HOUR_S, 0)];
    let ticks = ticks.map(|(second, units)| (Duration::from_secs(second), units));
    let mut stage = Stage::new(1, 0).with_ticks(&ticks).wishing(20, 0, 100);
    stage.script.events.insert(2, Fate::Never);
    stage
}

fn taken(ending: &Ending, kind: Kind) -> Vec<Timestamp> {
    let kept = ending.snapshots().into_iter().map(|stored| stored.snapshot);
    kept.filter(|snapshot| snapshot.kind == kind).map(|snapshot| snapshot.at).collect()
}

#[test]
fn they_are_taken_on_the_grid_at_the_end_of_a_day_and_after_a_comparison() {
    let ending = stage().play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(taken(&ending, Kind::Periodic), [12, 36].map(|hour| at(hour * HOUR_S)));
    assert_eq!(taken(&ending, Kind::EndOfDay), [at(22 * HOUR_S)]);
    // At the start, when the lost fill was looked for, after a day, and at the end.
    let compared = taken(&ending, Kind::Reconciliation);
    assert_eq!(compared.len(), 4, "{compared:?}");
    assert!(compared[0] < START && compared[3] > at(40 * HOUR_S), "{compared:?}");
    let counts = ending.report.pnl_snapshots;
    assert_eq!((counts.taken, counts.verified), (7, 7));
    assert_eq!((counts.periodic, counts.end_of_day, counts.reconciliation), (2, 1, 4));
    assert_eq!((counts.accepted, counts.mismatched, counts.missing), (0, 0, 0));
}

#[test]
fn each_says_what_was_held_for_whom_and_was_validated_at_once() {
    let ending = stage().play();
    let kept = ending.snapshots();
    for stored in &kept {
        let (validation, checked_at) = stored.validation.as_ref().unwrap();
        assert_eq!((stored.status, *checked_at), (Status::Valid, stored.snapshot.at));
        assert_eq!((validation.sequence, validation.drifts.len()), (stored.snapshot.sequence, 0));
        assert_eq!(stored.snapshot.broker.as_ref().unwrap().as_str(), "venue");
    }
    let day = kept.iter().find(|stored| stored.snapshot.kind == Kind::EndOfDay).unwrap();
    let [line] = &*day.snapshot.positions else { panic!("{day:?}") };
    assert_eq!((line.instrument.as_str(), line.quantity), ("AAA", Amount::from_int(100)));
    assert!(line.mark.is_some() && line.unrealized.is_some());
}

/// A stream whose reader gets another content than was published, from the n-th record on.
struct Doctored {
    stream: Box<dyn Stream>,
    doctor: fn(&mut Snapshot),
}

impl fmt::Debug for Doctored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl Stream for Doctored {
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StreamError> {
        self.stream.publish(payload, at)
    }

    fn read(&self, position: u64) -> Result<Option<Message>, StreamError> {
        let mut message = self.stream.read(position)?;
        if let Some(message) = &mut message {
            let mut snapshot: Snapshot = serde_json::from_slice(&message.payload).unwrap();
            (self.doctor)(&mut snapshot);
            message.payload = serde_json::to_vec(&snapshot).unwrap();
        }
        Ok(message)
    }
}

/// How each was validated, how many alerts there were about it, and the report.
fn doctored(doctor: fn(&mut Snapshot)) -> (Vec<Status>, Vec<String>, Report) {
    let stage = stage();
    let Set { mut ports, db, alerts, .. } = stage.set();
    ports.stream = Box::new(Doctored { stream: ports.stream, doctor });
    let report = run(ports, stage.settings).unwrap();
    let store = backstop_position_ledger::SqliteSnapshots::open(db).unwrap();
    let kept = store.find(&Query::new()).unwrap();
    let told = alerts.raised.take().into_iter().filter(|alert| alert.name == "snapshot_mismatch");
    let told = told.map(|alert| alert.text).collect();
    (kept.into_iter().map(|stored| stored.status).collect(), told, report)
}

fn richer(snapshot: &mut Snapshot, by: &str) {
    let cash = &mut snapshot.balances[0].total;
    *cash = cash.checked_add(by.parse().unwrap()).unwrap();
    snapshot.checksum = snapshot.seal();
}

#[test]
fn another_content_is_told_to_a_human_however_small_and_well_sealed() {
    // The books say nothing of marks and moments, so no figure shows it.
    let other_marks = |snapshot: &mut Snapshot| {
        for line in &mut snapshot.positions {
            line.unrealized = line.mark;
        }
        snapshot.at = START;
        snapshot.checksum = snapshot.seal();
    };
    for doctor in [|snapshot: &mut Snapshot| richer(snapshot, "1"), other_marks] {
        let (statuses, told, report) = doctored(doctor);
        assert_eq!(statuses, [Status::Broken; 7]);
        assert_eq!((told.len(), report.pnl_snapshots.mismatched), (7, 7));
        assert!(told[0].contains("another content"), "{}", told[0]);
        assert_eq!(broken(&report), ["snapshots_verify"]);
    }
}

#[test]
fn a_drift_above_the_limit_is_told_to_a_human_in_units() {
    let (statuses, told, report) = doctored(|snapshot| richer(snapshot, "1.000001"));
    assert_eq!(statuses, [Status::Alert; 7]);
    assert_eq!(told.len(), 7);
    assert!(told[0].contains("first cash of USD by -1.000001"), "{}", told[0]);
    assert_eq!(report.pnl_snapshots.mismatched, 7);
    assert_eq!(broken(&report), ["snapshots_verify"]);
    // Trading rests on the books, not on what is told of them.
    assert_eq!((report.halted, report.fills.total), (None, 2));
}

#[test]
fn a_changed_figure_under_the_old_seal_is_told_to_a_human() {
    let (statuses, told, report) = doctored(|snapshot| snapshot.at = START);
    assert_eq!(statuses, [Status::Broken; 7]);
    assert_eq!((told.len(), report.pnl_snapshots.mismatched), (7, 7));
    assert_eq!(broken(&report), ["snapshots_verify"]);
}

#[test]
fn one_that_is_altered_on_its_way_out_is_noticed() {
    let mut stage = stage();
    stage.settings.controls = Controls { publishing: Publishing::Altered, ..Controls::default() };
    let ending = stage.play();
    assert_eq!(ending.broken(), ["snapshots_verify"]);
    assert_eq!(ending.alerts.len(), 1);
    assert!(ending.alerts[0].text.contains("end_of_day snapshot of 2017-01-01T22:00:00Z"));
    let counts = ending.report.pnl_snapshots;
    assert_eq!((counts.taken, counts.verified, counts.mismatched), (7, 6, 1));
}

/// A store that fails, or loses what it was given, once so many were kept.
#[derive(Debug)]
struct Failing {
    store: Box<dyn Store>,
    loses: Option<Kind>,
    left: Cell<u32>,
}

impl Store for Failing {
    fn put(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let Some(left) = self.left.get().checked_sub(1) else {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(JournalError::new(Class::of(ErrorKind::Unavailable), full).into());
        };
        self.left.set(left);
        self.store.put(snapshot)
    }

    fn mark(
        &mut self,
        checksum: Digest,
        validation: &Validation,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.mark(checksum, validation, at)
    }

    fn find(&self, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let mut found = self.store.find(query)?;
        found.retain(|stored| Some(stored.snapshot.kind) != self.loses);
        Ok(found)
    }
}

#[test]
fn a_store_that_can_no_longer_be_written_ends_the_run() {
    for kept in 0..7 {
        let stage = stage();
        let Set { mut ports, .. } = stage.set();
        let left = Cell::new(kept);
        ports.snapshots = Box::new(Failing { store: ports.snapshots, loses: None, left });
        let stopped = run(ports, stage.settings).unwrap_err();
        assert!(matches!(stopped.downcast_ref(), Some(Stop::Snapshots(_))), "{stopped:#}");
        // The first one is taken before trading opens.
        assert_eq!(stopped.is::<BrokenOff>(), kept > 0, "{stopped:#}");
    }
}

/// A stream that takes nothing, because the disk is full.
#[derive(Debug)]
struct Full;

impl Stream for Full {
    fn publish(&self, _payload: Vec<u8>, _at: Timestamp) -> Result<u64, StreamError> {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(StreamError::outage(full))
    }

    fn read(&self, _position: u64) -> Result<Option<Message>, StreamError> {
        Ok(None)
    }
}

#[test]
fn a_stream_that_can_no_longer_be_written_is_what_the_run_names() {
    let stage = stage();
    let Set { mut ports, .. } = stage.set();
    ports.stream = Box::new(Full);
    let stopped = run(ports, stage.settings).unwrap_err();
    let words = "the snapshots: their stream: the store failed: no storage space";
    assert_eq!(stopped.to_string(), words);
}

#[test]
fn one_that_was_due_and_is_not_there_is_missed() {
    for (loses, missing) in [(Kind::Periodic, 2), (Kind::EndOfDay, 1), (Kind::Reconciliation, 0)] {
        let stage = stage();
        let Set { mut ports, .. } = stage.set();
        let left = Cell::new(100);
        let failing = Failing { store: ports.snapshots, loses: Some(loses), left };
        ports.snapshots = Box::new(failing);
        let report = run(ports, stage.settings).unwrap();
        let counts = report.pnl_snapshots;
        assert_eq!(counts.missing, missing, "{loses:?}");
        // What was published is still known.
        assert_eq!(counts.mismatched, 7 - counts.taken, "{loses:?}");
        assert_eq!(broken(&report), ["snapshots_verify"], "{loses:?}");
    }
}
