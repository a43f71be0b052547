//! What a piece of context is about.

use std::fmt;

use smol_str::SmolStr;

use super::text;

/// What a piece of context is about: an id of our field by its constant, or a word of your own.
///
/// ```
/// use backstop_error_taxonomy::facts::Key;
/// use backstop_error_taxonomy::{Error, Kind};
///
/// let error = Error::new(Kind::Rejected, "price too far")
///     .with(Key::SYMBOL, "EURUSD")
///     .with("limit_price", "1.0712");
/// assert_eq!(error.value(Key::SYMBOL), Some("EURUSD"));
/// assert_eq!(error.value("symbol"), Some("EURUSD"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(SmolStr);

impl Key {
    /// What is traded.
    pub const SYMBOL: Self = Self(SmolStr::new_static("symbol"));
    /// Which strategy.
    pub const STRATEGY: Self = Self(SmolStr::new_static("strategy"));
    /// Which position.
    pub const POSITION: Self = Self(SmolStr::new_static("position_id"));
    /// Which order; the client's id, where there are two.
    pub const ORDER: Self = Self(SmolStr::new_static("order_id"));
    /// Which request.
    pub const REQUEST: Self = Self(SmolStr::new_static("request_id"));
    /// Which session.
    pub const SESSION: Self = Self(SmolStr::new_static("session_id"));
    /// Which user or account.
    pub const USER: Self = Self(SmolStr::new_static("user_id"));

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(feature = "serde")]
    pub(super) fn read(name: &str) -> Self {
        Self(text::clipped(name, super::Error::NAME_BYTES_MAX))
    }
}

impl From<&'static str> for Key {
    fn from(name: &'static str) -> Self {
        Self(text::name(name))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::one_line(f, &self.0)
    }
}
