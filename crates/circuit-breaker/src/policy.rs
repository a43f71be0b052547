#![expect(clippy::float_arithmetic, reason = "rates and factors are statistics, never amounts")]

use std::time::Duration;

use backstop_error_taxonomy::{Class, Classify, Kind};

use crate::{Counts, Rule, word::RUN_MAX};

/// One verdict is enough for a rate to trip, unless the policy asks for more.
const MIN_CALLS_DEFAULT: u32 = 1;

/// One probe at a time: a service that has just failed should not meet a herd.
const PROBES_DEFAULT: u32 = 1;

/// Verdicts a count window may hold; a bit each, so 128 KiB.
const WINDOW_SIZE_MAX: u32 = 1 << 20;

/// When the breaker opens, for how long, and what closes it again.
///
/// At least one of the trip rules is required; any one that holds opens the breaker.
///
/// | setting | default |
/// |---|---|
/// | `consecutive_failures`, `failure_count`, `failure_rate` | not used |
/// | `count_window` | none; needed by count and rate |
/// | `min_calls` | 1 verdict in the window before the rate can trip |
/// | `probes` | 1 |
/// | `probe_rule` | [`ProbeRule::All`] |
/// | `escalation` | none: every open time is the same |
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy, ProbeRule};
///
/// let policy = Policy::new(Duration::from_secs(30))
///     .with_consecutive_failures(5)
///     .with_count_window(100)
///     .with_failure_rate(0.5)
///     .with_min_calls(20)
///     .with_probes(3)
///     .with_probe_rule(ProbeRule::AtLeast(2))
///     .with_escalation(2.0, Duration::from_secs(600));
/// assert!(Breaker::new(policy).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    consecutive_failures: Option<u32>,
    failure_count: Option<u32>,
    failure_rate: Option<f64>,
    window_size: Option<u32>,
    min_calls: u32,
    open_time: Duration,
    escalation: Option<Escalation>,
    probes: u32,
    probe_rule: ProbeRule,
}

/// How the probes of a half-open period are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProbeRule {
    /// All probes must succeed; the first failure reopens.
    #[default]
    All,
    /// So many successes close; the failure that puts them out of reach reopens.
    AtLeast(u32),
    /// After the last probe, the policy's failure rate decides.
    Rate,
}

/// The open time grows by a factor from one reopening to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Escalation {
    factor: f64,
    open_time_max: Duration,
}

/// What the verdicts of the probes so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeVerdict {
    Wait,
    Close,
    Reopen,
}

impl Policy {
    /// A policy without a trip rule yet.
    ///
    /// An open breaker admits its first probe once `open_time` has passed; zero means with the
    /// very next call.
    pub const fn new(open_time: Duration) -> Self {
        Self {
            consecutive_failures: None,
            failure_count: None,
            failure_rate: None,
            window_size: None,
            min_calls: MIN_CALLS_DEFAULT,
            open_time,
            escalation: None,
            probes: PROBES_DEFAULT,
            probe_rule: ProbeRule::All,
        }
    }

    /// Opens after `failures` failures in a row.
    ///
    /// Alone, this is the cheapest rule: no lock, and no write for a success after a success.
    #[must_use]
    pub const fn with_consecutive_failures(mut self, failures: u32) -> Self {
        self.consecutive_failures = Some(failures);
        self
    }

    /// Opens at `failures` failures within the window.
    #[must_use]
    pub const fn with_failure_count(mut self, failures: u32) -> Self {
        self.failure_count = Some(failures);
        self
    }

    /// Opens when failures are at least the share `rate` of the window's verdicts.
    ///
    /// More than 0, at most 1.
    #[must_use]
    pub const fn with_failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// Judges by exactly the last `size` verdicts.
    #[must_use]
    pub const fn with_count_window(mut self, size: u32) -> Self {
        self.window_size = Some(size);
        self
    }

    /// Lets the failure rate trip only with at least `calls` verdicts in the window.
    #[must_use]
    pub const fn with_min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Admits `probes` calls in one half-open period.
    ///
    /// Verdicts given plus probes in flight never exceed it.
    #[must_use]
    pub const fn with_probes(mut self, probes: u32) -> Self {
        self.probes = probes;
        self
    }

    /// Judges the probes by `rule`.
    #[must_use]
    pub const fn with_probe_rule(mut self, rule: ProbeRule) -> Self {
        self.probe_rule = rule;
        self
    }

    /// Multiplies the open time by `factor` at each reopening, up to `open_time_max`.
    ///
    /// A close starts it afresh.
    #[must_use]
    pub const fn with_escalation(mut self, factor: f64, open_time_max: Duration) -> Self {
        self.escalation = Some(Escalation { factor, open_time_max });
        self
    }

    /// Every setting is possible, alone and with the others.
    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        self.check_trip()?;
        self.check_probes()?;
        if let Some(Escalation { factor, open_time_max }) = self.escalation {
            if !(factor.is_finite() && factor >= 1.0) {
                return Err(PolicyError::Factor { factor });
            }
            if open_time_max < self.open_time {
                return Err(PolicyError::OpenTimeMax { open_time_max, open_time: self.open_time });
            }
        }
        Ok(())
    }

    fn check_trip(&self) -> Result<(), PolicyError> {
        let (count, rate) = (self.failure_count, self.failure_rate);
        if self.consecutive_failures.is_none() && count.is_none() && rate.is_none() {
            return Err(PolicyError::NoRule);
        }
        if let Some(failures) = self.consecutive_failures
            && !(1..=RUN_MAX).contains(&failures)
        {
            return Err(PolicyError::ConsecutiveFailures { failures });
        }
        if let Some(rate) = rate
            && !(rate > 0.0 && rate <= 1.0)
        {
            return Err(PolicyError::FailureRate { rate });
        }
        let Some(size) = self.window_size else {
            return if count.or(rate.map(|_| 1)).is_some() {
                Err(PolicyError::NoWindow)
            } else {
                Ok(())
            };
        };
        if !(1..=WINDOW_SIZE_MAX).contains(&size) {
            return Err(PolicyError::WindowSize { size });
        }
        if !(1..=size).contains(&self.min_calls) {
            return Err(PolicyError::MinCalls { calls: self.min_calls, size });
        }
        match count {
            Some(failures) if !(1..=size).contains(&failures) => {
                Err(PolicyError::FailureCount { failures, size })
            }
            _ => Ok(()),
        }
    }

    const fn check_probes(&self) -> Result<(), PolicyError> {
        let probes = self.probes;
        match self.probe_rule {
            _ if probes == 0 => Err(PolicyError::Probes),
            ProbeRule::AtLeast(successes) if successes == 0 || successes > probes => {
                Err(PolicyError::ProbeSuccesses { successes, probes })
            }
            ProbeRule::Rate if self.failure_rate.is_none() => Err(PolicyError::ProbeRate),
            _ => Ok(()),
        }
    }

    pub(crate) const fn window_size(&self) -> Option<u32> {
        self.window_size
    }

    pub(crate) const fn probes(&self) -> u32 {
        self.probes
    }

    /// The threshold, if the run of failures is all the policy looks at.
    pub(crate) const fn run_threshold_alone(&self) -> Option<u32> {
        match self.window_size {
            None => self.consecutive_failures,
            Some(_) => None,
        }
    }

    /// The open time of the opening after `reopenings` reopenings without a close in between.
    pub(crate) fn open_time(&self, reopenings: u32) -> Duration {
        match self.escalation {
            Some(Escalation { factor, open_time_max }) if reopenings > 0 => {
                let power = factor.powi(i32::try_from(reopenings).unwrap_or(i32::MAX));
                // An overflow is beyond the limit, whatever the limit.
                Duration::try_from_secs_f64(self.open_time.as_secs_f64() * power)
                    .map_or(open_time_max, |time| time.min(open_time_max))
            }
            _ => self.open_time,
        }
    }

    /// The trip rules that hold at `counts`.
    pub(crate) fn rules_met(&self, counts: Counts) -> impl Iterator<Item = Rule> + use<> {
        let reached = |limit: Option<u32>, n: u32| limit.is_some_and(|limit| n >= limit);
        let rate = counts.total() >= self.min_calls && self.rate_met(counts);
        [
            (reached(self.consecutive_failures, counts.consecutive_failures))
                .then_some(Rule::ConsecutiveFailures),
            reached(self.failure_count, counts.failure).then_some(Rule::FailureCount),
            rate.then_some(Rule::FailureRate),
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) fn judge_probes(&self, counts: Counts) -> ProbeVerdict {
        let needed = match self.probe_rule {
            ProbeRule::All => self.probes,
            ProbeRule::AtLeast(successes) => successes,
            ProbeRule::Rate => return self.judge_probes_by_rate(counts),
        };
        if counts.success >= needed {
            ProbeVerdict::Close
        } else if counts.failure > self.probes - needed {
            ProbeVerdict::Reopen
        } else {
            ProbeVerdict::Wait
        }
    }

    fn judge_probes_by_rate(&self, counts: Counts) -> ProbeVerdict {
        if counts.total() < self.probes {
            ProbeVerdict::Wait
        } else if self.rate_met(counts) {
            ProbeVerdict::Reopen
        } else {
            ProbeVerdict::Close
        }
    }

    /// Division rounds correctly, so 3 of 10 is exactly the number written as 0.3.
    fn rate_met(&self, counts: Counts) -> bool {
        matches!((self.failure_rate, counts.failure_rate()), (Some(limit), Some(rate)) if rate >= limit)
    }
}

/// A setting of the policy is impossible; nothing was built.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy};
///
/// let policy = Policy::new(Duration::from_secs(1)).with_failure_rate(0.5).with_count_window(10);
/// let error = Breaker::new(policy.with_min_calls(11)).unwrap_err();
/// assert_eq!(error.setting(), "min_calls");
/// assert_eq!(error.to_string(), "min_calls is 11; it must be 1 to the window size of 10");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the messages print")]
pub enum PolicyError {
    /// A breaker that can never open.
    #[error("trip has no rule; give consecutive failures, a failure count or a failure rate")]
    NoRule,
    /// Zero, or more than the state word can count.
    #[error("trip.consecutive_failures is {failures}; it must be 1 to {RUN_MAX}")]
    ConsecutiveFailures { failures: u32 },
    /// Zero, or more than the window can hold.
    #[error("trip.failure_count is {failures}; it must be 1 to the window size of {size}")]
    FailureCount { failures: u32, size: u32 },
    /// Not a share.
    #[error("trip.failure_rate is {rate}; it must be more than 0 and at most 1")]
    FailureRate { rate: f64 },
    /// A count or a rate of nothing.
    #[error("window is missing; a failure count and a failure rate need one")]
    NoWindow,
    /// Zero, or more than is kept.
    #[error("window.size is {size}; it must be 1 to {WINDOW_SIZE_MAX}")]
    WindowSize { size: u32 },
    /// Zero, or more than the window can hold, so that the rate could never trip.
    #[error("min_calls is {calls}; it must be 1 to the window size of {size}")]
    MinCalls { calls: u32, size: u32 },
    /// A breaker that can never close.
    #[error("probes is 0; it must be at least 1")]
    Probes,
    /// Zero, or more than there are probes.
    #[error("verdict.successes is {successes}; it must be 1 to the number of probes, {probes}")]
    ProbeSuccesses { successes: u32, probes: u32 },
    /// A verdict by a rate that is not set.
    #[error("verdict is by rate; it needs trip.failure_rate")]
    ProbeRate,
    /// Not a number, or it would shrink the open time.
    #[error("open_factor is {factor}; it must be a finite number of at least 1")]
    Factor { factor: f64 },
    /// A limit below where the open time starts.
    #[error("open_time_max is {open_time_max:?}; it must be at least the open time, {open_time:?}")]
    OpenTimeMax { open_time_max: Duration, open_time: Duration },
}

impl PolicyError {
    /// The setting at fault, as a dotted name.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::NoRule => "trip",
            Self::ConsecutiveFailures { .. } => "trip.consecutive_failures",
            Self::FailureCount { .. } => "trip.failure_count",
            Self::FailureRate { .. } => "trip.failure_rate",
            Self::NoWindow => "window",
            Self::WindowSize { .. } => "window.size",
            Self::MinCalls { .. } => "min_calls",
            Self::Probes => "probes",
            Self::ProbeSuccesses { .. } => "verdict.successes",
            Self::ProbeRate => "verdict",
            Self::Factor { .. } => "open_factor",
            Self::OpenTimeMax { .. } => "open_time_max",
        }
    }
}

impl Classify for PolicyError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}
