use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backstop_clock::Timestamp;

use crate::{
    DeadLetterStore, Letter, LetterId, Message, State,
    error::StoreError,
    history::{Edit, Settlement},
    store::{Filter, Guarantee, Listing, PARKED_PER_KEY_MAX, Page, Position, Put, Standing, Stats},
};

/// Letters kept at most, unless told otherwise: far above what anybody looks through by hand.
const LETTERS_MAX: usize = 65_536;

/// Keeps letters in memory, for tests and for bots that can fetch everything again.
///
/// Clones share the letters. Nothing outlives the process.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::{DeadLetterStore, Letter, MemoryStore, Message, Reason, store::Put};
///
/// # fn main() -> Result<(), backstop_dlq::StoreError> {
/// let store = MemoryStore::new();
/// let message = Message::new("fills", 7, b"?".to_vec(), Timestamp::EPOCH);
/// let letter = Letter::dead(message, Reason::Fatal, Default::default(), Timestamp::EPOCH);
/// assert_eq!(pollster::block_on(store.put(&letter))?, Put::Inserted);
/// assert_eq!(pollster::block_on(store.put(&letter))?, Put::Duplicate);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Mutex<Letters>>,
    letters_max: usize,
}

/// A key within its partition.
type Key = (String, u32, Vec<u8>);

#[derive(Debug, Default)]
struct Letters {
    /// By sequence number, from 1.
    by_sequence: BTreeMap<u64, Letter>,
    sequences: BTreeMap<LetterId, u64>,
    /// Open letters of each key, by position.
    open: BTreeMap<Key, BTreeMap<u64, u64>>,
    committed: BTreeMap<(String, u32), u64>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store for at most 65,536 letters.
    pub fn new() -> Self {
        Self { shared: Arc::default(), letters_max: LETTERS_MAX }
    }

    /// The same letters, with another limit; a put above it is refused.
    #[must_use]
    pub fn with_letters_max(self, letters_max: usize) -> Self {
        Self { letters_max, ..self }
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        // No user's code runs under this lock, so a poisoned one still holds whole letters.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Letters {
    fn insert(&mut self, letter: Letter, letters_max: usize) -> Result<Put, StoreError> {
        if self.sequences.contains_key(&letter.id) {
            return Ok(Put::Duplicate);
        }
        if self.sequences.len() >= letters_max {
            return Err(StoreError::Full { letters_max });
        }
        let sequence = self.by_sequence.last_key_value().map_or(0, |(last, _)| *last) + 1;
        if let (Some(key), true) = (key_of(&letter.message), letter.state.is_open()) {
            self.open.entry(key).or_default().insert(letter.message.position, sequence);
        }
        self.sequences.insert(letter.id, sequence);
        self.by_sequence.insert(sequence, letter);
        Ok(Put::Inserted)
    }

    fn commit(&mut self, position: &Position) {
        let key = (position.stream.clone(), position.partition);
        let next = self.committed.entry(key).or_default();
        *next = position.next.max(*next);
    }

    fn letter(&self, id: LetterId) -> Option<&Letter> {
        self.by_sequence.get(self.sequences.get(&id)?)
    }

    fn head(&self, message: &Message) -> Option<&Letter> {
        let (_, sequence) = self.open.get(&key_of(message)?)?.first_key_value()?;
        self.by_sequence.get(sequence)
    }

    fn parked(&self, message: &Message) -> usize {
        let open = key_of(message).and_then(|key| self.open.get(&key));
        let letters = open.into_iter().flat_map(BTreeMap::values);
        letters
            .filter(|s| self.by_sequence.get(s).is_some_and(|l| l.state == State::Parked))
            .count()
    }

    fn change(
        &mut self,
        id: LetterId,
        change: impl FnOnce(&mut Letter) -> Result<(), StoreError>,
    ) -> Result<Letter, StoreError> {
        let found = self.sequences.get(&id).and_then(|s| self.by_sequence.get_mut(s));
        let letter = found.ok_or(StoreError::Missing(id))?;
        change(letter)?;
        let letter = letter.clone();
        if let (Some(key), false) = (key_of(&letter.message), letter.state.is_open()) {
            self.close(&key, letter.message.position);
        }
        Ok(letter)
    }

    fn close(&mut self, key: &Key, position: u64) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.remove(&position);
        if open.is_empty() {
            self.open.remove(key);
        }
    }

    fn list(&self, filter: &Filter, page: Page) -> Listing {
        let from = (Bound::Excluded(page.after), Bound::Unbounded);
        let mut found = self.by_sequence.range(from).filter(|(_, letter)| filter.matches(letter));
        let length = usize::try_from(page.length).unwrap_or(usize::MAX);
        let mut last = page.after;
        let mut letters = Vec::new();
        for (sequence, letter) in found.by_ref().take(length) {
            last = *sequence;
            letters.push(letter.clone());
        }
        let next = found.next().map(|_| page.behind(last));
        Listing { letters, next }
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for letter in self.by_sequence.values() {
            *stats.count(letter.state) += 1;
            if letter.state == State::Dead {
                let oldest = stats.oldest_dead_at.map_or(letter.put_at, |at| at.min(letter.put_at));
                stats.oldest_dead_at = Some(oldest);
            }
        }
        stats
    }
}

impl DeadLetterStore for MemoryStore {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Volatile
    }

    async fn put(&self, letter: &Letter) -> Result<Put, StoreError> {
        self.letters().insert(letter.clone(), self.letters_max)
    }

    async fn put_and_commit(
        &self,
        letter: &Letter,
        position: &Position,
    ) -> Result<Put, StoreError> {
        let mut letters = self.letters();
        let put = letters.insert(letter.clone(), self.letters_max)?;
        letters.commit(position);
        Ok(put)
    }

    async fn commit(&self, position: &Position) -> Result<(), StoreError> {
        self.letters().commit(position);
        Ok(())
    }

    async fn committed(&self, stream: &str, partition: u32) -> Result<Option<u64>, StoreError> {
        Ok(self.letters().committed.get(&(stream.to_owned(), partition)).copied())
    }

    async fn standing(&self, message: &Message) -> Result<Standing, StoreError> {
        let letters = self.letters();
        if letters.letter(LetterId::of_message(message)).is_some() {
            return Ok(Standing::Lettered);
        }
        Ok(letters.head(message).map_or(Standing::Fresh, |head| Standing::Behind(head.id)))
    }

    async fn park_if_blocked(
        &self,
        message: &Message,
        at: Timestamp,
    ) -> Result<Option<LetterId>, StoreError> {
        let position = Position::after(message)?;
        let mut letters = self.letters();
        let Some(head) = letters.head(message).map(|head| head.id) else { return Ok(None) };
        if letters.parked(message) >= PARKED_PER_KEY_MAX as usize {
            return Err(StoreError::Overflow { head });
        }
        let letter = Letter::parked(message.clone(), head, at);
        let id = letter.id;
        letters.insert(letter, self.letters_max)?;
        letters.commit(&position);
        Ok(Some(id))
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        Ok(self.letters().letter(id).cloned())
    }

    async fn head(&self, message: &Message) -> Result<Option<Letter>, StoreError> {
        Ok(self.letters().head(message).cloned())
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        Ok(self.letters().list(filter, page))
    }

    async fn settle(&self, id: LetterId, settlement: Settlement) -> Result<Letter, StoreError> {
        self.letters().change(id, |letter| letter.settle(settlement))
    }

    async fn edit(&self, id: LetterId, edit: Edit) -> Result<Letter, StoreError> {
        self.letters().change(id, |letter| letter.edit(edit))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(self.letters().stats())
    }
}

fn key_of(message: &Message) -> Option<Key> {
    let key = message.key.clone()?;
    Some((message.stream.clone(), message.partition, key))
}
