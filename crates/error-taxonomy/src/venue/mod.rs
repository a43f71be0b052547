//! The error codes of venues, as tables of data.
//!
//! A table says what each code of a venue means, in the words of ccxt ([`Ccxt`]) or as a
//! [`Kind`].
//! One code may mean different things in different markets of a venue, so a table has a part for
//! each market and one for what holds in every market that does not say otherwise.
//! Only codes are matched, never messages.
//!
//! # File
//!
//! With the feature `serde`, a [`Table`] is read from TOML, JSON or any other format:
//!
//! ```toml
//! venue = "example"
//!
//! # In every market that does not say otherwise.
//! [codes]
//! "-1003" = "RateLimitExceeded"
//! # A kind is a meaning too, and the axes may be stated where they are not the usual ones.
//! "-2010" = { class = "rejected", effect = "unknown" }
//! "-1099" = { class = "unavailable", transience = "permanent" }
//!
//! [markets.spot]
//! "-1008" = "OperationFailed"
//! ```
//!
//! | part | rule |
//! |---|---|
//! | `venue`, a market's name | 1 to 32 ASCII letters, digits, `_`, `-`, `.` |
//! | a code | 1 to 64 printable ASCII characters without a space, unique in its part |
//! | a meaning | a ccxt class or a kind, alone or as `class` with `effect`, `transience` |
//! | all | at most 16,384 codes; unknown keys are refused |
//!
//! Every fault of a table is reported at once, see [`TableError`].
//!
//! # Binance
//!
//! [`BINANCE`] is a file of this form, made from the exception maps of ccxt 4.5.90 with the script
//! beside it, `venues/from_ccxt.py`.
//! It has the 888 codes of spot, linear, inverse, option and portfolio margin and of all markets;
//! 22 entries that match on words of a message were left out.
//! Its head names the codes that were corrected, because the class that ccxt gives them would say
//! "did not happen" of an order that may have happened.
//!
//! ```
//! # #[cfg(feature = "serde")] {
//! use backstop_error_taxonomy::{Effect, Kind, venue};
//!
//! let binance: venue::Table = toml::from_str(venue::BINANCE).unwrap();
//! let busy = binance.class_in("linear", "-1003");
//! assert_eq!(busy.kind(), Kind::RateLimited);
//! let twice = binance.class_in("linear", "-4116");
//! assert_eq!(twice.effect(), Effect::Applied, "the first one got through");
//! assert_eq!(binance.class_in("linear", "-987654"), binance.class("no such code"));
//! # }
//! ```

mod ccxt;
mod fault;
#[cfg(feature = "serde")]
mod file;

use crate::{Class, Effect, Kind, Transience};

use self::fault::kept;

pub use self::ccxt::Ccxt;
pub use self::fault::{Fault, TableError};

/// The table of Binance, in the form that [`Table`] is read from.
///
/// Made from ccxt, copyright 2024 Igor Kroitor, MIT licence; the notice is at its head.
pub const BINANCE: &str = include_str!("../../venues/binance.toml");

/// One line of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    market: &'a str,
    code: &'a str,
    meaning: &'a str,
    effect: Option<Effect>,
    transience: Option<Transience>,
}

impl<'a> Entry<'a> {
    /// States that `code` means `meaning`, a ccxt class or a kind, in every market.
    pub const fn new(code: &'a str, meaning: &'a str) -> Self {
        Self { market: "", code, meaning, effect: None, transience: None }
    }

    /// States that it holds in one market only.
    #[must_use]
    pub const fn with_market(mut self, market: &'a str) -> Self {
        self.market = market;
        self
    }

    /// States the effect, where it is not that of the meaning.
    #[must_use]
    pub const fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    /// States the transience, where it is not that of the meaning.
    #[must_use]
    pub const fn with_transience(mut self, transience: Transience) -> Self {
        self.transience = Some(transience);
        self
    }

    /// The class, if the meaning is one.
    fn class(&self) -> Option<Class> {
        let of_kind = |_| self.meaning.parse().map(Class::of);
        let class = self.meaning.parse().map(Ccxt::class).or_else(of_kind).ok()?;
        let class = self.effect.map_or(class, |effect| class.with_effect(effect));
        Some(self.transience.map_or(class, |transience| class.with_transience(transience)))
    }
}

/// What the codes of one venue mean.
///
/// ```
/// use backstop_error_taxonomy::Kind;
/// use backstop_error_taxonomy::venue::{Entry, Table};
///
/// let table = Table::new(
///     "example",
///     [
///         Entry::new("1008", "RateLimitExceeded"),
///         Entry::new("1008", "OperationFailed").with_market("spot"),
///     ],
/// )?;
/// assert_eq!(table.class("1008").kind(), Kind::RateLimited);
/// assert_eq!(table.class_in("spot", "1008").kind(), Kind::Unavailable);
/// assert_eq!(table.class_in("spot", "7").kind(), Kind::Other, "nobody knows it");
/// # Ok::<(), backstop_error_taxonomy::venue::TableError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    venue: Box<str>,
    /// By market, then code; what holds in every market has the empty name.
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    market: Box<str>,
    code: Box<str>,
    class: Class,
}

impl Row {
    fn key(&self) -> (&str, &str) {
        (&self.market, &self.code)
    }
}

impl Table {
    /// How many codes a table holds.
    pub const CODES_MAX: usize = 16_384;

    /// A table of `entries`, in any order.
    ///
    /// # Errors
    ///
    /// [`TableError`] with every fault: a name, code or meaning that is none, a code that appears
    /// twice, too many codes.
    pub fn new<'a>(
        venue: &str,
        entries: impl IntoIterator<Item = Entry<'a>>,
    ) -> Result<Self, TableError> {
        let mut error = TableError::default();
        let mut rows = Vec::new();
        if !is_name(venue) {
            error.push(Fault::Name(kept(venue)));
        }
        for entry in entries {
            if rows.len() == Self::CODES_MAX {
                error.push(Fault::TooMany { max: Self::CODES_MAX });
                break;
            }
            match row(&entry) {
                Ok(row) => rows.push(row),
                Err(fault) => error.push(fault),
            }
        }
        rows.sort_by(|a, b| a.key().cmp(&b.key()));
        for pair in rows.windows(2) {
            if pair[0].key() == pair[1].key() {
                let (market, code) = (named(&pair[0].market), pair[0].code.to_string());
                error.push(Fault::Twice { market, code });
            }
        }
        if error.is_empty() { Ok(Self { venue: venue.into(), rows }) } else { Err(error) }
    }

    /// The venue's name.
    pub fn venue(&self) -> &str {
        &self.venue
    }

    /// The entries by market and code; what holds in every market has the empty name.
    pub fn codes(&self) -> impl Iterator<Item = (&str, &str, Class)> {
        self.rows.iter().map(|row| (&*row.market, &*row.code, row.class))
    }

    /// The class of a code that means the same in every market.
    ///
    /// A code that is not in the table is [`Kind::Other`].
    pub fn class(&self, code: &str) -> Class {
        self.class_in("", code)
    }

    /// The class of a code in `market`: as stated for it, else as in every market.
    ///
    /// A code that is in neither part is [`Kind::Other`].
    pub fn class_in(&self, market: &str, code: &str) -> Class {
        let find = |market: &str| {
            let found = self.rows.binary_search_by(|row| row.key().cmp(&(market, code)));
            found.ok().and_then(|index| self.rows.get(index)).map(|row| row.class)
        };
        find(market).or_else(|| find("")).unwrap_or(Class::of(Kind::Other))
    }
}

fn row(entry: &Entry<'_>) -> Result<Row, Fault> {
    if !entry.market.is_empty() && !is_name(entry.market) {
        return Err(Fault::Name(kept(entry.market)));
    }
    let market = || named(entry.market);
    if entry.code.is_empty()
        || entry.code.len() > 64
        || !entry.code.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Fault::Code { market: market(), code: kept(entry.code) });
    }
    let class = entry.class().ok_or_else(|| Fault::Meaning {
        market: market(),
        code: entry.code.to_owned(),
        meaning: kept(entry.meaning),
    })?;
    Ok(Row { market: entry.market.into(), code: entry.code.into(), class })
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=32).contains(&name.len()) && name.bytes().all(is_part)
}

/// A market as a message names it.
fn named(market: &str) -> String {
    if market.is_empty() { "every market".to_owned() } else { market.to_owned() }
}
