//! A scripted source, a scripted handler, a store that can fail, and every store there is.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    error::Error,
    fmt,
    rc::Rc,
};

use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_dlq::{
    Consumer, DeadLetterStore, Handler, Letter, LetterId, MemoryStore, Message, Reason, Source,
    Step, StoreError,
    history::{Attempts, Edit, Settlement},
    store::{Filter, Guarantee, Listing, Page, Position, Put, Standing, Stats},
};
use backstop_error_taxonomy::{Class, Classify, Kind};
use pollster::block_on;

/// Runs each story on every store, as tests of the modules `memory` and `sqlite`.
macro_rules! on_each_store {
    ($($story:ident),+ $(,)?) => {
        mod memory {
            $(#[test]
            fn $story() {
                super::$story(&backstop_dlq::MemoryStore::new());
            })+
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[test]
            fn $story() {
                super::$story(&crate::support::sqlite_store());
            })+
        }
    };
}
pub(crate) use on_each_store;

#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_store() -> backstop_dlq::SqliteStore {
    let db = backstop_storage::Database::in_memory().unwrap();
    backstop_dlq::SqliteStore::create(&db, start()).unwrap()
}

pub(crate) fn start() -> Timestamp {
    Timestamp::from_millis(1_500_000_000_000)
}

/// Message `position` of stream `orders`, with a payload that names it.
pub(crate) fn message(position: u64, key: &str) -> Message {
    let payload = format!("{key}{position}").into_bytes();
    Message::new("orders", position, payload, start()).with_key(key.as_bytes().to_vec())
}

pub(crate) fn dead(message: Message) -> Letter {
    let mut attempts = Attempts::default();
    attempts.record(start(), Class::of(Kind::Invalid), "no such instrument");
    Letter::dead(message, Reason::Fatal, attempts, start())
}

pub(crate) fn letters(store: &impl DeadLetterStore) -> Vec<Letter> {
    block_on(store.list(&Filter::default(), Page::first(1_000))).unwrap().letters
}

pub(crate) fn committed(store: &impl DeadLetterStore) -> Option<u64> {
    block_on(store.committed("orders", 0)).unwrap()
}

#[derive(Clone, Debug)]
pub(crate) struct Failed(pub(crate) Class);

impl Failed {
    pub(crate) fn of(kind: Kind) -> Self {
        Self(Class::of(kind))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed with {}", self.0.kind())
    }
}

impl Error for Failed {}

impl Classify for Failed {
    fn class(&self) -> Class {
        self.0
    }
}

pub(crate) fn fails_if(broken: bool) -> Result<(), Failed> {
    if broken { Err(Failed::of(Kind::Invalid)) } else { Ok(()) }
}

/// Delivers what is in it, front first.
#[derive(Clone, Default)]
pub(crate) struct Script(pub(crate) Rc<RefCell<VecDeque<Message>>>);

impl Script {
    pub(crate) fn of(messages: impl IntoIterator<Item = Message>) -> Self {
        Self(Rc::new(RefCell::new(messages.into_iter().collect())))
    }
}

impl Source for Script {
    type Error = Failed;

    async fn next(&mut self) -> Result<Option<Message>, Failed> {
        Ok(self.0.borrow_mut().pop_front())
    }
}

/// Notes what it is given and answers by a function of the message.
///
/// Payloads that begin with `?` cannot be decoded.
pub(crate) struct Answers<F> {
    pub(crate) calls: Vec<Message>,
    answer: F,
}

impl<F: FnMut(&Message) -> Result<(), Failed>> Answers<F> {
    pub(crate) fn new(answer: F) -> Self {
        Self { calls: Vec::new(), answer }
    }

    pub(crate) fn positions(&self) -> Vec<u64> {
        self.calls.iter().map(|message| message.position).collect()
    }
}

impl<F: FnMut(&Message) -> Result<(), Failed>> Handler for Answers<F> {
    type Message = Vec<u8>;
    type Error = Failed;

    fn decode(&self, raw: &Message) -> Result<Vec<u8>, Failed> {
        if raw.payload.starts_with(b"?") {
            return Err(Failed::of(Kind::Data));
        }
        Ok(raw.payload.clone())
    }

    async fn handle(&mut self, message: Vec<u8>, raw: &Message) -> Result<(), Failed> {
        assert_eq!(message, raw.payload);
        self.calls.push(raw.clone());
        (self.answer)(raw)
    }
}

pub(crate) type Steps = Result<Vec<Step>, backstop_dlq::ConsumerError>;

/// Steps until there is no message left; returns what each step did.
pub(crate) fn drain<S: Source, H: Handler, D: DeadLetterStore>(
    consumer: &mut Consumer<S, H, D, ManualClock>,
) -> Steps {
    let mut steps = Vec::new();
    loop {
        match block_on(consumer.step())? {
            Step::Idle => return Ok(steps),
            step => steps.push(step),
        }
    }
}

pub(crate) fn clock() -> ManualClock {
    let clock = ManualClock::new(start());
    assert_eq!(clock.now(), start());
    clock
}

/// A store that does what another one does, unless it is down.
#[derive(Clone)]
pub(crate) struct Flaky {
    pub(crate) store: MemoryStore,
    pub(crate) down: Rc<Cell<bool>>,
}

impl Flaky {
    pub(crate) fn new() -> Self {
        Self { store: MemoryStore::new(), down: Rc::default() }
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.get() {
            return Err(StoreError::outage(Failed::of(Kind::Unavailable)));
        }
        Ok(&self.store)
    }
}

impl DeadLetterStore for Flaky {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnceDeduped
    }

    async fn put(&self, letter: &Letter) -> Result<Put, StoreError> {
        self.up()?.put(letter).await
    }

    async fn commit(&self, position: &Position) -> Result<(), StoreError> {
        self.up()?.commit(position).await
    }

    async fn committed(&self, stream: &str, partition: u32) -> Result<Option<u64>, StoreError> {
        self.up()?.committed(stream, partition).await
    }

    async fn standing(&self, message: &Message) -> Result<Standing, StoreError> {
        self.up()?.standing(message).await
    }

    async fn park_if_blocked(
        &self,
        message: &Message,
        at: Timestamp,
    ) -> Result<Option<LetterId>, StoreError> {
        self.up()?.park_if_blocked(message, at).await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        self.up()?.letter(id).await
    }

    async fn head(&self, message: &Message) -> Result<Option<Letter>, StoreError> {
        self.up()?.head(message).await
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
        self.up()?.list(filter, page).await
    }

    async fn settle(&self, id: LetterId, settlement: Settlement) -> Result<Letter, StoreError> {
        self.up()?.settle(id, settlement).await
    }

    async fn edit(&self, id: LetterId, edit: Edit) -> Result<Letter, StoreError> {
        self.up()?.edit(id, edit).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.up()?.stats().await
    }
}
