//! How policies are written down: durations as whole milliseconds, no unknown keys.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::{OnRefusal, RetryAfter};
use crate::schedule::Family as Kind;
use crate::{Jitter, Policy as Settings};

/// A duration as a whole number of milliseconds; a finer one is refused, not rounded.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Error as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let millis = u64::try_from(duration.as_millis()).ok();
        match millis.filter(|millis| Duration::from_millis(*millis) == *duration) {
            Some(millis) => serializer.serialize_u64(millis),
            None => Err(S::Error::custom(format_args!("{duration:?} has no whole milliseconds"))),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The same for a duration that may be absent.
mod optional_millis {
    use std::time::Duration;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::millis::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<u64>::deserialize(deserializer)?;
        Ok(millis.map(Duration::from_millis))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Family {
    Fixed,
    Linear,
    Exponential,
    Fibonacci,
    Decorrelated,
}

/// A schedule as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    family: Family,
    #[serde(rename = "base_ms", with = "millis")]
    base: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(rename = "cap_ms", with = "optional_millis", default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<Duration>,
    #[serde(default)]
    jitter: Jitter,
}

/// A factor stands beside a family that has none.
#[derive(Debug, thiserror::Error)]
#[error("factor is {0}, but only an exponential schedule has one")]
pub(crate) struct StrayFactor(f64);

impl TryFrom<Schedule> for crate::Schedule {
    type Error = StrayFactor;

    fn try_from(plain: Schedule) -> Result<Self, StrayFactor> {
        let schedule = match plain.family {
            Family::Fixed => Self::fixed(plain.base),
            Family::Linear => Self::linear(plain.base),
            Family::Exponential => Self::exponential(plain.base),
            Family::Fibonacci => Self::fibonacci(plain.base),
            Family::Decorrelated => Self::decorrelated(plain.base),
        };
        let schedule = match plain.factor {
            Some(factor) if plain.family != Family::Exponential => return Err(StrayFactor(factor)),
            Some(factor) => schedule.with_factor(factor),
            None => schedule,
        };
        Ok(Self { cap: plain.cap, jitter: plain.jitter, ..schedule })
    }
}

impl From<crate::Schedule> for Schedule {
    fn from(schedule: crate::Schedule) -> Self {
        let (family, factor) = match schedule.family {
            Kind::Fixed => (Family::Fixed, None),
            Kind::Linear => (Family::Linear, None),
            Kind::Exponential { factor } => (Family::Exponential, Some(factor)),
            Kind::Fibonacci => (Family::Fibonacci, None),
            Kind::Decorrelated => (Family::Decorrelated, None),
        };
        let crate::Schedule { base, cap, jitter, .. } = schedule;
        Self { family, base, factor, cap, jitter }
    }
}

/// A policy as it is written down; what is left out has its default.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    schedule: crate::Schedule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts_max: Option<u32>,
    #[serde(rename = "deadline_ms", with = "optional_millis", default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Duration>,
    #[serde(rename = "attempt_timeout_ms", with = "optional_millis", default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Duration>,
    #[serde(default)]
    retry_after: RetryAfter,
    #[serde(default)]
    on_refusal: OnRefusal,
    #[serde(default)]
    retries_exhausted: bool,
}

impl From<Policy> for Settings {
    fn from(plain: Policy) -> Self {
        let defaults = Self::new(plain.schedule);
        Self {
            attempts_max: plain.attempts_max.unwrap_or(defaults.attempts_max),
            deadline: plain.deadline,
            attempt_timeout: plain.attempt_timeout,
            retry_after: plain.retry_after,
            on_refusal: plain.on_refusal,
            retries_exhausted: plain.retries_exhausted,
            ..defaults
        }
    }
}

impl From<Settings> for Policy {
    fn from(policy: Settings) -> Self {
        let Settings {
            schedule,
            attempts_max,
            deadline,
            attempt_timeout,
            retry_after,
            on_refusal,
            retries_exhausted,
        } = policy;
        let attempts_max = Some(attempts_max);
        Self {
            schedule,
            attempts_max,
            deadline,
            attempt_timeout,
            retry_after,
            on_refusal,
            retries_exhausted,
        }
    }
}
