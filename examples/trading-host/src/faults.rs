//! How often the venue fails, and in which ways.
//!
//! A fault is decided by a hash of (seed, kind, key, attempt), so it befalls the same order however
//! the rest of the run goes.
//! A submit request meets at most one fault, and so does an event and a read.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// How rough a run is.
///
/// ```
/// use trading_host::faults::Profile;
///
/// let profile: Profile = "storm".parse()?;
/// assert_eq!(profile, Profile::Storm);
/// assert_eq!(
///     "rain".parse::<Profile>().unwrap_err().to_string(),
///     "fault profile `rain`: must be none, calm or storm",
/// );
/// # Ok::<(), trading_host::faults::UnknownProfile>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Nothing fails.
    None,
    /// A fault now and then, and one outage.
    Calm,
    /// Every kind of fault many times, two outages and a drift.
    Storm,
}

/// No profile has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault profile `{value}`: must be none, calm or storm")]
pub struct UnknownProfile {
    /// The name as given.
    pub value: String,
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        match text {
            "none" => Ok(Self::None),
            "calm" => Ok(Self::Calm),
            "storm" => Ok(Self::Storm),
            _ => Err(UnknownProfile { value: text.to_owned() }),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Calm => "calm",
            Self::Storm => "storm",
        })
    }
}

impl Profile {
    /// The rates of this profile.
    ///
    /// In a storm, 1,500 orders are expected to meet each submit fault about 30 times: fewer than
    /// ten is then a matter of one seed in 100,000.
    /// Of an event, most orders have two or more.
    pub const fn rates(self) -> Rates {
        match self {
            Self::None => Rates::NONE,
            Self::Calm => Rates {
                submit: SubmitRates::even(1_000),
                event: EventRates {
                    duplicate: 500,
                    out_of_order: 1_000,
                    dropped: 0,
                    malformed: 500,
                    delayed: 500,
                },
                read: ReadRates { timeout: 20, reset: 20, error: 20 },
                skewed_days: 50_000,
                outages: 1,
                drifts: 0,
            },
            Self::Storm => Rates {
                submit: SubmitRates::even(20_000),
                event: EventRates {
                    duplicate: 8_000,
                    // Comes to pass only if another event is on the same page.
                    out_of_order: 24_000,
                    dropped: 8_000,
                    malformed: 8_000,
                    delayed: 8_000,
                },
                read: ReadRates { timeout: 100, reset: 100, error: 100 },
                skewed_days: 200_000,
                outages: 2,
                drifts: 1,
            },
        }
    }
}

/// How often each fault comes, in hits per million chances where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Per submit request.
    pub submit: SubmitRates,
    /// Per event.
    pub event: EventRates,
    /// Per look-up, cancel, page of events and statement.
    pub read: ReadRates,
    /// Days on which the venue's clock is off.
    pub skewed_days: u32,
    /// Outages in all.
    pub outages: u32,
    /// Silent changes of a balance in all: none or one.
    pub drifts: u32,
}

impl Rates {
    /// Nothing fails.
    pub const NONE: Self = Self {
        submit: SubmitRates::even(0),
        event: EventRates { duplicate: 0, out_of_order: 0, dropped: 0, malformed: 0, delayed: 0 },
        read: ReadRates { timeout: 0, reset: 0, error: 0 },
        skewed_days: 0,
        outages: 0,
        drifts: 0,
    };
}

/// Faults of submit requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitRates {
    /// No answer, and no order.
    pub timeout_before_effect: u32,
    /// No answer, but an order.
    pub timeout_after_effect: u32,
    /// No answer, and an order that nobody can find for some seconds.
    pub late_acceptance: u32,
    /// The connection breaks: half of them before the effect, half after it.
    pub connection_reset: u32,
    /// 429 with Retry-After; no order.
    pub rate_limited: u32,
    /// 503; no order, which the answer does not say.
    pub server_error: u32,
    /// The venue says no.
    pub reject: u32,
}

impl SubmitRates {
    /// Each fault as often as the next.
    pub const fn even(rate: u32) -> Self {
        Self {
            timeout_before_effect: rate,
            timeout_after_effect: rate,
            late_acceptance: rate,
            connection_reset: rate,
            rate_limited: rate,
            server_error: rate,
            reject: rate,
        }
    }
}

/// Faults of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRates {
    /// The event comes again under a number of its own.
    pub duplicate: u32,
    /// The event comes after its successor, if its first page has one.
    pub out_of_order: u32,
    /// The event is never delivered.
    pub dropped: u32,
    /// Half of the payload is missing on the first delivery.
    pub malformed: u32,
    /// The event is delivered a second or two after it happened.
    pub delayed: u32,
}

/// Faults of reads and cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRates {
    /// No answer.
    pub timeout: u32,
    /// The connection breaks.
    pub reset: u32,
    /// 503.
    pub error: u32,
}

/// What befalls a submit request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubmitFault {
    TimeoutBeforeEffect,
    TimeoutAfterEffect,
    LateAcceptance,
    ResetBeforeEffect,
    ResetAfterEffect,
    RateLimited,
    ServerError,
    Reject,
}

impl SubmitFault {
    /// Its name in the audit.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::TimeoutBeforeEffect => "timeout_before_effect",
            Self::TimeoutAfterEffect => "timeout_after_effect",
            Self::LateAcceptance => "late_acceptance",
            Self::ResetBeforeEffect | Self::ResetAfterEffect => "connection_reset",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Reject => "reject",
        }
    }
}

/// What befalls an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventFault {
    Duplicate,
    OutOfOrder,
    Dropped,
    Malformed,
    Delayed,
}

impl EventFault {
    /// Its name in the audit.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate_event",
            Self::OutOfOrder => "out_of_order_event",
            Self::Dropped => "dropped_event",
            Self::Malformed => "malformed_event",
            Self::Delayed => "delayed_event",
        }
    }
}

/// What befalls a read or a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadFault {
    Timeout,
    Reset,
    Error,
}

impl ReadFault {
    /// Its name in the audit.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Timeout => "read_timeout",
            Self::Reset => "read_reset",
            Self::Error => "read_error",
        }
    }
}

impl SubmitRates {
    /// The fault of one attempt at one order.
    pub(crate) fn draw(&self, chance: Chance, order: &[u8], attempt: u64) -> Option<SubmitFault> {
        use SubmitFault as Fault;
        let draw = chance.draw("submit", order, attempt);
        // Taken from the other end of the number, the half does not depend on the fault.
        let reset =
            if draw >> 63 == 0 { Fault::ResetBeforeEffect } else { Fault::ResetAfterEffect };
        pick(
            draw,
            &[
                (self.timeout_before_effect, Fault::TimeoutBeforeEffect),
                (self.timeout_after_effect, Fault::TimeoutAfterEffect),
                (self.late_acceptance, Fault::LateAcceptance),
                (self.connection_reset, reset),
                (self.rate_limited, Fault::RateLimited),
                (self.server_error, Fault::ServerError),
                (self.reject, Fault::Reject),
            ],
        )
    }
}

impl EventRates {
    /// The fault of one event.
    pub(crate) fn draw(&self, chance: Chance, sequence: u64) -> Option<EventFault> {
        pick(
            chance.draw("event", sequence.to_be_bytes(), 0),
            &[
                (self.duplicate, EventFault::Duplicate),
                (self.out_of_order, EventFault::OutOfOrder),
                (self.dropped, EventFault::Dropped),
                (self.malformed, EventFault::Malformed),
                (self.delayed, EventFault::Delayed),
            ],
        )
    }
}

impl ReadRates {
    /// The fault that a draw means.
    pub(crate) fn draw(&self, draw: u64) -> Option<ReadFault> {
        pick(
            draw,
            &[
                (self.timeout, ReadFault::Timeout),
                (self.reset, ReadFault::Reset),
                (self.error, ReadFault::Error),
            ],
        )
    }

    /// Whether no read ever fails, so that nothing need be drawn.
    pub(crate) const fn is_none(&self) -> bool {
        self.timeout == 0 && self.reset == 0 && self.error == 0
    }
}

/// The choice whose share of a million the draw falls into; the rates are laid end to end.
fn pick<T: Copy>(draw: u64, choices: &[(u32, T)]) -> Option<T> {
    let mut place = draw % 1_000_000;
    for &(rate, choice) in choices {
        match place.checked_sub(u64::from(rate)) {
            None => return Some(choice),
            Some(rest) => place = rest,
        }
    }
    None
}
