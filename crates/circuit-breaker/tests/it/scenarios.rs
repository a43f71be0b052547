//! The acceptance scenarios, as far as the crate can express them.

mod config;
mod expect;
mod script;

use backstop_circuit_breaker::Breaker;
use backstop_testkit::scenarios::{self, File, Verdict};
use serde_json::Value;

use self::config::Config;

/// Why a scenario did not pass.
pub(crate) enum Stop {
    /// The crate cannot express it yet.
    Pending,
    Failed(String),
}

pub(crate) type Outcome<T = ()> = Result<T, Stop>;

pub(crate) fn failed<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(why.into()))
}

/// Fails on a key that the format does not have; is pending on one that the crate has not yet.
pub(crate) fn check_keys(value: &Value, known: &[&str], pending: &[&str]) -> Outcome {
    let Some(object) = value.as_object() else {
        return failed(format!("not an object: {value}"));
    };
    let unknown =
        |key: &&String| !known.contains(&key.as_str()) && !pending.contains(&key.as_str());
    if let Some(key) = object.keys().find(unknown) {
        return failed(format!("unknown key {key:?} in {value}"));
    }
    if object.keys().any(|key| pending.contains(&key.as_str())) {
        Err(Stop::Pending)
    } else {
        Ok(())
    }
}

pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Outcome<&'v str> {
    value[key].as_str().map_or_else(|| failed(format!("{key} is no text in {value}")), Ok)
}

pub(crate) fn integer(value: &Value) -> Outcome<u64> {
    value.as_u64().map_or_else(|| failed(format!("not a whole number: {value}")), Ok)
}

#[test]
fn scenarios() {
    scenarios::run("circuit-breaker", env!("CARGO_MANIFEST_DIR"), |file, case| {
        match run(file, case) {
            Ok(verdict) => verdict,
            Err(Stop::Pending) => Verdict::Pending,
            Err(Stop::Failed(why)) => Verdict::Failed(why),
        }
    });
}

fn run(file: &File, case: &Value) -> Outcome<Verdict> {
    if file.defaults.is_some() {
        return failed("this suite has no defaults");
    }
    let about = ["id", "title", "origin", "note", "tags", "kind"];
    match case["kind"].as_str().unwrap_or("script") {
        "script" => {
            check_keys(case, &[&about[..], &["config", "steps"]].concat(), &[])?;
            script::run(case)
        }
        "build" => {
            check_keys(case, &[&about[..], &["cases"]].concat(), &[])?;
            let cases = case["cases"].as_array().map_or(&[][..], Vec::as_slice);
            // Every case is tried: one that is pending must not hide another that fails.
            let results: Vec<_> = cases.iter().map(build).collect();
            let mut pending = results.is_empty();
            for result in results {
                match result {
                    Err(Stop::Pending) => pending = true,
                    other => other?,
                }
            }
            Ok(if pending { Verdict::Pending } else { Verdict::Passed })
        }
        "retry_around_breaker" => Ok(Verdict::Elsewhere),
        other => failed(format!("unknown kind {other:?}")),
    }
}

fn build(case: &Value) -> Outcome {
    check_keys(case, &["config", "expect"], &[])?;
    check_keys(&case["expect"], &["error"], &[])?;
    let config = Config::parse(&case["config"])?;
    let setting = Breaker::new(config.policy).err().map(|error| error.setting());
    if setting == case["expect"]["error"].as_str() {
        Ok(())
    } else {
        failed(format!("{case}: got {setting:?}"))
    }
}
