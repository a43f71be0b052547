//! A run of reconciliation that finds nothing, as most do.

use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Context, Policy, Preset, Statement, reconcile,
    rows::{BalanceRow, PositionRow},
};
use criterion::{BatchSize, Criterion};
use rust_decimal::Decimal;

/// As many instruments as the host trades.
const POSITIONS: i64 = 21;

const NOW: Timestamp = Timestamp::from_millis(100_000);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    equal_books(&mut criterion);
    criterion.final_summary();
}

fn statement(source: &'static str) -> Statement<'static> {
    let position = |n| PositionRow::new("main", format!("I-{n}"), Decimal::new(n * 1_000, 0));
    Statement::new(source, NOW)
        .with_version(1)
        .with_positions((1..=POSITIONS).map(position).collect())
        .with_balances(vec![BalanceRow::new("main", "USD", Decimal::new(1_234_567, 2))])
        .with_trades(Vec::new())
        .with_orders(Vec::new())
}

fn equal_books(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recon_equal_books");
    let policy = Policy::new(Preset::Full);
    let report = reconcile(&policy, &Context::new(NOW), &statement("ledger"), &statement("venue"));
    assert!(report.as_ref().is_ok_and(|report| report.findings.is_empty()), "{report:?}");
    group.bench_function("backstop", |bencher| {
        bencher.iter_batched_ref(
            || (statement("ledger"), statement("venue")),
            |(ours, theirs)| {
                reconcile(&policy, &Context::new(NOW), ours, theirs).expect("comparable books")
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
