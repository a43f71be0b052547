//! Laws that hold for every history, against the ledger itself.

use backstop_position_ledger::action::{Act, Action, Reach, Reference, Split};
use backstop_position_ledger::fill::{Fill, Side};
use backstop_position_ledger::journal::{Record, verify};
use backstop_position_ledger::rules::Method;
use backstop_position_ledger::{
    Account, Amount, Durability, Entry, Fact, Instrument, Instruments, Ledger, MemoryJournal,
    Outcome,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::kit::{Desk, account, amount, currency, fill, instrument_id, ledger};

/// One trade in whole lots at a whole price, with a fee in cents of one of two currencies.
#[derive(Clone, Debug)]
struct Trade {
    buy: bool,
    lots: i64,
    price: i64,
    cents: i64,
    foreign: bool,
}

fn trade() -> impl Strategy<Value = Trade> {
    (any::<bool>(), 1..12_i64, -20..200_i64, -5..50_i64, any::<bool>())
        .prop_map(|(buy, lots, price, cents, foreign)| Trade { buy, lots, price, cents, foreign })
}

impl Trade {
    const fn side(&self) -> Side {
        if self.buy { Side::Buy } else { Side::Sell }
    }

    fn fill(&self, number: usize) -> Fill {
        Fill {
            side: self.side(),
            quantity: Amount::from_int(self.lots),
            price: Amount::from_int(self.price),
            fee: Amount::from_int(self.cents).mul_div(Amount::ONE, Amount::from_int(100)).unwrap(),
            fee_currency: Some(currency(if self.foreign { "BNB" } else { "USD" })),
            ..fill(&format!("t{number}"), "1", "1")
        }
    }
}

fn entries(trades: &[Trade]) -> Vec<Entry> {
    let mut desk = Desk::default();
    trades
        .iter()
        .enumerate()
        .map(|(number, trade)| desk.entry(Fact::Filled(trade.fill(number))))
        .collect()
}

fn append(ledger: &mut Ledger, entry: &Entry) {
    let outcome = ledger.append(entry, Durability::Grouped).unwrap();
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
}

fn journal(ledger: &Ledger) -> Vec<Record> {
    ledger.journal().read(0, usize::MAX).unwrap()
}

proptest! {
    #[test]
    fn duplicates_anywhere_change_nothing(trades in vec(trade(), 1..20), repeats in vec(any::<prop::sample::Index>(), 0..20)) {
        let (mut plain, mut noisy) = (ledger(), ledger());
        let entries = entries(&trades);
        for (number, entry) in entries.iter().enumerate() {
            append(&mut plain, entry);
            append(&mut noisy, entry);
            for repeat in &repeats {
                let earlier = &entries[repeat.index(number + 1)];
                prop_assert_eq!(noisy.append(earlier, Durability::Grouped).unwrap(), Outcome::Duplicate);
            }
        }
        prop_assert_eq!(journal(&plain), journal(&noisy));
        prop_assert_eq!(plain.books(), noisy.books());
    }

    #[test]
    fn a_replay_is_the_state_at_every_entry(trades in vec(trade(), 1..20)) {
        let mut ledger = ledger();
        let mut states = vec![ledger.books().clone()];
        for entry in &entries(&trades) {
            append(&mut ledger, entry);
            states.push(ledger.books().clone());
        }
        let mut replay = ledger.replay();
        for (sequence, state) in states.iter().enumerate() {
            prop_assert_eq!(replay.advance_to(u64::try_from(sequence).unwrap()).unwrap(), state);
        }
        prop_assert_eq!(verify(ledger.journal()).unwrap(), ledger.books().checkpoint());
    }

    #[test]
    fn what_is_refused_leaves_books_and_bytes_as_they_were(trades in vec(trade(), 1..20), kind in 0..5_u8) {
        let mut ledger = ledger();
        let entries = entries(&trades);
        for entry in &entries {
            append(&mut ledger, entry);
        }
        let (books, bytes) = (ledger.books().clone(), journal(&ledger));
        let mut wrong = trades[0].fill(0);
        match kind {
            0 => wrong.price = wrong.price.checked_add(Amount::ONE).unwrap(),
            1 => wrong.quantity = Amount::ZERO,
            2 => wrong.instrument = instrument_id("NO-SUCH"),
            3 => (wrong.trade_id, wrong.price) = ("fresh".parse().unwrap(), Amount::MAX),
            _ => (wrong.trade_id, wrong.fee_currency) = ("fresh".parse().unwrap(), Some(currency("ZZZ"))),
        }
        wrong.quantity = if kind == 3 { amount("2") } else { wrong.quantity };
        let last = Desk::default().entry(Fact::Filled(wrong));
        if let Ok(outcome) = ledger.append(&last, Durability::Durable) {
            prop_assert!(matches!(outcome, Outcome::Conflict(_)));
        }
        // A group that fails at its end has to take everything back.
        let mut group: Vec<_> = entries.iter().cloned().map(|mut entry| {
            entry.account = Account::new("B").unwrap();
            entry
        }).collect();
        group.push(last);
        prop_assert!(ledger.append_all(&group, None, Durability::Grouped).is_err());
        prop_assert_eq!(ledger.books(), &books);
        prop_assert_eq!(journal(&ledger), bytes);
    }

    #[test]
    fn two_for_one_is_the_same_at_half_the_price(
        trades in vec(trade(), 2..20),
        at in any::<prop::sample::Index>(),
        method in prop_oneof![Just(Method::Average), Just(Method::Fifo), Just(Method::Lifo), Just(Method::Hifo)],
    ) {
        let at = at.index(trades.len());
        let known = || {
            let contract = Instrument::new(instrument_id("EUR/USD"), currency("USD"), Amount::ONE, Amount::ONE);
            let contract = contract.unwrap().with_method(method);
            Instruments::new([contract]).unwrap().with_currency(currency("BNB"))
        };
        let open = || Ledger::open(Box::new(MemoryJournal::new()), known()).unwrap();
        let (mut whole, mut split, mut desk) = (open(), open(), Desk::default());
        let half = |amount: Amount| amount.mul_div(Amount::ONE, Amount::from_int(2)).unwrap();
        for (number, trade) in trades.iter().enumerate() {
            if number == at {
                let (new, old) = (Amount::from_int(2), Amount::ONE);
                let act = Act::Split(Split { new, old, in_lieu: None });
                let (id, instrument) = (Reference::new("s").unwrap(), instrument_id("EUR/USD"));
                let action = Action { id, instrument, leg: None, reach: Reach::Everyone, act };
                append(&mut split, &desk.entry(Fact::Acted(action)));
            }
            let fill = trade.fill(number);
            append(&mut whole, &desk.entry(Fact::Filled(fill.clone())));
            let later = Fill { quantity: Amount::from_int(2 * trade.lots), price: half(fill.price), ..fill.clone() };
            append(&mut split, &desk.entry(Fact::Filled(if number < at { fill } else { later })));
        }
        let view = |ledger: &Ledger| {
            let position = ledger.books().positions()[0];
            let sums = [position.realized_gross(), position.open_cost(), position.cash_flow()];
            let balances: Vec<_> =
                ledger.books().balances().into_iter().map(|(_, code, held)| (code.clone(), held.total)).collect();
            (position.quantity(), sums, balances, position.lots().len())
        };
        let (one, two) = (view(&whole), view(&split));
        prop_assert_eq!(Amount::from_int(2).checked_mul(one.0).unwrap(), two.0);
        prop_assert_eq!((one.1, one.2, one.3), (two.1, two.2, two.3));
    }

    #[test]
    fn splitting_a_fill_changes_no_figure(trades in vec(trade(), 1..12), more in trade()) {
        let (mut whole, mut split) = (ledger(), ledger());
        for entry in &entries(&trades) {
            append(&mut whole, entry);
            append(&mut split, entry);
        }
        let mut desk = Desk::default();
        let mut all = more.fill(100);
        (all.quantity, all.fee) = (Amount::from_int(more.lots * 2), Amount::ZERO);
        append(&mut whole, &desk.entry(Fact::Filled(all.clone())));
        for part in [101, 102] {
            let half = Fill { quantity: Amount::from_int(more.lots), fee: Amount::ZERO, ..more.fill(part) };
            append(&mut split, &desk.entry(Fact::Filled(half)));
        }
        let view = |ledger: &Ledger| {
            let position = ledger.books().position(&account(), &all.instrument).unwrap();
            (position.quantity(), position.cash_flow(), position.realized_gross())
        };
        let (one, two) = (view(&whole), view(&split));
        prop_assert_eq!((one.0, one.1), (two.0, two.1));
        // Two partial closes round twice, by half a unit each, on top of one.
        let apart = one.2.checked_sub(two.2).unwrap().abs();
        prop_assert!(apart.units() <= 2, "{}", apart);
    }
}
