//! Where snapshots are kept, and found again by portfolio, broker and time.

use std::collections::BTreeMap;
use std::fmt;

use backstop_clock::Timestamp;

use super::{Kind, Snapshot, Status, Validation};
use crate::error::StoreError;
use crate::journal::Digest;
use crate::name::{Broker, Portfolio};

/// Snapshots that one query gives unless it says otherwise.
const LIMIT: usize = 1_000;

/// Keeps snapshots and what became of them; a snapshot is known by its checksum.
pub trait Store: fmt::Debug {
    /// Keeps a snapshot, durable when this returns; the same one again changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when its checksum is wrong, or it cannot be kept.
    fn put(&mut self, snapshot: &Snapshot) -> Result<(), StoreError>;

    /// Notes the result of a validation; the last one counts.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is no such snapshot, or the result cannot be kept.
    fn mark(
        &mut self,
        checksum: Digest,
        validation: &Validation,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// The snapshots that a query asks for, the newest first; those of one time by their checksum.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read, or one of them is not as it was kept.
    fn find(&self, query: &Query) -> Result<Vec<Stored>, StoreError>;

    /// As [`find`](Self::find), but one that is not as it was kept spoils no other.
    ///
    /// A store in which nothing can be damaged on its own need not write it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read at all.
    fn find_each(&self, query: &Query) -> Result<Vec<Found>, StoreError> {
        Ok(self.find(query)?.into_iter().map(Ok).collect())
    }
}

/// A row of a store: the snapshot that was kept, or what is left of it.
pub type Found = Result<Stored, Damaged>;

/// A snapshot with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// As it was taken.
    pub snapshot: Snapshot,
    /// What the last validation found; unchecked before the first.
    pub status: Status,
    /// The last validation, and when it was made.
    pub validation: Option<(Validation, Timestamp)>,
}

/// A row of a store that is not the snapshot that was kept, as far as the row tells.
///
/// No seal vouches for what it says.
#[derive(Debug)]
pub struct Damaged {
    /// The checksum that it is kept under.
    pub checksum: String,
    /// When it was taken.
    pub at: Timestamp,
    /// On which occasion; none for a word that is not understood.
    pub kind: Option<Kind>,
    /// What is wrong with it.
    pub error: StoreError,
}

/// Which snapshots to give: all that meet every condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of this portfolio: `Some(None)` for those of the whole books.
    pub portfolio: Option<Option<Portfolio>>,
    /// Of this broker.
    pub broker: Option<Broker>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this status.
    pub status: Option<Status>,
    /// Taken at or after this time.
    pub from: Timestamp,
    /// Taken before this time.
    pub until: Timestamp,
    /// At most so many.
    pub limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            portfolio: None,
            broker: None,
            kind: None,
            status: None,
            from: Timestamp::from_millis(i64::MIN),
            until: Timestamp::from_millis(i64::MAX),
            limit: LIMIT,
        }
    }
}

impl Query {
    /// All snapshots, the newest 1,000.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of a portfolio.
    #[must_use]
    pub fn with_portfolio(mut self, portfolio: Portfolio) -> Self {
        self.portfolio = Some(Some(portfolio));
        self
    }

    /// Only those of a broker.
    #[must_use]
    pub fn with_broker(mut self, broker: Broker) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Only those of a kind.
    #[must_use]
    pub const fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only those with a status.
    #[must_use]
    pub const fn with_status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Only those taken from one time until before another.
    #[must_use]
    pub const fn with_times(mut self, from: Timestamp, until: Timestamp) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    /// At most so many.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    fn wants(&self, stored: &Stored) -> bool {
        let snapshot = &stored.snapshot;
        self.portfolio.as_ref().is_none_or(|portfolio| *portfolio == snapshot.portfolio)
            && self.broker.as_ref().is_none_or(|broker| Some(broker) == snapshot.broker.as_ref())
            && self.kind.is_none_or(|kind| kind == snapshot.kind)
            && self.status.is_none_or(|status| status == stored.status)
            && (self.from..self.until).contains(&snapshot.at)
    }
}

/// Snapshots in memory; the oldest leave when there are too many.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::pnl::{MemoryStore, Query, Store};
///
/// let store = MemoryStore::new(100);
/// assert!(store.find(&Query::new())?.is_empty());
/// # Ok::<(), backstop_position_ledger::error::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    /// By time and checksum.
    kept: BTreeMap<(Timestamp, Digest), Stored>,
    length_max: usize,
}

impl MemoryStore {
    /// A store for at most so many snapshots.
    pub const fn new(length_max: usize) -> Self {
        Self { kept: BTreeMap::new(), length_max }
    }
}

impl Store for MemoryStore {
    fn put(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        snapshot.verify().map_err(|_checksum| StoreError::Checksum(snapshot.checksum))?;
        let snapshot = snapshot.clone();
        let key = (snapshot.at, snapshot.checksum);
        let fresh = || Stored { snapshot, status: Status::Unchecked, validation: None };
        self.kept.entry(key).or_insert_with(fresh);
        while self.kept.len() > self.length_max {
            drop(self.kept.pop_first());
        }
        Ok(())
    }

    fn mark(
        &mut self,
        checksum: Digest,
        validation: &Validation,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let found = self.kept.iter_mut().find(|((_, held), _)| *held == checksum);
        let (_, stored) = found.ok_or(StoreError::Unknown(checksum))?;
        stored.status = validation.status;
        stored.validation = Some((validation.clone(), at));
        Ok(())
    }

    fn find(&self, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let mut found: Vec<_> =
            self.kept.values().filter(|stored| query.wants(stored)).cloned().collect();
        let key = |stored: &Stored| (stored.snapshot.at, stored.snapshot.checksum);
        found.sort_by(|one, other| {
            key(other).0.cmp(&key(one).0).then(key(one).1.cmp(&key(other).1))
        });
        found.truncate(query.limit);
        Ok(found)
    }
}
