//! The venue's events: put in order, handed on one by one, and asked for again where they lack.
//!
//! Events are numbered without gaps.
//! They are handed on in that order alone, because what a fill realises depends on the fills
//! before it; whatever arrives early waits, and the position in the stream is the number.
//! A number that does not come within [`GAP_PATIENCE`] is lost: then the books are compared with
//! the venue's before anything behind the gap is handed on.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    rc::Rc,
    time::Duration,
};

use backstop_clock::Timestamp;
use backstop_dlq::{Message, Source};

use crate::venue::{Delivery, Event, EventPage, Trade};

/// Name of the stream, in letters and positions.
pub const STREAM: &str = "venue";

/// How long a number may lack before it counts as lost.
pub const GAP_PATIENCE: Duration = Duration::from_secs(3);

/// Deliveries that may wait behind a gap; what is beyond is asked for again.
const WAITING_MAX: usize = 10_000;

/// New numbers that one page may make known.
const ROOM: u64 = 10_000;

/// The deliveries that have come and are not handed on yet; clones share them.
#[derive(Clone, Debug)]
pub struct Inbox {
    state: Rc<RefCell<State>>,
}

#[derive(Debug)]
struct State {
    waiting: BTreeMap<u64, Delivery>,
    /// The number to be handed on next.
    next: u64,
    /// The venue's last number, as it said last.
    head: u64,
    /// Numbers that the venue has given and that have not come, and since when that is known.
    lacking: BTreeMap<u64, Timestamp>,
}

/// What a page showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Numbers that came after a higher one.
    pub out_of_order: Vec<u64>,
    /// Numbers that the venue has given since the last page, and that have not come.
    pub lacking: Vec<u64>,
}

impl Inbox {
    /// An inbox that goes on behind `committed`.
    pub fn new(committed: u64) -> Self {
        let state = State {
            waiting: BTreeMap::new(),
            next: committed + 1,
            head: committed,
            lacking: BTreeMap::new(),
        };
        Self { state: Rc::new(RefCell::new(state)) }
    }

    /// Takes a page in.
    pub fn absorb(&self, page: EventPage, now: Timestamp) -> Absorbed {
        let mut state = self.state.borrow_mut();
        let mut absorbed = Absorbed::default();
        let mut highest = 0;
        for delivery in page.deliveries {
            let number = delivery.sequence;
            if number < highest {
                absorbed.out_of_order.push(number);
            }
            highest = highest.max(number);
            let is_full = state.waiting.len() >= WAITING_MAX;
            // The latest copy counts: an earlier one may have been damaged on its way.
            if number >= state.next && !is_full {
                state.lacking.remove(&number);
                state.waiting.insert(number, delivery);
            }
        }
        let known = state.head.max(state.next - 1);
        // What lies beyond the room that there is comes in its turn.
        let head = page.head.min(known.saturating_add(ROOM));
        let new = known + 1..=head;
        absorbed.lacking = new.filter(|number| !state.waiting.contains_key(number)).collect();
        for number in &absorbed.lacking {
            state.lacking.insert(*number, now);
        }
        state.head = state.head.max(head);
        absorbed
    }

    /// The number after which to ask for more.
    pub fn after(&self) -> u64 {
        self.state.borrow().next - 1
    }

    /// Whether every event that the venue knows of has been handed on.
    pub fn is_complete(&self) -> bool {
        let state = self.state.borrow();
        state.next > state.head
    }

    /// The venue's last number, as far as the inbox knows.
    pub fn head(&self) -> u64 {
        self.state.borrow().head
    }

    /// Whether everything up to a number has been handed on.
    pub fn has_passed(&self, number: u64) -> bool {
        self.state.borrow().next > number
    }

    /// The number that lacks, once patience has ended.
    pub fn lost(&self, now: Timestamp) -> Option<u64> {
        let state = self.state.borrow();
        let since = state.lacking.get(&state.next)?;
        (now.since(*since) >= GAP_PATIENCE).then_some(state.next)
    }

    /// Gives a lost number up; the books were compared without it.
    pub fn give_up(&self, number: u64) {
        let mut state = self.state.borrow_mut();
        if state.next == number && state.lacking.remove(&number).is_some() {
            state.next += 1;
        }
    }

    /// Trades that have come and wait, and symbols of which something waits that cannot be read.
    pub fn in_flight(&self) -> (Vec<Trade>, BTreeSet<String>) {
        let (mut trades, mut symbols) = (Vec::new(), BTreeSet::new());
        for delivery in self.state.borrow().waiting.values() {
            match serde_json::from_slice(&delivery.payload) {
                Ok(Event::Filled { trade }) => trades.push(trade),
                Ok(_) => {}
                Err(_) => {
                    symbols.insert(delivery.symbol.clone());
                }
            }
        }
        (trades, symbols)
    }
}

impl Source for Inbox {
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Message>, Infallible> {
        let mut state = self.state.borrow_mut();
        let next = state.next;
        let Some(delivery) = state.waiting.remove(&next) else { return Ok(None) };
        state.next += 1;
        let message = Message::new(STREAM, delivery.sequence, delivery.payload, delivery.at);
        Ok(Some(message.with_key(delivery.symbol.into_bytes())))
    }
}
