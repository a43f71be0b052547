#![expect(clippy::float_arithmetic, reason = "the scenarios write seconds as JSON numbers")]

use std::error::Error as StdError;

use backstop_error_taxonomy::facts::Key;
use backstop_error_taxonomy::{Class, Classify, Error, Site, decide};
use backstop_testkit::errors::{self, axis, known};
use backstop_testkit::scenarios::{self, File, Verdict};
use serde_json::{Value, json};

use crate::policy_suite::{self, site_of};

#[test]
fn scenarios() {
    scenarios::run("error-taxonomy", env!("CARGO_MANIFEST_DIR"), run);
}

/// Or why a case did not pass.
pub(crate) type Outcome<T> = Result<T, String>;

pub(crate) fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(why.into())
}

fn run(file: &File, case: &Value) -> Verdict {
    if case.get("outcomes").is_some() {
        // Needs the retry loop as well; the trading host runs it.
        return Verdict::Elsewhere;
    }
    let case = &file.with_defaults(case);
    let outcome = match file.theme.as_deref() {
        Some("classification") => classification(case),
        Some("policy") => policy_suite::run(case),
        other => fail(format!("unknown theme {other:?}")),
    };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(why) => Verdict::Failed(why),
    }
}

fn classification(case: &Value) -> Outcome<()> {
    let empty = json!({});
    known(
        case,
        &[
            "id",
            "title",
            "note",
            "origin",
            "tags",
            "error",
            "given",
            "expect",
            "table",
            "form",
            "key",
            "min_agreement",
        ],
    )?;
    let given = case.get("given").unwrap_or(&empty);
    let Some(table) = case.get("table") else {
        return check(&case["error"], given, &case["expect"]);
    };
    let (mut held, mut misses) = (0_u32, Vec::new());
    let rows = table.as_array().ok_or("table is not a list".to_owned())?;
    for row in rows {
        let error = match case.get("form").and_then(Value::as_str) {
            Some(form) if !row[0].is_object() => json!({ form: row[0] }),
            _ => row[0].clone(),
        };
        let expect = match case.get("key").and_then(Value::as_str) {
            Some(key) if !row[1].is_object() && !row[1].is_null() => json!({ key: row[1] }),
            _ => row[1].clone(),
        };
        match check(&error, given, &expect) {
            Ok(()) => held += 1,
            Err(why) => misses.push(format!("{error}: {why}")),
        }
    }
    let share = case.get("min_agreement").and_then(Value::as_f64).unwrap_or(1.0);
    let total = u32::try_from(rows.len()).unwrap();
    if f64::from(held) < share * f64::from(total) { fail(misses.join("; ")) } else { Ok(()) }
}

fn check(error: &Value, given: &Value, expect: &Value) -> Outcome<()> {
    let site = site_of(given)?;
    let mut classifier = errors::classifier();
    if let Some(stated) = given.get("default_transience") {
        classifier = classifier.with_default(site.component, axis(stated)?);
    }
    let failure = match error.get("wire") {
        Some(form) => Some(read(error, form)?),
        None => errors::error_of(error, given)?,
    };
    let failure = match (failure, expect.is_null()) {
        (Some(failure), false) => failure,
        (None, true) => return Ok(()),
        (None, false) => return fail("is no error"),
        (Some(_), true) => return fail("is an error"),
    };
    let class = classifier.classify_at(&*failure, site.component);
    let ours = failure.downcast_ref::<Error>();
    let decision = decide(class, &site);
    for (key, want) in expect.as_object().ok_or("expect is no object".to_owned())? {
        let got = match key.as_str() {
            "kind" => json!(decision.class.kind().as_str()),
            "transience" => json!(decision.class.transience().as_str()),
            "effect" => json!(decision.class.effect().as_str()),
            "severity" => json!(decision.severity.as_str()),
            "action" => json!(decision.action.as_str()),
            "counts_for_breaker" => json!(decision.breaker),
            "retry_after_s" => json!(class.retry_after().map(|hint| hint.as_secs_f64())),
            "delay_s" => json!(delay_s(class, &site, given)?),
            "round_trip" => json!(survives(ours.unwrap_or(&raised(class, &site)))),
            "original_kind" => json!(ours.and_then(Error::original_kind)),
            other => return fail(format!("unknown expectation `{other}`")),
        };
        if !fits(want, &got) {
            return fail(format!("{key}: expected {want}, got {got}"));
        }
    }
    Ok(())
}

/// An error in the form in which it was written.
fn read(error: &Value, form: &Value) -> Outcome<Box<dyn StdError + Send + Sync>> {
    known(error, &["wire", "display"])?;
    let read: Result<Error, _> = serde_json::from_value(form.clone());
    read.map(Into::into).map_err(|why| format!("{form}: {why}"))
}

/// What an operation at `site` returns when it fails with `class`.
fn raised(class: Class, site: &Site<'_>) -> Error {
    Error::new(class.kind(), "the scenario says so")
        .with_class(class)
        .with_op("scenario")
        .with_component(site.component)
        .with("op", site.op)
        .with(Key::ORDER, 7)
}

/// Whether what was written reads back with the same class, context and location.
fn survives(error: &Error) -> bool {
    let written = serde_json::to_string(error).unwrap();
    let back: Error = serde_json::from_str(&written).unwrap();
    back.class() == error.class()
        && back.component() == error.component()
        && back.context().eq(error.context())
        && back.operations().eq(error.operations())
        && back.location() == error.location()
        && back.original_kind() == error.original_kind()
}

pub(crate) fn fits(want: &Value, got: &Value) -> bool {
    if let Some(alternatives) = want.get("one_of").and_then(Value::as_array) {
        return alternatives.iter().any(|one| fits(one, got));
    }
    if want.is_object() {
        let value = got.as_f64().unwrap_or(f64::NAN);
        let min = want.get("min").and_then(Value::as_f64).unwrap_or(f64::NEG_INFINITY);
        let max = want.get("max").and_then(Value::as_f64).unwrap_or(f64::INFINITY);
        return (min..=max).contains(&value);
    }
    match (want.as_f64(), got.as_f64()) {
        (Some(want), Some(got)) => (want - got).abs() < 1e-9,
        _ => want == got,
    }
}

/// The delay before the next attempt: the backoff of the case, or longer if the other side asks.
fn delay_s(class: Class, site: &Site<'_>, given: &Value) -> Outcome<f64> {
    let empty = json!({});
    let backoff = given.get("backoff").unwrap_or(&empty);
    known(backoff, &["base_s", "factor", "max_s"])?;
    let number = |key: &str, default| backoff.get(key).and_then(Value::as_f64).unwrap_or(default);
    let exponent = i32::try_from(site.attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let delay = number("base_s", 1.0) * number("factor", 2.0).powi(exponent);
    let hint = class.retry_after().map_or(0.0, |hint| hint.as_secs_f64());
    Ok(delay.min(number("max_s", 30.0)).max(hint))
}
