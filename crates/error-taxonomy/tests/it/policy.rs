use std::time::Duration;

use backstop_error_taxonomy::policy::{Backoff, Draft, Factor, Fault, Place, Rule};
use backstop_error_taxonomy::{
    Action, Class, Classify, Component, Effect, Environment, HaltScope, Kind, LogLevel, Policy,
    Severity, Site, Transience,
};

fn codes(draft: &Draft) -> Vec<&'static str> {
    let refused = draft.build().unwrap_err();
    assert_eq!(refused.class().kind(), Kind::Config);
    refused.faults().iter().map(Fault::code).collect()
}

fn site() -> Site<'static> {
    Site::new(Component::EXECUTION, "submit_order")
}

fn one(rule: Rule) -> Policy {
    Draft::new("test").with_rule(rule).build().unwrap()
}

#[test]
fn the_rank_decides_and_then_transience_and_then_effect() {
    let component = |rule: Rule| rule.on_component(Component::EXECUTION);
    let kind = |rule: Rule| rule.on_kind(Kind::Unavailable);
    let op = |rule: Rule| rule.on_op("submit_order");
    // From the least to the most specific; each beats all before it.
    let rules = [
        Rule::new("default"),
        Rule::new("default_effect").on_effect(Effect::Unknown),
        Rule::new("default_transience").on_transience(Transience::Transient),
        Rule::new("default_both").on_transience(Transience::Transient).on_effect(Effect::Unknown),
        component(Rule::new("component")),
        op(Rule::new("op")),
        op(component(Rule::new("component_op"))),
        kind(Rule::new("kind")),
        kind(Rule::new("kind_effect")).on_effect(Effect::Unknown),
        kind(Rule::new("kind_transience")).on_transience(Transience::Transient),
        op(kind(Rule::new("kind_op"))),
        kind(component(Rule::new("component_kind"))),
        op(kind(component(Rule::new("all")))),
        op(kind(component(Rule::new("all_effect")))).on_effect(Effect::Unknown),
    ];
    let mut draft = Draft::new("ranks");
    for rule in rules {
        let id = rule.id().to_owned();
        draft = draft.with_rule(rule);
        let policy = draft.build().unwrap();
        assert_eq!(policy.decide(Class::of(Kind::Unavailable), &site()).rule, Some(&*id));
    }
}

#[test]
fn a_failure_that_no_rule_matches_is_decided_by_its_kind() {
    let policy = one(Rule::new("other_place").on_component(Component::DATA).act(Action::Halt));
    let decision = policy.decide(Class::of(Kind::Rejected), &site());
    assert_eq!((decision.rule, decision.action), (None, Action::Propagate));
}

#[test]
fn what_a_rule_says_is_in_the_decision() {
    let rule = Rule::new("r")
        .on_kind(Kind::RateLimited)
        .act(Action::Retry)
        .with_severity(Severity::Low)
        .with_log_level(LogLevel::Error)
        .with_breaker(false)
        .with_alert_after(7)
        .with_max_attempts(9)
        .with_delay(Duration::from_secs(2))
        .with_factor(Factor::from_thousandths(1_500))
        .with_size_percent(50)
        .with_stale_max(Duration::from_mins(1))
        .with_fallback("cache");
    let draft = Draft::new("d").with_fallback("feed", "cache").with_rule(rule);
    let policy = draft.with_window(Duration::from_secs(10)).build().unwrap();
    // The rule allows nine attempts, whatever the site says.
    let decision = policy.decide(Class::of(Kind::RateLimited), &site().with_attempt(8, 2));
    assert_eq!(decision.action, Action::Retry);
    assert_eq!(decision.severity, Severity::Low);
    assert_eq!(decision.log_level, LogLevel::Error);
    assert!(!decision.breaker, "rate limits count by default");
    let alert_after = decision.alert_after.unwrap();
    assert_eq!((alert_after.count.get(), alert_after.window), (7, Duration::from_secs(10)));
    assert_eq!(decision.max_attempts, 9);
    assert_eq!(decision.size_percent.unwrap().get(), 50);
    assert_eq!(decision.stale_max, Some(Duration::from_mins(1)));
    assert_eq!(decision.fallback, Some("cache"));
    let cap = Duration::from_secs(4);
    let delays = [1, 2, 3].map(|attempt| decision.backoff.delay(attempt, cap).unwrap());
    assert_eq!(delays, [2, 3, 4].map(Duration::from_secs), "4.5 s is cut to the cap");
    let ninth = policy.decide(Class::of(Kind::RateLimited), &site().with_attempt(9, 20));
    assert_eq!(ninth.action, Action::Propagate);
    assert_eq!(ninth.class.transience(), Transience::Exhausted);
}

#[test]
fn what_a_rule_leaves_out_comes_from_the_policy() {
    let backoff = Backoff { delay: Some(Duration::from_secs(1)), factor: None };
    let policy = Draft::new("d")
        .with_retries(6, backoff)
        .with_stale_max(Duration::from_secs(30))
        .with_threshold(Component::EXECUTION, 3)
        .with_rule(Rule::new("double").on_kind(Kind::Conflict).with_factor(Factor::TWO))
        .build()
        .unwrap();
    let decision = policy.decide(Class::of(Kind::Conflict), &site());
    let factor = Some(Factor::TWO);
    assert_eq!(decision.backoff, Backoff { delay: Some(Duration::from_secs(1)), factor });
    assert_eq!(decision.max_attempts, 6);
    assert_eq!(decision.stale_max, Some(Duration::from_secs(30)));
    let alert_after = decision.alert_after.unwrap();
    assert_eq!((alert_after.count.get(), alert_after.window), (3, Duration::from_mins(5)));
    let elsewhere = policy.decide(Class::of(Kind::Conflict), &Site::new(Component::DATA, "x"));
    assert_eq!(elsewhere.alert_after, None);
}

#[test]
fn an_action_other_than_retry_stands_whatever_the_effect() {
    let policy = one(Rule::new("r").act(Action::Continue));
    let decision = policy.decide(Class::of(Kind::Timeout), &site());
    assert_eq!(decision.action, Action::Continue);
    assert_eq!(decision.class.effect(), Effect::Unknown, "the decision carries it");
}

#[test]
fn no_rule_lowers_the_floor_or_counts_a_refusal() {
    let policy = one(Rule::new("r").with_severity(Severity::Info).with_breaker(true));
    let corrupt = Class::of(Kind::Data).with_severity_floor(Severity::Critical);
    assert_eq!(policy.decide(corrupt, &site()).severity, Severity::Critical);
    assert_eq!(policy.decide(Class::of(Kind::Data), &site()).severity, Severity::Info);
    assert!(policy.decide(Class::of(Kind::Data), &site()).breaker);
    let refusal = Class::of(Kind::Unavailable).refused_by_breaker();
    assert!(!policy.decide(refusal, &site()).breaker);
}

#[test]
fn the_environment_decides_what_nobody_classified() {
    let unknown = Class::of(Kind::Other);
    for (environment, action, level) in [
        (Environment::Development, Action::Propagate, LogLevel::Debug),
        (Environment::Test, Action::Propagate, LogLevel::Debug),
        (Environment::Staging, Action::Propagate, LogLevel::Warn),
        (Environment::Production, Action::Escalate, LogLevel::Warn),
    ] {
        let policy = Policy::preset(environment);
        let decision = policy.decide(unknown, &site());
        assert_eq!((decision.action, decision.log_level), (action, level), "{environment}");
        // The site knows better than the file.
        let decision =
            Policy::default().decide(unknown, &site().in_environment(environment)).action;
        assert_eq!(decision, action);
    }
    let policy = one(Rule::new("r").on_kind(Kind::Other).act(Action::Halt));
    let decision = policy.decide(unknown, &site().in_environment(Environment::Development));
    assert_eq!((decision.action, decision.log_level), (Action::Halt, LogLevel::Warn));
}

#[test]
fn a_component_says_whether_the_unclassified_passes() {
    let dlq = Component::new("dlq");
    let draft = Draft::new("d").with_default_transience(dlq, Transience::Transient);
    let policy = draft.build().unwrap();
    let at = |component| Site::new(component, "handle").idempotent();
    let decision = policy.decide(Class::of(Kind::Other), &at(dlq));
    assert_eq!(decision.action, Action::Retry);
    // What somebody called permanent stays so, and other components keep their default.
    let judged = Class::of(Kind::Other).with_transience(Transience::Permanent);
    assert_eq!(policy.decide(judged, &at(dlq)).action, Action::Escalate);
    assert_eq!(policy.decide(Class::of(Kind::Other), &at(Component::API)).action, Action::Escalate);
    assert_eq!(policy.decide(Class::of(Kind::Invalid), &at(dlq)).action, Action::Propagate);
    // The default does not loosen the money rule.
    let once = Site::new(dlq, "handle");
    assert_eq!(policy.decide(Class::of(Kind::Other), &once).action, Action::Reconcile);
}

#[test]
fn a_start_that_must_not_happen_ends_the_process() {
    let policy = Policy::default();
    let decision = policy.decide(Class::of(Kind::Config), &site().at_startup());
    assert_eq!((decision.action, decision.severity), (Action::Halt, Severity::Critical));
    assert_eq!(decision.halt, HaltScope::Process);
    let rule = Rule::new("r").on_kind(Kind::Config).act(Action::Continue);
    let policy = one(rule);
    let decision = policy.decide(Class::of(Kind::Config), &site().at_startup());
    assert_eq!((decision.action, decision.severity), (Action::Continue, Severity::High));
}

#[test]
fn a_stand_in_is_named_once_and_never_for_itself() {
    let rule = Rule::new("r").act(Action::Fallback);
    let draft = Draft::new("d").with_fallback("trend", "mean").with_fallback("mean", "mean");
    let policy = draft.with_rule(rule).build().unwrap();
    let failed = Class::of(Kind::Calculation);
    let trend = policy.decide(failed, &site().of_strategy("trend"));
    assert_eq!((trend.action, trend.fallback), (Action::Fallback, Some("mean")));
    let mean = policy.decide(failed, &site().of_strategy("mean"));
    assert_eq!(mean.action, Action::Degrade, "it would fail the same way");
    assert_eq!(policy.decide(failed, &site()).fallback, None);
}

#[test]
fn what_more_specific_rules_cover_is_unreachable() {
    let each = Transience::ALL.iter().fold(Draft::new("d"), |draft, transience| {
        let rule = Rule::new(transience.as_str()).on_kind(Kind::Timeout);
        draft.with_rule(rule.on_transience(*transience))
    });
    let both = each.clone().with_rule(Rule::new("all").on_kind(Kind::Timeout));
    let refused = both.build().unwrap_err();
    assert_eq!(refused.faults()[0].code(), "unreachable_rule");
    assert_eq!(refused.faults()[0].rules(), ["all", "exhausted", "permanent", "transient"]);
    // The effect comes after the transience, so it cannot win either.
    let by_effect = Rule::new("by_effect").on_kind(Kind::Timeout).on_effect(Effect::Unknown);
    assert_eq!(codes(&each.clone().with_rule(by_effect)), ["unreachable_rule"]);
    // An operation makes it more specific.
    let by_op = Rule::new("by_op").on_kind(Kind::Timeout).on_op("submit_order");
    assert!(each.with_rule(by_op).build().is_ok());

    let kinds = Kind::ALL
        .iter()
        .fold(Draft::new("d"), |d, kind| d.with_rule(Rule::new(kind.as_str()).on_kind(*kind)));
    for rule in [
        Rule::new("default"),
        Rule::new("component").on_component(Component::DATA),
        Rule::new("component_op").on_component(Component::DATA).on_op("fetch"),
    ] {
        assert_eq!(codes(&kinds.clone().with_rule(rule)), ["unreachable_rule"]);
    }
    let reachable = Rule::new("r").on_kind(Kind::Data).on_component(Component::DATA);
    assert!(kinds.with_rule(reachable).build().is_ok());
}

#[test]
fn open_names_are_never_covered() {
    // Rules about some components say nothing about the others.
    let named = Component::ALL.iter().fold(Draft::new("d"), |draft, component| {
        draft.with_rule(Rule::new(component.as_str()).on_component(*component))
    });
    assert!(named.with_rule(Rule::new("default")).build().is_ok());
}

#[test]
fn a_rule_must_not_contradict_itself() {
    let retry = || Rule::new("r").act(Action::Retry);
    for rule in [
        retry().on_effect(Effect::Applied),
        retry().on_transience(Transience::Permanent),
        retry().on_transience(Transience::Exhausted),
        Rule::new("r").act(Action::Halt).with_max_attempts(3),
        Rule::new("r").act(Action::Halt).with_delay(Duration::ZERO),
        Rule::new("r").act(Action::Continue).with_size_percent(50),
        Rule::new("r").act(Action::Escalate).with_compensation("undo"),
        Rule::new("r").act(Action::Escalate).with_halt(HaltScope::Process),
        Rule::new("r").act(Action::Escalate).with_stale_max(Duration::ZERO),
    ] {
        let draft = Draft::new("d").with_rule(rule);
        assert_eq!(codes(&draft), ["contradictory_rule"]);
        assert_eq!(draft.build().unwrap_err().faults()[0].rules(), ["r"]);
    }
    let useless = Rule::new("r").act(Action::Halt).with_fallback("mean");
    let draft = Draft::new("d").with_fallback("trend", "mean").with_rule(useless);
    assert_eq!(codes(&draft), ["contradictory_rule"]);
    assert!(Draft::new("d").with_rule(retry().with_max_attempts(1)).build().is_ok());
}

#[test]
fn everything_wrong_is_reported_at_once_whatever_the_order() {
    let rules = [
        Rule::new("zero").on_kind(Kind::Timeout).with_max_attempts(0).with_alert_after(0),
        Rule::new("factor").on_kind(Kind::Data).with_factor(Factor::from_thousandths(999)),
        Rule::new("size").on_kind(Kind::Auth).with_size_percent(101),
        Rule::new("slow").on_kind(Kind::Other).with_delay(Duration::from_hours(25)),
        Rule::new("twin_a").on_op("x"),
        Rule::new("twin_b").on_op("x"),
        Rule::new("lost").on_op("y").act(Action::Fallback).with_fallback("nowhere"),
        Rule::new("").on_op("z"),
        Rule::new("same_id").on_op("1"),
        Rule::new("same_id").on_op("2"),
    ];
    let draft = Draft::new("d").with_environment("prod").with_threshold(Component::DATA, 0);
    let draft = draft.with_window(Duration::ZERO).extending("nobody");
    let forwards = rules.iter().fold(draft.clone(), |draft, rule| draft.with_rule(rule.clone()));
    let backwards = rules.iter().rev().fold(draft, |draft, rule| draft.with_rule(rule.clone()));
    let refused = forwards.build().unwrap_err();
    assert_eq!(refused, backwards.build().unwrap_err());
    let mut codes: Vec<_> = refused.faults().iter().map(Fault::code).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "bad_alert_after",
            "bad_alert_after",
            "bad_delay",
            "bad_env",
            "bad_factor",
            "bad_max_attempts",
            "bad_name",
            "bad_size",
            "bad_window",
            "duplicate_id",
            "duplicate_rule",
            "unknown_fallback",
            "unknown_parent",
        ]
    );
    let text = refused.to_string();
    for part in ["rule `zero`: max_attempts is 0", "`twin_a`, `twin_b`", "`prod`", "`nobody`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_corrected_number_is_no_fault() {
    let rule = Rule::new("r").with_max_attempts(0).with_max_attempts(2);
    assert!(Draft::new("d").with_rule(rule).build().is_ok());
}

#[test]
fn a_draft_without_bounds_is_refused_with_a_bounded_error() {
    let many = (0..=Draft::RULES_MAX).fold(Draft::new("d"), |draft, n| {
        draft.with_rule(Rule::new(format!("r{n}")).on_op(format!("op{n}")))
    });
    assert_eq!(codes(&many), ["too_many"]);
    let wrong = (0..1_000).fold(Draft::new("d"), |draft, n| {
        draft.with_rule(Rule::new(format!("r{n}")).on_op(format!("op{n}")).with_max_attempts(0))
    });
    let refused = wrong.build().unwrap_err();
    assert_eq!(refused.faults().len(), 256);
    assert_eq!(refused.left_out(), 745, "1,000 bad numbers and one size");
    let long = "x".repeat(1 << 20);
    let draft = Draft::new("d").with_rule(Rule::new(long.clone()).on_op(long.clone()));
    let refused = draft.with_environment(long).build().unwrap_err();
    assert_eq!(refused.faults().len(), 3);
    assert!(refused.to_string().len() < 1_000);
}

#[test]
fn a_child_overrides_by_id_and_by_matcher() {
    let parent = Draft::new("parent")
        .with_environment("staging")
        .with_threshold(Component::DATA, 10)
        .with_threshold(Component::API, 4)
        .with_rule(Rule::new("auth").on_kind(Kind::Auth).act(Action::Escalate))
        .with_rule(Rule::new("data").on_kind(Kind::Data).act(Action::Isolate))
        .with_rule(Rule::new("kept").on_kind(Kind::Config).act(Action::Halt));
    let child = Draft::new("child")
        .extending("parent")
        .with_threshold(Component::DATA, 2)
        .with_rule(Rule::new("auth").on_op("login").act(Action::Halt))
        .with_rule(Rule::new("mine").on_kind(Kind::Data).act(Action::Continue));
    let policy = child.build_among(std::slice::from_ref(&parent)).unwrap();
    let ids: Vec<_> = policy.rules().iter().map(Rule::id).collect();
    assert_eq!(ids, ["auth", "kept", "mine"]);
    assert_eq!(policy.decide(Class::of(Kind::Auth), &site()).rule, None, "auth is about login now");
    assert_eq!(policy.decide(Class::of(Kind::Data), &site()).action, Action::Continue);
    assert_eq!(policy.environment(), Environment::Staging);
    let count = |component| {
        let decision = policy.decide(Class::of(Kind::Data), &Site::new(component, "x"));
        decision.alert_after.map(|after| after.count.get())
    };
    assert_eq!(count(Component::DATA), Some(2));
    assert_eq!(count(Component::API), Some(4));
    assert_eq!(policy.draft(), &child, "what is written down is what was written");
}

#[test]
fn a_child_may_shadow_but_not_be_shadowed() {
    let kinds = Kind::ALL
        .iter()
        .fold(Draft::new("kinds"), |d, kind| d.with_rule(Rule::new(kind.as_str()).on_kind(*kind)));
    let default = Rule::new("default").act(Action::Halt);
    let parent = Draft::new("parent").with_rule(default.clone());
    let policy = kinds.clone().extending("parent").build_among(&[parent]).unwrap();
    assert!(policy.rules().iter().all(|rule| rule.id() != "default"));

    let child = Draft::new("child").extending("kinds").with_rule(default);
    let refused = child.build_among(&[kinds]).unwrap_err();
    assert_eq!(refused.faults()[0].code(), "unreachable_rule");
    assert_eq!(refused.faults()[0].rules()[0], "default");
}

#[test]
fn circles_and_strangers_are_refused_by_name() {
    let a = Draft::new("a").extending("b");
    let b = Draft::new("b").extending("c");
    let c = Draft::new("c").extending("b");
    let refused = a.build_among(&[b, c]).unwrap_err();
    let circle = Fault::Cycle { policies: ["a", "b", "c", "b"].map(str::to_owned).into() };
    assert_eq!(refused.faults(), [circle]);
    let own = Draft::new("own").extending("own").build().unwrap_err();
    assert_eq!(own.faults()[0].code(), "cycle");
    let stranger = Draft::new("own").extending("nobody").build().unwrap_err();
    assert_eq!(stranger.to_string(), "`own` extends `nobody`, which is no policy");
}

#[test]
fn a_line_of_ancestors_ends() {
    let line = |count: usize| -> Vec<Draft> {
        let drafts = (1..=count).map(|n| Draft::new(format!("p{n}")));
        let extending = drafts.enumerate().map(|(n, draft)| draft.extending(format!("p{n}")));
        std::iter::once(Draft::new("p0")).chain(extending).collect()
    };
    let longest = line(Draft::ANCESTORS_MAX);
    assert!(longest.last().unwrap().build_among(&longest).is_ok());
    let longer = line(Draft::ANCESTORS_MAX + 1);
    let refused = longer.last().unwrap().build_among(&longer).unwrap_err();
    assert_eq!(refused.to_string(), "17 ancestors, but a policy holds 16");
}

#[test]
fn a_policy_of_an_endless_name_is_refused() {
    let refused = Draft::new("x".repeat(1_000_000)).build().unwrap_err();
    assert_eq!(refused.faults()[0].code(), "bad_name");
    assert!(refused.to_string().len() < 200);
}

#[test]
fn a_fault_of_an_ancestor_is_reported_too() {
    let parent = Draft::new("parent").with_rule(Rule::new("zero").with_max_attempts(0));
    let refused = Draft::new("child").extending("parent").build_among(&[parent]).unwrap_err();
    let place = Place::Rule("zero".to_owned());
    let fault = Fault::BadNumber { place, field: "max_attempts", value: "0".to_owned() };
    assert_eq!(refused.faults(), [fault]);
}

#[test]
fn an_order_shrinks_exactly() {
    let policy = one(Rule::new("r").act(Action::Retry).with_size_percent(33));
    let decision = policy.decide(Class::of(Kind::RateLimited), &site());
    assert_eq!(decision.size_of_attempt(u128::MAX, 1), u128::MAX);
    assert_eq!(decision.size_of_attempt(1_000, 2), 330);
    assert_eq!(decision.size_of_attempt(1_000, 3), 108, "108.9 rounded down");
    assert_eq!(decision.size_of_attempt(u128::MAX, u32::MAX), 0);
    let whole = Policy::default();
    let whole = whole.decide(Class::of(Kind::RateLimited), &site());
    assert_eq!(whole.size_of_attempt(7, 100), 7);
}
