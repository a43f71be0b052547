use backstop_clock::Timestamp;

use crate::{
    Letter, LetterId, Message,
    error::StoreError,
    history::{Edit, Settlement},
    store::{Filter, Guarantee, Listing, Page, Position, Put, Standing, Stats},
};

/// Keeps letters and positions.
///
/// Every implementation passes the same contract test.
/// A future that is dropped before it is ready may or may not have taken effect; the calls can
/// be repeated, since a letter is put once and a position never goes back.
pub trait DeadLetterStore {
    /// What the store promises when the process or the machine dies.
    fn guarantee(&self) -> Guarantee;

    /// Stores a letter; a second letter of the same delivery changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the letter may then be stored or not, and can be put again.
    fn put(&self, letter: &Letter) -> impl Future<Output = Result<Put, StoreError>>;

    /// Stores a letter and commits the position behind it; durable when it returns.
    ///
    /// The default puts, then commits: a crash in between leaves a letter whose delivery comes
    /// again and is recognised.
    ///
    /// # Errors
    /// [`StoreError`]; both can be repeated.
    fn put_and_commit(
        &self,
        letter: &Letter,
        position: &Position,
    ) -> impl Future<Output = Result<Put, StoreError>> {
        async move {
            let put = self.put(letter).await?;
            self.commit(position).await?;
            Ok(put)
        }
    }

    /// Notes that everything before a position is settled; a lower position changes nothing.
    ///
    /// It need not be durable when it returns: a crash then only delivers again.
    ///
    /// # Errors
    /// [`StoreError`].
    fn commit(&self, position: &Position) -> impl Future<Output = Result<(), StoreError>>;

    /// The first position that is not settled; `None` before the first commit.
    ///
    /// # Errors
    /// [`StoreError`].
    fn committed(
        &self,
        stream: &str,
        partition: u32,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>>;

    /// What is known of a delivery before it is handled.
    ///
    /// # Errors
    /// [`StoreError`].
    fn standing(&self, message: &Message) -> impl Future<Output = Result<Standing, StoreError>>;

    /// Parks a message behind the first open letter of its key, and commits its position.
    ///
    /// Looks and puts in one step, so that no replay can settle the last letter in between.
    /// `None`, and nothing is changed, when the key is not blocked.
    ///
    /// # Errors
    /// [`StoreError::Overflow`] when the key holds [`PARKED_PER_KEY_MAX`](crate::store::PARKED_PER_KEY_MAX) letters.
    fn park_if_blocked(
        &self,
        message: &Message,
        at: Timestamp,
    ) -> impl Future<Output = Result<Option<LetterId>, StoreError>>;

    /// A letter by its name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn letter(&self, id: LetterId) -> impl Future<Output = Result<Option<Letter>, StoreError>>;

    /// The first open letter of a message's key, by position; `None` also without a key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn head(&self, message: &Message) -> impl Future<Output = Result<Option<Letter>, StoreError>>;

    /// The letters that match, in the order in which they were put.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(
        &self,
        filter: &Filter,
        page: Page,
    ) -> impl Future<Output = Result<Listing, StoreError>>;

    /// Moves a letter along the table of [`State`](crate::State); returns it as it is then.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or what [`Letter::settle`] says; nothing is changed.
    fn settle(
        &self,
        id: LetterId,
        settlement: Settlement,
    ) -> impl Future<Output = Result<Letter, StoreError>>;

    /// Keeps a corrected payload beside a letter's original; returns the letter.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or what [`Letter::edit`] says; nothing is changed.
    fn edit(&self, id: LetterId, edit: Edit) -> impl Future<Output = Result<Letter, StoreError>>;

    /// How many letters there are of each state, and how old the oldest dead one is.
    ///
    /// # Errors
    /// [`StoreError`].
    fn stats(&self) -> impl Future<Output = Result<Stats, StoreError>>;
}
