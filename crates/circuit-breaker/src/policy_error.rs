use std::{fmt, time::Duration};

use backstop_error_taxonomy::{Class, Classify, Kind};

use crate::{
    Policy,
    policy::{Escalation, ProbeRule, Span},
};

/// Verdicts a count window may hold; two bits each, so 256 KiB.
const WINDOW_SIZE_MAX: u32 = 1 << 20;

/// Slices a time window may have: an hour by the second.
const SLICES_MAX: u32 = 3_600;

/// Probes of one half-open period; those in flight are kept in a list.
const PROBES_MAX: u32 = 10_000;

/// Settings of a policy are impossible; nothing was built or changed.
///
/// It holds all of them, so that a configuration is corrected once.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy};
///
/// let policy = Policy::new(Duration::from_secs(1)).with_failure_rate(f64::NAN);
/// let error = Breaker::new(policy.with_count_window(10).with_min_calls(11)).unwrap_err();
/// let settings: Vec<_> = error.problems().iter().map(|problem| problem.setting()).collect();
/// assert_eq!(settings, ["trip.failure_rate", "min_calls"]);
/// assert_eq!(
///     error.to_string(),
///     "trip.failure_rate is NaN; it must be more than 0 and at most 1, and \
///      min_calls is 11; it must be 1 to the window size of 10",
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyError {
    problems: Vec<Problem>,
}

impl PolicyError {
    /// An error if there is a problem.
    pub(crate) fn of(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// What is wrong, in the order of the policy's settings; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str(", and ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

impl Classify for PolicyError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}

/// One setting of a policy that is impossible, alone or with the others.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the messages print")]
pub enum Problem {
    /// A breaker that can never open.
    #[error("trip has no rule; give consecutive failures, a failure count, or a rate")]
    NoRule,
    /// It would open before the first call.
    #[error("trip.consecutive_failures is 0; it must be at least 1")]
    ConsecutiveFailures,
    /// Zero, or more than the window can hold.
    #[error("trip.failure_count is {failures}; it must be 1 to {max}, what the window holds")]
    FailureCount { failures: u32, max: u32 },
    /// Not a share.
    #[error("trip.failure_rate is {rate}; it must be more than 0 and at most 1")]
    FailureRate { rate: f64 },
    /// Not a share.
    #[error("trip.slow_rate is {rate}; it must be more than 0 and at most 1")]
    SlowRate { rate: f64 },
    /// Every call would be slow.
    #[error("slow_call is 0; it must be longer")]
    SlowCall,
    /// Nobody said what slow is.
    #[error("slow_call is missing; the slow rate needs one")]
    NoSlowCall,
    /// A count or a rate of nothing.
    #[error("window is missing; a failure count and a rate need one")]
    NoWindow,
    /// Zero, or more than is kept.
    #[error("window.size is {size}; it must be 1 to {WINDOW_SIZE_MAX}")]
    WindowSize { size: u32 },
    /// A window that holds nothing.
    #[error("window.time is 0; it must be longer")]
    WindowTime,
    /// Zero, more than is kept, or more than the window has nanoseconds.
    #[error(
        "window.slices is {slices}; it must be 1 to {SLICES_MAX}, each of a nanosecond or more"
    )]
    Slices { slices: u32 },
    /// Zero, or more than the window can hold, so that the rate could never trip.
    #[error("min_calls is {calls}; it must be 1 to the window size of {size}")]
    MinCalls { calls: u32, size: u32 },
    /// It would say nothing.
    #[error("min_calls is 0; it must be at least 1")]
    NoMinCalls,
    /// A breaker that can never close, or a list of probes without a bound.
    #[error("probes is {probes}; it must be 1 to {PROBES_MAX}")]
    Probes { probes: u32 },
    /// Zero, or more than there are probes.
    #[error("verdict.successes is {successes}; it must be 1 to the number of probes, {probes}")]
    ProbeSuccesses { successes: u32, probes: u32 },
    /// A verdict by a rate that is not set.
    #[error("verdict is by rate; it needs trip.failure_rate or trip.slow_rate")]
    ProbeRate,
    /// Every probe would lose its slot at once.
    #[error("probe_lease is 0; it must be longer")]
    ProbeLease,
    /// No probe could ever end in time.
    #[error("half_open_max is 0; it must be longer")]
    HalfOpenMax,
    /// Not a number, or it would shrink the open time.
    #[error("open_factor is {factor}; it must be a finite number of at least 1")]
    Factor { factor: f64 },
    /// A limit below where the open time starts.
    #[error("open_time_max is {open_time_max:?}; it must be at least the open time, {open_time:?}")]
    OpenTimeMax { open_time_max: Duration, open_time: Duration },
    /// A registry that could hold no breaker.
    #[error("max_keys is 0; it must be at least 1")]
    KeysMax,
    /// A bulkhead through which nothing could pass.
    #[error("max_concurrent is 0; it must be at least 1")]
    MaxConcurrent,
    /// Nobody who waits could ever be let in.
    #[error("max_wait is 0; it must be longer")]
    MaxWait,
    /// Not a share.
    #[error("open_jitter is {share}; it must be more than 0 and at most 1")]
    OpenJitter { share: f64 },
}

impl Problem {
    /// The setting at fault, as a dotted name.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::NoRule => "trip",
            Self::ConsecutiveFailures => "trip.consecutive_failures",
            Self::FailureCount { .. } => "trip.failure_count",
            Self::FailureRate { .. } => "trip.failure_rate",
            Self::SlowRate { .. } => "trip.slow_rate",
            Self::SlowCall | Self::NoSlowCall => "slow_call",
            Self::NoWindow => "window",
            Self::WindowSize { .. } => "window.size",
            Self::WindowTime => "window.time",
            Self::Slices { .. } => "window.slices",
            Self::MinCalls { .. } | Self::NoMinCalls => "min_calls",
            Self::Probes { .. } => "probes",
            Self::ProbeSuccesses { .. } => "verdict.successes",
            Self::ProbeRate => "verdict",
            Self::ProbeLease => "probe_lease",
            Self::HalfOpenMax => "half_open_max",
            Self::Factor { .. } => "open_factor",
            Self::OpenTimeMax { .. } => "open_time_max",
            Self::KeysMax => "max_keys",
            Self::MaxConcurrent => "max_concurrent",
            Self::MaxWait => "max_wait",
            Self::OpenJitter { .. } => "open_jitter",
        }
    }
}

pub(crate) fn check(policy: &Policy) -> Result<(), PolicyError> {
    let mut problems = Vec::new();
    check_trip(policy, &mut problems);
    check_window(policy, &mut problems);
    check_probes(policy, &mut problems);
    check_open_time(policy, &mut problems);
    PolicyError::of(problems)
}

/// Of a registry: its policy and its limit.
pub(crate) fn check_keyed(policy: &Policy, keys_max: usize) -> Result<(), PolicyError> {
    let mut problems = check(policy).map_or_else(|error| error.problems, |()| Vec::new());
    if keys_max == 0 {
        problems.push(Problem::KeysMax);
    }
    PolicyError::of(problems)
}

fn is_share(rate: f64) -> bool {
    // Also false for what is no number.
    rate > 0.0 && rate <= 1.0
}

fn check_trip(policy: &Policy, problems: &mut Vec<Problem>) {
    let rates = [policy.failure_rate, policy.slow_rate];
    let counts = [policy.consecutive_failures, policy.failure_count];
    if counts.iter().all(Option::is_none) && rates.iter().all(Option::is_none) {
        problems.push(Problem::NoRule);
    }
    if policy.consecutive_failures == Some(0) {
        problems.push(Problem::ConsecutiveFailures);
    }
    let max = match policy.window {
        Some(Span::Count(size)) if size > 0 => size,
        _ => u32::MAX,
    };
    if let Some(failures) = policy.failure_count.filter(|n| !(1..=max).contains(n)) {
        problems.push(Problem::FailureCount { failures, max });
    }
    if let Some(rate) = policy.failure_rate.filter(|rate| !is_share(*rate)) {
        problems.push(Problem::FailureRate { rate });
    }
    if let Some(rate) = policy.slow_rate.filter(|rate| !is_share(*rate)) {
        problems.push(Problem::SlowRate { rate });
    }
    match policy.slow_call {
        Some(Duration::ZERO) => problems.push(Problem::SlowCall),
        None if policy.slow_rate.is_some() => problems.push(Problem::NoSlowCall),
        _ => {}
    }
}

fn check_window(policy: &Policy, problems: &mut Vec<Problem>) {
    let calls = policy.min_calls;
    match policy.window {
        Some(Span::Count(size)) if !(1..=WINDOW_SIZE_MAX).contains(&size) => {
            problems.push(Problem::WindowSize { size });
        }
        Some(Span::Count(size)) if calls > size => {
            problems.push(Problem::MinCalls { calls, size });
        }
        Some(Span::Time { length: Duration::ZERO, .. }) => problems.push(Problem::WindowTime),
        Some(Span::Time { length, slices })
            if !(1..=SLICES_MAX).contains(&slices) || length / slices == Duration::ZERO =>
        {
            problems.push(Problem::Slices { slices });
        }
        None if policy.failure_count.is_some()
            || policy.failure_rate.is_some()
            || policy.slow_rate.is_some() =>
        {
            problems.push(Problem::NoWindow);
        }
        _ => {}
    }
    if calls == 0 {
        problems.push(Problem::NoMinCalls);
    }
}

fn check_probes(policy: &Policy, problems: &mut Vec<Problem>) {
    let probes = policy.probes;
    if !(1..=PROBES_MAX).contains(&probes) {
        problems.push(Problem::Probes { probes });
    }
    match policy.probe_rule {
        ProbeRule::AtLeast(successes) if successes == 0 || successes > probes => {
            problems.push(Problem::ProbeSuccesses { successes, probes });
        }
        ProbeRule::Rate if policy.failure_rate.is_none() && policy.slow_rate.is_none() => {
            problems.push(Problem::ProbeRate);
        }
        _ => {}
    }
    if policy.probe_lease == Some(Duration::ZERO) {
        problems.push(Problem::ProbeLease);
    }
    if policy.half_open_max.is_some_and(|max| max.time == Duration::ZERO) {
        problems.push(Problem::HalfOpenMax);
    }
}

fn check_open_time(policy: &Policy, problems: &mut Vec<Problem>) {
    let open_time = policy.open_time;
    if let Some(Escalation { factor, open_time_max }) = policy.escalation {
        if !(factor.is_finite() && factor >= 1.0) {
            problems.push(Problem::Factor { factor });
        }
        if open_time_max < open_time {
            problems.push(Problem::OpenTimeMax { open_time_max, open_time });
        }
    }
    if let Some(jitter) = policy.open_jitter.filter(|jitter| !is_share(jitter.share)) {
        problems.push(Problem::OpenJitter { share: jitter.share });
    }
}
