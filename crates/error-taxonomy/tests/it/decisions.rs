use std::time::Duration;

use backstop_error_taxonomy::policy::{Backoff, Factor, Rule};
use backstop_error_taxonomy::{
    Action, Class, Component, Effect, Kind, Severity, Site, Transience, decide,
};
use proptest::prelude::*;
use proptest::sample::select;

fn site() -> Site<'static> {
    Site::new(Component::EXECUTION, "submit_order")
}

fn any_class() -> impl Strategy<Value = Class> {
    (select(Kind::ALL), select(Transience::ALL), select(Effect::ALL)).prop_map(
        |(kind, transience, effect)| {
            Class::of(kind).with_transience(transience).with_effect(effect)
        },
    )
}

fn any_site() -> impl Strategy<Value = Site<'static>> {
    (any::<bool>(), any::<bool>(), 0..6_u32, 0..6_u32).prop_map(
        |(idempotent, startup, attempt, attempts_max)| {
            let mut site = site().with_attempt(attempt, attempts_max);
            site.idempotent = idempotent;
            site.startup = startup;
            site
        },
    )
}

#[test]
fn what_took_effect_is_fetched_not_resent() {
    let duplicate = Class::of(Kind::Conflict)
        .with_transience(Transience::Permanent)
        .with_effect(Effect::Applied);
    assert_eq!(decide(duplicate, &site().idempotent()).action, Action::Reconcile);
}

#[test]
fn an_unknown_outcome_is_looked_up_even_when_the_attempts_are_used_up() {
    let last = decide(Class::of(Kind::Timeout), &site().with_attempt(4, 4));
    assert_eq!(last.action, Action::Reconcile);
}

#[test]
fn a_kind_that_is_not_retried_joins_when_stated_transient() {
    let cut_short = Class::of(Kind::Data).with_transience(Transience::Transient);
    assert_eq!(decide(cut_short, &site()).action, Action::Retry);
    let last = decide(cut_short, &site().with_attempt(4, 4));
    assert_eq!(last.action, Action::Propagate);
    assert_eq!(last.class.transience(), Transience::Exhausted);
}

#[test]
fn the_used_up_action_depends_on_the_kind() {
    let last = site().idempotent().with_attempt(4, 4);
    assert_eq!(decide(Class::of(Kind::Connection), &last).action, Action::Propagate);
    assert_eq!(decide(Class::of(Kind::Unavailable), &last).action, Action::Degrade);
    let other = Class::of(Kind::Other).with_transience(Transience::Transient);
    assert_eq!(decide(other, &last).action, Action::Escalate);
}

#[test]
fn a_bad_configuration_stops_the_start_and_only_the_start() {
    let start = decide(Class::of(Kind::Config), &site().at_startup());
    assert_eq!((start.action, start.severity), (Action::Halt, Severity::Critical));
    let running = decide(Class::of(Kind::Config), &site());
    assert_eq!((running.action, running.severity), (Action::Escalate, Severity::High));
}

#[test]
fn a_delay_that_cannot_grow_does_not_take_for_ever() {
    let backoff =
        |nanos, factor| Backoff { delay: Some(Duration::from_nanos(nanos)), factor: Some(factor) };
    let slow = Factor::from_thousandths(1_001);
    let after = |backoff: Backoff| backoff.delay(u32::MAX, Rule::DELAY_MAX);
    // Step by step each of these would take minutes.
    assert_eq!(after(backoff(0, Factor::TWO)), Some(Duration::ZERO));
    assert_eq!(after(backoff(1, slow)), Some(Duration::from_nanos(1)));
    assert_eq!(after(backoff(1_000_000, slow)), Some(Rule::DELAY_MAX));
    assert_eq!(after(backoff(7, Factor::ONE)), Some(Duration::from_nanos(7)));
    assert_eq!(Backoff::default().delay(3, Rule::DELAY_MAX), None);
}

proptest! {
    #[test]
    fn a_retry_is_always_allowed_by_the_money_rule(class in any_class(), site in any_site()) {
        let decision = decide(class, &site);
        if decision.action == Action::Retry {
            prop_assert_eq!(class.transience(), Transience::Transient);
            prop_assert_ne!(class.effect(), Effect::Applied);
            prop_assert!(class.effect() == Effect::NotApplied || site.idempotent);
            prop_assert!(site.attempt < site.attempts_max);
        }
    }

    #[test]
    fn a_decision_never_changes_what_happened(class in any_class(), site in any_site()) {
        let decided = decide(class, &site).class;
        prop_assert_eq!(decided.kind(), class.kind());
        prop_assert_eq!(decided.effect(), class.effect());
        prop_assert!(decided == class || decided == class.exhausted());
    }

    #[test]
    fn decisions_equal_the_rules_read_line_by_line(class in any_class(), site in any_site()) {
        prop_assert_eq!(decide(class, &site).action, by_the_book(class, &site));
    }
}

/// The decision rules as an analyst would write them down, one `if` per rule.
fn by_the_book(class: Class, site: &Site<'_>) -> Action {
    let (kind, effect, transience) = (class.kind(), class.effect(), class.transience());
    let retried_kinds =
        [Kind::Conflict, Kind::RateLimited, Kind::Timeout, Kind::Connection, Kind::Unavailable];
    if !retried_kinds.contains(&kind) && transience != Transience::Transient {
        if kind == Kind::Config && site.startup {
            return Action::Halt;
        }
        return kind.default_action();
    }
    if effect == Effect::Applied || (effect == Effect::Unknown && !site.idempotent) {
        return Action::Reconcile;
    }
    if transience == Transience::Transient && site.attempt < site.attempts_max {
        return Action::Retry;
    }
    match kind {
        Kind::Unavailable => Action::Degrade,
        Kind::Other => Action::Escalate,
        _ => Action::Propagate,
    }
}
