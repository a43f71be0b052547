//! A fill was lost on its way: the comparison finds it and the plan books it.

use std::{collections::BTreeMap, convert::Infallible, error::Error};

use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Action, Books, Context, Policy, Preset, Statement, apply, reconcile,
    rows::{PositionRow, Side, TradeRow},
};
use rust_decimal::{Decimal, dec};

/// The smallest book: a quantity per trade id of one instrument.
#[derive(Default)]
struct Book {
    trades: BTreeMap<String, Decimal>,
}

impl Books for Book {
    type Error = Infallible;

    fn version(&self) -> u64 {
        self.trades.len() as u64
    }

    fn apply(&mut self, action: &Action) -> Result<(), Infallible> {
        if let Action::ApplyTrade { trade, .. } = action {
            self.trades.insert(trade.trade_id.to_string(), trade.quantity);
        }
        Ok(())
    }
}

impl Book {
    fn statement(&self, now: Timestamp) -> Statement<'_> {
        let held: Decimal = self.trades.values().copied().sum();
        Statement::new("book", now)
            .with_version(self.version())
            .with_positions(vec![PositionRow::new("A", "BTC-USDT", held)])
            .with_trades(self.trades.iter().map(|(id, quantity)| buy(id, *quantity)).collect())
    }
}

fn buy(trade_id: &str, quantity: Decimal) -> TradeRow<'_> {
    TradeRow {
        account: "A".into(),
        instrument: "BTC-USDT".into(),
        trade_id: trade_id.into(),
        order_id: "order-1".into(),
        side: Side::Buy,
        quantity,
        price: dec!(17000),
        fee: Decimal::ZERO,
        fee_currency: "USDT".into(),
        at: Timestamp::from_millis(1_000),
    }
}

#[expect(clippy::print_stdout, reason = "an example shows what it found")]
fn main() -> Result<(), Box<dyn Error>> {
    let now = Timestamp::from_millis(60_000);
    let mut book = Book::default();
    book.trades.insert("t-1".to_owned(), dec!(0.2));
    let venue = Statement::new("venue", now)
        .with_positions(vec![PositionRow::new("A", "BTC-USDT", dec!(0.5))])
        .with_trades(vec![buy("t-1", dec!(0.2)), buy("t-2", dec!(0.3))]);
    let policy = Policy::new(Preset::Full);

    let report = reconcile(&policy, &Context::new(now), &book.statement(now), &venue)?;
    for finding in &report.findings {
        let (kind, outcome) = (finding.kind.name(), finding.outcome.name());
        println!("{kind} of {:?}: {outcome}, case {}", finding.subject, finding.id);
    }
    let applied = apply(&report.plan, &mut book)?;
    println!("applied {applied} action(s)");

    let again = reconcile(&policy, &Context::new(now), &book.statement(now), &venue)?;
    println!("second run: {} finding(s)", again.findings.len());
    Ok(())
}
