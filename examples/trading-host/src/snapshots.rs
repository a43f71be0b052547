//! Takes snapshots of profit and loss, publishes them, and verifies what was published.

use std::{rc::Rc, sync::Arc};

use backstop_clock::{Clock, Timestamp};
use backstop_dlq::{
    Consumer, DeadLetterStore, Handler, Message, Source, Step, StoreError,
    stream::{Publisher, Record, SqliteLog},
};
use backstop_error_taxonomy::{Class, Classify};
use backstop_position_ledger::{
    Fact,
    error::SnapshotError,
    pnl::{Kind, Snapshot},
};

use crate::{
    accounts::Accounts,
    host::{Host, Stop},
    letters::Letters,
    runtime::SimClock,
    trouble::Trouble,
};

/// Name of the internal stream.
pub const STREAM: &str = "pnl-snapshots";

/// The port behind which the internal stream is kept.
pub trait Stream: std::fmt::Debug {
    /// Appends a record and gives its position; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError`] when the stream cannot be written.
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StoreError>;

    /// The record at a position, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the stream cannot be read.
    fn read(&self, position: u64) -> Result<Option<Message>, StoreError>;
}

impl Stream for SqliteLog {
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StoreError> {
        pollster::block_on(Publisher::publish(self, Record::new(payload, at)))
    }

    fn read(&self, position: u64) -> Result<Option<Message>, StoreError> {
        pollster::block_on(self.source(position).next())
    }
}

/// What became of the snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken and published.
    pub taken: u64,
    /// Read back, and in agreement with the books.
    pub verified: u64,
    /// Read back, and not in agreement.
    pub mismatched: u64,
}

/// Takes and verifies snapshots.
#[derive(Debug)]
pub struct Snapshots<D> {
    host: Rc<Host>,
    stream: Rc<dyn Stream>,
    consumer: Consumer<Reader, Verify, Letters<D>, SimClock>,
    counts: Counts,
}

impl<D: DeadLetterStore> Snapshots<D> {
    /// Goes on where the stream was committed.
    ///
    /// # Errors
    /// [`Stop::Letters`] when the store cannot answer.
    pub async fn new(
        host: &Rc<Host>,
        stream: Box<dyn Stream>,
        letters: &Letters<D>,
    ) -> Result<Self, Stop> {
        let stream: Rc<dyn Stream> = Rc::from(stream);
        let next = letters.committed(STREAM, 0).await?.unwrap_or(0);
        let reader = Reader { stream: Rc::clone(&stream), next };
        let verify = Verify { accounts: Rc::clone(&host.accounts) };
        let consumer = Consumer::new(reader, verify, letters.clone(), host.clock.clone());
        let consumer = consumer.with_policy(Arc::clone(&host.policy));
        Ok(Self { host: Rc::clone(host), stream, consumer, counts: Counts::default() })
    }

    /// Takes a snapshot, publishes it, and verifies it as any reader of the stream would.
    ///
    /// # Errors
    /// [`Stop`] when books or stream can no longer be written.
    pub async fn take(&mut self) -> Result<(), Stop> {
        let host = &self.host;
        let snapshot = host.accounts.snapshot(&host.marks.borrow(), Kind::Periodic)?;
        let payload = serde_json::to_vec(&snapshot).map_err(|e| Stop::Letters(e.to_string()))?;
        let now = host.clock.now();
        self.stream.publish(payload, now)?;
        self.counts.taken += 1;
        host.crash_point("snapshot");
        // Before anything else is booked: a snapshot of the past costs a replay to verify.
        self.verify_pending().await?;
        let host = &self.host;
        let taken = Fact::SnapshotTaken {
            kind: snapshot.kind,
            of_sequence: snapshot.sequence,
            checksum: snapshot.checksum,
        };
        let cause = host.accounts.mint("snapshot");
        drop(host.accounts.post(now, cause, taken)?);
        Ok(())
    }

    /// Verifies everything that was published and not verified yet.
    ///
    /// # Errors
    /// [`Stop`] when the letters can no longer be written.
    pub async fn verify_pending(&mut self) -> Result<(), Stop> {
        loop {
            match self.consumer.step().await? {
                Step::Idle => return Ok(()),
                Step::Handled => self.counts.verified += 1,
                Step::Skipped => {}
                _ => {
                    self.counts.mismatched += 1;
                    let text = "a published snapshot does not agree with the books".to_owned();
                    self.host.meet(Trouble::SnapshotDiffers, text);
                }
            }
        }
    }

    /// Verifies everything that was ever published, with one replay of the journal.
    ///
    /// # Errors
    /// [`Stop`] when stream or journal cannot be read.
    pub fn verify_all(&mut self) -> Result<(), Stop> {
        let (mut snapshots, mut unreadable, mut position) = (Vec::new(), 0, 0);
        while let Some(message) = self.stream.read(position)? {
            position = message.position + 1;
            match serde_json::from_slice::<Snapshot>(&message.payload) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(_) => unreadable += 1,
            }
        }
        snapshots.sort_by_key(|snapshot| snapshot.sequence);
        let all = u64::try_from(snapshots.len()).unwrap_or(u64::MAX);
        let disagreeing = self.host.accounts.disagreeing(&snapshots)?;
        self.counts.taken = all + unreadable;
        self.counts.verified = all - disagreeing;
        self.counts.mismatched = disagreeing + unreadable;
        Ok(())
    }

    /// What became of the snapshots.
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

/// Reads the stream from a position on.
#[derive(Debug)]
struct Reader {
    stream: Rc<dyn Stream>,
    next: u64,
}

impl Source for Reader {
    type Error = StoreError;

    async fn next(&mut self) -> Result<Option<Message>, StoreError> {
        let message = self.stream.read(self.next)?;
        if let Some(message) = &message {
            self.next = message.position + 1;
        }
        Ok(message)
    }
}

/// Checks a snapshot's seal, and its figures against the books of its sequence.
#[derive(Debug)]
struct Verify {
    accounts: Rc<Accounts>,
}

#[derive(Debug, thiserror::Error)]
enum VerifyError {
    #[error("the payload is no snapshot: {0}")]
    Undecodable(#[from] serde_json::Error),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl Classify for VerifyError {
    fn class(&self) -> Class {
        match self {
            Self::Undecodable(error) => error.class(),
            Self::Snapshot(error) => error.class(),
        }
    }
}

impl Handler for Verify {
    type Message = Snapshot;
    type Error = VerifyError;

    fn decode(&self, raw: &Message) -> Result<Snapshot, VerifyError> {
        Ok(serde_json::from_slice(&raw.payload)?)
    }

    async fn handle(&mut self, message: Snapshot, _raw: &Message) -> Result<(), VerifyError> {
        Ok(self.accounts.verify_snapshot(&message)?)
    }
}
