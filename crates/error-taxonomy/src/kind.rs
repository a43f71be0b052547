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

    /// The value of OpenTelemetry's attribute `error.type`.
    ///
    /// The kind's name, but `_OTHER` for [`Kind::Other`], which is the fallback that the semantic
    /// conventions reserve.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::Other => "_OTHER",
            known => known.as_str(),
        }
    }

    /// The canonical gRPC code to answer with.
    ///
    /// | code | from the kinds | read back as |
    /// |---|---|---|
    /// | 1 `CANCELLED` | `Cancelled` | `Cancelled` |
    /// | 2 `UNKNOWN` | `Other` | `Other` |
    /// | 3 `INVALID_ARGUMENT` | `Invalid` | `Invalid` |
    /// | 4 `DEADLINE_EXCEEDED` | `Timeout` | `Timeout` |
    /// | 5 `NOT_FOUND` | `NotFound` | `NotFound` |
    /// | 6 `ALREADY_EXISTS` | | `Conflict` |
    /// | 7 `PERMISSION_DENIED` | | `Auth` |
    /// | 8 `RESOURCE_EXHAUSTED` | `RateLimited` | `RateLimited` |
    /// | 9 `FAILED_PRECONDITION` | `Precondition`, `InsufficientFunds`, `Rejected`, `Config` | `Precondition` |
    /// | 10 `ABORTED` | `Conflict` | `Conflict` |
    /// | 11 `OUT_OF_RANGE` | | `Invalid` |
    /// | 12 `UNIMPLEMENTED` | `Unsupported` | `Unsupported` |
    /// | 13 `INTERNAL` | `Internal`, `Inconsistent`, `Calculation` | `Internal` |
    /// | 14 `UNAVAILABLE` | `Unavailable`, `Connection` | `Unavailable` |
    /// | 15 `DATA_LOSS` | `Data` | `Data` |
    /// | 16 `UNAUTHENTICATED` | `Auth` | `Auth` |
    ///
    /// Where several kinds share a code it is the one whose advice to the caller fits: 9 says "not
    /// before the state was fixed", 13 says "something on our side is broken", 14 says "try again".
    /// Codes and advice: <https://grpc.io/docs/guides/status-codes/>.
    ///
    /// ```
    /// use backstop_error_taxonomy::Kind;
    ///
    /// assert_eq!(Kind::Timeout.grpc_code(), 4);
    /// assert_eq!(Kind::of_grpc(4), Some(Kind::Timeout));
    /// assert_eq!(Kind::of_grpc(0), None, "OK is no failure");
    /// assert_eq!(Kind::of_grpc(99), Some(Kind::Other));
    /// ```
    pub const fn grpc_code(self) -> i32 {
        match self {
            Self::Cancelled => 1,
            Self::Other => 2,
            Self::Invalid => 3,
            Self::Timeout => 4,
            Self::NotFound => 5,
            Self::RateLimited => 8,
            Self::Precondition | Self::InsufficientFunds | Self::Rejected | Self::Config => 9,
            Self::Conflict => 10,
            Self::Unsupported => 12,
            Self::Internal | Self::Inconsistent | Self::Calculation => 13,
            Self::Unavailable | Self::Connection => 14,
            Self::Data => 15,
            Self::Auth => 16,
        }
    }

    /// The kind of a canonical gRPC code, or nothing for 0, which is OK.
    ///
    /// A number that is no code counts as UNKNOWN, as the gRPC libraries themselves do.
    /// The table is that of [`Kind::grpc_code`].
    pub const fn of_grpc(code: i32) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::Cancelled,
            3 | 11 => Self::Invalid,
            4 => Self::Timeout,
            5 => Self::NotFound,
            6 | 10 => Self::Conflict,
            7 | 16 => Self::Auth,
            8 => Self::RateLimited,
            9 => Self::Precondition,
            12 => Self::Unsupported,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::Data,
            _ => Self::Other,
        })
    }
}
