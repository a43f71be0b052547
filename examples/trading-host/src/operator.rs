//! What an operator does between two runs: sets an instrument apart, or releases it.
//!
//! Both are entries of the journal in the operator's words, at the simulated time at which the
//! last process left it: the next run goes on from there.

use std::path::Path;

use anyhow::Context;
use backstop_clock::Timestamp;
use backstop_dlq::{
    DeadLetterStore, LetterId, State,
    history::Settlement,
    store::{Filter, Page},
};
use backstop_position_ledger::{
    Account, Durability, Entry, Fact, InstrumentId, Text,
    action::{Isolation, Subject},
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

/// A folder that no host works in, with the one instrument that it is about.
#[derive(Debug)]
pub struct Operator {
    _folder: Folder,
    stores: Stores,
    account: Account,
    instrument: InstrumentId,
    /// When the last process left.
    at: Timestamp,
}

/// What a release came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Why, and since when, it was set apart.
    pub isolation: Isolation,
    /// Letters that waited for a human and will be replayed.
    pub letters: usize,
}

impl Operator {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it holds no run, or the run does not trade the instrument.
    pub fn at(folder: &Path, market: Option<&Path>, symbol: &str) -> anyhow::Result<Self> {
        let market = setup::market(market)?;
        let (folder, db) = setup::write_into(folder)?;
        let stores = Stores::open(db, setup::instruments(&market.instruments)?)?;
        let written = Books::last_written_at(&stores.ledger)?.max(stores.last_snapshot_at);
        let at = written.context("nothing was ever booked here")?;
        let (account, instrument) = (Account::new(ACCOUNT)?, InstrumentId::new(symbol)?);
        Ok(Self { _folder: folder, stores, account, instrument, at })
    }

    /// Lets nothing more be booked on the instrument; gives back why that was so before, if it was.
    ///
    /// # Errors
    /// When the books refuse.
    pub fn isolate(&mut self, reason: &str) -> anyhow::Result<Option<Isolation>> {
        let before = self.isolation();
        if before.is_none() {
            let (subject, reason) = (self.subject(), Text::clipped(reason));
            self.post(Fact::Isolated { subject, reason })?;
        }
        Ok(before)
    }

    /// Lets the instrument be booked on again, and its letters be replayed; none when it was not
    /// set apart.
    ///
    /// # Errors
    /// When letters or books refuse.
    pub fn release(&mut self, reason: &str) -> anyhow::Result<Option<Released>> {
        let Some(isolation) = self.isolation() else { return Ok(None) };
        // Letters first: left in quarantine, they would have the instrument set apart again.
        let letters = self.quarantined()?;
        for letter in &letters {
            let released = Settlement::Released { note: reason.to_owned() };
            pollster::block_on(self.stores.letters.settle(*letter, released))?;
        }
        let (subject, reason) = (self.subject(), Text::clipped(reason));
        self.post(Fact::Released { subject, reason })?;
        Ok(Some(Released { isolation, letters: letters.len() }))
    }

    fn isolation(&self) -> Option<Isolation> {
        self.stores.ledger.books().isolation(&self.account, Some(&self.instrument)).cloned()
    }

    fn subject(&self) -> Subject {
        Subject::Instrument(self.instrument.clone())
    }

    fn post(&mut self, fact: Fact) -> anyhow::Result<()> {
        let ledger = &mut self.stores.ledger;
        let id = Ids::new(0).mint(self.at, "operator", ledger.version().saturating_add(1));
        let entry = Entry::new(id, self.account.clone(), self.at, fact).with_journaled_at(self.at);
        drop(ledger.append(&entry, Durability::Durable)?);
        Ok(())
    }

    fn quarantined(&self) -> anyhow::Result<Vec<LetterId>> {
        let filter = Filter::default().with_stream(STREAM).with_state(State::Quarantined);
        let (mut quarantined, mut page) = (Vec::new(), Some(Page::first(PAGE)));
        while let Some(wanted) = page {
            let listing = pollster::block_on(self.stores.letters.list(&filter, wanted))?;
            let of_it = listing.letters.iter().filter(|l| symbol_of(l) == self.instrument.as_str());
            quarantined.extend(of_it.map(backstop_dlq::Letter::id));
            page = listing.next;
        }
        Ok(quarantined)
    }
}
