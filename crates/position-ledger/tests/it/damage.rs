//! Every byte of a stored journal counts: whichever is flipped, it is noticed, and so is every row that is not in its place.

use std::fs;
use std::path::Path;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{JournalError, VerifyError};
use backstop_position_ledger::journal::{
    Checkpoint, Digest, Journal, Record, verify, verify_against,
};
use backstop_position_ledger::{Durability, Fact, Ledger, MemoryJournal, SqliteJournal};
use backstop_storage::Database;
use rusqlite::{Connection, params};

use crate::forms::{STORY, kinds};
use crate::kit::{Desk, fill, instruments, intent};
use crate::versions::stored;

fn write(journal: Box<dyn Journal>) -> Vec<Record> {
    let (mut ledger, mut desk) = (Ledger::open(journal, instruments()).unwrap(), Desk::default());
    let mut facts = vec![Fact::intended(intent(1, "3"))];
    facts.extend((0..4).map(|trade| Fact::Filled(fill(&format!("t{trade}"), "1", "1.1"))));
    for fact in facts {
        assert!(ledger.append(&desk.entry(fact), Durability::Grouped).is_ok());
    }
    ledger.flush().unwrap();
    ledger.journal().read(0, usize::MAX).unwrap()
}

fn small() -> Vec<Record> {
    write(Box::new(MemoryJournal::new()))
}

fn last(records: &[Record]) -> Checkpoint {
    records.last().unwrap().checkpoint()
}

fn flipped(digest: Digest, byte: usize, bit: u8) -> Digest {
    let mut bytes = *digest.as_bytes();
    bytes[byte] ^= bit;
    Digest::from_bytes(bytes)
}

/// What the check of a journal says.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The first bad entry.
    Bad(u64),
    /// The store cannot even hold such records.
    Refused,
}

/// The check of a journal that once ended at `known`.
fn named(journal: &dyn Journal, known: Checkpoint) -> Found {
    match verify_against(journal, known) {
        Err(VerifyError::Broken { sequence, .. }) => Found::Bad(sequence),
        Err(other) => panic!("{other}"),
        Ok(_) => Found::Nothing,
    }
}

fn in_memory(records: &[Record], known: Checkpoint) -> Found {
    named(&MemoryJournal::from_records(records.to_vec()), known)
}

/// The table of the journal, open to whoever wants to forge it.
struct Table {
    db: Database,
    journal: SqliteJournal,
}

impl Table {
    fn new() -> Self {
        let db = Database::in_memory().unwrap();
        let journal = SqliteJournal::create(db.clone(), Timestamp::EPOCH).unwrap();
        let unguarded = "
            DROP TRIGGER ledger_journal_keeps_content;
            DROP TRIGGER ledger_journal_keeps_entries;
            PRAGMA ignore_check_constraints = ON";
        db.write(|connection| connection.execute_batch(unguarded)).unwrap();
        Self { db, journal }
    }

    /// As [`in_memory`].
    fn named(&self, records: &[Record], known: Checkpoint) -> Found {
        let records = records.to_vec();
        let forge = move |connection: &Connection| -> rusqlite::Result<()> {
            connection.execute("DELETE FROM ledger_journal", [])?;
            let mut insert =
                connection.prepare_cached("INSERT INTO ledger_journal VALUES (?1, ?2, ?3, ?4)")?;
            for Record { sequence, previous, hash, body } in &records {
                let sequence = i64::from_ne_bytes(sequence.to_ne_bytes());
                insert.execute(params![sequence, previous.as_bytes(), hash.as_bytes(), body])?;
            }
            Ok(())
        };
        self.db.write(forge).map_or(Found::Refused, |()| named(&self.journal, known))
    }
}

#[test]
fn every_flipped_bit_of_every_record_is_found_where_it_is() {
    let (good, table) = (small(), Table::new());
    let known = last(&good);
    assert_eq!(
        (in_memory(&good, known), table.named(&good, known)),
        (Found::Nothing, Found::Nothing)
    );
    for (number, record) in good.iter().enumerate() {
        let sequence = record.sequence;
        let damage = |edit: &dyn Fn(&mut Record), what: &str| {
            let mut records = good.clone();
            edit(&mut records[number]);
            assert_eq!(in_memory(&records, known), Found::Bad(sequence), "{what}");
            assert_eq!(table.named(&records, known), Found::Bad(sequence), "{what}");
        };
        let bits = |bytes: usize| (0..bytes * 8).map(|bit| (bit / 8, 1 << (bit % 8)));
        for (byte, bit) in bits(record.body.len()) {
            damage(&|record| record.body[byte] ^= bit, "the body");
        }
        for (byte, bit) in bits(32) {
            damage(&|record| record.hash = flipped(record.hash, byte, bit), "the hash");
            let previous = flipped(record.previous, byte, bit);
            damage(&|record| record.previous = previous, "the previous hash");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_number_is_found_where_it_is() {
    let (good, table) = (small(), Table::new());
    let known = last(&good);
    for (number, record) in good.iter().enumerate() {
        for bit in 0..64 {
            let mut records = good.clone();
            records[number].sequence ^= 1 << bit;
            let is_taken = good.iter().any(|other| other.sequence == records[number].sequence);
            let found = || Found::Bad(record.sequence);
            assert_eq!(in_memory(&records, known), found(), "bit {bit}");
            // A table holds a number once, and has no place but its number.
            let expected = if is_taken { Found::Refused } else { found() };
            assert_eq!(table.named(&records, known), expected, "bit {bit}");
        }
    }
}

#[test]
fn a_flipped_bit_of_any_kind_of_entry_is_found_where_it_is() {
    let good = stored(STORY);
    assert!(kinds(&good).eq(1..=18), "a kind of fact is missing in the story");
    for (number, record) in good.iter().enumerate() {
        for byte in 0..record.body.len() {
            // Nothing after the next one has to be read.
            let mut records = good[..good.len().min(number + 2)].to_vec();
            records[number].body[byte] ^= 1 << (byte % 8);
            let found = in_memory(&records, last(&records));
            assert_eq!(found, Found::Bad(record.sequence), "byte {byte} of the body");
        }
    }
}

#[test]
fn a_row_that_is_gone_swapped_cut_or_strange_is_found_where_it_is() {
    let (good, table) = (small(), Table::new());
    let known = last(&good);
    let assert_found = |records: &[Record], sequence: u64| {
        assert_eq!(in_memory(records, known), Found::Bad(sequence));
        assert_eq!(table.named(records, known), Found::Bad(sequence));
    };
    for (number, record) in good.iter().enumerate() {
        let mut without = good.clone();
        without.remove(number);
        assert_found(&without, record.sequence);
        let cut_off = &good[..number];
        assert_found(cut_off, record.sequence);
        // A journal that ends too soon is sound in itself.
        assert!(verify(&MemoryJournal::from_records(cut_off.to_vec())).is_ok());
        for length in 0..record.body.len() {
            let mut cut = good.clone();
            cut[number].body.truncate(length);
            assert_found(&cut, record.sequence);
        }
        let mut longer = good.clone();
        longer[number].body.push(0);
        assert_found(&longer, record.sequence);
        for other in number + 1..good.len() {
            let mut swapped = good.clone();
            swapped.swap(number, other);
            // Two that changed places, and two that changed their numbers with them.
            assert_eq!(in_memory(&swapped, known), Found::Bad(record.sequence));
            let numbers = (good[number].sequence, good[other].sequence);
            (swapped[number].sequence, swapped[other].sequence) = numbers;
            assert_found(&swapped, record.sequence);
            let mut doubled = good.clone();
            doubled[other] = Record { sequence: good[other].sequence, ..record.clone() };
            assert_found(&doubled, good[other].sequence);
        }
    }
}

/// What somebody who opens a file finds in it.
fn found(path: &Path) -> Result<Vec<Record>, VerifyError> {
    let refused = |why: &dyn std::fmt::Display| {
        let class = backstop_error_taxonomy::Class::of(backstop_error_taxonomy::Kind::Data);
        VerifyError::Journal(JournalError::new(class, why.to_string()))
    };
    let db = Database::open(path).map_err(|why| refused(&why))?;
    let journal = SqliteJournal::open(db)?;
    verify(&journal)?;
    Ok(journal.read(0, usize::MAX)?)
}

/// A file with a small journal, and copies of it.
struct File {
    folder: tempfile::TempDir,
    good: Vec<Record>,
    bytes: Vec<u8>,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.db");
        let db = Database::open(&whole).unwrap();
        let good = write(Box::new(SqliteJournal::create(db, Timestamp::EPOCH).unwrap()));
        assert_eq!(found(&whole).unwrap(), good);
        let bytes = fs::read(&whole).unwrap();
        Self { folder, good, bytes }
    }

    /// Whether a flipped byte is noticed; if not, nothing is read as something else.
    fn is_noticed(&self, byte: usize) -> bool {
        let mut copy = self.bytes.clone();
        copy[byte] ^= 1 << (byte % 8);
        let damaged = self.folder.path().join("damaged.db");
        fs::write(&damaged, copy).unwrap();
        let found = found(&damaged);
        for tail in ["-wal", "-shm"] {
            drop(fs::remove_file(self.folder.path().join(format!("damaged.db{tail}"))));
        }
        found.map_or(true, |records| {
            assert_eq!(records, self.good, "byte {byte}");
            false
        })
    }
}

#[test]
fn every_flipped_byte_of_a_row_in_the_file_is_noticed() {
    let file = File::new();
    for record in &file.good {
        let row = [record.previous.as_bytes(), record.hash.as_bytes(), &record.body[..]].concat();
        let at = file.bytes.windows(row.len()).position(|bytes| bytes == row).unwrap();
        for byte in at..at + row.len() {
            assert!(file.is_noticed(byte), "byte {byte}, in row {}", record.sequence);
        }
    }
}

/// Bytes of the file that hold nothing may change; nothing that is read may differ from what was written.
#[test]
fn no_flipped_byte_of_the_file_is_read_as_something_else() {
    let file = File::new();
    let noticed = (0..file.bytes.len()).step_by(61).filter(|byte| file.is_noticed(*byte)).count();
    assert!(noticed > 20, "{noticed} flips noticed");
}
