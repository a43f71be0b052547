//! Judging: what a case expects against what the ledger says.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::action::LegId;
use backstop_position_ledger::error::SnapshotError;
use backstop_position_ledger::fill::Legs;
use backstop_position_ledger::pnl::{Rates, Snapshot};
use backstop_position_ledger::position::Position;
use backstop_position_ledger::{Account, Amount, Books, Outcome};
use serde_json::{Value, json};

use super::events::Rejection;
use super::{Checked, OCCASION};
use crate::kit::{amount, currency, instrument_id};

pub(super) fn equal(key: &str, expected: Option<&Value>, found: &Value) -> Checked {
    match expected {
        Some(expected) if expected != found => {
            Err(format!("{key}: expected {expected}, found {found}"))
        }
        _ => Ok(()),
    }
}

/// Amounts compare as numbers; `{"value", "places"}` within less than one unit of the last place.
fn figure(key: &str, expected: Option<&Value>, found: Option<Amount>) -> Checked {
    let Some(expected) = expected else { return Ok(()) };
    let (value, within) = match expected.get("places").and_then(Value::as_u64) {
        Some(places) => {
            let unit = (0..places).fold(Amount::ONE.units(), |unit, _| unit / 10);
            (&expected["value"], unit)
        }
        None => (expected, 1),
    };
    let same = match (value.as_str(), found) {
        (Some(text), Some(found)) => {
            found.checked_sub(amount(text)).unwrap().units().abs() < within
        }
        (None, None) => value.is_null(),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("{key}: expected {expected}, found {found:?}")) }
}

pub(super) fn snapshot(books: &Books, marks: &Value) -> Snapshot {
    let given = marks.as_object().into_iter().flatten();
    let marks: BTreeMap<_, _> =
        given.map(|(id, mark)| (instrument_id(id), amount(mark.as_str().unwrap()))).collect();
    books.snapshot(&marks, Timestamp::EPOCH, OCCASION).unwrap()
}

pub(super) fn result(found: &Result<Outcome, Rejection>, expected: &Value) -> Checked {
    let (word, rejection) = match found {
        Ok(Outcome::Applied { .. }) => ("applied", None),
        Ok(Outcome::Voided { .. }) => ("voided", None),
        Ok(Outcome::Recorded { .. }) => ("recorded", None),
        Ok(Outcome::Duplicate) => ("duplicate", None),
        Ok(Outcome::Conflict(_)) => ("conflict", None),
        Err(rejection) => ("rejected", Some(rejection)),
    };
    if let Some(allowed) = expected["result_any"].as_array()
        && !allowed.contains(&json!(word))
    {
        return Err(format!("result: expected one of {allowed:?}, found {found:?}"));
    }
    equal("result", expected.get("result"), &json!(word))
        .map_err(|why| format!("{why}: {found:?}"))?;
    let Some(rejection) = rejection else { return Ok(()) };
    equal("error", expected.get("error"), &json!(rejection.error))?;
    equal("field", expected.get("field"), &json!(rejection.field))?;
    equal(
        "expected",
        expected.get("expected"),
        &json!(rejection.versions.map(|versions| versions.0)),
    )?;
    equal("actual", expected.get("actual"), &json!(rejection.versions.map(|versions| versions.1)))
}

pub(super) fn legs(found: &Legs, expected: &Value) -> Checked {
    let rows: Vec<_> = [("close", found.close), ("open", found.open)]
        .into_iter()
        .filter_map(|(role, leg)| leg.map(|leg| (role, leg)))
        .collect();
    let expected = expected.as_array().ok_or("legs are no list")?;
    if rows.len() != expected.len() {
        return Err(format!("legs: expected {}, found {}", expected.len(), rows.len()));
    }
    for (row, (role, leg)) in expected.iter().zip(rows) {
        equal("role", row.get("role"), &json!(role))?;
        figure("qty", row.get("qty"), Some(leg.quantity))?;
        figure("fee", row.get("fee"), Some(leg.fee))?;
    }
    Ok(())
}

pub(super) fn validation(found: &Result<(), SnapshotError>, expected: &Value) -> Checked {
    let problem = match found {
        Ok(()) => Value::Null,
        Err(SnapshotError::Checksum) => json!("checksum"),
        Err(SnapshotError::Figures { .. }) => json!("totals"),
        Err(other) => return Err(other.to_string()),
    };
    equal("ok", expected.get("ok"), &json!(found.is_ok()))?;
    equal("problem", expected.get("problem"), &problem)
}

pub(super) fn state(books: &Books, expected: &Value) -> Checked {
    books.check_conservation().map_err(|error| error.to_string())?;
    equal("version", expected.get("version"), &json!(books.sequence()))?;
    let checksum = || snapshot(books, &Value::Null).checksum.to_string().len();
    equal("checksum_hex_len", expected.get("checksum_hex_len"), &json!(checksum()))?;
    match expected["positions"].as_array() {
        Some(rows) => positions(books, rows)?,
        None => match books.positions().as_slice() {
            [single] => position(books, *single, expected)?,
            [] => nothing(expected)?,
            several => return Err(format!("expected one position, found {}", several.len())),
        },
    }
    total_at(&books.positions(), expected)?;
    if expected.get("net_qty").is_some() {
        let id = books.instruments().iter().next().ok_or("no instrument")?.id();
        let net = books.net_quantity(&Account::new("A").unwrap(), id).unwrap();
        figure("net_qty", expected.get("net_qty"), Some(net))?;
    }
    totals(books, expected)
}

/// What is expected of a position on which nothing was ever booked.
fn nothing(expected: &Value) -> Checked {
    for key in ["qty", "open_cost", "realized_gross", "funding", "income", "cash_in_lieu"] {
        figure(key, expected.get(key), Some(Amount::ZERO))?;
    }
    figure("average_price", expected.get("average_price"), None)
}

fn total_at(positions: &[Position<'_>], expected: &Value) -> Checked {
    let failed = |error| format!("{error}");
    for row in expected["total_at"].as_array().into_iter().flatten() {
        let mark = amount(row["mark"].as_str().ok_or("no mark")?);
        let mut total = Amount::ZERO;
        for position in positions {
            let unrealized = position.unrealized(mark).map_err(failed)?;
            let own = position.realized_gross().checked_add(unrealized).map_err(failed)?;
            total = total.checked_add(own).map_err(failed)?;
        }
        figure("total_at", row.get("value"), Some(total))?;
    }
    Ok(())
}

fn positions(books: &Books, rows: &[Value]) -> Checked {
    let mut open =
        books.positions().iter().filter(|position| !position.quantity().is_zero()).count();
    for row in rows {
        let account = Account::new(row["account"].as_str().unwrap_or("A")).unwrap();
        let only = books.instruments().iter().next().ok_or("no instrument")?.id().clone();
        let id = row["instrument"].as_str().map_or(only, instrument_id);
        let found = match row["leg"].as_str() {
            Some(leg) => books.leg(&account, &id, &LegId::new(leg).unwrap()),
            None => books.position(&account, &id),
        };
        let found = found.ok_or_else(|| format!("no position {id} of {account}"))?;
        open -= usize::from(!found.quantity().is_zero());
        position(books, found, row).map_err(|why| format!("{id} of {account}: {why}"))?;
    }
    if open == 0 { Ok(()) } else { Err(format!("{open} open positions are not listed")) }
}

fn position(books: &Books, position: Position<'_>, expected: &Value) -> Checked {
    let failed = |error| format!("{error}");
    figure("qty", expected.get("qty"), Some(position.quantity()))?;
    figure("open_cost", expected.get("open_cost"), Some(position.open_cost()))?;
    figure("realized_gross", expected.get("realized_gross"), Some(position.realized_gross()))?;
    if expected.get("average_price").is_some() {
        figure(
            "average_price",
            expected.get("average_price"),
            position.average().map_err(failed)?,
        )?;
    }
    for (code, fee) in expected["fees"].as_object().into_iter().flatten() {
        let paid = position.fees().into_iter().find(|(currency, _)| currency.as_str() == code);
        figure(code, Some(fee), Some(paid.map_or(Amount::ZERO, |(_, paid)| paid)))?;
    }
    if let Some(fees) = expected["fees"].as_object()
        && position.fees().iter().any(|(currency, _)| !fees.contains_key(currency.as_str()))
    {
        return Err(format!("fees: {:?} are more than {fees:?}", position.fees()));
    }
    if let Some(net) = expected.get("realized_net") {
        let found = position.realized_net().map_err(failed)?;
        if found.unconverted.is_empty() {
            figure("realized_net", Some(net), Some(found.amount))?;
        } else {
            equal("realized_net", Some(net), &json!({ "unconverted": found.unconverted }))?;
        }
    }
    for row in expected["unrealized_at"].as_array().into_iter().flatten() {
        let line = |snapshot: Snapshot| {
            let same = |line: &&backstop_position_ledger::pnl::Line| {
                (&line.account, &line.instrument)
                    == (position.account(), position.instrument().id())
            };
            snapshot.positions.iter().find(same).and_then(|line| line.unrealized)
        };
        let marks = match row["mark"].as_str() {
            Some(mark) => json!({ position.instrument().id().as_str(): mark }),
            None => json!({}),
        };
        figure("unrealized_at", row.get("value"), line(snapshot(books, &marks)))?;
    }
    figure("funding", expected.get("funding"), Some(position.funding()))?;
    figure("income", expected.get("income"), Some(position.income()))?;
    figure("cash_in_lieu", expected.get("cash_in_lieu"), Some(position.cash_in_lieu()))?;
    rates(position, expected)?;
    lots(position, expected)?;
    cycles(books, position, expected)
}

fn rates(position: Position<'_>, expected: &Value) -> Checked {
    for row in expected["realized_net_with_rates"].as_array().into_iter().flatten() {
        let mut rates = Rates::into(position.instrument().settlement().clone());
        for (code, rate) in row["rates"].as_object().into_iter().flatten() {
            let rate = amount(rate.as_str().ok_or("a rate that is no text")?);
            rates = rates.with_rate(currency(code), rate).map_err(|error| error.to_string())?;
        }
        let net = position.realized_net_at(&rates).map_err(|error| error.to_string())?;
        figure("realized_net_with_rates", row.get("value"), Some(net))?;
    }
    Ok(())
}

fn lots(position: Position<'_>, expected: &Value) -> Checked {
    let Some(rows) = expected["lots"].as_array() else { return Ok(()) };
    let lots = position.lots();
    equal("lots", Some(&json!(rows.len())), &json!(lots.len()))?;
    for (row, lot) in rows.iter().zip(lots) {
        figure("qty", row.get("qty"), Some(lot.quantity))?;
        figure("price", row.get("price"), Some(lot.price))?;
    }
    Ok(())
}

fn cycles(books: &Books, position: Position<'_>, expected: &Value) -> Checked {
    let Some(rows) = expected["closed_cycles"].as_array() else { return Ok(()) };
    let found = books.closed_cycles(position.account(), position.instrument().id(), position.leg());
    let found = found.map_err(|error| error.to_string())?;
    if rows.len() != found.len() {
        return Err(format!("closed_cycles: expected {}, found {found:?}", rows.len()));
    }
    rows.iter().zip(found).try_for_each(|(row, realized)| {
        figure("closed_cycles", row.get("realized_gross"), Some(realized))
    })
}

fn totals(books: &Books, expected: &Value) -> Checked {
    if expected.get("marks").is_none() {
        return Ok(());
    }
    let snapshot = snapshot(books, &expected["marks"]);
    equal("complete", expected.get("complete"), &json!(snapshot.is_complete()))?;
    equal("unpriced", expected.get("unpriced"), &json!(snapshot.unpriced))?;
    for (code, row) in expected["totals"].as_object().into_iter().flatten() {
        let of =
            |sums: &BTreeMap<_, Amount>| sums.get(&currency(code)).copied().unwrap_or_default();
        let net = of(&snapshot.realized).checked_sub(of(&snapshot.fees)).unwrap();
        let unrealized = of(&snapshot.unrealized);
        figure("realized_net", row.get("realized_net"), Some(net))?;
        figure("unrealized", row.get("unrealized"), Some(unrealized))?;
        figure("total", row.get("total"), Some(net.checked_add(unrealized).unwrap()))?;
    }
    Ok(())
}
