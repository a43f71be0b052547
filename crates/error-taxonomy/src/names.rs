//! The stable text form shared by the axes.

use crate::{Class, Classify, Kind};

/// Longest part of a refused text that is kept, in characters.
const KEPT_CHARS_MAX: usize = 64;

/// A text that names no value of an axis.
///
/// ```
/// use backstop_error_taxonomy::Kind;
///
/// let refused = "time_out".parse::<Kind>().unwrap_err();
/// assert_eq!(refused.to_string(), "`time_out` is no kind");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{value}` is no {axis}")]
pub struct UnknownName {
    axis: &'static str,
    value: String,
}

impl UnknownName {
    pub(crate) fn new(axis: &'static str, value: &str) -> Self {
        Self { axis, value: value.chars().take(KEPT_CHARS_MAX).collect() }
    }

    /// Name of the axis that was asked, such as `kind`.
    pub fn axis(&self) -> &'static str {
        self.axis
    }

    /// The refused text, cut after 64 characters.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl Classify for UnknownName {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid)
    }
}

/// Gives an enum of unit variants its `snake_case` names in both directions.
///
/// One table per axis: a variant without a name does not compile, and reading cannot drift from
/// writing.
macro_rules! names {
    ($axis:literal, $Type:ident { $($Variant:ident => $name:literal),+ $(,)? }) => {
        impl $Type {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$Variant),+];

            /// The stable `snake_case` name; persisted and sent, so it never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $Type {
            type Err = $crate::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$Variant),)+
                    _ => Err($crate::UnknownName::new($axis, text)),
                }
            }
        }

        #[cfg(feature = "serde")]
        $crate::names::text_form!($Type, concat!("the name of a value of the axis ", $axis));
    };
}

pub(crate) use names;

/// Serde in the form of the name, which is what `as_str` writes and `FromStr` reads.
#[cfg(feature = "serde")]
macro_rules! text_form {
    ($Type:ident, $expected:expr) => {
        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::names::Name::new($expected))
            }
        }
    };
}

#[cfg(feature = "serde")]
pub(crate) use text_form;

/// Reads a name from any format without allocating.
#[cfg(feature = "serde")]
pub(crate) struct Name<T> {
    expected: &'static str,
    read: std::marker::PhantomData<T>,
}

#[cfg(feature = "serde")]
impl<T> Name<T> {
    pub(crate) const fn new(expected: &'static str) -> Self {
        Self { expected, read: std::marker::PhantomData }
    }
}

#[cfg(feature = "serde")]
impl<T: std::str::FromStr<Err = UnknownName>> serde::de::Visitor<'_> for Name<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<T, E> {
        v.parse().map_err(E::custom)
    }
}
