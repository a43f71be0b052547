//! The port behind which letters are kept, and how a run on simulated time uses it.

use std::rc::Rc;

use backstop_clock::Timestamp;
use backstop_dlq::{
    DeadLetterStore, Letter, LetterId, Message, StoreError,
    history::{Edit, Settlement},
    store::{Filter, Guarantee, Listing, Page, Position, Put, Standing, Stats},
};
use pollster::block_on;

/// When the place in the stream is written relative to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committing {
    /// In one transaction with it.
    WithLetter,
    /// Before it, and then the process might as well have died: the letter never comes.
    /// Shows what the invariants are for.
    BeforeLetter,
}

/// A store whose answers are waited for on the spot; clones share it.
///
/// Simulated time must not pass, and no other task may run, while the disk works: else the
/// order of what happens would depend on the disk's speed.
#[derive(Debug)]
pub struct Letters<D> {
    store: Rc<D>,
    committing: Committing,
}

impl<D> Letters<D> {
    /// Uses a store.
    pub fn new(store: D, committing: Committing) -> Self {
        Self { store: Rc::new(store), committing }
    }
}

impl<D> Clone for Letters<D> {
    fn clone(&self) -> Self {
        Self { store: Rc::clone(&self.store), committing: self.committing }
    }
}

impl<D: DeadLetterStore> DeadLetterStore for Letters<D> {
    fn guarantee(&self) -> Guarantee {
        self.store.guarantee()
    }

    async fn put(&self, letter: &Letter) -> Result<Put, StoreError> {
        block_on(self.store.put(letter))
    }

    async fn put_and_commit(
        &self,
        letter: &Letter,
        position: &Position,
    ) -> Result<Put, StoreError> {
        match self.committing {
            Committing::WithLetter => block_on(self.store.put_and_commit(letter, position)),
            Committing::BeforeLetter => {
                block_on(self.store.commit(position)).map(|()| Put::Inserted)
            }
        }
    }

    async fn commit(&self, position: &Position) -> Result<(), StoreError> {
        block_on(self.store.commit(position))
    }

    async fn committed(&self, stream: &str, partition: u32) -> Result<Option<u64>, StoreError> {
        block_on(self.store.committed(stream, partition))
    }

    async fn standing(&self, message: &Message) -> Result<Standing, StoreError> {
        block_on(self.store.standing(message))
    }

    async fn park_if_blocked(
        &self,
        message: &Message,
        at: Timestamp,
    ) -> Result<Option<LetterId>, StoreError> {
        block_on(self.store.park_if_blocked(message, at))
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        block_on(self.store.letter(id))
    }

    async fn head(&self, message: &Message) -> Result<Option<Letter>, StoreError> {
        block_on(self.store.head(message))
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        block_on(self.store.list(filter, page))
    }

    async fn settle(&self, id: LetterId, settlement: Settlement) -> Result<Letter, StoreError> {
        block_on(self.store.settle(id, settlement))
    }

    async fn edit(&self, id: LetterId, edit: Edit) -> Result<Letter, StoreError> {
        block_on(self.store.edit(id, edit))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        block_on(self.store.stats())
    }
}
