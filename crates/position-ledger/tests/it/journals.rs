//! Journals: one contract for every kind, and damage of every kind is found.

use std::path::Path;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{AppendError, Fault, JournalError, ReplayError, VerifyError};
use backstop_position_ledger::journal::{
    Checkpoint, Image, Journal, Record, verify, verify_against,
};
use backstop_position_ledger::{
    Amount, Durability, Fact, Instrument, Instruments, Ledger, MemoryJournal, Outcome,
    SqliteJournal,
};
use backstop_storage::Database;
use proptest::prelude::*;

use crate::kit::{Desk, amount, apply, currency, fill, instrument_id, instruments, ledger};

/// A few entries of several kinds.
fn write(ledger: &mut Ledger, desk: &mut Desk, trades: std::ops::Range<u32>) {
    for trade in trades {
        apply(ledger, desk, Fact::Filled(fill(&format!("t{trade}"), "1", "1.1")));
        let reason = backstop_position_ledger::Text::new("drift").unwrap();
        apply(
            ledger,
            desk,
            Fact::Adjusted { currency: currency("USD"), amount: amount("-1"), reason },
        );
    }
}

fn records(journal: &dyn Journal) -> Vec<Record> {
    journal.read(0, usize::MAX).unwrap()
}

/// What every journal has to do; `open` opens the same one again.
fn contract(mut journal: Box<dyn Journal>, open: impl Fn() -> Option<Box<dyn Journal>>) {
    let mut source = ledger();
    write(&mut source, &mut Desk::default(), 0..3);
    let all = records(source.journal());

    assert_eq!(journal.head().unwrap(), Checkpoint::START);
    assert_eq!(journal.read(0, 10).unwrap(), []);
    journal.append(all[..2].to_vec(), Durability::Grouped).unwrap();
    journal.append(all[2..3].to_vec(), Durability::Durable).unwrap();
    assert_eq!(records(&*journal), all[..3]);
    assert_eq!(journal.head().unwrap(), all[2].checkpoint());

    // A gap, a repetition and a wrong predecessor are refused, and refuse the whole group with them.
    for wrong in [all[4..].to_vec(), all[2..4].to_vec(), vec![all[3].clone(), all[5].clone()]] {
        journal.append(wrong, Durability::Durable).unwrap_err();
        assert_eq!(records(&*journal), all[..3]);
    }
    journal.append(all[3..].to_vec(), Durability::Grouped).unwrap();
    assert_eq!(journal.read(4, 1).unwrap(), all[4..5]);
    assert_eq!(journal.read(6, 1).unwrap(), []);
    assert_eq!(verify(&*journal).unwrap(), all[5].checkpoint());
    journal.flush().unwrap();
    images(&mut *journal, &all);
    drop(journal);
    if let Some(journal) = open() {
        assert_eq!(records(&*journal), all);
        assert_eq!(journal.head().unwrap(), all[5].checkpoint());
    }
}

/// The part of the contract for journals that keep images.
fn images(journal: &mut dyn Journal, all: &[Record]) {
    assert_eq!(journal.image().unwrap(), None);
    let digest = all[0].hash;
    let image = |at: usize| Image {
        checkpoint: all[at].checkpoint(),
        digest,
        body: vec![u8::try_from(at).unwrap(); 9],
    };
    let rows = |bytes: &[u8]| bytes.iter().map(|byte| vec![*byte; 5]).collect::<Vec<_>>();
    journal.keep_image(image(1), 0, rows(&[10, 11])).unwrap();
    journal.keep_image(image(2), 2, Vec::new()).unwrap();
    journal.keep_image(image(4), 2, rows(&[12])).unwrap();
    assert_eq!(journal.image().unwrap(), Some(image(4)));
    for (number, byte) in (0..).zip([10, 11, 12]) {
        assert_eq!(journal.image_rows(number).unwrap(), Some(vec![byte; 5]));
    }
    assert_eq!(journal.image_rows(3).unwrap(), None);
    assert_eq!(records(journal), all);
}

#[test]
fn memory_keeps_the_contract() {
    contract(Box::new(MemoryJournal::new()), || None);
}

fn open(path: &Path) -> Box<dyn Journal> {
    Box::new(SqliteJournal::open(Database::open(path).unwrap()).unwrap())
}

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let db = Database::open(&path).unwrap();
    contract(Box::new(SqliteJournal::create(db, Timestamp::EPOCH).unwrap()), || Some(open(&path)));
}

#[test]
fn sqlite_gives_the_same_books_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let mut desk = Desk::default();
    let created = SqliteJournal::create(Database::open(&path).unwrap(), Timestamp::EPOCH).unwrap();
    let mut ledger = Ledger::open(Box::new(created), instruments()).unwrap();
    write(&mut ledger, &mut desk, 0..20);
    ledger.flush().unwrap();
    let before = ledger.books().clone();
    drop(ledger);
    let mut ledger = Ledger::open(open(&path), instruments()).unwrap();
    assert_eq!(*ledger.books(), before);
    write(&mut ledger, &mut desk, 20..21);
    assert_eq!(ledger.as_of(40).unwrap(), before);
}

#[test]
fn sqlite_stores_groups_of_any_size_as_they_are() {
    let mut source = ledger();
    write(&mut source, &mut Desk::default(), 0..110);
    let all = records(source.journal());
    let db = Database::in_memory().unwrap();
    let mut journal = SqliteJournal::create(db.clone(), Timestamp::EPOCH).unwrap();
    let mut stored = 0;
    for size in [1, 2, 24, 25, 26, 49, 50, 43] {
        let commits = db.commits();
        journal.append(all[stored..stored + size].to_vec(), Durability::Durable).unwrap();
        assert_eq!(db.commits(), commits + 1, "a group is one commit");
        stored += size;
        assert_eq!(records(&journal), all[..stored]);
    }
    assert_eq!(verify(&journal).unwrap(), all[stored - 1].checkpoint());
}

#[test]
fn only_a_durable_entry_waits_for_the_disk() {
    let db = Database::in_memory().unwrap();
    let journal = SqliteJournal::create(db.clone(), Timestamp::EPOCH).unwrap();
    let (mut ledger, mut desk) =
        (Ledger::open(Box::new(journal), instruments()).unwrap(), Desk::default());
    let before = db.commits();
    write(&mut ledger, &mut desk, 0..50);
    assert_eq!(db.commits(), before);
    let intent = desk.entry(Fact::intended(crate::kit::intent(2, "1")));
    assert!(ledger.append(&intent, Durability::Durable).is_ok());
    assert_eq!(db.commits(), before + 1);
}

#[test]
fn a_second_writer_stops_the_first_one() {
    let db = Database::in_memory().unwrap();
    let create = || Box::new(SqliteJournal::create(db.clone(), Timestamp::EPOCH).unwrap());
    let mut first = Ledger::open(create(), instruments()).unwrap();
    let mut second = Ledger::open(create(), instruments()).unwrap();
    let mut desk = Desk::default();
    write(&mut first, &mut desk, 0..1);
    let entry = desk.entry(Fact::Filled(fill("t9", "1", "1.1")));
    let before = second.books().clone();
    assert!(matches!(second.append(&entry, Durability::Durable), Err(AppendError::Journal(_))));
    assert_eq!(*second.books(), before);
    assert!(matches!(second.append(&entry, Durability::Durable), Err(AppendError::Stopped)));
}

#[test]
fn sqlite_refuses_to_change_or_delete_a_row() {
    let db = Database::in_memory().unwrap();
    let journal = SqliteJournal::create(db.clone(), Timestamp::EPOCH).unwrap();
    let mut ledger = Ledger::open(Box::new(journal), instruments()).unwrap();
    write(&mut ledger, &mut Desk::default(), 0..1);
    for statement in ["DELETE FROM ledger_journal", "UPDATE ledger_journal SET body = x'00'"] {
        db.write(move |connection| connection.execute(statement, [])).unwrap_err();
    }
    verify(ledger.journal()).unwrap();
}

#[test]
fn an_unmigrated_database_is_refused() {
    assert!(SqliteJournal::open(Database::in_memory().unwrap()).is_err());
}

#[test]
fn an_instrument_on_other_terms_is_refused() {
    let mut ledger = ledger();
    write(&mut ledger, &mut Desk::default(), 0..1);
    let journal = MemoryJournal::from_records(records(ledger.journal()));
    let id = instrument_id("EUR/USD");
    let other = Instrument::new(id, currency("USD"), amount("0.0001"), amount("0.001")).unwrap();
    let other = Instruments::new([other.with_multiplier(Amount::from_int(2)).unwrap()]).unwrap();
    let refused = Ledger::open(Box::new(journal), other);
    assert!(matches!(refused, Err(ReplayError::Terms { sequence: 1, .. })), "{refused:?}");
}

fn first_bad(records: Vec<Record>) -> Option<(u64, Fault)> {
    let journal = MemoryJournal::from_records(records);
    let opened = Ledger::open(Box::new(journal.clone()), instruments());
    match verify(&journal) {
        Ok(_) => {
            opened.unwrap();
            None
        }
        Err(VerifyError::Broken { sequence, fault }) => {
            let broken =
                ReplayError::Verify(VerifyError::Broken { sequence, fault: fault.clone() });
            assert_eq!(opened.unwrap_err().to_string(), broken.to_string());
            Some((sequence, fault))
        }
        Err(other) => panic!("{other}"),
    }
}

fn six() -> Vec<Record> {
    let mut ledger = ledger();
    write(&mut ledger, &mut Desk::default(), 0..3);
    records(ledger.journal())
}

#[test]
fn the_first_bad_entry_is_named() {
    let good = six();
    assert_eq!(first_bad(good.clone()), None);
    let mut deleted = good.clone();
    deleted.remove(2);
    assert_eq!(first_bad(deleted), Some((3, Fault::Place { found: 4 })));
    let mut swapped = good.clone();
    swapped.swap(1, 4);
    assert_eq!(first_bad(swapped), Some((2, Fault::Place { found: 5 })));
    let mut torn = good.clone();
    torn[5].body.truncate(20);
    assert_eq!(first_bad(torn), Some((6, Fault::Torn)));
    let mut moved = good.clone();
    moved[3].body = good[1].body.clone();
    assert_eq!(first_bad(moved), Some((4, Fault::Hash)));
    // Entries that are sound among themselves, and belong to another history.
    let mut other = ledger();
    write(&mut other, &mut Desk::default(), 5..8);
    let grafted = [&good[..3], &records(other.journal())[3..]].concat();
    assert_eq!(first_bad(grafted), Some((4, Fault::Previous)));
    let mut doubled = good.clone();
    doubled.insert(3, good[2].clone());
    assert_eq!(first_bad(doubled), Some((4, Fault::Place { found: 3 })));
}

#[test]
fn a_cut_tail_shows_only_against_a_known_point() {
    let mut cut = six();
    let known = cut.pop().unwrap().checkpoint();
    let journal = MemoryJournal::from_records(cut);
    assert!(verify(&journal).is_ok());
    let found = verify_against(&journal, known);
    assert!(matches!(found, Err(VerifyError::Broken { sequence: 6, fault: Fault::Missing })));
}

#[test]
fn another_history_shows_against_a_known_point() {
    let known = six()[3].checkpoint();
    let mut other = ledger();
    write(&mut other, &mut Desk::default(), 5..9);
    let found = verify_against(other.journal(), known);
    assert!(matches!(found, Err(VerifyError::Broken { sequence: 4, fault: Fault::Rewritten })));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut damaged = six();
        let total: usize = damaged.iter().map(|record| record.body.len()).sum();
        let mut place = at.index(total);
        let number = damaged.iter().position(|record| {
            let here = place < record.body.len();
            place -= if here { 0 } else { record.body.len() };
            here
        }).unwrap();
        damaged[number].body[place] ^= 1 << bit;
        let (sequence, fault) = first_bad(damaged).unwrap();
        prop_assert_eq!(sequence, u64::try_from(number).unwrap() + 1);
        prop_assert!(matches!(fault, Fault::Hash | Fault::Torn));
    }

    #[test]
    fn stored_entries_are_read_back_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        for record in six() {
            prop_assert!(record.entry().is_ok());
            let mut broken = record;
            let place = at.index(broken.body.len());
            broken.body.splice(place.., bytes.iter().copied());
            // Any answer but a panic.
            drop(broken.entry());
        }
    }
}

#[test]
fn the_books_of_a_time_are_those_of_what_was_written_by_then() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let mut states = vec![(0, ledger.books().clone())];
    for trade in 1..5 {
        // Written down late, and twice out of order: what counts is when, in the order of the journal.
        let written = if trade == 3 { 25_000 } else { i64::from(trade) * 10_000 };
        let entry = desk.entry(Fact::Filled(fill(&format!("t{trade}"), "1", "1.1")));
        let entry = entry.with_journaled_at(Timestamp::from_millis(written));
        assert!(ledger.append(&entry, Durability::Grouped).is_ok());
        states.push((written, ledger.books().clone()));
    }
    let at = |time| ledger.as_of(Timestamp::from_millis(time)).unwrap();
    assert_eq!(at(9_999), states[0].1);
    assert_eq!(at(10_000), states[1].1);
    assert_eq!(at(19_999), states[1].1);
    // The third was written after the second, and has an earlier time: it follows with it.
    assert_eq!(at(20_000), states[2].1);
    assert_eq!(at(25_000), states[3].1);
    assert_eq!(at(1_000_000), states[4].1);
}

#[test]
fn a_replay_without_verification_finds_what_does_not_follow_and_no_more() {
    let mut records = six();
    let books = {
        let journal = MemoryJournal::from_records(records.clone());
        Ledger::open(Box::new(journal), instruments()).unwrap().books().clone()
    };
    // The ledger has verified this journal; somebody changes it afterwards.
    let replay = |records: Vec<Record>| {
        let shared = SharedJournal::default();
        let ledger = Ledger::open(Box::new(shared.clone()), instruments()).unwrap();
        *shared.0.lock().unwrap() = MemoryJournal::from_records(records);
        let mut replay = ledger.replay().without_verification();
        replay.run().cloned()
    };
    assert_eq!(replay(records.clone()).unwrap(), books);
    records[2].hash = records[1].hash;
    let broken = replay(records).unwrap_err();
    assert!(broken.to_string().starts_with("journal entry 4 is bad"), "{broken}");
}

#[test]
fn writers_of_a_shared_journal_take_turns() {
    let shared = SharedJournal::default();
    let open = || Ledger::open(Box::new(shared.clone()), instruments()).unwrap();
    let (mut first, mut second, mut desk) = (open(), open(), Desk::default());
    write(&mut first, &mut desk, 0..2);
    let entry = desk.entry(Fact::Filled(fill("t9", "1", "1.1")));
    let before = second.books().clone();
    let behind = second.append(&entry, Durability::Durable).unwrap_err();
    assert!(matches!(behind, AppendError::VersionConflict { expected: 0, actual: 4 }), "{behind}");
    let group = [entry.clone()];
    let behind = second.append_all(&group, None, Durability::Durable).unwrap_err();
    assert!(matches!(behind, AppendError::VersionConflict { expected: 0, actual: 4 }), "{behind}");
    assert_eq!(*second.books(), before);
    // It catches up, tries again, and now the other one is behind.
    assert_eq!(second.catch_up().unwrap(), 4);
    assert_eq!(second.books(), first.books());
    assert!(second.append(&entry, Durability::Durable).is_ok());
    let repeated = first.append(&entry, Durability::Durable).unwrap_err();
    assert!(matches!(repeated, AppendError::VersionConflict { expected: 4, actual: 5 }));
    first.catch_up().unwrap();
    // What the other one has booked is known here: nothing is applied twice.
    assert_eq!(first.append(&entry, Durability::Durable).unwrap(), Outcome::Duplicate);
    assert_eq!(first.books(), second.books());
}

/// A journal that a test can reach while a ledger has it.
#[derive(Clone, Debug, Default)]
struct SharedJournal(std::sync::Arc<std::sync::Mutex<MemoryJournal>>);

impl Journal for SharedJournal {
    fn append(&mut self, records: Vec<Record>, durability: Durability) -> Result<(), JournalError> {
        self.0.lock().unwrap().append(records, durability)
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.0.lock().unwrap().read(after, limit)
    }

    fn head(&self) -> Result<Checkpoint, JournalError> {
        self.0.lock().unwrap().head()
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.0.lock().unwrap().flush()
    }

    fn is_shared(&self) -> bool {
        true
    }
}
