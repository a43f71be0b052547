//! Takes snapshots of profit and loss when they are due, keeps and publishes them, and verifies
//! what was published.
//!
//! They are due at noon, at the end of each day, and after each full comparison with the venue's
//! books.
//! A snapshot is kept before it is published and published before it is verified, so a process
//! that dies in between leaves one that nobody has checked, and the next one goes on with it: it
//! may then be published twice, with the same checksum.

use std::{
    cell::{Cell, RefCell},
    fmt,
    time::Duration,
};

use backstop_clock::{Clock, Timestamp};
use backstop_dlq::{
    Message, Source, StoreError as StreamError,
    stream::{Publisher, Record, SqliteLog},
};
use backstop_position_ledger::{
    Amount, Fact,
    error::{Invalid, StoreError, TakeError},
    pnl::{
        self, Broker, Kind, Limits, Query, Schedule, Scope, Snapshot, Status, Store, Validation,
    },
};

use metrics::counter;

use crate::{
    alerts::utc,
    host::{Host, Stop},
    trouble::Trouble,
};

mod count;

/// Name of the internal stream.
pub const STREAM: &str = "pnl-snapshots";

/// The broker that a snapshot names: whose statement the books are compared with.
const BROKER: &str = "venue";

/// Between two periodic snapshots; each costs three commits.
const EVERY: Duration = Duration::from_hours(24);

/// Where the grid of the periodic ones lies, after midnight UTC.
const NOON: Duration = Duration::from_hours(12);

/// The end of a trading day, after midnight UTC: an hour after the last bar of the equities.
const DAY_END: Duration = Duration::from_hours(22);

/// Up to which drift a published snapshot is accepted: a unit of a currency, none of an instrument.
const LIMITS: Limits = Limits { quantity: Amount::ZERO, money: Amount::from_int(1) };

/// The port behind which the internal stream is kept.
pub trait Stream: fmt::Debug {
    /// Appends a record and gives its position; durable when it returns.
    ///
    /// # Errors
    /// [`StreamError`] when the stream cannot be written.
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StreamError>;

    /// The record at a position, if there is one.
    ///
    /// # Errors
    /// [`StreamError`] when the stream cannot be read.
    fn read(&self, position: u64) -> Result<Option<Message>, StreamError>;

    /// Hands over every record, the oldest first.
    ///
    /// # Errors
    /// [`StreamError`] when the stream cannot be read.
    fn read_all(&self, to: &mut dyn FnMut(Message)) -> Result<(), StreamError> {
        let mut position = 0;
        while let Some(message) = self.read(position)? {
            position = message.position.saturating_add(1);
            to(message);
        }
        Ok(())
    }
}

impl Stream for SqliteLog {
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StreamError> {
        pollster::block_on(Publisher::publish(self, Record::new(payload, at)))
    }

    fn read(&self, position: u64) -> Result<Option<Message>, StreamError> {
        pollster::block_on(self.source(position).next())
    }

    // One source reads ahead; a new one for each record would read the same over and over.
    fn read_all(&self, to: &mut dyn FnMut(Message)) -> Result<(), StreamError> {
        let mut source = self.source(0);
        while let Some(message) = pollster::block_on(source.next())? {
            to(message);
        }
        Ok(())
    }
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishing {
    /// The snapshot as it was taken.
    AsTaken,
    /// The end of the first day with another balance; shows what the invariants are for.
    Altered,
}

/// Keeps and verifies snapshots.
#[derive(Debug)]
pub struct Snapshots {
    store: RefCell<Box<dyn Store>>,
    stream: Box<dyn Stream>,
    scope: Scope,
    schedule: Cell<Schedule>,
    /// The last periodic one and the last end of a day: what was due by then is not owed again.
    done: Cell<(Timestamp, Timestamp)>,
    publishing: Cell<Publishing>,
}

impl Snapshots {
    /// Snapshots that were never taken before; [`resume`](Self::resume) goes on with others.
    ///
    /// # Errors
    /// Never, with the name of the broker and the length of the interval as they are.
    pub fn new(
        store: Box<dyn Store>,
        stream: Box<dyn Stream>,
        publishing: Publishing,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            store: RefCell::new(store),
            stream,
            scope: Scope { portfolio: None, broker: Some(Broker::new(BROKER)?) },
            schedule: Cell::new(schedule(now)?),
            done: Cell::new((now, now)),
            publishing: Cell::new(publishing),
        })
    }

    /// Publishes and verifies what the last process kept, and goes on with its schedule.
    ///
    /// # Errors
    /// [`Stop`] when books, store or stream fail.
    pub fn resume(&self, host: &Host) -> Result<(), Stop> {
        let mut unchecked = self.find(&every(Query::new().with_status(Status::Unchecked)))?;
        unchecked.reverse();
        for stored in unchecked {
            let position = self.publish(&stored.snapshot)?;
            self.verify(host, &stored.snapshot, position)?;
        }
        let first = self.stream.read(0).map_err(|error| streamed(&error))?;
        let first = first.map_or_else(|| host.clock.now(), |message| message.at);
        let done = (self.last(Kind::Periodic, first)?, self.last(Kind::EndOfDay, first)?);
        self.schedule.set(schedule(done.0.min(done.1))?);
        self.done.set(done);
        Ok(())
    }

    /// When the last one was due; of one that is damaged, what its row says is good enough for it.
    fn last(&self, kind: Kind, otherwise: Timestamp) -> Result<Timestamp, Stop> {
        let newest = Query::new().with_kind(kind).with_limit(1);
        let newest = self.store.borrow().find_each(&newest)?.pop();
        Ok(newest.map_or(otherwise, |row| row.map_or_else(|row| row.at, |whole| whole.snapshot.at)))
    }

    /// When the next one is due.
    pub fn next(&self) -> Timestamp {
        self.schedule.get().next()
    }

    /// Takes what is due by now.
    ///
    /// # Errors
    /// [`Stop`] when books, store or stream fail.
    pub fn take_due(&self, host: &Host) -> Result<(), Stop> {
        let now = host.clock.now();
        loop {
            let mut schedule = self.schedule.get();
            let slot = schedule.next();
            let due = schedule.due(now);
            self.schedule.set(schedule);
            let (periodic, day) = self.done.get();
            match due {
                None => return Ok(()),
                Some(Kind::EndOfDay) if day < slot => self.take(host, Kind::EndOfDay)?,
                Some(Kind::Periodic) if periodic < slot => self.take(host, Kind::Periodic)?,
                Some(_) => {}
            }
        }
    }

    /// Takes a snapshot, keeps it, publishes it, and verifies it as any reader of the stream would.
    ///
    /// # Errors
    /// [`Stop`] when books, store or stream fail.
    pub fn take(&self, host: &Host, kind: Kind) -> Result<(), Stop> {
        let snapshot = host.accounts.snapshot(&self.scope, &host.marks.borrow(), kind)?;
        let mut position = 0;
        let mut publish = |snapshot: &Snapshot| {
            host.crash_point("kept");
            position = self.publish(snapshot)?;
            Ok(())
        };
        pnl::take(&snapshot, &mut **self.store.borrow_mut(), &mut publish)?;
        host.crash_point("snapshot");
        // Before anything else is booked: what drifts then is not the books' doing.
        self.verify(host, &snapshot, position)
    }

    fn publish(&self, snapshot: &Snapshot) -> Result<u64, Stop> {
        let payload = if snapshot.kind == Kind::EndOfDay
            && self.publishing.replace(Publishing::AsTaken) == Publishing::Altered
        {
            let mut altered = snapshot.clone();
            if let Some(cash) = altered.balances.first_mut() {
                cash.total = cash.total.checked_add(Amount::from_int(1))?;
            }
            serde_json::to_vec(&altered)
        } else {
            serde_json::to_vec(snapshot)
        };
        let payload = payload.map_err(|error| Stop::Snapshots(error.to_string()))?;
        self.stream.publish(payload, snapshot.at).map_err(|error| streamed(&error))
    }

    /// Compares a published snapshot with the live books, and notes what came of it.
    fn verify(&self, host: &Host, kept: &Snapshot, position: u64) -> Result<(), Stop> {
        let message = self.stream.read(position).map_err(|error| streamed(&error))?;
        let published =
            message.and_then(|message| serde_json::from_slice::<Snapshot>(&message.payload).ok());
        let validation = if let Some(published) = published {
            let mut validation = published.validate(&host.accounts.view(), &LIMITS)?;
            let is_in_order = matches!(validation.status, Status::Valid | Status::Accepted);
            if is_in_order && published.checksum != kept.checksum {
                // Well sealed, and of another content than what was taken: nothing to accept.
                validation.status = Status::Broken;
            }
            validation
        } else {
            let sequence = host.accounts.version();
            Validation { status: Status::Broken, sequence, drifts: Vec::new() }
        };
        let now = host.clock.now();
        let taken = Fact::SnapshotTaken {
            kind: kept.kind,
            of_sequence: kept.sequence,
            checksum: kept.checksum,
        };
        let cause = host.accounts.mint("snapshot");
        drop(host.accounts.post(now, cause, taken)?);
        // On disk no earlier than the entry: one that is marked is in the journal, too.
        self.store.borrow_mut().mark(kept.checksum, &validation, now)?;
        let labels = [("kind", kept.kind.as_str()), ("status", validation.status.as_str())];
        counter!("trading_host_snapshots_total", &labels).increment(1);
        if matches!(validation.status, Status::Alert | Status::Broken) {
            host.meet(Trouble::SnapshotDiffers, None, in_words(kept, &validation));
        }
        Ok(())
    }

    fn find(&self, query: &Query) -> Result<Vec<pnl::Stored>, Stop> {
        Ok(self.store.borrow().find(query)?)
    }
}

/// What came of a validation, for a human.
fn in_words(snapshot: &Snapshot, validation: &Validation) -> String {
    let (kind, at) = (snapshot.kind.as_str(), utc(snapshot.at));
    if validation.status == Status::Broken {
        return format!("the {kind} snapshot of {at} was published with another content");
    }
    let first = validation.drifts.first();
    let first = first.map_or_else(String::new, |drift| {
        let of = drift.instrument.as_ref().map_or(drift.currency.as_str(), |id| id.as_str());
        format!(", first {} of {of} by {}", drift.figure.as_str(), drift.difference)
    });
    let drifts = validation.drifts.len();
    format!("the {kind} snapshot of {at} differs from the books in {drifts} figures{first}")
}

/// On the grid, from the last moment of it that has passed.
fn schedule(from: Timestamp) -> Result<Schedule, Invalid> {
    let start = from.as_millis().saturating_sub(since(from, NOON));
    Ok(Schedule::new(EVERY, Timestamp::from_millis(start))?.with_day_end(DAY_END))
}

/// Milliseconds since the last place of the grid that begins at `offset` after midnight.
fn since(at: Timestamp, offset: Duration) -> i64 {
    at.as_millis().saturating_sub(length(offset)).rem_euclid(length(EVERY))
}

fn every(query: Query) -> Query {
    query.with_limit(usize::MAX)
}

fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Snapshots(error.to_string())
    }
}

impl From<TakeError> for Stop {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Kept(source) => source.into(),
            TakeError::Published(source) => match source.downcast() {
                Ok(stop) => *stop,
                Err(source) => Self::Snapshots(source.to_string()),
            },
        }
    }
}

/// The stream is a store of letters, too, but no letter is concerned.
fn streamed(error: &StreamError) -> Stop {
    Stop::Snapshots(format!("their stream: {error}"))
}

impl From<Invalid> for Stop {
    fn from(error: Invalid) -> Self {
        Self::Snapshots(error.to_string())
    }
}
