//! What an outer layer knows better of the transience of an inner error.

use std::error::Error as StdError;
use std::fmt;

use crate::{Class, Classifier, Classify, Transience};

/// An error whose transience somebody further out knows better.
///
/// A connection that is refused is transient, but not to a host that was taken down for good.
/// The kind and the effect stay those of the error inside, which is its source.
///
/// ```
/// use std::io;
/// use backstop_error_taxonomy::{Classify, Effect, Kind, Stated, Transience};
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let class = Stated::permanent(refused).class();
/// assert_eq!((class.kind(), class.transience()), (Kind::Connection, Transience::Permanent));
/// assert_eq!(class.effect(), Effect::NotApplied);
/// ```
#[derive(Debug)]
pub struct Stated {
    transience: Transience,
    source: Box<dyn StdError + Send + Sync>,
}

impl Stated {
    /// States that `error` will be repeated.
    pub fn permanent(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Transience::Permanent, error)
    }

    /// States that `error` may pass by itself.
    ///
    /// Whether it may be tried again still depends on its effect.
    pub fn transient(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Transience::Transient, error)
    }

    /// States that the retries of `error` are used up.
    pub fn exhausted(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Transience::Exhausted, error)
    }

    /// States the transience of `error`.
    pub fn new(transience: Transience, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transience, source: error.into() }
    }

    /// What was stated.
    pub const fn transience(&self) -> Transience {
        self.transience
    }
}

impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failure", self.transience)
    }
}

impl StdError for Stated {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// As the standard classifier finds it.
impl Classify for Stated {
    fn class(&self) -> Class {
        Classifier::standard().classify(self)
    }
}
