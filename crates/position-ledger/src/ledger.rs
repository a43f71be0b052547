//! The ledger: books and their journal, kept in step.

use std::sync::Arc;

use backstop_error_taxonomy::{Class, Classify as _, Effect, Kind};

use crate::books::Books;
use crate::entry::Entry;
use crate::error::{
    AppendError, Difference, Fault, Invalid, JournalError, ReplayError, SnapshotError, VerifyError,
};
use crate::instrument::{Instrument, Instruments};
use crate::journal::{Checkpoint, Digest, Durability, Journal, Moment, Record, encode};
use crate::pnl::Snapshot;
use crate::posting::Posting;
use crate::replay::Replay;

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a conflict is not an error, and still has to be dealt with"]
pub enum Outcome {
    /// It is in the books and in the journal.
    Applied {
        /// Its place in the journal.
        sequence: u64,
    },
    /// A fill whose bust came first: journalled and remembered, but no figure changed.
    Voided {
        /// Its place in the journal.
        sequence: u64,
    },
    /// A bust whose fill is not known yet: journalled, and applied when the fill comes.
    Recorded {
        /// Its place in the journal.
        sequence: u64,
    },
    /// The same fact was there before; nothing changed.
    Duplicate,
    /// Another fact holds its key; nothing changed.
    Conflict(Difference),
}

/// Books of record over a journal.
///
/// It is the only writer of its journal, unless the journal is [shared](Journal::is_shared).
/// An entry is posted, chained, given to the journal, and only then part of the books; if any of it fails, both are as before.
#[derive(Debug)]
pub struct Ledger {
    journal: Box<dyn Journal>,
    books: Books,
    /// Set when the journal failed: what it holds is no longer known to equal the books.
    stopped: bool,
    /// Chunks of fills that the images in the journal have already.
    chunks_kept: usize,
}

impl Ledger {
    /// Replays the journal from its start and verifies its chain on the way.
    ///
    /// See [`Ledger::resume`] for a journal that is long.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] naming the first bad entry; the journal is not changed.
    pub fn open(journal: Box<dyn Journal>, instruments: Instruments) -> Result<Self, ReplayError> {
        let mut replay = Replay::new(&*journal, Arc::new(instruments));
        replay.run()?;
        let books = replay.into_books();
        Ok(Self { journal, books, stopped: false, chunks_kept: 0 })
    }

    /// Goes on from the last image in the journal, and reads and verifies only what came after it.
    ///
    /// The entry of the image has to be in the journal with the same hash, which fixes all before it; that the bytes
    /// before it are still those that were hashed is for [`verify`](crate::journal::verify) to say.
    /// Without an image, or with one that is damaged or of another version, this is [`Ledger::open`].
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; also when the journal ends before the image, or holds another entry in its place.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::{Instruments, Ledger, MemoryJournal};
    ///
    /// let mut ledger = Ledger::resume(Box::new(MemoryJournal::new()), Instruments::default())?;
    /// let point = ledger.keep_image()?;
    /// assert_eq!(point.sequence, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(
        journal: Box<dyn Journal>,
        instruments: Instruments,
    ) -> Result<Self, ReplayError> {
        let instruments = Arc::new(instruments);
        let image = journal.image().map_err(VerifyError::from)?;
        let books = match &image {
            Some(image) => {
                check_point(&*journal, image.checkpoint)?;
                Books::of_image(image, &*journal, &instruments)?
            }
            None => None,
        };
        let chunks_kept = books.as_ref().map_or(0, Books::full_chunks);
        let books = books.unwrap_or_else(|| Books::over(instruments));
        let mut replay = Replay::after(&*journal, books);
        replay.run()?;
        let books = replay.into_books();
        Ok(Self { journal, books, stopped: false, chunks_kept })
    }

    /// Keeps an image of the books in the journal, for [`Ledger::resume`]; everything up to it becomes durable.
    ///
    /// Its cost grows with positions, orders and what else is not a fill, and with the fills since the last image.
    ///
    /// # Errors
    ///
    /// [`AppendError::Journal`]; the ledger goes on without it, unless the flush before it failed.
    pub fn keep_image(&mut self) -> Result<Checkpoint, AppendError> {
        self.flush()?;
        let internal = |why| JournalError::new(Class::of(Kind::Internal), why);
        let (image, rows) = self.books.image(self.chunks_kept).map_err(internal)?;
        let checkpoint = image.checkpoint;
        self.journal.keep_image(image, self.chunks_kept, rows)?;
        self.chunks_kept = self.books.full_chunks();
        Ok(checkpoint)
    }

    /// Everything the entries add up to.
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Makes a contract known that the venue has listed since.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when its id is taken: terms never change under positions that were booked on them.
    pub fn list(&mut self, contract: Instrument) -> Result<(), Invalid> {
        Arc::make_mut(&mut self.books.instruments).add(contract)
    }

    /// The number of entries, which is also the number of the last one.
    pub const fn version(&self) -> u64 {
        self.books.sequence()
    }

    /// The hash of the last entry.
    pub const fn head(&self) -> Digest {
        self.books.head()
    }

    /// The journal, to verify or export it.
    pub fn journal(&self) -> &dyn Journal {
        &*self.journal
    }

    /// Takes an entry into journal and books.
    ///
    /// With [`Durability::Durable`] it survives a crash once this returns, also if it is a [`Outcome::Duplicate`].
    ///
    /// # Errors
    ///
    /// [`AppendError`]; books and journal are as before.
    pub fn append(
        &mut self,
        entry: &Entry,
        durability: Durability,
    ) -> Result<Outcome, AppendError> {
        self.check_running()?;
        let sequence = self.version().saturating_add(1);
        let posting = self.books.post(sequence, entry);
        let taken = posting.and_then(|posting| self.take(entry, posting, durability));
        match &taken {
            Ok(_) => self.books.commit(),
            Err(_) => self.books.take_back(),
        }
        taken
    }

    fn take(
        &mut self,
        entry: &Entry,
        posting: Posting,
        durability: Durability,
    ) -> Result<Outcome, AppendError> {
        if posting.is_booked() {
            let record = self.record(entry, self.books.checkpoint());
            let head = record.checkpoint();
            self.write(vec![record], durability)?;
            self.books.head = head;
        } else if matches!(posting, Posting::Duplicate) && durability == Durability::Durable {
            self.flush()?;
        }
        Ok(posting.outcome(self.version()))
    }

    /// Takes a group of entries: all of them or none; those that are duplicates are left out.
    ///
    /// With `expected_version` it is taken only if nobody wrote since the caller looked.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; books and journal are as before, also when only one entry of the group is refused or conflicts.
    pub fn append_all(
        &mut self,
        entries: &[Entry],
        expected_version: Option<u64>,
        durability: Durability,
    ) -> Result<Vec<Outcome>, AppendError> {
        self.check_running()?;
        let actual = self.version();
        if let Some(expected) = expected_version.filter(|expected| *expected != actual) {
            return Err(AppendError::VersionConflict { expected, actual });
        }
        let (before, mut records) = (self.books.checkpoint(), Vec::new());
        let outcomes = self.post_all(entries, &mut records);
        let taken = outcomes.and_then(|outcomes| {
            if !records.is_empty() {
                self.write(records, durability)?;
            } else if durability == Durability::Durable {
                self.flush()?;
            }
            Ok(outcomes)
        });
        if taken.is_ok() {
            self.books.commit();
        } else {
            self.books.take_back();
            self.books.head = before;
        }
        taken
    }

    /// Returns once every entry taken so far is durable.
    ///
    /// # Errors
    ///
    /// [`AppendError::Journal`] when some of them are not; the ledger then takes nothing more.
    pub fn flush(&mut self) -> Result<(), AppendError> {
        self.check_running()?;
        self.journal.flush().map_err(|error| {
            self.stopped = true;
            error.into()
        })
    }

    /// Takes what other writers have appended to a [shared](Journal::is_shared) journal, and gives the version.
    ///
    /// After a [version conflict](AppendError::VersionConflict) this comes before the next try.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] naming the first bad entry; the books stand before it.
    pub fn catch_up(&mut self) -> Result<u64, ReplayError> {
        let empty = Books::over(Arc::clone(&self.books.instruments));
        let books = std::mem::replace(&mut self.books, empty);
        let mut replay = Replay::after(&*self.journal, books);
        let caught_up = replay.run().map(Books::sequence);
        self.books = replay.into_books();
        caught_up
    }

    /// Books as they grow, from empty, entry by entry.
    pub fn replay(&self) -> Replay<'_> {
        Replay::new(&*self.journal, Arc::clone(&self.books.instruments))
    }

    /// The books as they were after an entry, or at a time; their chain is verified up to there.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; [`ReplayError::Beyond`] when there is no such entry.
    pub fn as_of(&self, moment: impl Into<Moment>) -> Result<Books, ReplayError> {
        let mut replay = self.replay();
        replay.advance_to(moment)?;
        Ok(replay.into_books())
    }

    /// Checks a snapshot against the books at its entry: checksum, history and every figure.
    ///
    /// For a snapshot of the past this replays; to check many, [`Ledger::replay`] once and use [`Snapshot::verify_against`].
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn verify_snapshot(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        if snapshot.sequence == self.version() {
            return snapshot.verify_against(&self.books);
        }
        snapshot.verify()?;
        snapshot.verify_against(&self.as_of(snapshot.sequence)?)
    }

    const fn check_running(&self) -> Result<(), AppendError> {
        if self.stopped { Err(AppendError::Stopped) } else { Ok(()) }
    }

    fn record(&self, entry: &Entry, head: Checkpoint) -> Record {
        Record::after(head, encode(entry, self.books.terms(entry).as_ref()))
    }

    fn post_all(
        &mut self,
        entries: &[Entry],
        records: &mut Vec<Record>,
    ) -> Result<Vec<Outcome>, AppendError> {
        let mut outcomes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let sequence = self.version().saturating_add(1);
            let posting = self.books.post(sequence, entry)?;
            if posting.is_booked() {
                let record = self.record(entry, self.books.checkpoint());
                self.books.head = record.checkpoint();
                records.push(record);
            }
            match posting.outcome(self.version()) {
                Outcome::Conflict(difference) => {
                    return Err(AppendError::GroupConflict { index, difference });
                }
                outcome => outcomes.push(outcome),
            }
        }
        Ok(outcomes)
    }

    fn write(&mut self, records: Vec<Record>, durability: Durability) -> Result<(), AppendError> {
        let expected = records.first().map_or(0, |first| first.sequence.saturating_sub(1));
        let Err(error) = self.journal.append(records, durability) else { return Ok(()) };
        let class = error.class();
        let is_behind = class.kind() == Kind::Conflict && class.effect() == Effect::NotApplied;
        if self.journal.is_shared() && is_behind {
            let actual = self.journal.head()?.sequence;
            return Err(AppendError::VersionConflict { expected, actual });
        }
        // Earlier entries may have been lost with this one, so the books cannot be trusted to equal the journal.
        self.stopped = true;
        Err(error.into())
    }
}

/// Checks that the journal holds the entry of a point that is known from elsewhere.
fn check_point(journal: &dyn Journal, known: Checkpoint) -> Result<(), VerifyError> {
    let Some(before) = known.sequence.checked_sub(1) else { return Ok(()) };
    let found = journal.read(before, 1)?;
    let sequence = known.sequence;
    let fault = match found.first() {
        None => Fault::Missing,
        Some(found) if found.checkpoint() != known => Fault::Rewritten,
        Some(found) if Digest::of_record(sequence, found.previous, &found.body) != found.hash => {
            Fault::Hash
        }
        Some(_) => return Ok(()),
    };
    Err(VerifyError::Broken { sequence, fault })
}

impl Books {
    /// Takes an entry without a journal: for simulations, what-if questions and measurements.
    ///
    /// Everything else is as with [`Ledger::append`].
    /// The version goes up; there is no chain, so the [head](Books::head) does not follow.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; the books are as before.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_clock::Timestamp;
    /// use backstop_position_ledger::{Account, Amount, Books, Currency, Entry, Fact, Instruments, Outcome};
    ///
    /// let usd = Currency::new("USD")?;
    /// let mut books = Books::new(Instruments::default().with_currency(usd.clone()));
    /// let at = Timestamp::from_millis(1_000);
    /// let deposit = Fact::Deposited { currency: usd, amount: Amount::from_int(100) };
    /// let entry = Entry::new(Entry::id_at(at, [7; 10]), Account::new("paper")?, at, deposit);
    /// assert_eq!(books.book(&entry)?, Outcome::Applied { sequence: 1 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn book(&mut self, entry: &Entry) -> Result<Outcome, AppendError> {
        let sequence = self.head.sequence.saturating_add(1);
        let posting = self.post(sequence, entry).inspect_err(|_| self.take_back())?;
        if posting.is_booked() {
            self.head.sequence = sequence;
        }
        self.commit();
        Ok(posting.outcome(sequence))
    }
}
