//! The books, and how this host writes into them.

use std::{
    cell::{Ref, RefCell},
    collections::BTreeMap,
    fmt,
};

use backstop_clock::{Clock, Timestamp};
use backstop_error_taxonomy::{Class, Kind as ErrorKind};
use backstop_position_ledger::{
    Account, Amount, Books as View, Durability, Entry, Fact, InstrumentId, Ledger, Outcome,
    action::{Isolation, Subject},
    error::{AmountError, AppendError, Difference, JournalError, ReplayError},
    journal::Digest,
    order::Event,
    pnl::{Kind, Scope, Snapshot},
};
use uuid::Uuid;

use crate::{ids::Ids, runtime::SimClock};

/// The port behind which the books are kept.
pub trait Books: fmt::Debug {
    /// The state.
    fn view(&self) -> &View;

    /// Posts one entry.
    ///
    /// # Errors
    /// [`AppendError`]; the books are as before.
    fn append(&mut self, entry: &Entry, durability: Durability) -> Result<Outcome, AppendError>;

    /// Makes everything posted so far durable.
    ///
    /// # Errors
    /// [`AppendError`].
    fn flush(&mut self) -> Result<(), AppendError>;

    /// The state as it was after a sequence.
    ///
    /// # Errors
    /// [`ReplayError`].
    fn as_of(&self, sequence: u64) -> Result<View, ReplayError>;

    /// The checksums of those snapshots, sorted by sequence, whose seal or figures the journal
    /// does not lead to.
    ///
    /// # Errors
    /// [`ReplayError`].
    fn disagreeing(
        &self,
        snapshots: &mut dyn Iterator<Item = Snapshot>,
    ) -> Result<Vec<Digest>, ReplayError>;

    /// Reads the whole journal again: the chain, and that it leads to the same state.
    ///
    /// # Errors
    /// [`ReplayError`] names the first sequence at fault.
    fn replay(&self) -> Result<View, ReplayError>;

    /// When the last entry was written.
    ///
    /// # Errors
    /// [`JournalError`].
    fn last_written_at(&self) -> Result<Option<Timestamp>, JournalError>;
}

impl Books for Ledger {
    fn view(&self) -> &View {
        self.books()
    }

    fn append(&mut self, entry: &Entry, durability: Durability) -> Result<Outcome, AppendError> {
        Self::append(self, entry, durability)
    }

    fn flush(&mut self) -> Result<(), AppendError> {
        Self::flush(self)
    }

    fn as_of(&self, sequence: u64) -> Result<View, ReplayError> {
        Self::as_of(self, sequence)
    }

    fn disagreeing(
        &self,
        snapshots: &mut dyn Iterator<Item = Snapshot>,
    ) -> Result<Vec<Digest>, ReplayError> {
        // The proof verifies the chain when it replays the whole.
        let mut replay = Self::replay(self).without_verification();
        let mut disagreeing = Vec::new();
        for snapshot in snapshots {
            // One that claims to be of the future agrees with nothing that there is.
            let agrees = snapshot.sequence <= self.version() && {
                let books = replay.advance_to(snapshot.sequence)?;
                snapshot.verify_against(books).is_ok()
            };
            if !agrees {
                disagreeing.push(snapshot.checksum);
            }
        }
        Ok(disagreeing)
    }

    fn replay(&self) -> Result<View, ReplayError> {
        let mut replay = Self::replay(self);
        replay.run()?;
        Ok(replay.into_books())
    }

    fn last_written_at(&self) -> Result<Option<Timestamp>, JournalError> {
        let before_last = self.version().saturating_sub(1);
        let last = self.journal().read(before_last, 1)?;
        match last.first() {
            Some(record) => {
                let entry = record.entry();
                // An opened journal was read to its end, so this one can be read again.
                let unread = |error| JournalError::new(Class::of(ErrorKind::Data), error);
                entry.map(|entry| Some(entry.journaled_at)).map_err(unread)
            }
            None => Ok(None),
        }
    }
}

/// The account's books with the clock and the ids that entries need.
#[derive(Debug)]
pub struct Accounts {
    books: RefCell<Box<dyn Books>>,
    account: Account,
    clock: SimClock,
    ids: Ids,
}

impl Accounts {
    /// Books that are written for one account.
    pub fn new(books: Box<dyn Books>, account: Account, clock: SimClock, ids: Ids) -> Self {
        Self { books: RefCell::new(books), account, clock, ids }
    }

    /// The state; not to be held over an `await`.
    pub fn view(&self) -> Ref<'_, View> {
        Ref::map(self.books.borrow(), |books| books.view())
    }

    /// The account that trades.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The time of the host.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The sequence of the last entry.
    pub fn version(&self) -> u64 {
        self.view().sequence()
    }

    /// An id for a purpose, bound to the entry that comes next.
    pub fn mint(&self, purpose: &str) -> Uuid {
        self.ids.mint(self.clock.now(), purpose, self.version().saturating_add(1))
    }

    /// Posts a fact that happened `at`; it becomes durable with the next commit.
    ///
    /// # Errors
    /// [`AppendError`]; the books are as before.
    pub fn post(&self, at: Timestamp, cause: Uuid, fact: Fact) -> Result<Outcome, AppendError> {
        self.append(at, cause, fact, Durability::Grouped)
    }

    /// Posts a fact and waits until it is on disk, with everything posted before it.
    ///
    /// # Errors
    /// [`AppendError`]; the books are as before.
    pub fn post_durably(
        &self,
        at: Timestamp,
        cause: Uuid,
        fact: Fact,
    ) -> Result<Outcome, AppendError> {
        self.append(at, cause, fact, Durability::Durable)
    }

    fn append(
        &self,
        at: Timestamp,
        cause: Uuid,
        fact: Fact,
        durability: Durability,
    ) -> Result<Outcome, AppendError> {
        let entry = Entry::new(self.mint("entry"), self.account.clone(), at, fact)
            .with_cause(cause)
            .with_journaled_at(self.clock.now());
        self.books.borrow_mut().append(&entry, durability)
    }

    /// Posts what the host itself learned of an order, now.
    ///
    /// Gives back what differs when the books hold something else, which then stands.
    ///
    /// # Errors
    /// [`AppendError`]; the books are as before.
    pub fn note(&self, order_id: Uuid, event: Event) -> Result<Option<Difference>, AppendError> {
        let outcome = self.post(self.now(), order_id, Fact::order(order_id, event))?;
        Ok(match outcome {
            Outcome::Conflict(difference) => Some(difference),
            _ => None,
        })
    }

    /// Makes everything posted so far durable.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn flush(&self) -> Result<(), AppendError> {
        self.books.borrow_mut().flush()
    }

    /// Signed quantity held of an instrument; zero when it was never traded.
    pub fn quantity(&self, instrument: &InstrumentId) -> Amount {
        let books = self.view();
        books.position(&self.account, instrument).map_or(Amount::ZERO, |held| held.quantity())
    }

    /// Whether nothing more is booked on an instrument for now.
    pub fn is_apart(&self, instrument: &InstrumentId) -> bool {
        self.view().isolation(&self.account, Some(instrument)).is_some()
    }

    /// The instruments on which nothing more is booked for now, and why.
    pub fn apart(&self) -> Vec<(InstrumentId, Isolation)> {
        let books = self.view();
        let of_instruments = books.isolated().filter_map(|(_, subject, why)| match subject {
            Subject::Instrument(id) => Some((id.clone(), why.clone())),
            Subject::Account => None,
        });
        of_instruments.collect()
    }

    /// Figures at the given marks.
    ///
    /// # Errors
    /// [`AmountError`] when a figure leaves the range.
    pub fn snapshot(
        &self,
        scope: &Scope,
        marks: &BTreeMap<InstrumentId, Amount>,
        kind: Kind,
    ) -> Result<Snapshot, AmountError> {
        self.view().snapshot_of(scope, marks, self.clock.now(), kind)
    }

    /// See [`Books::disagreeing`].
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn disagreeing(
        &self,
        snapshots: &mut dyn Iterator<Item = Snapshot>,
    ) -> Result<Vec<Digest>, ReplayError> {
        self.books.borrow().disagreeing(snapshots)
    }

    /// See [`Books::replay`].
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn replay(&self) -> Result<View, ReplayError> {
        self.books.borrow().replay()
    }

    /// See [`Books::last_written_at`].
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn last_written_at(&self) -> Result<Option<Timestamp>, JournalError> {
        self.books.borrow().last_written_at()
    }
}
