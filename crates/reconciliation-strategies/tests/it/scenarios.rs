use backstop_reconciliation_strategies::{
    Action, Context, Policy, Preset, Report,
    coverage::{Coverage, Seen, Status},
    findings::{Finding, Subject},
    limits::{Authority, Combine, Instruments, Rule, Steps, Tolerance},
    reconcile,
    rows::Side,
};
use backstop_testkit::scenarios::{self, File, Verdict};
use serde_json::{Map, Value};

use crate::reading::{
    Held, Parsed, Stop, amount, fail, holdings, known, list, millis, statement, text,
};

#[test]
fn scenarios() {
    let folder = env!("CARGO_MANIFEST_DIR");
    scenarios::run("reconciliation-strategies", folder, |_: &File, case| match run(case) {
        Ok(()) => Verdict::Passed,
        Err(Stop::Pending) => Verdict::Pending,
        Err(Stop::Failed(why)) => Verdict::Failed(why),
    });
}

fn run(case: &Value) -> Parsed<()> {
    let keys = ["id", "title", "theme", "origin", "preset", "config", "instruments", "internal"];
    let pending = ["sources", "marks", "generate", "steps"];
    known(case, &[&keys[..], &["external", "expect"]].concat(), &pending)?;
    let (policy, now) = policy(text(case, "preset")?, &case["config"])?;
    let instruments = instruments(&case["instruments"])?;
    let internal = statement(&case["internal"])?;
    let external = statement(&case["external"])?;
    let expect = &case["expect"];
    check_expressible(expect)?;
    let context = Context::new(now).with_instruments(&instruments);
    let report = match reconcile(&policy, &context, &internal, &external) {
        Ok(report) => report,
        Err(error) => return fail(format!("refused: {error}")),
    };
    check(expect, &report)?;
    check_after(&expect["after"], holdings(&internal), &report)
}

fn policy(preset: &str, config: &Value) -> Parsed<(Policy, backstop_clock::Timestamp)> {
    let preset = match preset {
        "full" => Preset::Full,
        "incremental" => Preset::Incremental,
        _ => return Err(Stop::Pending),
    };
    let keys = ["now_ms", "authority", "tolerance", "grace_ms", "auto_resolve_notional"];
    let mut pending = vec!["include_pending_trades", "auto_resolve_threshold", "deadline_ms"];
    pending.extend(["max_discrepancy_threshold", "allow_estimated_price", "batch_size", "retries"]);
    pending.extend(["timeout_ms", "escalate_after", "fallback_preset", "digest"]);
    known(config, &keys, &pending)?;
    let rule = |field: &str| -> Parsed<Rule> {
        let tolerance = tolerance(&config["tolerance"][field])?;
        Ok(Rule::new(tolerance).with_authority(authority(&config["authority"][field])?))
    };
    known(&config["tolerance"], &["quantity", "average_price", "balance"], &["notional"])?;
    let fields = ["quantity", "average_price", "balance", "trades"];
    known(&config["authority"], &fields, &[])?;
    let mut policy = Policy::new(preset)
        .with_quantity(rule("quantity")?)
        .with_average_price(rule("average_price")?)
        .with_balance(rule("balance")?)
        .with_trades(authority(&config["authority"]["trades"])?);
    if let Some(grace) = config["grace_ms"].as_u64() {
        policy = policy.with_grace(std::time::Duration::from_millis(grace));
    }
    // In the files a limit that is absent is no limit.
    let limit =
        config.get("auto_resolve_notional").map_or(Ok(rust_decimal::Decimal::MAX), amount)?;
    let policy = policy.with_auto_resolve_limit(limit);
    let policy = policy.map_err(|error| Stop::Failed(error.to_string()))?;
    match millis(config, "now_ms") {
        Some(now) => Ok((policy, now)),
        None => fail("config without now_ms"),
    }
}

fn authority(value: &Value) -> Parsed<Authority> {
    match value.as_str() {
        Some("venue") => Ok(Authority::External),
        Some("ledger") => Ok(Authority::Internal),
        _ => Err(Stop::Pending),
    }
}

fn tolerance(value: &Value) -> Parsed<Tolerance> {
    let mut tolerance = Tolerance::exact();
    for (key, part) in value.as_object().unwrap_or(&Map::new()) {
        let built = match (key.as_str(), part.as_str()) {
            ("absolute", _) => tolerance.with_absolute(amount(part)?),
            ("relative", _) => tolerance.with_relative(amount(part)?),
            ("steps", _) => tolerance.with_steps(amount(part)?),
            ("combine", Some("max")) => Ok(tolerance.with_combine(Combine::Max)),
            ("combine", Some("min")) => Ok(tolerance.with_combine(Combine::Min)),
            _ => return fail(format!("unknown tolerance {key}")),
        };
        tolerance = built.map_err(|error| Stop::Failed(error.to_string()))?;
    }
    Ok(tolerance)
}

fn instruments(value: &Value) -> Parsed<Instruments> {
    let mut instruments = Instruments::default();
    for instrument in list(value) {
        let steps =
            Steps::new(amount(&instrument["lot_step"])?, amount(&instrument["price_step"])?);
        let steps = steps.map_err(|error| Stop::Failed(error.to_string()))?;
        instruments = instruments.with(text(instrument, "id")?, steps);
    }
    Ok(instruments)
}

/// Synthetic fills, alerts and unresolved cases are not part of the slice.
fn check_expressible(expect: &Value) -> Parsed<()> {
    let mut keys = vec!["findings", "finding_count", "plan", "after", "coverage", "status"];
    keys.extend(["auto_resolved", "manual", "deferred", "duplicates", "skipped"]);
    let mut pending = vec!["alerts", "unresolved", "error", "realized_gross", "plan_any"];
    pending.extend(["compared", "processed", "pending_keys", "buckets_compared", "attempts"]);
    pending.extend([
        "applied",
        "escalated",
        "halt_calls",
        "used_preset",
        "fallback",
        "valid_types",
    ]);
    pending.extend(["halt_before_resolution", "reads_possible", "version_unchanged"]);
    known(expect, &keys, &pending)?;
    let synthetic = list(&expect["plan"]).iter().any(|action| action["action"] != "apply_trade");
    let outcomes = ["auto", "manual", "deferred", "accepted", "reported"];
    let beyond = list(&expect["findings"]).iter().any(|finding| {
        let outcome = finding.get("outcome").and_then(Value::as_str);
        outcome.is_some_and(|outcome| !outcomes.contains(&outcome))
            || finding.get("severity").is_some()
    });
    if synthetic || beyond { Err(Stop::Pending) } else { Ok(()) }
}

fn check(expect: &Value, report: &Report) -> Parsed<()> {
    let found = report.findings.iter().map(describe).collect::<Vec<_>>();
    let mut left = found.clone();
    for expected in list(&expect["findings"]) {
        let Some(place) = left.iter().position(|found| covers(found, expected)) else {
            return fail(format!("no finding {expected} among {found:?}"));
        };
        left.remove(place);
    }
    let all_listed = expect.get("findings").is_some() && expect.get("finding_count").is_none();
    if all_listed && !left.is_empty() {
        return fail(format!("unexpected findings {left:?}"));
    }
    let status = match report.status {
        Status::Completed => "completed",
        Status::Partial => "partial",
        Status::Failed => "failed",
    };
    let duplicates = found.iter().filter(|found| found["kind"] == "duplicate_row").count();
    for (key, actual) in [
        ("status", Value::from(status)),
        ("finding_count", Value::from(found.len())),
        ("auto_resolved", Value::from(report.auto_resolved())),
        ("manual", Value::from(report.manual())),
        ("duplicates", Value::from(duplicates)),
        (
            "deferred",
            report.deferred().map(|found| describe(found)["instrument"].clone()).collect(),
        ),
    ] {
        if expect.get(key).is_some_and(|expected| *expected != actual) {
            return fail(format!("{key} is {actual}, not {}", expect[key]));
        }
    }
    check_coverage(&expect["coverage"], report)?;
    check_plan(expect.get("plan"), report)
}

fn check_coverage(expect: &Value, report: &Report) -> Parsed<()> {
    for expected in list(expect) {
        known(expected, &["source", "state"], &["scope"])?;
        let of = |coverage: &&Coverage| expected["source"] == coverage.source.as_str();
        let Some(coverage) = report.coverage.iter().find(of) else {
            return fail(format!("no coverage of {}", expected["source"]));
        };
        let legs = [&coverage.positions, &coverage.balances, &coverage.trades, &coverage.orders];
        let observed = legs.into_iter().any(|leg| *leg == Seen::Observed);
        let state = if coverage.is_partial() { "unavailable" } else { "observed" };
        if expected["state"] != state || (state == "observed" && !observed) {
            return fail(format!("coverage {coverage:?}, not {expected}"));
        }
    }
    Ok(())
}

fn check_plan(expect: Option<&Value>, report: &Report) -> Parsed<()> {
    let Some(expected) = expect.map(list) else { return Ok(()) };
    let trades = report.plan.actions.iter().filter_map(|action| match action {
        Action::ApplyTrade { trade, .. } => Some(trade),
        _ => None,
    });
    let trades = trades.collect::<Vec<_>>();
    if trades.len() != expected.len() {
        return fail(format!("the plan is {trades:?}"));
    }
    for (trade, expected) in trades.into_iter().zip(expected) {
        let keys = ["action", "account", "instrument", "side", "qty", "price", "trade_id"];
        known(expected, &[&keys[..], &["synthetic"]].concat(), &[])?;
        let side = if trade.side == Side::Buy { "buy" } else { "sell" };
        let same = expected["trade_id"] == trade.trade_id.as_ref()
            && expected["account"] == trade.account.as_ref()
            && expected["instrument"] == trade.instrument.as_ref()
            && expected["side"] == side
            && amount(&expected["qty"])? == trade.quantity
            && amount(&expected["price"])? == trade.price
            && expected["synthetic"] == false;
        if !same {
            return fail(format!("the plan has {trade:?}, not {expected}"));
        }
    }
    Ok(())
}

/// The finding in the words of the files.
fn describe(finding: &Finding) -> Value {
    let figure = |value: Option<rust_decimal::Decimal>| value.map(|value| value.to_string());
    let mut words = serde_json::json!({
        "kind": finding.kind.name(),
        "outcome": finding.outcome.name(),
        "internal": figure(finding.internal),
        "external": figure(finding.external),
        "difference": figure(finding.difference),
        "account": finding.subject.account(),
    });
    match &finding.subject {
        Subject::Order { instrument, order_id, .. } => {
            words["instrument"] = instrument.as_str().into();
            words["order_id"] = order_id.as_str().into();
        }
        Subject::Trade { instrument, trade_id, .. } => {
            words["instrument"] = instrument.as_str().into();
            words["trade_id"] = trade_id.as_str().into();
        }
        Subject::Position { instrument, .. } => words["instrument"] = instrument.as_str().into(),
        Subject::Balance { currency, .. } => words["currency"] = currency.as_str().into(),
    }
    words
}

/// Whether every key of `expected` stands in `found`; amounts compare as numbers.
fn covers(found: &Value, expected: &Value) -> bool {
    let same = |found: &Value, expected: &Value| {
        let numbers = amount(found).ok().zip(amount(expected).ok());
        found == expected || numbers.is_some_and(|(found, expected)| found == expected)
    };
    let mut keys = expected.as_object().into_iter().flatten();
    keys.all(|(key, expected)| found.get(key).is_some_and(|found| same(found, expected)))
}

fn check_after(expect: &Value, mut held: Held, report: &Report) -> Parsed<()> {
    if expect.is_null() {
        return Ok(());
    }
    known(expect, &["positions", "balances"], &["sources", "any_of"])?;
    for action in &report.plan.actions {
        held.apply(action);
    }
    held.check(expect)
}
