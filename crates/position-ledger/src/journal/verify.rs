//! The check of a journal: every entry in its place, every hash right.

use super::{Checkpoint, Digest, Journal, PAGE, Record, codec};
use crate::error::{Fault, VerifyError};

/// Checks the whole chain and gives its last point.
///
/// # Errors
///
/// [`VerifyError::Broken`] with the first bad entry, when a byte was changed, or an entry was deleted, swapped, doubled or torn.
/// That the last entries are gone shows only [`verify_against`] a checkpoint.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::MemoryJournal;
/// use backstop_position_ledger::journal::{Checkpoint, verify};
///
/// assert_eq!(verify(&MemoryJournal::new())?, Checkpoint::START);
/// # Ok::<(), backstop_position_ledger::error::VerifyError>(())
/// ```
pub fn verify(journal: &dyn Journal) -> Result<Checkpoint, VerifyError> {
    verify_against(journal, Checkpoint::START)
}

/// Checks the whole chain, and that it contains a point known from elsewhere, such as from a snapshot.
///
/// # Errors
///
/// As [`verify`]; also when the journal ends before the point, or leads to another hash there.
pub fn verify_against(journal: &dyn Journal, known: Checkpoint) -> Result<Checkpoint, VerifyError> {
    let mut chain = Chain::default();
    loop {
        let page = journal.read(chain.head.sequence, PAGE)?;
        let last_page = page.len() < PAGE;
        let mut records = page.iter().peekable();
        while let Some(record) = records.next() {
            let last = last_page && records.peek().is_none();
            chain.follow(record, last)?;
            codec::decode(&record.body).map_err(|error| chain.broken_at_head(error.into()))?;
            if record.sequence == known.sequence && record.hash != known.hash {
                return Err(chain.broken_at_head(Fault::Rewritten));
            }
        }
        if last_page {
            break;
        }
    }
    if chain.head.sequence < known.sequence {
        return Err(VerifyError::Broken {
            sequence: chain.head.sequence.saturating_add(1),
            fault: Fault::Missing,
        });
    }
    Ok(chain.head)
}

/// Follows a chain record by record.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) head: Checkpoint,
}

impl Default for Chain {
    fn default() -> Self {
        Self { head: Checkpoint::START }
    }
}

impl Chain {
    /// Takes the next record, if it names the one before it; its content is not looked at.
    pub(crate) fn link(&mut self, record: &Record) -> Result<(), VerifyError> {
        let sequence = self.head.sequence.saturating_add(1);
        let fault = if record.sequence != sequence {
            Fault::Place { found: record.sequence }
        } else if record.previous != self.head.hash {
            Fault::Previous
        } else {
            self.head = record.checkpoint();
            return Ok(());
        };
        Err(VerifyError::Broken { sequence, fault })
    }

    /// Takes the next record, if it is the one that has to come.
    pub(crate) fn follow(&mut self, record: &Record, last: bool) -> Result<(), VerifyError> {
        let before = self.head;
        self.link(record)?;
        let sequence = record.sequence;
        if record.hash == Digest::of_record(sequence, record.previous, &record.body) {
            return Ok(());
        }
        self.head = before;
        let fault = if last && codec::is_torn(&record.body) { Fault::Torn } else { Fault::Hash };
        Err(VerifyError::Broken { sequence, fault })
    }

    pub(crate) const fn broken_at_head(&self, fault: Fault) -> VerifyError {
        VerifyError::Broken { sequence: self.head.sequence, fault }
    }
}
