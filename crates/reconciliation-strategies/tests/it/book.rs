//! A naive book that a plan can be applied to, and short ways to write rows.

use std::collections::{BTreeMap, BTreeSet};

use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Action, Books, Context, Policy, Preset, Report, Statement, reconcile,
    rows::{BalanceRow, OrderRow, PositionRow, Side, TradeRow},
};
use rust_decimal::Decimal;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(100_000);
/// Older than the grace.
pub(crate) const OLD: i64 = 1_000;

/// Account "A", every fill and its fee paid in "USDT".
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Book {
    pub(crate) version: u64,
    pub(crate) positions: BTreeMap<String, Decimal>,
    pub(crate) cash: Decimal,
    pub(crate) trades: Vec<TradeRow<'static>>,
    pub(crate) orders: BTreeSet<String>,
}

impl Book {
    pub(crate) fn fill(&mut self, trade: TradeRow<'static>) {
        let signed = if trade.side == Side::Buy { trade.quantity } else { -trade.quantity };
        *self.positions.entry(trade.instrument.to_string()).or_default() += signed;
        self.cash -= signed * trade.price + trade.fee;
        self.trades.push(trade);
        self.version += 1;
    }

    pub(crate) fn statement(&self, source: &'static str) -> Statement<'_> {
        let positions = self.positions.iter().map(|(id, held)| PositionRow::new("A", id, *held));
        Statement::new(source, NOW)
            .with_version(self.version)
            .with_positions(positions.collect())
            .with_balances(vec![BalanceRow::new("A", "USDT", self.cash)])
            .with_trades(self.trades.clone())
            .with_orders(self.orders.iter().map(|id| order(id)).collect())
    }
}

impl Books for Book {
    type Error = String;

    fn version(&self) -> u64 {
        self.version
    }

    fn apply(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::ApplyTrade { trade, .. } => {
                let key = (&trade.instrument, &trade.trade_id);
                if self.trades.iter().any(|known| (&known.instrument, &known.trade_id) == key) {
                    return Err(format!("{} is booked already", trade.trade_id));
                }
                self.fill(trade.clone());
            }
            Action::AdjustBalance { amount, .. } => {
                self.cash += amount;
                self.version += 1;
            }
            Action::ResolveOrder { order_id, .. } => {
                self.orders.remove(order_id);
                self.version += 1;
            }
            other => return Err(format!("unknown action {other:?}")),
        }
        Ok(())
    }
}

pub(crate) fn trade(id: &str, side: Side, quantity: Decimal, at_ms: i64) -> TradeRow<'static> {
    TradeRow {
        account: "A".into(),
        instrument: "X".into(),
        trade_id: id.to_owned().into(),
        order_id: "o".into(),
        side,
        quantity,
        price: Decimal::TEN,
        fee: Decimal::ZERO,
        fee_currency: "USDT".into(),
        at: Timestamp::from_millis(at_ms),
    }
}

pub(crate) fn buy(id: &str, quantity: Decimal, at_ms: i64) -> TradeRow<'static> {
    trade(id, Side::Buy, quantity, at_ms)
}

pub(crate) fn order(id: &str) -> OrderRow<'_> {
    OrderRow {
        account: "A".into(),
        instrument: "X".into(),
        order_id: id.into(),
        side: Side::Buy,
        quantity: Decimal::TEN,
        filled: Decimal::ZERO,
        price: Some(Decimal::TEN),
        updated: None,
    }
}

pub(crate) fn position(quantity: Decimal) -> Vec<PositionRow<'static>> {
    vec![PositionRow::new("A", "X", quantity)]
}

/// A full run with the default policy at `NOW`.
pub(crate) fn compare(internal: &Statement<'_>, external: &Statement<'_>) -> Report {
    compare_with(&Policy::new(Preset::Full), internal, external)
}

pub(crate) fn compare_with(
    policy: &Policy,
    internal: &Statement<'_>,
    external: &Statement<'_>,
) -> Report {
    reconcile(policy, &Context::new(NOW), internal, external).unwrap()
}

/// Kind and outcome of each finding, in order.
pub(crate) fn told(report: &Report) -> Vec<(&'static str, &'static str)> {
    report.findings.iter().map(|found| (found.kind.name(), found.outcome.name())).collect()
}

pub(crate) fn ours() -> Statement<'static> {
    Statement::new("ledger", NOW).with_version(1)
}

pub(crate) fn theirs() -> Statement<'static> {
    Statement::new("venue", NOW)
}
