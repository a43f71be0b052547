//! Acceptance scenarios that need two crates: a retry around a breaker, and a retry under the
//! taxonomy's decisions.
//!
//! They come from the folders of the crates; every other case there is run by its own crate.

#![expect(clippy::float_arithmetic, reason = "expected numbers are compared with a tolerance")]

mod around_breaker;
mod sequence;

use std::{env, path::Path, path::PathBuf, time::Duration};

use backstop_retry_backoff::StopReason;
use backstop_testkit::scenarios::{FOLDER_VARIABLE, File, Summary, Verdict, run_folders};
use serde_json::{Value, json};

/// The crates whose folders hold such cases.
const FOLDERS: [&str; 3] = ["circuit-breaker", "retry-backoff", "error-taxonomy"];

#[test]
fn scenarios() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")];
    if let Some(more) = env::var_os(FOLDER_VARIABLE) {
        // A part of them is enough: each crate's own run asks for its own.
        let there = FOLDERS.map(|folder| PathBuf::from(&more).join(folder));
        let there: Vec<_> = there.into_iter().filter(|folder| folder.is_dir()).collect();
        assert!(!there.is_empty(), "{} has none of {FOLDERS:?}", more.display());
        folders.extend(there);
    }
    let Summary { run, pending, failures } = run_folders(&folders, one);
    println!("scenarios: {run} run, {} pending", pending.len());
    for id in &pending {
        println!("  pending: {id}");
    }
    assert!(failures.is_empty(), "failed:\n{}", failures.join("\n"));
    assert!(run > 0, "no scenario was run");
}

#[test]
fn a_case_that_does_not_hold_fails() {
    let around = json!({
        "id": "x", "kind": "retry_around_breaker",
        "config": {
            "schedule": {"family": "fixed", "base_ms": 100, "jitter": "none"}, "max_attempts": 7,
            "breaker": {"trip": {"consecutive_failures": 3}, "open_ms": 60_000}
        },
        "attempts": [{"outcome": "transient"}], "expect": {"op_runs": 3}
    });
    let sequence = json!({
        "id": "y", "given": {"idempotent": true}, "outcomes": [{"http": 503}],
        "expect": {"attempts": 4}
    });
    for (case, key) in [(around, "op_runs"), (sequence, "attempts")] {
        assert_eq!(one(&file(), &case), Verdict::Passed);
        let mut wrong = case.clone();
        wrong["expect"][key] = json!(5);
        assert!(matches!(one(&file(), &wrong), Verdict::Failed(why) if why.contains(key)));
        let mut unknown = case.clone();
        unknown["expect"]["mood"] = json!("good");
        assert!(matches!(one(&file(), &unknown), Verdict::Failed(why) if why.contains("`mood`")));
        let mut unknown = case;
        unknown["wish"] = json!(1);
        assert!(matches!(one(&file(), &unknown), Verdict::Failed(why) if why.contains("`wish`")));
    }
}

#[test]
fn every_expectation_of_our_own_cases_can_fail() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/around_breaker.json");
    let text = std::fs::read_to_string(path).unwrap();
    let cases = serde_json::from_str::<Value>(&text).unwrap()["scenarios"].take();
    for case in cases.as_array().unwrap() {
        for key in case["expect"].as_object().unwrap().keys() {
            let mut wrong = case.clone();
            wrong["expect"][key] = spoilt(&case["expect"][key]);
            let verdict = one(&file(), &wrong);
            assert!(matches!(verdict, Verdict::Failed(_)), "{} {key}: {verdict:?}", case["id"]);
        }
    }
}

/// Something else of the same form.
fn spoilt(value: &Value) -> Value {
    match value {
        Value::Bool(is) => json!(!is),
        Value::Number(number) => json!(number.as_f64().unwrap() + 2.0),
        Value::String(text) => json!(format!("not {text}")),
        Value::Array(list) => Value::Array(list.iter().map(spoilt).chain([json!(1)]).collect()),
        Value::Object(fields) => {
            let last = fields.iter().next_back().unwrap();
            json!({ last.0: spoilt(last.1) })
        }
        Value::Null => json!(0),
    }
}

fn file() -> File {
    File { name: "here.json".to_owned(), theme: None, defaults: None }
}

/// Why a case did not pass.
#[derive(Debug)]
pub(crate) struct Stop(String);

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self(why)
    }
}

pub(crate) type Outcome<T> = Result<T, Stop>;

fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop(why.into()))
}

fn one(file: &File, case: &Value) -> Verdict {
    let case = &file.with_defaults(case);
    // A run with a breaker in its configuration is the same by another name.
    let has_breaker = case["config"].get("breaker").is_some() && case.get("attempts").is_some();
    let outcome = if case["kind"] == "retry_around_breaker" || has_breaker {
        around_breaker::run(case)
    } else if case.get("outcomes").is_some() {
        sequence::run(case)
    } else {
        return Verdict::Elsewhere;
    };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(Stop(why)) => Verdict::Failed(why),
    }
}

/// An object without other keys than these.
fn known(object: &Value, keys: &[&str]) -> Outcome<()> {
    let fields = object.as_object().ok_or_else(|| Stop(format!("{object} is no object")))?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => fail(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

fn list(value: &Value) -> Outcome<&[Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| Stop(format!("{value} is no list")))
}

fn whole(value: &Value) -> Outcome<u64> {
    value.as_u64().ok_or_else(|| Stop(format!("{value} is no whole number")))
}

fn count(value: &Value) -> Outcome<u32> {
    // A number that is too large for the setting stays too large.
    Ok(u32::try_from(whole(value)?).unwrap_or(u32::MAX))
}

fn millis(value: &Value) -> Outcome<Duration> {
    Ok(Duration::from_millis(whole(value)?))
}

/// Equal, or within a band of two numbers; times may be off by a millisecond, others by a rounding.
fn expect(key: &str, want: &Value, got: &Value) -> Outcome<()> {
    let slack = if key.ends_with("_ms") { 1.0 } else { 1e-9 };
    let near = |low: f64, high: f64, got: f64| (low - slack..=high + slack).contains(&got);
    let fits = |want: &Value, got: &Value| match (want.as_array(), want.as_f64(), got.as_f64()) {
        (Some(band), _, Some(got)) if band.len() == 2 => {
            let ends = (band[0].as_f64(), band[1].as_f64());
            matches!(ends, (Some(low), Some(high)) if near(low, high, got))
        }
        (None, Some(want), Some(got)) => near(want, want, got),
        _ => want == got,
    };
    let holds = match (want.as_array(), got.as_array()) {
        (Some(want), Some(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| fits(want, got))
        }
        _ => fits(want, got),
    };
    if holds { Ok(()) } else { fail(format!("{key}: expected {want}, got {got}")) }
}

/// The format's name of a reason to stop.
fn stop_name(reason: StopReason) -> &'static str {
    match reason {
        StopReason::BreakerRefused => "breaker_rejected",
        other => other.as_str(),
    }
}
