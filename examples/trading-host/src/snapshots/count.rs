//! Counts the snapshots that there are against those that there have to be.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

use backstop_clock::{Clock, Timestamp};
use backstop_dlq::Message;
use backstop_position_ledger::{
    journal::Digest,
    pnl::{Damaged, Kind, Query, Snapshot, Status, Stored},
};

use super::{DAY_END, EVERY, NOON, Snapshots, every, length, streamed};
use crate::{
    host::{Host, Stop},
    report::{DamagedSnapshot, PnlSnapshots},
};

const DAY: Duration = Duration::from_hours(24);

/// What one question asks the store for: the snapshots of so long.
const WINDOW: Duration = Duration::from_hours(7 * 24);

/// Damaged ones that a report lists.
const DAMAGED_MAX: usize = 1_000;

/// What a look through the store has seen.
#[derive(Debug, Default)]
struct Seen {
    counts: PnlSnapshots,
    /// Those that the live books agreed with when they were published.
    valid: BTreeSet<Digest>,
    /// Those that are not as they were kept.
    damaged: Vec<DamagedSnapshot>,
    /// Places of the grid, and days, that have theirs.
    places: BTreeSet<i64>,
    days: BTreeSet<i64>,
}

impl Seen {
    fn whole(&mut self, stored: Stored) -> Snapshot {
        let Stored { snapshot, status, .. } = stored;
        self.count(Some(snapshot.kind), snapshot.at);
        match status {
            Status::Valid => drop(self.valid.insert(snapshot.checksum)),
            Status::Accepted => self.counts.accepted += 1,
            Status::Unchecked | Status::Alert | Status::Broken => {}
        }
        snapshot
    }

    /// It was taken when it was due, as far as its row tells, and agrees with nothing.
    fn damaged(&mut self, row: Damaged) {
        self.count(row.kind, row.at);
        if self.damaged.len() < DAMAGED_MAX {
            let (checksum, why) = (row.checksum, row.error.to_string());
            self.damaged.push(DamagedSnapshot { checksum, why });
        }
    }

    fn count(&mut self, kind: Option<Kind>, at: Timestamp) {
        self.counts.taken += 1;
        match kind {
            Some(Kind::Periodic) => {
                self.counts.periodic += 1;
                self.places.insert(place(at));
            }
            Some(Kind::EndOfDay) => {
                self.counts.end_of_day += 1;
                self.days.insert(day(at));
            }
            Some(Kind::Reconciliation) => self.counts.reconciliation += 1,
            None => {}
        }
    }
}

impl Snapshots {
    /// Checks every snapshot that was ever kept, bit by bit: its seal, its figures against a
    /// replay of the journal, and the copy that was published; and that none is missing that was
    /// due by now.
    ///
    /// # Errors
    /// [`Stop`] when store, stream or journal cannot be read.
    pub fn count(&self, host: &Host) -> Result<(PnlSnapshots, Vec<DamagedSnapshot>), Stop> {
        let Some(first) =
            self.stream.read(0).map_err(|error| streamed(&error))?.map(|message| message.at)
        else {
            return Ok(Default::default());
        };
        let now = host.clock.now();
        let (mut seen, mut failed) = (Seen::default(), None);
        let (mut from, mut until) = (Timestamp::from_millis(i64::MIN), first);
        let mut window: Vec<Snapshot> = Vec::new();
        let oldest_first = || {
            while window.is_empty() && from <= now && failed.is_none() {
                match self.within(from, until, &mut seen) {
                    Ok(found) => window = found,
                    Err(stop) => failed = Some(stop),
                }
                (from, until) = (until, until.saturating_add(WINDOW));
            }
            window.pop()
        };
        let disagreeing = host.accounts.disagreeing(&mut std::iter::from_fn(oldest_first))?;
        if let Some(stop) = failed {
            return Err(stop);
        }
        let Seen { mut counts, mut valid, damaged, places, days } = seen;
        valid.retain(|checksum| !disagreeing.contains(checksum));
        let (published, altered) = self.published(&valid)?;
        counts.verified = size(published.len());
        // Most often an altered copy is of a snapshot that did not agree when it was read.
        counts.mismatched = altered.max(counts.taken - counts.verified - counts.accepted);
        let owed = |place: fn(Timestamp) -> i64, seen: &BTreeSet<i64>| {
            let owed = place(now).saturating_sub(place(first));
            u64::try_from(owed).unwrap_or(0).saturating_sub(size(seen.len()))
        };
        counts.missing = owed(place, &places) + owed(day, &days);
        Ok((counts, damaged))
    }

    /// The snapshots of a window that can be read, the newest first.
    fn within(
        &self,
        from: Timestamp,
        until: Timestamp,
        seen: &mut Seen,
    ) -> Result<Vec<Snapshot>, Stop> {
        let mut whole = Vec::new();
        for row in self.store.borrow().find_each(&every(Query::new().with_times(from, until)))? {
            match row {
                Ok(stored) => whole.push(seen.whole(stored)),
                Err(row) => seen.damaged(row),
            }
        }
        whole.sort_by_key(|snapshot| Reverse(snapshot.sequence));
        Ok(whole)
    }

    /// Those of `kept` that were published, and how many copies are of nothing that was kept.
    fn published(&self, kept: &BTreeSet<Digest>) -> Result<(BTreeSet<Digest>, u64), Stop> {
        let (mut published, mut altered) = (BTreeSet::new(), 0);
        let mut count =
            |message: Message| match serde_json::from_slice::<Snapshot>(&message.payload) {
                Ok(copy) if kept.contains(&copy.checksum) && copy.verify().is_ok() => {
                    published.insert(copy.checksum);
                }
                _ => altered += 1,
            };
        self.stream.read_all(&mut count).map_err(|error| streamed(&error))?;
        Ok((published, altered))
    }
}

/// The last place of the grid.
fn place(at: Timestamp) -> i64 {
    at.as_millis().saturating_sub(length(NOON)).div_euclid(length(EVERY))
}

/// The trading day that ended last.
fn day(at: Timestamp) -> i64 {
    at.as_millis().saturating_sub(length(DAY_END)).div_euclid(length(DAY))
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
