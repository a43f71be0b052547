//! A journal as JSON Lines and as CSV: what is read back is what was written, and an edited row is refused.

use backstop_position_ledger::error::ImportError;
use backstop_position_ledger::fill::Source;
use backstop_position_ledger::journal::Record;
use backstop_position_ledger::order::{Event, Portfolio, Resolution, Strategy};
use backstop_position_ledger::{Durability, Fact, Ledger, MemoryJournal, Text, export};
use proptest::prelude::*;

use crate::kit::{Desk, amount, apply, currency, event, fill, instruments, intent, ledger};
use crate::versions;

/// Entries of two versions are read from two journals; this one is of the version that is written.
fn written() -> Vec<Record> {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let deposit = Fact::Deposited { currency: currency("USD"), amount: amount("1000.5") };
    apply(&mut ledger, &mut desk, deposit);
    apply(&mut ledger, &mut desk, Fact::intended(intent(1, "10")));
    apply(&mut ledger, &mut desk, event(1, Event::OutcomeUnknown));
    let found = Resolution::Accepted { venue_order_id: "v,\"1\"".parse().unwrap() };
    apply(&mut ledger, &mut desk, event(1, Event::Resolved(found)));
    let mut recovered = fill("t1", "4", "-1.1");
    recovered.source = Source::Recovered { finding: Text::new("line, \"quoted\"").unwrap() };
    (recovered.fee, recovered.fee_currency) = (amount("0.02"), Some(currency("BNB")));
    let entry = desk.entry(Fact::Filled(recovered)).with_cause(Text::new("a, b").unwrap());
    let entry = entry.with_strategy(Strategy::new("trend").unwrap());
    let entry = entry.with_portfolio(Portfolio::new("slow").unwrap());
    assert!(ledger.append(&entry, Durability::Grouped).is_ok());
    let entry = desk.entry(event(1, Event::Cancelled)).with_cause(uuid::Uuid::from_u128(7));
    assert!(ledger.append(&entry, Durability::Grouped).is_ok());
    ledger.journal().read(0, usize::MAX).unwrap()
}

fn json(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    let journal = MemoryJournal::from_records(records.to_vec());
    let last = export::write_json_lines(&journal, &mut out).unwrap();
    assert_eq!(last, u64::try_from(records.len()).unwrap());
    out
}

fn csv(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    export::write_csv(&MemoryJournal::from_records(records.to_vec()), &mut out).unwrap();
    out
}

fn of_json(text: &[u8]) -> Result<Vec<Record>, ImportError> {
    export::read_json_lines(text).collect()
}

fn of_csv(text: &[u8]) -> Result<Vec<Record>, ImportError> {
    export::read_csv(text).collect()
}

#[test]
fn what_is_read_back_is_what_was_exported() {
    for records in [written(), versions::first()] {
        assert_eq!(of_json(&json(&records)).unwrap(), records);
        assert_eq!(of_csv(&csv(&records)).unwrap(), records);
        let journal = MemoryJournal::from_records(of_csv(&csv(&records)).unwrap());
        drop(Ledger::open(Box::new(journal), instruments()).unwrap());
    }
    assert_eq!(of_json(b"\n \n").unwrap(), []);
    assert_eq!(of_csv(&csv(&[])).unwrap(), []);
}

fn refused(result: Result<Vec<Record>, ImportError>) -> (u64, &'static str) {
    match result {
        Err(ImportError::Row { line, field, .. }) => (line, field),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edited_figure_is_refused_by_its_line() {
    let text = String::from_utf8(json(&written())).unwrap();
    let edited = text.replacen("1000.5", "1000.6", 1);
    assert_eq!(refused(of_json(edited.as_bytes())), (1, "hash"));
    let renamed = text.replacen("\"version\":", "\"v\":", 1);
    assert_eq!(refused(of_json(renamed.as_bytes())), (1, "line"));
    // The same figure with other zeros is the same entry.
    let zeros = text.replacen("1000.5", "1000.50", 1);
    assert_eq!(of_json(zeros.as_bytes()).unwrap(), written());
    let old = String::from_utf8(json(&versions::first())).unwrap();
    let edited = old.replacen("1000.5", "1000.6", 1);
    assert_eq!(refused(of_json(edited.as_bytes())), (1, "entry"));
}

#[test]
fn every_cell_counts() {
    for records in [written(), versions::first()] {
        let text = csv(&records);
        let rows: Vec<csv_rows::Row> = csv_rows::read(&text);
        for (line, row) in rows.iter().enumerate().skip(1) {
            for cell in 0..row.len() {
                let mut edited = rows.clone();
                edited[line][cell].push('0');
                let (found, _) = refused(of_csv(&csv_rows::write(&edited)));
                assert_eq!(found, u64::try_from(line).unwrap() + 1, "{}", export::COLUMNS[cell]);
            }
        }
    }
}

/// Cells as text, to edit them one by one.
mod csv_rows {
    pub(super) type Row = Vec<String>;

    pub(super) fn read(text: &[u8]) -> Vec<Row> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    pub(super) fn write(rows: &[Row]) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.write_record(row).unwrap();
        }
        writer.into_inner().unwrap()
    }
}

#[test]
fn a_header_of_something_else_is_refused() {
    assert_eq!(refused(of_csv(b"time,price\n1,2\n")), (1, "header"));
    let long = vec![b' '; (1 << 20) + 1];
    assert_eq!(refused(of_json(&long)), (1, "line"));
}

#[test]
fn an_open_quote_does_not_take_all_there_is() {
    let endless = || std::io::Read::chain(&b"\""[..], std::io::repeat(b'x'));
    let mut rows = export::read_csv(endless());
    assert_eq!(refused(rows.next().unwrap().map(|record| vec![record])), (1, "line"));
    assert!(rows.next().is_none());
    // A row of its own, after good ones.
    let good = csv(&written());
    let rows = export::read_csv(std::io::Read::chain(&*good, endless()));
    let (read, failed): (Vec<_>, Vec<_>) = rows.partition(Result::is_ok);
    assert_eq!((read.len(), failed.len()), (written().len(), 1));
}

proptest! {
    #[test]
    fn whatever_is_read_is_an_error_or_what_was_written(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let records = written();
        for (text, is_csv) in [(json(&records), false), (csv(&records), true)] {
            let mut broken = text;
            let place = at.index(broken.len());
            let end = (place + bytes.len()).min(broken.len());
            broken.splice(place..end, bytes.iter().copied());
            let read = if is_csv { of_csv(&broken) } else { of_json(&broken) };
            if let Ok(read) = read {
                prop_assert!(read.iter().all(|record| records.contains(record)));
            }
        }
    }
}
