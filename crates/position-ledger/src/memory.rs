//! A journal in memory: for tests, dry runs, and books that need not outlive the process.

use crate::error::JournalError;
use crate::journal::{Checkpoint, Durability, Image, Journal, Record};

/// Records in a vector; durable only as long as the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryJournal {
    records: Vec<Record>,
    image: Option<Image>,
    rows: Vec<Vec<u8>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub const fn new() -> Self {
        Self::from_records(Vec::new())
    }

    /// A journal of records read elsewhere, unchecked: opening a ledger on it verifies them.
    pub const fn from_records(records: Vec<Record>) -> Self {
        Self { records, image: None, rows: Vec::new() }
    }

    /// All records, in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

impl Journal for MemoryJournal {
    fn append(
        &mut self,
        records: Vec<Record>,
        _durability: Durability,
    ) -> Result<(), JournalError> {
        // Only the check matters; the head is that of the last record.
        self.head()?.advanced_by(&records)?;
        self.records.extend(records);
        Ok(())
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        // Whatever was put in comes out by position: a damaged journal must show its damage.
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.records.iter().skip(skipped).take(limit).cloned().collect())
    }

    fn head(&self) -> Result<Checkpoint, JournalError> {
        Ok(self.records.last().map_or(Checkpoint::START, Record::checkpoint))
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        Ok(())
    }

    fn keep_image(
        &mut self,
        image: Image,
        first: usize,
        rows: Vec<Vec<u8>>,
    ) -> Result<(), JournalError> {
        self.rows.truncate(first);
        self.rows.extend(rows);
        self.image = Some(image);
        Ok(())
    }

    fn image(&self) -> Result<Option<Image>, JournalError> {
        Ok(self.image.clone())
    }

    fn image_rows(&self, number: usize) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.rows.get(number).cloned())
    }
}
