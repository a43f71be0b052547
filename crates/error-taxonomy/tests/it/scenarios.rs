#![expect(clippy::float_arithmetic, reason = "the scenarios write seconds as JSON numbers")]

use std::io::ErrorKind;
use std::time::Duration;

use backstop_error_taxonomy::{
    Class, Classify, Component, Effect, Kind, Severity, Site, codes, decide,
};
use backstop_testkit::scenarios::{self, File, Verdict};
use serde_json::{Map, Value, json};

#[test]
fn scenarios() {
    scenarios::run("error-taxonomy", env!("CARGO_MANIFEST_DIR"), run);
}

/// Why a case did not pass.
enum Stop {
    /// The slice cannot express it yet.
    Pending,
    Failed(String),
}

type Outcome<T> = Result<T, Stop>;

fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(why.into()))
}

fn run(file: &File, case: &Value) -> Verdict {
    if case.get("outcomes").is_some() {
        // Needs the retry loop as well; the trading host runs it.
        return Verdict::Elsewhere;
    }
    let case = &under_defaults(file, case);
    let outcome = match file.theme.as_deref() {
        Some("classification") => classification(case),
        // Rules are not part of the slice.
        Some("policy") => Err(Stop::Pending),
        other => fail(format!("unknown theme {other:?}")),
    };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(Stop::Pending) => Verdict::Pending,
        Err(Stop::Failed(why)) => Verdict::Failed(why),
    }
}

/// The case with the file's defaults under it, one level deep.
fn under_defaults(file: &File, case: &Value) -> Value {
    let mut merged = file.defaults.clone().unwrap_or_else(|| json!({}));
    for (key, value) in case.as_object().into_iter().flatten() {
        match (merged.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
            (Some(under), Some(over)) => under.extend(over.clone()),
            _ => merged[key] = value.clone(),
        }
    }
    merged
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
    let rows = table.as_array().ok_or(Stop::Failed("table is not a list".into()))?;
    for row in rows {
        let error = match case.get("form").and_then(Value::as_str) {
            Some(form) if !row[0].is_object() => json!({ form: row[0] }),
            _ => row[0].clone(),
        };
        let expect = match case.get("key").and_then(Value::as_str) {
            Some(key) if !row[1].is_object() => json!({ key: row[1] }),
            _ => row[1].clone(),
        };
        match check(&error, given, &expect) {
            Ok(()) => held += 1,
            Err(Stop::Failed(why)) => misses.push(format!("{error}: {why}")),
            Err(pending) => return Err(pending),
        }
    }
    let share = case.get("min_agreement").and_then(Value::as_f64).unwrap_or(1.0);
    let total = u32::try_from(rows.len()).unwrap();
    if f64::from(held) < share * f64::from(total) { fail(misses.join("; ")) } else { Ok(()) }
}

fn check(error: &Value, given: &Value, expect: &Value) -> Outcome<()> {
    let mut class = class_of(error)?;
    if class.kind() == Kind::Other
        && let Some(stated) = given.get("default_transience")
    {
        class = class.with_transience(axis(stated)?);
    }
    let site = site_of(given)?;
    let decision = decide(class, &site);
    for (key, want) in expect.as_object().ok_or(Stop::Failed("expect is no object".into()))? {
        let got = match key.as_str() {
            "kind" => json!(decision.class.kind().as_str()),
            "transience" => json!(decision.class.transience().as_str()),
            "effect" => json!(decision.class.effect().as_str()),
            "severity" => json!(decision.severity.as_str()),
            "action" => json!(decision.action.as_str()),
            "counts_for_breaker" => json!(decision.counts_for_breaker),
            "retry_after_s" => json!(class.retry_after().map(|hint| hint.as_secs_f64())),
            "delay_s" => json!(delay_s(class, &site, given)?),
            "round_trip" | "original_kind" => return Err(Stop::Pending),
            other => return fail(format!("unknown expectation `{other}`")),
        };
        if !fits(want, &got) {
            return fail(format!("{key}: expected {want}, got {got}"));
        }
    }
    Ok(())
}

fn fits(want: &Value, got: &Value) -> bool {
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

fn class_of(error: &Value) -> Outcome<Class> {
    let Some(fields) = error.as_object() else {
        return fail(format!("an error is an object, not {error}"));
    };
    // Text never influences the class, so it is not even passed on.
    let form = fields.keys().find(|key| *key != "display").map(String::as_str);
    let has = |key| fields.contains_key(key);
    match form {
        _ if has("kind") => hand_built(fields),
        _ if has("io") => {
            known(error, &["io", "display"])?;
            Ok(codes::io(io_kind(error["io"].as_str().unwrap_or_default())?))
        }
        _ if has("http") => http(error),
        _ if has("sqlite") => {
            known(error, &["sqlite", "display"])?;
            let code = error["sqlite"].as_i64().and_then(|code| i32::try_from(code).ok());
            Ok(codes::sqlite(code.ok_or(Stop::Failed("not a code".into()))?))
        }
        _ if has("timeout") => Ok(Class::of(Kind::Timeout)),
        _ if has("mismatch") => Ok(Class::of(Kind::Inconsistent)),
        _ if has("opaque") => Ok(Class::of(Kind::Other)),
        _ if has("parse") => match error["parse"].as_str() {
            Some("int") => Ok("x".parse::<i64>().unwrap_err().class()),
            Some("float") => Ok("x".parse::<f64>().unwrap_err().class()),
            _ => Err(Stop::Pending),
        },
        _ if has("breaker_open") => {
            let remaining = error["breaker_open"]["remaining_s"].as_f64().unwrap_or_default();
            Ok(Class::of(Kind::Unavailable)
                .with_retry_after(Duration::from_secs_f64(remaining))
                .refused_by_breaker())
        }
        Some(
            "http_client" | "sqlstate" | "db" | "grpc" | "kafka" | "kafka_client" | "kafka_txn"
            | "json" | "mode" | "task" | "venue" | "code" | "ccxt" | "wrap" | "inner" | "wire"
            | "status",
        ) => Err(Stop::Pending),
        other => fail(format!("unknown error form {other:?}")),
    }
}

fn hand_built(fields: &Map<String, Value>) -> Outcome<Class> {
    let mut class = Class::of(axis(&fields["kind"])?);
    for (key, value) in fields {
        class = match key.as_str() {
            "kind" | "display" => class,
            "transience" => class.with_transience(axis(value)?),
            "effect" => class.with_effect(axis(value)?),
            "severity" => class.with_severity_floor(axis::<Severity>(value)?),
            "retry_after_s" => {
                let seconds = value.as_f64().ok_or(Stop::Failed("retry_after_s".into()))?;
                class.with_retry_after(Duration::from_secs_f64(seconds))
            }
            other => return fail(format!("unknown key `{other}` of a hand-built error")),
        };
    }
    Ok(class)
}

fn http(error: &Value) -> Outcome<Class> {
    known(
        error,
        &["http", "retry_after_s", "retry_after_date", "now", "not_processed", "display"],
    )?;
    if error.get("retry_after_date").is_some() {
        // The date form of the header is not read yet.
        return Err(Stop::Pending);
    }
    let status = error["http"].as_u64().and_then(|status| u16::try_from(status).ok());
    let hint = error.get("retry_after_s").and_then(Value::as_f64).map(Duration::from_secs_f64);
    let class = codes::http(status.ok_or(Stop::Failed("not a status".into()))?, hint);
    let not_processed = error.get("not_processed") == Some(&json!(true));
    Ok(if not_processed { class.with_effect(Effect::NotApplied) } else { class })
}

fn site_of(given: &Value) -> Outcome<Site> {
    known(
        given,
        &[
            "component",
            "op",
            "idempotent",
            "attempt",
            "max_attempts",
            "backoff",
            "default_transience",
            "phase",
            "env",
            "venue_table",
        ],
    )?;
    let number = |key: &str, default: u32| match given.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| Stop::Failed(format!("{key} is no count"))),
    };
    // The component never changes a decision without rules; own names are constants of a bot.
    let component = match given.get("component").and_then(Value::as_str) {
        None => Component::SYSTEM,
        Some(name) => name.parse().unwrap_or(Component::new("own")),
    };
    let mut site = Site::new(component, "scenario")
        .with_attempt(number("attempt", 1)?, number("max_attempts", 4)?);
    site.idempotent = given.get("idempotent") == Some(&json!(true));
    site.startup = given.get("phase") == Some(&json!("startup"));
    Ok(site)
}

/// The delay before the next attempt: the backoff of the case, or longer if the other side asks.
fn delay_s(class: Class, site: &Site, given: &Value) -> Outcome<f64> {
    let empty = json!({});
    let backoff = given.get("backoff").unwrap_or(&empty);
    known(backoff, &["base_s", "factor", "max_s"])?;
    let number = |key: &str, default| backoff.get(key).and_then(Value::as_f64).unwrap_or(default);
    let exponent = i32::try_from(site.attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let delay = number("base_s", 1.0) * number("factor", 2.0).powi(exponent);
    let hint = class.retry_after().map_or(0.0, |hint| hint.as_secs_f64());
    Ok(delay.min(number("max_s", 30.0)).max(hint))
}

fn axis<T: std::str::FromStr<Err: std::fmt::Display>>(value: &Value) -> Outcome<T> {
    value.as_str().unwrap_or_default().parse().map_err(|e: T::Err| Stop::Failed(e.to_string()))
}

fn known(object: &Value, keys: &[&str]) -> Outcome<()> {
    let fields = object.as_object().ok_or_else(|| Stop::Failed(format!("{object} no object")))?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => fail(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

fn io_kind(name: &str) -> Outcome<ErrorKind> {
    use ErrorKind as K;
    // The names are those that `Debug` writes, so the list only has to be complete.
    let all = [
        K::NotFound,
        K::PermissionDenied,
        K::ConnectionRefused,
        K::ConnectionReset,
        K::HostUnreachable,
        K::NetworkUnreachable,
        K::ConnectionAborted,
        K::NotConnected,
        K::AddrInUse,
        K::AddrNotAvailable,
        K::NetworkDown,
        K::BrokenPipe,
        K::AlreadyExists,
        K::WouldBlock,
        K::NotADirectory,
        K::IsADirectory,
        K::DirectoryNotEmpty,
        K::ReadOnlyFilesystem,
        K::StaleNetworkFileHandle,
        K::InvalidInput,
        K::InvalidData,
        K::TimedOut,
        K::WriteZero,
        K::StorageFull,
        K::NotSeekable,
        K::QuotaExceeded,
        K::FileTooLarge,
        K::ResourceBusy,
        K::ExecutableFileBusy,
        K::Deadlock,
        K::CrossesDevices,
        K::TooManyLinks,
        K::InvalidFilename,
        K::ArgumentListTooLong,
        K::Interrupted,
        K::Unsupported,
        K::UnexpectedEof,
        K::OutOfMemory,
        K::Other,
    ];
    all.into_iter()
        .find(|kind| format!("{kind:?}") == name)
        .ok_or_else(|| Stop::Failed(format!("unknown io kind `{name}`")))
}
