//! What is easily got wrong: lots without a trade, one action told twice, nothing left of a split, words that come late.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::action::{
    Act, Action, CashInLieu, Move, Opening, Payment, Purpose, Reach, Reference, Repair, Split,
    Subject,
};
use backstop_position_ledger::error::AppendError;
use backstop_position_ledger::fill::{Correction, Fill, LotChoice, LotName, Side, TradeId, Void};
use backstop_position_ledger::order::{Portfolio, Strategy};
use backstop_position_ledger::pnl;
use backstop_position_ledger::position::Position;
use backstop_position_ledger::rules::{Method, Mode, Sequencing};
use backstop_position_ledger::{
    Account, Amount, Durability, Entry, Fact, Instrument, Instruments, Ledger, MemoryJournal,
    Outcome, Text,
};
use uuid::Uuid;

use crate::kit::{Desk, account, amount, apply, currency, fill, instrument_id, intent};

fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn text(words: &str) -> Text {
    Text::new(words).unwrap()
}

fn make(id: &str) -> Instrument {
    let steps = (amount("0.01"), amount("0.001"));
    Instrument::new(instrument_id(id), currency("USD"), steps.0, steps.1).unwrap()
}

fn ledger_of(contracts: impl IntoIterator<Item = Instrument>) -> Ledger {
    let known = Instruments::new(contracts).unwrap().with_currency(currency("BNB"));
    Ledger::open(Box::new(MemoryJournal::new()), known).unwrap()
}

fn other() -> Account {
    Account::new("B").unwrap()
}

fn on(instrument: &str, fill: Fill) -> Fill {
    Fill { instrument: instrument_id(instrument), ..fill }
}

fn sale(instrument: &str, trade: &str, quantity: &str, price: &str) -> Fill {
    Fill { side: Side::Sell, ..on(instrument, fill(trade, quantity, price)) }
}

fn act(id: &str, instrument: &str, reach: Reach, act: Act) -> Fact {
    let (id, instrument) = (reference(id), instrument_id(instrument));
    Fact::Acted(Action { id, instrument, leg: None, reach, act })
}

fn split(new: &str, old: &str, in_lieu: Option<CashInLieu>) -> Act {
    Act::Split(Split { new: amount(new), old: amount(old), in_lieu })
}

fn opening(instrument: &str, quantity: &str, cost: &str) -> Fact {
    let (id, instrument) = (reference("o"), instrument_id(instrument));
    let (quantity, cost) = (amount(quantity), amount(cost));
    Fact::PositionOpened(Opening { id, instrument, leg: None, quantity, cost })
}

fn append(ledger: &mut Ledger, entry: &Entry) -> Result<Outcome, AppendError> {
    ledger.append(entry, Durability::Grouped)
}

fn figures(ledger: &Ledger, account: &Account, instrument: &str) -> [Amount; 3] {
    let held = ledger.books().position(account, &instrument_id(instrument)).unwrap();
    ledger.books().check_conservation().unwrap();
    [held.quantity(), held.open_cost(), held.realized_gross()]
}

#[test]
fn a_lot_that_no_trade_opened_is_named_by_its_entry() {
    let specific = |id: &str| make(id).with_method(Method::Specific);
    let spot = specific("BTC/USD").spot(currency("BTC")).unwrap();
    let mut ledger = ledger_of([spot, specific("BTC-F")]);
    let mut desk = Desk::default();
    // Lots of entries 1 to 4: an opening, a repair, a delivery, and one that came from the other account.
    apply(&mut ledger, &mut desk, opening("BTC/USD", "1", "90"));
    let repair = Repair {
        id: reference("r"),
        instrument: instrument_id("BTC/USD"),
        leg: None,
        change: amount("2"),
        price: amount("95"),
        reason: text("drift"),
    };
    apply(&mut ledger, &mut desk, Fact::PositionAdjusted(repair));
    apply(&mut ledger, &mut desk, Fact::Filled(on("BTC-F", fill("f", "3", "100"))));
    let into = instrument_id("BTC/USD");
    let delivery = Act::Delivery { price: amount("110"), into: into.clone() };
    apply(&mut ledger, &mut desk, act("d", "BTC-F", Reach::Account, delivery));
    let mut bought = desk.entry(Fact::Filled(on("BTC/USD", fill("t5", "4", "105"))));
    bought.account = other();
    assert!(append(&mut ledger, &bought).is_ok());
    for part in ["1", "2"] {
        let (id, to) = (reference(part), account());
        let moved = Move { id, instrument: into.clone(), leg: None, quantity: amount(part), to };
        let entry = Entry { account: other(), ..desk.entry(Fact::Moved(moved)) };
        assert!(append(&mut ledger, &entry).is_ok());
    }
    let held = ledger.books().position(&account(), &into).unwrap();
    let lots: Vec<_> = held.lots().iter().map(|lot| (lot.sequence, lot.quantity)).collect();
    let expected = [(1, "1"), (2, "2"), (4, "3"), (5, "1"), (5, "2")];
    assert_eq!(lots, expected.map(|(sequence, quantity)| (sequence, amount(quantity))));

    let half = amount("0.5");
    let named = [
        LotChoice::of_entry(4, half),
        LotChoice::of_entry(1, half),
        LotChoice::of_entry(2, half),
        // Both parts of the one lot that came over, one after the other.
        LotChoice::of_trade(TradeId::new("t5").unwrap(), amount("1.5")),
    ];
    let sold = sale("BTC/USD", "s", "3", "120").with_lots(named.to_vec());
    apply(&mut ledger, &mut desk, Fact::Filled(sold.clone()));
    // 55 + 45 + 47.5 + 157.5 were paid for what brought 360.
    assert_eq!(figures(&ledger, &account(), "BTC/USD"), ["6", "620", "55"].map(amount));
    let named = vec![LotChoice::of_entry(1, amount("0.75"))];
    let more = sale("BTC/USD", "s2", "0.75", "120").with_lots(named);
    match append(&mut ledger, &desk.entry(Fact::Filled(more))) {
        Err(AppendError::LotUnavailable { lot, asked, open }) => {
            assert_eq!((lot, asked, open), (LotName::Entry(1), amount("0.75"), half));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_strategy_closes_lots_that_another_one_opened() {
    let mut ledger = ledger_of([make("X").with_method(Method::Specific)]);
    let mut desk = Desk::default();
    let mut book = |fill: Fill, strategy: &str| {
        let entry = desk.entry(Fact::Filled(fill)).with_strategy(Strategy::new(strategy).unwrap());
        assert!(matches!(append(&mut ledger, &entry), Ok(Outcome::Applied { .. })));
    };
    book(on("X", fill("t1", "1", "100")), "slow");
    book(on("X", fill("t2", "1", "110")), "fast");
    let named = vec![LotChoice::of_trade(TradeId::new("t1").unwrap(), amount("1"))];
    book(sale("X", "t3", "1", "120").with_lots(named), "fast");
    assert_eq!(figures(&ledger, &account(), "X"), ["1", "110", "20"].map(amount));
    let shares = ledger.books().shares();
    let of = |number: usize| (shares[number].quantity(), shares[number].realized_gross());
    assert_eq!((of(0), of(1)), ((Amount::ZERO, amount("10")), (amount("1"), Amount::ZERO)));
}

#[test]
fn an_isolated_account_stays_true_to_what_happens_to_everyone() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    apply(&mut ledger, &mut desk, Fact::Filled(on("X", fill("t1", "4", "10"))));
    let moved = Move {
        id: reference("m"),
        instrument: instrument_id("X"),
        leg: None,
        quantity: amount("1"),
        to: other(),
    };
    apply(&mut ledger, &mut desk, Fact::Moved(moved));
    let isolated = Fact::Isolated { subject: Subject::Account, reason: text("mixed") };
    let entry = Entry { account: other(), ..desk.entry(isolated) };
    assert!(append(&mut ledger, &entry).is_ok());
    apply(&mut ledger, &mut desk, act("s", "X", Reach::Everyone, split("2", "1", None)));
    assert_eq!(figures(&ledger, &other(), "X"), ["2", "10", "0"].map(amount));
    // The cost that came over is that of a fill that its venue restates.
    let correction = Correction::new(instrument_id("X"), TradeId::new("t1").unwrap(), amount("12"));
    apply(&mut ledger, &mut desk, Fact::FillCorrected(correction));
    assert_eq!(figures(&ledger, &other(), "X"), ["2", "12", "0"].map(amount));
    // What names it waits; what it knows already has nothing to wait for.
    let known = Entry { account: other(), ..desk.entry(opening("X", "1", "1")) };
    assert!(matches!(append(&mut ledger, &known), Err(AppendError::Isolated { .. })));
    assert_eq!(append(&mut ledger, &entry).unwrap(), Outcome::Duplicate);
}

#[test]
fn what_is_known_is_a_duplicate_also_while_its_account_is_apart() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    let wanted = backstop_position_ledger::order::Intent {
        instrument: instrument_id("X"),
        ..intent(1, "1")
    };
    let known = [
        Fact::Filled(on("X", fill("t1", "1", "10"))),
        opening("X", "1", "10"),
        Fact::intended(wanted),
    ];
    for fact in &known {
        apply(&mut ledger, &mut desk, fact.clone());
    }
    let reason = text("mixed");
    apply(&mut ledger, &mut desk, Fact::Isolated { subject: Subject::Account, reason });
    for fact in known {
        assert_eq!(append(&mut ledger, &desk.entry(fact)).unwrap(), Outcome::Duplicate);
    }
}

#[test]
fn an_action_for_some_accounts_is_not_done_again_for_everyone() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    let filled = Fact::Filled(on("X", fill("t1", "4", "10")));
    apply(&mut ledger, &mut desk, filled.clone());
    let entry = Entry { account: other(), ..desk.entry(filled) };
    assert!(append(&mut ledger, &entry).is_ok());
    apply(&mut ledger, &mut desk, act("s", "X", Reach::Account, split("2", "1", None)));
    let wide = act("s", "X", Reach::Everyone, split("2", "1", None));
    match append(&mut ledger, &desk.entry(wide)) {
        Ok(Outcome::Conflict(difference)) => assert_eq!(difference.field, "reach"),
        other => panic!("{other:?}"),
    }
    // The other account can still have it on its own.
    let narrow = act("s", "X", Reach::Account, split("2", "1", None));
    let entry = Entry { account: other(), ..desk.entry(narrow) };
    assert!(matches!(append(&mut ledger, &entry), Ok(Outcome::Applied { .. })));
    for account in [account(), other()] {
        assert_eq!(figures(&ledger, &account, "X")[0], amount("8"));
    }
}

#[test]
fn who_held_nothing_yet_is_not_split_again_for_everyone() {
    let mut ledger = ledger_of([make("X").with_sequencing(Sequencing::EventTime)]);
    let mut desk = Desk::default();
    let early = desk.entry(Fact::Filled(on("X", fill("t1", "4", "10"))));
    apply(&mut ledger, &mut desk, act("s", "X", Reach::Account, split("3", "1", None)));
    let everyone = desk.entry(act("s", "X", Reach::Everyone, split("3", "1", None)));
    match append(&mut ledger, &everyone) {
        Ok(Outcome::Conflict(difference)) => assert_eq!(difference.field, "reach"),
        other => panic!("{other:?}"),
    }
    assert!(append(&mut ledger, &early).is_ok());
    assert_eq!(figures(&ledger, &account(), "X"), ["12", "40", "0"].map(amount));
}

#[test]
fn a_split_that_leaves_nothing_loses_the_cost() {
    let unit = "0.000000000000000001";
    for method in [Method::Average, Method::Fifo, Method::Hifo] {
        for (quantity, lost) in [(unit, "-5"), ("-0.000000000000000001", "5")] {
            let mut ledger = ledger_of([make("X").with_method(method)]);
            let mut desk = Desk::default();
            apply(&mut ledger, &mut desk, opening("X", quantity, "5"));
            apply(&mut ledger, &mut desk, act("s", "X", Reach::Account, split("1", "3", None)));
            assert_eq!(figures(&ledger, &account(), "X"), ["0", "0", lost].map(amount));
            let held = ledger.books().position(&account(), &instrument_id("X")).unwrap();
            assert!(held.lots().is_empty());
        }
    }
}

#[test]
fn no_lot_falls_below_zero_in_a_split() {
    for method in [Method::Fifo, Method::Lifo, Method::Hifo, Method::Specific] {
        let mut ledger = ledger_of([make("X").with_method(method)]);
        let mut desk = Desk::default();
        for number in 0..9 {
            // Each would become 1.5 units, and two if it were rounded alone: three too many.
            let bought = on("X", fill(&format!("t{number}"), "0.000000000000000003", "10"));
            let bought = bought.with_cost(amount("1"));
            apply(&mut ledger, &mut desk, Fact::Filled(bought));
        }
        apply(&mut ledger, &mut desk, act("s", "X", Reach::Account, split("1", "2", None)));
        let held = ledger.books().position(&account(), &instrument_id("X")).unwrap();
        // 13.5 units, half to even.
        assert_eq!((held.quantity().units(), held.open_cost()), (14, amount("9")));
        let lots = held.lots();
        assert!(lots.iter().all(|lot| (1..=2).contains(&lot.quantity.units())), "{lots:?}");
        apply(&mut ledger, &mut desk, act("r", "X", Reach::Account, split("1", "7", None)));
        // Lots of which nothing is left leave their cost to those that stay.
        assert_eq!(
            figures(&ledger, &account(), "X")[..2],
            ["0.000000000000000002", "9"].map(amount)
        );
        ledger.books().check_conservation().unwrap();
    }
}

#[test]
fn fractions_of_shares_are_paid_in_proportion() {
    // 3.75 are held, and 0.75 of it are paid: a fifth of each share; or a third beyond 3, for 30 a whole one.
    for (held, old, expected, paid) in [
        (["3", "4.5"], "2", ["3", "60", "7.5"], ["9", "13.5"]),
        (["4", "6"], "3", ["3", "90", "0"], ["4", "6"]),
    ] {
        let mut ledger = ledger_of([make("X")]);
        let mut desk = Desk::default();
        for (quantity, strategy) in held.into_iter().zip(["fast", "slow"]) {
            let entry = desk.entry(Fact::Filled(on("X", fill(strategy, quantity, "10"))));
            let entry = entry.with_strategy(Strategy::new(strategy).unwrap());
            assert!(append(&mut ledger, &entry).is_ok());
        }
        let in_lieu = Some(CashInLieu { whole: Amount::ONE, price: amount("30") });
        apply(&mut ledger, &mut desk, act("s", "X", Reach::Everyone, split("1", old, in_lieu)));
        assert_eq!(figures(&ledger, &account(), "X"), expected.map(amount));
        let shares = ledger.books().shares();
        let shares: Vec<_> =
            shares.iter().map(|share| (share.quantity(), share.cash_in_lieu())).collect();
        let expected = [("1.2", paid[0]), ("1.8", paid[1])];
        assert_eq!(shares, expected.map(|(quantity, paid)| (amount(quantity), amount(paid))));
        ledger.books().check_conservation().unwrap();
    }
}

#[test]
fn a_desk_moves_no_more_than_it_has_on_the_side_that_moves() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    for (fill, strategy) in [(fill("t1", "9", "10"), "slow"), (sale("X", "t2", "2", "11"), "fast")]
    {
        let entry = desk.entry(Fact::Filled(on("X", fill)));
        let entry = entry.with_strategy(Strategy::new(strategy).unwrap());
        assert!(append(&mut ledger, &entry).is_ok());
    }
    let moved = Move {
        id: reference("m"),
        instrument: instrument_id("X"),
        leg: None,
        quantity: amount("2"),
        to: other(),
    };
    let entry = desk.entry(Fact::Moved(moved));
    // It is short of two, and the position is long.
    let fast = entry.clone().with_strategy(Strategy::new("fast").unwrap());
    match append(&mut ledger, &fast) {
        Err(AppendError::InsufficientQuantity { held, asked }) => {
            assert_eq!((held, asked), (Amount::ZERO, amount("2")));
        }
        other => panic!("{other:?}"),
    }
    let slow = entry.with_strategy(Strategy::new("slow").unwrap());
    assert!(matches!(append(&mut ledger, &slow), Ok(Outcome::Applied { .. })));
    let held: Vec<_> = ledger.books().shares().iter().map(Position::quantity).collect();
    assert_eq!(held, ["-2", "7", "2"].map(amount));
}

#[test]
fn what_is_told_late_was_there_when_it_was_split() {
    let by_time = |id: &str| make(id).with_sequencing(Sequencing::EventTime);
    let spot = by_time("BTC/USD").spot(currency("BTC")).unwrap();
    let mut ledger = ledger_of([spot, by_time("X")]);
    let mut desk = Desk::default();
    let early = desk.entry(Fact::Filled(on("X", fill("t1", "4", "10")))).at;
    apply(&mut ledger, &mut desk, act("s", "X", Reach::Everyone, split("3", "1", None)));
    let into = instrument_id("BTC/USD");
    let delivery = Act::Delivery { price: amount("5"), into };
    apply(&mut ledger, &mut desk, act("d", "X", Reach::Everyone, delivery));
    // Nobody had heard of this position when all that happened to it.
    let late = Entry { at: early, ..desk.entry(Fact::Filled(on("X", fill("t1", "4", "10")))) };
    let late = late.with_strategy(Strategy::new("slow").unwrap());
    assert!(append(&mut ledger, &late).is_ok());
    assert_eq!(figures(&ledger, &account(), "X"), ["0", "0", "20"].map(amount));
    assert_eq!(figures(&ledger, &account(), "BTC/USD"), ["12", "60", "0"].map(amount));
    let shares = ledger.books().shares();
    assert_eq!([shares[0].quantity(), shares[1].realized_gross()], ["12", "20"].map(amount));
    // A bust finds both of them.
    let (instrument, trade_id) = (instrument_id("X"), TradeId::new("t1").unwrap());
    let void = Void { instrument, trade_id, quantity: Some(amount("1")) };
    apply(&mut ledger, &mut desk, Fact::FillVoided(void));
    assert_eq!(figures(&ledger, &account(), "BTC/USD"), ["9", "45", "0"].map(amount));
}

#[test]
fn a_word_of_the_venue_that_is_older_than_the_last_is_stale() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    apply(&mut ledger, &mut desk, Fact::Filled(on("X", fill("t1", "2", "10"))));
    let word = |price: &str, revision| {
        let trade_id = TradeId::new("t1").unwrap();
        let correction = Correction::new(instrument_id("X"), trade_id, amount(price));
        Fact::FillCorrected(Correction { revision, ..correction })
    };
    let cost = |ledger: &Ledger| figures(ledger, &account(), "X")[1];
    apply(&mut ledger, &mut desk, word("11", Some(3)));
    let before = ledger.books().clone();
    match append(&mut ledger, &desk.entry(word("12", Some(2)))) {
        Err(AppendError::StaleCorrection { held, offered, .. }) => {
            assert_eq!((held, offered), (3, 2));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(append(&mut ledger, &desk.entry(word("11", Some(3)))).unwrap(), Outcome::Duplicate);
    match append(&mut ledger, &desk.entry(word("12", Some(3)))) {
        Ok(Outcome::Conflict(difference)) => {
            assert_eq!(difference.to_string(), "price is 11 in the books, not 12");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(*ledger.books(), before);
    apply(&mut ledger, &mut desk, word("13", Some(4)));
    assert_eq!(cost(&ledger), amount("26"));
    // Without a revision the last word counts, and what was said before stays said.
    apply(&mut ledger, &mut desk, word("14", None));
    assert_eq!(cost(&ledger), amount("28"));
    let stale = append(&mut ledger, &desk.entry(word("12", Some(3))));
    assert!(matches!(stale, Err(AppendError::StaleCorrection { .. })));
    let before = ledger.books().clone();
    assert_eq!(append(&mut ledger, &desk.entry(word("13", Some(4)))).unwrap(), Outcome::Duplicate);
    match append(&mut ledger, &desk.entry(word("14", Some(4)))) {
        Ok(Outcome::Conflict(difference)) => {
            assert_eq!(difference.to_string(), "price is 13 in the books, not 14");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(*ledger.books(), before);
    apply(&mut ledger, &mut desk, word("15", Some(5)));
    assert_eq!(cost(&ledger), amount("30"));
    let journal = MemoryJournal::from_records(ledger.journal().read(0, usize::MAX).unwrap());
    let again = Ledger::open(Box::new(journal), ledger.books().instruments().clone()).unwrap();
    assert_eq!(again.books(), ledger.books());
}

#[test]
fn the_same_fact_for_another_desk_is_another_fact() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    let payment = Payment {
        id: reference("p"),
        purpose: Purpose::Interest,
        instrument: None,
        leg: None,
        currency: currency("USD"),
        amount: amount("1"),
    };
    let wanted = backstop_position_ledger::order::Intent {
        instrument: instrument_id("X"),
        ..intent(1, "1")
    };
    let (slow, all) = (Strategy::new("slow").unwrap(), Portfolio::new("all").unwrap());
    for fact in [Fact::Paid(payment), opening("X", "1", "1")] {
        apply(&mut ledger, &mut desk, fact.clone());
        let entry = desk.entry(fact);
        assert_eq!(append(&mut ledger, &entry).unwrap(), Outcome::Duplicate);
        let by_strategy = append(&mut ledger, &entry.clone().with_strategy(slow.clone()));
        assert!(matches!(by_strategy, Ok(Outcome::Conflict(_))), "{by_strategy:?}");
        let by_portfolio = append(&mut ledger, &entry.with_portfolio(all.clone()));
        assert!(matches!(by_portfolio, Ok(Outcome::Conflict(_))), "{by_portfolio:?}");
    }
    let entry = desk.entry(Fact::intended(wanted));
    assert!(append(&mut ledger, &entry).is_ok());
    let other = append(&mut ledger, &entry.with_portfolio(all));
    assert!(matches!(other, Ok(Outcome::Conflict(_))), "{other:?}");
}

#[test]
fn only_what_can_be_delivered_is_delivered() {
    let coin = |id: &str| make(id).spot(currency("BTC")).unwrap();
    let other_coin = make("ETH/USD").spot(currency("ETH")).unwrap();
    let steps = (amount("0.01"), amount("0.001"));
    let euros = Instrument::new(instrument_id("BTC/EUR"), currency("EUR"), steps.0, steps.1);
    let mut ledger = ledger_of([
        make("F").with_base(currency("BTC")).unwrap(),
        make("I").inverse(currency("BTC")).unwrap(),
        coin("BTC/USD"),
        other_coin,
        euros.unwrap().spot(currency("BTC")).unwrap(),
        coin("LEGS").with_mode(Mode::Hedging),
        coin("LATE").with_sequencing(Sequencing::EventTime),
    ]);
    let mut desk = Desk::default();
    let delivery = |from: &str, into: &str| {
        let (price, into) = (amount("10"), instrument_id(into));
        act("d", from, Reach::Everyone, Act::Delivery { price, into })
    };
    let priced = "be priced in what the contract settles in, and be of what it is on";
    for (from, into, field, value, rule) in [
        ("I", "BTC/USD", "instrument", "I", "be a linear contract to be delivered"),
        ("BTC/USD", "BTC/USD", "instrument", "BTC/USD", "be a linear contract to be delivered"),
        ("F", "F", "into", "F", "be a spot pair"),
        ("F", "I", "into", "I", "be a spot pair"),
        ("F", "ETH/USD", "into", "ETH/USD", priced),
        ("F", "BTC/EUR", "into", "BTC/EUR", priced),
        ("F", "LEGS", "into", "LEGS", "be netted, since a delivery names no leg"),
        ("F", "LATE", "into", "LATE", "count in the same order as the contract"),
    ] {
        match append(&mut ledger, &desk.entry(delivery(from, into))) {
            Err(AppendError::Invalid(invalid)) => {
                assert_eq!((invalid.field, &*invalid.value, invalid.rule), (field, value, rule));
            }
            other => panic!("{from} into {into}: {other:?}"),
        }
    }
    apply(&mut ledger, &mut desk, delivery("F", "BTC/USD"));
}

#[test]
fn nothing_is_known_by_an_id_that_says_nothing() {
    let mut ledger = ledger_of([make("X")]);
    let mut desk = Desk::default();
    let deposit = Fact::Deposited { currency: currency("USD"), amount: amount("1") };
    let nameless = Entry { id: Uuid::nil(), ..desk.entry(deposit) };
    let refused = append(&mut ledger, &nameless).unwrap_err().to_string();
    assert!(refused.starts_with("id 00000000"), "{refused}");
    // A fill has a key of its own.
    let filled =
        Entry { id: Uuid::nil(), ..desk.entry(Fact::Filled(on("X", fill("t", "1", "1")))) };
    assert!(append(&mut ledger, &filled).is_ok());
    assert_eq!(ledger.books().fills().len(), 1);
    assert!(ledger.as_of(Timestamp::EPOCH).unwrap().fills().len() == 0);
}

#[test]
fn a_crumb_whose_average_no_amount_states_spoils_nothing_else() {
    let known = |terms: Instrument| Instruments::new([terms, make("OTHER")]).unwrap();
    let books_of = |terms: Instrument, fills: Vec<Fill>| {
        let mut ledger = Ledger::open(Box::new(MemoryJournal::new()), known(terms)).unwrap();
        let mut desk = Desk::default();
        for fill in fills {
            apply(&mut ledger, &mut desk, Fact::Filled(fill));
        }
        ledger
    };
    // All but a crumb of what cost 300 went into a fee in kind.
    let mut sold = on("X", fill("b", "99.9", "3000"));
    sold.side = Side::Sell;
    (sold.fee, sold.fee_currency) = (amount("0.099999999999999999"), Some(currency("ETH")));
    let mut stated = on("X", fill("a", "0.000000000000000001", "1"));
    stated.cost = Some(amount("1000"));
    let cases = [
        (make("X").spot(currency("ETH")).unwrap(), vec![on("X", fill("a", "100", "3000")), sold]),
        (make("X"), vec![stated]),
        // It costs less than a unit of the last decimal.
        (
            make("X").inverse(currency("ETH")).unwrap(),
            vec![on("X", fill("a", "1", "10000000000000000000"))],
        ),
    ];
    for (terms, mut fills) in cases {
        fills.push(on("OTHER", fill("o", "1", "10")));
        let ledger = books_of(terms, fills);
        let books = ledger.books();
        let x = books.position(&account(), &instrument_id("X")).unwrap();
        assert!(!x.quantity().is_zero() && x.average().is_err());
        let (at, kind) = (Timestamp::EPOCH, pnl::Kind::Periodic);
        let snapshot = books.snapshot(&BTreeMap::new(), at, kind).unwrap();
        let averages: Vec<_> = snapshot.positions.iter().map(|line| line.average).collect();
        assert_eq!(averages, [Some(amount("10")), None]);
        snapshot.verify_against(books).unwrap();
        let rows = books.statement(at, at).positions;
        assert_eq!(rows.iter().map(|row| row.average).collect::<Vec<_>>(), averages);
        assert!(rows.iter().all(|row| !row.quantity.is_zero()));
    }
}

#[test]
fn shares_are_paid_for_fractions_what_their_position_is_paid() {
    for (held, price) in [(["5", "5"], "1"), (["4.3333333333", "5.6666666667"], "30")] {
        let (mut ledger, mut desk) = (ledger_of([make("X")]), Desk::default());
        for (quantity, strategy) in held.into_iter().zip(["fast", "slow"]) {
            let entry = desk.entry(Fact::Filled(on("X", fill(strategy, quantity, "10"))));
            let entry = entry.with_strategy(Strategy::new(strategy).unwrap());
            assert!(append(&mut ledger, &entry).is_ok());
        }
        let in_lieu = Some(CashInLieu { whole: Amount::ONE, price: amount(price) });
        apply(&mut ledger, &mut desk, act("s", "X", Reach::Everyone, split("1", "3", in_lieu)));
        let books = ledger.books();
        let sum = |parts: Vec<Amount>| {
            parts.into_iter().try_fold(Amount::ZERO, Amount::checked_add).unwrap()
        };
        let shares = books.shares();
        let held = sum(shares.iter().map(Position::quantity).collect());
        let paid = sum(shares.iter().map(Position::cash_in_lieu).collect());
        let whole = books.position(&account(), &instrument_id("X")).unwrap();
        assert_eq!((held, whole.quantity()), (amount("3"), amount("3")));
        assert_eq!(paid, whole.cash_in_lieu());
        assert!(whole.cash_in_lieu().is_positive());
    }
}

#[test]
fn a_split_in_terms_below_one_is_as_fine_as_one_in_whole_terms() {
    let lots_after = |new, old| {
        let contract = make("X").with_method(Method::Fifo);
        let (mut ledger, mut desk) = (ledger_of([contract]), Desk::default());
        let parts = [("0.0000000004", "10"), ("3.3333333333", "20"), ("6.6666666663", "30")];
        for (number, (quantity, price)) in parts.into_iter().enumerate() {
            let fill = fill(&format!("t{number}"), quantity, price);
            apply(&mut ledger, &mut desk, Fact::Filled(on("X", fill)));
        }
        let in_lieu = Some(CashInLieu { whole: Amount::ONE, price: amount("3") });
        apply(&mut ledger, &mut desk, act("s", "X", Reach::Everyone, split(new, old, in_lieu)));
        let whole = ledger.books().position(&account(), &instrument_id("X")).unwrap();
        whole.lots().into_iter().map(|lot| lot.quantity).collect::<Vec<_>>()
    };
    let (whole, small) = (lots_after("1", "3"), lots_after("0.000000001", "0.000000003"));
    assert_eq!(whole.len(), small.len());
    for (one, other) in whole.into_iter().zip(small) {
        assert!(one.checked_sub(other).unwrap().units().abs() <= 10, "{one} is not {other}");
    }
}
