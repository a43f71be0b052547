//! Judging: what a case expects against what the ledger says.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::action::LegId;
use backstop_position_ledger::error::RateError;
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
            (&expected["value"], unit.max(1))
        }
        None => (expected, 1),
    };
    let same = match (value.as_str(), found) {
        (Some(text), Some(found)) => {
            // More decimals than an amount has cannot be told apart.
            let cut = text.find('.').map_or(text.len(), |point| text.len().min(point + 19));
            let within = if cut < text.len() { within.max(2) } else { within };
            let expected =
                text[..cut].parse().map_err(|error| format!("{key}: {text} is {error}"))?;
            found.checked_sub(expected).is_ok_and(|off| off.units().abs() < within)
        }
        (None, None) => value.is_null(),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("{key}: expected {expected}, found {found:?}")) }
}

pub(super) fn snapshot(books: &Books, marks: &Value) -> Result<Snapshot, String> {
    let given = marks.as_object().into_iter().flatten();
    let given = given.filter_map(|(id, mark)| Some((instrument_id(id), amount(mark.as_str()?))));
    let marks = given.collect::<BTreeMap<_, _>>();
    books.snapshot(&marks, Timestamp::EPOCH, OCCASION).map_err(|error| error.to_string())
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
    if let Ok(Outcome::Conflict(difference)) = found {
        let field = super::events::word(difference.field);
        return equal("field", expected.get("field"), &json!(field));
    }
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

pub(super) fn state(books: &Books, expected: &Value) -> Checked {
    books.check_conservation().map_err(|error| error.to_string())?;
    equal("version", expected.get("version"), &json!(books.sequence()))?;
    if let Some(length) = expected.get("checksum_hex_len") {
        let checksum = snapshot(books, &Value::Null)?.checksum.to_string();
        equal("checksum_hex_len", Some(length), &json!(checksum.len()))?;
    }
    if expected.is_null() {
        return Ok(());
    }
    match expected["positions"].as_array() {
        Some(rows) => positions(books, rows)?,
        None => match books.positions().as_slice() {
            [single] => position(books, *single, expected)?,
            [] => nothing(expected)?,
            several if expected.as_object().is_some_and(|all| all.keys().any(is_of_position)) => {
                return Err(format!("expected one position, found {}", several.len()));
            }
            _ => {}
        },
    }
    total_at(&books.positions(), expected)?;
    if expected.get("net_qty").is_some() {
        let held = books.positions();
        let whose = held.first().map(|leg| (leg.account(), leg.instrument().id()));
        let net = whose.and_then(|(account, id)| books.net_quantity(account, id).unwrap());
        figure("net_qty", expected.get("net_qty"), Some(net.unwrap_or_default()))?;
    }
    totals(books, expected)
}

/// Keys that speak of one position.
fn is_of_position(key: &String) -> bool {
    let others = ["total_at", "net_qty", "marks", "totals", "complete", "unpriced", "version"];
    !others.contains(&key.as_str()) && !key.contains("same_") && key != "checksum_hex_len"
}

/// What is expected of a position on which nothing was ever booked.
fn nothing(expected: &Value) -> Checked {
    let sums = ["qty", "open_cost", "realized_gross", "realized_net"];
    for key in sums.into_iter().chain(["funding", "income", "cash_in_lieu"]) {
        figure(key, expected.get(key), Some(Amount::ZERO))?;
    }
    for key in ["lots", "closed_cycles"] {
        equal(key, expected.get(key), &json!([]))?;
    }
    for (code, fee) in expected["fees"].as_object().into_iter().flatten() {
        figure(code, Some(fee), Some(Amount::ZERO))?;
    }
    for row in expected["unrealized_at"].as_array().into_iter().flatten() {
        figure("unrealized_at", row.get("value"), row["mark"].as_str().map(|_| Amount::ZERO))?;
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
        open -= usize::from(found.is_some_and(|found| !found.quantity().is_zero()));
        let judged = found.map_or_else(|| nothing(row), |found| position(books, found, row));
        judged.map_err(|why| format!("{id} of {account}: {why}"))?;
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
            unconverted("realized_net", net, &json!(found.unconverted))?;
        }
    }
    for row in expected["unrealized_at"].as_array().into_iter().flatten() {
        let line = |snapshot: Snapshot| {
            let same = |line: &&backstop_position_ledger::pnl::Line| {
                (&line.account, &line.instrument, line.leg.as_ref())
                    == (position.account(), position.instrument().id(), position.leg())
            };
            snapshot.positions.iter().find(same).and_then(|line| line.unrealized)
        };
        let marks = match row["mark"].as_str() {
            Some(mark) => json!({ position.instrument().id().as_str(): mark }),
            None => json!({}),
        };
        figure("unrealized_at", row.get("value"), line(snapshot(books, &marks)?))?;
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
        match position.realized_net_at(&rates) {
            Ok(net) => figure("realized_net_with_rates", row.get("value"), Some(net))?,
            Err(RateError::Missing { from, .. }) if row["value"].is_object() => {
                unconverted("realized_net_with_rates", &row["value"], &json!([from]))?;
            }
            Err(RateError::Missing { .. }) if row["value"].is_null() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Names that a figure lacks a rate or a mark for, in any order.
fn names(key: &str, expected: &Value, found: &Value) -> Checked {
    let sorted = |names: &Value| {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let (expected, found) = (sorted(expected), sorted(found));
    if expected == found {
        Ok(())
    } else {
        Err(format!("{key}: expected {expected:?}, found {found:?}"))
    }
}

fn unconverted(key: &str, expected: &Value, found: &Value) -> Checked {
    match expected.get("unconverted") {
        Some(codes) => names(key, codes, found),
        None => Err(format!("{key}: expected {expected}, found no rate for {found}")),
    }
}

fn lots(position: Position<'_>, expected: &Value) -> Checked {
    let Some(rows) = expected["lots"].as_array() else { return Ok(()) };
    let lots = position.lots();
    equal("lots", Some(&json!(rows.len())), &json!(lots.len()))?;
    for (row, lot) in rows.iter().zip(lots) {
        // The lots of a short may be written with the sign of the position.
        let signed = row["qty"].as_str().is_some_and(|qty| qty.starts_with('-'));
        let is_short = position.quantity().is_negative();
        let held = if signed && is_short { lot.quantity.negated() } else { lot.quantity };
        figure("qty", row.get("qty"), Some(held))?;
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
    if !["totals", "complete", "unpriced"].iter().any(|key| expected.get(key).is_some()) {
        return Ok(());
    }
    let snapshot = snapshot(books, &expected["marks"])?;
    equal("complete", expected.get("complete"), &json!(snapshot.is_complete()))?;
    if let Some(missing) = expected.get("unpriced") {
        names("unpriced", missing, &json!(snapshot.unpriced))?;
    }
    for (code, row) in expected["totals"].as_object().into_iter().flatten() {
        let (mut net, mut lacking) = (Amount::ZERO, Vec::new());
        let of_code =
            |position: &&Position<'_>| position.instrument().settlement().as_str() == code;
        for position in books.positions().iter().filter(of_code) {
            let own = position.realized_net().map_err(|error| error.to_string())?;
            net = net.checked_add(own.amount).unwrap();
            lacking.extend(own.unconverted);
        }
        lacking.sort_unstable();
        lacking.dedup();
        let unrealized = snapshot.unrealized.get(&currency(code)).copied().unwrap_or_default();
        figure("unrealized", row.get("unrealized"), Some(unrealized))?;
        let total = net.checked_add(unrealized).unwrap();
        for (key, found) in [("realized_net", net), ("total", total)] {
            match row.get(key) {
                Some(Value::Null) if key == "total" && !snapshot.is_complete() => {}
                Some(expected) if !lacking.is_empty() => {
                    unconverted(key, expected, &json!(lacking))?;
                }
                expected => figure(key, expected, Some(found))?,
            }
        }
    }
    Ok(())
}
