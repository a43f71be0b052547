use std::num::NonZeroU32;
use std::time::Duration;

use backstop_error_taxonomy::policy::profiles::{self, Meaning, TERMS, term};
use backstop_error_taxonomy::policy::{Draft, Factor};
use backstop_error_taxonomy::{
    Action, Class, Component, Decision, Effect, HaltScope, Kind, LogLevel, Policy, Severity, Site,
    Transience,
};

fn policy(name: &str) -> Policy {
    profiles::profile(name).unwrap().build().unwrap()
}

/// What a profile decides about the failure that an old name means.
fn decide<'p>(policy: &'p Policy, name: &str) -> Decision<'p> {
    let term = term(name).unwrap();
    assert_eq!(term.profile, policy.name());
    let class = term.classes()[0];
    let component = match term.meaning {
        Meaning::Failure { component, .. } => component.unwrap_or(Component::API),
        _ => Component::API,
    };
    policy.decide(class, &Site::new(component, "any"))
}

#[test]
fn every_profile_builds_and_can_be_extended() {
    for name in profiles::NAMES {
        let profile = profiles::profile(name).unwrap();
        assert_eq!(profile.name(), *name);
        let rules = profile.build().unwrap().rules().len();
        let child = Draft::new("child").extending(*name).build().unwrap();
        assert_eq!(child.rules().len(), rules);
    }
    assert_eq!(profiles::profile("no_such_profile"), None);
}

#[test]
fn every_name_stands_in_the_documented_table() {
    let source = include_str!("../../src/policy/profiles/mod.rs");
    let rows: Vec<(&str, &str, &str)> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.strip_suffix(" |"))
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next()?.strip_suffix('`')?;
            let profile = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name, profile, cells.next()?))
        })
        .collect();
    let names: Vec<_> = rows.iter().map(|row| row.0).collect();
    assert_eq!(names, TERMS.iter().map(|term| term.name).collect::<Vec<_>>());
    for ((name, profile, meaning), term) in rows.iter().zip(TERMS) {
        assert_eq!(*profile, term.profile, "{name}");
        assert!(profiles::NAMES.contains(profile), "{name}");
        let words: Vec<&str> = match &term.meaning {
            Meaning::Failure { kinds, component } => {
                let kinds = kinds.iter().map(|kind| kind.as_str());
                kinds.chain(component.as_ref().map(Component::as_str)).collect()
            }
            Meaning::BreakerRefusal => vec!["refused by a breaker"],
            Meaning::Action(action) => vec![action.as_str()],
            Meaning::Transience(transience) => vec![transience.as_str()],
            _ => Vec::new(),
        };
        for word in words {
            assert!(meaning.contains(word), "{name}: {word} in {meaning}");
        }
        assert_eq!(profiles::term(name), Some(term), "names are unique");
    }
}

/// name, action, severity, effect.
const EXCEPTIONS: &str = "
ConfigurationError        escalate   high     not_applied
EnvironmentError          escalate   high     not_applied
MarketDataError           isolate    medium   not_applied
WebSocketError            reconcile  high     unknown
OrderExecutionError       propagate  high     not_applied
InsufficientFundsError    propagate  high     not_applied
PositionValidationError   compensate critical unknown
MarketClosedError         propagate  low      not_applied
StrategyExecutionError    escalate   high     unknown
IndicatorCalculationError fallback   medium   not_applied
ValidationError           propagate  medium   not_applied
RateLimitError            retry      medium   not_applied
SecurityError             escalate   critical not_applied
CircuitBreakerOpenError   retry      high     not_applied";

#[test]
fn the_exception_hierarchy_decides_as_tabled() {
    let policy = policy("trading_exceptions");
    for line in EXCEPTIONS.lines().skip(1) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let decision = decide(&policy, cells[0]);
        assert_eq!(decision.action.as_str(), cells[1], "{}", cells[0]);
        assert_eq!(decision.severity.as_str(), cells[2], "{}", cells[0]);
        assert_eq!(decision.class.effect().as_str(), cells[3], "{}", cells[0]);
    }
    assert_eq!(decide(&policy, "PositionValidationError").compensation, Some("reconcile_position"));
    assert!(!decide(&policy, "CircuitBreakerOpenError").breaker);
}

#[test]
fn exceptions_without_a_kind_of_their_own_follow_their_cause() {
    let policy = policy("trading_exceptions");
    let at = |name: &str, kind| {
        let Some(Meaning::Failure { kinds: [], component }) = term(name).map(|term| term.meaning)
        else {
            panic!("{name} has a kind of its own")
        };
        let site = Site::new(component.unwrap_or(Component::API), "any").idempotent();
        policy.decide(Class::of(kind), &site)
    };
    assert_eq!(at("AlchemiserError", Kind::Invalid).action, Action::Propagate);
    assert_eq!(at("DataProviderError", Kind::Timeout).action, Action::Retry);
    assert_eq!(at("TradingClientError", Kind::RateLimited).max_attempts, 5);
    assert_eq!(at("DatabaseError", Kind::Conflict).action, Action::Retry);
    assert_eq!(at("S3OperationError", Kind::Unavailable).action, Action::Degrade);
    assert_eq!(at("FileOperationError", Kind::NotFound).action, Action::Propagate);
    for name in ["NotificationError", "LoggingError"] {
        let decision = at(name, Kind::Internal);
        assert_eq!((decision.action, decision.severity), (Action::Continue, Severity::Low));
        assert_eq!(decision.log_level, LogLevel::Info);
    }
}

#[test]
fn a_feed_is_reconnected_patiently() {
    let policy = policy("trading_exceptions");
    let site = Site::new(Component::NETWORK, "subscribe").idempotent().with_attempt(9, 4);
    let decision = policy.decide(Class::of(Kind::Connection), &site);
    assert_eq!((decision.action, decision.max_attempts), (Action::Retry, 10));
    assert_eq!(decision.backoff.factor, Some(Factor::TWO));
}

#[test]
fn the_exception_rules_decide_by_group() {
    let policy = policy("exception_rules");
    let critical = decide(&policy, "critical_system");
    assert_eq!((critical.action, critical.severity), (Action::Halt, Severity::Critical));
    assert_eq!(critical.halt, HaltScope::Trading);

    for class in term("database_network").unwrap().classes() {
        let site = Site::new(Component::DATABASE, "save").idempotent();
        let decision = policy.decide(class, &site);
        assert_eq!((decision.action, decision.severity), (Action::Retry, Severity::High));
        assert_eq!(decision.max_attempts, 3);
        assert_eq!(decision.backoff.delay, Some(Duration::from_secs(2)));
        let order = Site::new(Component::EXECUTION, "submit_order");
        assert_eq!(policy.decide(class, &order).action, Action::Reconcile);
    }
    for class in term("business_logic").unwrap().classes() {
        let decision = policy.decide(class, &Site::new(Component::PORTFOLIO, "rebalance"));
        assert_eq!((decision.action, decision.severity), (Action::Continue, Severity::Medium));
    }
    let general = decide(&policy, "general");
    assert_eq!((general.action, general.severity), (Action::Escalate, Severity::Medium));
    assert_eq!(general.rule, Some("general"));
}

/// name, class at its component, action, severity.
const CATEGORIES: &str = "
position_consistency compensate critical
calculation_error    isolate    high
validation_error     isolate    medium
external_service     degrade    medium
concurrency_issue    retry      medium
configuration_error  escalate   critical";

#[test]
fn the_portfolio_categories_have_their_recovery_strategies() {
    let policy = policy("portfolio");
    for line in CATEGORIES.lines().skip(1) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let decision = decide(&policy, cells[0]);
        assert_eq!(decision.action.as_str(), cells[1], "{}", cells[0]);
        assert_eq!(decision.severity.as_str(), cells[2], "{}", cells[0]);
        assert_eq!(decision.rule, Some(cells[0]));
    }
    let immediate = decide(&policy, "concurrency_issue");
    assert_eq!(immediate.backoff.delay, Some(Duration::ZERO));
    let Meaning::Failure { kinds: [], component: Some(at) } =
        term("database_error").unwrap().meaning
    else {
        panic!("a database error is what its cause is")
    };
    let delayed = policy.decide(Class::of(Kind::Unavailable), &Site::new(at, "save").idempotent());
    assert_eq!((delayed.action, delayed.rule), (Action::Retry, Some("database_error")));
    assert_eq!(delayed.backoff.delay, Some(Duration::from_secs(1)));
}

#[test]
fn the_pipeline_stages_have_their_thresholds_and_recoveries() {
    let policy = policy("pipeline");
    for (name, count, action) in [
        ("data_fetch_error", 10, Action::Retry),
        ("strategy_error", 5, Action::Fallback),
        ("execution_error", 3, Action::Retry),
        ("position_error", 2, Action::Halt),
        ("system_error", 1, Action::Halt),
    ] {
        let Meaning::Failure { component: Some(at), .. } = term(name).unwrap().meaning else {
            panic!("{name} names a component")
        };
        let decision = policy.decide(Class::of(Kind::RateLimited), &Site::new(at, "any"));
        assert_eq!((decision.rule, decision.action), (Some(name), action));
        let alert_after = decision.alert_after.unwrap();
        assert_eq!(Some(alert_after.count), NonZeroU32::new(count), "{name}");
        assert_eq!(alert_after.window, Duration::from_mins(5));
        match at {
            Component::STRATEGY => assert_eq!(decision.fallback, Some("mean_bot")),
            Component::POSITION => assert_eq!(decision.halt, HaltScope::Position),
            Component::SYSTEM => assert_eq!(decision.halt, HaltScope::Process),
            Component::EXECUTION => {
                let sizes = [1, 2, 3].map(|attempt| decision.size_of_attempt(1_000, attempt));
                assert_eq!(sizes, [1_000, 500, 250]);
                assert_eq!(decision.max_attempts, 3, "one try and two retries");
            }
            _ => assert_eq!(decision.backoff.factor, Some(Factor::TWO)),
        }
    }
    // A kind never hides a threshold, which is the component's.
    let site = Site::new(Component::EXECUTION, "submit_order");
    let lost = policy.decide(Class::of(Kind::Timeout), &site);
    assert_eq!(lost.action, Action::Reconcile);
    assert_eq!(lost.alert_after.unwrap().count.get(), 3);
}

#[test]
fn stream_messages_are_tried_again_or_set_aside() {
    let policy = policy("stream_messages");
    let site = Site::new(Component::new("dlq"), "handle").idempotent();
    for (name, action) in [
        ("transient", Action::Retry),
        ("permanent", Action::Isolate),
        ("permanent_error", Action::Isolate),
        ("max_retries_exceeded", Action::Isolate),
    ] {
        let Meaning::Transience(transience) = term(name).unwrap().meaning else {
            panic!("{name} is a transience")
        };
        for kind in Kind::ALL {
            let class = Class::of(*kind).with_transience(transience);
            assert_eq!(policy.decide(class, &site).action, action, "{name} {kind}");
        }
    }
    let unknown = Class::of(Kind::Other);
    assert_eq!(policy.decide(unknown, &site).action, Action::Retry);
    let applied = unknown.with_transience(Transience::Transient).with_effect(Effect::Applied);
    assert_eq!(policy.decide(applied, &site).action, Action::Reconcile);
}

#[test]
fn names_of_actions_are_actions() {
    for (name, action) in [
        ("RAISE", Action::Propagate),
        ("LOG_AND_CONTINUE", Action::Continue),
        ("RETRY", Action::Retry),
        ("FALLBACK", Action::Fallback),
        ("CIRCUIT_BREAKER", Action::Propagate),
        ("IMMEDIATE_RETRY", Action::Retry),
        ("DELAYED_RETRY", Action::Retry),
        ("COMPENSATE", Action::Compensate),
        ("ISOLATE", Action::Isolate),
        ("ESCALATE", Action::Escalate),
        ("GRACEFUL_DEGRADATION", Action::Degrade),
        ("retry_with_backoff", Action::Retry),
        ("fallback_strategy", Action::Fallback),
        ("retry_execution", Action::Retry),
        ("emergency_exit", Action::Halt),
        ("system_recovery", Action::Halt),
    ] {
        assert_eq!(term(name).unwrap().meaning, Meaning::Action(action), "{name}");
    }
    assert_eq!(term("no_such_name"), None);
}
