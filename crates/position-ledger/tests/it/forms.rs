//! The forms of what is stored: bytes of today, kept for whoever changes the code that writes or reads them.
//!
//! The entry of a journal has to be readable for ever, and an image must not be taken for one of another form.
//! So each form has a version, and a fixture of it: when these tests fail, the version has to be raised.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use backstop_position_ledger::action::{
    Act, Action, CashInLieu, LegId, Move, Opening, Payment, Purpose, Reach, Reference, Repair,
    Split, Subject,
};
use backstop_position_ledger::fill::{Correction, Fill, LotChoice, Side, Source, TradeId, Void};
use backstop_position_ledger::journal::{Checkpoint, Digest, Image, Journal, Record};
use backstop_position_ledger::order::{Event, Portfolio, Resolution, Strategy, VenueOrderId};
use backstop_position_ledger::pnl::Kind;
use backstop_position_ledger::rules::{Method, Mode, Sequencing};
use backstop_position_ledger::{
    Account, Durability, Entry, Fact, Instrument, Instruments, Ledger, MemoryJournal, Outcome, Text,
};

use crate::kit::{Desk, amount, currency, event, fill, instrument_id, intent, order_id};
use crate::versions::{bytes, stored};

/// The journal of every kind of entry, in the present form.
pub(crate) const STORY: &str = include_str!("../fixtures/journal-v3.txt");

/// Every kind of contract, method and rule.
fn instruments() -> Instruments {
    let make = |name: &str| {
        let (price, lot) = (amount("0.0001"), amount("0.001"));
        Instrument::new(instrument_id(name), currency("USD"), price, lot).unwrap()
    };
    let all = [
        make("EUR/USD").with_fee_places(4).unwrap(),
        make("BTC/USD").spot(currency("BTC")).unwrap().with_method(Method::Fifo),
        make("BTC-I").inverse(currency("BTC")).unwrap().with_method(Method::Lifo),
        make("BTC-Q").quanto(currency("EUR")).unwrap().with_method(Method::Hifo),
        make("BTC-F").with_multiplier(amount("0.1")).unwrap(),
        make("GOLD").with_method(Method::Specific),
        make("OIL").with_mode(Mode::Hedging).with_sequencing(Sequencing::EventTime),
    ];
    Instruments::new(all).unwrap().with_currency(currency("BNB"))
}

fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn text(words: &str) -> Text {
    Text::new(words).unwrap()
}

fn traded(name: &str, trade_id: TradeId, (quantity, price): (&str, &str)) -> Fill {
    let bought = fill("t", quantity.trim_start_matches('-'), price);
    let side = if quantity.starts_with('-') { Side::Sell } else { Side::Buy };
    // Of no order that is known.
    Fill { instrument: instrument_id(name), trade_id, side, order_id: order_id(100), ..bought }
}

fn trade(name: &str, number: u64, what: (&str, &str)) -> Fill {
    traded(name, TradeId::of_number(number), what)
}

fn acted(id: &str, name: &str, reach: Reach, act: Act) -> Fact {
    let instrument = instrument_id(name);
    Fact::Acted(Action { id: reference(id), instrument, leg: None, reach, act })
}

fn orders() -> Vec<Fact> {
    let venue = || VenueOrderId::new("v-1").unwrap();
    let limited = |number, limit| {
        let wanted = intent(number, "5");
        Fact::intended(backstop_position_ledger::order::Intent { limit, ..wanted })
    };
    let mut facts: Vec<_> = (1..=8).map(|number| limited(number, None)).collect();
    facts.push(limited(9, Some(amount("1.25"))));
    let resolved = Event::Resolved(Resolution::Accepted { venue_order_id: venue() });
    let news = [
        (2, Event::Accepted { venue_order_id: venue() }),
        (3, Event::Rejected { reason: text("too late") }),
        (4, Event::Cancelled),
        (5, Event::Expired),
        (6, Event::OutcomeUnknown),
        (7, Event::OutcomeUnknown),
        (7, resolved),
        (8, Event::OutcomeUnknown),
        (8, Event::Resolved(Resolution::NotApplied)),
    ];
    facts.extend(news.map(|(number, news)| event(number, news)));
    facts
}

fn money() -> Vec<Fact> {
    let (usd, of) = (|| currency("USD"), |size: &str| amount(size));
    let paid = |id: &str, purpose, size: &str, on: Option<&str>| {
        let (id, instrument) = (reference(id), on.map(instrument_id));
        Fact::Paid(Payment {
            id,
            purpose,
            instrument,
            leg: None,
            currency: usd(),
            amount: of(size),
        })
    };
    let to = Account::new("B").unwrap();
    vec![
        Fact::BalanceOpened { currency: usd(), amount: of("100000") },
        Fact::Deposited { currency: currency("BTC"), amount: of("3.5") },
        Fact::Withdrawn { currency: usd(), amount: of("20") },
        Fact::MoneyMoved { currency: usd(), amount: of("30"), to },
        Fact::Adjusted { currency: currency("BNB"), amount: of("-1"), reason: text("drift") },
        paid("m", Purpose::Fee, "3", None),
        paid("r", Purpose::Rebate, "1", None),
        paid("i", Purpose::Interest, "-0.5", None),
        paid("f", Purpose::Funding, "4", Some("EUR/USD")),
    ]
}

fn fills() -> Vec<Fact> {
    let leg = |name: &str| LegId::new(name).unwrap();
    let half = amount("0.5");
    // By its trade, and by its entry.
    let lots =
        vec![LotChoice::of_trade(TradeId::of_number(1), half), LotChoice::of_entry(42, half)];
    let named = |name: &str| traded("EUR/USD", TradeId::new(name).unwrap(), ("1", "1.3"));
    let finding = || text("finding 7");
    let all = [
        fill("t-1", "2", "1.1").with_fee(amount("0.0105"), currency("BNB")),
        named("t-2").with_source(Source::Recovered { finding: finding() }),
        named("t-3").with_source(Source::Synthetic { finding: finding() }),
        trade("EUR/USD", 4, ("-9", "1.2")).with_cost(amount("10.75")),
        trade("BTC/USD", 1, ("2", "100")).with_fee(amount("0.01"), currency("BTC")),
        trade("BTC/USD", 2, ("1", "110")),
        trade("BTC/USD", 3, ("-0.7", "120")),
        trade("BTC-I", 1, ("300", "90")),
        trade("BTC-I", 2, ("-450", "95")),
        trade("BTC-Q", 1, ("3", "80")),
        trade("BTC-Q", 2, ("2", "85")),
        trade("BTC-Q", 3, ("-1", "90")),
        trade("BTC-F", 1, ("30", "100")),
        trade("GOLD", 1, ("1", "50")),
        trade("GOLD", 2, ("1", "60")),
        trade("GOLD", 3, ("-1", "70")).with_lots(lots),
        trade("OIL", 1, ("4", "20")).with_leg(leg("long")),
        trade("OIL", 2, ("-3", "21")).with_leg(leg("short")),
    ];
    all.into_iter().map(Fact::Filled).collect()
}

fn deeds() -> Vec<Fact> {
    let void = |name: &str, number, quantity: Option<&str>| {
        let (instrument, quantity) = (instrument_id(name), quantity.map(amount));
        Fact::FillVoided(Void { instrument, trade_id: TradeId::of_number(number), quantity })
    };
    let (instrument, leg) = (instrument_id("EUR/USD"), None);
    let (price, cost) = (amount("1.21"), Some(amount("10.9")));
    let correction = Correction::new(instrument.clone(), TradeId::of_number(4), price);
    let correction = Correction { cost, revision: Some(7), ..correction };
    let later = Correction::new(instrument_id("BTC-Q"), TradeId::of_number(2), amount("86"));
    let lieu = CashInLieu { whole: amount("1"), price: amount("40") };
    let split = Split { new: amount("3"), old: amount("2"), in_lieu: Some(lieu) };
    let moved = Move {
        id: reference("mv"),
        instrument: instrument_id("BTC-Q"),
        leg: None,
        quantity: amount("0.5"),
        to: Account::new("B").unwrap(),
    };
    let (reason, change) = (text("finding 8"), amount("-0.25"));
    let repair = Repair { id: reference("rp"), instrument, leg, change, price, reason };
    let opening = Opening {
        id: reference("op"),
        instrument: instrument_id("BTC/USD"),
        leg: None,
        quantity: amount("0.5"),
        cost: amount("45"),
    };
    let (isolated, apart) = (text("prices in cents"), Subject::Instrument(instrument_id("OIL")));
    vec![
        void("BTC/USD", 3, Some("0.2")),
        void("BTC-I", 2, None),
        // Busts whose fills have not come.
        void("GOLD", 90, None),
        void("GOLD", 91, Some("0.5")),
        Fact::FillCorrected(correction),
        Fact::FillCorrected(later),
        acted("sp", "GOLD", Reach::Account, Act::Split(split)),
        acted("dv", "BTC-Q", Reach::Everyone, Act::Dividend { per_unit: amount("0.3") }),
        // Where event time decides, an action also concerns those who are told of later.
        acted("do", "OIL", Reach::Everyone, Act::Dividend { per_unit: amount("0.1") }),
        acted("st", "BTC-I", Reach::Account, Act::Settlement { price: amount("97") }),
        acted(
            "dl",
            "BTC-F",
            Reach::Account,
            Act::Delivery { price: amount("110"), into: instrument_id("BTC/USD") },
        ),
        Fact::Moved(moved),
        Fact::PositionAdjusted(repair),
        Fact::PositionOpened(opening),
        Fact::Isolated { subject: apart.clone(), reason: isolated.clone() },
        Fact::Released { subject: apart.clone(), reason: text("in dollars") },
        Fact::Isolated { subject: apart, reason: isolated.clone() },
        Fact::Isolated { subject: Subject::Account, reason: isolated },
        Fact::SnapshotTaken {
            kind: Kind::EndOfDay,
            of_sequence: 40,
            checksum: Digest::from_bytes([5; 32]),
        },
    ]
}

/// Every kind of entry, with and without all that may be absent.
fn entries() -> Vec<Entry> {
    let mut desk = Desk::default();
    let facts = [orders(), money(), fills(), deeds()].concat();
    let decorated = |(number, fact): (usize, Fact)| {
        let entry = desk.entry(fact);
        match number % 4 {
            0 => entry,
            1 => entry.with_strategy(Strategy::new("slow").unwrap()).with_cause(text("by hand")),
            2 => entry.with_portfolio(Portfolio::new("main").unwrap()),
            _ => {
                let cause = Entry::id_at(entry.at, [4; 10]);
                let entry = entry.with_strategy(Strategy::new("fast").unwrap());
                entry.with_portfolio(Portfolio::new("main").unwrap()).with_cause(cause)
            }
        }
    };
    facts.into_iter().enumerate().map(decorated).collect()
}

fn written() -> (Vec<Record>, Image) {
    let mut ledger = Ledger::open(Box::new(MemoryJournal::new()), instruments()).unwrap();
    for entry in entries() {
        let outcome = ledger.append(&entry, Durability::Grouped).unwrap();
        assert!(!matches!(outcome, Outcome::Duplicate | Outcome::Conflict(_)), "{entry:?}");
    }
    ledger.keep_image().unwrap();
    let records = ledger.journal().read(0, usize::MAX).unwrap();
    (records, ledger.journal().image().unwrap().unwrap())
}

/// The kinds of facts in a journal, by the number that each has in its bytes.
pub(crate) fn kinds(records: &[Record]) -> impl Iterator<Item = u8> + use<> {
    records.iter().map(|record| record.body[5]).collect::<BTreeSet<_>>().into_iter()
}

fn digits(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A record a line: sequence, previous hash, hash and body.
fn journal_text(records: &[Record]) -> String {
    let line = |record: &Record| {
        let Record { sequence, previous, hash, body } = record;
        format!("{sequence} {previous} {hash} {}\n", digits(body))
    };
    records.iter().map(line).collect()
}

/// Sequence, hash, digest and body.
fn image_text(image: &Image) -> String {
    let Checkpoint { sequence, hash } = image.checkpoint;
    format!("{sequence} {hash} {} {}\n", image.digest, digits(&image.body))
}

fn image_of(text: &str) -> Image {
    let parts: Vec<_> = text.trim_end().split(' ').collect();
    let checkpoint =
        Checkpoint { sequence: parts[0].parse().unwrap(), hash: parts[1].parse().unwrap() };
    Image { checkpoint, digest: parts[2].parse().unwrap(), body: bytes(parts[3]) }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The fixture, which has to be what the code writes.
fn kept(name: &str, now: &str) -> String {
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&fresh, now).unwrap();
    let fresh = fresh.display();
    let Ok(there) = fs::read_to_string(fixtures().join(name)) else {
        panic!("this version has no fixture yet: keep {fresh} as tests/fixtures/{name}")
    };
    assert!(
        there == now,
        "the code no longer writes {name} but {fresh}: raise the version of the form"
    );
    there
}

#[test]
fn entries_are_written_as_their_version_says() {
    let (records, _) = written();
    assert!(kinds(&records).eq(1..=18), "a kind of fact is missing in the story");
    let version = records[0].body[0];
    let there = kept(&format!("journal-v{version}.txt"), &journal_text(&records));
    let read: Vec<_> = stored(&there).iter().map(|record| record.entry().unwrap()).collect();
    assert_eq!(read, entries(), "what is stored is read as something else");
}

#[test]
fn images_are_written_and_read_as_their_version_says() {
    let (mut records, now) = written();
    // The version comes first, as one byte below 128.
    let version = now.body[0];
    let there = image_of(&kept(&format!("image-v{version}.txt"), &image_text(&now)));
    let whole = Ledger::open(Box::new(MemoryJournal::from_records(records.clone())), instruments());
    // The entries before the image are unreadable, so nothing but the image can say what they were.
    let (_, before) = records.split_last_mut().unwrap();
    for record in before {
        record.body.clear();
    }
    let mut journal = MemoryJournal::from_records(records);
    journal.keep_image(there, 0, Vec::new()).unwrap();
    let resumed = Ledger::resume(Box::new(journal), instruments()).unwrap();
    assert_eq!(resumed.books(), whole.unwrap().books());
}
