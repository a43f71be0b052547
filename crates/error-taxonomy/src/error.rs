//! An error for code that has no type of its own to return.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::panic::Location;

use crate::{Class, Classify, Component, Effect, Kind};

/// An opaque error of one pointer: class, message, operations, context, place and source.
///
/// `Display` is one line for a person.
/// `Debug` is the whole story over several lines for a log.
/// Libraries that callers match on define their own types; this one is for the seams.
///
/// ```
/// use backstop_error_taxonomy::{Classify, Component, Effect, Error, Kind};
///
/// let error = Error::new(Kind::Timeout, "no answer within 2 s")
///     .with_op("submit_order")
///     .with_component(Component::EXECUTION)
///     .with("symbol", "EURUSD");
///
/// assert_eq!(error.to_string(), "submit_order: no answer within 2 s (timeout)");
/// assert_eq!(error.class().effect(), Effect::Unknown);
/// assert!(format!("{error:?}").contains("symbol: EURUSD"));
/// ```
pub struct Error(Box<Inner>);

const _: () = assert!(size_of::<Error>() == size_of::<usize>(), "results stay small");

struct Inner {
    class: Class,
    message: Cow<'static, str>,
    /// Innermost first.
    operations: Vec<&'static str>,
    component: Option<Component>,
    context: Vec<(&'static str, String)>,
    /// Operations and context pairs that found no room.
    dropped: usize,
    location: &'static Location<'static>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// How many context pairs an error keeps.
    pub const CONTEXT_MAX: usize = 16;
    /// How many nested operations an error keeps.
    pub const OPERATIONS_MAX: usize = 16;
    /// How many characters of a context value an error keeps.
    pub const VALUE_CHARS_MAX: usize = 256;

    /// An error of `kind` with the kind's defaults, remembering the caller's place.
    #[track_caller]
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            class: Class::of(kind),
            message: message.into(),
            operations: Vec::new(),
            component: None,
            context: Vec::new(),
            dropped: 0,
            location: Location::caller(),
            source: None,
        }))
    }

    /// An error caused by `source`, whose class it takes over.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Classify, Error, Kind};
    ///
    /// let cause = "12x".parse::<u32>().unwrap_err();
    /// let error = Error::caused_by(cause, "quantity is not a number");
    /// assert_eq!(error.class().kind(), Kind::Invalid);
    /// ```
    #[track_caller]
    pub fn caused_by<E>(source: E, message: impl Into<Cow<'static, str>>) -> Self
    where
        E: StdError + Classify + Send + Sync + 'static,
    {
        let class = source.class();
        let mut error = Self::new(class.kind(), message).with_class(class);
        error.0.source = Some(Box::new(source));
        error
    }

    /// Replaces the whole class.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// States whether the operation took effect.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        let class = self.0.class.with_effect(effect);
        self.with_class(class)
    }

    /// Names the operation that failed; an outer layer adds its own around it.
    #[must_use]
    pub fn with_op(mut self, op: &'static str) -> Self {
        if self.0.operations.len() < Self::OPERATIONS_MAX {
            self.0.operations.push(op);
        } else {
            self.0.dropped += 1;
        }
        self
    }

    /// Names the component, unless an inner layer has already done so.
    #[must_use]
    pub fn with_component(mut self, component: Component) -> Self {
        self.0.component.get_or_insert(component);
        self
    }

    /// Adds a fact that helps to understand this one failure.
    ///
    /// At most [`Error::CONTEXT_MAX`] pairs are kept, further ones are counted in `Debug`.
    /// Never add a secret: everything here is displayed.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        if self.0.context.len() < Self::CONTEXT_MAX {
            let text = value.to_string().chars().take(Self::VALUE_CHARS_MAX).collect();
            self.0.context.push((key, text));
        } else {
            self.0.dropped += 1;
        }
        self
    }

    /// What failed, in the words of who raised it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operations around the failure, outermost first.
    pub fn operations(&self) -> impl Iterator<Item = &'static str> {
        self.0.operations.iter().rev().copied()
    }

    /// Where it happened, if anybody said so.
    pub fn component(&self) -> Option<Component> {
        self.0.component
    }

    /// The context pairs in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// The line of code that raised it.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        self.0.class
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in self.operations() {
            write!(f, "{op}: ")?;
        }
        one_line(f, &self.0.message)?;
        write!(f, " ({})", self.0.class.kind())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.0.class;
        write!(f, "{self}\n  class: {}, effect {}", class.transience(), class.effect())?;
        write!(f, ", severity {}", class.severity())?;
        if let Some(delay) = class.retry_after() {
            write!(f, ", retry after {delay:?}")?;
        }
        if class.is_breaker_refusal() {
            f.write_str(", refused by a circuit breaker")?;
        }
        if let Some(component) = self.0.component {
            write!(f, "\n  component: {component}")?;
        }
        for (key, value) in self.context() {
            write!(f, "\n  {key}: ")?;
            one_line(f, value)?;
        }
        if self.0.dropped > 0 {
            write!(f, "\n  ... {} more left out", self.0.dropped)?;
        }
        write!(f, "\n  at: {}", self.0.location)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            f.write_str("\n  caused by: ")?;
            one_line(f, &error.to_string())?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Writes `text` with control characters escaped, so that a foreign text cannot forge a log line.
fn one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}
