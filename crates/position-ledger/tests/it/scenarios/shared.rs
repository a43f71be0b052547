//! A journal that the runner can look into while a ledger writes it.

use std::sync::{Arc, Mutex, MutexGuard};

use backstop_position_ledger::error::JournalError;
use backstop_position_ledger::journal::{Checkpoint, Image, Journal, Record};
use backstop_position_ledger::{Durability, MemoryJournal};

#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<MemoryJournal>>);

impl Shared {
    pub(super) fn of(journal: MemoryJournal) -> Self {
        Self(Arc::new(Mutex::new(journal)))
    }

    pub(super) fn copy(&self) -> MemoryJournal {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, MemoryJournal> {
        self.0.lock().unwrap()
    }
}

impl Journal for Shared {
    fn append(&mut self, records: Vec<Record>, durability: Durability) -> Result<(), JournalError> {
        self.lock().append(records, durability)
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.lock().read(after, limit)
    }

    fn head(&self) -> Result<Checkpoint, JournalError> {
        self.lock().head()
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.lock().flush()
    }

    fn keep_image(
        &mut self,
        image: Image,
        first: usize,
        rows: Vec<Vec<u8>>,
    ) -> Result<(), JournalError> {
        self.lock().keep_image(image, first, rows)
    }

    fn image(&self) -> Result<Option<Image>, JournalError> {
        self.lock().image()
    }

    fn image_rows(&self, number: usize) -> Result<Option<Vec<u8>>, JournalError> {
        self.lock().image_rows(number)
    }
}
