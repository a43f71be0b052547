//! What the crate can express: everything known is listed, everything else is an error.

use serde_json::Value;

/// Keys by where they stand: those that are played, and those that make a case wait for a later slice.
const CASE: Keys = Keys {
    played: &[
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
    ],
    pending: &[],
};
const INSTRUMENT: Keys = Keys {
    played: &[
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
    ],
    pending: &[],
};
const EVENT: Keys = Keys {
    played: &[
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
    ],
    pending: &[],
};
const RESULT: Keys = Keys {
    played: &["result", "result_any", "error", "field", "expected", "actual", "legs"],
    pending: &[],
};
const STATE: Keys = Keys {
    played: &[
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
    ],
    pending: &[],
};

/// Events that need a later slice.
const EVENTS_PENDING: &[&str] = &["restore"];
const EVENTS_PLAYED: &[&str] = &[
    "fill",
    "void",
    "correct",
    "funding",
    "income",
    "split",
    "settlement",
    "transfer",
    "adjust",
    "repeat",
    "check",
    "snapshot",
    "replay",
    "state_at",
    "tamper",
    "verify",
    "edit_snapshot",
    "validate_snapshot",
];

/// Events that are entries of the journal.
const ENTRIES: &[&str] =
    &["fill", "void", "correct", "funding", "income", "split", "settlement", "transfer", "adjust"];

struct Keys {
    played: &'static [&'static str],
    pending: &'static [&'static str],
}

impl Keys {
    /// Whether all keys are played; an unknown one is an error.
    fn admit(&self, value: &Value) -> Result<bool, String> {
        let mut all = true;
        for key in value.as_object().ok_or_else(|| format!("{value} is no object"))?.keys() {
            if self.pending.contains(&key.as_str()) {
                all = false;
            } else if !self.played.contains(&key.as_str()) {
                return Err(format!("unknown key {key:?}"));
            }
        }
        Ok(all)
    }
}

/// One of the words that are played, or one that waits; anything else is an error.
fn word(value: &Value, default: &str, played: &[&str], pending: &[&str]) -> Result<bool, String> {
    let word = value.as_str().unwrap_or(default);
    if pending.contains(&word) {
        return Ok(false);
    }
    if played.contains(&word) { Ok(true) } else { Err(format!("unknown word {word:?}")) }
}

pub(super) fn is_expressible(case: &Value) -> Result<bool, String> {
    let mut all = CASE.admit(case)?;
    all &= word(&case["method"], "average", &["average", "fifo", "lifo", "hifo", "specific"], &[])?;
    all &= word(&case["mode"], "netting", &["netting", "hedging"], &[])?;
    all &= word(&case["order_policy"], "arrival", &["arrival", "event_time"], &[])?;
    let single = case.get("instrument").into_iter();
    for instrument in single.chain(case["instruments"].as_array().into_iter().flatten()) {
        all &= INSTRUMENT.admit(instrument)?;
        all &= word(&instrument["kind"], "", &["linear", "inverse", "quanto"], &[])?;
    }
    let variants = case["variants"].as_array().into_iter().flatten();
    let lists = variants.map(|variant| &variant["events"]).chain(case.get("events"));
    for event in lists.flat_map(|list| list.as_array().into_iter().flatten()) {
        all &= is_event(event)?;
    }
    Ok(all & is_state(&case["expect"])?)
}

fn is_event(event: &Value) -> Result<bool, String> {
    if !word(&event["do"], "", EVENTS_PLAYED, EVENTS_PENDING)? {
        return Ok(false);
    }
    let mut all = EVENT.admit(event)?;
    match event["do"].as_str() {
        Some("repeat") => all &= is_event(&event["event"])?,
        // Books are rebuilt from the start of the journal; from a snapshot comes with state snapshots.
        Some("replay") => all &= event["from"] == "start",
        _ => {}
    }
    let Some(expected) = event.get("expect") else { return Ok(all) };
    let is_entry = ENTRIES.contains(&event["do"].as_str().unwrap_or_default());
    let played = if is_entry { RESULT.admit(expected)? } else { is_state(expected)? };
    Ok(all & played)
}

fn is_state(expected: &Value) -> Result<bool, String> {
    let mut all = STATE.admit(expected)?;
    for position in expected["positions"].as_array().into_iter().flatten() {
        all &= STATE.admit(position)?;
    }
    Ok(all)
}
