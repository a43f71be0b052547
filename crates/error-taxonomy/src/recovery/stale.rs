//! A value that is not fresh and says so.

use std::time::Duration;

use backstop_clock::Timestamp;

/// A value that stands in for a fresh one, with its age.
///
/// Nobody can take it for the real thing by mistake: it has to be taken out.
///
/// ```
/// use std::time::Duration;
/// use backstop_error_taxonomy::recovery::Stale;
///
/// let price = Stale::new("1.0712", Duration::from_secs(40));
/// assert_eq!(price.age(), Duration::from_secs(40));
/// assert_eq!(price.into_value(), "1.0712");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stale<T> {
    value: T,
    age: Duration,
}

impl<T> Stale<T> {
    /// A value that was true `age` ago.
    pub const fn new(value: T, age: Duration) -> Self {
        Self { value, age }
    }

    /// A value that was true at `as_of`, used at `now`.
    pub fn as_of(value: T, as_of: Timestamp, now: Timestamp) -> Self {
        Self::new(value, now.since(as_of))
    }

    /// How long ago it was true.
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// The value, to look at.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The value, taken out by somebody who knows its age.
    pub fn into_value(self) -> T {
        self.value
    }
}
