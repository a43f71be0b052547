//! Replay: from a journal to the books, step by step.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::books::Books;
use crate::error::{ReplayError, VerifyError};
use crate::instrument::Instruments;
use crate::journal::{Chain, Journal, Moment, PAGE, Record, Stored, decode};

/// Books that follow a journal from its start, verifying the chain as they go.
#[derive(Debug)]
pub struct Replay<'a> {
    journal: &'a dyn Journal,
    books: Books,
    chain: Chain,
    /// Whether the hash of each entry is computed again.
    verifies: bool,
    /// Records read ahead, a page at most.
    page: VecDeque<Record>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(journal: &'a dyn Journal, instruments: Arc<Instruments>) -> Self {
        Self::after(journal, Books::over(instruments))
    }

    /// Goes on from books that stand at an entry of the journal.
    pub(crate) fn after(journal: &'a dyn Journal, books: Books) -> Self {
        let chain = Chain { head: books.checkpoint() };
        Self { journal, books, chain, verifies: true, page: VecDeque::new() }
    }

    /// Leaves the hashes of the entries unchecked, for a journal that was verified before.
    ///
    /// That the entries follow each other is still checked, and so is everything they say.
    #[must_use]
    pub const fn without_verification(mut self) -> Self {
        self.verifies = false;
        self
    }

    /// The books so far.
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Goes on to the end of the journal.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] naming the first bad entry; the books stand before it.
    pub fn run(&mut self) -> Result<&Books, ReplayError> {
        while self.next_entry()? {}
        Ok(&self.books)
    }

    /// Goes on to an entry or a time; one that has passed changes nothing.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; [`ReplayError::Beyond`] when the journal ends before the entry.
    pub fn advance_to(&mut self, moment: impl Into<Moment>) -> Result<&Books, ReplayError> {
        let moment = moment.into();
        while self.is_next_within(moment)? && self.next_entry()? {}
        let last = self.books.sequence();
        match moment {
            Moment::After(sequence) if sequence > last => {
                return Err(ReplayError::Beyond { sequence, last });
            }
            Moment::After(_) | Moment::At(_) => {}
        }
        Ok(&self.books)
    }

    /// Keeps the books and ends the replay.
    pub fn into_books(self) -> Books {
        self.books
    }

    fn fill_page(&mut self) -> Result<(), VerifyError> {
        if self.page.is_empty() {
            self.page = self.journal.read(self.books.sequence(), PAGE)?.into();
        }
        Ok(())
    }

    /// Whether there is a next entry, and it belongs to the moment; one that cannot be read is left to its turn.
    fn is_next_within(&mut self, moment: Moment) -> Result<bool, ReplayError> {
        self.fill_page()?;
        let Some(next) = self.page.front() else { return Ok(false) };
        Ok(match moment {
            Moment::After(sequence) => self.books.sequence() < sequence,
            Moment::At(time) => next.entry().map_or(true, |entry| entry.journaled_at <= time),
        })
    }

    /// Takes the next entry; false at the end.
    fn next_entry(&mut self) -> Result<bool, ReplayError> {
        self.fill_page()?;
        let Some(record) = self.page.pop_front() else { return Ok(false) };
        // Only the end of a journal can be torn; a full page says nothing about the end.
        if self.verifies {
            self.chain.follow(&record, self.page.is_empty())?;
        } else {
            self.chain.link(&record)?;
        }
        let sequence = record.sequence;
        let stored =
            decode(&record.body).map_err(|error| self.chain.broken_at_head(error.into()))?;
        let taken = self.take(sequence, &stored);
        match &taken {
            Ok(()) => {
                self.books.commit();
                self.books.head = record.checkpoint();
            }
            Err(_) => self.books.take_back(),
        }
        taken.map(|()| true)
    }

    fn take(&mut self, sequence: u64, stored: &Stored) -> Result<(), ReplayError> {
        let posting = self.books.post(sequence, &stored.entry);
        let posting = posting.map_err(|source| ReplayError::Refused { sequence, source })?;
        if !posting.is_booked() {
            return Err(ReplayError::Repeated { sequence });
        }
        let now = self.books.terms(&stored.entry);
        match (&stored.terms, &now, stored.entry.fact.instrument()) {
            (Some(stored), Some(now), Some(instrument)) if !stored.agree(now) => {
                Err(ReplayError::Terms { sequence, instrument: instrument.clone() })
            }
            _ => Ok(()),
        }
    }
}
