//! The form of a table in a file.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Entry, Table, TableError};
use crate::{Effect, Transience};

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        File::deserialize(deserializer)?.table().map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    #[serde(borrow)]
    venue: Cow<'a, str>,
    #[serde(borrow, default)]
    codes: Pairs<'a, Meaning<'a>>,
    #[serde(borrow, default)]
    markets: Pairs<'a, Pairs<'a, Meaning<'a>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Meaning<'a> {
    #[serde(borrow)]
    Named(Cow<'a, str>),
    #[serde(borrow)]
    Stated(Stated<'a>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated<'a> {
    #[serde(borrow)]
    class: Cow<'a, str>,
    effect: Option<Effect>,
    transience: Option<Transience>,
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

fn entry<'a>(market: &'a str, code: &'a str, meaning: &'a Meaning<'_>) -> Entry<'a> {
    match meaning {
        Meaning::Named(name) => Entry::new(code, name).with_market(market),
        Meaning::Stated(stated) => Entry {
            effect: stated.effect,
            transience: stated.transience,
            ..Entry::new(code, &stated.class).with_market(market)
        },
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
