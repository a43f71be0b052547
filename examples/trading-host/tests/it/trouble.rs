//! What becomes of which failure is the policy's to say.

use std::sync::Arc;

use backstop_error_taxonomy::{
    Action, Class, Classify, Component, Effect, Kind, Severity,
    policy::{Draft, Rule},
};
use trading_host::trouble::{SUBMIT, Trouble, policy};

use crate::stage::{Ending, Stage, Submit, at, decimal};

/// name, action, severity.
const TROUBLES: &str = "
order_differs         halt     critical
trade_differs         isolate  critical
reconciliation_manual halt     critical
instrument_differs    isolate  critical
money_unexplained     escalate high
snapshot_mismatch     escalate high
letters_quarantined   isolate  high
events_behind         escalate high
venue_silent          escalate high";

#[test]
fn every_trouble_is_decided_as_tabled() {
    let policy = policy().unwrap();
    let decided = Trouble::ALL.map(|trouble| {
        let site = trouble.site();
        let decision = policy.decide(trouble.class(), &site);
        assert!(decision.rule.is_some(), "{}", trouble.name());
        (trouble.name(), decision.action.as_str(), decision.severity.as_str())
    });
    for (line, decided) in TROUBLES.lines().skip(1).zip(decided) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((cells[0], cells[1], cells[2]), decided);
    }
}

#[test]
fn no_rule_of_the_host_sends_an_order_twice() {
    let policy = policy().unwrap();
    const { assert!(!SUBMIT.idempotent) };
    for kind in Kind::ALL {
        let unknown = Class::of(*kind).with_effect(Effect::Unknown);
        assert_ne!(policy.decide(unknown, &SUBMIT).action, Action::Retry, "{kind}");
    }
    let kept_back = policy.decide(Class::of(Kind::Precondition), &SUBMIT);
    assert_eq!((kept_back.action, kept_back.severity), (Action::Continue, Severity::Info));
}

/// Buys, loses more than a plan may repair at the 200th second, and wants more at the 400th.
fn drifting(draft: &Draft) -> Ending {
    let mut stage = Stage::new(1, 600).wishing(20, 0, 100).wishing(400, 0, 200);
    stage.script.drift = Some((at(200), decimal("-50.01")));
    let own = policy().unwrap();
    stage.settings.policy = Arc::new(draft.build_among(&[own.draft().clone()]).unwrap());
    stage.play()
}

#[test]
fn another_policy_is_another_host() {
    let rule = || Rule::new("tell").on_component(Component::POSITION).on_kind(Kind::Inconsistent);
    let draft = || Draft::new("test").extending("trading_host");

    let halted = drifting(&draft());
    assert!(halted.report.halted.is_some());
    assert_eq!(halted.alerts[0].severity, Severity::Critical);
    assert_eq!(halted.held("AAA"), 100.into());

    let told = drifting(&draft().with_rule(rule().act(Action::Escalate)));
    assert_eq!(told.report.halted, None);
    assert!(told.alerts.iter().any(|alert| alert.name == "reconciliation_manual"));
    assert_eq!(told.held("AAA"), 200.into(), "trading went on");

    let ignored = drifting(&draft().with_rule(rule().act(Action::Continue)));
    assert_eq!((ignored.alerts.len(), ignored.report.halted), (0, None));

    // Bearable, in small numbers.
    let few = rule().act(Action::Escalate).with_severity(Severity::High).with_alert_after(100);
    assert_eq!(drifting(&draft().with_rule(few)).alerts, []);
}

#[test]
fn a_failing_order_may_halt_the_host_if_a_rule_says_so() {
    let rule = Rule::new("no_more").on_kind(Kind::Rejected).on_component(Component::EXECUTION);
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100).wishing(60, 0, 200);
    stage.script.submits.insert(1, Submit::Rejected);
    let own = policy().unwrap();
    let draft = Draft::new("test").extending("trading_host").with_rule(rule.act(Action::Halt));
    stage.settings.policy = Arc::new(draft.build_among(&[own.draft().clone()]).unwrap());
    let ending = stage.play();
    assert!(ending.report.halted.is_some());
    assert_eq!(ending.alerts[0].name, "order_failed");
}
