//! Laws of policies, each against the naive reading of the rules.

use backstop_error_taxonomy::policy::{Draft, Fault, Rule};
use backstop_error_taxonomy::{
    Action, Class, Component, Effect, Environment, Kind, Severity, Site, Transience, decide,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const OPS: [&str; 3] = ["submit_order", "fetch_candles", "cancel_order"];
const COMPONENTS: [Component; 3] = [Component::EXECUTION, Component::DATA, Component::POSITION];
/// Few enough for rules to meet, with members of every sort.
const KINDS: [Kind; 5] =
    [Kind::Timeout, Kind::Unavailable, Kind::Config, Kind::Other, Kind::Rejected];

/// A rule as plainly as it can be written.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    component: Option<Component>,
    kind: Option<Kind>,
    op: Option<&'static str>,
    transience: Option<Transience>,
    effect: Option<Effect>,
    action: Option<Action>,
    severity: Option<Severity>,
    max_attempts: Option<u32>,
}

impl Plain {
    fn rule(&self, id: usize) -> Rule {
        let mut rule = Rule::new(id.to_string());
        rule = self.component.into_iter().fold(rule, Rule::on_component);
        rule = self.kind.into_iter().fold(rule, Rule::on_kind);
        rule = self.op.into_iter().fold(rule, Rule::on_op);
        rule = self.transience.into_iter().fold(rule, Rule::on_transience);
        rule = self.effect.into_iter().fold(rule, Rule::on_effect);
        rule = self.action.into_iter().fold(rule, Rule::act);
        rule = self.severity.into_iter().fold(rule, Rule::with_severity);
        self.max_attempts.into_iter().fold(rule, Rule::with_max_attempts)
    }

    fn matches(&self, class: Class, site: &Site<'_>) -> bool {
        self.component.is_none_or(|c| c == site.component)
            && self.kind.is_none_or(|k| k == class.kind())
            && self.op.is_none_or(|op| op == site.op)
            && self.transience.is_none_or(|t| t == class.transience())
            && self.effect.is_none_or(|e| e == class.effect())
    }

    /// The larger wins.
    fn rank(&self) -> (usize, bool, bool) {
        let named = match (self.component.is_some(), self.kind.is_some(), self.op.is_some()) {
            (false, false, false) => "default",
            (true, false, false) => "component",
            (false, false, true) => "op",
            (true, false, true) => "component+op",
            (false, true, false) => "kind",
            (false, true, true) => "kind+op",
            (true, true, false) => "component+kind",
            (true, true, true) => "component+kind+op",
        };
        let order = "default < component < op < component+op < kind < kind+op < component+kind \
                     < component+kind+op";
        let rank = order.split(" < ").position(|name| name.trim() == named).unwrap();
        (rank, self.transience.is_some(), self.effect.is_some())
    }
}

fn any_plain() -> impl Strategy<Value = Plain> {
    let matcher = (
        option::of(select(&COMPONENTS[..])),
        option::of(select(&KINDS[..])),
        option::of(select(&OPS[..])),
        option::of(select(Transience::ALL)),
        option::of(select(Effect::ALL)),
    );
    let says =
        (option::of(select(Action::ALL)), option::of(select(Severity::ALL)), option::of(1..6_u32));
    (matcher, says).prop_map(
        |((component, kind, op, transience, effect), (action, severity, max_attempts))| Plain {
            component,
            kind,
            op,
            transience,
            effect,
            action,
            severity,
            max_attempts: max_attempts.filter(|_| action.is_none_or(|a| a == Action::Retry)),
        },
    )
}

fn any_class() -> impl Strategy<Value = Class> {
    let kinds = prop_oneof![4 => select(&KINDS[..]), 1 => select(Kind::ALL)];
    let axes = (kinds, select(Transience::ALL), select(Effect::ALL), select(Severity::ALL));
    (axes, any::<bool>()).prop_map(|((kind, transience, effect, floor), refused)| {
        let class = Class::of(kind);
        let class = if refused { class.refused_by_breaker() } else { class };
        class.with_transience(transience).with_effect(effect).with_severity_floor(floor)
    })
}

fn any_site() -> impl Strategy<Value = Site<'static>> {
    let components = [Component::EXECUTION, Component::DATA, Component::POSITION, Component::API];
    let ops = ["submit_order", "fetch_candles", "cancel_order", "an_op_of_no_rule"];
    let flags = (any::<bool>(), any::<bool>(), option::of(select(Environment::ALL)));
    (select(components.to_vec()), select(ops.to_vec()), flags, 0..6_u32, 0..6_u32).prop_map(
        |(component, op, (idempotent, startup, environment), attempt, attempts_max)| {
            let mut site = Site::new(component, op).with_attempt(attempt, attempts_max);
            site.idempotent = idempotent;
            site.startup = startup;
            site.environment = environment;
            site
        },
    )
}

/// Rules that make a policy: duplicates, contradictions and unreachable ones are taken out.
fn any_rules() -> impl Strategy<Value = Vec<Plain>> {
    proptest::collection::vec(any_plain(), 0..24).prop_map(|plain| {
        let mut rules: Vec<Plain> = Vec::new();
        for rule in plain {
            let mut with = rules.clone();
            with.push(rule.clone());
            if draft(with.iter().enumerate()).build().is_ok() {
                rules.push(rule);
            }
        }
        rules
    })
}

fn draft<'a>(rules: impl Iterator<Item = (usize, &'a Plain)>) -> Draft {
    rules.fold(Draft::new("law"), |draft, (id, plain)| draft.with_rule(plain.rule(id)))
}

proptest! {
    #[test]
    fn the_winner_is_the_one_a_naive_search_finds(
        rules in any_rules(), class in any_class(), site in any_site(),
    ) {
        let policy = draft(rules.iter().enumerate()).build().unwrap();
        let matching = rules.iter().enumerate().filter(|(_, rule)| rule.matches(class, &site));
        let winner = matching.max_by_key(|(_, rule)| rule.rank()).map(|(id, _)| id.to_string());
        prop_assert_eq!(policy.decide(class, &site).rule, winner.as_deref());
    }

    #[test]
    fn the_order_of_the_rules_does_not_matter(
        (rules, shuffled) in any_rules().prop_flat_map(|rules| {
            let numbered: Vec<_> = rules.into_iter().enumerate().collect();
            (Just(numbered.clone()), Just(numbered).prop_shuffle())
        }),
        class in any_class(), site in any_site(),
    ) {
        let one = draft(rules.iter().map(|(id, rule)| (*id, rule))).build().unwrap();
        let other = draft(shuffled.iter().map(|(id, rule)| (*id, rule))).build().unwrap();
        prop_assert_eq!(one.decide(class, &site), other.decide(class, &site));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn no_policy_breaks_the_money_rule(
        rules in any_rules(), class in any_class(), site in any_site(),
    ) {
        let policy = draft(rules.iter().enumerate()).build().unwrap();
        let decision = policy.decide(class, &site);
        if decision.action == Action::Retry {
            prop_assert_eq!(class.transience(), Transience::Transient);
            prop_assert_ne!(class.effect(), Effect::Applied);
            prop_assert!(class.effect() == Effect::NotApplied || site.idempotent);
            prop_assert!(site.attempt < decision.max_attempts);
        }
        prop_assert!(decision.severity >= class.severity_floor());
        prop_assert_eq!(decision.class.effect(), class.effect());
        prop_assert_eq!(decision.class.kind(), class.kind());
        prop_assert!(!class.is_breaker_refusal() || !decision.breaker);
    }

    #[test]
    fn a_decision_is_the_rules_of_the_book_read_line_by_line(
        rules in any_rules(), class in any_class(), site in any_site(),
    ) {
        let policy = draft(rules.iter().enumerate()).build().unwrap();
        let matching = rules.iter().filter(|rule| rule.matches(class, &site));
        let rule = matching.max_by_key(|rule| rule.rank());
        let decision = policy.decide(class, &site);
        let (action, severity) = by_the_book(class, &site, rule);
        prop_assert_eq!((decision.action, decision.severity), (action, severity));
    }

    #[test]
    fn without_rules_a_policy_is_the_free_function(class in any_class(), site in any_site()) {
        let policy = Draft::new("empty").build().unwrap();
        prop_assert_eq!(policy.decide(class, &site), decide(class, &site));
    }

    /// A rule is refused as unreachable exactly if no failure at any place is won by it.
    #[test]
    fn a_rule_is_unreachable_exactly_if_it_never_wins(
        plain in proptest::collection::vec(any_plain(), 2..12),
    ) {
        let Err(refused) = draft(plain.iter().enumerate()).build() else {
            for (id, rule) in plain.iter().enumerate() {
                prop_assert!(wins_somewhere(rule, &plain), "{id} was let through");
            }
            return Ok(());
        };
        let unreachable: Vec<usize> = refused.faults().iter().filter_map(|fault| match fault {
            Fault::UnreachableRule { rule, .. } => rule.parse().ok(),
            _ => None,
        }).collect();
        for (id, rule) in plain.iter().enumerate() {
            prop_assert_eq!(unreachable.contains(&id), !wins_somewhere(rule, &plain));
        }
    }

    #[test]
    fn every_planted_fault_is_reported(planted in subsequence((0..8).collect::<Vec<_>>(), 0..=8)) {
        let mut draft = Draft::new("planted").with_rule(Rule::new("good").on_op("good"));
        let mut expected = Vec::new();
        for fault in &planted {
            let (next, code) = plant(draft, *fault);
            draft = next;
            expected.push(code);
        }
        let mut found: Vec<_> = match draft.build() {
            Ok(_) => Vec::new(),
            Err(refused) => refused.faults().iter().map(Fault::code).collect(),
        };
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}

fn plant(draft: Draft, fault: usize) -> (Draft, &'static str) {
    let rule = Rule::new(format!("planted_{fault}")).on_op(format!("op_{fault}"));
    match fault {
        0 => (draft.with_rule(rule.with_max_attempts(0)), "bad_max_attempts"),
        1 => (draft.with_environment("prod"), "bad_env"),
        2 => (draft.extending("nobody"), "unknown_parent"),
        3 => {
            let lost = rule.act(Action::Fallback).with_fallback("nowhere");
            (draft.with_rule(lost), "unknown_fallback")
        }
        4 => {
            let twin = Rule::new("twin").on_op("op_4");
            (draft.with_rule(rule).with_rule(twin), "duplicate_rule")
        }
        5 => {
            let retry = rule.act(Action::Retry).on_effect(Effect::Applied);
            (draft.with_rule(retry), "contradictory_rule")
        }
        6 => {
            let covered = Kind::ALL.iter().fold(draft.with_rule(rule), |draft, kind| {
                draft.with_rule(Rule::new(kind.as_str()).on_kind(*kind).on_op("op_6"))
            });
            (covered, "unreachable_rule")
        }
        _ => (draft.with_threshold(Component::DATA, 0), "bad_alert_after"),
    }
}

/// Tries every class at every place that the rules can tell apart.
fn wins_somewhere(rule: &Plain, all: &[Plain]) -> bool {
    let components = COMPONENTS.into_iter().chain([Component::new("unheard_of")]);
    let places: Vec<_> = components
        .flat_map(|component| {
            OPS.into_iter().chain(["unheard_of"]).map(move |op| Site::new(component, op))
        })
        .collect();
    let classes = Kind::ALL.iter().flat_map(|kind| {
        Transience::ALL.iter().flat_map(|transience| {
            let class = Class::of(*kind).with_transience(*transience);
            Effect::ALL.iter().map(move |effect| class.with_effect(*effect))
        })
    });
    classes.into_iter().any(|class| {
        places.iter().any(|site| {
            rule.matches(class, site)
                && !all.iter().any(|other| other.matches(class, site) && other.rank() > rule.rank())
        })
    })
}

/// The decision rules as an analyst would write them down.
fn by_the_book(class: Class, site: &Site<'_>, rule: Option<&Plain>) -> (Action, Severity) {
    let stated = rule.and_then(|rule| rule.action);
    let severity = |usual: Severity| {
        let said = rule.and_then(|rule| rule.severity).unwrap_or(usual);
        said.max(class.severity_floor())
    };
    let usual = class.kind().default_severity();
    // 2. An explicit action other than retry stands.
    if let Some(action) = stated
        && action != Action::Retry
    {
        let halts = class.kind() == Kind::Config && site.startup && action == Action::Halt;
        return (action, severity(if halts { Severity::Critical } else { usual }));
    }
    // 3. The retry family.
    let retried =
        [Kind::Conflict, Kind::RateLimited, Kind::Timeout, Kind::Connection, Kind::Unavailable];
    let is_family = stated == Some(Action::Retry)
        || retried.contains(&class.kind())
        || class.transience() == Transience::Transient;
    if is_family {
        let attempts_max = rule.and_then(|rule| rule.max_attempts).unwrap_or(site.attempts_max);
        let action = match (class.effect(), site.idempotent) {
            (Effect::Applied, _) | (Effect::Unknown, false) => Action::Reconcile,
            _ if class.transience() == Transience::Transient && site.attempt < attempts_max => {
                Action::Retry
            }
            _ => match class.kind() {
                Kind::Unavailable => Action::Degrade,
                Kind::Other => Action::Escalate,
                _ => Action::Propagate,
            },
        };
        return (action, severity(usual));
    }
    // 4. The kind's default.
    match (class.kind(), site.startup, site.environment.unwrap_or_default()) {
        (Kind::Config, true, _) => (Action::Halt, severity(Severity::Critical)),
        (Kind::Other, _, Environment::Production) => (Action::Escalate, severity(usual)),
        (Kind::Other, _, _) => (Action::Propagate, severity(usual)),
        (kind, _, _) => (kind.default_action(), severity(usual)),
    }
}
