//! The suite `policy`: rules, environments, handlers, counts.

#![expect(clippy::float_arithmetic, reason = "the scenarios write seconds as JSON numbers")]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::policy::{BuildError, Draft, Fault};
use backstop_error_taxonomy::recovery::{
    Call, Handlers, Outcome as Ending, Recovery, Stale, recover,
};
use backstop_error_taxonomy::thresholds::{Counted, EventCounts};
use backstop_error_taxonomy::{
    AlertAfter, Class, Component, Decision, Environment, Error, Kind, Policy, Site,
};
use backstop_testkit::errors::{self, axis, known};
use serde_json::{Map, Value, json};

use crate::scenarios::{Outcome, fail, fits};

/// Rules that are run in every order; above it in every rotation.
const PERMUTED_MAX: usize = 6;

pub(crate) fn run(case: &Value) -> Outcome<()> {
    known(
        case,
        &[
            "id",
            "title",
            "note",
            "origin",
            "tags",
            "rules",
            "queries",
            "defaults",
            "env",
            "fallbacks",
            "failing",
            "handlers",
            "thresholds",
            "window_s",
            "counts",
            "events",
            "permute",
            "expect",
        ],
    )?;
    let rules = match case.get("rules") {
        Some(rules) => list(rules)?.clone(),
        None => Vec::new(),
    };
    if case.get("permute") != Some(&json!(true)) {
        return run_ordered(case, rules);
    }
    orders(rules).into_iter().try_for_each(|rules| run_ordered(case, rules))
}

fn run_ordered(case: &Value, rules: Vec<Value>) -> Outcome<()> {
    let empty = json!({});
    let expect = case.get("expect").unwrap_or(&empty);
    known(expect, &["build", "names", "alerts"])?;
    let policy = match draft(case, rules)?.build() {
        Ok(policy) => policy,
        Err(refused) => return check_refusal(&refused, expect),
    };
    if let Some(build) = expect.get("build")
        && *build != json!("ok")
    {
        return fail(format!("build: expected {build}, got ok"));
    }
    for query in optional_list(case, "queries")? {
        check_query(case, &policy, query)?;
    }
    for row in optional_list(case, "counts")? {
        check_count(&policy, row)?;
    }
    if let Some(want) = expect.get("alerts") {
        let got = alerts(&policy, optional_list(case, "events")?)?;
        if *want != json!(got) {
            return fail(format!("alerts: expected {want}, got {}", json!(got)));
        }
    }
    Ok(())
}

/// The policy of the case, by the form that a file has.
fn draft(case: &Value, rules: Vec<Value>) -> Outcome<Draft> {
    let mut form = Map::new();
    form.insert("name".to_owned(), case["id"].clone());
    form.insert("rules".to_owned(), Value::Array(rules));
    for key in ["env", "defaults", "fallbacks", "thresholds", "window_s"] {
        if let Some(value) = case.get(key) {
            form.insert(key.to_owned(), value.clone());
        }
    }
    serde_json::from_value(Value::Object(form)).map_err(|error| error.to_string())
}

fn check_refusal(refused: &BuildError, expect: &Value) -> Outcome<()> {
    let got: BTreeSet<&str> = refused.faults().iter().map(Fault::code).collect();
    let want = expect.get("build").and_then(Value::as_array);
    let want: Option<BTreeSet<&str>> =
        want.map(|codes| codes.iter().filter_map(Value::as_str).collect());
    if want.as_ref() != Some(&got) {
        return fail(format!("build: expected {}, got {refused}", expect["build"]));
    }
    let accused: BTreeSet<&str> = refused.faults().iter().flat_map(Fault::rules).collect();
    let names = expect.get("names").and_then(Value::as_array).into_iter().flatten();
    for name in names.filter_map(Value::as_str) {
        if !accused.contains(name) {
            return fail(format!("{name} is not named by {refused}"));
        }
    }
    Ok(())
}

fn check_query(case: &Value, policy: &Policy, query: &Value) -> Outcome<()> {
    known(query, &["error", "given", "expect"])?;
    let empty = json!({});
    let given = query.get("given").unwrap_or(&empty);
    let site = site_of(given)?;
    let class = errors::class_of(&query["error"], given, site.component)?;
    let decision = policy.decide(class, &site);
    let mut runs: BTreeMap<String, u64> = BTreeMap::new();
    runs.extend(site.strategy.map(|strategy| (strategy.to_owned(), 1)));
    let recovery = carry_out(case, &decision, class, &mut runs);
    let expect = query["expect"].as_object().ok_or("expect is no object".to_owned())?;
    for (key, want) in expect {
        let got = match key.as_str() {
            "rule" => json!(named_rule(case, &decision, want)),
            "action" => json!(decision.action.as_str()),
            "severity" => json!(decision.severity.as_str()),
            "log_level" => json!(decision.log_level.as_str()),
            "fallback" => json!(decision.fallback),
            "max_attempts" => json!(decision.max_attempts),
            "kind" => json!(decision.class.kind().as_str()),
            "transience" => json!(decision.class.transience().as_str()),
            "effect" => json!(decision.class.effect().as_str()),
            "counts_for_breaker" => json!(decision.breaker),
            "actions" => {
                json!(recovery.actions.iter().map(|action| action.as_str()).collect::<Vec<_>>())
            }
            "outcome" => json!(ending(&recovery)),
            "returned_kind" => {
                json!(recovery.outcome.error().map(|error| error.kind().as_str()))
            }
            "events" => {
                let event = recovery.event.map(|severity| (severity.as_str(), 1));
                json!(event.into_iter().collect::<BTreeMap<_, _>>())
            }
            "handler_failures" => json!(recovery.failures.len()),
            "strategy_runs" if want.is_object() => json!(runs),
            "strategy_runs" => json!(runs.values().sum::<u64>()),
            // A handler that took the process down would have ended this test.
            "alive" => json!(true),
            other => return fail(format!("unknown expectation `{other}`")),
        };
        let holds = if got.is_object() { same_counts(want, &got) } else { fits(want, &got) };
        if !holds {
            return fail(format!("{key}: expected {want}, got {got}"));
        }
    }
    Ok(())
}

/// Whether two tables of counts name the same, with counts that fit.
fn same_counts(want: &Value, got: &Value) -> bool {
    let (Some(want), Some(got)) = (want.as_object(), got.as_object()) else { return false };
    want.len() == got.len()
        && want.iter().all(|(name, want)| got.get(name).is_some_and(|got| fits(want, got)))
}

/// The id of the winning rule; a default rule may be expected by its id or as none.
fn named_rule<'p>(case: &Value, decision: &Decision<'p>, want: &Value) -> Option<&'p str> {
    let id = decision.rule?;
    let rules = case["rules"].as_array().into_iter().flatten();
    let rule = rules.into_iter().find(|rule| rule["id"] == id)?;
    let is_default = rule["match"].as_object().is_none_or(Map::is_empty);
    (!is_default || !want.is_null()).then_some(id)
}

/// Has the decision carried out by handlers that do what the case says of them.
fn carry_out(
    case: &Value,
    decision: &Decision<'_>,
    class: Class,
    runs: &mut BTreeMap<String, u64>,
) -> Recovery<()> {
    let does = |call: Call<'_>| match case["handlers"][call.action.as_str()].as_str() {
        None | Some("ok") => Ok(()),
        // As a panic, but for the message, which would only confuse a reader.
        Some("panics") => resume_unwind(Box::new("as the case says")),
        Some(_) => Err(Error::new(Kind::Internal, "as the case says")),
    };
    let fails = |strategy: &str| {
        case["failing"].as_array().is_some_and(|names| names.iter().any(|name| name == strategy))
    };
    let handlers = Handlers::new()
        .on_fallback(|call| {
            does(call)?;
            let Some(strategy) = call.fallback() else {
                return Err(Error::new(Kind::NotFound, "nothing stands in"));
            };
            *runs.entry(strategy.to_owned()).or_default() += 1;
            if fails(strategy) { Err(Error::new(Kind::Internal, "fails as well")) } else { Ok(()) }
        })
        .on_degrade(|call| does(call).map(|()| Stale::new((), std::time::Duration::ZERO)))
        .on_reconcile(does)
        .on_continue(does)
        .on_compensate(does)
        .on_isolate(does)
        .on_escalate(does)
        .on_halt(does);
    recover(decision, Error::new(class.kind(), "of the case").with_class(class), handlers)
}

fn ending(recovery: &Recovery<()>) -> &'static str {
    match recovery.outcome {
        Ending::Recovered(()) | Ending::Handled(_) => "ok",
        Ending::Degraded(_) => "degrade",
        Ending::Escalated(_) => "escalate",
        Ending::Halted(_) => "halt",
        _ => "propagate",
    }
}

pub(crate) fn site_of(given: &Value) -> Outcome<Site<'_>> {
    known(
        given,
        &[
            "component",
            "op",
            "strategy",
            "idempotent",
            "attempt",
            "max_attempts",
            "backoff",
            "default_transience",
            "phase",
            "env",
            "venue_table",
        ],
    )?;
    let number = |key: &str, default: u32| match given.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| format!("{key} is no count")),
    };
    let component = given.get("component").map_or(Ok(Component::SYSTEM), axis)?;
    let op = given.get("op").and_then(Value::as_str).unwrap_or("scenario");
    let mut site =
        Site::new(component, op).with_attempt(number("attempt", 1)?, number("max_attempts", 4)?);
    site.idempotent = given.get("idempotent") == Some(&json!(true));
    site.startup = given.get("phase") == Some(&json!("startup"));
    site.strategy = given.get("strategy").and_then(Value::as_str);
    let environment = given.get("env").and_then(Value::as_str);
    site.environment = environment.map(|name| Environment::named(name).0);
    Ok(site)
}

fn threshold(policy: &Policy, component: Component) -> Option<AlertAfter> {
    policy.decide(Class::of(Kind::Other), &Site::new(component, "any")).alert_after
}

/// `[component, n, alert?]`, with n events at once.
fn check_count(policy: &Policy, row: &Value) -> Outcome<()> {
    let component = axis(&row[0])?;
    let (Some(n), Some(want)) = (row[1].as_u64(), row[2].as_bool()) else {
        return fail(format!("{row} is no row of counts"));
    };
    let mut counts = EventCounts::default();
    let after = threshold(policy, component);
    let counted = (0..n).map(|_| count(&mut counts, component, after, Timestamp::EPOCH));
    let got = counted.filter(|counted| *counted == Counted::Reached).count() > 0;
    if got == want { Ok(()) } else { fail(format!("{row}: got {got}")) }
}

fn alerts(policy: &Policy, events: &[Value]) -> Outcome<Vec<Value>> {
    let mut times = Vec::new();
    for event in events {
        known(event, &["t", "component", "n", "every_s", "until_s"])?;
        let Some(t) = event["t"].as_f64() else { return fail("t is no time") };
        let until = event.get("until_s").and_then(Value::as_f64).unwrap_or(t);
        let every = event.get("every_s").and_then(Value::as_f64).unwrap_or(f64::INFINITY);
        let mut at = t;
        while at <= until {
            times.push((at, event));
            at += every;
        }
    }
    times.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut counts, mut alerts) = (EventCounts::default(), Vec::new());
    for (t, event) in times {
        let component = axis(&event["component"])?;
        let after = threshold(policy, component);
        let seconds = std::time::Duration::from_secs_f64(t);
        let now = Timestamp::EPOCH.saturating_add(seconds);
        for _ in 0..event.get("n").map_or(Some(1), Value::as_u64).unwrap_or(0) {
            if count(&mut counts, component, after, now) == Counted::Reached {
                alerts.push(json!({"t": event["t"], "component": event["component"]}));
            }
        }
    }
    Ok(alerts)
}

fn count(
    counts: &mut EventCounts,
    component: Component,
    after: Option<AlertAfter>,
    now: Timestamp,
) -> Counted {
    after.map_or(Counted::Ignored, |after| counts.count(component, after, now))
}

/// All orders of a few rules, all rotations of many.
fn orders(rules: Vec<Value>) -> Vec<Vec<Value>> {
    if rules.len() > PERMUTED_MAX {
        let rotated = |n: usize| {
            let mut rules = rules.clone();
            rules.rotate_left(n);
            rules
        };
        return (0..rules.len()).map(rotated).collect();
    }
    let mut orders = vec![Vec::new()];
    for rule in rules {
        let longer = orders.iter().flat_map(|order: &Vec<Value>| {
            (0..=order.len()).map(|place| {
                let mut order = order.clone();
                order.insert(place, rule.clone());
                order
            })
        });
        orders = longer.collect();
    }
    orders
}

fn list(value: &Value) -> Outcome<&Vec<Value>> {
    value.as_array().ok_or_else(|| format!("{value} is no list"))
}

fn optional_list<'c>(case: &'c Value, key: &str) -> Outcome<&'c [Value]> {
    case.get(key).map_or(Ok(&[]), |value| list(value).map(Vec::as_slice))
}
