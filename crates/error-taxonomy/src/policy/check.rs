//! Looks for everything that is wrong with a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use super::draft::{Defaults, Draft};
use super::fault::{Fault, Place};
use super::rule::{Match, Rule};
use crate::{Action, Class, Component, Effect, Environment, Kind, Transience};

/// Longest part of a wrong text that a fault repeats, in characters.
const KEPT_CHARS_MAX: usize = 64;

/// Most rules that one fault names besides the one it is about.
const NAMES_MAX: usize = 8;

/// A policy and all that it extends, the nearest on top.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) rules: Vec<Rule>,
    pub(crate) defaults: Defaults,
    pub(crate) fallbacks: BTreeMap<String, String>,
    pub(crate) thresholds: BTreeMap<Component, NonZeroU32>,
    pub(crate) window: Option<Duration>,
    pub(crate) transience: BTreeMap<Component, Transience>,
    environment: Option<String>,
}

impl Layer {
    /// Puts a draft over what is there, and notes what is wrong with it.
    pub(crate) fn put(&mut self, draft: &Draft, faults: &mut Vec<Fault>) {
        faults.extend(draft.faults.iter().cloned());
        // A draft of code needs no name; one of a file says that it is missing.
        if !draft.name.is_empty() {
            bad_name(&Place::Policy, "name", &draft.name, faults);
        }
        faults.extend(draft.rules.iter().flat_map(rule_faults));
        let inherited = std::mem::take(&mut self.rules);
        let count = draft.rules.len();
        if count > Draft::RULES_MAX {
            // The rules are not compared with each other: that takes time by the square.
            faults.push(Fault::TooMany { what: "rules", count, max: Draft::RULES_MAX });
            return;
        }
        duplicates(&draft.rules, faults);
        let replaced =
            |old: &Rule| draft.rules.iter().any(|new| new.id == old.id || new.when == old.when);
        let inherited: Vec<_> = inherited.into_iter().filter(|old| !replaced(old)).collect();
        let all: Vec<&Rule> = draft.rules.iter().chain(&inherited).collect();
        if all.len() > Draft::RULES_MAX {
            faults.push(Fault::TooMany { what: "rules", count: all.len(), max: Draft::RULES_MAX });
            return;
        }
        faults.extend(draft.rules.iter().filter_map(|rule| unreachable(rule, &all)));
        // What only the new rules put out of reach is overridden, which is what they are for.
        let mut kept: Vec<Rule> =
            inherited.iter().filter(|old| unreachable(old, &all).is_none()).cloned().collect();
        kept.extend(draft.rules.iter().cloned());
        self.rules = kept;
        self.put_tables(draft);
    }

    fn put_tables(&mut self, draft: &Draft) {
        let (over, under) = (draft.defaults, self.defaults);
        self.defaults = Defaults {
            max_attempts: over.max_attempts.or(under.max_attempts),
            backoff: super::Backoff {
                delay: over.backoff.delay.or(under.backoff.delay),
                factor: over.backoff.factor.or(under.backoff.factor),
            },
            stale_max: over.stale_max.or(under.stale_max),
        };
        self.fallbacks.extend(draft.fallbacks.clone());
        self.thresholds.extend(&draft.thresholds);
        self.transience.extend(&draft.transience);
        self.window = draft.window.or(self.window);
        self.environment = draft.environment.clone().or(self.environment.take());
    }

    /// Checks what only the whole can show.
    pub(crate) fn check(&self, faults: &mut Vec<Fault>) -> Environment {
        self.sizes(faults);
        let known: BTreeSet<&str> =
            self.fallbacks.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
        for rule in &self.rules {
            match rule.then.fallback.as_deref() {
                Some(fallback) if !known.contains(fallback) => {
                    let (rule, fallback) = (cut(&rule.id), cut(fallback));
                    faults.push(Fault::UnknownFallback { rule, fallback });
                }
                _ => {}
            }
        }
        for name in known {
            bad_name(&Place::Table("fallbacks"), "name", name, faults);
        }
        let Some(name) = &self.environment else { return Environment::default() };
        name.parse().unwrap_or_else(|_| {
            faults.push(Fault::BadEnvironment { value: cut(name) });
            Environment::default()
        })
    }

    fn sizes(&self, faults: &mut Vec<Fault>) {
        let sizes = [
            ("fallbacks", self.fallbacks.len()),
            ("thresholds", self.thresholds.len()),
            ("transiences", self.transience.len()),
        ];
        for (what, count) in sizes {
            if count > Draft::ENTRIES_MAX {
                faults.push(Fault::TooMany { what, count, max: Draft::ENTRIES_MAX });
            }
        }
    }
}

/// The beginning of a text that may be long.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(KEPT_CHARS_MAX).collect()
}

fn bad_name(place: &Place, field: &'static str, name: &str, faults: &mut Vec<Fault>) {
    let max = Draft::NAME_CHARS_MAX;
    // One character may take four bytes, so the length in bytes bounds the count.
    if name.is_empty() || name.len() > 4 * max || name.chars().count() > max {
        let (place, value) = (place.clone(), cut(name));
        faults.push(Fault::BadName { place, field, value, max });
    }
}

pub(crate) fn bad_numbers(place: Place, rule: &Rule) -> impl Iterator<Item = Fault> {
    rule.bad.iter().map(move |bad| Fault::BadNumber {
        place: place.clone(),
        field: bad.field,
        value: cut(&bad.value),
    })
}

/// What is wrong with a rule by itself.
fn rule_faults(rule: &Rule) -> Vec<Fault> {
    let place = Place::Rule(cut(&rule.id));
    let mut faults: Vec<_> = bad_numbers(place.clone(), rule).collect();
    let names = [
        ("id", Some(&*rule.id)),
        ("op", rule.when.op.as_deref()),
        ("fallback", rule.then.fallback.as_deref()),
        ("compensation", rule.then.compensation.as_deref()),
    ];
    for (field, name) in names {
        if let Some(name) = name {
            bad_name(&place, field, name, &mut faults);
        }
    }
    let contradictions = contradictions(rule).into_iter();
    faults.extend(contradictions.map(|why| Fault::ContradictoryRule { rule: cut(&rule.id), why }));
    faults
}

/// What of a rule cannot hold together.
fn contradictions(rule: &Rule) -> Vec<&'static str> {
    let (when, then) = (&rule.when.axes, &rule.then);
    let Some(action) = then.action else { return Vec::new() };
    let retries = action == Action::Retry;
    let tries = then.max_attempts.is_some()
        || then.backoff != super::Backoff::default()
        || then.size_percent.is_some();
    let takes_fallback =
        matches!(action, Action::Fallback | Action::Continue | Action::Degrade | Action::Retry);
    let checks = [
        (retries && when.effect == Some(Effect::Applied), "it retries what took effect"),
        (
            retries && when.transience.is_some_and(|stated| stated != Transience::Transient),
            "it retries what does not pass by itself",
        ),
        (!retries && tries, "it says how to retry, but its action is another"),
        (
            !takes_fallback && then.fallback.is_some(),
            "it names a fallback, but its action has no use for one",
        ),
        (
            action != Action::Compensate && then.compensation.is_some(),
            "it names a compensation, but its action is another",
        ),
        (
            action != Action::Halt && then.halt.is_some(),
            "it says how much to halt, but its action is another",
        ),
        (
            !takes_fallback && then.stale_max.is_some(),
            "it says how old a value may be, but its action uses none",
        ),
    ];
    checks.into_iter().filter_map(|(is_wrong, why)| is_wrong.then_some(why)).collect()
}

/// Rules of one policy with the same matcher, and with the same id.
fn duplicates(rules: &[Rule], faults: &mut Vec<Fault>) {
    let mut matchers: BTreeMap<&Match, Vec<String>> = BTreeMap::new();
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in rules {
        matchers.entry(&rule.when).or_default().push(cut(&rule.id));
        *ids.entry(&rule.id).or_default() += 1;
    }
    for (_, mut rules) in matchers {
        if rules.len() > 1 {
            rules.sort();
            faults.push(Fault::DuplicateRule { rules });
        }
    }
    for (id, count) in ids {
        if count > 1 {
            faults.push(Fault::DuplicateId { rule: cut(id), count });
        }
    }
}

/// The fault of a rule that more specific rules leave nothing to.
///
/// Components and operations are open, so the rule is asked about one that nobody else names, if it
/// does not name one itself; kinds, transiences and effects are gone through.
fn unreachable(rule: &Rule, all: &[&Rule]) -> Option<Fault> {
    let (axes, op) = (&rule.when.axes, &rule.when.op);
    let rank = rule.when.rank();
    let above: Vec<&&Rule> = all
        .iter()
        .filter(|other| {
            let (theirs, their_op) = (&other.when.axes, &other.when.op);
            other.when.rank() > rank
                && (theirs.component.is_none() || theirs.component == axes.component)
                && (their_op.is_none() || their_op == op)
                && may_both_match(theirs, axes)
        })
        .collect();
    let mut by = BTreeSet::new();
    for class in classes(axes) {
        let winner = above.iter().find(|other| {
            let component = other.when.axes.component.unwrap_or(Component::SYSTEM);
            other.when.axes.fits(class, component)
        })?;
        by.insert(cut(&winner.id));
    }
    let by = by.into_iter().take(NAMES_MAX).collect();
    Some(Fault::UnreachableRule { rule: cut(&rule.id), by })
}

fn may_both_match(one: &super::rule::Axes, other: &super::rule::Axes) -> bool {
    fn meet<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> bool {
        one.is_none() || other.is_none() || one == other
    }
    meet(one.kind, other.kind)
        && meet(one.transience, other.transience)
        && meet(one.effect, other.effect)
}

/// Every class that the axes match, as far as rules can tell classes apart.
fn classes(axes: &super::rule::Axes) -> impl Iterator<Item = Class> {
    let axes = *axes;
    let all = Kind::ALL.iter().flat_map(|kind| {
        Transience::ALL.iter().flat_map(move |transience| {
            Effect::ALL.iter().map(move |effect| {
                Class::of(*kind).with_transience(*transience).with_effect(*effect)
            })
        })
    });
    all.filter(move |class| axes.fits(*class, axes.component.unwrap_or(Component::SYSTEM)))
}
