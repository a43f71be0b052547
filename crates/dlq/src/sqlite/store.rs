use backstop_clock::Timestamp;
use backstop_storage::{
    Database, WriteError,
    history::{self, CreateError, Refusal},
};
use rusqlite::Connection;

use super::{MIGRATIONS, fault::Fault, letters};
use crate::{
    DeadLetterStore, Letter, LetterId, Message,
    error::StoreError,
    history::{Edit, Settlement},
    store::{Filter, Guarantee, Listing, PARKED_PER_KEY_MAX, Page, Position, Put, Standing, Stats},
};

/// Keeps letters and positions in an SQLite file.
///
/// A letter and the position behind it are one transaction.
/// A position after a success joins the next commit without being waited for; what the handler
/// queued on the same [`Database`] becomes durable no later.
/// Reads hold the calling thread for as long as the jobs queued before them take.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::{DeadLetterStore, SqliteStore, store::Guarantee};
/// use backstop_storage::Database;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Database::in_memory()?;
/// let store = SqliteStore::create(&db, Timestamp::EPOCH)?;
/// assert_eq!(store.guarantee(), Guarantee::AtomicWithPosition);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    db: Database,
}

impl SqliteStore {
    /// Opens the store of a database that was migrated with [`MIGRATIONS`].
    ///
    /// # Errors
    /// [`Refusal`] for any other schema; nothing is changed.
    pub fn open(db: &Database) -> Result<Self, WriteError<Refusal>> {
        db.read(|connection| history::check(connection, MIGRATIONS))?;
        Ok(Self { db: db.clone() })
    }

    /// Brings a database to [`MIGRATIONS`] and opens the store, for a quick start.
    ///
    /// # Errors
    /// [`CreateError`] for a schema that is not understood; nothing is changed.
    pub fn create(db: &Database, now: Timestamp) -> Result<Self, CreateError> {
        history::create(db, MIGRATIONS, now)?;
        Ok(Self { db: db.clone() })
    }

    fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.db.read(job)?)
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.db.submit(job).await?)
    }
}

impl DeadLetterStore for SqliteStore {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtomicWithPosition
    }

    async fn put(&self, letter: &Letter) -> Result<Put, StoreError> {
        let letter = letter.clone();
        self.write(move |connection| letters::insert(connection, &letter)).await
    }

    async fn put_and_commit(
        &self,
        letter: &Letter,
        position: &Position,
    ) -> Result<Put, StoreError> {
        let (letter, position) = (letter.clone(), position.clone());
        self.write(move |connection| {
            let put = letters::insert(connection, &letter)?;
            letters::commit(connection, &position)?;
            Ok(put)
        })
        .await
    }

    async fn commit(&self, position: &Position) -> Result<(), StoreError> {
        let position = position.clone();
        // Dropped on purpose: a crash before the commit only delivers the message again, and a
        // failure stops the database, so that the next call hears of it.
        drop(self.db.submit(move |connection| letters::commit(connection, &position)));
        Ok(())
    }

    async fn committed(&self, stream: &str, partition: u32) -> Result<Option<u64>, StoreError> {
        let stream = stream.to_owned();
        self.read(move |connection| letters::committed(connection, &stream, partition))
    }

    async fn standing(&self, message: &Message) -> Result<Standing, StoreError> {
        let message = without_payload(message);
        self.read(move |connection| {
            if letters::exists(connection, LetterId::of_message(&message))? {
                return Ok(Standing::Lettered);
            }
            let head = letters::head(connection, &message)?;
            Ok(head.map_or(Standing::Fresh, Standing::Behind))
        })
    }

    async fn park_if_blocked(
        &self,
        message: &Message,
        at: Timestamp,
    ) -> Result<Option<LetterId>, StoreError> {
        let position = Position::after(message)?;
        let message = message.clone();
        self.write(move |connection| {
            let Some(head) = letters::head(connection, &message)? else { return Ok(None) };
            if letters::parked(connection, &message)? >= PARKED_PER_KEY_MAX {
                return Err(StoreError::Overflow { head }.into());
            }
            let letter = Letter::parked(message, head, at);
            letters::insert(connection, &letter)?;
            letters::commit(connection, &position)?;
            Ok(Some(letter.id()))
        })
        .await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        self.read(move |connection| letters::find(connection, id))
    }

    async fn head(&self, message: &Message) -> Result<Option<Letter>, StoreError> {
        let message = without_payload(message);
        self.read(move |connection| match letters::head(connection, &message)? {
            Some(id) => letters::find(connection, id),
            None => Ok(None),
        })
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        let filter = filter.clone();
        self.read(move |connection| letters::list(connection, &filter, page))
    }

    async fn settle(&self, id: LetterId, settlement: Settlement) -> Result<Letter, StoreError> {
        let settled = move |letter: &mut Letter| letter.settle(settlement);
        self.write(move |connection| letters::change(connection, id, settled)).await
    }

    async fn edit(&self, id: LetterId, edit: Edit) -> Result<Letter, StoreError> {
        let edited = move |letter: &mut Letter| letter.edit(edit);
        self.write(move |connection| letters::change(connection, id, edited)).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.read(letters::stats)
    }
}

/// The place and key of a message, for a look-up that runs on another thread.
fn without_payload(message: &Message) -> Message {
    let place = Message::new(message.stream.clone(), message.position, Vec::new(), message.at);
    Message { key: message.key.clone(), ..place.with_partition(message.partition) }
}
