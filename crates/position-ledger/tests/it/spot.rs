//! Spot pairs: what is paid in the base currency comes out of the quantity, and nothing is left over.

use backstop_position_ledger::action::{Opening, Payment, Purpose, Reference};
use backstop_position_ledger::fill::{Correction, Fill, LotChoice, Side, TradeId};
use backstop_position_ledger::rules::Method;
use backstop_position_ledger::{
    Amount, Durability, Fact, Instrument, Instruments, Ledger, MemoryJournal,
};
use uuid::Uuid;

use crate::kit::{Desk, account, amount, apply, currency, instrument_id};

const METHODS: [Method; 5] =
    [Method::Average, Method::Fifo, Method::Lifo, Method::Hifo, Method::Specific];

fn contract(id: &str) -> Instrument {
    Instrument::new(instrument_id(id), currency("USD"), amount("0.01"), amount("0.001")).unwrap()
}

fn open(contract: Instrument) -> Ledger {
    Ledger::open(Box::new(MemoryJournal::new()), Instruments::new([contract]).unwrap()).unwrap()
}

fn spot(method: Method) -> Ledger {
    open(contract("BTC/USD").spot(currency("BTC")).unwrap().with_method(method))
}

fn fill(trade_id: &str, (side, quantity, price): (Side, &str, &str), fee: &str) -> Fill {
    let what = (side, amount(quantity), amount(price));
    Fill::new(TradeId::new(trade_id).unwrap(), Uuid::nil(), instrument_id("BTC/USD"), what)
        .with_fee(amount(fee), currency("BTC"))
}

/// A closing fill that names its lot where the method asks for that.
fn close(method: Method, fill: Fill, lot: &str) -> Fact {
    let choice = LotChoice::of_trade(TradeId::new(lot).unwrap(), fill.quantity);
    Fact::Filled(if method == Method::Specific { fill.with_lots(vec![choice]) } else { fill })
}

#[test]
fn a_rebate_in_kind_on_the_last_close_can_be_sold_as_well() {
    for method in METHODS {
        let (mut ledger, mut desk) = (spot(method), Desk::default());
        apply(&mut ledger, &mut desk, Fact::Filled(fill("b", (Side::Buy, "1", "100"), "0")));
        let sold = fill("s", (Side::Sell, "1", "110"), "-0.001");
        apply(&mut ledger, &mut desk, close(method, sold, "b"));
        let held = |ledger: &Ledger| {
            let position = ledger.books().position(&account(), &instrument_id("BTC/USD")).unwrap();
            (position.quantity(), position.open_cost(), position.realized_gross())
        };
        assert_eq!(held(&ledger), (amount("0.001"), Amount::ZERO, amount("10")), "{method:?}");
        ledger.books().check_conservation().unwrap();
        let rest = fill("r", (Side::Sell, "0.001", "100"), "0");
        apply(&mut ledger, &mut desk, close(method, rest, "s"));
        assert_eq!(held(&ledger), (Amount::ZERO, Amount::ZERO, amount("10.1")), "{method:?}");
        ledger.books().check_conservation().unwrap();
    }
}

#[test]
fn a_fee_in_kind_outside_of_a_fill_is_paid_once() {
    for method in METHODS {
        let (mut ledger, mut desk) = (spot(method), Desk::default());
        apply(&mut ledger, &mut desk, Fact::Filled(fill("b", (Side::Buy, "1", "100"), "0")));
        for (purpose, size) in [(Purpose::Fee, "0.3"), (Purpose::Rebate, "0.1")] {
            let payment = Payment {
                id: Reference::new("p").unwrap(),
                purpose,
                instrument: Some(instrument_id("BTC/USD")),
                leg: None,
                currency: currency("BTC"),
                amount: amount(size),
            };
            apply(&mut ledger, &mut desk, Fact::Paid(payment));
        }
        let position = ledger.books().position(&account(), &instrument_id("BTC/USD")).unwrap();
        assert_eq!((position.quantity(), position.open_cost()), (amount("0.8"), amount("100")));
        let total = ledger.books().balance(&account(), &currency("BTC")).unwrap().total;
        assert_eq!(total, amount("0.8"), "{method:?}");
        ledger.books().check_conservation().unwrap();
        let replayed = ledger.as_of(ledger.version()).unwrap();
        assert_eq!(&replayed, ledger.books());
    }
}

#[test]
fn an_inverse_contract_never_costs_nothing() {
    let inverse = contract("BTC/USD").inverse(currency("BTC")).unwrap();
    let (mut ledger, mut desk) = (open(inverse), Desk::default());
    let mut bought = fill("b", (Side::Buy, "100", "50"), "0");
    bought.cost = Some(amount("2"));
    apply(&mut ledger, &mut desk, Fact::Filled(bought));
    for cost in ["0", "-1"] {
        let cost = amount(cost);
        let corrected = Fact::FillCorrected(Correction {
            instrument: instrument_id("BTC/USD"),
            trade_id: TradeId::new("b").unwrap(),
            price: amount("50"),
            cost: Some(cost),
            revision: None,
        });
        let opened = Fact::PositionOpened(Opening {
            id: Reference::new("o").unwrap(),
            instrument: instrument_id("BTC/USD"),
            leg: None,
            quantity: amount("100"),
            cost,
        });
        for fact in [corrected, opened] {
            let refused = ledger.append(&desk.entry(fact), Durability::Grouped).unwrap_err();
            assert_eq!(refused.to_string(), format!("cost {cost}: it must be above zero"));
        }
    }
    let position = ledger.books().position(&account(), &instrument_id("BTC/USD")).unwrap();
    assert_eq!(position.average().unwrap(), Some(amount("50")));
}
