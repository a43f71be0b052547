//! Data of any self-describing format as one small tree.
//!
//! A policy is read through it, and not field by field, so that all that is wrong with a file is
//! reported at once.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// How deep data may nest; a policy needs four.
const DEPTH_MAX: u8 = 16;

/// A value of data.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Tree {
    Nothing,
    Truth(bool),
    Whole(i128),
    Fraction(f64),
    Text(String),
    List(Vec<Self>),
    /// In the order of the file, so that a key that stands twice is seen.
    Table(Vec<(String, Self)>),
}

impl Tree {
    /// What it is, for a fault.
    pub(super) fn sort(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Truth(_) => "true or false",
            Self::Whole(_) => "a whole number",
            Self::Fraction(_) => "a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Nested(DEPTH_MAX).deserialize(deserializer)
    }
}

/// Reads what may nest this deep.
#[derive(Clone, Copy)]
struct Nested(u8);

impl Nested {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let deeper = self.0.checked_sub(1).map(Self);
        deeper.ok_or_else(|| E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a policy")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Tree, E> {
        Ok(Tree::Truth(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Tree, E> {
        Ok(Tree::Whole(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Tree, E> {
        Ok(Tree::Fraction(v))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Tree, E> {
        Ok(Tree::Text(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Tree, E> {
        Ok(Tree::Text(v))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let deeper = self.deeper::<A::Error>()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(deeper)? {
            list.push(value);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let deeper = self.deeper::<A::Error>()?;
        let mut table = Vec::new();
        while let Some(key) = map.next_key_seed(deeper)? {
            let Tree::Text(key) = key else {
                return Err(A::Error::custom(format_args!("a key is {}, not a text", key.sort())));
            };
            table.push((key, map.next_value_seed(deeper)?));
        }
        Ok(Tree::Table(table))
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Truth(truth) => serializer.serialize_bool(*truth),
            Self::Whole(whole) => match i64::try_from(*whole) {
                Ok(whole) => serializer.serialize_i64(whole),
                Err(_) => serializer.serialize_i128(*whole),
            },
            Self::Fraction(fraction) => serializer.serialize_f64(*fraction),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Table(table) => {
                let mut map = serializer.serialize_map(Some(table.len()))?;
                for (key, value) in table {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
