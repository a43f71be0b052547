//! Appending fills to the ledger, without a disk.

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    Account, Amount, Currency, Durability, Entry, Fact, Instrument, InstrumentId, Instruments,
    Ledger, MemoryJournal, Outcome,
    fill::{Fill, Side, TradeId},
};
use criterion::{BatchSize, Criterion, Throughput};

/// Fills per measured turn; a journal in memory only grows.
const FILLS: u8 = 100;

const AT: Timestamp = Timestamp::from_millis(1_000);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    append(&mut criterion);
    criterion.final_summary();
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger_append_fill");
    group.throughput(Throughput::Elements(FILLS.into()));
    group.bench_function("backstop", |bencher| {
        bencher.iter_batched_ref(
            || (empty(), fills()),
            |(ledger, fills)| {
                for fill in fills {
                    let outcome = ledger.append(fill, Durability::Grouped);
                    assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn id() -> InstrumentId {
    InstrumentId::new("EUR/USD").expect("a name")
}

fn dollars() -> Currency {
    Currency::new("USD").expect("a name")
}

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

fn empty() -> Ledger {
    let contract = Instrument::new(id(), dollars(), amount("0.00001"), amount("1000"));
    let contracts = Instruments::new(contract).expect("one instrument");
    Ledger::open(Box::new(MemoryJournal::new()), contracts).expect("an empty journal")
}

fn fills() -> Vec<Entry> {
    let account = Account::new("main").expect("a name");
    let fill = |n: u8| {
        // Both ways, so that profit is realized now and then.
        let side = if n.is_multiple_of(3) { Side::Sell } else { Side::Buy };
        let what = (side, amount("2000"), amount("1.12345"));
        let trade_id = TradeId::new(&format!("T-{n}")).expect("a name");
        Fill::new(trade_id, Entry::id_at(AT, [0; 10]), id(), what)
            .with_fee(amount("0.05"), dollars())
    };
    let entry =
        |n| Entry::new(Entry::id_at(AT, [n; 10]), account.clone(), AT, Fact::Filled(fill(n)));
    (1..=FILLS).map(entry).collect()
}
