//! Snapshots of profit and loss: sealed, and checked against the books.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::error::SnapshotError;
use backstop_position_ledger::fill::Side;
use backstop_position_ledger::pnl::{Kind, Snapshot};
use backstop_position_ledger::{Amount, Fact, Ledger};

use crate::kit::{Desk, amount, apply, currency, fill, instrument_id, ledger};

/// Long 1 EUR/USD at 100 after a profit of 10, with fees in two currencies, and short 2 BUND.
fn traded() -> (Ledger, Desk) {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let mut bought = fill("t1", "2", "100");
    bought.fee = amount("0.1");
    let mut sold = fill("t2", "1", "110");
    (sold.side, sold.fee, sold.fee_currency) = (Side::Sell, amount("0.2"), Some(currency("BNB")));
    let mut bund = fill("t1", "2", "130");
    (bund.side, bund.instrument) = (Side::Sell, instrument_id("BUND"));
    for fill in [bought, sold, bund] {
        apply(&mut ledger, &mut desk, Fact::Filled(fill));
    }
    (ledger, desk)
}

fn take(ledger: &Ledger, marks: &[(&str, &str)]) -> Snapshot {
    let marks: BTreeMap<_, _> =
        marks.iter().map(|(id, mark)| (instrument_id(id), amount(mark))).collect();
    ledger.books().snapshot(&marks, Timestamp::from_millis(9_000), Kind::Periodic).unwrap()
}

#[test]
fn totals_are_per_currency() {
    let (ledger, _) = traded();
    let snapshot = take(&ledger, &[("EUR/USD", "105"), ("BUND", "129")]);
    assert_eq!(snapshot.realized[&currency("USD")], amount("10"));
    assert_eq!(snapshot.unrealized[&currency("USD")], amount("5"));
    assert_eq!(snapshot.unrealized[&currency("EUR")], amount("2"));
    assert_eq!(snapshot.fees[&currency("BNB")], amount("0.2"));
    assert!(snapshot.is_complete());
    assert_eq!(snapshot.checksum.to_string().len(), 64);
    ledger.verify_snapshot(&snapshot).unwrap();
}

#[test]
fn an_instrument_without_a_mark_is_listed_and_never_zero() {
    let (ledger, _) = traded();
    let snapshot = take(&ledger, &[("EUR/USD", "105")]);
    assert_eq!(snapshot.unpriced, [instrument_id("BUND")]);
    assert!(!snapshot.unrealized.contains_key(&currency("EUR")));
    let bund =
        snapshot.positions.iter().find(|line| line.instrument == instrument_id("BUND")).unwrap();
    assert_eq!((bund.mark, bund.unrealized), (None, None));
}

#[test]
fn a_snapshot_of_the_past_is_checked_against_the_past() {
    let (mut ledger, mut desk) = traded();
    let snapshot = take(&ledger, &[("EUR/USD", "105")]);
    let (kind, of_sequence, checksum) = (snapshot.kind, snapshot.sequence, snapshot.checksum);
    apply(&mut ledger, &mut desk, Fact::SnapshotTaken { kind, of_sequence, checksum });
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t9", "1", "90")));
    ledger.verify_snapshot(&snapshot).unwrap();
}

/// One change of one figure.
type Edit<'a> = &'a dyn Fn(&mut Snapshot);

#[test]
fn it_survives_json_and_any_edit_breaks_the_seal() {
    let (ledger, _) = traded();
    let snapshot = take(&ledger, &[("EUR/USD", "105")]);
    let json = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);

    let unit = amount("0.000000000000000001");
    let nudge = |value: &mut Amount| *value = value.checked_add(unit).unwrap();
    let edits: [Edit<'_>; 8] = [
        &|edited| edited.sequence += 1,
        &|edited| edited.at = Timestamp::from_millis(9_001),
        &|edited| edited.kind = Kind::EndOfDay,
        &|edited| edited.realized.values_mut().for_each(nudge),
        &|edited| edited.fees.values_mut().for_each(nudge),
        &|edited| nudge(&mut edited.balances[0].total),
        &|edited| nudge(&mut edited.positions[0].realized),
        &|edited| edited.unpriced.clear(),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut edited = snapshot.clone();
        edit(&mut edited);
        assert!(matches!(edited.verify(), Err(SnapshotError::Checksum)), "edit {number}");
        assert!(
            matches!(ledger.verify_snapshot(&edited), Err(SnapshotError::Checksum)),
            "edit {number}"
        );
    }
}

#[test]
fn a_resealed_forgery_is_found_by_the_books() {
    let (ledger, _) = traded();
    let mut forged = take(&ledger, &[("EUR/USD", "105")]);
    forged.positions[1].realized = amount("1000");
    forged.checksum = forged.seal();
    forged.verify().unwrap();
    let found = ledger.verify_snapshot(&forged);
    assert!(matches!(found, Err(SnapshotError::Figures { what: "positions", .. })), "{found:?}");
}
