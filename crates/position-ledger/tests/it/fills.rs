//! Fills: booked once, whoever reports them, and refused for one reason at a time.

use backstop_position_ledger::error::{AppendError, FundsError};
use backstop_position_ledger::fill::{Side, Source};
use backstop_position_ledger::{Account, Amount, Durability, Fact, Outcome, Text};

use crate::kit::{Desk, account, amount, apply, currency, fill, instrument_id, ledger};

#[test]
fn the_source_and_the_time_are_no_part_of_the_identity() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "1", "1.1")));
    let mut recovered = fill("t1", "1", "1.1");
    recovered.source = Source::Recovered { finding: Text::new("missing here").unwrap() };
    let again = ledger.append(&desk.entry(Fact::Filled(recovered)), Durability::Grouped).unwrap();
    assert_eq!(again, Outcome::Duplicate);
}

#[test]
fn every_part_of_the_content_makes_a_conflict_of_its_own() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "1", "1.1")));
    let head = ledger.head();
    for field in ["side", "quantity", "price", "fee", "fee_currency", "order_id"] {
        let mut other = fill("t1", "1", "1.1");
        match field {
            "side" => other.side = Side::Sell,
            "quantity" => other.quantity = amount("2"),
            "price" => other.price = amount("1.2"),
            "fee" => other.fee = amount("0.1"),
            "fee_currency" => other.fee_currency = Some(currency("BNB")),
            _ => other.order_id = crate::kit::order_id(2),
        }
        match ledger.append(&desk.entry(Fact::Filled(other)), Durability::Grouped).unwrap() {
            Outcome::Conflict(difference) => assert_eq!(difference.field, field),
            outcome => panic!("{field}: {outcome:?}"),
        }
    }
    assert_eq!((ledger.head(), ledger.version()), (head, 1));
}

#[test]
fn a_fill_that_contradicts_its_order_is_refused() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::intended(crate::kit::intent(1, "10")));
    let mut sold = fill("t1", "1", "1.1");
    sold.side = Side::Sell;
    let mut elsewhere = fill("t1", "1", "1.1");
    elsewhere.instrument = instrument_id("GOLD");
    for (wrong, field) in [(sold, "side"), (elsewhere, "instrument")] {
        match ledger.append(&desk.entry(Fact::Filled(wrong)), Durability::Grouped) {
            Err(AppendError::Invalid(invalid)) => assert_eq!(invalid.field, field),
            other => panic!("{other:?}"),
        }
    }
    let mut entry = desk.entry(Fact::Filled(fill("t1", "1", "1.1")));
    entry.account = Account::new("B").unwrap();
    assert!(matches!(ledger.append(&entry, Durability::Grouped), Err(AppendError::Invalid(_))));
    assert_eq!(ledger.version(), 1);
}

#[test]
fn a_multiplier_counts_in_value_and_not_in_the_average() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let mut gold = fill("t1", "2", "1800.5");
    gold.instrument = instrument_id("GOLD");
    apply(&mut ledger, &mut desk, Fact::Filled(gold));
    let position = ledger.books().position(&account(), &instrument_id("GOLD")).unwrap();
    assert_eq!(position.open_cost(), amount("36010"));
    assert_eq!(position.average(), Ok(Some(amount("1800.5"))));
    assert_eq!(position.unrealized(amount("1801.5")), Ok(amount("20")));
}

#[test]
fn a_negative_price_is_a_price() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "2", "-37.63")));
    let mut out = fill("t2", "2", "-30");
    out.side = Side::Sell;
    apply(&mut ledger, &mut desk, Fact::Filled(out));
    let position = ledger.books().position(&account(), &instrument_id("EUR/USD")).unwrap();
    assert_eq!((position.realized_gross(), position.open_cost()), (amount("15.26"), Amount::ZERO));
}

#[test]
fn a_turn_is_booked_in_two_legs_and_the_fee_is_shared() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "1", "100")));
    let mut turn = fill("t2", "3", "110");
    (turn.side, turn.fee) = (Side::Sell, amount("0.1"));
    apply(&mut ledger, &mut desk, Fact::Filled(turn.clone()));
    let legs = ledger.books().legs(&account(), &turn.instrument, &turn.trade_id).unwrap().unwrap();
    let (close, open) = (legs.close.unwrap(), legs.open.unwrap());
    assert_eq!((close.quantity, open.quantity), (amount("1"), amount("2")));
    assert_eq!(close.fee, amount("0.033333333333333333"));
    assert_eq!(close.fee.checked_add(open.fee), Ok(turn.fee));
    let history = ledger.books().history(&account(), &turn.instrument, None).unwrap();
    assert_eq!((history[1].realized, history[1].closed), (amount("10"), amount("1")));
}

#[test]
fn what_was_never_booked_reads_as_nothing_and_not_as_zero() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "1", "100")));
    let mut sold = fill("t2", "1", "100");
    sold.side = Side::Sell;
    apply(&mut ledger, &mut desk, Fact::Filled(sold.clone()));
    let (books, other) = (ledger.books(), Account::new("B").unwrap());
    assert_eq!(books.net_quantity(&account(), &sold.instrument), Ok(Some(Amount::ZERO)));
    assert_eq!(books.net_quantity(&other, &sold.instrument), Ok(None));
    assert_eq!(books.net_quantity(&account(), &instrument_id("NONE")), Ok(None));
    assert!(books.position(&other, &sold.instrument).is_none());
    let funds = |account: &Account, code| books.funds(account, &currency(code), |_| None);
    assert_eq!(funds(&account(), "USD").unwrap().total, Amount::ZERO);
    for (account, code) in [(&other, "USD"), (&account(), "BNB"), (&account(), "XYZ")] {
        assert!(matches!(funds(account, code), Err(FundsError::NoBalance { .. })), "{code}");
    }
}

#[test]
fn a_fill_is_a_fact_also_where_its_value_has_to_be_rounded() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let fine = fill("t1", "0.0000000003", "0.0000000005");
    apply(&mut ledger, &mut desk, Fact::Filled(fine.clone()));
    let stated = fill("t2", "1", "1.1").with_cost(amount("1.2"));
    apply(&mut ledger, &mut desk, Fact::Filled(stated));
    let position = ledger.books().position(&account(), &fine.instrument).unwrap();
    // 1.5e-19 is half a unit and more, and rounds to the even neighbour zero; the venue's own cost wins over 1.1.
    assert_eq!(position.open_cost(), amount("1.2"));
    ledger.books().check_conservation().unwrap();
}
