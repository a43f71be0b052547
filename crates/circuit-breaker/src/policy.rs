use std::time::Duration;

use backstop_error_taxonomy::{Class, Kind};

use crate::{PolicyError, policy_error, trip};

/// One verdict is enough for a rate to trip, unless the policy asks for more.
const MIN_CALLS_DEFAULT: u32 = 1;

/// One probe at a time: a service that has just failed should not meet a herd.
const PROBES_DEFAULT: u32 = 1;

#[cfg(feature = "serde")]
const fn min_calls_default() -> u32 {
    MIN_CALLS_DEFAULT
}

#[cfg(feature = "serde")]
const fn probes_default() -> u32 {
    PROBES_DEFAULT
}

/// When the breaker opens, for how long, and what closes it again.
///
/// At least one of the trip rules is required; any one that holds opens the breaker.
///
/// | setting | default |
/// |---|---|
/// | `consecutive_failures`, `failure_count`, `failure_rate`, `slow_rate` | not used |
/// | `count_window`, `time_window` | none; needed by count and rates |
/// | `slow_call` | none: calls are not timed; needed by the slow rate |
/// | `min_calls` | 1 verdict in the window before a rate can trip |
/// | `probes` | 1 |
/// | `probe_rule` | [`ProbeRule::All`] |
/// | `probe_lease`, `half_open_max` | none: a probe that never ends keeps its slot |
/// | `escalation`, `open_jitter` | none: every open time is the same |
/// | `verdict` | what [`Permit::judge`](crate::Permit::judge) says |
/// | `initial` | [`Initial::Closed`] |
/// | `dry_run` | off |
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy, ProbeRule};
///
/// let policy = Policy::new(Duration::from_secs(30))
///     .with_consecutive_failures(5)
///     .with_time_window(Duration::from_secs(60), 12)
///     .with_failure_rate(0.5)
///     .with_slow_calls(Duration::from_secs(2), 0.8)
///     .with_min_calls(20)
///     .with_probes(3)
///     .with_probe_rule(ProbeRule::AtLeast(2))
///     .with_probe_lease(Duration::from_secs(10))
///     .with_escalation(2.0, Duration::from_secs(600));
/// assert!(Breaker::new(policy).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Policy {
    pub(crate) consecutive_failures: Option<u32>,
    pub(crate) failure_count: Option<u32>,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_rate: Option<f64>,
    #[cfg_attr(feature = "serde", serde(rename = "slow_call_ms", default))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::optional_millis"))]
    pub(crate) slow_call: Option<Duration>,
    pub(crate) window: Option<Span>,
    #[cfg_attr(feature = "serde", serde(default = "min_calls_default"))]
    pub(crate) min_calls: u32,
    #[cfg_attr(feature = "serde", serde(rename = "open_time_ms"))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::millis"))]
    pub(crate) open_time: Duration,
    pub(crate) escalation: Option<Escalation>,
    pub(crate) open_jitter: Option<Jitter>,
    #[cfg_attr(feature = "serde", serde(default = "probes_default"))]
    pub(crate) probes: u32,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) probe_rule: ProbeRule,
    #[cfg_attr(feature = "serde", serde(rename = "probe_lease_ms", default))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::optional_millis"))]
    pub(crate) probe_lease: Option<Duration>,
    pub(crate) half_open_max: Option<HalfOpenMax>,
    /// Few, so that a list is the fastest map; the last of a kind counts.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::kinds"))]
    pub(crate) verdicts: Vec<(Kind, Verdict)>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) initial: Initial,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) dry_run: bool,
}

/// How far back the window reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(crate) enum Span {
    Count(u32),
    Time {
        #[cfg_attr(feature = "serde", serde(rename = "length_ms"))]
        #[cfg_attr(feature = "serde", serde(with = "crate::plain::millis"))]
        length: Duration,
        slices: u32,
    },
}

/// How the probes of a half-open period are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ProbeRule {
    /// All probes must be good; the first bad one reopens.
    ///
    /// A slow success is a bad probe where the slow rate is a trip rule.
    #[default]
    All,
    /// So many good probes close; the bad one that puts them out of reach reopens.
    AtLeast(u32),
    /// After the last probe, the policy's failure rate and slow rate decide.
    Rate,
}

/// What the result of a call is to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Verdict {
    /// It speaks for the other side.
    Success,
    /// It speaks against the other side.
    Failure,
    /// It says nothing of the other side: no count, and a probe's slot is free again.
    Ignored,
}

/// The state of a breaker that nobody has called yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Initial {
    /// Calls pass.
    #[default]
    Closed,
    /// Nothing passes for one open time, which starts when the breaker is first told the time.
    Open,
    /// Nothing passes until a reset.
    ForcedOpen,
    /// Everything passes and nothing is counted.
    Disabled,
    /// Everything passes and is counted.
    MetricsOnly,
}

/// Where a half-open period goes that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AfterHalfOpen {
    /// Back to open: nothing has shown that the other side is well.
    Open,
    /// On to closed: nothing has shown that it is not.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(crate) struct HalfOpenMax {
    #[cfg_attr(feature = "serde", serde(rename = "time_ms"))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::millis"))]
    pub(crate) time: Duration,
    pub(crate) then: AfterHalfOpen,
}

/// The open time grows by a factor from one reopening to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(crate) struct Escalation {
    pub(crate) factor: f64,
    #[cfg_attr(feature = "serde", serde(rename = "open_time_max_ms"))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::millis"))]
    pub(crate) open_time_max: Duration,
}

/// Each open time is cut by a random part.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(crate) struct Jitter {
    pub(crate) share: f64,
    pub(crate) seed: u64,
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
            slow_rate: None,
            slow_call: None,
            window: None,
            min_calls: MIN_CALLS_DEFAULT,
            open_time,
            escalation: None,
            open_jitter: None,
            probes: PROBES_DEFAULT,
            probe_rule: ProbeRule::All,
            probe_lease: None,
            half_open_max: None,
            verdicts: Vec::new(),
            initial: Initial::Closed,
            dry_run: false,
        }
    }

    /// Opens after `failures` failures in a row.
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

    /// Opens when calls of `limit` or longer are at least the share `rate` of the window's verdicts.
    ///
    /// More than 0, at most 1.
    /// A call that fails slowly is both.
    #[must_use]
    pub const fn with_slow_calls(mut self, limit: Duration, rate: f64) -> Self {
        self.slow_rate = Some(rate);
        self.with_slow_call(limit)
    }

    /// Counts calls of `limit` or longer as slow, without a rule that trips on them.
    #[must_use]
    pub const fn with_slow_call(mut self, limit: Duration) -> Self {
        self.slow_call = Some(limit);
        self
    }

    /// Judges by exactly the last `size` verdicts.
    #[must_use]
    pub const fn with_count_window(mut self, size: u32) -> Self {
        self.window = Some(Span::Count(size));
        self
    }

    /// Judges by the verdicts of the last `length`, which is divided into so many slices.
    ///
    /// The window is the current slice and the ones before it, so it reaches back between
    /// `length` less a slice and `length`.
    /// A verdict is booked in the slice in which it arrives.
    #[must_use]
    pub const fn with_time_window(mut self, length: Duration, slices: u32) -> Self {
        self.window = Some(Span::Time { length, slices });
        self
    }

    /// Lets a rate trip only with at least `calls` verdicts in the window.
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

    /// Takes the slot from a probe that has not ended within `lease`; its later result is stale.
    #[must_use]
    pub const fn with_probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = Some(lease);
        self
    }

    /// Ends a half-open period that has lasted `time`, whatever its probes do.
    #[must_use]
    pub const fn with_half_open_max(mut self, time: Duration, then: AfterHalfOpen) -> Self {
        self.half_open_max = Some(HalfOpenMax { time, then });
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

    /// Cuts each open time by a random part of up to `share` of it.
    ///
    /// More than 0, at most 1.
    /// It keeps breakers of several processes from probing together, and the limit of the
    /// escalation holds with it.
    /// The same `seed` draws the same open times.
    #[must_use]
    pub const fn with_open_jitter(mut self, share: f64, seed: u64) -> Self {
        self.open_jitter = Some(Jitter { share, seed });
        self
    }

    /// Judges errors of `kind` as `verdict` says, instead of the usual way.
    ///
    /// A refusal by a breaker is ignored whatever its kind.
    #[must_use]
    pub fn with_verdict(mut self, kind: Kind, verdict: Verdict) -> Self {
        self.verdicts.retain(|(other, _)| *other != kind);
        self.verdicts.push((kind, verdict));
        self
    }

    /// Starts in the state `initial`.
    #[must_use]
    pub const fn with_initial(mut self, initial: Initial) -> Self {
        self.initial = initial;
        self
    }

    /// Lets the breaker work as usual but reject nothing.
    ///
    /// What would be rejected is admitted, counted in
    /// [`Totals::would_reject`](crate::Totals::would_reject), and its result does not judge.
    /// A full [`Registry`](crate::Registry) does the same.
    #[must_use]
    pub const fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Whether a probe that never ends would keep its slot for ever.
    ///
    /// So it is without a lease and without a longest half-open period: then the breaker may stay
    /// half-open for good, unless every call it guards has a time limit of its own.
    /// A program that cannot promise this may refuse such a policy, or warn of it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_circuit_breaker::Policy;
    ///
    /// let policy = Policy::new(Duration::from_secs(30)).with_consecutive_failures(5);
    /// assert!(policy.probes_may_hang());
    /// assert!(!policy.with_probe_lease(Duration::from_secs(10)).probes_may_hang());
    /// ```
    pub const fn probes_may_hang(&self) -> bool {
        self.probe_lease.is_none() && self.half_open_max.is_none()
    }

    /// Every setting is possible, alone and with the others.
    ///
    /// # Errors
    /// Every setting that is not, at once.
    pub fn check(&self) -> Result<(), PolicyError> {
        policy_error::check(self)
    }

    /// The verdict for an error of this class.
    ///
    /// | class | verdict |
    /// |---|---|
    /// | a refusal by a breaker | ignored |
    /// | of a kind [set by hand](Self::with_verdict) | as set |
    /// | [counts for a breaker](Class::counts_for_breaker) | failure |
    /// | an answer all the same: a reject, missing funds, an invalid request, ... | success |
    /// | anything else: a cancelled call, bad data, ... | ignored |
    ///
    /// The last row is about this side or says too little, so it must not close a breaker either.
    pub fn verdict(&self, class: Class) -> Verdict {
        let own = self.verdicts.iter().find(|(kind, _)| *kind == class.kind());
        match own {
            Some((_, verdict)) if !class.is_breaker_refusal() => *verdict,
            _ => usual_verdict(class),
        }
    }
}

/// What an error is to a breaker whose policy says nothing of its kind.
pub(crate) const fn usual_verdict(class: Class) -> Verdict {
    if class.is_breaker_refusal() {
        Verdict::Ignored
    } else if class.counts_for_breaker() {
        Verdict::Failure
    } else if trip::is_answer(class.kind()) {
        Verdict::Success
    } else {
        Verdict::Ignored
    }
}
