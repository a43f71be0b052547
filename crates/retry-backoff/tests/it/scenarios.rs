#![expect(clippy::float_arithmetic, reason = "draws and factors are ratios")]

use std::convert::Infallible;
use std::time::Duration;

use backstop_clock::{Clock as _, SystemClock};
use backstop_retry_backoff::bounds::Problem;
use backstop_retry_backoff::budget::Budget;
use backstop_retry_backoff::{Jitter, OnRefusal, Policy, PolicyError, Retry, RetryAfter, Schedule};
use backstop_testkit::scenarios::{self, File, Verdict};
use rand::rngs::StdRng;
use rand::{SeedableRng, TryRng};
use serde_json::Value;

use crate::{budgets, scripted_run};

#[test]
fn scenarios() {
    scenarios::run("retry-backoff", env!("CARGO_MANIFEST_DIR"), run);
}

/// Why a case did not pass.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stop {
    Failed(String),
}

pub(crate) type Outcome<T> = Result<T, Stop>;

pub(crate) fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(why.into()))
}

const GENERAL: &[&str] = &["id", "title", "origin", "note", "tags", "kind"];

fn run(file: &File, case: &Value) -> Verdict {
    let case = &without_nulls(case);
    let outcome = match case["kind"].as_str().unwrap_or("run") {
        _ if file.defaults.is_some() => fail("this suite has no defaults"),
        // They need a second crate; the trading host runs them.
        "retry_around_breaker" => return Verdict::Elsewhere,
        "run" if case["config"].get("breaker").is_some() => return Verdict::Elsewhere,
        _ if case.get("outcomes").is_some() => return Verdict::Elsewhere,
        "budget" => known(case, &["config", "steps"]).and_then(|()| budgets::run(case)),
        "run" => known(case, &["config", "attempts", "external", "expect"])
            .and_then(|()| scripted_run::run(case)),
        "nested" => {
            known(case, &["config", "attempts", "expect"]).and_then(|()| scripted_run::nested(case))
        }
        "schedule" => each(case, &["cases"], "cases", schedule_case),
        "first_delay" => each(case, &["cases"], "cases", first_delay),
        "build" => each(case, &["cases"], "cases", build),
        "property" => {
            let keys = ["property", "seeds", "draws", "schedules"];
            each(case, &keys, "schedules", |schedule| property(case, schedule))
        }
        other => fail(format!("unknown kind `{other}`")),
    };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(Stop::Failed(why)) => Verdict::Failed(why),
    }
}

/// A setting that is null is one that is not given; in an expectation and in a hint null says something.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            let plain = |(key, value): (&String, &Value)| match key.as_str() {
                "expect" | "hint" | "retry_on_values" => (key.clone(), value.clone()),
                _ => (key.clone(), without_nulls(value)),
            };
            given.map(plain).collect()
        }
        Value::Array(values) => values.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// Runs every part of a case; the worst outcome counts.
fn each(
    case: &Value,
    keys: &[&str],
    list: &str,
    part: impl Fn(&Value) -> Outcome<()>,
) -> Outcome<()> {
    known(case, keys)?;
    let parts = case[list].as_array().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| Stop::Failed(format!("`{list}` is no list with entries")))?;
    let worst = parts.iter().filter_map(|one| part(one).err()).max();
    worst.map_or(Ok(()), Err)
}

fn schedule_case(case: &Value) -> Outcome<()> {
    only(case, &["schedule", "draws", "expect"])?;
    let expect = &case["expect"];
    only(expect, &["delays_ms", "bands_ms", "delay_at"])?;
    let schedule = schedule_of(&case["schedule"])?;
    if let Some(want) = expect.get("delays_ms") {
        let drawn = drawn(schedule, &case["draws"]);
        let delays = drawn.delays(Draws::of(&case["draws"]));
        for (n, (want, got)) in (1..).zip(list(want)?.iter().zip(delays)) {
            within(&format!("delay {n}"), want, millis(got))?;
        }
    }
    for seed in 0..200 {
        let delays = schedule.delays(StdRng::seed_from_u64(seed));
        let bands = expect.get("bands_ms").map(list).transpose()?.unwrap_or(&[]);
        for (n, (band, got)) in (1..).zip(bands.iter().zip(delays)) {
            within(&format!("delay {n}"), band, millis(got))?;
        }
    }
    for pair in expect.get("delay_at").map(list).transpose()?.unwrap_or(&[]) {
        // The number of an attempt saturates there too.
        let n = u32::try_from(whole("n", &pair[0])?).unwrap_or(u32::MAX);
        within(&format!("nominal delay {n}"), &pair[1], millis(schedule.nominal(n)))?;
    }
    Ok(())
}

/// Without draws a schedule has no jitter.
fn drawn(schedule: Schedule, draws: &Value) -> Schedule {
    if draws.is_null() { schedule.with_jitter(Jitter::None) } else { schedule }
}

fn first_delay(case: &Value) -> Outcome<()> {
    only(case, &["schedule", "retry", "draw", "expect"])?;
    only(&case["expect"], &["delay_ms"])?;
    let n = u32::try_from(whole("retry", &case["retry"])?).unwrap_or(u32::MAX);
    let mut draw = Draws(case["draw"].as_f64().into_iter().collect());
    let schedule = drawn(schedule_of(&case["schedule"])?, &case["draw"]);
    let delay = schedule.delay(n, Duration::ZERO, &mut draw);
    within("delay", &case["expect"]["delay_ms"], millis(delay))
}

fn property(case: &Value, schedule: &Value) -> Outcome<()> {
    let cap = schedule.get("cap_ms").map(|cap| whole("cap_ms", cap)).transpose()?;
    let base = Duration::from_millis(whole("base_ms", &schedule["base_ms"])?);
    let schedule = schedule_of(schedule)?;
    let (seeds, draws) = (whole("seeds", &case["seeds"])?, whole("draws", &case["draws"])?);
    let draws = usize::try_from(draws).unwrap();
    let delays =
        |seed| schedule.delays(StdRng::seed_from_u64(seed)).take(draws).collect::<Vec<_>>();
    let name = case["property"].as_str().unwrap_or_default();
    let holds = match name {
        "within_zero_and_cap" => {
            let cap = cap.map_or(Duration::MAX, Duration::from_millis);
            (0..seeds).all(|seed| delays(seed).iter().all(|delay| *delay <= cap))
        }
        "same_seed_same_sequence" => (0..seeds).all(|seed| delays(seed) == delays(seed)),
        "spreads" => {
            let nominal = schedule.nominal(1).as_secs_f64();
            let shares = (0..seeds).map(|seed| delays(seed)[0].as_secs_f64() / nominal);
            let (low, high) =
                shares.fold((1.0, 0.0_f64), |(low, high), share| (share.min(low), share.max(high)));
            low < 0.2 && high > 0.8 && high <= 1.0
        }
        "decorrelated_bounds" => {
            let cap = cap.map_or(Duration::MAX, Duration::from_millis);
            let holds = |before: Duration, delay: Duration| {
                base <= delay && delay <= before.saturating_mul(3).min(cap)
            };
            (0..seeds).all(|seed| {
                let delays = delays(seed);
                let before = std::iter::once(base).chain(delays.iter().copied());
                before.zip(&delays).all(|(before, delay)| holds(before, *delay))
            })
        }
        other => return fail(format!("unknown property `{other}`")),
    };
    if holds { Ok(()) } else { fail(format!("{name} does not hold")) }
}

fn build(case: &Value) -> Outcome<()> {
    only(case, &["config", "expect"])?;
    only(&case["expect"], &["error"])?;
    let (config, mut got) = held(&case["config"]);
    let problems = Retry::new(policy_of(&config)?).err();
    got.extend(problems.iter().flat_map(settings));
    if let Some(budget) = config.get("budget") {
        let problems = Budget::new(budgets::rule_of(budget)?, SystemClock.instant()).err();
        got.extend(problems.iter().flat_map(settings).map(|name| format!("budget.{name}")));
    }
    // All of them are named at once.
    let is_right = match case["expect"]["error"].as_str() {
        Some(want) => got.iter().any(|name| name == want),
        None => got.is_empty(),
    };
    if is_right { Ok(()) } else { fail(format!("{case}: got {got:?}")) }
}

/// The settings at fault, by their names in the format.
fn settings(error: &PolicyError) -> Vec<String> {
    let name = |problem: &Problem| match problem.setting() {
        "cap" => "cap_ms",
        "attempts_max" => "max_attempts",
        "deadline" => "deadline_ms",
        "attempt_timeout" => "attempt_timeout_ms",
        "ttl" => "ttl_ms",
        "window" => "window_ms",
        other => other,
    };
    error.problems().iter().map(|problem| name(problem).to_owned()).collect()
}

/// The configuration with what our types cannot even hold replaced, and the names of that.
fn held(config: &Value) -> (Value, Vec<String>) {
    const WHOLE: &[&str] = &[
        "/schedule/base_ms",
        "/schedule/cap_ms",
        "/max_attempts",
        "/deadline_ms",
        "/attempt_timeout_ms",
        "/hint/bound_ms",
        "/budget/floor",
        "/budget/ttl_ms",
        "/budget/min_calls",
        "/budget/window_ms",
        "/budget/slices",
    ];
    let (mut config, mut unheld) = (config.clone(), Vec::new());
    for path in WHOLE {
        let Some(value) = config.pointer_mut(path) else { continue };
        if value.as_u64().is_none() && !value.is_null() {
            *value = Value::from(1);
            let path = path.trim_start_matches("/schedule").trim_start_matches('/');
            unheld.push(path.replace('/', "."));
        }
    }
    (config, unheld)
}

/// The policy of a `config`.
pub(crate) fn policy_of(config: &Value) -> Outcome<Policy> {
    const KEYS: &[&str] = &[
        "schedule",
        "max_attempts",
        "deadline_ms",
        "attempt_timeout_ms",
        "mode",
        "resolver",
        "hint",
        "retry_on_values",
        "on_breaker_rejection",
        "budget",
        "breaker",
        "draws",
        "outer",
    ];
    only(config, KEYS)?;
    if config.get("breaker").is_some() {
        return fail("a breaker needs the kind retry_around_breaker");
    }
    let mut policy = Policy::new(schedule_of(&config["schedule"])?);
    policy = policy.with_on_refusal(match config.get("on_breaker_rejection") {
        None => OnRefusal::Stop,
        Some(mode) => match mode.as_str() {
            Some("stop") => OnRefusal::Stop,
            Some("wait") => OnRefusal::Wait,
            Some("retry") => OnRefusal::Retry,
            other => return fail(format!("unknown on_breaker_rejection {other:?}")),
        },
    });
    // More than can be counted is no limit at all.
    let count = config.get("max_attempts").map(|count| whole("max_attempts", count)).transpose()?;
    let count = count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    policy = policy.with_attempts_max(count.unwrap_or(u32::MAX));
    if let Some(deadline) = config.get("deadline_ms") {
        policy = policy.with_deadline(Duration::from_millis(whole("deadline_ms", deadline)?));
    }
    if let Some(timeout) = config.get("attempt_timeout_ms") {
        let timeout = Duration::from_millis(whole("attempt_timeout_ms", timeout)?);
        policy = policy.with_attempt_timeout(timeout);
    }
    if let Some(hint) = config.get("hint") {
        only(hint, &["mode", "bound_ms"])?;
        policy = policy.with_retry_after(match (hint["mode"].as_str(), hint.get("bound_ms")) {
            (Some("exact"), _) => RetryAfter::Exact,
            (Some("bounded"), None) => RetryAfter::default(),
            (Some("bounded"), Some(Value::Null)) => RetryAfter::Unbounded,
            (Some("bounded"), Some(bound)) => {
                RetryAfter::Bounded(Duration::from_millis(whole("bound_ms", bound)?))
            }
            other => return fail(format!("unknown hint {other:?}")),
        });
    }
    Ok(policy)
}

pub(crate) fn schedule_of(given: &Value) -> Outcome<Schedule> {
    only(given, &["family", "base_ms", "factor", "cap_ms", "jitter"])?;
    let base = Duration::from_millis(whole("base_ms", &given["base_ms"])?);
    let mut schedule = match given["family"].as_str() {
        Some("fixed") => Schedule::fixed(base),
        Some("exponential") => Schedule::exponential(base),
        Some("linear") => Schedule::linear(base),
        Some("fibonacci") => Schedule::fibonacci(base),
        Some("decorrelated") => Schedule::decorrelated(base),
        other => return fail(format!("unknown family {other:?}")),
    };
    if let Some(factor) = given.get("factor") {
        schedule = schedule.with_factor(number(factor)?);
    }
    // The format has no cap unless it is given.
    let cap = given.get("cap_ms").map(|cap| whole("cap_ms", cap)).transpose()?;
    schedule = schedule.with_cap(cap.map_or(Duration::MAX, Duration::from_millis));
    match given.get("jitter").map(|jitter| (jitter, jitter.as_str())) {
        None | Some((_, Some("full"))) => Ok(schedule),
        Some((_, Some("none"))) => Ok(schedule.with_jitter(Jitter::None)),
        Some((_, Some("equal"))) => Ok(schedule.with_jitter(Jitter::Equal)),
        Some((jitter, None)) if jitter.get("plus_minus").is_some() => {
            only(jitter, &["plus_minus"])?;
            Ok(schedule.with_jitter(Jitter::Proportional(number(&jitter["plus_minus"])?)))
        }
        Some((jitter, _)) => fail(format!("unknown jitter {jitter}")),
    }
}

/// A generator whose draws of a number in [0, 1) are given; the last one repeats.
pub(crate) struct Draws(Vec<f64>);

impl Draws {
    pub(crate) fn of(draws: &Value) -> Self {
        let mut draws: Vec<_> =
            draws.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        draws.reverse();
        Self(draws)
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|bits| u32::try_from(bits >> 32).unwrap())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a draw is within [0, 1], so the product fits"
    )]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        // The generator's top 53 bits become the fraction; a draw of 1 stands for the supremum.
        const STEPS: u64 = 1 << 53;
        let draw = if self.0.len() > 1 { self.0.pop() } else { self.0.last().copied() };
        let draw = draw.expect("a draw that the scenario does not give");
        let steps = (draw * 9_007_199_254_740_992.0) as u64;
        Ok(steps.min(STEPS - 1) << 11)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn known(case: &Value, keys: &[&str]) -> Outcome<()> {
    only(case, &[GENERAL, keys].concat())
}

/// The value is an object without other keys than these.
pub(crate) fn only(object: &Value, keys: &[&str]) -> Outcome<()> {
    let fields = object.as_object().ok_or_else(|| Stop::Failed(format!("{object} no object")))?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => fail(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

pub(crate) fn list(value: &Value) -> Outcome<&[Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| Stop::Failed(format!("{value} is no list")))
}

pub(crate) fn whole(key: &str, value: &Value) -> Outcome<u64> {
    value.as_u64().ok_or_else(|| Stop::Failed(format!("{key}: {value} is no whole number")))
}

pub(crate) fn number(value: &Value) -> Outcome<f64> {
    match value.as_str() {
        Some("NaN") => Ok(f64::NAN),
        Some("inf") => Ok(f64::INFINITY),
        Some("-inf") => Ok(f64::NEG_INFINITY),
        _ => value.as_f64().ok_or_else(|| Stop::Failed(format!("{value} is no number"))),
    }
}

/// The time equals the number, or lies in the band, give or take a millisecond.
pub(crate) fn within(what: &str, want: &Value, got: u64) -> Outcome<()> {
    let (low, high) = match want.as_array() {
        Some(band) => (whole(what, &band[0])?, whole(what, &band[1])?),
        None => (whole(what, want)?, whole(what, want)?),
    };
    if (low.saturating_sub(1)..=high.saturating_add(1)).contains(&got) {
        return Ok(());
    }
    fail(format!("{what}: expected {want}, got {got}"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
