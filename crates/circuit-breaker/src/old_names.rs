//! Times under the names that they had before the names told the unit.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor, value::MapDeserializer},
    forward_to_deserialize_any,
};

/// Under these a time is in seconds and nanoseconds: a bare number could be of any unit.
const OLD: [&str; 9] = [
    "age",
    "left",
    "length",
    "max_wait",
    "open_time",
    "open_time_max",
    "probe_lease",
    "slow_call",
    "time",
];

/// Reads and writes a type by a form that serde derived, and checks what has an old name.
macro_rules! check_old_names {
    ($($read:ty as $form:ty),+) => {$(
        impl serde::Serialize for $read {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$form>::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $read {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$form>::deserialize($crate::old_names::Checked(deserializer))
            }
        }
    )+};
}
pub(crate) use check_old_names;

/// Reads a struct, or a map, and hands it over with that checked.
pub(crate) struct Checked<R>(pub(crate) R);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Checked<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // A format without names has no old ones.
        if self.0.is_human_readable() {
            self.0.deserialize_struct(name, fields, Checked(visitor))
        } else {
            self.0.deserialize_struct(name, fields, visitor)
        }
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Checked<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Fields { map, is_old: false })
    }
}

/// The fields of a struct; what is under an old name is read as it was written then.
struct Fields<A> {
    map: A,
    is_old: bool,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(Name(name)) = self.map.next_key()? else { return Ok(None) };
        self.is_old = OLD.contains(&name.as_str());
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        if self.is_old {
            seed.deserialize(Exact(self.map.next_value()?, PhantomData))
        } else {
            self.map.next_value_seed(seed)
        }
    }
}

struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a setting")
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Name, E> {
                Ok(Name(v.to_owned()))
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

/// A duration, or none, that was read already.
struct Exact<E>(Option<Duration>, PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for Exact<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        let Some(time) = self.0 else { return visitor.visit_unit() };
        let parts = [("secs", time.as_secs()), ("nanos", time.subsec_nanos().into())];
        visitor.visit_map(MapDeserializer::new(parts.into_iter()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        if self.0.is_some() { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}
