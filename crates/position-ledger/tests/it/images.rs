//! Images: a ledger opens on the last one and what came after it, and is the same as if it had read everything.

use std::path::Path;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{AppendError, Fault, ReplayError, VerifyError};
use backstop_position_ledger::fill::{Side, TradeId};
use backstop_position_ledger::journal::{Journal, Record};
use backstop_position_ledger::order::{Event, Portfolio};
use backstop_position_ledger::{
    Account, Amount, Durability, Fact, Instrument, Instruments, Ledger, MemoryJournal, Outcome,
    SqliteJournal, Text,
};
use backstop_storage::Database;

use crate::kit::{Desk, amount, apply, currency, event, fill, instrument_id, instruments, intent};

/// A bit of everything, so that nothing of the books can be forgotten: `trades` numbers the fills.
fn write(ledger: &mut Ledger, desk: &mut Desk, trades: std::ops::Range<u32>) {
    for trade in trades {
        let order = u128::from(trade) + 1_000;
        apply(ledger, desk, Fact::intended(intent(order, "5")));
        if trade % 3 == 0 {
            apply(ledger, desk, event(order, Event::Expired));
        }
        let mut bought = fill(&format!("t{trade}"), "2", "1.1");
        bought.fee = amount("0.01");
        bought.order_id = backstop_position_ledger::Entry::id_at(Timestamp::EPOCH, [3; 10]);
        if trade % 4 == 0 {
            bought.side = Side::Sell;
            bought.trade_id = TradeId::of_number(trade.into());
            bought.instrument = instrument_id("GOLD");
        }
        let entry = desk.entry(Fact::Filled(bought));
        let entry = entry.with_portfolio(Portfolio::new("slow").unwrap());
        assert!(ledger.append(&entry, Durability::Grouped).is_ok());
        let reason = Text::new("drift").unwrap();
        let adjusted = Fact::Adjusted { currency: currency("BNB"), amount: amount("-1"), reason };
        apply(ledger, desk, adjusted);
    }
}

fn sqlite(path: &Path) -> Box<dyn Journal> {
    let db = Database::open(path).unwrap();
    Box::new(SqliteJournal::create(db, Timestamp::EPOCH).unwrap())
}

/// Entries that hold everything the books keep, so that an image that forgot a part of it would show.
fn assert_same(resumed: &mut Ledger, whole: &Ledger) {
    assert_eq!(resumed.books(), whole.books());
    let records = whole.journal().read(0, usize::MAX).unwrap();
    assert_eq!(resumed.journal().read(0, usize::MAX).unwrap(), records);
    // What is known must be known for ever: every entry again is a duplicate.
    for record in records {
        let outcome = resumed.append(&record.entry().unwrap(), Durability::Grouped).unwrap();
        assert_eq!(outcome, Outcome::Duplicate);
    }
    assert_eq!(resumed.books(), whole.books());
}

#[test]
fn a_ledger_resumes_from_an_image_and_its_tail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let mut desk = Desk::default();
    let mut ledger = Ledger::resume(sqlite(&path), instruments()).unwrap();
    for round in 0..3 {
        // More fills than a chunk holds, so that chunks are added to those of earlier images.
        write(&mut ledger, &mut desk, round * 1_500..round * 1_500 + 1_490);
        let point = ledger.keep_image().unwrap();
        assert_eq!(point, ledger.books().checkpoint());
        write(&mut ledger, &mut desk, round * 1_500 + 1_490..(round + 1) * 1_500);
        ledger.flush().unwrap();
        let before = ledger.books().clone();
        drop(ledger);
        ledger = Ledger::resume(sqlite(&path), instruments()).unwrap();
        assert_eq!(*ledger.books(), before);
    }
    // With no entry after the image, everything that is known is known from it.
    ledger.keep_image().unwrap();
    drop(ledger);
    let mut ledger = Ledger::resume(sqlite(&path), instruments()).unwrap();
    let mut whole = Ledger::open(sqlite(&path), instruments()).unwrap();
    assert_same(&mut ledger, &whole);
    // Both go on alike.
    drop(ledger);
    write(&mut whole, &mut desk, 90_000..90_001);
    whole.flush().unwrap();
    let resumed = Ledger::resume(sqlite(&path), instruments()).unwrap();
    assert_eq!(resumed.books(), whole.books());
}

/// Both journals with an image after the first part of them.
fn with_image() -> (Vec<Record>, MemoryJournal) {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::default();
    let mut ledger = Ledger::open(sqlite(&folder.path().join("books.db")), instruments()).unwrap();
    write(&mut ledger, &mut desk, 0..20);
    ledger.keep_image().unwrap();
    write(&mut ledger, &mut desk, 20..30);
    let records = ledger.journal().read(0, usize::MAX).unwrap();
    let mut memory = MemoryJournal::from_records(records.clone());
    let image = ledger.journal().image().unwrap().unwrap();
    memory.keep_image(image, 0, Vec::new()).unwrap();
    (records, memory)
}

#[test]
fn a_damaged_image_or_one_of_another_version_is_left_aside() {
    let (records, journal) = with_image();
    let whole =
        Ledger::open(Box::new(MemoryJournal::from_records(records)), instruments()).unwrap();
    let image = journal.image().unwrap().unwrap();
    for byte in (0..image.body.len()).step_by(7) {
        let (mut damaged, mut journal) = (image.clone(), journal.clone());
        damaged.body[byte] ^= 1;
        journal.keep_image(damaged, 0, Vec::new()).unwrap();
        let resumed = Ledger::resume(Box::new(journal), instruments()).unwrap();
        assert_eq!(resumed.books(), whole.books());
    }
}

#[test]
fn a_journal_that_lacks_the_entry_of_its_image_is_refused() {
    let (records, journal) = with_image();
    let image = journal.image().unwrap().unwrap();
    let at = usize::try_from(image.checkpoint.sequence).unwrap();
    let resume = |records: Vec<Record>| {
        let mut journal = MemoryJournal::from_records(records);
        journal.keep_image(image.clone(), 0, Vec::new()).unwrap();
        match Ledger::resume(Box::new(journal), instruments()) {
            Err(ReplayError::Verify(VerifyError::Broken { sequence, fault })) => {
                Some((sequence, fault))
            }
            other => panic!("{other:?}"),
        }
    };
    let known = image.checkpoint.sequence;
    assert_eq!(resume(records[..at - 1].to_vec()), Some((known, Fault::Missing)));
    let mut other = records.clone();
    other[at - 1].hash = records[0].hash;
    assert_eq!(resume(other), Some((known, Fault::Rewritten)));
    let mut other = records.clone();
    other[at - 1].body[40] ^= 1;
    assert_eq!(resume(other), Some((known, Fault::Hash)));
    // What comes after it is verified like any other entry.
    let mut other = records.clone();
    other[at + 2].body[40] ^= 1;
    assert_eq!(resume(other), Some((known + 3, Fault::Hash)));
}

#[test]
fn an_image_on_other_terms_is_refused() {
    let (_, journal) = with_image();
    let id = instrument_id("GOLD");
    let other =
        Instrument::new(id.clone(), currency("USD"), amount("0.1"), amount("0.01")).unwrap();
    let other = other.with_multiplier(Amount::from_int(3)).unwrap();
    let rest = instruments();
    let rest = rest.iter().filter(|instrument| *instrument.id() != id).cloned();
    let known = Instruments::new(rest.chain([other])).unwrap().with_currency(currency("BNB"));
    let refused = Ledger::resume(Box::new(journal), known);
    assert!(matches!(refused, Err(ReplayError::Terms { .. })), "{refused:?}");
}

#[test]
fn instruments_that_are_added_later_do_not_disturb_an_image() {
    let (records, journal) = with_image();
    let early =
        Instrument::new(instrument_id("AAA"), currency("USD"), amount("1"), amount("1")).unwrap();
    let more = || {
        let all = instruments();
        Instruments::new(all.iter().cloned().chain([early.clone()]))
            .unwrap()
            .with_currency(currency("BNB"))
    };
    let resumed = Ledger::resume(Box::new(journal), more()).unwrap();
    let whole = Ledger::open(Box::new(MemoryJournal::from_records(records)), more()).unwrap();
    assert_eq!(resumed.books(), whole.books());
    let account = Account::new("A").unwrap();
    let held = |ledger: &Ledger| {
        ledger.books().position(&account, &instrument_id("GOLD")).unwrap().instrument().multiplier()
    };
    assert_eq!(held(&resumed), held(&whole));
}

/// A journal that keeps no images says so.
#[derive(Debug)]
struct Plain(MemoryJournal);

impl Journal for Plain {
    fn append(
        &mut self,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<(), backstop_position_ledger::error::JournalError> {
        self.0.append(records, durability)
    }

    fn read(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, backstop_position_ledger::error::JournalError> {
        self.0.read(after, limit)
    }

    fn head(
        &self,
    ) -> Result<
        backstop_position_ledger::journal::Checkpoint,
        backstop_position_ledger::error::JournalError,
    > {
        self.0.head()
    }

    fn flush(&mut self) -> Result<(), backstop_position_ledger::error::JournalError> {
        self.0.flush()
    }
}

#[test]
fn a_journal_without_images_refuses_one_and_goes_on() {
    let (mut desk, journal) = (Desk::default(), Plain(MemoryJournal::new()));
    let mut ledger = Ledger::resume(Box::new(journal), instruments()).unwrap();
    write(&mut ledger, &mut desk, 0..2);
    assert!(matches!(ledger.keep_image(), Err(AppendError::Journal(_))));
    write(&mut ledger, &mut desk, 2..3);
}
