//! What a policy makes of counts: which rules hold, how probes are judged, how long to stay open.

#![expect(clippy::float_arithmetic, reason = "rates and factors are statistics, never amounts")]

use std::time::Duration;

use backstop_error_taxonomy::Kind;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    Counts, Policy, Rule,
    counts::share,
    policy::{Escalation, ProbeRule},
};

/// What the verdicts of the probes so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeVerdict {
    Wait,
    Close,
    Reopen,
}

/// The trip rules that hold at `counts`.
pub(crate) fn rules_met(policy: &Policy, counts: Counts) -> impl Iterator<Item = Rule> + use<> {
    let enough = counts.total() >= policy.min_calls.into();
    let reached = |limit: Option<u32>, n: u64| limit.is_some_and(|limit| n >= limit.into());
    let met = |limit: Option<f64>, part: u64| enough && rate_met(limit, part, counts.total());
    [
        reached(policy.consecutive_failures, counts.consecutive_failures.into())
            .then_some(Rule::ConsecutiveFailures),
        reached(policy.failure_count, counts.failure).then_some(Rule::FailureCount),
        met(policy.failure_rate, counts.failure).then_some(Rule::FailureRate),
        met(policy.slow_rate, counts.slow).then_some(Rule::SlowRate),
    ]
    .into_iter()
    .flatten()
}

/// Good verdicts that may follow on `counts` before one of them could make a rate hold.
///
/// A good verdict lowers every rate, so it can only trip by completing the minimum of calls.
pub(crate) fn safe_good(policy: &Policy, counts: Counts) -> u64 {
    let (total, min) = (counts.total(), u64::from(policy.min_calls));
    let at_min = |limit: Option<f64>, part: u64| rate_met(limit, part, min);
    let trips =
        at_min(policy.failure_rate, counts.failure) || at_min(policy.slow_rate, counts.slow);
    if total < min && trips { min - total - 1 } else { u64::MAX }
}

/// What the probes say; `bad` of them failed, or were slow where that counts.
pub(crate) fn judge_probes(policy: &Policy, counts: Counts, bad: u32) -> ProbeVerdict {
    let needed = match policy.probe_rule {
        ProbeRule::All => policy.probes,
        ProbeRule::AtLeast(successes) => successes,
        ProbeRule::Rate => return judge_probes_by_rate(policy, counts),
    };
    if counts.total() - u64::from(bad) >= needed.into() {
        ProbeVerdict::Close
    } else if bad > policy.probes.saturating_sub(needed) {
        ProbeVerdict::Reopen
    } else {
        ProbeVerdict::Wait
    }
}

fn judge_probes_by_rate(policy: &Policy, counts: Counts) -> ProbeVerdict {
    let total = counts.total();
    if total < policy.probes.into() {
        ProbeVerdict::Wait
    } else if rate_met(policy.failure_rate, counts.failure, total)
        || rate_met(policy.slow_rate, counts.slow, total)
    {
        ProbeVerdict::Reopen
    } else {
        ProbeVerdict::Close
    }
}

fn rate_met(limit: Option<f64>, part: u64, total: u64) -> bool {
    limit.is_some_and(|limit| total > 0 && share(part, total) >= limit)
}

/// The open time of the opening after `reopenings` reopenings without a close in between.
///
/// `draw` tells the openings of all breakers apart, so that each has a jitter of its own.
pub(crate) fn open_time(policy: &Policy, reopenings: u32, draw: u64) -> Duration {
    let time = escalated(policy, reopenings);
    match policy.open_jitter {
        // Drawn on the limited time and only ever less, so that breakers at the limit still spread.
        Some(jitter) => {
            let mut rng = SmallRng::seed_from_u64(jitter.seed ^ draw);
            let left = 1.0 - jitter.share * rng.random::<f64>();
            // A time near the longest may round to more than a duration holds.
            Duration::try_from_secs_f64(time.as_secs_f64() * left).unwrap_or(time).min(time)
        }
        None => time,
    }
}

fn escalated(policy: &Policy, reopenings: u32) -> Duration {
    match policy.escalation {
        // No time stays none: times a power that has grown to infinity it would be no number.
        Some(Escalation { factor, open_time_max })
            if reopenings > 0 && !policy.open_time.is_zero() =>
        {
            let power = factor.powi(i32::try_from(reopenings).unwrap_or(i32::MAX));
            // An overflow is beyond the limit, whatever the limit.
            Duration::try_from_secs_f64(policy.open_time.as_secs_f64() * power)
                .map_or(open_time_max, |time| time.min(open_time_max))
        }
        _ => policy.open_time,
    }
}

/// The other side was reached, understood the request and said no.
pub(crate) const fn is_answer(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Invalid
            | Kind::Auth
            | Kind::NotFound
            | Kind::Conflict
            | Kind::Precondition
            | Kind::InsufficientFunds
            | Kind::Rejected
            | Kind::Unsupported
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_extreme_of_an_open_time_panics_or_grows_from_nothing() {
        let probing_at_once = Policy::new(Duration::ZERO).with_escalation(2.0, Duration::MAX);
        for reopenings in [1, 1_023, 1_024, u32::MAX] {
            assert_eq!(open_time(&probing_at_once, reopenings, 0), Duration::ZERO);
        }
        let forever = Policy::new(Duration::MAX).with_open_jitter(f64::MIN_POSITIVE, 7);
        assert_eq!(open_time(&forever, 0, 0), Duration::MAX);
    }
}
