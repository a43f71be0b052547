//! Acceptance scenarios that need two crates: a retry around a breaker, and a retry under the
//! taxonomy's decisions.
//!
//! They come from the folders of the crates; every other case there is run by its own crate.

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
        folders.extend(FOLDERS.map(|folder| PathBuf::from(&more).join(folder)));
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

fn file() -> File {
    File { name: "here.json".to_owned(), theme: None, defaults: None }
}

/// Why a case did not pass.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The host cannot express it yet.
    Pending,
    Failed(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

pub(crate) type Outcome<T> = Result<T, Stop>;

fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(why.into()))
}

fn one(file: &File, case: &Value) -> Verdict {
    let case = &file.with_defaults(case);
    let outcome = if case["kind"] == "retry_around_breaker" {
        around_breaker::run(case)
    } else if case.get("outcomes").is_some() {
        sequence::run(case)
    } else {
        return Verdict::Elsewhere;
    };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(Stop::Pending) => Verdict::Pending,
        Err(Stop::Failed(why)) => Verdict::Failed(why),
    }
}

/// An object without other keys than these; of the pending ones, none may stand there.
fn known(object: &Value, keys: &[&str], pending: &[&str]) -> Outcome<()> {
    let fields = object.as_object().ok_or_else(|| Stop::Failed(format!("{object} no object")))?;
    let strange = |key: &&String| !keys.contains(&key.as_str()) && !pending.contains(&key.as_str());
    if let Some(key) = fields.keys().find(strange) {
        return fail(format!("unknown key `{key}`"));
    }
    if fields.keys().any(|key| pending.contains(&key.as_str())) {
        return Err(Stop::Pending);
    }
    Ok(())
}

fn list(value: &Value) -> Outcome<&[Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| Stop::Failed(format!("{value} is no list")))
}

fn whole(value: &Value) -> Outcome<u64> {
    value.as_u64().ok_or_else(|| Stop::Failed(format!("{value} is no whole number")))
}

fn count(value: &Value) -> Outcome<u32> {
    // A number that is too large for the setting stays too large.
    Ok(u32::try_from(whole(value)?).unwrap_or(u32::MAX))
}

fn millis(value: &Value) -> Outcome<Duration> {
    Ok(Duration::from_millis(whole(value)?))
}

/// Equal, or within a band of two numbers; times may be off by a millisecond.
fn expect(key: &str, want: &Value, got: &Value) -> Outcome<()> {
    let slack = u64::from(key.ends_with("_ms"));
    let fits = |want: &Value, got: &Value| match (want.as_array(), want.as_u64(), got.as_u64()) {
        (Some(band), _, Some(got)) if band.len() == 2 => {
            let ends = (band[0].as_u64(), band[1].as_u64());
            matches!(ends, (Some(low), Some(high)) if (low..=high).contains(&got))
        }
        (None, Some(want), Some(got)) => want.abs_diff(got) <= slack,
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
