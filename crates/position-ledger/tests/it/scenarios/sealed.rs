//! Snapshots: their checksums, figures that somebody edits, and what a validation finds.

use backstop_position_ledger::Books;
use backstop_position_ledger::error::SnapshotError;
use backstop_position_ledger::journal::{Checkpoint, Digest};
use backstop_position_ledger::pnl::Snapshot;
use serde_json::{Value, json};

use super::{Checked, expect, text};
use crate::kit::amount;

/// The checksum over what a snapshot says, without the history that led to it.
///
/// Variants tell the same in other words or in another order, so their journals differ.
pub(super) fn figures(books: &Books) -> Result<Digest, String> {
    let Checkpoint { sequence, hash: head } = Checkpoint::START;
    Ok(Snapshot { sequence, head, ..expect::snapshot(books, &Value::Null)? }.seal())
}

/// A snapshot with one figure changed.
pub(super) fn edited(snapshot: &Snapshot, event: &Value) -> Result<Snapshot, String> {
    let mut content = serde_json::to_value(snapshot).map_err(|error| error.to_string())?;
    let pointer = pointer(text(event, "field")?, &content)?;
    let field = content.pointer_mut(&pointer).ok_or_else(|| format!("no field {pointer}"))?;
    let more = amount(text(event, "add")?);
    *field = match &*field {
        Value::Number(held) => {
            let more = i64::try_from(more.units() / backstop_position_ledger::Amount::ONE.units());
            json!(held.as_i64().ok_or("the field is no number")? + more.unwrap())
        }
        Value::Null => json!(more),
        Value::String(held) => json!(amount(held).checked_add(more).unwrap()),
        other => return Err(format!("the field {pointer} is {other}")),
    };
    let mut edited: Snapshot =
        serde_json::from_value(content).map_err(|error| error.to_string())?;
    if event["reseal"] == true {
        edited.checksum = edited.seal();
    }
    Ok(edited)
}

/// Where a figure stands that the format names, such as `positions[0].realized` or `totals.USDT.total`.
fn pointer(path: &str, content: &Value) -> Result<String, String> {
    let path = path.replace('[', ".").replace(']', "");
    let mut words: Vec<_> = path.split('.').map(own_word).collect();
    // Here the kind of total comes first, and then the currency.
    if words.first() == Some(&"totals") {
        words.remove(0);
        words.reverse();
    }
    if words.first() == Some(&"balances")
        && words.get(1).is_none_or(|at| at.parse::<usize>().is_err())
    {
        let rows = content["balances"].as_array().ok_or("no balances")?;
        let is_meant = |row: &Value| words.get(1).is_none_or(|code| row["currency"] == *code);
        let place = rows.iter().position(is_meant).ok_or("no such balance")?;
        return Ok(format!("/balances/{place}/total"));
    }
    let pointer = format!("/{}", words.join("/"));
    // A total is kept per currency; any of them will do.
    let total = content.pointer(&pointer).and_then(Value::as_object);
    Ok(match total.and_then(|sums| sums.keys().next()) {
        Some(code) => format!("{pointer}/{code}"),
        None => pointer,
    })
}

fn own_word(word: &str) -> &str {
    match word {
        "qty" => "quantity",
        "average_price" => "average",
        "price" | "current_price" => "mark",
        "realized_net" | "realized_gross" | "realized_pnl" => "realized",
        "unrealized_pnl" => "unrealized",
        "total_pnl" => "total",
        "cash" => "balances",
        "version" | "seq" => "sequence",
        "time" | "at_ms" => "at",
        other => other,
    }
}

pub(super) fn validation(found: &Result<(), SnapshotError>, expected: &Value) -> Checked {
    let problem = match found {
        Ok(()) => Value::Null,
        Err(SnapshotError::Checksum) => json!("checksum"),
        // Also one that speaks of entries that are not there, or of figures that cannot be.
        Err(_) => json!("totals"),
    };
    expect::equal("ok", expected.get("ok"), &json!(found.is_ok()))?;
    expect::equal("problem", expected.get("problem"), &problem)
        .map_err(|why| format!("{why}: {found:?}"))
}
