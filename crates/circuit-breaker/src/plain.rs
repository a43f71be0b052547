//! Durations as data: whole milliseconds wherever a human may read them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a duration is written down.
///
/// A finer one than a millisecond is written as it is, because a rounded one would be another
/// setting.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "not a whole number of milliseconds")]
enum Written {
    Millis(u64),
    Exact(Duration),
}

impl From<Duration> for Written {
    fn from(duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).ok();
        let whole = millis.filter(|millis| Duration::from_millis(*millis) == duration);
        whole.map_or(Self::Exact(duration), Self::Millis)
    }
}

impl From<Written> for Duration {
    fn from(written: Written) -> Self {
        match written {
            Written::Millis(millis) => Self::from_millis(millis),
            Written::Exact(duration) => duration,
        }
    }
}

pub(crate) mod millis {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // A format without names and types could not tell the two apart.
        if serializer.is_human_readable() {
            Written::from(*duration).serialize(serializer)
        } else {
            duration.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        if deserializer.is_human_readable() {
            Written::deserialize(deserializer).map(Duration::from)
        } else {
            Duration::deserialize(deserializer)
        }
    }
}

/// The same for a duration that may be absent.
pub(crate) mod optional_millis {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, Written};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            duration.map(Written::from).serialize(serializer)
        } else {
            duration.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        if deserializer.is_human_readable() {
            let written = Option::<Written>::deserialize(deserializer)?;
            Ok(written.map(Duration::from))
        } else {
            Option::deserialize(deserializer)
        }
    }
}
