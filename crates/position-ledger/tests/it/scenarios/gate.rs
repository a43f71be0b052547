//! The words of the format: a key or a word that is not listed is an error, never passed over.

use serde_json::Value;

/// Keys of a case.
const CASE: &[&str] = &[
    "id",
    "title",
    "theme",
    "origin",
    "instrument",
    "instruments",
    "method",
    "mode",
    "order_policy",
    "currencies",
    "events",
    "variants",
    "expect",
    "note",
    "tags",
];

/// Keys of an instrument.
const INSTRUMENT: &[&str] = &[
    "id",
    "kind",
    "multiplier",
    "base",
    "quote",
    "settlement",
    "price_step",
    "lot_step",
    "spot",
    "fee_places",
];

/// Keys of an event.
const EVENT: &[&str] = &[
    "do",
    "at_ms",
    "account",
    "instrument",
    "expected_version",
    "source",
    "trade_id",
    "order_id",
    "side",
    "qty",
    "price",
    "fee",
    "fee_currency",
    "expect",
    "times",
    "first",
    "step_ms",
    "event",
    "name",
    "marks",
    "from",
    "seq",
    "kind",
    "with_seq",
    "against",
    "field",
    "add",
    "reseal",
    "leg",
    "cost",
    "lots",
    "id",
    "amount",
    "per_unit",
    "new",
    "old",
    "cash_in_lieu_price",
    "whole",
    "to_account",
    "reason",
    "qty_change",
    "note",
];

/// Keys of what is expected of an entry.
const RESULT: &[&str] = &["result", "result_any", "error", "field", "expected", "actual", "legs"];

/// Keys of what is expected of a state.
const STATE: &[&str] = &[
    "account",
    "instrument",
    "qty",
    "average_price",
    "open_cost",
    "realized_gross",
    "closed_cycles",
    "unrealized_at",
    "total_at",
    "fees",
    "realized_net",
    "positions",
    "marks",
    "totals",
    "complete",
    "unpriced",
    "version",
    "checksum_hex_len",
    "same_checksum",
    "same_state",
    "ok",
    "problem",
    "first_bad_seq",
    "torn_seq",
    "realized_net_with_rates",
    "funding",
    "income",
    "lots",
    "cash_in_lieu",
    "net_qty",
    "leg",
];

/// Keys of the rows of what is expected.
const ROWS: &[(&str, &[&str])] = &[
    ("lots", &["qty", "price"]),
    ("closed_cycles", &["realized_gross"]),
    ("unrealized_at", &["mark", "value"]),
    ("total_at", &["mark", "value"]),
    ("realized_net_with_rates", &["rates", "value"]),
];

/// Events that are entries of the journal.
const ENTRIES: &[&str] =
    &["fill", "void", "correct", "funding", "income", "split", "settlement", "transfer", "adjust"];

/// Events that are not.
const OTHERS: &[&str] = &[
    "repeat",
    "check",
    "snapshot",
    "restore",
    "replay",
    "state_at",
    "tamper",
    "verify",
    "edit_snapshot",
    "validate_snapshot",
];

type Known = Result<(), String>;

fn keys(value: &Value, known: &[&str]) -> Known {
    let all = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    match all.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key {key:?}")),
        None => Ok(()),
    }
}

fn word(value: &Value, default: &str, known: &[&str]) -> Known {
    let word = value.as_str().unwrap_or(default);
    if known.contains(&word) { Ok(()) } else { Err(format!("unknown word {word:?}")) }
}

pub(super) fn check(case: &Value) -> Known {
    keys(case, CASE)?;
    word(&case["method"], "average", &["average", "fifo", "lifo", "hifo", "specific"])?;
    word(&case["mode"], "netting", &["netting", "hedging"])?;
    word(&case["order_policy"], "arrival", &["arrival", "event_time"])?;
    let single = case.get("instrument").into_iter();
    for instrument in single.chain(case["instruments"].as_array().into_iter().flatten()) {
        keys(instrument, INSTRUMENT)?;
        word(&instrument["kind"], "", &["linear", "inverse", "quanto"])?;
    }
    let variants = case["variants"].as_array().into_iter().flatten();
    variants.clone().try_for_each(|variant| keys(variant, &["name", "events", "note"]))?;
    let lists = variants.map(|variant| &variant["events"]).chain(case.get("events"));
    for event in lists.flat_map(|list| list.as_array().into_iter().flatten()) {
        check_event(event)?;
    }
    case.get("expect").map_or(Ok(()), check_state)
}

fn check_event(event: &Value) -> Known {
    let is_entry = word(&event["do"], "", ENTRIES).is_ok();
    if !is_entry {
        word(&event["do"], "", OTHERS)?;
    }
    keys(event, EVENT)?;
    if event["do"] == "repeat" {
        check_event(&event["event"])?;
    }
    rows(&event["lots"], &["trade_id", "qty"])?;
    match event.get("expect") {
        Some(expected) if is_entry => {
            rows(&expected["legs"], &["role", "qty", "fee"])?;
            keys(expected, RESULT)
        }
        Some(expected) => check_state(expected),
        None => Ok(()),
    }
}

fn check_state(expected: &Value) -> Known {
    keys(expected, STATE)?;
    for (list, known) in ROWS {
        rows(&expected[list], known)?;
    }
    let totals = expected["totals"].as_object().into_iter().flatten();
    totals
        .into_iter()
        .try_for_each(|(_, row)| keys(row, &["realized_net", "unrealized", "total"]))?;
    let positions = expected["positions"].as_array().into_iter().flatten();
    positions.into_iter().try_for_each(check_state)
}

fn rows(list: &Value, known: &[&str]) -> Known {
    list.as_array().into_iter().flatten().try_for_each(|row| keys(row, known))
}
