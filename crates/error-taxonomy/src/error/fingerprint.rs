//! What makes two failures the same one happening again.

use std::fmt;
use std::str::FromStr;

use super::Error;
use crate::UnknownName;

/// The same for failures that are the same one happening again: group and silence by it.
///
/// Made of the kind, the component, the innermost operation and the line of code, never of a text
/// or an id, so that a thousand orders that time out in one place are one problem.
/// Layers that wrap the error or add context do not change it.
///
/// Version 1: the 64-bit FNV-1a hash of these parts as UTF-8, each followed by a zero byte: kind,
/// component, operation, file with `/` between folders, line, column.
/// What is absent is empty; of a kind that this version does not know it is the original name.
/// The algorithm of a version never changes; another one would be another version.
///
/// ```
/// use backstop_error_taxonomy::{Error, Kind};
///
/// let timeout = |symbol| Error::new(Kind::Timeout, format!("{symbol}: no answer"));
/// let (one, other) = (timeout("EURUSD").fingerprint(), timeout("GBPUSD").fingerprint());
/// assert_eq!(one, other);
/// assert_eq!(one.to_string().parse(), Ok(one));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// How every fingerprint of this version begins.
    const VERSION: &'static str = "v1-";
    /// How many hexadecimal digits follow.
    const DIGITS: usize = 16;
    /// The parameters of FNV-1a for 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>.
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    /// The number itself.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    fn of(parts: &[&str]) -> Self {
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
        Self(
            bytes
                .fold(Self::BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(Self::PRIME)),
        )
    }
}

impl Error {
    /// What it shares with other failures of the same kind and place.
    pub fn fingerprint(&self) -> Fingerprint {
        let at = self.location();
        let kind = self.original_kind().unwrap_or(self.kind().as_str());
        let component = self.0.component.as_ref().map_or("", |component| component.as_str());
        let op = self.0.operations.first().map_or("", |op| op.as_str());
        let file = at.file.replace('\\', "/");
        let (line, column) = (at.line.to_string(), at.column.to_string());
        Fingerprint::of(&[kind, component, op, &file, &line, &column])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:0width$x}", Self::VERSION, self.0, width = Self::DIGITS)
    }
}

impl FromStr for Fingerprint {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(Self::VERSION).filter(|digits| {
            digits.len() == Self::DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| UnknownName::new("fingerprint", text))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::names::Name::new("a fingerprint"))
    }
}
