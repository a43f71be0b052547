//! Short forms that every story uses.

use backstop_clock::Timestamp;
use backstop_position_ledger::fill::{Fill, Side, TradeId};
use backstop_position_ledger::order::{Event, Intent, Strategy};
use backstop_position_ledger::{
    Account, Amount, Currency, Durability, Entry, Fact, Instrument, InstrumentId, Instruments,
    Ledger, MemoryJournal, Outcome,
};
use uuid::Uuid;

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(crate) fn currency(code: &str) -> Currency {
    Currency::new(code).unwrap()
}

pub(crate) fn account() -> Account {
    Account::new("A").unwrap()
}

pub(crate) fn instrument_id(name: &str) -> InstrumentId {
    InstrumentId::new(name).unwrap()
}

/// EUR/USD, and GOLD with a multiplier of 10 that is quoted in USD too, and BUND quoted in EUR; fees also in BNB.
pub(crate) fn instruments() -> Instruments {
    let make = |name: &str, quote: &str, price: &str, lot: &str| {
        Instrument::new(instrument_id(name), currency(quote), amount(price), amount(lot)).unwrap()
    };
    let gold = make("GOLD", "USD", "0.1", "0.01").with_multiplier(Amount::from_int(10)).unwrap();
    let all = [make("EUR/USD", "USD", "0.0001", "0.001"), gold, make("BUND", "EUR", "0.01", "1")];
    Instruments::new(all).unwrap().with_currency(currency("BNB"))
}

pub(crate) fn ledger() -> Ledger {
    Ledger::open(Box::new(MemoryJournal::new()), instruments()).unwrap()
}

/// Ids and times that count up, so that every run is the same.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    now: i64,
}

impl Desk {
    /// The time of the last entry, in milliseconds.
    pub(crate) const fn now(&self) -> i64 {
        self.now
    }

    pub(crate) fn entry(&mut self, fact: Fact) -> Entry {
        self.now += 1_000;
        let at = Timestamp::from_millis(self.now);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.now.to_be_bytes());
        Entry::new(Entry::id_at(at, random), account(), at, fact)
    }
}

pub(crate) fn order_id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn intent(number: u128, quantity: &str) -> Intent {
    Intent {
        order_id: order_id(number),
        tag: Uuid::from_u128(7),
        instrument: instrument_id("EUR/USD"),
        side: Side::Buy,
        quantity: amount(quantity),
        limit: None,
        accept_by: Timestamp::from_millis(1_000_000_000),
        strategy: Strategy::new("test").unwrap(),
    }
}

/// A fee-less buy of order 1; stories change what they are about.
pub(crate) fn fill(trade_id: &str, quantity: &str, price: &str) -> Fill {
    let what = (Side::Buy, amount(quantity), amount(price));
    Fill::new(TradeId::new(trade_id).unwrap(), order_id(1), instrument_id("EUR/USD"), what)
}

pub(crate) fn event(number: u128, event: Event) -> Fact {
    Fact::order(order_id(number), event)
}

/// Appends and demands that it is applied.
pub(crate) fn apply(ledger: &mut Ledger, desk: &mut Desk, fact: Fact) {
    let outcome = ledger.append(&desk.entry(fact), Durability::Grouped).unwrap();
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
}
