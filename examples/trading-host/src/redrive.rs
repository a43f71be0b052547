//! Replays letters once their cause is gone.

use std::{collections::BTreeSet, sync::Arc};

use backstop_clock::Clock;
use backstop_dlq::{
    DeadLetterStore, Letter, LetterId, Reason, Replay, State, StoreError,
    history::Edit,
    store::{Filter, Page},
};

use crate::{
    events::STREAM,
    fill::Booking,
    host::Host,
    letters::Letters,
    venue::{Event, FaultSubject},
};

/// What a redrive did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Letters handled again, successfully or not.
    pub replayed: u64,
    /// Letters that are done with.
    pub resolved: u64,
}

impl Redriven {
    /// Adds what another redrive did.
    pub const fn add(&mut self, other: Self) {
        self.replayed += other.replayed;
        self.resolved += other.resolved;
    }
}

/// Letters looked at in one redrive.
const LETTERS_MAX: u32 = 500;

/// Replays the dead letters of the venue's stream, and what is parked behind them.
///
/// A letter that could not be decoded is asked for again: the venue still has the event whole.
/// The bytes that came are kept, the clean copy stands beside them.
/// Letters of an instrument that is set apart wait until it is released.
///
/// # Errors
/// [`StoreError`] when the store cannot answer.
pub async fn redrive<D: DeadLetterStore>(
    host: &Host,
    letters: &Letters<D>,
    booking: &mut Booking,
) -> Result<Redriven, StoreError> {
    let dead = Filter::default().with_stream(STREAM).with_state(State::Dead);
    let listing = letters.list(&dead, Page::first(LETTERS_MAX)).await?;
    let mut ready: Vec<LetterId> = Vec::new();
    for letter in listing.letters.iter().filter(|letter| !is_apart(host, letter)) {
        if letter.reason() != Reason::Undecodable || mend(host, letters, letter).await? {
            ready.push(letter.id());
        }
    }
    if ready.is_empty() {
        return Ok(Redriven::default());
    }
    replay(host, letters, booking, ready).await
}

/// Replays what is parked behind a letter that is done with.
///
/// A process that dies between a letter and the one behind it leaves that one parked for good:
/// the consumer parks only what comes, and a redrive begins at dead letters.
///
/// # Errors
/// [`StoreError`] when the store cannot answer.
pub async fn resume<D: DeadLetterStore>(
    host: &Host,
    letters: &Letters<D>,
    booking: &mut Booking,
) -> Result<Redriven, StoreError> {
    let filter = Filter::default().with_stream(STREAM).with_state(State::Parked);
    let mut parked: Vec<LetterId> = Vec::new();
    let mut page = Some(Page::first(LETTERS_MAX));
    while let Some(wanted) = page {
        let listing = letters.list(&filter, wanted).await?;
        let ready = listing.letters.iter().filter(|letter| !is_apart(host, letter));
        parked.extend(ready.map(Letter::id));
        page = listing.next;
    }
    replay(host, letters, booking, parked).await
}

/// Replays letters, as far as they are the first open ones of their keys.
async fn replay<D: DeadLetterStore>(
    host: &Host,
    letters: &Letters<D>,
    booking: &mut Booking,
    chosen: Vec<LetterId>,
) -> Result<Redriven, StoreError> {
    let plan = Replay::of(chosen).with_policy(Arc::clone(&host.policy));
    let replayed = plan.run(booking, letters, &host.clock).await?;
    let handled = replayed.resolved.len() + replayed.failed.len() + replayed.quarantined.len();
    Ok(Redriven {
        replayed: u64::try_from(handled).unwrap_or(u64::MAX),
        resolved: u64::try_from(replayed.resolved.len()).unwrap_or(u64::MAX),
    })
}

/// Puts a clean copy beside a letter's damaged bytes; false when the venue does not answer.
///
/// A copy that is no better is replayed all the same: what fails too often is quarantined.
async fn mend<D: DeadLetterStore>(
    host: &Host,
    letters: &Letters<D>,
    letter: &Letter,
) -> Result<bool, StoreError> {
    let number = letter.message().position;
    host.watch.notice(FaultSubject::Event(number), host.clock.now());
    let page = host.guard.repeat(|| host.venue.events(number - 1)).await;
    host.observe(&page);
    let Ok(page) = page else { return Ok(false) };
    let copies = page.deliveries.into_iter().filter(|delivery| delivery.sequence == number);
    let mut readable = copies
        .map(|delivery| delivery.payload)
        .filter(|payload| serde_json::from_slice::<Event>(payload).is_ok());
    if let Some(payload) = readable.next() {
        let edit = Edit { payload, by: "venue".to_owned(), at: host.clock.now() };
        letters.edit(letter.id(), edit).await?;
    }
    Ok(true)
}

/// What waits in letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Symbols whose events wait: their books lag the venue's on purpose.
    pub symbols: BTreeSet<String>,
    /// Those of them whose first letter waits for a human.
    pub quarantined: BTreeSet<String>,
    /// Whether another replay may move one.
    pub may_move: bool,
}

/// Looks through the open letters.
///
/// # Errors
/// [`StoreError`] when the store cannot answer.
pub async fn waiting<D: DeadLetterStore>(
    host: &Host,
    letters: &Letters<D>,
) -> Result<Waiting, StoreError> {
    let mut waiting = Waiting::default();
    for state in [State::Dead, State::Parked, State::Quarantined] {
        let filter = Filter::default().with_stream(STREAM).with_state(state);
        let mut page = Some(Page::first(LETTERS_MAX));
        while let Some(wanted) = page {
            let listing = letters.list(&filter, wanted).await?;
            let symbols = listing.letters.iter().map(symbol_of);
            match state {
                State::Dead => {
                    waiting.may_move |=
                        listing.letters.iter().any(|letter| !is_apart(host, letter));
                }
                State::Quarantined => waiting.quarantined.extend(symbols.clone()),
                _ => {}
            }
            waiting.symbols.extend(symbols);
            page = listing.next;
        }
    }
    Ok(waiting)
}

/// The symbol that a letter is about; empty when it names none.
pub fn symbol_of(letter: &Letter) -> String {
    let key = letter.message().key.as_deref().unwrap_or_default();
    String::from_utf8_lossy(key).into_owned()
}

/// Whether a replay would fail, because nothing may be booked on the instrument.
fn is_apart(host: &Host, letter: &Letter) -> bool {
    host.is_apart(&symbol_of(letter))
}
