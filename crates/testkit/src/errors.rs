//! Errors as the scenarios describe them, and what the taxonomy's classifier says of them.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use backstop_error_taxonomy::codes::{self, Grpc};
use backstop_error_taxonomy::drivers::{
    self, Database, HttpClient, Json, JsonMode, KafkaClient, KafkaTransaction, Task,
};
use backstop_error_taxonomy::venue::{Ccxt, Entry, Table};
use backstop_error_taxonomy::{
    Class, Classifier, Classify, Component, Effect, Kind, Severity, Stated,
};
use serde_json::Value;

/// What is wrong with a form, in words.
type Read<T> = Result<T, String>;

type Boxed = Box<dyn StdError + Send + Sync>;

/// Every kind of the standard library that can be named.
pub const IO_KINDS: &[ErrorKind] = {
    use ErrorKind as K;
    &[
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
    ]
};

/// An error that has a class of its own.
#[derive(Debug)]
struct Classed {
    class: Class,
    source: Option<Boxed>,
}

impl fmt::Display for Classed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("classed")
    }
}

impl StdError for Classed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl Classify for Classed {
    fn class(&self) -> Class {
        self.class
    }
}

/// An error type that nobody registered.
#[derive(Debug)]
struct Opaque(Option<Boxed>);

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("opaque")
    }
}

impl StdError for Opaque {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

/// A classifier that knows the errors of this file.
pub fn classifier() -> Classifier {
    Classifier::standard().register::<Classed>()
}

/// The class of a form in a component, whose default `given` may state.
///
/// # Errors
/// What is wrong with the form, or that it is no error.
pub fn class_of(form: &Value, given: &Value, component: Component) -> Read<Class> {
    let mut classifier = classifier();
    if let Some(stated) = given.get("default_transience") {
        classifier = classifier.with_default(component, axis(stated)?);
    }
    match error_of(form, given)? {
        Some(error) => Ok(classifier.classify_at(&*error, component)),
        None => fail(format!("{form} is no error")),
    }
}

/// The error that a form describes, or nothing for a code that is none.
///
/// Text never influences the class, so `display` is allowed everywhere and not even passed on.
///
/// # Errors
/// What is wrong with the form.
pub fn error_of(form: &Value, given: &Value) -> Read<Option<Boxed>> {
    let Some(fields) = form.as_object() else {
        return fail(format!("an error is an object, not {form}"));
    };
    let has = |key: &str| fields.contains_key(key);
    let name = ["kind", "http_client", "json", "venue", "wrap", "http"]
        .into_iter()
        .find(|name| has(name))
        .or_else(|| fields.keys().map(String::as_str).find(|key| *key != "display"))
        .ok_or_else(|| format!("{form} is no error form"))?;
    match name {
        // These are errors of the standard library.
        "io" => {
            known(form, &["io", "display"])?;
            Ok(Some(Box::new(io::Error::from(io_kind(text(form, "io")?)?))))
        }
        "parse" => parse(form).map(Some),
        "opaque" => Ok(Some(Box::new(Opaque(None)))),
        "wrap" => wrapped(form, given),
        _ => {
            let class = class_of_code(form, name, given)?;
            Ok(class.map(|class| Box::new(Classed { class, source: None }) as Boxed))
        }
    }
}

/// The class of a form that names a code or a failure of a driver.
fn class_of_code(form: &Value, name: &str, given: &Value) -> Read<Option<Class>> {
    let keys = |more: &[&str]| known(form, &[&[name, "display"], more].concat());
    match name {
        "kind" => hand_built(form).map(Some),
        "http" => http(form).map(Some),
        "http_client" => {
            keys(&["status"])?;
            http_client(form).map(Some)
        }
        "sqlstate" => {
            keys(&[])?;
            Ok(Some(codes::sqlstate(text(form, "sqlstate")?)))
        }
        "sqlite" => {
            keys(&[])?;
            Ok(Some(codes::sqlite(number(form, "sqlite")?)))
        }
        "grpc" => {
            keys(&[])?;
            match form["grpc"].as_str() {
                Some(_) => Ok(codes::grpc(axis::<Grpc>(&form["grpc"])?.number())),
                None => Ok(codes::grpc(number(form, "grpc")?)),
            }
        }
        "kafka" => {
            keys(&[])?;
            let code = match form["kafka"].as_str() {
                Some(name) => codes::kafka_code(name).map_err(|e| e.to_string())?,
                None => number(form, "kafka")?,
            };
            Ok(codes::kafka(code))
        }
        "ccxt" => {
            keys(&[])?;
            Ok(Some(axis::<Ccxt>(&form["ccxt"])?.class()))
        }
        "venue" => {
            keys(&["code"])?;
            venue(form, given).map(Some)
        }
        "breaker_open" => {
            keys(&[])?;
            let remaining = form["breaker_open"]["remaining_s"].as_f64().unwrap_or_default();
            let class = Class::of(Kind::Unavailable);
            let class = class.with_retry_after(Duration::from_secs_f64(remaining));
            Ok(Some(class.refused_by_breaker()))
        }
        "mismatch" => Ok(Some(Class::of(Kind::Inconsistent))),
        _ => driver(form, name).map(Some),
    }
}

fn driver(form: &Value, name: &str) -> Read<Class> {
    let value = &form[name];
    let mode: &[&str] = if name == "json" { &["mode"] } else { &[] };
    known(form, &[&[name, "display"], mode].concat())?;
    Ok(match name {
        "db" => axis::<Database>(value)?.class(),
        "kafka_client" => axis::<KafkaClient>(value)?.class(),
        "kafka_txn" => axis::<KafkaTransaction>(value)?.class(),
        "task" => axis::<Task>(value)?.class(),
        "timeout" if value == "elapsed" => drivers::elapsed(),
        "json" => {
            let mode = match form.get("mode").and_then(Value::as_str) {
                Some("stream") => JsonMode::Stream,
                Some("whole") | None => JsonMode::Whole,
                other => return fail(format!("unknown mode {other:?}")),
            };
            let failure = match value.as_str() {
                Some("syntax") => Json::Syntax,
                Some("data") => Json::Data,
                Some("eof") => Json::Eof,
                Some("io") => Json::Io(ErrorKind::ConnectionReset),
                other => return fail(format!("unknown JSON failure {other:?}")),
            };
            failure.class(mode)
        }
        other => return fail(format!("unknown error form `{other}`")),
    })
}

fn hand_built(form: &Value) -> Read<Class> {
    let fields = form.as_object().into_iter().flatten();
    let mut class = Class::of(axis(&form["kind"])?);
    for (key, value) in fields {
        class = match key.as_str() {
            "kind" | "display" => class,
            "transience" => class.with_transience(axis(value)?),
            "effect" => class.with_effect(axis(value)?),
            "severity" => class.with_severity_floor(axis::<Severity>(value)?),
            "retry_after_s" => {
                let seconds = value.as_f64().ok_or("retry_after_s".to_owned())?;
                class.with_retry_after(Duration::from_secs_f64(seconds))
            }
            other => return fail(format!("unknown key `{other}` of a hand-built error")),
        };
    }
    Ok(class)
}

fn http(form: &Value) -> Read<Class> {
    known(form, &["http", "retry_after_s", "retry_after_date", "now", "not_processed", "display"])?;
    let hint = match form.get("retry_after_date") {
        Some(_) => {
            // The header has seconds or a date; both are read as a response has them.
            let header = httpdate::fmt_http_date(time(form, "retry_after_date")?);
            codes::retry_after(&header, time(form, "now")?)
        }
        None => form.get("retry_after_s").and_then(Value::as_f64).map(Duration::from_secs_f64),
    };
    let class = codes::http(number(form, "http")?, hint);
    let is_unprocessed = form.get("not_processed").and_then(Value::as_bool).unwrap_or_default();
    Ok(if is_unprocessed { class.with_effect(Effect::NotApplied) } else { class })
}

fn http_client(form: &Value) -> Read<Class> {
    let mut signs = Vec::new();
    for sign in form["http_client"].as_array().into_iter().flatten() {
        signs.push(match sign.as_str() {
            Some("builder") => HttpClient::Builder,
            Some("dns") => HttpClient::Dns,
            Some("connect") => HttpClient::Connect,
            Some("timeout") => HttpClient::Timeout,
            Some("redirect") => HttpClient::Redirect,
            Some("decode") => HttpClient::Decode,
            Some("body") => HttpClient::Body,
            Some("request") => HttpClient::Request,
            // Says only that there is a status.
            Some("status") => continue,
            other => return fail(format!("unknown predicate {other:?}")),
        });
    }
    if form.get("status").is_some() {
        signs.push(HttpClient::Status(number(form, "status")?));
    }
    Ok(drivers::http_client(signs))
}

fn venue(form: &Value, given: &Value) -> Read<Class> {
    let venue = text(form, "venue")?;
    let codes = given["venue_table"][venue].as_object();
    let codes = codes.ok_or_else(|| format!("no table of {venue}"))?;
    let entries = codes.iter().map(|(code, name)| Entry::new(code, name.as_str().unwrap_or("")));
    let table = Table::new(venue, entries).map_err(|e| e.to_string())?;
    match &form["code"] {
        Value::String(code) => Ok(table.class(code)),
        code => Ok(table.class(&code.to_string())),
    }
}

fn parse(form: &Value) -> Read<Boxed> {
    known(form, &["parse", "display"])?;
    match form["parse"].as_str() {
        Some("int") => refusal("x".parse::<i64>()),
        Some("float") => refusal("x".parse::<f64>()),
        Some("bool") => refusal("x".parse::<bool>()),
        Some("char") => refusal("xy".parse::<char>()),
        Some("addr") => refusal("x".parse::<std::net::IpAddr>()),
        Some("utf8") => refusal(String::from_utf8(vec![0xff])),
        other => fail(format!("unknown parse error {other:?}")),
    }
}

/// The error of a text that is none of its kind.
fn refusal<T>(read: Result<T, impl StdError + Send + Sync + 'static>) -> Read<Boxed> {
    match read {
        Ok(_) => fail("a wrong text was read"),
        Err(error) => Ok(Box::new(error)),
    }
}

/// Wrappers are listed outermost first, so they are put on from the last.
fn wrapped(form: &Value, given: &Value) -> Read<Option<Boxed>> {
    known(form, &["wrap", "inner", "display"])?;
    let Some(mut error) = error_of(&form["inner"], given)? else {
        return fail("what is wrapped is no error");
    };
    for wrapper in form["wrap"].as_array().into_iter().flatten().rev() {
        error = match wrapper {
            Value::String(name) if name == "opaque" => Box::new(Opaque(Some(error))),
            Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
                Some((key, mark)) if key == "mark" => Box::new(Stated::new(axis(mark)?, error)),
                Some((key, class)) if key == "class" => {
                    Box::new(Classed { class: hand_built(class)?, source: Some(error) })
                }
                _ => return fail(format!("unknown wrapper {wrapper}")),
            },
            _ => return fail(format!("unknown wrapper {wrapper}")),
        };
    }
    Ok(Some(error))
}

fn text<'a>(form: &'a Value, key: &str) -> Read<&'a str> {
    form[key].as_str().ok_or_else(|| format!("`{key}` of {form} is no text"))
}

fn number<T: TryFrom<i64>>(form: &Value, key: &str) -> Read<T> {
    let number = form[key].as_i64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("`{key}` of {form} is no code"))
}

fn time(form: &Value, key: &str) -> Read<SystemTime> {
    let time = text(form, key)?.parse::<jiff::Timestamp>();
    time.map(SystemTime::from).map_err(|e| e.to_string())
}

fn io_kind(name: &str) -> Read<ErrorKind> {
    IO_KINDS
        .iter()
        .copied()
        // The names are those that `Debug` writes.
        .find(|kind| format!("{kind:?}") == name)
        .ok_or_else(|| format!("unknown io kind `{name}`"))
}

/// An axis by its name.
///
/// # Errors
/// The name that is none.
pub fn axis<T: FromStr<Err: fmt::Display>>(value: &Value) -> Read<T> {
    value.as_str().unwrap_or_default().parse().map_err(|e: T::Err| e.to_string())
}

/// An object without other keys than these.
///
/// # Errors
/// The first other key.
pub fn known(form: &Value, keys: &[&str]) -> Read<()> {
    let fields = form.as_object().ok_or_else(|| format!("{form} is no object"))?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => fail(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

fn fail<T>(why: impl Into<String>) -> Read<T> {
    Err(why.into())
}
