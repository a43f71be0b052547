//! Where it happened.

use std::fmt;
use std::str::FromStr;

use crate::UnknownName;

/// The part of the system where a failure happened.
///
/// Open: a bot adds its own with [`Component::new`], and any name that keeps the rule is read from
/// data.
/// The rule: 1 to 31 of the ASCII letters, digits, `_`, `-` and `.`.
/// The name is kept inside the value, so that reading names allocates and leaks nothing and two
/// components are compared without following a pointer.
///
/// It becomes a metric label, so keep the set small and never put an id into it.
///
/// ```
/// use backstop_error_taxonomy::Component;
///
/// const HEDGER: Component = Component::new("hedger");
/// assert_eq!(HEDGER.as_str(), "hedger");
/// assert_eq!("hedger".parse(), Ok(HEDGER));
/// assert!("no spaces".parse::<Component>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component {
    /// The name, filled up with zeros, which no name contains: the order is that of the names.
    bytes: [u8; Component::BYTES_MAX],
    len: u8,
}

impl Component {
    /// How many bytes a name may have; with its length it fills four machine words.
    pub const BYTES_MAX: usize = 31;

    /// Market and reference data.
    pub const DATA: Self = Self::new("data");
    /// Signal generation.
    pub const STRATEGY: Self = Self::new("strategy");
    /// Orders on their way to a venue.
    pub const EXECUTION: Self = Self::new("execution");
    /// Positions and the books that hold them.
    pub const POSITION: Self = Self::new("position");
    /// Several positions seen together.
    pub const PORTFOLIO: Self = Self::new("portfolio");
    /// A database.
    pub const DATABASE: Self = Self::new("database");
    /// Files and object stores.
    pub const STORAGE: Self = Self::new("storage");
    /// Connections.
    pub const NETWORK: Self = Self::new("network");
    /// Messages to people.
    pub const NOTIFICATION: Self = Self::new("notification");
    /// Configuration.
    pub const CONFIG: Self = Self::new("config");
    /// Logging.
    pub const LOGGING: Self = Self::new("logging");
    /// Interfaces that others call.
    pub const API: Self = Self::new("api");
    /// The process and its host.
    pub const SYSTEM: Self = Self::new("system");

    /// The components named here, in the order of declaration.
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
    ///
    /// # Panics
    ///
    /// On a name that breaks the rule; in a `const`, which is where it belongs, that is an error of
    /// the compiler.
    /// Names that come from data are read with [`FromStr`].
    #[expect(clippy::panic, reason = "a literal is wrong when it is compiled, not when it runs")]
    pub const fn new(name: &'static str) -> Self {
        match Self::read(name) {
            Some(component) => component,
            None => panic!("a component has 1 to 31 ASCII letters, digits, `_`, `-` or `.`"),
        }
    }

    /// The name.
    pub const fn as_str(&self) -> &str {
        let (name, _) = self.bytes.split_at(self.len as usize);
        match str::from_utf8(name) {
            Ok(name) => name,
            // Only ASCII gets in.
            Err(_) => "",
        }
    }

    /// The component of this name, if the name keeps the rule.
    const fn read(name: &str) -> Option<Self> {
        let name = name.as_bytes();
        if name.is_empty() || name.len() > Self::BYTES_MAX {
            return None;
        }
        let mut component = Self { bytes: [0; Self::BYTES_MAX], len: 0 };
        while (component.len as usize) < name.len() {
            let byte = name[component.len as usize];
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.') {
                return None;
            }
            component.bytes[component.len as usize] = byte;
            component.len += 1;
        }
        Some(component)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Component").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Component {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or_else(|| UnknownName::new("component", text))
    }
}

#[cfg(feature = "serde")]
crate::names::text_form!(Component, "a component");
