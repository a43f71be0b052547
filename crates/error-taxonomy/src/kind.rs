//! What failed.

use crate::names::names;
use crate::{Action, Effect, Severity, Transience};

/// What failed, in nineteen words.
///
/// Each kind has defaults on the other axes; [`Class::of`](crate::Class::of) applies them.
///
/// | kind | transience | effect | severity | action | used up | breaker |
/// |---|---|---|---|---|---|---|
/// | `Invalid` | permanent | not applied | medium | propagate | | |
/// | `Auth` | permanent | not applied | high | escalate | | |
/// | `NotFound` | permanent | not applied | low | propagate | | |
/// | `Conflict` | transient | not applied | medium | retry | propagate | |
/// | `Precondition` | permanent | not applied | medium | propagate | | |
/// | `InsufficientFunds` | permanent | not applied | high | propagate | | |
/// | `Rejected` | permanent | not applied | medium | propagate | | |
/// | `RateLimited` | transient | not applied | medium | retry | propagate | counts |
/// | `Timeout` | transient | unknown | high | retry | propagate | counts |
/// | `Connection` | transient | unknown | high | retry | propagate | counts |
/// | `Unavailable` | transient | unknown | high | retry | degrade | counts |
/// | `Data` | permanent | not applied | medium | isolate | | |
/// | `Inconsistent` | permanent | unknown | critical | compensate | | |
/// | `Calculation` | permanent | not applied | medium | fallback | | |
/// | `Config` | permanent | not applied | high | escalate | | |
/// | `Cancelled` | permanent | unknown | info | propagate | | |
/// | `Unsupported` | permanent | not applied | low | propagate | | |
/// | `Internal` | permanent | unknown | high | escalate | | counts |
/// | `Other` | permanent | unknown | medium | escalate | escalate | |
///
/// ```
/// use backstop_error_taxonomy::{Effect, Kind};
///
/// assert_eq!(Kind::Timeout.as_str(), "timeout");
/// assert_eq!("rate_limited".parse(), Ok(Kind::RateLimited));
/// assert_eq!(Kind::Timeout.default_effect(), Effect::Unknown);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The request breaks a rule that its sender could have checked.
    Invalid,
    /// Who asks is unknown or not allowed to.
    Auth,
    /// What the request names does not exist.
    NotFound,
    /// Somebody else was faster, or the same thing exists already.
    Conflict,
    /// The state of the other side does not allow it, such as a closed market.
    Precondition,
    /// The account cannot pay for it.
    InsufficientFunds,
    /// The other side understood and said no.
    Rejected,
    /// Too many requests.
    RateLimited,
    /// No answer in time; the request may have taken effect.
    Timeout,
    /// The connection failed.
    Connection,
    /// The other side cannot work at present.
    Unavailable,
    /// A message or a file that cannot be read as what it should be.
    Data,
    /// Two books that must agree do not.
    Inconsistent,
    /// A computation has no valid result.
    Calculation,
    /// The configuration is wrong.
    Config,
    /// Somebody ended the work on purpose.
    Cancelled,
    /// The other side cannot do this at all.
    Unsupported,
    /// A bug, a panic, or a broken promise of our own code.
    Internal,
    /// Nobody has classified this yet.
    Other,
}

names!("kind", Kind {
    Invalid => "invalid",
    Auth => "auth",
    NotFound => "not_found",
    Conflict => "conflict",
    Precondition => "precondition",
    InsufficientFunds => "insufficient_funds",
    Rejected => "rejected",
    RateLimited => "rate_limited",
    Timeout => "timeout",
    Connection => "connection",
    Unavailable => "unavailable",
    Data => "data",
    Inconsistent => "inconsistent",
    Calculation => "calculation",
    Config => "config",
    Cancelled => "cancelled",
    Unsupported => "unsupported",
    Internal => "internal",
    Other => "other",
});

impl Kind {
    /// Whether it usually passes by itself.
    pub const fn default_transience(self) -> Transience {
        match self {
            Self::Conflict
            | Self::RateLimited
            | Self::Timeout
            | Self::Connection
            | Self::Unavailable => Transience::Transient,
            _ => Transience::Permanent,
        }
    }

    /// Whether the operation may have taken effect.
    pub const fn default_effect(self) -> Effect {
        match self {
            Self::Timeout
            | Self::Connection
            | Self::Unavailable
            | Self::Inconsistent
            | Self::Cancelled
            | Self::Internal
            | Self::Other => Effect::Unknown,
            _ => Effect::NotApplied,
        }
    }

    /// How bad it usually is.
    pub const fn default_severity(self) -> Severity {
        match self {
            Self::Cancelled => Severity::Info,
            Self::NotFound | Self::Unsupported => Severity::Low,
            Self::Auth
            | Self::InsufficientFunds
            | Self::Timeout
            | Self::Connection
            | Self::Unavailable
            | Self::Config
            | Self::Internal => Severity::High,
            Self::Inconsistent => Severity::Critical,
            _ => Severity::Medium,
        }
    }

    /// What to do about it while it may still pass.
    pub const fn default_action(self) -> Action {
        match self {
            Self::Conflict
            | Self::RateLimited
            | Self::Timeout
            | Self::Connection
            | Self::Unavailable => Action::Retry,
            Self::Auth | Self::Config | Self::Internal | Self::Other => Action::Escalate,
            Self::Data => Action::Isolate,
            Self::Inconsistent => Action::Compensate,
            Self::Calculation => Action::Fallback,
            _ => Action::Propagate,
        }
    }

    /// Whether a circuit breaker counts it as a failure of the other side.
    ///
    /// A reject, an invalid request or missing funds say nothing about the health of a route.
    pub const fn counts_for_breaker(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Timeout
                | Self::Connection
                | Self::Unavailable
                | Self::Internal
        )
    }
}
