//! Replay: from a journal to the books, step by step.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::books::Books;
use crate::change::Change;
use crate::error::{ReplayError, VerifyError};
use crate::instrument::Instruments;
use crate::journal::{Chain, Journal, PAGE, Record, decode};
use crate::posting::Posting;

/// Books that follow a journal from its start, verifying the chain as they go.
#[derive(Debug)]
pub struct Replay<'a> {
    journal: &'a dyn Journal,
    books: Books,
    chain: Chain,
    /// Records read ahead, a page at most.
    page: VecDeque<Record>,
    /// Room for the changes of one entry, kept to allocate it once.
    changes: Vec<Change>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(journal: &'a dyn Journal, instruments: Arc<Instruments>) -> Self {
        Self {
            journal,
            books: Books::over(instruments),
            chain: Chain::default(),
            page: VecDeque::new(),
            changes: Vec::new(),
        }
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

    /// Goes on to entry `sequence`; a number that has passed changes nothing.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; [`ReplayError::Beyond`] when the journal ends before it.
    pub fn advance_to(&mut self, sequence: u64) -> Result<&Books, ReplayError> {
        while self.books.sequence() < sequence {
            if !self.next_entry()? {
                return Err(ReplayError::Beyond { sequence, last: self.books.sequence() });
            }
        }
        Ok(&self.books)
    }

    /// Keeps the books and ends the replay.
    pub fn into_books(self) -> Books {
        self.books
    }

    /// Takes the next entry; false at the end.
    fn next_entry(&mut self) -> Result<bool, ReplayError> {
        if self.page.is_empty() {
            let page = self.journal.read(self.books.sequence(), PAGE).map_err(VerifyError::from)?;
            self.page = page.into();
        }
        let Some(record) = self.page.pop_front() else { return Ok(false) };
        // Only the end of a journal can be torn; a full page says nothing about the end.
        self.chain.follow(&record, self.page.is_empty())?;
        let sequence = record.sequence;
        let stored =
            decode(&record.body).map_err(|error| self.chain.broken_at_head(error.into()))?;
        self.changes.clear();
        let posting = self.books.post(sequence, &stored.entry, &mut self.changes);
        match posting.map_err(|source| ReplayError::Refused { sequence, source })? {
            Posting::Changes if self.books.terms(&stored.entry) != stored.terms => {
                let instrument = match &stored.entry.fact {
                    crate::entry::Fact::Filled(fill) => fill.instrument.clone(),
                    _ => return Err(ReplayError::Repeated { sequence }),
                };
                Err(ReplayError::Terms { sequence, instrument })
            }
            Posting::Changes => {
                self.books.apply((sequence, &stored.entry), &mut self.changes, None);
                self.books.head = record.checkpoint();
                Ok(true)
            }
            Posting::Duplicate | Posting::Conflict(_) => Err(ReplayError::Repeated { sequence }),
        }
    }
}
