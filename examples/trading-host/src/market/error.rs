//! Why a market folder was refused.

use std::io;
use std::path::PathBuf;

use backstop_error_taxonomy::{Class, Classify, Kind};

/// A market folder that cannot be used; nothing of it was taken over.
///
/// ```
/// use std::path::Path;
/// use trading_host::market::{Market, MarketError};
///
/// let refused = Market::read(Path::new("no/such/folder")).unwrap_err();
/// assert!(matches!(refused, MarketError::Unreadable { .. }));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarketError {
    /// A file or the folder itself cannot be opened or read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or the folder as a whole breaks a rule.
    #[error("{}: {rule}", path.display())]
    Incomplete {
        /// The file or folder.
        path: PathBuf,
        /// The rule it breaks.
        rule: Rule,
    },
    /// A field breaks a rule.
    #[error("{}:{line}: {field} is {value:?}: {rule}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// Name of the column, or `header` or `row` for the line as a whole.
        field: &'static str,
        /// What stands there.
        value: String,
        /// The rule it breaks.
        rule: Rule,
    },
}

impl Classify for MarketError {
    fn class(&self) -> Class {
        match self {
            Self::Unreadable { source, .. } => source.class(),
            Self::Incomplete { .. } | Self::Field { .. } => Class::of(Kind::Data),
        }
    }
}

/// What the form of a market folder asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The folder has no `instruments.csv`.
    #[error("a market folder holds instruments.csv")]
    InstrumentFile,
    /// The folder has no file of bars.
    #[error("a market folder holds bars.csv or files named *.bars.csv")]
    BarFile,
    /// A file, or all files of bars together, have no rows.
    #[error("there must be at least one row")]
    Empty,
    /// A column is not there.
    #[error("this column must be in the header")]
    MissingColumn,
    /// A column is not of the form.
    #[error("the form has no such column")]
    UnknownColumn,
    /// A column is there twice.
    #[error("a column stands in the header once")]
    RepeatedColumn,
    /// A row has more or fewer fields than the header.
    #[error("a row has as many fields as the header")]
    FieldCount,
    /// A row is not UTF-8.
    #[error("text must be UTF-8")]
    Encoding,
    /// A field that must be known is empty.
    #[error("must not be empty")]
    Missing,
    /// A code that is too long or holds other than visible ASCII.
    #[error("must be 1 to 32 visible ASCII characters")]
    Code,
    /// A number in another notation, or no number.
    #[error("must be a decimal number")]
    Decimal,
    /// A number of more digits than can be kept.
    #[error("has more digits than can be kept exactly")]
    Digits,
    /// A price, step or multiplier that is zero, negative, or rounds to zero.
    #[error("must be above zero")]
    Positive,
    /// A volume, size or rate below zero.
    #[error("must not be negative")]
    Negative,
    /// A fee of all the traded value or more.
    #[error("must be below one")]
    Rate,
    /// A number too large to reckon with.
    #[error("is too large: at most 10^14 steps, or 10^18 units")]
    Large,
    /// A time in another notation, zone or precision.
    #[error("must be an RFC 3339 time in UTC (Z), in whole milliseconds")]
    Time,
    /// A row earlier than the one before.
    #[error("rows are sorted by time; this one is earlier than the row before")]
    Order,
    /// A symbol twice in `instruments.csv`.
    #[error("a symbol is listed once")]
    RepeatedSymbol,
    /// A symbol that `instruments.csv` does not list.
    #[error("must be listed in instruments.csv")]
    UnknownSymbol,
    /// A second bar of one symbol at one time.
    #[error("a symbol has one bar at a time")]
    Duplicate,
    /// A high below the low.
    #[error("must not be below low")]
    HighBelowLow,
    /// An open or a close outside the bar's range.
    #[error("must lie between low and high")]
    Range,
    /// An ask below the bid.
    #[error("must not be below bid")]
    Crossed,
}
