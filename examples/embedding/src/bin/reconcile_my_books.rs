//! A savings bot compares its own books with its broker's statement, and mends them.
#![expect(clippy::print_stdout, reason = "the program shows what happened")]

use anyhow::ensure;
use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Action, Books, Context, Policy, Preset, Statement, apply, reconcile,
    rows::{BalanceRow, PositionRow, Side, TradeRow},
};
use rust_decimal::{Decimal, dec};

/// The bot's own books: the buys of one fund by id, paid from elsewhere, and cash.
struct Savings {
    buys: Vec<(String, Decimal)>,
    cash: Decimal,
    changes: u64,
}

impl Savings {
    /// The mapping that every bot has to write; here the broker's mail has the same form.
    fn statement<'a>(&'a self, source: &'a str) -> Statement<'a> {
        let trades = self.buys.iter().map(|(id, units)| TradeRow {
            account: "savings".into(),
            instrument: "FUND".into(),
            trade_id: id.into(),
            order_id: "plan".into(),
            side: Side::Buy,
            quantity: *units,
            price: dec!(100),
            fee: dec!(0),
            fee_currency: "EUR".into(),
            at: Timestamp::EPOCH,
        });
        let units = self.buys.iter().map(|(_, units)| units).sum();
        Statement::new(source, Timestamp::EPOCH)
            .with_version(self.changes)
            .with_positions(vec![PositionRow::new("savings", "FUND", units)])
            .with_balances(vec![BalanceRow::new("savings", "EUR", self.cash)])
            .with_trades(trades.collect())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the savings plan cannot book {0:?}")]
struct Refused(Action);

impl Books for Savings {
    type Error = Refused;
    fn version(&self) -> u64 {
        self.changes
    }

    fn apply(&mut self, action: &Action) -> Result<(), Refused> {
        match action {
            Action::ApplyTrade { trade, .. } => {
                self.buys.push((trade.trade_id.to_string(), trade.quantity));
            }
            Action::AdjustBalance { amount, .. } => self.cash += amount,
            other => return Err(Refused(other.clone())),
        }
        self.changes += 1;
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    // The second buy never reached us, and the broker paid 37 cents of interest.
    let [first, second] = [("b-1".to_owned(), dec!(10)), ("b-2".to_owned(), dec!(2))];
    let mut ours = Savings { buys: vec![first.clone()], cash: dec!(5), changes: 0 };
    let broker = Savings { buys: vec![first, second], cash: dec!(5.37), changes: 0 };
    let policy = Policy::new(Preset::Full).with_auto_resolve_limit(dec!(1))?;
    let now = Context::new(Timestamp::from_millis(60_000));
    for actions in [1, 1, 0] {
        let report = reconcile(&policy, &now, &ours.statement("bot"), &broker.statement("mail"))?;
        println!("{:?}", report.plan.actions);
        ensure!(apply(&report.plan, &mut ours)? == actions, "{report:?}");
    }
    ensure!(ours.cash == broker.cash && ours.buys == broker.buys, "the books differ");
    Ok(())
}
