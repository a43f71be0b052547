//! The trait by which an error states its class.

use std::convert::Infallible;
use std::io;
use std::num::{ParseFloatError, ParseIntError};

use crate::{Class, Kind, codes};

/// An error that knows its class.
///
/// Decide by type and code, never by the words of a message.
///
/// ```
/// use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
///
/// enum VenueError {
///     NoAnswer,
///     Refused(u16),
/// }
///
/// impl Classify for VenueError {
///     fn class(&self) -> Class {
///         match self {
///             VenueError::NoAnswer => Class::of(Kind::Timeout),
///             VenueError::Refused(_) => Class::of(Kind::Rejected),
///         }
///     }
/// }
///
/// assert_eq!(VenueError::NoAnswer.class().effect(), Effect::Unknown);
/// assert_eq!(VenueError::Refused(7).class().effect(), Effect::NotApplied);
/// ```
pub trait Classify {
    /// What is known of this failure.
    fn class(&self) -> Class;
}

impl<E: Classify + ?Sized> Classify for &E {
    fn class(&self) -> Class {
        (**self).class()
    }
}

impl<E: Classify + ?Sized> Classify for Box<E> {
    fn class(&self) -> Class {
        (**self).class()
    }
}

impl Classify for Infallible {
    fn class(&self) -> Class {
        match *self {}
    }
}

impl Classify for io::Error {
    fn class(&self) -> Class {
        codes::io(self.kind())
    }
}

impl Classify for ParseIntError {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid)
    }
}

impl Classify for ParseFloatError {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid)
    }
}
