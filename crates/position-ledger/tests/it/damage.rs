//! Every byte of a stored journal counts: whichever is flipped, it is noticed.

use std::path::Path;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::{JournalError, VerifyError};
use backstop_position_ledger::journal::{Digest, Journal, Record, verify};
use backstop_position_ledger::{Durability, Fact, Ledger, MemoryJournal, SqliteJournal};
use backstop_storage::Database;

use crate::kit::{Desk, fill, instruments, intent};

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

fn flipped(digest: Digest, byte: usize, bit: u8) -> Digest {
    let mut bytes = *digest.as_bytes();
    bytes[byte] ^= bit;
    Digest::from_bytes(bytes)
}

/// The entry that is named as the first bad one.
fn first_bad(records: Vec<Record>) -> Option<u64> {
    match verify(&MemoryJournal::from_records(records)) {
        Err(VerifyError::Broken { sequence, .. }) => Some(sequence),
        _ => None,
    }
}

#[test]
fn every_flipped_bit_of_every_record_is_found_where_it_is() {
    let good = write(Box::new(MemoryJournal::new()));
    assert_eq!(first_bad(good.clone()), None);
    for (number, record) in good.iter().enumerate() {
        let sequence = record.sequence;
        let damage = |edit: &dyn Fn(&mut Record)| {
            let mut records = good.clone();
            edit(&mut records[number]);
            first_bad(records)
        };
        for bit in (0..8).map(|bit| 1 << bit) {
            for byte in 0..record.body.len() {
                let found = damage(&|record| record.body[byte] ^= bit);
                assert_eq!(found, Some(sequence), "byte {byte} of the body");
            }
            for byte in 0..32 {
                let found = damage(&|record| record.hash = flipped(record.hash, byte, bit));
                assert_eq!(found, Some(sequence), "byte {byte} of the hash");
                let found = damage(&|record| record.previous = flipped(record.previous, byte, bit));
                assert_eq!(found, Some(sequence), "byte {byte} of the previous hash");
            }
        }
        for bit in 0..64 {
            let found = damage(&|record| record.sequence ^= 1 << bit);
            assert_eq!(found, Some(sequence), "bit {bit} of the sequence");
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

/// Bytes of the file that hold nothing may change; nothing that is read may differ from what was written.
#[test]
fn no_flipped_byte_of_the_file_is_read_as_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, damaged) = (folder.path().join("whole.db"), folder.path().join("damaged.db"));
    let good = {
        let db = Database::open(&whole).unwrap();
        write(Box::new(SqliteJournal::create(db, Timestamp::EPOCH).unwrap()))
    };
    assert_eq!(found(&whole).unwrap(), good);
    let bytes = std::fs::read(&whole).unwrap();
    let (mut noticed, mut unused) = (0_u32, 0_u32);
    for byte in (0..bytes.len()).step_by(61) {
        let mut copy = bytes.clone();
        copy[byte] ^= 0x10;
        std::fs::write(&damaged, copy).unwrap();
        match found(&damaged) {
            Ok(records) => {
                assert_eq!(records, good, "byte {byte}");
                unused += 1;
            }
            Err(_) => noticed += 1,
        }
        for tail in ["-wal", "-shm"] {
            drop(std::fs::remove_file(folder.path().join(format!("damaged.db{tail}"))));
        }
    }
    assert!(noticed > 20, "{noticed} flips noticed, {unused} in bytes that hold nothing");
}
