//! Verdicts by kind as data: a map from the name of a kind to its verdict.

use std::collections::BTreeMap;

use backstop_error_taxonomy::{Kind, UnknownName};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::Verdict;

type Verdicts = Vec<(Kind, Verdict)>;

pub(crate) fn serialize<S: Serializer>(
    verdicts: &[(Kind, Verdict)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    // Sorted by name, so that equal policies look equal.
    let sorted: BTreeMap<_, _> =
        verdicts.iter().map(|(kind, verdict)| (kind.as_str(), *verdict)).collect();
    serializer.collect_map(sorted)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Verdicts, D::Error> {
    let named = BTreeMap::<String, Verdict>::deserialize(deserializer)?;
    let parse = |(name, verdict): (String, Verdict)| Ok((name.parse::<Kind>()?, verdict));
    named.into_iter().map(parse).collect::<Result<_, UnknownName>>().map_err(Error::custom)
}
