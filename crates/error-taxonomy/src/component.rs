//! Where it happened.

use std::fmt;
use std::str::FromStr;

use crate::UnknownName;

/// The part of the system where a failure happened.
///
/// Open: a bot adds its own with [`Component::new`].
/// The name is a metric label, so keep the set small and never put an id into it.
///
/// ```
/// use backstop_error_taxonomy::Component;
///
/// const HEDGER: Component = Component::new("hedger");
/// assert_eq!(HEDGER.as_str(), "hedger");
/// assert_eq!("execution".parse(), Ok(Component::EXECUTION));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Component(&'static str);

impl Component {
    /// Market and reference data.
    pub const DATA: Self = Self("data");
    /// Signal generation.
    pub const STRATEGY: Self = Self("strategy");
    /// Orders on their way to a venue.
    pub const EXECUTION: Self = Self("execution");
    /// Positions and the books that hold them.
    pub const POSITION: Self = Self("position");
    /// Several positions seen together.
    pub const PORTFOLIO: Self = Self("portfolio");
    /// A database.
    pub const DATABASE: Self = Self("database");
    /// Files and object stores.
    pub const STORAGE: Self = Self("storage");
    /// Connections.
    pub const NETWORK: Self = Self("network");
    /// Messages to people.
    pub const NOTIFICATION: Self = Self("notification");
    /// Configuration.
    pub const CONFIG: Self = Self("config");
    /// Logging.
    pub const LOGGING: Self = Self("logging");
    /// Interfaces that others call.
    pub const API: Self = Self("api");
    /// The process and its host.
    pub const SYSTEM: Self = Self("system");

    /// The components named here, which are the ones that [`FromStr`] reads.
    pub const ALL: &[Self] = &[
        Self::DATA,
        Self::STRATEGY,
        Self::EXECUTION,
        Self::POSITION,
        Self::PORTFOLIO,
        Self::DATABASE,
        Self::STORAGE,
        Self::NETWORK,
        Self::NOTIFICATION,
        Self::CONFIG,
        Self::LOGGING,
        Self::API,
        Self::SYSTEM,
    ];

    /// A component of your own; use a `snake_case` name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl FromStr for Component {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.0 == text)
            .ok_or_else(|| UnknownName::new("component", text))
    }
}
