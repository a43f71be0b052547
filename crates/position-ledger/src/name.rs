//! Names given from outside: cheap to clone, bounded, kept as given.
//!
//! Up to 23 bytes need no allocation.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::error::NameError;

/// Checks a name: from 1 to `bytes_max` bytes, no control characters, no blanks at its ends.
fn check(what: &'static str, text: &str, bytes_max: usize) -> Result<(), NameError> {
    let rule = if text.is_empty() {
        "not be empty"
    } else if text.len() > bytes_max {
        "keep its limit in bytes"
    } else if text.chars().any(char::is_control) {
        "have no control characters"
    } else if text.trim() != text {
        "have no blanks at its ends"
    } else {
        return Ok(());
    };
    Err(NameError { what, value: text.chars().take(64).collect(), rule })
}

/// Declares a name type; one rule for all, they differ in meaning and limit.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $bytes_max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(SmolStr);

        impl $name {
            /// The longest name, in bytes.
            pub const BYTES_MAX: usize = $bytes_max;

            /// Takes the name as given, if it keeps the rules.
            ///
            /// # Errors
            ///
            /// [`NameError`] when it is empty, too long, has control characters, or blanks at its ends.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check($what, text, Self::BYTES_MAX).map(|()| Self(SmolStr::new(text)))
            }

            /// The name as it was given.
            #[inline]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// As its text, which it is borrowed as.
        impl Hash for $name {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// An account at a venue: positions and balances never net across accounts.
    Account, "account", 64
}
name! {
    /// A currency by its code, such as `USD` or `BNB`.
    Currency, "currency", 16
}
name! {
    /// An instrument as the venue names it, such as `EUR/USD`.
    InstrumentId, "instrument", 64
}
name! {
    /// The venue's id of one trade; unique within an account and an instrument.
    TradeId, "trade_id", 128
}
name! {
    /// The venue's id of an order.
    VenueOrderId, "venue_order_id", 128
}
name! {
    /// The strategy that wanted an order.
    Strategy, "strategy", 64
}
name! {
    /// The portfolio that an entry counts to.
    Portfolio, "portfolio", 64
}
name! {
    /// The leg of a hedged position, as the venue names it, such as `long`.
    LegId, "leg", 64
}
name! {
    /// The venue's id of a payment, an action or a transfer; unique within account, instrument and kind.
    Reference, "id", 128
}
name! {
    /// A broker or venue, as whoever reads reports knows it.
    Broker, "broker", 64
}
name! {
    /// A short remark: a reason, a cause, a finding.
    Text, "text", 512
}

impl TradeId {
    /// The id of a venue that numbers its trades.
    ///
    /// Equal to the decimal text of the number, and never allocates.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::fill::TradeId;
    ///
    /// assert_eq!(TradeId::of_number(1003).as_str(), "1003");
    /// ```
    pub fn of_number(number: u64) -> Self {
        Self(smol_str::format_smolstr!("{number}"))
    }
}

impl Text {
    /// Makes a remark of any text: control characters become blanks, the excess is cut off.
    ///
    /// For words of a venue, which must not keep a fact out of the books; empty text becomes `-`.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::Text;
    ///
    /// assert_eq!(Text::clipped(" no\nmargin ").as_str(), "no margin");
    /// ```
    pub fn clipped(text: &str) -> Self {
        let mut clean = String::new();
        for character in text.trim().chars() {
            let character = if character.is_control() { ' ' } else { character };
            if clean.len().saturating_add(character.len_utf8()) > Self::BYTES_MAX {
                break;
            }
            clean.push(character);
        }
        match clean.trim() {
            "" => Self(SmolStr::new_static("-")),
            clean => Self(SmolStr::new(clean)),
        }
    }
}
