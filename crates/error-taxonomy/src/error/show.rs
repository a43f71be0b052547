//! How an error looks: one line for a person, the whole story for a log.

use std::error::Error as StdError;
use std::fmt;

use super::{Error, causes, text};
use crate::Class;

/// How many bytes of a foreign error's text are shown and written.
pub(super) const CAUSE_BYTES_MAX: usize = 512;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in self.operations() {
            text::one_line(f, op)?;
            f.write_str(": ")?;
        }
        match self.source() {
            Some(source) if self.message().is_empty() => cause(f, source)?,
            _ => text::one_line(f, self.message())?,
        }
        match self.original_kind() {
            Some(name) => {
                f.write_str(" (")?;
                text::one_line(f, name)?;
                f.write_str(")")
            }
            None => write!(f, " ({})", self.kind()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}\n  class: ")?;
        class(f, self.0.class)?;
        if let Some(at) = self.not_before() {
            write!(f, "\n  not before: {at}")?;
        }
        if let Some(component) = self.component() {
            write!(f, "\n  component: {component}")?;
        }
        if let Some(id) = self.0.id.get() {
            write!(f, "\n  id: {id}")?;
        }
        facts(f, self, "\n  ")?;
        for (depth, error) in causes(self).enumerate() {
            if depth == Self::CAUSES_MAX {
                f.write_str("\n  ... more causes left out")?;
                break;
            }
            f.write_str("\n  caused by: ")?;
            cause(f, error)?;
            if let Some(error) = error.downcast_ref::<Self>() {
                facts(f, error, "\n    ")?;
            }
        }
        #[cfg(feature = "backtrace")]
        if let Some(backtrace) = self.backtrace() {
            write!(f, "\n  stack:\n{backtrace}")?;
        }
        Ok(())
    }
}

fn class(f: &mut fmt::Formatter<'_>, class: Class) -> fmt::Result {
    let (transience, effect, severity) = (class.transience(), class.effect(), class.severity());
    write!(f, "{transience}, effect {effect}, severity {severity}")?;
    if let Some(delay) = class.retry_after() {
        write!(f, ", retry after {delay:?}")?;
    }
    if class.is_breaker_refusal() {
        f.write_str(", refused by a circuit breaker")?;
    }
    Ok(())
}

/// What one layer knows: context, the names of secrets, and its place; each on a line of its own.
fn facts(f: &mut fmt::Formatter<'_>, error: &Error, line: &str) -> fmt::Result {
    for (key, value) in error.context() {
        write!(f, "{line}{key}: ")?;
        text::one_line(f, value)?;
    }
    for (key, _) in error.rare().map_or(&[][..], |rare| &rare.secrets) {
        write!(f, "{line}{key}: [secret]")?;
    }
    if error.left_out() > 0 {
        write!(f, "{line}... {} more left out", error.left_out())?;
    }
    write!(f, "{line}at: {}", error.location())
}

/// The text of another error, which is anything but trusted.
fn cause(f: &mut fmt::Formatter<'_>, error: &dyn StdError) -> fmt::Result {
    text::one_line(f, &text::shown(&error, CAUSE_BYTES_MAX))
}
