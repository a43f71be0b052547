//! What an operator does between two runs: sets an instrument apart, releases it, or decides what
//! becomes of a single letter.
//!
//! What concerns an instrument is an entry of the journal in the operator's words, at the simulated
//! time at which the last process left it: the next run goes on from there.

use std::{fmt, path::Path, str::FromStr};

use anyhow::{Context, bail};
use backstop_clock::Timestamp;
use backstop_dlq::{
    DeadLetterStore, Letter, LetterId, State,
    history::Settlement,
    store::{Filter, Page},
};
use backstop_position_ledger::{
    Account, Durability, Entry, Fact, InstrumentId, Text,
    action::{Isolation, Subject},
    error::NameError,
};

use crate::{
    accounts::Books,
    events::STREAM,
    ids::Ids,
    redrive::symbol_of,
    setup::{self, ACCOUNT, Folder, Stores},
};

/// Letters on one page.
const PAGE: u32 = 500;

/// Why an operator does something, in words that every store keeps whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Text);

/// Words that are no reason, or too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// Nothing was said.
    #[error("a reason must not be empty")]
    Empty,
    /// The journal would not keep it whole.
    #[error("a reason must have at most {max} bytes, not {bytes}", max = Text::BYTES_MAX)]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It has characters that no line of text has.
    #[error(transparent)]
    Text(#[from] NameError),
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(words: &str) -> Result<Self, ReasonError> {
        match words.trim() {
            "" => Err(ReasonError::Empty),
            words if words.len() > Text::BYTES_MAX => {
                Err(ReasonError::TooLong { bytes: words.len() })
            }
            words => Ok(Self(Text::new(words)?)),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A folder that no host works in.
#[derive(Debug)]
pub struct Operator {
    _folder: Folder,
    stores: Stores,
    account: Account,
    /// What is traded.
    instruments: Vec<InstrumentId>,
    /// When the last process left.
    at: Timestamp,
}

/// What a release came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Why, and since when, it was set apart.
    pub isolation: Isolation,
    /// Letters of it that the next run replays: those that waited for a human, and all others.
    pub letters: usize,
}

/// A letter of which an operator has decided what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The letter as it is now.
    pub letter: Letter,
    /// Why it is not replayed yet all the same: its instrument is set apart.
    pub isolation: Option<Isolation>,
}

impl Operator {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it holds no run, or one that this program may not write.
    pub fn at(folder: &Path, market: Option<&Path>) -> anyhow::Result<Self> {
        let market = setup::market(market)?;
        let (folder, db) = setup::write_into(folder)?;
        let stores = Stores::open(db, setup::instruments(&market.instruments)?)?;
        let whole = stores.last_whole_snapshot_at()?;
        let written = Books::last_written_at(&stores.ledger)?.max(whole);
        let at = written.context("nothing was ever booked here")?;
        let symbols = market.instruments.iter().map(|traded| traded.symbol.as_str());
        let instruments = symbols.map(InstrumentId::new).collect::<Result<_, _>>()?;
        let account = Account::new(ACCOUNT)?;
        Ok(Self { _folder: folder, stores, account, instruments, at })
    }

    /// Lets nothing more be booked on an instrument; gives back why that was so before, if it was.
    ///
    /// # Errors
    /// When it is not traded here, or the books refuse.
    pub fn isolate(&mut self, symbol: &str, reason: &Reason) -> anyhow::Result<Option<Isolation>> {
        let instrument = self.traded(symbol)?;
        let before = self.isolation(&instrument);
        if before.is_none() {
            let (subject, reason) = (Subject::Instrument(instrument), reason.0.clone());
            self.post(Fact::Isolated { subject, reason })?;
        }
        Ok(before)
    }

    /// Lets an instrument be booked on again, and its letters be replayed; none when it was not
    /// set apart.
    ///
    /// The letters come first, one by one, and the entry of the journal last.
    /// If that is interrupted, the instrument is still set apart, and another release completes it.
    ///
    /// # Errors
    /// When it is not traded here, or letters or books refuse.
    pub fn release(&mut self, symbol: &str, reason: &Reason) -> anyhow::Result<Option<Released>> {
        let instrument = self.traded(symbol)?;
        let Some(isolation) = self.isolation(&instrument) else { return Ok(None) };
        // Left in quarantine, they would have the instrument set apart again.
        for letter in self.letters(symbol, State::Quarantined)? {
            let released = Settlement::Released { note: reason.to_string() };
            pollster::block_on(self.stores.letters.settle(letter, released))?;
        }
        let (subject, reason) = (Subject::Instrument(instrument), reason.0.clone());
        self.post(Fact::Released { subject, reason })?;
        let (dead, parked) = (State::Dead, State::Parked);
        let letters = self.letters(symbol, dead)?.len() + self.letters(symbol, parked)?.len();
        Ok(Some(Released { isolation, letters }))
    }

    /// Lets one letter that waits for a human be replayed, whatever instrument it names.
    ///
    /// # Errors
    /// When there is no such letter, or it does not wait for a human.
    pub fn release_letter(&self, id: LetterId, reason: &Reason) -> anyhow::Result<Decided> {
        self.decide(id, Settlement::Released { note: reason.to_string() })
    }

    /// Gives one letter up; a trade that only it told of is then found by comparison.
    ///
    /// # Errors
    /// When there is no such letter, or it is done with already.
    pub fn discard_letter(&self, id: LetterId, reason: &Reason) -> anyhow::Result<Decided> {
        self.decide(id, Settlement::Discarded { at: self.at, note: reason.to_string() })
    }

    fn decide(&self, id: LetterId, settlement: Settlement) -> anyhow::Result<Decided> {
        let letter = pollster::block_on(self.stores.letters.settle(id, settlement))?;
        let symbol = symbol_of(&letter);
        let instrument = self.instruments.iter().find(|traded| traded.as_str() == symbol);
        let isolation = instrument.and_then(|instrument| self.isolation(instrument));
        Ok(Decided { letter, isolation })
    }

    fn traded(&self, symbol: &str) -> anyhow::Result<InstrumentId> {
        match self.instruments.iter().find(|traded| traded.as_str() == symbol) {
            Some(traded) => Ok(traded.clone()),
            None => bail!("{symbol} is not traded here; a letter that names it goes by its id"),
        }
    }

    fn isolation(&self, instrument: &InstrumentId) -> Option<Isolation> {
        self.stores.ledger.books().isolation(&self.account, Some(instrument)).cloned()
    }

    fn post(&mut self, fact: Fact) -> anyhow::Result<()> {
        let ledger = &mut self.stores.ledger;
        let id = Ids::new(0).mint(self.at, "operator", ledger.version().saturating_add(1));
        let entry = Entry::new(id, self.account.clone(), self.at, fact).with_journaled_at(self.at);
        drop(ledger.append(&entry, Durability::Durable)?);
        Ok(())
    }

    fn letters(&self, symbol: &str, state: State) -> anyhow::Result<Vec<LetterId>> {
        let filter = Filter::default().with_stream(STREAM).with_state(state);
        let (mut found, mut page) = (Vec::new(), Some(Page::first(PAGE)));
        while let Some(wanted) = page {
            let listing = pollster::block_on(self.stores.letters.list(&filter, wanted))?;
            let of_it = listing.letters.iter().filter(|letter| symbol_of(letter) == symbol);
            found.extend(of_it.map(Letter::id));
            page = listing.next;
        }
        Ok(found)
    }
}
