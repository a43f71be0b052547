//! Lists and maps that are read no further than an error keeps them.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use super::show::CAUSE_BYTES_MAX;
use super::{Error, Key, text};

/// What stands for the causes beyond the limit.
pub(super) const CAUSES_LEFT_OUT: &str = "... more causes left out";

/// The innermost operations, outermost first.
#[derive(Default)]
pub(super) struct Operations {
    pub(super) outermost_first: VecDeque<SmolStr>,
    pub(super) left_out: u32,
}

impl Operations {
    fn push(&mut self, op: SmolStr) {
        if self.outermost_first.len() == Error::OPERATIONS_MAX {
            self.outermost_first.pop_front();
            self.left_out = self.left_out.saturating_add(1);
        }
        self.outermost_first.push_back(op);
    }
}

/// The first pairs of a context, and how many more there were.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) pairs: Vec<(Key, SmolStr)>,
    pub(super) left_out: u32,
}

/// The first texts of a source chain.
#[derive(Default)]
pub(super) struct Causes(Vec<SmolStr>);

impl Causes {
    /// The chain as far as it was written.
    pub(super) fn chain(&self) -> Option<Box<dyn StdError + Send + Sync>> {
        let texts = self.0.iter().rev().cloned();
        let nearest = texts.fold(None, |source, text| Some(Box::new(Told { text, source })));
        nearest.map(|cause| -> Box<dyn StdError + Send + Sync> { cause })
    }
}

/// A cause of which only the text is left.
#[derive(Debug)]
struct Told {
    text: SmolStr,
    source: Option<Box<Self>>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Told {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

struct OperationList;

impl<'de> Visitor<'de> for OperationList {
    type Value = Operations;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Operations, A::Error> {
        let mut operations = Operations::default();
        while let Some(Text(op)) = seq.next_element::<Name>()? {
            operations.push(op);
        }
        Ok(operations)
    }
}

impl<'de> Deserialize<'de> for Operations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OperationList)
    }
}

struct PairMap;

impl<'de> Visitor<'de> for PairMap {
    type Value = Pairs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of context")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Pairs::default();
        while pairs.pairs.len() < Error::CONTEXT_MAX
            && let Some((Text(key), Text(value))) = map.next_entry::<Name, Value>()?
        {
            pairs.pairs.push((Key::read(&key), value));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            pairs.left_out = pairs.left_out.saturating_add(1);
        }
        Ok(pairs)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairMap)
    }
}

struct CauseList;

impl<'de> Visitor<'de> for CauseList {
    type Value = Causes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Causes, A::Error> {
        let mut causes = Causes::default();
        while causes.0.len() < Error::CAUSES_MAX
            && let Some(Text(text)) = seq.next_element::<Cause>()?
        {
            causes.0.push(text);
        }
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        if more {
            causes.0.push(SmolStr::new_static(CAUSES_LEFT_OUT));
        }
        Ok(causes)
    }
}

impl<'de> Deserialize<'de> for Causes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CauseList)
    }
}

type Name = Text<{ Error::NAME_BYTES_MAX }>;
type Value = Text<{ Error::VALUE_BYTES_MAX }>;
type Cause = Text<CAUSE_BYTES_MAX>;

/// A text of at most `MAX` bytes; what is a number or a boolean is read as its text.
struct Text<const MAX: usize>(SmolStr);

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar::<MAX>).map(Self)
    }
}

struct Scalar<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for Scalar<MAX> {
    type Value = SmolStr;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number or a boolean")
    }

    fn visit_str<E>(self, v: &str) -> Result<SmolStr, E> {
        Ok(text::clipped(v, MAX))
    }

    fn visit_bool<E>(self, v: bool) -> Result<SmolStr, E> {
        Ok(text::shown(&v, MAX).into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<SmolStr, E> {
        Ok(text::shown(&v, MAX).into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<SmolStr, E> {
        Ok(text::shown(&v, MAX).into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<SmolStr, E> {
        Ok(text::shown(&v, MAX).into())
    }
}
