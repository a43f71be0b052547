//! Context on a `Result`, so that a call site reads as one sentence.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;

use super::{Error, Key};
use crate::{Classify, Component};

/// Says on the way out what was tried, where, and with what.
///
/// On `Result<T, Error>` it adds to the error.
/// On a result with another error that implements [`Classify`] it makes an [`Error`] of it, which
/// keeps the original as its source and takes over its class; the line of code is that of the
/// call.
/// A success passes through untouched: nothing is formatted, allocated or copied.
///
/// ```
/// use backstop_error_taxonomy::{Component, Context, Error, Kind};
///
/// fn quantity(text: &str) -> Result<u32, Error> {
///     text.parse::<u32>().op("read_quantity").component(Component::DATA).with("text", text)
/// }
///
/// # fn main() -> Result<(), Error> {
/// assert_eq!(quantity("12")?, 12);
///
/// let error = quantity("12x").unwrap_err();
/// assert_eq!(error.kind(), Kind::Invalid);
/// assert_eq!(error.value("text"), Some("12x"));
/// assert_eq!(error.to_string(), "read_quantity: invalid digit found in string (invalid)");
/// # Ok(())
/// # }
/// ```
pub trait Context<T>: Sized {
    /// Names the operation that failed; outer layers add theirs around it.
    ///
    /// # Errors
    ///
    /// That of the result, with the operation.
    fn op(self, op: &'static str) -> Result<T, Error>;

    /// Names the component, unless an inner layer has already done so.
    ///
    /// # Errors
    ///
    /// That of the result, with the component.
    fn component(self, component: Component) -> Result<T, Error>;

    /// Adds a fact; the value is formatted only if there is an error.
    ///
    /// # Errors
    ///
    /// That of the result, with the fact.
    fn with(self, key: impl Into<Key>, value: impl fmt::Display) -> Result<T, Error>;
}

impl<T, E> Context<T> for Result<T, E>
where
    E: StdError + Classify + Send + Sync + 'static,
{
    #[inline]
    #[track_caller]
    fn op(self, op: &'static str) -> Result<T, Error> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(ours(error).with_op(op)),
        }
    }

    #[inline]
    #[track_caller]
    fn component(self, component: Component) -> Result<T, Error> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(ours(error).with_component(component)),
        }
    }

    #[inline]
    #[track_caller]
    fn with(self, key: impl Into<Key>, value: impl fmt::Display) -> Result<T, Error> {
        match self {
            Ok(success) => Ok(success),
            Err(error) => Err(ours(error).with(key, value)),
        }
    }
}

/// The error itself if it is one of ours, else a new one around it.
///
/// The types are known when this is compiled, so one of the two ways is all that remains of it.
#[cold]
#[track_caller]
fn ours<E>(error: E) -> Error
where
    E: StdError + Classify + Send + Sync + 'static,
{
    let mut slot = Some(error);
    if let Some(ours) = (&mut slot as &mut dyn Any).downcast_mut::<Option<Error>>()
        && let Some(error) = ours.take()
    {
        return error;
    }
    match slot {
        Some(foreign) => Error::from_source(foreign),
        None => unreachable!("only an error of ours is taken out"),
    }
}
