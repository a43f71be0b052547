use std::{fmt, time::Duration};

use backstop_error_taxonomy::{Class, Classify, Kind};

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The open time is not over.
    Open,
    /// Every probe of the half-open period is taken.
    HalfOpenFull,
    /// Somebody forced the breaker open; only a reset ends it.
    ForcedOpen,
    /// The registry has no room for another key.
    RegistryFull,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::HalfOpenFull => "half_open_full",
            Self::ForcedOpen => "forced_open",
            Self::RegistryFull => "registry_full",
        })
    }
}

/// The call was not admitted, so it certainly did not happen.
///
/// Its class says so: [`Kind::Unavailable`], transient, not applied, refused by a breaker.
/// No breaker counts it, and a retry loop should end on it rather than sleep on it.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy, Reason};
///
/// let breaker = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(5))?;
/// breaker.force_open();
/// let rejection = breaker.admit(|| unreachable!("no clock is needed")).unwrap_err();
/// assert_eq!(rejection.reason, Reason::ForcedOpen);
/// assert_eq!(rejection.retry_after, None);
/// # Ok::<(), backstop_circuit_breaker::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker rejected the call: {reason}")]
#[non_exhaustive]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// The rest of the open time, or of the oldest probe's lease; `None` where neither is known.
    pub retry_after: Option<Duration>,
}

impl Rejection {
    pub(crate) const fn open(left: Duration) -> Self {
        Self { reason: Reason::Open, retry_after: Some(left) }
    }

    pub(crate) const fn half_open_full(lease_left: Option<Duration>) -> Self {
        Self { reason: Reason::HalfOpenFull, retry_after: lease_left }
    }

    pub(crate) const FORCED_OPEN: Self = Self { reason: Reason::ForcedOpen, retry_after: None };

    pub(crate) const REGISTRY_FULL: Self = Self { reason: Reason::RegistryFull, retry_after: None };
}

impl Classify for Rejection {
    fn class(&self) -> Class {
        let class = Class::of(Kind::Unavailable).refused_by_breaker();
        match self.retry_after {
            Some(left) => class.with_retry_after(left),
            None => class,
        }
    }
}
