//! Reads the sides of a scenario, and keeps the naive books that its plan is applied to.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Action, Leg, Statement,
    rows::{BalanceRow, OrderRow, PositionRow, Side, TradeRow},
};
use rust_decimal::Decimal;
use serde_json::Value;

/// Why a scenario did not pass.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The slice cannot express it yet.
    Pending,
    Failed(String),
}

pub(crate) type Parsed<T> = Result<T, Stop>;

pub(crate) fn fail<T>(why: impl Into<String>) -> Parsed<T> {
    Err(Stop::Failed(why.into()))
}

/// Refuses keys that the runner does not know, and sets aside those the slice does not have.
pub(crate) fn known(value: &Value, keys: &[&str], pending: &[&str]) -> Parsed<()> {
    let mut set_aside = false;
    for key in value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()) {
        set_aside |= pending.contains(&key);
        if !keys.contains(&key) && !pending.contains(&key) {
            return fail(format!("unknown key {key}"));
        }
    }
    if set_aside { Err(Stop::Pending) } else { Ok(()) }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Parsed<&'v str> {
    value[key].as_str().map_or_else(|| fail(format!("{key} is no text: {}", value[key])), Ok)
}

pub(crate) fn amount(value: &Value) -> Parsed<Decimal> {
    let number = value.as_str().and_then(|text| Decimal::from_str_exact(text).ok());
    number.map_or_else(|| fail(format!("{value} is no amount")), Ok)
}

pub(crate) fn millis(value: &Value, key: &str) -> Option<Timestamp> {
    value[key].as_i64().map(Timestamp::from_millis)
}

fn account(row: &Value) -> &str {
    row["account"].as_str().unwrap_or("A")
}

pub(crate) fn statement(side: &Value) -> Parsed<Statement<'_>> {
    let keys = ["source", "state", "as_of_ms", "version", "positions", "balances", "trades"];
    let more = ["orders", "failed", "window_from_ms", "error", "note"];
    let pending = ["pending", "fail_first", "failure", "delay_ms"];
    known(side, &[&keys[..], &more].concat(), &pending)?;
    let as_of = millis(side, "as_of_ms").unwrap_or(Timestamp::EPOCH);
    let mut statement = Statement::new(text(side, "source")?, as_of);
    statement.version = side["version"].as_u64();
    statement.trades_from = millis(side, "window_from_ms");
    let leg = |name: &str| match side["state"].as_str() {
        Some("failed") => Ok(Leg::Failed("failed".to_owned())),
        Some("not_observed") => Ok(Leg::NotObserved),
        Some("observed") if list(&side["failed"]).iter().any(|failed| failed == name) => {
            Ok(Leg::Failed("failed".to_owned()))
        }
        Some("observed") => Ok(side.get(name).map_or(Leg::NotObserved, Leg::Observed)),
        other => fail(format!("unknown state {other:?}")),
    };
    statement.positions = rows(leg("positions")?, position)?;
    statement.balances = rows(leg("balances")?, balance)?;
    statement.trades = rows(leg("trades")?, trade)?;
    statement.orders = rows(leg("orders")?, order)?;
    // Nobody can plan for a book that takes no part.
    if side["state"] == "not_observed" { Err(Stop::Pending) } else { Ok(statement) }
}

fn rows<'v, R>(leg: Leg<&'v Value>, row: fn(&'v Value) -> Parsed<R>) -> Parsed<Leg<Vec<R>>> {
    Ok(match leg {
        Leg::Observed(values) => {
            Leg::Observed(list(values).iter().map(row).collect::<Parsed<Vec<_>>>()?)
        }
        Leg::NotObserved => Leg::NotObserved,
        Leg::Failed(why) => Leg::Failed(why),
    })
}

fn position(row: &Value) -> Parsed<PositionRow<'_>> {
    let keys = ["account", "instrument", "qty", "average_price", "last_activity_ms"];
    known(row, &keys, &["leg", "venue", "realized_gross"])?;
    let mut position =
        PositionRow::new(account(row), text(row, "instrument")?, amount(&row["qty"])?);
    if !row["average_price"].is_null() {
        position = position.with_average_price(amount(&row["average_price"])?);
    }
    position.last_activity = millis(row, "last_activity_ms");
    Ok(position)
}

fn balance(row: &Value) -> Parsed<BalanceRow<'_>> {
    known(row, &["account", "currency", "total"], &["free", "locked"])?;
    Ok(BalanceRow::new(account(row), text(row, "currency")?, amount(&row["total"])?))
}

fn trade(row: &Value) -> Parsed<TradeRow<'_>> {
    let keys = ["account", "instrument", "trade_id", "order_id", "side", "qty", "price", "at_ms"];
    known(row, &[&keys[..], &["fee", "fee_currency"]].concat(), &[])?;
    let Some(at) = millis(row, "at_ms") else { return fail("a trade without at_ms") };
    Ok(TradeRow {
        account: account(row).into(),
        instrument: text(row, "instrument")?.into(),
        trade_id: text(row, "trade_id")?.into(),
        order_id: text(row, "order_id")?.into(),
        side: side(row)?,
        quantity: amount(&row["qty"])?,
        price: amount(&row["price"])?,
        fee: row.get("fee").map_or(Ok(Decimal::ZERO), amount)?,
        fee_currency: row["fee_currency"].as_str().unwrap_or_default().into(),
        at,
    })
}

fn order(row: &Value) -> Parsed<OrderRow<'_>> {
    known(row, &["account", "instrument", "order_id", "side", "qty", "price"], &[])?;
    Ok(OrderRow {
        account: account(row).into(),
        instrument: text(row, "instrument")?.into(),
        order_id: text(row, "order_id")?.into(),
        side: side(row)?,
        quantity: amount(&row["qty"])?,
        filled: Decimal::ZERO,
        price: Some(amount(&row["price"])?),
        updated: None,
    })
}

fn side(row: &Value) -> Parsed<Side> {
    match text(row, "side")? {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => fail(format!("unknown side {other}")),
    }
}

/// Signed quantity and total cost.
type Holding = (Decimal, Option<Decimal>);

/// The positions and balances of a book.
#[derive(Debug, Default)]
pub(crate) struct Held {
    positions: BTreeMap<[String; 2], Holding>,
    balances: BTreeMap<String, Decimal>,
}

pub(crate) fn holdings(internal: &Statement<'_>) -> Held {
    let mut held = Held::default();
    if let Leg::Observed(rows) = &internal.positions {
        for row in rows {
            let key = [row.account.to_string(), row.instrument.to_string()];
            let cost = row.average_price.map(|average| average * row.quantity);
            held.positions.insert(key, (row.quantity, cost));
        }
    }
    if let Leg::Observed(rows) = &internal.balances {
        held.balances = rows.iter().map(|row| (row.currency.to_string(), row.total)).collect();
    }
    held
}

impl Held {
    pub(crate) fn apply(&mut self, action: &Action) {
        match action {
            Action::ApplyTrade { trade, .. } => {
                let key = [trade.account.to_string(), trade.instrument.to_string()];
                let zero = (Decimal::ZERO, Some(Decimal::ZERO));
                let (quantity, cost) = self.positions.entry(key).or_insert(zero);
                let signed = if trade.side == Side::Buy { trade.quantity } else { -trade.quantity };
                let grows = *quantity * signed >= Decimal::ZERO;
                // Costs are followed while a position grows, which is all the files ask for.
                *cost = cost.filter(|_| grows).map(|cost| cost + signed * trade.price);
                *quantity += signed;
            }
            Action::AdjustBalance { currency, amount, .. } => {
                *self.balances.entry(currency.clone()).or_default() += amount;
            }
            _ => {}
        }
    }

    pub(crate) fn check(&self, expect: &Value) -> Parsed<()> {
        for row in list(&expect["positions"]) {
            known(row, &["account", "instrument", "qty", "average_price"], &["realized_gross"])?;
            let key = [account(row).to_owned(), text(row, "instrument")?.to_owned()];
            let held = self.positions.get(&key).copied();
            let (quantity, cost) = held.unwrap_or_default();
            let average = cost.filter(|_| !quantity.is_zero()).map(|cost| cost / quantity);
            let expected = match &row["average_price"] {
                Value::Null => None,
                average => Some(amount(average)?),
            };
            if (quantity, average) != (amount(&row["qty"])?, expected) {
                return fail(format!("holds {quantity} at {average:?}, not {row}"));
            }
        }
        for row in list(&expect["balances"]) {
            let total = self.balances.get(text(row, "currency")?).copied().unwrap_or_default();
            if total != amount(&row["total"])? {
                return fail(format!("has {total}, not {row}"));
            }
        }
        Ok(())
    }
}
