//! Runs with everything at once, against the rules of the scenario format read aloud.
//!
//! Times of the run are even and news from outside come at odd ones, so that nothing coincides.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::scripted_run::{Seen, observe};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Come {
    Success,
    Transient,
    Throttled,
    NotSent,
    Permanent,
    Unknown,
    Unwanted,
    Rejected,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    come: Come,
    takes: u64,
    hint: Option<i64>,
    is_changed: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Hint {
    Bounded(u64),
    Unbounded,
    Exact,
}

#[derive(Clone, Copy, Debug)]
enum Budget {
    Bucket { capacity: u32, cost: u32, throttled: u32, timeout: u32, reward: u32 },
    Threshold { capacity: u32, min: u32, failure: u32, reward: u32 },
}

#[derive(Clone, Debug)]
struct Plan {
    base: u64,
    is_linear: bool,
    cap: Option<u64>,
    attempts_max: usize,
    deadline: Option<u64>,
    timeout: Option<u64>,
    is_once: bool,
    answers: Option<Vec<&'static str>>,
    hint: Hint,
    on_rejection: &'static str,
    budget: Option<Budget>,
    attempts: Vec<Attempt>,
    news: Option<(u64, &'static str)>,
}

impl Plan {
    fn case(&self) -> Value {
        let family = if self.is_linear { "linear" } else { "exponential" };
        let mut schedule = json!({ "family": family, "base_ms": self.base, "jitter": "none" });
        if let Some(cap) = self.cap {
            schedule["cap_ms"] = json!(cap);
        }
        let mut config = json!({
            "schedule": schedule,
            "max_attempts": self.attempts_max,
            "mode": if self.is_once { "once" } else { "idempotent" },
            "on_breaker_rejection": self.on_rejection,
            "retry_on_values": ["pending"],
            "hint": match self.hint {
                Hint::Bounded(bound) => json!({ "mode": "bounded", "bound_ms": bound }),
                Hint::Unbounded => json!({ "mode": "bounded", "bound_ms": null }),
                Hint::Exact => json!({ "mode": "exact" }),
            },
        });
        for (key, value) in [("deadline_ms", self.deadline), ("attempt_timeout_ms", self.timeout)] {
            if let Some(value) = value {
                config[key] = json!(value);
            }
        }
        if let Some(answers) = &self.answers {
            config["resolver"] = json!(answers);
        }
        match self.budget {
            Some(Budget::Bucket { capacity, cost, throttled, timeout, reward }) => {
                let cost = json!({ "default": cost, "throttled": throttled, "timeout": timeout });
                config["budget"] = json!({
                    "kind": "token_bucket", "capacity": capacity, "cost": cost,
                    "success_reward": reward,
                });
            }
            Some(Budget::Threshold { capacity, min, failure, reward }) => {
                config["budget"] = json!({
                    "kind": "threshold_bucket", "capacity": capacity, "min": min,
                    "failure_cost": failure, "success_reward": reward,
                });
            }
            None => {}
        }
        let news = self.news.map(|(at, what)| json!({ "at_ms": at, "do": what }));
        let attempts: Vec<_> = self.attempts.iter().map(|attempt| attempt.entry()).collect();
        json!({ "config": config, "attempts": attempts, "external": Vec::from_iter(news) })
    }

    fn attempt(&self, index: usize) -> Attempt {
        self.attempts[index.min(self.attempts.len() - 1)]
    }

    fn nominal(&self, n: u64) -> u64 {
        let delay = if self.is_linear { self.base * n } else { self.base << (n - 1).min(30) };
        delay.min(self.cap.unwrap_or(u64::MAX))
    }
}

impl Attempt {
    fn entry(self) -> Value {
        let outcome = match self.come {
            Come::Success => "success",
            Come::Transient => "transient",
            Come::Throttled => "throttled",
            Come::NotSent => "not_sent",
            Come::Permanent => "permanent",
            Come::Unknown => "unknown",
            Come::Unwanted => "value",
            Come::Rejected => "breaker_rejected",
        };
        let mut entry = json!({
            "outcome": outcome, "duration_ms": self.takes, "changed_payload": self.is_changed,
        });
        if self.come == Come::Unwanted {
            entry["value"] = json!("pending");
        }
        if let Some(hint) = self.hint {
            entry["retry_after_ms"] = json!(hint);
        }
        entry
    }
}

/// What a budget of whole tokens holds.
struct Purse {
    budget: Option<Budget>,
    tokens: u32,
    last_cost: Option<u32>,
}

impl Purse {
    fn of(budget: Option<Budget>) -> Self {
        let tokens = match budget {
            Some(Budget::Bucket { capacity, .. } | Budget::Threshold { capacity, .. }) => capacity,
            None => 0,
        };
        Self { budget, tokens, last_cost: None }
    }

    fn failed(&mut self) {
        if let Some(Budget::Threshold { failure, .. }) = self.budget {
            self.tokens = self.tokens.saturating_sub(failure);
        }
    }

    fn succeeded(&mut self) {
        match self.budget {
            Some(Budget::Bucket { capacity, reward, .. }) => {
                self.tokens = (self.tokens + self.last_cost.unwrap_or(reward)).min(capacity);
            }
            Some(Budget::Threshold { capacity, reward, .. }) => {
                self.tokens = (self.tokens + reward).min(capacity);
            }
            None => {}
        }
    }

    fn grants(&mut self, come: Come, is_cut: bool) -> bool {
        match self.budget {
            Some(Budget::Bucket { cost, throttled, timeout, .. }) => {
                let cost = match come {
                    _ if is_cut => timeout,
                    Come::Throttled => throttled,
                    _ => cost,
                };
                let is_granted = self.tokens >= cost;
                if is_granted {
                    self.tokens -= cost;
                    self.last_cost = Some(cost);
                }
                is_granted
            }
            Some(Budget::Threshold { min, .. }) => self.tokens > min,
            None => true,
        }
    }
}

impl Plan {
    /// The news of this sort that comes in between.
    fn told(&self, from: u64, to: u64, what: &str) -> Option<u64> {
        let news = self.news.filter(|(at, news)| *news == what && (from..to).contains(at));
        news.map(|(at, _)| at)
    }

    /// Why the outcome itself forbids another attempt.
    fn forbids(&self, come: Come, wish: Option<u64>) -> Option<&'static str> {
        match come {
            Come::Unknown if self.is_once && self.answers.is_none() => Some("unknown_outcome"),
            Come::Permanent => Some("permanent"),
            Come::Rejected if self.on_rejection == "stop" => Some("breaker_rejected"),
            Come::Rejected if self.on_rejection == "wait" && wish.is_none() => {
                Some("breaker_rejected")
            }
            _ => None,
        }
    }

    /// The delay after the attempt; moves the position in the schedule.
    fn delay(&self, come: Come, wish: Option<u64>, position: &mut u64) -> u64 {
        let is_rejected = come == Come::Rejected;
        let wish = wish.filter(|_| !is_rejected || self.on_rejection == "wait");
        if let (Some(wish), false, Hint::Exact) = (wish, is_rejected, self.hint) {
            *position = 0;
            return wish;
        }
        *position += 1;
        let nominal = self.nominal(*position);
        match (wish, self.hint) {
            (None, _) => nominal,
            (Some(wish), _) if is_rejected => wish,
            (Some(wish), Hint::Bounded(bound)) => wish.min(nominal + bound).max(nominal),
            (Some(wish), _) => wish.max(nominal),
        }
    }

    fn is_over(&self, at: u64) -> bool {
        self.deadline.is_some_and(|deadline| at >= deadline)
    }
}

/// The rules, one after the other, as arithmetic on milliseconds.
fn model(plan: &Plan) -> Seen {
    let mut purse = Purse::of(plan.budget);
    let (mut now, mut starts_ms, mut runs, mut asked) = (0, Vec::new(), 0, 0);
    let (mut position, mut is_open, mut sent) = (0, false, None);
    let (ended_ms, stop) = loop {
        let index = starts_ms.len();
        let attempt = plan.attempt(index);
        let payload = (0..=index).filter(|at| plan.attempt(*at).is_changed).count();
        if is_open && sent.is_some_and(|sent| sent != payload) {
            break (now, "modified_after_unknown");
        }
        sent = Some(payload);
        starts_ms.push(now);
        runs += usize::from(attempt.come != Come::Rejected);
        let rest = plan.deadline.map_or(u64::MAX, |deadline| deadline - now);
        let limit = plan.timeout.unwrap_or(u64::MAX).min(rest);
        let is_cut = attempt.takes > limit;
        let begin = now;
        now += attempt.takes.min(limit);
        if let Some(at) = plan.told(begin, now, "resolve") {
            break (at, "resolved");
        }
        let come = if is_cut { Come::Unknown } else { attempt.come };
        let hint = attempt.hint.filter(|_| !is_cut);
        let wish = hint.and_then(|hint| u64::try_from(hint).ok());
        if come == Come::Success {
            purse.succeeded();
            break (now, "success");
        }
        let forbids = plan.forbids(come, wish);
        if forbids.is_none() && come != Come::Unwanted {
            purse.failed();
        }
        is_open |= come == Come::Unknown;
        let stop = forbids
            .or(plan.is_over(now).then_some("deadline"))
            .or((starts_ms.len() == plan.attempts_max).then_some("attempts_exhausted"))
            .or(hint.is_some_and(i64::is_negative).then_some("pushback"));
        let delay = if stop.is_some() { 0 } else { plan.delay(come, wish, &mut position) };
        let stop = stop.or(plan.is_over(now + delay).then_some("deadline"));
        if plan.told(begin, now, "cancel").is_some() {
            break (now, "cancelled");
        }
        if let Some(reason) = stop {
            break (now, reason);
        }
        if !purse.grants(come, is_cut) {
            break (now, "budget_exhausted");
        }
        if let Some(at) = plan.told(now, now + delay, "resolve") {
            break (at, "resolved");
        }
        if let Some(at) = plan.told(now, now + delay, "cancel") {
            break (at, "cancelled");
        }
        now += delay;
        if come == Come::Unknown && plan.is_once {
            let answers = plan.answers.as_ref().unwrap();
            asked += 1;
            match answers[asked.min(answers.len()) - 1] {
                "found" => break (now, "resolved"),
                "not_found" => is_open = false,
                _ => break (now, "unknown_outcome"),
            }
        }
    };
    let tokens = plan.budget.map(|_| f64::from(purse.tokens));
    Seen { starts_ms, runs, asked, stop, ended_ms, tokens }
}

fn even(most: u64) -> impl Strategy<Value = u64> {
    (0..=most / 2).prop_map(|half| half * 2)
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let come = prop_oneof![
        1 => Just(Come::Success),
        4 => Just(Come::Transient),
        4 => Just(Come::Throttled),
        2 => Just(Come::NotSent),
        1 => Just(Come::Permanent),
        4 => Just(Come::Unknown),
        3 => Just(Come::Unwanted),
        3 => Just(Come::Rejected),
    ];
    let wish = prop_oneof![even(600), even(9_000)].prop_map(|ms| i64::try_from(ms).unwrap());
    let hint = prop_oneof![6 => Just(None), 6 => wish.prop_map(Some), 1 => Just(Some(-1))];
    (come, even(300), hint, prop::bool::weighted(0.1)).prop_map(
        |(come, takes, hint, is_changed)| {
            let takes = if come == Come::Rejected { 0 } else { takes };
            let hint = match come {
                Come::Success => None,
                Come::Unwanted => hint.filter(|hint| !hint.is_negative()),
                _ => hint,
            };
            Attempt { come, takes, hint, is_changed }
        },
    )
}

fn any_budget() -> impl Strategy<Value = Budget> {
    let bucket = (0..30_u32, 1..9_u32, 1..9_u32, 1..9_u32, 0..3_u32).prop_map(
        |(capacity, cost, throttled, timeout, reward)| Budget::Bucket {
            capacity,
            cost,
            throttled,
            timeout,
            reward,
        },
    );
    let threshold =
        (0..10_u32, 0..10_u32, 0..3_u32, 0..3_u32).prop_map(|(min, more, failure, reward)| {
            Budget::Threshold { capacity: min + more, min, failure, reward }
        });
    prop_oneof![bucket, threshold]
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let answers =
        option::of(prop::collection::vec(select(&["found", "not_found", "fails"][..]), 1..4));
    let hint =
        prop_oneof![even(6_000).prop_map(Hint::Bounded), Just(Hint::Unbounded), Just(Hint::Exact),];
    let news = option::weighted(
        0.4,
        ((0..2_000_u64).prop_map(|half| half * 2 + 1), select(&["cancel", "resolve"][..])),
    );
    let schedule = (even(200), any::<bool>(), option::of(even(300)));
    let limits = (1..9_usize, option::of(even(4_000)), option::of(even(250)));
    let asking = (any::<bool>(), answers, hint, select(&["stop", "wait", "retry"][..]));
    let script = prop::collection::vec(any_attempt(), 1..7);
    (schedule, limits, asking, option::of(any_budget()), script, news).prop_map(
        |(schedule, limits, asking, budget, attempts, news)| {
            let (base, is_linear, more) = schedule;
            let (attempts_max, deadline, timeout) = limits;
            let (is_once, answers, hint, on_rejection) = asking;
            Plan {
                base,
                is_linear,
                cap: more.map(|more| base + more),
                attempts_max,
                deadline: deadline.map(|ms| ms + 2),
                timeout: timeout.map(|ms| ms + 2),
                is_once,
                answers,
                hint,
                on_rejection,
                budget,
                attempts,
                news,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_run_does_what_the_rules_say(plan in any_plan()) {
        let seen = observe(&plan.case());
        prop_assert_eq!(seen.map_err(|why| format!("{why:?}")), Ok(model(&plan)));
    }
}
