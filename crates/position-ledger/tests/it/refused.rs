//! Bad input of every kind of entry: the error names field, value and rule, and nothing changes.

use backstop_clock::Timestamp;
use backstop_position_ledger::action::{
    Act, Action, CashInLieu, LegId, Move, Opening, Payment, Purpose, Reach, Reference, Repair,
    Split, Subject,
};
use backstop_position_ledger::error::{AppendError, NameError};
use backstop_position_ledger::fill::{Correction, Fill, LotChoice, Side, TradeId, Void};
use backstop_position_ledger::order::{Intent, Strategy};
use backstop_position_ledger::rules::{Method, Mode};
use backstop_position_ledger::{
    Account, Amount, Currency, Durability, Entry, Fact, Instrument, InstrumentId, Instruments,
    Ledger, MemoryJournal, Text, pnl,
};
use uuid::Uuid;

use crate::kit::{Desk, account, amount, currency, instrument_id};

const MAX: &str = "170141183460469231731.687303715884105727";

/// A spot pair, an inverse contract, one that is hedged, and one whose lots are named; each holds one unit.
fn ledger() -> (Ledger, Desk) {
    let make = |id: &str| {
        let steps = (amount("0.01"), amount("0.1"));
        Instrument::new(instrument_id(id), currency("USD"), steps.0, steps.1).unwrap()
    };
    let contracts = [
        make("X"),
        make("BTC/USD").spot(currency("BTC")).unwrap(),
        make("I").inverse(currency("BTC")).unwrap(),
        make("H").with_mode(Mode::Hedging),
        make("L").with_method(Method::Specific),
    ];
    let known = Instruments::new(contracts).unwrap();
    let mut ledger = Ledger::open(Box::new(MemoryJournal::new()), known).unwrap();
    let mut desk = Desk::default();
    for id in ["X", "BTC/USD", "I", "H", "L"] {
        let entry = desk.entry(Fact::Filled(Fill { trade_id: trade("held"), ..bought(id) }));
        assert!(ledger.append(&entry, Durability::Grouped).is_ok());
    }
    (ledger, desk)
}

fn trade(id: &str) -> TradeId {
    TradeId::new(id).unwrap()
}

fn id() -> Reference {
    Reference::new("r").unwrap()
}

fn text() -> Text {
    Text::new("drift").unwrap()
}

fn leg(of: &str) -> Option<LegId> {
    (of == "H").then(|| LegId::new("long").unwrap())
}

/// A good fill of one unit at a price of ten.
fn bought(of: &str) -> Fill {
    let what = (Side::Buy, amount("1"), amount("10"));
    Fill { leg: leg(of), ..Fill::new(trade("new"), Uuid::nil(), instrument_id(of), what) }
}

type Row = (Fact, &'static str);

fn fills() -> Vec<Row> {
    let sold = |of: &str| Fill { side: Side::Sell, ..bought(of) };
    let cost = |of: &str, cost: &str| bought(of).with_cost(amount(cost));
    let named = |quantity: &str| LotChoice::of_trade(trade("held"), amount(quantity));
    let rows = [
        (Fill { quantity: amount("0"), ..bought("X") }, "quantity 0: it must be above zero"),
        (Fill { quantity: amount("-1"), ..bought("X") }, "quantity -1: it must be above zero"),
        (bought("NONE"), "instrument NONE: it is not known to the ledger"),
        (
            bought("X").with_fee(amount("1"), currency("XYZ")),
            "fee_currency XYZ: it must be a currency that the ledger knows",
        ),
        (Fill { price: amount("0"), ..bought("I") }, "price 0: it must be above zero"),
        (Fill { price: amount("-3"), ..bought("I") }, "price -3: it must be above zero"),
        (cost("I", "-2"), "cost -2: it must be above zero"),
        (
            Fill { leg: leg("H"), ..bought("X") },
            "leg long: it must be named only for a hedged position",
        ),
        (Fill { leg: None, ..bought("H") }, "leg -: it must be named for a hedged position"),
        (
            sold("X").with_lots(vec![named("1")]),
            "lots 1: it must be named only where the method is that of specific lots",
        ),
        (sold("L").with_lots(vec![named("0")]), "lots 0: it must be above zero"),
        (sold("L"), "lots: the fill closes 1 and has to name them"),
        (sold("L").with_lots(vec![named("0.5")]), "lots: 0.5 are named, 1 are closed"),
        (
            sold("L").with_lots(vec![LotChoice::of_trade(trade("t"), amount("1"))]),
            "lot t: 0 of it are open, not 1",
        ),
        (Fill { quantity: amount(MAX), ..bought("X") }, "value: out of range"),
        (cost("X", MAX), "cash_flow: out of range"),
    ];
    rows.into_iter().map(|(fill, why)| (Fact::Filled(fill), why)).collect()
}

fn words() -> Vec<Row> {
    let void = |of: &str, id: &str, quantity: Option<&str>| {
        let (instrument, trade_id) = (instrument_id(of), trade(id));
        Fact::FillVoided(Void { instrument, trade_id, quantity: quantity.map(amount) })
    };
    let word = |of: &str, id: &str, price: &str| {
        Fact::FillCorrected(Correction::new(instrument_id(of), trade(id), amount(price)))
    };
    vec![
        (void("NONE", "held", None), "instrument NONE: it is not known to the ledger"),
        (void("X", "held", Some("0")), "quantity 0: it must be above zero"),
        (void("X", "held", Some("-1")), "quantity -1: it must be above zero"),
        (void("X", "held", Some("1.5")), "trade held: 1.5 cannot be void of 1"),
        (word("NONE", "held", "1"), "instrument NONE: it is not known to the ledger"),
        (word("X", "none", "1"), "trade none: it is not in the books"),
        (word("I", "held", "0"), "price 0: it must be above zero"),
    ]
}

fn deeds() -> Vec<Row> {
    let act = |of: &str, act| {
        let (instrument, reach) = (instrument_id(of), Reach::Everyone);
        Fact::Acted(Action { id: id(), instrument, leg: None, reach, act })
    };
    let split = |new: &str, old: &str, whole: &str| {
        let in_lieu = CashInLieu { whole: amount(whole), price: Amount::ONE };
        Act::Split(Split { new: amount(new), old: amount(old), in_lieu: Some(in_lieu) })
    };
    let moved = |of: &str, quantity: &str, to: &str| {
        let (instrument, to) = (instrument_id(of), Account::new(to).unwrap());
        Fact::Moved(Move { id: id(), instrument, leg: leg(of), quantity: amount(quantity), to })
    };
    let repair = |of: &str, change: &str, price: &str| {
        let (instrument, leg) = (instrument_id(of), leg(of));
        let (change, price) = (amount(change), amount(price));
        Fact::PositionAdjusted(Repair { id: id(), instrument, leg, change, price, reason: text() })
    };
    let opening = |of: &str, quantity: &str, cost: &str| {
        let (instrument, leg) = (instrument_id(of), leg(of));
        let (quantity, cost) = (amount(quantity), amount(cost));
        Fact::PositionOpened(Opening { id: id(), instrument, leg, quantity, cost })
    };
    let into = |into: &str| Act::Delivery { price: Amount::ONE, into: instrument_id(into) };
    vec![
        (act("NONE", split("1", "2", "1")), "instrument NONE: it is not known to the ledger"),
        (act("X", split("0", "2", "1")), "new 0: it must be above zero"),
        (act("X", split("1", "-2", "1")), "old -2: it must be above zero"),
        (act("X", split("1", "2", "0")), "whole 0: it must be above zero"),
        (act("X", split(MAX, "0.1", "1")), "quantity: out of range"),
        (act("I", Act::Settlement { price: amount("0") }), "price 0: it must be above zero"),
        (act("X", into("NONE")), "instrument NONE: it is not known to the ledger"),
        (act("X", into("I")), "into I: it must be a spot pair"),
        (moved("NONE", "1", "B"), "instrument NONE: it is not known to the ledger"),
        (moved("X", "0", "B"), "quantity 0: it must be above zero"),
        (moved("X", "-1", "B"), "quantity -1: it must be above zero"),
        (moved("X", "1", "A"), "to A: it must be another account"),
        (moved("X", "2", "B"), "quantity 2: it must be at most the 1 that are held"),
        (repair("NONE", "1", "1"), "instrument NONE: it is not known to the ledger"),
        (repair("X", "0", "1"), "change 0: it must not be zero"),
        (repair("I", "1", "0"), "price 0: it must be above zero"),
        (repair("X", MAX, "1"), "cash_flow: out of range"),
        (opening("NONE", "1", "1"), "instrument NONE: it is not known to the ledger"),
        (opening("X", "0", "1"), "quantity 0: it must not be zero"),
        (opening("X", "-1", "1"), "quantity -1: it must be on the side that is held"),
        (opening("I", "1", "0"), "cost 0: it must be above zero"),
        (opening("X", MAX, "1"), "position: out of range"),
        (opening("X", "0.000000000000000001", "1000"), "price: out of range"),
    ]
}

fn money() -> Vec<Row> {
    let (usd, one) = (|| currency("USD"), || Amount::ONE);
    let unknown = || currency("XYZ");
    let paid = |purpose, of: Option<&str>, size: &str, currency: Currency| {
        let instrument = of.map(instrument_id);
        let (leg, amount) = (None, amount(size));
        Fact::Paid(Payment { id: id(), purpose, instrument, leg, currency, amount })
    };
    let (negative, zero) = (|| amount("-1"), || Amount::ZERO);
    let to = || Account::new("B").unwrap();
    let rule = "currency XYZ: it must be a currency that the ledger knows";
    let (amount_zero, amount_negative) =
        ("amount 0: it must be above zero", "amount -1: it must be above zero");
    vec![
        (Fact::Deposited { currency: unknown(), amount: one() }, rule),
        (Fact::Deposited { currency: usd(), amount: zero() }, amount_zero),
        (Fact::Withdrawn { currency: unknown(), amount: one() }, rule),
        (Fact::Withdrawn { currency: usd(), amount: negative() }, amount_negative),
        (Fact::BalanceOpened { currency: unknown(), amount: one() }, rule),
        (Fact::BalanceOpened { currency: usd(), amount: zero() }, "amount 0: it must not be zero"),
        (Fact::MoneyMoved { currency: unknown(), amount: one(), to: to() }, rule),
        (Fact::MoneyMoved { currency: usd(), amount: negative(), to: to() }, amount_negative),
        (
            Fact::MoneyMoved { currency: usd(), amount: one(), to: account() },
            "to A: it must be another account",
        ),
        (Fact::Adjusted { currency: unknown(), amount: one(), reason: text() }, rule),
        (
            Fact::Adjusted { currency: usd(), amount: zero(), reason: text() },
            "amount 0: it must not be zero",
        ),
        (paid(Purpose::Fee, None, "0", usd()), amount_zero),
        (
            paid(Purpose::Fee, Some("NONE"), "1", usd()),
            "instrument NONE: it is not known to the ledger",
        ),
        (
            paid(Purpose::Fee, Some("H"), "1", usd()),
            "leg -: it must be named for a hedged position",
        ),
        (paid(Purpose::Rebate, None, "-1", usd()), amount_negative),
        (paid(Purpose::Rebate, None, "1", unknown()), rule),
        (paid(Purpose::Interest, None, "1", unknown()), rule),
        (paid(Purpose::Funding, None, "1", usd()), "instrument -: it must be named by funding"),
        (
            paid(Purpose::Funding, Some("I"), "1", usd()),
            "currency USD: it must be the settlement currency of the instrument",
        ),
    ]
}

fn the_rest(ledger: &Ledger) -> Vec<Row> {
    let good = || Intent {
        order_id: Uuid::from_u128(1),
        tag: Uuid::from_u128(2),
        instrument: instrument_id("X"),
        side: Side::Buy,
        quantity: Amount::ONE,
        limit: None,
        accept_by: Timestamp::from_millis(1_000_000),
        strategy: Strategy::new("slow").unwrap(),
    };
    let intents = [
        (
            Intent { order_id: Uuid::nil(), ..good() },
            "order_id 00000000-0000-0000-0000-000000000000: it must not be nil",
        ),
        (
            Intent { instrument: instrument_id("NONE"), ..good() },
            "instrument NONE: it is not known to the ledger",
        ),
        (Intent { quantity: amount("0"), ..good() }, "quantity 0: it must be above zero"),
        (Intent { quantity: amount("-0.1"), ..good() }, "quantity -0.1: it must be above zero"),
        (
            Intent { quantity: amount("0.15"), ..good() },
            "quantity 0.15: it must be a multiple of the lot step",
        ),
        (
            Intent { limit: Some(amount("1.001")), ..good() },
            "limit 1.001: it must be a multiple of the price step",
        ),
        (
            Intent { instrument: instrument_id("I"), limit: Some(amount("0")), ..good() },
            "limit 0: it must be above zero",
        ),
        (
            Intent { accept_by: Timestamp::from_millis(1), ..good() },
            "accept_by 1: it must not be before the intent",
        ),
    ];
    let mut rows: Vec<_> =
        intents.into_iter().map(|(intent, why)| (Fact::intended(intent), why)).collect();
    let event = backstop_position_ledger::order::Event::Cancelled;
    let unknown = "order 00000000-0000-0000-0000-000000000009: its intent is not in the books";
    rows.push((Fact::order(Uuid::from_u128(9), event), unknown));
    let (subject, reason) = (|| Subject::Instrument(instrument_id("NONE")), text);
    rows.push((
        Fact::Isolated { subject: subject(), reason: reason() },
        "instrument NONE: it is not known to the ledger",
    ));
    rows.push((
        Fact::Released { subject: subject(), reason: reason() },
        "subject NONE: it must be isolated",
    ));
    let (kind, checksum) = (pnl::Kind::Periodic, ledger.head());
    rows.push((
        Fact::SnapshotTaken { kind, of_sequence: 6, checksum },
        "of_sequence 6: it must be an entry before this one",
    ));
    rows
}

#[test]
fn every_kind_of_entry_is_refused_by_field_value_and_rule() {
    let (mut ledger, mut desk) = ledger();
    let rows = [fills(), words(), deeds(), money(), the_rest(&ledger)].concat();
    let before = (ledger.books().clone(), ledger.journal().read(0, usize::MAX).unwrap());
    for (fact, why) in rows {
        let entry = desk.entry(fact);
        let told = ledger.append(&entry, Durability::Durable);
        let refused = told.map_err(|refused| refused.to_string());
        assert_eq!(refused, Err(why.to_owned()), "{:?}", entry.fact);
        let after = (ledger.books().clone(), ledger.journal().read(0, usize::MAX).unwrap());
        assert!(after == before, "{why} left a trace");
    }
}

#[test]
fn a_word_that_moves_a_profit_too_far_changes_nothing() {
    let (mut ledger, mut desk) = ledger();
    let (side, price) = (Side::Sell, amount("160000000000000000000"));
    let sold = desk.entry(Fact::Filled(Fill { side, price, ..bought("X") }));
    assert!(ledger.append(&sold, Durability::Grouped).is_ok());
    let before = ledger.books().clone();
    // Either profit is in range, and what lies between them is not.
    let word = Correction::new(instrument_id("X"), trade("new"), price.negated());
    let refused = ledger.append(&desk.entry(Fact::FillCorrected(word)), Durability::Grouped);
    assert_eq!(refused.unwrap_err().to_string(), "balance: out of range");
    assert!(*ledger.books() == before, "it left a trace");
}

#[test]
fn nothing_happens_before_the_epoch() {
    let (mut ledger, mut desk) = ledger();
    let before = ledger.books().clone();
    let early = Timestamp::from_millis(-1);
    let facts = [
        Fact::Filled(bought("X")),
        Fact::Deposited { currency: currency("USD"), amount: Amount::ONE },
        Fact::PositionOpened(Opening {
            id: id(),
            instrument: instrument_id("X"),
            leg: None,
            quantity: Amount::ONE,
            cost: Amount::ONE,
        }),
    ];
    for fact in facts {
        let entry = desk.entry(fact);
        for (entry, field) in [
            (Entry { at: early, ..entry.clone() }, "at"),
            (Entry { journaled_at: early, ..entry.clone() }, "journaled_at"),
        ] {
            let refused = ledger.append(&entry, Durability::Grouped).unwrap_err();
            let AppendError::Invalid(invalid) = refused else { panic!("{refused}") };
            assert_eq!((invalid.field, &*invalid.value), (field, "-1"));
            assert_eq!(invalid.rule, "not be before the epoch");
        }
    }
    assert_eq!(*ledger.books(), before);
}

#[test]
fn text_that_is_no_amount_is_refused_by_field_value_and_rule() {
    let form = "be a decimal number of the form [+-]digits[.digits]";
    let digits = "1234567890123456789012345678901234567890";
    let fine = "0.1234567890123456789012345678901234567890";
    for (text, rule) in [
        ("NaN", form),
        ("inf", form),
        ("1e5", form),
        ("0x10", form),
        ("", form),
        ("1_000", form),
        ("\u{661}", form),
        (digits, "be at most about 1.7e20 in size"),
        (fine, "have at most 18 decimals"),
    ] {
        let refused = Amount::read("price", text).unwrap_err();
        assert_eq!((refused.field, &*refused.value, refused.rule), ("price", text, rule));
    }
    // Forty digits that say no more than a few do are what they say.
    let zeros = "1.500000000000000000000000000000000000000";
    assert_eq!(Amount::read("price", zeros).unwrap(), amount("1.5"));
}

#[test]
fn names_that_are_none_are_refused_by_kind_value_and_rule() {
    let long = "x".repeat(300);
    for (text, rule) in [
        ("", "not be empty"),
        (" A", "have no blanks at its ends"),
        ("A\n", "have no control characters"),
        (&*long, "keep its limit in bytes"),
    ] {
        let check = |found: Option<NameError>, what: &str| {
            let refused = found.unwrap();
            assert_eq!((refused.what, refused.rule), (what, rule));
        };
        check(Account::new(text).err(), "account");
        check(Currency::new(text).err(), "currency");
        check(InstrumentId::new(text).err(), "instrument");
        check(TradeId::new(text).err(), "trade_id");
        check(LegId::new(text).err(), "leg");
        check(Reference::new(text).err(), "id");
        check(Strategy::new(text).err(), "strategy");
    }
}
