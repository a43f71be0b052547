//! What the ledger reads: stored entries, exported journals, amounts.

use backstop_position_ledger::error::ImportError;
use backstop_position_ledger::journal::{Checkpoint, Digest, Record};
use backstop_position_ledger::{Amount, MemoryJournal, export};
use rust_decimal::Decimal;

/// Reads a stored entry; what is read must survive both exports, and its chain need not.
///
/// # Panics
///
/// A stored entry is exported as something else than it is, or is not refused although its hash is wrong.
pub fn ledger_entry(bytes: &[u8]) {
    let (previous, hash) = (Checkpoint::START.hash, Digest::from_bytes([7; 32]));
    let record = Record { sequence: 1, previous, hash, body: bytes.to_vec() };
    let Ok(entry) = record.entry() else { return };
    assert_eq!(record.entry().as_ref(), Ok(&entry), "an entry is read in one way");
    let journal = MemoryJournal::from_records(vec![record]);
    let mut lines = Vec::new();
    export::write_json_lines(&journal, &mut lines).expect("an entry that is read can be written");
    let json: Vec<_> = export::read_json_lines(lines.as_slice()).collect();
    let mut rows = Vec::new();
    export::write_csv(&journal, &mut rows).expect("an entry that is read can be written");
    let csv: Vec<_> = export::read_csv(rows.as_slice()).collect();
    for read in [json, csv] {
        // Everything is right but the hash, which was made up.
        let is_refused = matches!(&*read, [Err(ImportError::Row { field: "hash", .. })]);
        assert!(is_refused, "{read:?}");
    }
}

/// Reads an exported journal; what is accepted must be written as it was read.
///
/// # Panics
///
/// Records that were read are exported as others.
pub fn ledger_json(bytes: &[u8]) {
    let read: Result<Vec<_>, _> = export::read_json_lines(bytes).collect();
    exported_alike(read);
}

/// As [`ledger_json`], of the form with commas.
///
/// # Panics
///
/// As [`ledger_json`].
pub fn ledger_csv(bytes: &[u8]) {
    exported_alike(export::read_csv(bytes).collect());
}

fn exported_alike(read: Result<Vec<Record>, ImportError>) {
    let Ok(records) = read else { return };
    let journal = MemoryJournal::from_records(records.clone());
    let mut lines = Vec::new();
    let written = export::write_json_lines(&journal, &mut lines);
    // Only what follows is a journal; a row alone says nothing of that.
    if records.iter().zip(1..).all(|(record, place)| record.sequence == place) {
        written.expect("what was read can be written");
        let again: Result<Vec<_>, _> = export::read_json_lines(lines.as_slice()).collect();
        assert_eq!(again.expect("what was written can be read"), records);
    }
}

/// Reads a decimal number; what is read must be written as the same number, also through `Decimal`.
///
/// # Panics
///
/// A number changes on the way.
pub fn ledger_amount(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(amount) = text.parse::<Amount>() else { return };
    let written = amount.to_string();
    assert_eq!(written.parse(), Ok(amount), "{text}");
    assert_eq!(Amount::from_units(amount.units()), Ok(amount), "{text}");
    // What a decimal cannot hold is refused, never rounded.
    if let Ok(decimal) = Decimal::try_from(amount) {
        assert_eq!(Amount::try_from(decimal), Ok(amount), "{text}");
        assert_eq!(decimal.normalize().to_string(), written.trim_start_matches('+'), "{text}");
    }
}
