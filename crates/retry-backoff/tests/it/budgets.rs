//! Plays the scenarios of budgets and throttles.
#![expect(clippy::float_arithmetic, reason = "balances and probabilities")]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use backstop_clock::{Clock as _, SystemClock};
use backstop_error_taxonomy::{Class, Kind};
use backstop_retry_backoff::budget::{Budget, Rule, Spending};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::scenarios::{Outcome, Stop, fail, list, number, only, whole};

/// The kind of failure that has this class of cost.
pub(crate) fn kind_of(class: &str) -> Outcome<Kind> {
    match class {
        "default" => Ok(Kind::Unavailable),
        "throttled" => Ok(Kind::RateLimited),
        "timeout" => Ok(Kind::Timeout),
        other => fail(format!("unknown class `{other}`")),
    }
}

pub(crate) fn rule_of(given: &Value) -> Outcome<Rule> {
    let field = |key: &str| match given.get(key) {
        Some(value) => number(value),
        None => fail(format!("no `{key}`")),
    };
    let count = |key: &str| {
        let whole = whole(key, &given[key])?;
        u32::try_from(whole).map_err(|error| Stop::Failed(format!("{key}: {error}")))
    };
    let time = |key: &str| whole(key, &given[key]).map(Duration::from_millis);
    match given["kind"].as_str().unwrap_or_default() {
        "token_bucket" => {
            only(given, &["kind", "capacity", "cost", "success_reward"])?;
            let costs = &given["cost"];
            only(costs, &["default", "throttled", "timeout"])?;
            Ok(Rule::TokenBucket {
                capacity: field("capacity")?,
                cost: number(&costs["default"])?,
                throttled_cost: costs.get("throttled").map(number).transpose()?,
                timeout_cost: costs.get("timeout").map(number).transpose()?,
                success_reward: given.get("success_reward").map_or(Ok(0.0), number)?,
            })
        }
        "threshold_bucket" => {
            only(given, &["kind", "capacity", "min", "failure_cost", "success_reward"])?;
            Ok(Rule::ThresholdBucket {
                capacity: field("capacity")?,
                min: field("min")?,
                failure_cost: field("failure_cost")?,
                success_reward: field("success_reward")?,
            })
        }
        "in_flight_ratio" => {
            only(given, &["kind", "ratio", "floor"])?;
            Ok(Rule::InFlightRatio { ratio: field("ratio")?, floor: count("floor")? })
        }
        "deposit_ratio" => {
            only(given, &["kind", "ttl_ms", "min_per_s", "ratio"])?;
            let (min_per_s, ratio) = (field("min_per_s")?, field("ratio")?);
            Ok(Rule::DepositRatio { ttl: time("ttl_ms")?, min_per_s, ratio })
        }
        "throttle" => {
            let keys = ["success_threshold", "max_rejection", "min_calls", "window_ms", "slices"];
            only(given, &[&["kind"], &keys[..]].concat())?;
            Ok(Rule::Throttle {
                success_threshold: field("success_threshold")?,
                max_rejection: field("max_rejection")?,
                min_calls: count("min_calls")?,
                window: time("window_ms")?,
                slices: count("slices")?,
            })
        }
        other => fail(format!("unknown budget `{other}`")),
    }
}

/// The number, or one within the band.
pub(crate) fn near(key: &str, want: &Value, got: Option<f64>) -> Outcome<()> {
    let Some(got) = got else { return fail(format!("{key}: this budget has none")) };
    let (low, high) = match want.as_array() {
        Some(band) => (number(&band[0])?, number(&band[1])?),
        None => (number(want)?, number(want)?),
    };
    if (low - 1e-9..=high + 1e-9).contains(&got) {
        return Ok(());
    }
    fail(format!("{key}: expected {want}, got {got}"))
}

/// What is done to one budget.
struct Play<'b> {
    budget: &'b Budget,
    /// The calls that have begun, by name; a step without one means the nameless call.
    calls: BTreeMap<String, Spending<'b>>,
}

impl<'b> Play<'b> {
    fn call(&mut self, step: &Value) -> &mut Spending<'b> {
        let name = step["op"].as_str().unwrap_or_default();
        self.calls.entry(name.to_owned()).or_insert_with(|| self.budget.begin())
    }

    /// The call that asks for a retry; several at once without a name are several calls.
    fn asker(&mut self, step: &Value) -> &mut Spending<'b> {
        let is_in_flight = self.budget.retries_in_flight().is_some();
        if is_in_flight && step["op"].is_null() && !step["times"].is_null() {
            let name = format!("nameless {}", self.calls.len());
            return self.calls.entry(name).or_insert_with(|| self.budget.begin());
        }
        self.call(step)
    }
}

pub(crate) fn run(case: &Value) -> Outcome<()> {
    only(&case["config"], &["budget"])?;
    let rule = rule_of(&case["config"]["budget"])?;
    let origin = SystemClock.instant();
    let steps = list(&case["steps"])?;
    let keys: Vec<_> = steps.iter().map(|step| step["key"].as_str().unwrap_or("")).collect();
    let mut budgets = BTreeMap::new();
    for key in &keys {
        let budget = Budget::new(rule, origin).map_err(|error| Stop::Failed(error.to_string()))?;
        budgets.insert(*key, budget);
    }
    let plays = budgets.iter().map(|(key, budget)| (*key, Play { budget, calls: BTreeMap::new() }));
    let mut plays: BTreeMap<_, _> = plays.collect();
    let mut rng = StdRng::seed_from_u64(7);
    let mut now = origin;
    for (index, (key, step)) in keys.iter().zip(steps).enumerate() {
        let keys = ["at_ms", "do", "op", "class", "times", "retryable", "key"];
        only(step, &[&keys[..], &["threads", "per_thread", "pattern", "expect"]].concat())?;
        if let Some(at) = step.get("at_ms") {
            now = origin + Duration::from_millis(whole("at_ms", at)?);
        }
        let play = plays.get_mut(key).unwrap();
        let grants = act(play, step, now, &mut rng)?;
        let expect = step.get("expect").unwrap_or(&Value::Null);
        let seen = check(expect, play.budget, &grants, now);
        seen.map_err(|Stop::Failed(why)| Stop::Failed(format!("step {index}: {why}")))?;
    }
    Ok(())
}

/// Does what the step says; whether each retry that it asked for was granted.
fn act(play: &mut Play<'_>, step: &Value, now: Instant, rng: &mut StdRng) -> Outcome<Vec<bool>> {
    let times = step.get("times").map_or(Ok(1), |times| whole("times", times))?;
    let class = match step.get("class").map(|class| class.as_str().unwrap_or_default()) {
        Some(class) => Class::of(kind_of(class)?),
        None => Class::of(Kind::Unavailable),
    };
    let mut grants = Vec::new();
    for _ in 0..times {
        match step["do"].as_str().unwrap_or_default() {
            "retry" => grants.push(play.asker(step).grants(Some(class), now, rng)),
            "success" => play.call(step).succeeded(|| now),
            "failure" => {
                let is_retryable = step.get("retryable") != Some(&json!(false));
                play.call(step).failed(is_retryable);
            }
            "begin" => {
                play.call(step);
            }
            "retry_end" => play.call(step).retry_ended(),
            "end" | "drop" => drop(play.calls.remove(step["op"].as_str().unwrap_or_default())),
            // Each is the first attempt of a call of its own.
            "deposit" | "sent" => play.budget.begin().sent(|| now),
            "ok" => play.budget.begin().succeeded(|| now),
            "read" => {}
            "parallel" => grants.extend(parallel(play.budget, step, now)?),
            other => return fail(format!("unknown step `{other}`")),
        }
    }
    Ok(grants)
}

fn parallel(budget: &Budget, step: &Value, now: Instant) -> Outcome<Vec<bool>> {
    let (threads, rounds) =
        (whole("threads", &step["threads"])?, whole("per_thread", &step["per_thread"])?);
    let pattern = list(&step["pattern"])?;
    if let Some(part) = pattern.iter().find(|part| *part == "parallel") {
        return fail(format!("{part} within a pattern"));
    }
    // Each thread plays under a name of its own, which is the nameless call of its own play.
    let work = |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut play = Play { budget, calls: BTreeMap::new() };
        let mut grants = Vec::new();
        for part in (0..rounds).flat_map(|_| pattern) {
            grants.extend(act(&mut play, &json!({ "do": part }), now, &mut rng)?);
        }
        Ok(grants)
    };
    let played: Vec<Outcome<Vec<bool>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|seed| scope.spawn(move || work(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let played = played.into_iter().collect::<Outcome<Vec<_>>>()?;
    Ok(played.into_iter().flatten().collect())
}

fn check(expect: &Value, budget: &Budget, grants: &[bool], now: Instant) -> Outcome<()> {
    for (key, want) in expect.as_object().into_iter().flatten() {
        let equal = |got: Value| {
            if *want == got { Ok(()) } else { fail(format!("{key}: expected {want}, got {got}")) }
        };
        match key.as_str() {
            "granted" => equal(json!(grants.iter().all(|granted| *granted)))?,
            "granted_count" => {
                let count = u32::try_from(grants.iter().filter(|granted| **granted).count());
                near(key, want, count.ok().map(f64::from))?;
            }
            "tokens" => near(key, want, budget.tokens())?,
            "allowed" => equal(json!(budget.allows(now)))?,
            "balance" => near(key, want, budget.balance(now))?,
            "reject_probability" => near(key, want, budget.reject_probability(now))?,
            "in_flight_retries" => near(key, want, budget.retries_in_flight().map(f64::from))?,
            other => return fail(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}
