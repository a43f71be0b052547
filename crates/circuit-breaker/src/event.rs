use std::{fmt, time::Instant};

use crate::Counts;

/// What the breaker does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum State {
    /// Calls pass and their verdicts are counted.
    Closed,
    /// Calls are rejected until the open time is over.
    ///
    /// The first call after it is a probe: nothing happens by the clock alone.
    Open,
    /// A limited number of probes pass; their verdicts close or reopen.
    HalfOpen,
    /// Calls are rejected until [`reset`](crate::Breaker::reset).
    ForcedOpen,
    /// Calls pass and nothing is counted, until a switch by hand.
    Disabled,
    /// Calls pass, verdicts are counted and thresholds told, until a switch by hand.
    MetricsOnly,
}

impl State {
    pub(crate) const fn code(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open => 1,
            Self::HalfOpen => 2,
            Self::ForcedOpen => 3,
            Self::Disabled => 4,
            Self::MetricsOnly => 5,
        }
    }

    /// The inverse of [`code`](Self::code); total, so that no read of the word can fail.
    pub(crate) const fn from_code(code: u64) -> Self {
        match code {
            0 => Self::Closed,
            1 => Self::Open,
            2 => Self::HalfOpen,
            3 => Self::ForcedOpen,
            4 => Self::Disabled,
            _ => Self::MetricsOnly,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        })
    }
}

/// Which setting of the policy trips the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Failures in a row.
    ConsecutiveFailures,
    /// Failures within the window.
    FailureCount,
    /// Share of failures within the window.
    FailureRate,
    /// Share of slow calls within the window.
    SlowRate,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureCount => "failure_count",
            Self::FailureRate => "failure_rate",
            Self::SlowRate => "slow_rate",
        })
    }
}

/// Something a listener hears of.
///
/// A rejection is no event: it would cost every caller of an open breaker; see
/// [`Totals::rejected`](crate::Totals::rejected).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A rule of the policy holds, for the first time since the counts started.
    ///
    /// The transition it causes follows, if the state is one that trips.
    Threshold {
        /// The rule that holds.
        rule: Rule,
        /// The counts that reached it.
        counts: Counts,
    },
    /// The state changed.
    Transition {
        /// The state before.
        from: State,
        /// The state after.
        to: State,
        /// When, by the caller's clock; `None` where nobody told the time.
        ///
        /// That is so for a switch by hand, and for a permit that was lost to a panic.
        at: Option<Instant>,
        /// Grows with every transition, so that a listener on several threads can order them.
        period: u64,
        /// The counts of the state before.
        counts: Counts,
    },
    /// A probe outlived its lease, so that its slot is free again.
    ProbeReclaimed {
        /// The period whose slot it had.
        period: u64,
    },
}
