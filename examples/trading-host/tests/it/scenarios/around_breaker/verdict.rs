//! From how a run ended to what was expected of it.

use backstop_error_taxonomy::{Classify as _, Effect};
use backstop_retry_backoff::{Ending, Finished, StopReason};
use serde_json::{Value, json};

use super::{Ended, Event, Outcome, Play, Stop, fail};
use crate::scenarios::{expect, stop_name};

pub(super) fn check(wanted: &Value, play: &Play, ended: &Ended) -> Outcome<()> {
    let (result, stop) = names(play, ended)?;
    let attempts = ended.as_ref().map_or_else(|it| it.attempts, |it| it.attempts);
    let last = ended.as_ref().err().and_then(|stopped| stopped.error.as_ref());
    let calls = play.calls.borrow();
    let numbers: Vec<_> = calls.iter().map(|(number, _)| *number).collect();
    let same_key = calls.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let wanted = wanted.as_object().filter(|wanted| !wanted.is_empty());
    for (key, want) in wanted.ok_or_else(|| Stop("no expect".to_owned()))? {
        let got = match key.as_str() {
            // A run that ends with a value it did not want has no error.
            "last_outcome" if result == "value" && want == "value" => continue,
            "op_runs" => json!(calls.len()),
            "attempts" => json!(attempts),
            "attempt_starts_ms" => json!(starts(play)),
            "attempt_numbers" => json!(numbers),
            "sleeps_ms" => json!(sleeps(play)),
            "result" => json!(result),
            "stop" => json!(stop),
            "last_outcome" => json!(last.map(|error| &error.outcome)),
            "finished_at_ms" => json!(play.finished_at.get()),
            "resolver_calls" => json!(play.asked.get()),
            "same_key_every_attempt" => json!(same_key),
            "yields" => json!(play.clock.yields.get()),
            "tokens" => json!(play.budget.as_ref().and_then(|budget| budget.tokens())),
            "breaker" => {
                check_breaker(want, play)?;
                continue;
            }
            other => return fail(format!("unknown expectation `{other}`")),
        };
        expect(key, want, &got)?;
    }
    Ok(())
}

/// The `result` and the `stop` of the format.
fn names(play: &Play, ended: &Ended) -> Outcome<(&'static str, &'static str)> {
    Ok(match ended {
        Ok(Finished { ending: Ending::Resolved, .. }) => ("resolved", "resolved"),
        Ok(Finished { ending: Ending::Unwanted(StopReason::Cancelled), .. }) => {
            ("cancelled", "cancelled")
        }
        Ok(Finished { ending: Ending::Unwanted(reason), .. }) => ("value", stop_name(*reason)),
        Ok(_) => ("ok", "success"),
        Err(stopped) => {
            let is_open = play.open.get();
            if is_open && stopped.class().effect() != Effect::Unknown {
                return fail(format!("an open outcome is reported as {:?}", stopped.class()));
            }
            let result = match stopped.reason {
                StopReason::Cancelled => "cancelled",
                _ if is_open => "unknown",
                _ => "failed",
            };
            (result, stop_name(stopped.reason))
        }
    })
}

fn starts(play: &Play) -> Vec<u64> {
    let start = |event: &Event| if let Event::Start(at) = event { Some(*at) } else { None };
    play.events.borrow().iter().filter_map(start).collect()
}

/// The waits: from the end of an attempt to what came next.
fn sleeps(play: &Play) -> Vec<u64> {
    let wait = |pair: &[Event]| match (pair[0], pair[1]) {
        (Event::End(from), Event::Start(to) | Event::Ask(to)) => Some(to - from),
        _ => None,
    };
    play.events.borrow().windows(2).filter_map(wait).collect()
}

fn check_breaker(wanted: &Value, play: &Play) -> Outcome<()> {
    let breaker = &play.breaker;
    let counts = breaker.counts(|| backstop_clock::Clock::instant(&play.clock));
    for (key, want) in wanted.as_object().ok_or_else(|| Stop("no breaker".to_owned()))? {
        let got = match key.as_str() {
            "counts" => {
                check_breaker(want, play)?;
                continue;
            }
            "state" => json!(breaker.state().to_string()),
            "open_attempt" => json!(breaker.open_attempt()),
            "total" => json!(counts.total()),
            "success" => json!(counts.success),
            "failure" => json!(counts.failure),
            "slow" => json!(counts.slow),
            "failure_rate" => json!(counts.failure_rate()),
            "slow_rate" => json!(counts.slow_rate()),
            "consecutive_failures" => json!(counts.consecutive_failures),
            other => return fail(format!("unknown expectation `breaker.{other}`")),
        };
        expect(key, want, &got)?;
    }
    Ok(())
}
