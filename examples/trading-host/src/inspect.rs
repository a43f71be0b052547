//! Looks into what a run left; changes nothing.

use std::{fmt::Write as _, path::Path, rc::Rc};

use backstop_dlq::{
    DeadLetterStore,
    store::{Filter, Page},
};
use backstop_position_ledger::{
    action::Subject,
    error::StoreError,
    journal,
    pnl::{Damaged, Kind, Query, Status, Store},
};
use rust_decimal::Decimal;

use crate::{
    accounts::Books,
    alerts::utc,
    chance::Chance,
    http_venue::HttpVenue,
    proof,
    redrive::symbol_of,
    runtime::SimClock,
    setup::{self, Folder, Stores, VENUE_FILE},
    venue::{Audit, Venue},
};

/// Lines of a listing.
const LISTED_MAX: u32 = 1_000;

/// A folder that is looked into.
#[derive(Debug)]
pub struct Look {
    folder: Folder,
    stores: Stores,
    market: std::sync::Arc<crate::market::Market>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// For the reader.
    pub text: String,
    /// Whether it is as it should be.
    pub is_well: bool,
}

impl Look {
    /// Opens a folder that no host works in.
    ///
    /// # Errors
    /// When it holds no run, or one that this program does not understand.
    pub fn at(folder: &Path, market: Option<&Path>) -> anyhow::Result<Self> {
        anyhow::ensure!(folder.is_dir(), "{} is no folder", folder.display());
        let market = setup::market(market)?;
        let (folder, db) = setup::look_into(folder)?;
        let stores = Stores::open(db, setup::instruments(&market.instruments)?)?;
        match stores.last_snapshot_at() {
            // What is damaged is there to be looked at.
            Err(error) if !is_damage(&error) => Err(error),
            _ => Ok(Self { folder, stores, market }),
        }
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    let snapshot = error.downcast_ref();
    matches!(snapshot, Some(StoreError::Checksum(_) | StoreError::Unreadable { .. }))
}

/// Lists the letters, with state, reason and note.
///
/// # Errors
/// When the store cannot be read.
pub fn letters(look: &Look) -> anyhow::Result<Seen> {
    let store = &look.stores.letters;
    let mut text = String::new();
    let mut page = Some(Page::first(LISTED_MAX));
    while let Some(wanted) = page {
        let listing = pollster::block_on(store.list(&Filter::default(), wanted))?;
        for letter in &listing.letters {
            let message = letter.message();
            writeln!(
                text,
                "{} {}/{} of {:?} {} {} attempts {} replays {} {}",
                letter.id(),
                message.stream,
                message.position,
                symbol_of(letter),
                letter.state().name(),
                letter.reason().name(),
                letter.attempts().count(),
                letter.replays(),
                letter.note().unwrap_or("")
            )?;
        }
        page = listing.next;
    }
    let stats = pollster::block_on(store.stats())?;
    write!(text, "{} letters, {} open", stats.total(), stats.open())?;
    Ok(Seen { text, is_well: stats.open() == 0 })
}

/// Shows positions and balances.
///
/// # Errors
/// A figure outside of the range.
pub fn positions(look: &Look) -> anyhow::Result<Seen> {
    let books = look.stores.ledger.books();
    let mut text = String::new();
    for position in books.positions() {
        let average = match position.average() {
            Ok(average) => average.map_or_else(|| "-".to_owned(), |average| average.to_string()),
            Err(out_of_range) => out_of_range.to_string(),
        };
        writeln!(
            text,
            "{:<8} {:>12} at {:<14} realised {}",
            position.instrument().id(),
            position.quantity(),
            average,
            position.realized_gross()
        )?;
    }
    for (_, currency, balance) in books.balances() {
        writeln!(
            text,
            "{currency:<8} {} = {} deposited + {} adjusted + {} realised - {} fees",
            balance.total,
            balance.deposited,
            balance.adjusted,
            balance.realized_gross,
            balance.fees
        )?;
    }
    for (_, subject, since) in books.isolated() {
        if let Subject::Instrument(id) = subject {
            writeln!(text, "{id:<8} is set apart since {}: {}", utc(since.at), since.reason)?;
        }
    }
    let (open, entries) = (books.open_orders().count(), books.sequence());
    write!(text, "{open} open orders, {entries} entries")?;
    Ok(Seen { text, is_well: true })
}

/// Lists the kept snapshots that a query asks for, each with what became of it and whether the
/// journal leads to its figures.
///
/// # Errors
/// When store or journal cannot be read.
pub fn snapshots(look: &Look, query: &Query, doubtful: bool) -> anyhow::Result<Seen> {
    let rows = look.stores.snapshots.find_each(query)?;
    let kept = rows.len();
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(stored) => found.push(stored),
            Err(row) => damaged.push(row),
        }
    }
    found.sort_by_key(|stored| stored.snapshot.sequence);
    let mut replay = look.stores.ledger.replay();
    let (mut text, mut agreeing) = (String::new(), 0_usize);
    for stored in &found {
        let snapshot = &stored.snapshot;
        let books = replay.advance_to(snapshot.sequence)?;
        let agrees = snapshot.verify_against(books);
        let is_well = agrees.is_ok() && stored.status == Status::Valid;
        agreeing += usize::from(is_well);
        if doubtful && is_well {
            continue;
        }
        let verdict = agrees.map_or_else(|error| error.to_string(), |()| "agrees".into());
        let total = |(currency, amount): (_, &_)| format!("{currency} {amount}");
        let realized = listed(snapshot.realized.iter().map(total));
        let unrealized = listed(snapshot.unrealized.iter().map(total));
        writeln!(
            text,
            "{} {} entry {} realised {realized} unrealised {unrealized} {} {} {verdict}",
            utc(snapshot.at),
            snapshot.kind.as_str(),
            snapshot.sequence,
            snapshot.checksum,
            stored.status.as_str(),
        )?;
        for drift in stored.validation.iter().flat_map(|(validation, _)| &validation.drifts) {
            let of = drift.instrument.as_ref().map_or(drift.currency.as_str(), |id| id.as_str());
            let figure = drift.figure.as_str();
            writeln!(text, "  {figure} of {of} differed by {}", drift.difference)?;
        }
    }
    for Damaged { at, kind, error, .. } in damaged.into_iter().rev() {
        let kind = kind.map_or("of no kind", Kind::as_str);
        writeln!(text, "{} {kind} damaged: {error}", utc(at))?;
    }
    write!(text, "{kept} snapshots, {agreeing} agree with the books")?;
    Ok(Seen { text, is_well: kept == agreeing })
}

/// Figures one after the other; `nothing` when there are none.
fn listed(figures: impl Iterator<Item = String>) -> String {
    match figures.collect::<Vec<_>>() {
        none if none.is_empty() => "nothing".to_owned(),
        some => some.join(", "),
    }
}

/// Verifies the journal's chain, and that money is conserved.
///
/// # Errors
/// When the journal cannot be read; opening it has verified it once already.
pub fn verify(look: &Look) -> anyhow::Result<Seen> {
    let ledger = &look.stores.ledger;
    let head = journal::verify(ledger.journal())?;
    let conserved = ledger.books().check_conservation();
    let is_well = conserved.is_ok() && head == ledger.books().checkpoint();
    let money = conserved.map_or_else(|error| error.to_string(), |()| "money conserved".into());
    let text = format!("{} entries verified, head {}, {money}", head.sequence, head.hash);
    Ok(Seen { text, is_well })
}

/// Compares the books with the venue's own.
///
/// # Errors
/// When the venue's file cannot be read, or its process does not answer.
pub fn reconcile(look: &Look, venue: Option<&str>) -> anyhow::Result<Seen> {
    let audit = match venue {
        Some(url) => {
            let clock = SimClock::new(look.stores.ledger.last_written_at()?.unwrap_or_default());
            let venue: Rc<dyn Venue> = Rc::new(HttpVenue::new(url, clock, Chance::new(0))?);
            pollster::block_on(venue.audit())?
        }
        None => audit_of_file(look)?,
    };
    let breaks = proof::level_with(look.stores.ledger.books(), &audit);
    let adjusted: Vec<Decimal> = look
        .stores
        .ledger
        .books()
        .adjustments()
        .map(|adjustment| adjustment.amount.try_into())
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    for found in &breaks {
        writeln!(text, "{found}")?;
    }
    write!(
        text,
        "{} trades at the venue, {} fills in the books, adjusted by {}, {} breaks",
        audit.trades.len(),
        look.stores.ledger.books().fills().len(),
        listed(adjusted.iter().map(ToString::to_string)),
        breaks.len()
    )?;
    Ok(Seen { text, is_well: breaks.is_empty() })
}

/// The books of the venue that lived in the run's own process, from its file.
fn audit_of_file(look: &Look) -> anyhow::Result<Audit> {
    let file = look.folder.file(VENUE_FILE);
    anyhow::ensure!(
        file.exists(),
        "{} is missing: the run traded against a venue of another process, name it with --venue",
        file.display()
    );
    // A copy, because resuming a venue cuts a torn last line off.
    let copy = tempfile::NamedTempFile::new()?;
    std::fs::copy(&file, copy.path())?;
    let mut venue = setup::venue_of(&look.market, copy.path())?;
    let now = venue.now();
    Ok(venue.audit(now))
}
