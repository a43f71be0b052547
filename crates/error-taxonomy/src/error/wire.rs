//! How an error is written down and read back.

use std::borrow::Cow;
use std::time::Duration;

use backstop_clock::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::bounded::{CAUSES_LEFT_OUT, Causes, Operations, Pairs};
use super::location::{Elsewhere, Place};
use super::show::CAUSE_BYTES_MAX;
use super::{Error, Fingerprint, causes, text};
use crate::{Class, Classify, Component, Effect, Kind, Severity, Transience};

/// How long the path of a source file may be.
const FILE_BYTES_MAX: usize = 512;
/// What is written; the keys are explained at the implementation of [`Serialize`].
#[derive(Serialize)]
struct Written<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transience: Option<Transience>,
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_floor: Option<Severity>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    breaker_refusal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_ms: Option<i64>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Component>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Facts::is_empty")]
    context: Facts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recorded: bool,
    fingerprint: Fingerprint,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The context as a map.
struct Facts<'a>(&'a Error);

impl Facts<'_> {
    fn is_empty(&self) -> bool {
        self.0.0.context.is_empty()
    }
}

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.context().map(|(key, value)| (key.as_str(), value)))
    }
}

/// A map; absent is what says nothing.
///
/// | key | value |
/// |---|---|
/// | `kind` | the name; the only key that reading asks for |
/// | `transience`, `effect` | the names; absent they are the kind's defaults |
/// | `retry_after_ms`, `severity_floor`, `breaker_refusal` | as in the map of a [`Class`] |
/// | `not_before_ms` | milliseconds since 1970 |
/// | `message` | the text |
/// | `component` | the name |
/// | `operations` | names, outermost first |
/// | `context` | a map of texts; numbers and booleans are read as texts |
/// | `location` | `file:line:column` |
/// | `causes` | the texts of the source chain, nearest first |
/// | `left_out` | how much found no room |
/// | `id` | the id, if it was given or asked for |
/// | `recorded` | `true` if the failure was recorded or handled |
/// | `fingerprint` | for whoever groups what was written; it is made anew from what is read |
///
/// Secrets and the stack are not written.
/// The form can only grow: unknown keys are passed over, and an unknown kind becomes
/// [`Kind::Other`] whose name [`Error::original_kind`] keeps.
/// What is longer than an error keeps is cut and marked like anything else.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let class = self.class();
        let floor = class.severity_floor();
        let at = self.location();
        let retry_after = class.retry_after().map(|delay| delay.as_millis());
        let written = Written {
            kind: self.original_kind().unwrap_or(class.kind().as_str()),
            // Absent is what nobody has said.
            transience: (!class.is_unclassified()).then_some(class.transience()),
            effect: class.effect(),
            retry_after_ms: retry_after.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
            severity_floor: (floor > Severity::Info).then_some(floor),
            breaker_refusal: class.is_breaker_refusal(),
            not_before_ms: self.not_before().map(Timestamp::as_millis),
            message: self.message(),
            component: self.component(),
            operations: self.operations().collect(),
            context: Facts(self),
            location: (!at.file.is_empty())
                .then(|| format!("{}:{}:{}", at.file, at.line, at.column)),
            causes: texts(self),
            left_out: self.left_out(),
            id: self.0.id.get().map(Uuid::to_string),
            recorded: self.is_recorded(),
            fingerprint: self.fingerprint(),
        };
        written.serialize(serializer)
    }
}

/// The texts of the causes, and the mark where the limit ended them.
fn texts(error: &Error) -> Vec<String> {
    let mut texts = Vec::new();
    for cause in causes(error) {
        if texts.len() == Error::CAUSES_MAX {
            texts.push(CAUSES_LEFT_OUT.to_owned());
            break;
        }
        texts.push(text::shown(&cause, CAUSE_BYTES_MAX));
    }
    texts
}

/// What is read, before it has become an error.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    transience: Option<Transience>,
    effect: Option<Effect>,
    retry_after_ms: Option<u64>,
    severity_floor: Option<Severity>,
    #[serde(default)]
    breaker_refusal: bool,
    not_before_ms: Option<i64>,
    #[serde(default, borrow)]
    message: Cow<'a, str>,
    component: Option<Component>,
    #[serde(default)]
    operations: Operations,
    #[serde(default)]
    context: Pairs,
    #[serde(default, borrow)]
    location: Cow<'a, str>,
    #[serde(default)]
    causes: Causes,
    #[serde(default)]
    left_out: u32,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    recorded: bool,
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let id = read.id.as_deref().map(Uuid::parse_str).transpose().map_err(D::Error::custom)?;
        let (class, place, source) = (read.class(), place(&read.location), read.causes.chain());
        let message = text::message(Cow::Owned(read.message.into_owned()));
        let mut error = Self::build(class, message, place, source);
        error.0.left_out = read.left_out.saturating_add(read.operations.left_out);
        error.0.left_out = error.0.left_out.saturating_add(read.context.left_out);
        error.0.component = read.component;
        for op in read.operations.outermost_first.into_iter().rev() {
            error.add_op(op);
        }
        for (key, value) in read.context.pairs {
            error.add(key, &value);
        }
        if read.kind.parse::<Kind>().is_err() {
            let name = text::clipped(&read.kind, Self::NAME_BYTES_MAX);
            error.rare_mut().original_kind = Some(name);
        }
        if let Some(ms) = read.not_before_ms {
            error = error.with_not_before(Timestamp::from_millis(ms));
        }
        if let Some(id) = id {
            error = error.with_id(id);
        }
        if read.recorded {
            error.mark_handled();
        }
        Ok(error)
    }
}

impl Read<'_> {
    fn class(&self) -> Class {
        let mut class = Class::of(self.kind.parse().unwrap_or(Kind::Other));
        if self.breaker_refusal {
            class = class.refused_by_breaker();
        }
        if let Some(ms) = self.retry_after_ms {
            class = class.with_retry_after(Duration::from_millis(ms));
        }
        if let Some(transience) = self.transience {
            class = class.with_transience(transience);
        }
        class
            .with_severity_floor(self.severity_floor.unwrap_or(Severity::Info))
            .with_effect(self.effect.unwrap_or(class.effect()))
    }
}

/// Reads `file:line:column`; a text of another form is taken for a file.
fn place(location: &str) -> Place {
    let mut parts = location.rsplitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.parse().ok());
    let (column, line) = (number(), number());
    let (file, line, column) = match (parts.next(), line, column) {
        (Some(file), Some(line), Some(column)) => (file, line, column),
        _ => (location, 0, 0),
    };
    let file = text::clipped(file, FILE_BYTES_MAX).into();
    Place::Read(Box::new(Elsewhere { file, line, column }))
}
