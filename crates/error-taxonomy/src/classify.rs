//! The trait by which an error states its class.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use crate::{Class, Classifier, Kind, codes};

/// An error that knows its class.
///
/// Decide by type and code, never by the words of a message.
///
/// Implemented here for what the standard library raises and, by feature, for the errors of drivers.
/// A `dyn Error` is classified by [`Classifier::standard`], so a boxed error is `Classify` too.
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

impl<E: Classify + ?Sized> Classify for Arc<E> {
    fn class(&self) -> Class {
        (**self).class()
    }
}

impl Classify for Infallible {
    fn class(&self) -> Class {
        match *self {}
    }
}

impl Classify for dyn StdError {
    fn class(&self) -> Class {
        Classifier::standard().classify(self)
    }
}

impl Classify for dyn StdError + Send {
    fn class(&self) -> Class {
        Classifier::standard().classify(self)
    }
}

impl Classify for dyn StdError + Send + Sync {
    fn class(&self) -> Class {
        Classifier::standard().classify(self)
    }
}

impl Classify for io::Error {
    fn class(&self) -> Class {
        match (self.kind(), self.get_ref()) {
            // `io::Error::other` says nothing itself; what it carries may.
            (io::ErrorKind::Other, Some(carried)) => carried.class(),
            (kind, _) => codes::io(kind),
        }
    }
}

/// Hands the parse errors of the standard library to a macro, so that no list of them lacks one.
macro_rules! parse_errors {
    ($with:ident) => {
        $with!(
            std::num::ParseIntError,
            std::num::ParseFloatError,
            std::num::TryFromIntError,
            std::str::ParseBoolError,
            std::str::Utf8Error,
            std::string::FromUtf8Error,
            std::char::ParseCharError,
            std::char::CharTryFromError,
            std::net::AddrParseError,
            std::array::TryFromSliceError,
            std::ffi::NulError,
        );
    };
}

pub(crate) use parse_errors;

/// What a text or a number is not: invalid, whatever it was read from.
macro_rules! invalid {
    ($($Type:ty),+ $(,)?) => {
        $(
            impl Classify for $Type {
                fn class(&self) -> Class {
                    Class::of(Kind::Invalid)
                }
            }
        )+
    };
}

parse_errors!(invalid);
