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
    for letter in &listing.letters {
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
        parked.extend(listing.letters.iter().map(Letter::id));
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

/// Symbols whose events wait behind a letter: their books lag the venue's on purpose.
///
/// # Errors
/// [`StoreError`] when the store cannot answer.
pub async fn symbols_behind_letters<D: DeadLetterStore>(
    letters: &Letters<D>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut symbols = BTreeSet::new();
    for state in [State::Dead, State::Parked, State::Quarantined] {
        let filter = Filter::default().with_stream(STREAM).with_state(state);
        let mut page = Some(Page::first(LETTERS_MAX));
        while let Some(wanted) = page {
            let listing = letters.list(&filter, wanted).await?;
            let keys = listing.letters.iter().filter_map(|letter| letter.message().key.clone());
            symbols.extend(keys.map(|key| String::from_utf8_lossy(&key).into_owned()));
            page = listing.next;
        }
    }
    Ok(symbols)
}
