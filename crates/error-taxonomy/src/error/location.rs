//! The line of code that raised an error.

use std::fmt;
use std::panic;

/// A line of code, in this program or in the one that wrote the error down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Location<'a> {
    /// The path as the compiler saw it; empty if what was read did not say.
    pub file: &'a str,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1.
    pub column: u32,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        super::text::one_line(f, file)?;
        write!(f, ":{line}:{column}")
    }
}

/// How an error keeps its location: a pointer, unless it was read.
pub(super) enum Place {
    Here(&'static panic::Location<'static>),
    #[cfg_attr(not(feature = "serde"), expect(dead_code, reason = "only serde reads errors"))]
    Read(Box<Elsewhere>),
}

/// The location of an error that was read.
pub(super) struct Elsewhere {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    pub(super) fn location(&self) -> Location<'_> {
        match self {
            Self::Here(at) => Location { file: at.file(), line: at.line(), column: at.column() },
            Self::Read(at) => Location { file: &at.file, line: at.line, column: at.column },
        }
    }
}
