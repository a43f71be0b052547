//! The form of a table in a file.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Entry, Table, TableError};
use crate::{Effect, Transience};

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        File::deserialize(deserializer)?.table().map_err(Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    #[serde(borrow)]
    venue: Cow<'a, str>,
    #[serde(borrow, default)]
    codes: Pairs<'a, Short<'a>>,
    #[serde(borrow, default)]
    markets: Pairs<'a, Pairs<'a, Short<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meaning<'a> {
    #[serde(borrow)]
    class: Cow<'a, str>,
    effect: Option<Effect>,
    transience: Option<Transience>,
}

/// A meaning that may be written as its class alone.
struct Short<'a>(Meaning<'a>);

// By hand, since serde's own choice between two forms says of an error only that neither fits.
impl<'de: 'a, 'a> Deserialize<'de> for Short<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShortReader(PhantomData))
    }
}

struct ShortReader<'a>(PhantomData<Short<'a>>);

impl<'de: 'a, 'a> Visitor<'de> for ShortReader<'a> {
    type Value = Short<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a ccxt class, a kind, or a map of `class`, `effect`, `transience`")
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Short(Meaning { class: Cow::Owned(v.to_owned()), effect: None, transience: None }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Meaning::deserialize(MapAccessDeserializer::new(map)).map(Short)
    }
}

impl File<'_> {
    fn table(&self) -> Result<Table, TableError> {
        let everywhere = self.codes.0.iter().map(|(code, meaning)| entry("", code, meaning));
        let somewhere = self.markets.0.iter().flat_map(|(market, codes)| {
            // An empty name is how the table itself says "every market".
            let market = if market.is_empty() { " " } else { market };
            codes.0.iter().map(move |(code, meaning)| entry(market, code, meaning))
        });
        Table::new(&self.venue, everywhere.chain(somewhere))
    }
}

fn entry<'a>(market: &'a str, code: &'a str, meaning: &'a Short<'_>) -> Entry<'a> {
    let Short(Meaning { class, effect, transience }) = meaning;
    Entry {
        effect: *effect,
        transience: *transience,
        ..Entry::new(code, class).with_market(market)
    }
}

/// A map as it is written, so that a key that appears twice is seen.
struct Pairs<'a, V>(Vec<(Cow<'a, str>, V)>);

impl<V> Default for Pairs<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<'a, V>(PhantomData<Pairs<'a, V>>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Reader<'a, V> {
    type Value = Pairs<'a, V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map by code or by market")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            // One more than a table holds, so that it is refused as too many.
            if pairs.len() <= Table::CODES_MAX {
                pairs.push((Cow::Owned(key), value));
            }
        }
        Ok(Pairs(pairs))
    }
}
