use std::{error::Error, sync::Arc};

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::{Classify, Policy};
use tracing::{debug, info, warn};

use crate::{
    DeadLetterStore, Handler, Letter, LetterId, Message, Source,
    attempt::{Rules, deliver},
    config::{Config, Followers},
    error::{ConsumerError, StoreError},
    history::Attempts,
    store::{Position, Put, Standing},
};

/// Partitions whose committed position is remembered; more of them are looked up again.
const PARTITIONS_REMEMBERED_MAX: usize = 1_024;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// There was no message.
    Idle,
    /// The message was handled.
    Handled,
    /// A redelivery: its position was settled before, or the delivery is a letter already.
    Skipped,
    /// The message failed and is a letter now.
    Lettered(LetterId),
    /// The message waits behind an earlier letter of its key.
    Parked(LetterId),
}

/// Takes messages from a source, handles each, and sets aside what fails.
///
/// A position is committed only after success or a durable put.
/// Whatever fails on the way, the message stays with the consumer and the next step goes on where
/// this one stopped: what was handled is not handled again, what failed is put.
///
/// ```
/// # use backstop_dlq::{Handler, Message, Source};
/// # use backstop_error_taxonomy::{Class, Classify, Kind};
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_dlq::{Consumer, MemoryStore, Step};
/// # #[derive(Debug, thiserror::Error)]
/// # #[error("never")]
/// # struct Never;
/// # impl Classify for Never { fn class(&self) -> Class { Class::of(Kind::Internal) } }
/// # struct Two(u64);
/// # impl Source for Two {
/// #     type Error = Never;
/// #     async fn next(&mut self) -> Result<Option<Message>, Never> {
/// #         self.0 += 1;
/// #         let message = || Message::new("fills", self.0, Vec::new(), Timestamp::EPOCH);
/// #         Ok((self.0 <= 2).then(message))
/// #     }
/// # }
/// # struct Count(u32);
/// # impl Handler for Count {
/// #     type Message = ();
/// #     type Error = Never;
/// #     fn decode(&self, _: &Message) -> Result<(), Never> { Ok(()) }
/// #     async fn handle(&mut self, (): (), _: &Message) -> Result<(), Never> {
/// #         self.0 += 1;
/// #         Ok(())
/// #     }
/// # }
///
/// # fn main() -> Result<(), backstop_dlq::ConsumerError> {
/// # let (source, handler) = (Two(0), Count(0));
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut consumer = Consumer::new(source, handler, MemoryStore::new(), clock);
/// while pollster::block_on(consumer.step())? != Step::Idle {}
/// assert_eq!(consumer.handler_mut().0, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer<S, H, D, C> {
    source: S,
    /// The message in hand; kept across awaits, so that a dropped step loses nothing.
    pending: Option<Pending>,
    worker: Worker<H, D, C>,
}

/// How far the message in hand has come.
#[derive(Debug)]
enum Pending {
    /// Not handled yet.
    Offered { message: Message, position: Position },
    /// Handled; the position is not committed.
    Handled { position: Position },
    /// Failed; the letter is not put.
    Failed { letter: Box<Letter>, position: Position },
}

/// Everything but the message in hand, which it borrows.
#[derive(Debug)]
struct Worker<H, D, C> {
    handler: H,
    store: D,
    clock: C,
    config: Config,
    policy: Arc<Policy>,
    /// Committed positions that are known, so that redeliveries cost no look-up.
    committed: Vec<Position>,
    letters_in_a_row: u32,
}

impl<S: Source, H: Handler, D: DeadLetterStore, C: Clock + Sleep> Consumer<S, H, D, C> {
    /// A consumer with the defaults of [`Config`] and a policy without rules.
    pub fn new(source: S, handler: H, store: D, clock: C) -> Self {
        let (config, policy, committed) = (Config::default(), Arc::default(), Vec::new());
        let worker =
            Worker { handler, store, clock, config, policy, committed, letters_in_a_row: 0 };
        Self { source, pending: None, worker }
    }

    /// The same consumer, working differently.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.worker.config = config;
        self
    }

    /// The same consumer, deciding by other rules what is tried again.
    ///
    /// Failures of the handler are those of the component `dlq` and the operation `handle`, which
    /// is idempotent.
    /// A rule that says retry may say how often and how slowly, too; its delays keep to the cap of
    /// [`Config::retry`], and everything to its budget.
    /// Whatever else a rule says, the message is put away as a letter: nothing is dropped.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.worker.policy = policy.into();
        self
    }

    /// The source, for example to tell it of new messages.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The handler.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.worker.handler
    }

    /// The store.
    pub fn store(&self) -> &D {
        &self.worker.store
    }

    /// Lets letters be put again, after a person has seen why so many failed.
    pub fn end_flood(&mut self) {
        self.worker.letters_in_a_row = 0;
    }

    /// Settles one message, or says why not.
    ///
    /// # Errors
    /// [`ConsumerError`]; the message is kept and offered again.
    pub async fn step(&mut self) -> Result<Step, ConsumerError> {
        loop {
            let (step, next) = match &self.pending {
                None => match self.source.next().await.map_err(from_source)? {
                    Some(message) => {
                        // What has no valid place cannot be kept; the source is at fault.
                        let position = Position::after(&message)?;
                        (None, Some(Pending::Offered { message, position }))
                    }
                    None => return Ok(Step::Idle),
                },
                Some(Pending::Offered { message, position }) => {
                    match self.worker.pass(message, position).await? {
                        Some(step) => (Some(step), None),
                        None => (None, Some(self.worker.handle(message, position).await?)),
                    }
                }
                Some(Pending::Handled { position }) => {
                    self.worker.commit(position).await?;
                    (Some(Step::Handled), None)
                }
                Some(Pending::Failed { letter, position }) => {
                    (Some(self.worker.put(letter, position).await?), None)
                }
            };
            self.pending = next;
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }
}

impl<H: Handler, D: DeadLetterStore, C: Clock + Sleep> Worker<H, D, C> {
    /// Settles what need not be handled: redeliveries and followers.
    async fn pass(
        &mut self,
        message: &Message,
        position: &Position,
    ) -> Result<Option<Step>, ConsumerError> {
        if message.position < self.committed(position).await? {
            debug!(stream = message.stream, position = message.position, "settled before");
            return Ok(Some(Step::Skipped));
        }
        match (self.store.standing(message).await?, self.config.followers) {
            (Standing::Lettered, _) => {
                self.store.commit(position).await?;
                self.remember(position.clone());
                Ok(Some(Step::Skipped))
            }
            (Standing::Behind(_), Followers::Park) => self.park(message, position).await,
            (Standing::Behind(_) | Standing::Fresh, _) => Ok(None),
        }
    }

    async fn park(
        &mut self,
        message: &Message,
        position: &Position,
    ) -> Result<Option<Step>, ConsumerError> {
        let parked = self.store.park_if_blocked(message, self.clock.now()).await?;
        if let Some(id) = parked {
            info!(stream = message.stream, %id, "message parked behind an open letter");
            self.remember(position.clone());
        }
        Ok(parked.map(Step::Parked))
    }

    /// Calls the handler until it succeeds or the schedule ends.
    async fn handle(
        &mut self,
        message: &Message,
        position: &Position,
    ) -> Result<Pending, ConsumerError> {
        let position = position.clone();
        let mut attempts = Attempts::default();
        let rules = Rules { policy: &self.policy, retry: &self.config.retry };
        match deliver(&mut self.handler, message, rules, &self.clock, &mut attempts).await {
            Ok(()) => Ok(Pending::Handled { position }),
            // The verdict is dropped: the next step asks again, the cause may be gone by then.
            Err(_) if self.letters_in_a_row >= self.config.letters_in_a_row_max.get() => {
                Err(ConsumerError::Flood { in_a_row: self.letters_in_a_row })
            }
            Err(reason) => {
                let letter = Letter::dead(message.clone(), reason, attempts, self.clock.now());
                Ok(Pending::Failed { letter: Box::new(letter), position })
            }
        }
    }

    async fn commit(&mut self, position: &Position) -> Result<(), ConsumerError> {
        self.store.commit(position).await?;
        self.letters_in_a_row = 0;
        self.remember(position.clone());
        Ok(())
    }

    async fn put(&mut self, letter: &Letter, position: &Position) -> Result<Step, ConsumerError> {
        let put = self.store.put_and_commit(letter, position).await?;
        warn!(
            stream = position.stream,
            id = %letter.id(),
            reason = letter.reason().name(),
            attempts = letter.attempts().count(),
            duplicate = put == Put::Duplicate,
            "message set aside"
        );
        self.letters_in_a_row = self.letters_in_a_row.saturating_add(1);
        self.remember(position.clone());
        Ok(Step::Lettered(letter.id()))
    }

    /// The committed position of a message's partition, 0 before the first commit.
    async fn committed(&mut self, position: &Position) -> Result<u64, StoreError> {
        if let Some(known) = self.committed.iter().find(|p| is_same_partition(p, position)) {
            return Ok(known.next);
        }
        let read = self.store.committed(&position.stream, position.partition).await?;
        let next = read.unwrap_or_default();
        self.remember(Position { next, ..position.clone() });
        Ok(next)
    }

    fn remember(&mut self, settled: Position) {
        if let Some(known) = self.committed.iter_mut().find(|p| is_same_partition(p, &settled)) {
            // Never lower: a message below the known position is skipped before it gets here.
            known.next = settled.next;
            return;
        }
        if self.committed.len() == PARTITIONS_REMEMBERED_MAX {
            self.committed.clear();
        }
        self.committed.push(settled);
    }
}

fn is_same_partition(a: &Position, b: &Position) -> bool {
    a.partition == b.partition && a.stream == b.stream
}

fn from_source(source: impl Classify + Error + Send + Sync + 'static) -> ConsumerError {
    ConsumerError::Source { class: source.class(), source: Box::new(source) }
}
