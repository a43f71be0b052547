//! Journals of earlier versions are read for ever.

use backstop_position_ledger::fill::{LotChoice, Side, TradeId};
use backstop_position_ledger::journal::{Digest, Record, verify};
use backstop_position_ledger::order::Status;
use backstop_position_ledger::pnl::Kind;
use backstop_position_ledger::rules::{Method, Mode};
use backstop_position_ledger::{Cause, Fact, Instrument, Instruments, Ledger, MemoryJournal};

use crate::kit::{account, amount, currency, instrument_id, instruments, order_id};

/// A journal as version 1 wrote it: sequence, previous hash, hash and body in hexadecimal digits, a record a line.
const FIRST: &str = include_str!("../fixtures/journal-v1.txt");

/// A journal of version 2: lots by name, a leg, a split, restatements, busts, a transfer, and what else there was.
const SECOND: &str = include_str!("../fixtures/books-v2.txt");

/// The records of version 1.
pub(crate) fn first() -> Vec<Record> {
    stored(FIRST)
}

pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

pub(crate) fn stored(text: &str) -> Vec<Record> {
    let record = |line: &str| {
        let parts: Vec<_> = line.split(' ').collect();
        let (previous, hash): (Digest, Digest) =
            (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        Record { sequence: parts[0].parse().unwrap(), previous, hash, body: bytes(parts[3]) }
    };
    text.lines().map(record).collect()
}

#[test]
fn a_journal_of_the_first_version_gives_its_books() {
    let records = stored(FIRST);
    assert!(records.iter().all(|record| record.body[0] == 1), "the fixture is of version 1");
    let journal = MemoryJournal::from_records(records.clone());
    assert_eq!(verify(&journal).unwrap(), records[17].checkpoint());
    let ledger = Ledger::open(Box::new(journal), instruments()).unwrap();
    let books = ledger.books();

    let held = books.position(&account(), &instrument_id("EUR/USD")).unwrap();
    assert_eq!((held.quantity(), held.open_cost()), (amount("7"), amount("8.3")));
    let gold = books.position(&account(), &instrument_id("GOLD")).unwrap();
    assert_eq!((gold.quantity(), gold.open_cost()), (amount("-9"), amount("1125")));
    assert_eq!(books.balance(&account(), &currency("USD")).unwrap().total, amount("999.51"));
    assert_eq!(books.fees().unwrap()[&currency("BNB")], amount("0.02"));
    let of = |number| books.order(order_id(number)).unwrap().status();
    assert_eq!(of(1), Status::Cancelled);
    assert_eq!(of(2), Status::Accepted);
    assert_eq!(of(3), Status::Rejected);
    assert_eq!(of(4), Status::Expired);
    assert_eq!(of(5), Status::NotApplied);
    let sold = books.fill(&account(), &instrument_id("GOLD"), &TradeId::of_number(1003)).unwrap();
    assert_eq!((sold.fill.side, sold.sequence), (Side::Sell, 7));
    books.check_conservation().unwrap();

    let last = records[17].entry().unwrap();
    assert!(matches!(last.fact, Fact::SnapshotTaken { kind: Kind::EndOfDay, of_sequence: 17, .. }));
    assert!(matches!(last.cause, Some(Cause::Text(_))));
}

/// What the program of version 2 made of its journal: quantity, cost and profit of each position.
const SECOND_FIGURES: [[&str; 5]; 5] = [
    ["A", "BTC/USD", "0.4925", "25.862437185929648241", "0"],
    ["A", "EUR/USD", "-3", "3.6", "0"],
    ["A", "LEGS", "2", "20", "0"],
    ["A", "LOTS", "0.5", "33.333333333333333333", "25.833332333333333333"],
    ["B", "BTC/USD", "1", "52.512562814070351759", "0"],
];

#[test]
fn a_journal_of_the_second_version_gives_its_books() {
    let records = stored(SECOND);
    assert!(records.iter().all(|record| record.body[0] == 2), "the fixture is of version 2");
    let make = |id: &str| {
        let step = (amount("0.01"), amount("0.001"));
        Instrument::new(instrument_id(id), currency("USD"), step.0, step.1).unwrap()
    };
    let contracts = [
        make("LOTS").with_method(Method::Specific),
        make("LEGS").with_mode(Mode::Hedging).with_method(Method::Fifo),
        make("BTC/USD").spot(currency("BTC")).unwrap(),
        make("EUR/USD"),
    ];
    let known = Instruments::new(contracts).unwrap().with_currency(currency("BNB"));
    let journal = MemoryJournal::from_records(records.clone());
    let ledger = Ledger::open(Box::new(journal), known).unwrap();
    let books = ledger.books();
    assert_eq!(books.checkpoint(), records[24].checkpoint());
    let figures: Vec<_> = books
        .positions()
        .iter()
        .map(|held| {
            let sums = (held.quantity(), held.open_cost(), held.realized_gross());
            (held.account().to_string(), held.instrument().id().to_string(), sums)
        })
        .collect();
    let expected = SECOND_FIGURES.map(|[account, id, quantity, cost, realized]| {
        let sums = (amount(quantity), amount(cost), amount(realized));
        (account.to_owned(), id.to_owned(), sums)
    });
    assert_eq!(figures, expected);
    let total = |code: &str| books.balance(&account(), &currency(code)).unwrap().total;
    assert_eq!(total("USD"), amount("942.333332333333333333"));
    assert_eq!((total("BTC"), total("BNB")), (amount("0.4925"), amount("-2")));
    assert_eq!(books.positions()[3].cash_in_lieu(), amount("17.5"));

    // A word of that time has no revision, and its lots are named by their trades.
    let facts: Vec<_> = records.iter().map(|record| record.entry().unwrap().fact).collect();
    let Fact::FillCorrected(corrected) = &facts[16] else { panic!("{:?}", facts[16]) };
    assert_eq!((corrected.revision, corrected.cost), (None, Some(amount("104.5"))));
    let Fact::Filled(sold) = &facts[9] else { panic!("{:?}", facts[9]) };
    assert_eq!(sold.lots[1], LotChoice::of_trade(TradeId::new("t1").unwrap(), amount("0.5")));
    books.check_conservation().unwrap();
}

#[test]
fn a_version_that_is_not_known_yet_is_refused_by_name() {
    let mut record = stored(FIRST).swap_remove(0);
    for unknown in [0, u8::MAX] {
        record.body[0] = unknown;
        let refused = record.entry().unwrap_err();
        assert_eq!(refused.to_string(), "an entry of an unknown version at byte 0");
    }
}
