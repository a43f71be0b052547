//! Money: every amount comes from somewhere, and groups come whole.

use backstop_clock::Timestamp;
use backstop_position_ledger::action::{Payment, Purpose, Reference};
use backstop_position_ledger::error::AppendError;
use backstop_position_ledger::fill::Side;
use backstop_position_ledger::{
    Amount, Durability, Fact, Instrument, Instruments, Ledger, MemoryJournal, Outcome, Text,
};

use crate::kit::{Desk, account, amount, apply, currency, fill, instrument_id, ledger};

fn deposit(size: &str) -> Fact {
    Fact::Deposited { currency: currency("USD"), amount: amount(size) }
}

fn adjust(size: &str) -> Fact {
    let reason = Text::new("finding 7").unwrap();
    Fact::Adjusted { currency: currency("USD"), amount: amount(size), reason }
}

fn total(ledger: &Ledger, code: &str) -> Option<Amount> {
    ledger.books().balance(&account(), &currency(code)).map(|balance| balance.total)
}

#[test]
fn a_balance_is_the_sum_of_its_parts() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, deposit("100"));
    apply(&mut ledger, &mut desk, adjust("-1.5"));
    let mut charged = fill("t1", "1", "1.1");
    charged.fee = amount("0.25");
    apply(&mut ledger, &mut desk, Fact::Filled(charged));
    let mut elsewhere = fill("t2", "1", "1.1");
    (elsewhere.fee, elsewhere.fee_currency) = (amount("0.01"), Some(currency("BNB")));
    apply(&mut ledger, &mut desk, Fact::Filled(elsewhere));
    assert_eq!(
        (total(&ledger, "USD"), total(&ledger, "BNB")),
        (Some(amount("98.25")), Some(amount("-0.01")))
    );
    assert_eq!(total(&ledger, "EUR"), None);
    assert_eq!(ledger.books().adjustments().next().unwrap().amount, amount("-1.5"));
    ledger.books().check_conservation().unwrap();
}

#[test]
fn money_is_identified_by_the_id_of_its_entry() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let entry = desk.entry(deposit("100"));
    assert!(matches!(
        ledger.append(&entry, Durability::Durable),
        Ok(Outcome::Applied { sequence: 1 })
    ));
    assert_eq!(ledger.append(&entry, Durability::Durable).unwrap(), Outcome::Duplicate);
    let mut other = entry;
    other.fact = deposit("101");
    assert!(matches!(ledger.append(&other, Durability::Durable), Ok(Outcome::Conflict(_))));
    assert_eq!(total(&ledger, "USD"), Some(amount("100")));
}

#[test]
fn refusals_name_field_value_and_rule() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let unknown = Fact::Deposited { currency: currency("ZZZ"), amount: amount("1") };
    for (fact, message) in [
        (deposit("0"), "amount 0: it must be above zero"),
        (adjust("0"), "amount 0: it must not be zero"),
        (unknown, "currency ZZZ: it must be a currency that the ledger knows"),
        (Fact::Filled(fill("t1", "-1", "1.1")), "quantity -1: it must be above zero"),
    ] {
        assert_eq!(
            ledger.append(&desk.entry(fact), Durability::Grouped).unwrap_err().to_string(),
            message
        );
    }
    let mut early = desk.entry(deposit("1"));
    early.at = Timestamp::from_millis(-1);
    let refused = ledger.append(&early, Durability::Grouped).unwrap_err();
    assert_eq!(refused.to_string(), "at -1: it must not be before the epoch");
    assert_eq!(ledger.version(), 0);
}

#[test]
fn an_overflow_is_refused_and_leaves_no_trace() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let most = Fact::Deposited { currency: currency("USD"), amount: Amount::MAX };
    apply(&mut ledger, &mut desk, most);
    let before = ledger.books().clone();
    let refused = ledger.append(&desk.entry(deposit("1")), Durability::Grouped).unwrap_err();
    assert_eq!(refused.to_string(), "balance: out of range");
    assert_eq!(*ledger.books(), before);
}

#[test]
fn a_group_is_taken_whole_or_not_at_all() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "1", "1.1")));
    let before = ledger.books().clone();

    let bad = [
        desk.entry(deposit("5")),
        desk.entry(Fact::Filled(fill("t2", "1", "1.1"))),
        desk.entry(deposit("0")),
    ];
    assert!(matches!(
        ledger.append_all(&bad, None, Durability::Grouped),
        Err(AppendError::Invalid(_))
    ));
    assert_eq!(*ledger.books(), before);

    let clash = [desk.entry(deposit("5")), desk.entry(Fact::Filled(fill("t1", "2", "1.1")))];
    let refused = ledger.append_all(&clash, None, Durability::Grouped);
    assert!(matches!(refused, Err(AppendError::GroupConflict { index: 1, .. })));
    assert_eq!(*ledger.books(), before);

    let good = [
        desk.entry(deposit("5")),
        desk.entry(Fact::Filled(fill("t1", "1", "1.1"))),
        desk.entry(adjust("1")),
    ];
    let stale = ledger.append_all(&good, Some(0), Durability::Grouped);
    assert!(matches!(stale, Err(AppendError::VersionConflict { expected: 0, actual: 1 })));
    let outcomes = ledger.append_all(&good, Some(1), Durability::Grouped).unwrap();
    let applied = |sequence| Outcome::Applied { sequence };
    assert_eq!(outcomes, [applied(2), Outcome::Duplicate, applied(3)]);
    assert_eq!(total(&ledger, "USD"), Some(amount("6")));
}

/// A book of contracts in dollars.
fn book_of(names: [&str; 3]) -> Ledger {
    let contract =
        |name| Instrument::new(instrument_id(name), currency("USD"), Amount::ONE, Amount::ONE);
    let known = Instruments::new(names.map(|name| contract(name).unwrap())).unwrap();
    Ledger::open(Box::new(MemoryJournal::new()), known).unwrap()
}

/// Buys and sells one of a contract, for this profit.
fn gain(ledger: &mut Ledger, desk: &mut Desk, name: &str, profit: &str) {
    for (side, price) in [(Side::Buy, "0"), (Side::Sell, profit)] {
        let mut fill = fill(&format!("{name} {price}"), "1", price);
        (fill.side, fill.instrument) = (side, instrument_id(name));
        apply(ledger, desk, Fact::Filled(fill));
    }
}

#[test]
fn parts_may_be_out_of_range_together_where_their_total_is_not() {
    let (mut ledger, mut desk) = (book_of(["X", "Y", "Z"]), Desk::default());
    gain(&mut ledger, &mut desk, "X", "1");
    let mut costly = fill("t1", "1", "0");
    (costly.instrument, costly.fee) = (instrument_id("X"), amount("2"));
    apply(&mut ledger, &mut desk, Fact::Filled(costly));
    let funding = Payment {
        id: Reference::new("f1").unwrap(),
        purpose: Purpose::Funding,
        instrument: Some(instrument_id("X")),
        leg: None,
        currency: currency("USD"),
        amount: Amount::MAX,
    };
    apply(&mut ledger, &mut desk, Fact::Paid(funding));
    assert_eq!(total(&ledger, "USD"), Amount::MAX.checked_sub(Amount::ONE).ok());
    ledger.books().check_conservation().unwrap();
}

#[test]
fn profits_may_be_out_of_range_in_the_order_of_their_names() {
    let (mut ledger, mut desk) = (book_of(["X", "Y", "Z"]), Desk::default());
    let most = "150000000000000000000";
    gain(&mut ledger, &mut desk, "X", most);
    gain(&mut ledger, &mut desk, "Z", &format!("-{most}"));
    gain(&mut ledger, &mut desk, "Y", most);
    ledger.books().check_conservation().unwrap();
}
