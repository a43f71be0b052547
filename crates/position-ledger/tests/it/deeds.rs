//! What is no fill: payments, openings, deliveries, transfers of money, repairs, isolation; and what is read of them.

use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_position_ledger::action::{
    Act, Action, Opening, Payment, Purpose, Reach, Reference, Repair, Split, Subject,
};
use backstop_position_ledger::error::{AppendError, FundsError, RateError};
use backstop_position_ledger::fill::{Side, Void};
use backstop_position_ledger::order::{Portfolio, Status, Strategy};
use backstop_position_ledger::pnl::{By, Group, Mark, Marks, Rates, convert};
use backstop_position_ledger::{
    Account, Amount, Durability, Fact, Instrument, Instruments, Ledger, MemoryJournal, Outcome,
    Text,
};

use crate::kit::{Desk, account, amount, apply, currency, fill, instrument_id, intent, ledger};

fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn payment(id: &str, purpose: Purpose, size: &str) -> Payment {
    Payment {
        id: reference(id),
        purpose,
        instrument: None,
        leg: None,
        currency: currency("USD"),
        amount: amount(size),
    }
}

/// A spot pair and a future on it, both in USD.
fn spot_and_future() -> Ledger {
    let make = |id: &str| {
        Instrument::new(instrument_id(id), currency("USD"), amount("0.01"), amount("0.001"))
            .unwrap()
    };
    let spot = make("BTC/USD").spot(currency("BTC")).unwrap();
    let future = make("BTC-F").with_multiplier(amount("0.1")).unwrap();
    let known = Instruments::new([spot, future]).unwrap();
    Ledger::open(Box::new(MemoryJournal::new()), known).unwrap()
}

fn total(ledger: &Ledger, code: &str) -> Amount {
    ledger.books().balance(&account(), &currency(code)).map_or(Amount::ZERO, |held| held.total)
}

#[test]
fn payments_move_the_balance_and_the_position_they_name() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let on = |mut payment: Payment| {
        payment.instrument = Some(instrument_id("EUR/USD"));
        payment
    };
    for paid in [
        payment("m", Purpose::Fee, "3"),
        payment("r", Purpose::Rebate, "1"),
        payment("i", Purpose::Interest, "0.5"),
        on(payment("m", Purpose::Fee, "2")),
        on(payment("f", Purpose::Funding, "-4")),
    ] {
        apply(&mut ledger, &mut desk, Fact::Paid(paid));
    }
    assert_eq!(total(&ledger, "USD"), amount("-7.5"));
    let position = ledger.books().position(&account(), &instrument_id("EUR/USD")).unwrap();
    assert_eq!(
        (position.funding(), position.realized_net().unwrap().amount),
        (amount("-4"), amount("-6"))
    );
    ledger.books().check_conservation().unwrap();

    let again = desk.entry(Fact::Paid(payment("m", Purpose::Fee, "3")));
    assert_eq!(ledger.append(&again, Durability::Grouped).unwrap(), Outcome::Duplicate);
    let other = desk.entry(Fact::Paid(payment("m", Purpose::Fee, "4")));
    assert!(matches!(ledger.append(&other, Durability::Grouped), Ok(Outcome::Conflict(_))));
    for (wrong, message) in [
        (payment("x", Purpose::Fee, "-1"), "amount -1: it must be above zero"),
        (payment("x", Purpose::Funding, "1"), "instrument -: it must be named by funding"),
    ] {
        let refused = ledger.append(&desk.entry(Fact::Paid(wrong)), Durability::Grouped);
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

#[test]
fn money_goes_to_another_account_and_out() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let usd = || currency("USD");
    let to = Account::new("B").unwrap();
    let moved =
        |to: &Account| Fact::MoneyMoved { currency: usd(), amount: amount("30"), to: to.clone() };
    apply(&mut ledger, &mut desk, Fact::BalanceOpened { currency: usd(), amount: amount("100") });
    apply(&mut ledger, &mut desk, moved(&to));
    apply(&mut ledger, &mut desk, Fact::Withdrawn { currency: usd(), amount: amount("20") });
    assert_eq!(total(&ledger, "USD"), amount("50"));
    assert_eq!(ledger.books().balance(&to, &usd()).unwrap().transferred, amount("30"));
    let refused = ledger.append(&desk.entry(moved(&account())), Durability::Grouped).unwrap_err();
    assert_eq!(refused.to_string(), "to A: it must be another account");
    ledger.books().check_conservation().unwrap();
}

#[test]
fn spot_trades_move_both_currencies_and_openings_move_none() {
    let (mut ledger, mut desk) = (spot_and_future(), Desk::default());
    apply(
        &mut ledger,
        &mut desk,
        Fact::BalanceOpened { currency: currency("USD"), amount: amount("1000") },
    );
    let opening = Opening {
        id: reference("o"),
        instrument: instrument_id("BTC/USD"),
        leg: None,
        quantity: amount("1"),
        cost: amount("90"),
    };
    apply(&mut ledger, &mut desk, Fact::PositionOpened(opening));
    let mut bought = fill("t1", "2", "105").with_fee(amount("0.5"), currency("BTC"));
    bought.instrument = instrument_id("BTC/USD");
    apply(&mut ledger, &mut desk, Fact::Filled(bought));
    // 300 are the cost of 3, of which half a coin went as fee.
    assert_eq!((total(&ledger, "USD"), total(&ledger, "BTC")), (amount("790"), amount("2.5")));
    let mut sold = fill("t2", "2.5", "200");
    (sold.instrument, sold.side) = (instrument_id("BTC/USD"), Side::Sell);
    apply(&mut ledger, &mut desk, Fact::Filled(sold));
    assert_eq!((total(&ledger, "USD"), total(&ledger, "BTC")), (amount("1290"), Amount::ZERO));
    let position = ledger.books().position(&account(), &instrument_id("BTC/USD")).unwrap();
    assert_eq!(position.realized_gross(), amount("200"));
    ledger.books().check_conservation().unwrap();
}

#[test]
fn a_delivery_closes_the_future_and_opens_what_it_delivers() {
    let (mut ledger, mut desk) = (spot_and_future(), Desk::default());
    let mut bought = fill("t1", "30", "100");
    bought.instrument = instrument_id("BTC-F");
    apply(&mut ledger, &mut desk, Fact::Filled(bought));
    let act = Act::Delivery { price: amount("110"), into: instrument_id("BTC/USD") };
    let (id, instrument) = (reference("d"), instrument_id("BTC-F"));
    let action = Action { id, instrument, leg: None, reach: Reach::Everyone, act };
    apply(&mut ledger, &mut desk, Fact::Acted(action));
    let figures = |id: &str| {
        let position = ledger.books().position(&account(), &instrument_id(id)).unwrap();
        (position.quantity(), position.open_cost(), position.realized_gross())
    };
    assert_eq!(figures("BTC-F"), (Amount::ZERO, Amount::ZERO, amount("30")));
    assert_eq!(figures("BTC/USD"), (amount("3"), amount("330"), Amount::ZERO));
    // The profit of the future came in, the coins were paid.
    assert_eq!((total(&ledger, "USD"), total(&ledger, "BTC")), (amount("-300"), amount("3")));
    ledger.books().check_conservation().unwrap();
}

#[test]
fn what_is_isolated_waits_and_the_rest_goes_on() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "1", "1.1")));
    let subject = Subject::Instrument(instrument_id("EUR/USD"));
    let reason = Text::new("prices in cents").unwrap();
    let isolate = Fact::Isolated { subject: subject.clone(), reason: reason.clone() };
    apply(&mut ledger, &mut desk, isolate.clone());
    let before = ledger.books().clone();
    let waiting = desk.entry(Fact::Filled(fill("t2", "1", "110")));
    match ledger.append(&waiting, Durability::Grouped) {
        Err(AppendError::Isolated { isolation, .. }) => assert_eq!(isolation.sequence, 2),
        other => panic!("{other:?}"),
    }
    assert!(ledger.append(&desk.entry(isolate), Durability::Grouped).is_err());
    assert_eq!(*ledger.books(), before);
    let mut elsewhere = fill("t1", "1", "130");
    elsewhere.instrument = instrument_id("BUND");
    apply(&mut ledger, &mut desk, Fact::Filled(elsewhere));

    // The figures are there, and say how old they are.
    let position = ledger.books().position(&account(), &instrument_id("EUR/USD")).unwrap();
    let now = Timestamp::from_millis(12_000);
    assert_eq!(position.isolation().unwrap().age(now), Duration::from_secs(10));
    let mark = Mark { price: amount("1.2"), at: now };
    let marks = Marks::new(now, Duration::from_secs(1)).with_mark(instrument_id("EUR/USD"), mark);
    let profits = ledger.books().profits(By::Currency, &marks).unwrap();
    let of = |code: &str| &profits[&(Group::default(), currency(code))];
    assert_eq!(of("USD").stale[&instrument_id("EUR/USD")], Duration::from_secs(10));
    assert_eq!((of("EUR").total(), of("EUR").unpriced.len()), (Ok(None), 1));

    apply(&mut ledger, &mut desk, Fact::Released { subject, reason });
    assert!(matches!(ledger.append(&waiting, Durability::Grouped), Ok(Outcome::Applied { .. })));
    let apart = Fact::Isolated { subject: Subject::Account, reason: Text::new("mixed").unwrap() };
    apply(&mut ledger, &mut desk, apart);
    let refused =
        ledger.append(&desk.entry(Fact::Filled(fill("t3", "1", "1"))), Durability::Grouped);
    assert!(matches!(refused, Err(AppendError::Isolated { .. })));
}

#[test]
fn a_repair_needs_no_fill_and_its_reason_is_kept() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "10", "100")));
    let repair = |id: &str, change: &str, price: &str| {
        let reason = Text::new("finding 7").unwrap();
        let (id, instrument) = (reference(id), instrument_id("EUR/USD"));
        let (change, price) = (amount(change), amount(price));
        Fact::PositionAdjusted(Repair { id, instrument, leg: None, change, price, reason })
    };
    apply(&mut ledger, &mut desk, repair("a", "-2", "100"));
    let position = ledger.books().position(&account(), &instrument_id("EUR/USD")).unwrap();
    assert_eq!((position.quantity(), position.realized_gross()), (amount("8"), Amount::ZERO));
    let refused = ledger.append(&desk.entry(repair("b", "0", "1")), Durability::Grouped);
    assert_eq!(refused.unwrap_err().to_string(), "change 0: it must not be zero");
}

#[test]
fn strategies_share_a_position_each_at_its_own_cost() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    let mut book = |trade: &str, quantity: &str, price: &str, strategy: &str| {
        let mut filled = fill(trade, quantity.trim_start_matches('-'), price);
        filled.side = if quantity.starts_with('-') { Side::Sell } else { Side::Buy };
        let entry = desk.entry(Fact::Filled(filled));
        let entry = entry.with_strategy(Strategy::new(strategy).unwrap());
        let entry = entry.with_portfolio(Portfolio::new("main").unwrap());
        assert!(matches!(ledger.append(&entry, Durability::Grouped), Ok(Outcome::Applied { .. })));
    };
    book("t1", "10", "100", "slow");
    book("t2", "-4", "110", "fast");
    let books = ledger.books();
    let position = books.position(&account(), &instrument_id("EUR/USD")).unwrap();
    assert_eq!((position.quantity(), position.realized_gross()), (amount("6"), amount("40")));
    let now = Timestamp::from_millis(5_000);
    let mark = Mark { price: amount("105"), at: now };
    let marks = Marks::new(now, Duration::from_secs(9)).with_mark(instrument_id("EUR/USD"), mark);
    let totals = |by| {
        let rates = Rates::into(currency("USD"));
        convert(&books.profits(by, &marks).unwrap(), &rates).unwrap()
    };
    let by_strategy: Vec<_> = totals(By::Strategy)
        .into_iter()
        .map(|(group, total)| (group.strategy.unwrap().to_string(), total))
        .collect();
    // Ten up by 5, and four sold 5 above the mark: together what the account made.
    assert_eq!(by_strategy, [("fast".to_owned(), amount("20")), ("slow".to_owned(), amount("50"))]);
    for by in [By::Position, By::Instrument, By::Account, By::Portfolio, By::Currency] {
        let own = totals(by);
        assert_eq!(own.values().copied().collect::<Vec<_>>(), [amount("70")], "{by:?}");
    }
    let none = Marks::new(now, Duration::from_secs(9));
    let profits = books.profits(By::Account, &none).unwrap();
    let unpriced = convert(&profits, &Rates::into(currency("USD"))).unwrap_err();
    assert_eq!(unpriced, RateError::Unpriced(instrument_id("EUR/USD")));
    let missing =
        convert(&books.profits(By::Account, &marks).unwrap(), &Rates::into(currency("EUR")));
    assert!(matches!(missing, Err(RateError::Missing { .. })));
}

#[test]
fn open_orders_lock_what_they_may_take() {
    let (mut ledger, mut desk) = (spot_and_future(), Desk::default());
    apply(
        &mut ledger,
        &mut desk,
        Fact::Deposited { currency: currency("USD"), amount: amount("1000") },
    );
    let mut order = |number: u128, quantity: &str, side: Side, limit: Option<&str>| {
        let mut wanted = intent(number, quantity);
        (wanted.instrument, wanted.side) = (instrument_id("BTC/USD"), side);
        wanted.limit = limit.map(amount);
        apply(&mut ledger, &mut desk, Fact::intended(wanted));
    };
    order(1, "3", Side::Buy, Some("100"));
    order(2, "0.5", Side::Sell, Some("200"));
    let part = fill("t1", "1", "99");
    let part =
        backstop_position_ledger::fill::Fill { instrument: instrument_id("BTC/USD"), ..part };
    apply(&mut ledger, &mut desk, Fact::Filled(part));
    let funds =
        |ledger: &Ledger, code: &str| ledger.books().funds(&account(), &currency(code), |_| None);
    let dollars = funds(&ledger, "USD").unwrap();
    assert_eq!(
        (dollars.total, dollars.locked, dollars.free),
        (amount("901"), amount("200"), amount("701"))
    );
    let coins = funds(&ledger, "BTC").unwrap();
    assert_eq!((coins.locked, coins.free), (amount("0.5"), amount("0.5")));
    // What nobody ever heard of is no zero.
    let unknown = funds(&ledger, "GBP").unwrap_err();
    assert_eq!(unknown.to_string(), "account A never had GBP");

    let mut market = intent(3, "1");
    market.instrument = instrument_id("BTC/USD");
    apply(&mut ledger, &mut desk, Fact::intended(market));
    assert!(matches!(funds(&ledger, "USD"), Err(FundsError::Unpriced(_))));
    let priced = ledger.books().funds(&account(), &currency("USD"), |_| Some(amount("101")));
    assert_eq!(priced.unwrap().locked, amount("301"));
}

#[test]
fn a_statement_says_plainly_what_is_held() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "2", "1.5")));
    let listed = Instrument::new(instrument_id("NEW"), currency("USD"), Amount::ONE, Amount::ONE);
    ledger.list(listed.clone().unwrap()).unwrap();
    assert!(ledger.list(listed.unwrap()).is_err());
    let mut flat = fill("t1", "1", "3");
    flat.instrument = instrument_id("NEW");
    apply(&mut ledger, &mut desk, Fact::Filled(flat.clone()));
    (flat.trade_id, flat.side) = ("t2".parse().unwrap(), Side::Sell);
    apply(&mut ledger, &mut desk, Fact::Filled(flat));
    let statement =
        ledger.books().statement(Timestamp::from_millis(9_000), Timestamp::from_millis(2_000));
    assert_eq!((statement.version, statement.fills.len(), statement.positions.len()), (3, 2, 1));
    let row = &statement.positions[0];
    assert_eq!(
        (row.quantity, row.average, row.is_average_comparable),
        (amount("2"), Some(amount("1.5")), true)
    );
    assert_eq!(row.last_activity, Timestamp::from_millis(1_000));
}

#[test]
fn a_bust_opens_the_order_again() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::intended(intent(1, "2")));
    let filled = fill("t1", "2", "1.1");
    let (instrument, trade_id) = (filled.instrument.clone(), filled.trade_id.clone());
    apply(&mut ledger, &mut desk, Fact::Filled(filled));
    assert_eq!(ledger.books().open_orders().count(), 0);
    let void = Void { instrument, trade_id, quantity: Some(amount("0.5")) };
    apply(&mut ledger, &mut desk, Fact::FillVoided(void));
    let order = ledger.books().open_orders().next().unwrap();
    assert_eq!((order.filled(), order.status()), (amount("1.5"), Status::Accepted));
}

#[test]
fn what_concerns_everyone_happens_once_whoever_reports_it() {
    let (mut ledger, mut desk) = (ledger(), Desk::default());
    apply(&mut ledger, &mut desk, Fact::Filled(fill("t1", "10", "1")));
    let split = |new: &str, reach| {
        let act = Act::Split(Split { new: amount(new), old: Amount::ONE, in_lieu: None });
        let (id, instrument) = (reference("s"), instrument_id("EUR/USD"));
        Fact::Acted(Action { id, instrument, leg: None, reach, act })
    };
    apply(&mut ledger, &mut desk, split("2", Reach::Everyone));
    let mut report = |new: &str, reach| {
        let mut entry = desk.entry(split(new, reach));
        entry.account = Account::new("B").unwrap();
        ledger.append(&entry, Durability::Grouped).unwrap()
    };
    assert_eq!(report("2", Reach::Everyone), Outcome::Duplicate);
    assert!(matches!(report("3", Reach::Everyone), Outcome::Conflict(_)));
    // Of one account alone it is the same split, or another one under its name.
    assert_eq!(report("2", Reach::Account), Outcome::Duplicate);
    assert!(matches!(report("3", Reach::Account), Outcome::Conflict(_)));
    let held = ledger.books().position(&account(), &instrument_id("EUR/USD")).unwrap();
    assert_eq!(held.quantity(), amount("20"));
}

#[test]
fn nothing_is_delivered_into_what_is_isolated() {
    let (mut ledger, mut desk) = (spot_and_future(), Desk::default());
    let mut bought = fill("t1", "30", "100");
    bought.instrument = instrument_id("BTC-F");
    apply(&mut ledger, &mut desk, Fact::Filled(bought));
    let subject = Subject::Instrument(instrument_id("BTC/USD"));
    let reason = Text::new("prices in cents").unwrap();
    apply(&mut ledger, &mut desk, Fact::Isolated { subject, reason });
    let act = Act::Delivery { price: amount("110"), into: instrument_id("BTC/USD") };
    let (id, instrument) = (reference("d"), instrument_id("BTC-F"));
    let action = Action { id, instrument, leg: None, reach: Reach::Account, act };
    let refused = ledger.append(&desk.entry(Fact::Acted(action)), Durability::Grouped);
    assert!(matches!(refused, Err(AppendError::Isolated { .. })), "{refused:?}");
}
