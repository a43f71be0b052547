//! How many bytes the books keep for each fill, by a counting allocator.
#![expect(clippy::print_stdout, reason = "the figure is the purpose")]

use std::alloc::System;

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    Account, Amount, Books, Currency, Entry, Fact, Instrument, InstrumentId, Instruments, Outcome,
    fill::{Fill, Side, TradeId},
};
use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const POSITIONS: u64 = 1_000;

const FILLS: u64 = 1_000_000;

fn main() {
    for (ids, text) in [("number_ids", false), ("text_ids", true)] {
        let bytes = kept(text);
        // In the form of the other benchmarks, so that a reader of the output finds it.
        println!("ledger_memory/{ids}: {bytes} bytes per fill of {FILLS} on {POSITIONS} positions");
        assert!(bytes <= 100, "the aim is 100 bytes");
    }
}

/// Bytes per fill that stay allocated when all fills are booked and the entries are gone.
fn kept(text: bool) -> u64 {
    let usd = Currency::new("USD").expect("a name");
    let one = |n: u64| InstrumentId::new(&format!("PAIR-{n:04}")).expect("a name");
    let names: Vec<_> = (0..POSITIONS).map(one).collect();
    let step = "0.001".parse().expect("an amount");
    let contract = |name: &InstrumentId| Instrument::new(name.clone(), usd.clone(), step, step);
    let contracts = names.iter().map(|name| contract(name).expect("steps above zero"));
    let mut books = Books::new(Instruments::new(contracts).expect("distinct names"));
    let account = Account::new("main").expect("a name");
    let before = ALLOCATOR.allocated();
    for n in 0..FILLS {
        let chance = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let trade_id = if text {
            TradeId::new(&format!("T-{n:014x}")).expect("a name")
        } else {
            TradeId::of_number(n)
        };
        let name = &names[usize::try_from(chance % POSITIONS).expect("small")];
        let at = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(n).expect("small"));
        let side = if chance / POSITIONS % 2 == 1 { Side::Sell } else { Side::Buy };
        let thousandths = i64::try_from(1 + chance / 7 % 5_000).expect("small");
        let quantity = step.checked_mul(Amount::from_int(thousandths)).expect("in range");
        let price = "1.08125".parse().expect("an amount");
        let order_id = Entry::id_at(at, [9; 10]);
        let fill = Fill::new(trade_id, order_id, name.clone(), (side, quantity, price))
            .with_fee("0.05".parse().expect("an amount"), usd.clone());
        let id = Entry::id_at(at, [1; 10]);
        let entry = Entry::new(id, account.clone(), at, Fact::Filled(fill));
        assert!(matches!(books.book(&entry), Ok(Outcome::Applied { .. })));
    }
    let kept = ALLOCATOR.allocated().saturating_sub(before);
    assert_eq!(books.sequence(), FILLS);
    u64::try_from(kept).expect("small") / FILLS
}
