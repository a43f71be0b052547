//! The acceptance scenarios.

mod config;
mod expect;
mod script;
mod target;

use backstop_circuit_breaker::{Breaker, PolicyError, Registry};
use backstop_testkit::scenarios::{self, File, Verdict};
use serde_json::Value;

use self::config::{Config, format_key};

/// Why a scenario did not pass.
pub(crate) type Outcome<T = ()> = Result<T, String>;

pub(crate) fn failed<T>(why: impl Into<String>) -> Outcome<T> {
    Err(why.into())
}

/// Fails on a key that the format does not have.
pub(crate) fn check_keys(value: &Value, known: &[&str]) -> Outcome {
    let Some(object) = value.as_object() else {
        return failed(format!("not an object: {value}"));
    };
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => failed(format!("unknown key {key:?} in {value}")),
        None => Ok(()),
    }
}

pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Outcome<&'v str> {
    value[key].as_str().map_or_else(|| failed(format!("{key} is no text in {value}")), Ok)
}

pub(crate) fn integer(value: &Value) -> Outcome<u64> {
    value.as_u64().map_or_else(|| failed(format!("not a whole number: {value}")), Ok)
}

/// The settings at fault, by their names in the format.
pub(crate) fn settings(error: &PolicyError) -> Vec<&str> {
    error.problems().iter().map(|problem| format_key(problem.setting())).collect()
}

#[test]
fn scenarios() {
    scenarios::run("circuit-breaker", env!("CARGO_MANIFEST_DIR"), |file, case| {
        run(file, case).unwrap_or_else(Verdict::Failed)
    });
}

fn run(file: &File, case: &Value) -> Outcome<Verdict> {
    if file.defaults.is_some() {
        return failed("this suite has no defaults");
    }
    let about = ["id", "title", "origin", "note", "tags", "kind"];
    match case["kind"].as_str().unwrap_or("script") {
        "script" => {
            check_keys(case, &[&about[..], &["config", "steps"]].concat())?;
            script::run(case)?;
            Ok(Verdict::Passed)
        }
        "build" => {
            check_keys(case, &[&about[..], &["cases"]].concat())?;
            let cases = case["cases"].as_array().filter(|cases| !cases.is_empty());
            cases.ok_or("no cases")?.iter().try_for_each(build)?;
            Ok(Verdict::Passed)
        }
        "retry_around_breaker" => Ok(Verdict::Elsewhere),
        other => failed(format!("unknown kind {other:?}")),
    }
}

/// The settings for which a configuration is refused; it counts if a type cannot even hold one.
fn refused(config: &Value) -> Outcome<Vec<String>> {
    if let Some(nested) = config["nested"].as_array() {
        let each = nested.iter().map(|one| refused(&one["breaker"]));
        return each.collect::<Outcome<Vec<_>>>().map(|settings| settings.concat());
    }
    let is_keyed = !config["registry"].is_null();
    let (breaker, mut got) = config::held(if is_keyed { &config["breaker"] } else { config });
    let policy = Config::parse(&breaker)?.policy;
    let built = if is_keyed {
        check_keys(&config["registry"], &["max_keys"])?;
        let keys_max = config["registry"]["max_keys"].as_u64();
        got.extend(keys_max.is_none().then(|| "registry.max_keys".to_owned()));
        let keys_max = usize::try_from(keys_max.unwrap_or(1)).unwrap_or(usize::MAX);
        Registry::<String>::new(keys_max, policy).map(drop)
    } else {
        Breaker::new(policy).map(drop)
    };
    let problems = built.as_ref().err().map(settings).unwrap_or_default();
    got.extend(problems.into_iter().map(str::to_owned));
    Ok(got)
}

fn build(case: &Value) -> Outcome {
    check_keys(case, &["config", "expect"])?;
    check_keys(&case["expect"], &["error"])?;
    let got = refused(&case["config"])?;
    let is_right = match case["expect"]["error"].as_str() {
        Some(want) => got.iter().any(|setting| setting == want),
        None => got.is_empty(),
    };
    if is_right { Ok(()) } else { failed(format!("{case}: got {got:?}")) }
}
