//! A draft as TOML, JSON and the like: everything wrong is noted, nothing is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroU32};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::check::cut;
use super::fault::{Fault, Place};
use super::rule::{Factor, Rule};
use super::tree::Tree;
use super::{Draft, Policy};
use crate::{Component, Transience, UnknownName};

/// Reads without an error of its own: what is wrong is reported by [`Draft::build`], all at once.
impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reader = Reader::default();
        let mut draft = reader.draft(Tree::read(deserializer)?);
        draft.faults = reader.faults;
        Ok(draft)
    }
}

/// Reads a draft that extends nothing but profiles, and checks it.
impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Draft::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

/// Notes what is wrong while it reads.
#[derive(Default)]
struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn draft(&mut self, tree: Tree) -> Draft {
        let mut draft = Draft::default();
        let place = Place::Policy;
        let mut has_name = false;
        for (key, value) in self.table(&place, "policy", tree) {
            match key.as_str() {
                "name" => {
                    has_name = true;
                    draft.name = self.text(&place, &key, value).unwrap_or_default();
                }
                "extends" => draft.parent = self.text(&place, &key, value),
                "env" => draft.environment = self.text(&place, &key, value),
                "window_s" => draft.window = self.window(value),
                "defaults" => self.defaults(&mut draft, value),
                "fallbacks" => draft.fallbacks = self.fallbacks(value),
                "thresholds" => draft.thresholds = self.thresholds(value),
                "transience" => draft.transience = self.transience(value),
                "rules" => {
                    let list = self.list(&place, &key, value);
                    let rules = list.into_iter().enumerate();
                    draft.rules = rules
                        .filter_map(|(n, rule)| self.rule(n.saturating_add(1), rule))
                        .collect();
                }
                _ => self.unknown(&place, &key),
            }
        }
        if !has_name {
            self.faults.push(Fault::MissingKey { place, key: "name" });
        }
        draft
    }

    fn window(&mut self, value: Tree) -> Option<Duration> {
        let (window, written) = self.seconds(&Place::Policy, "window_s", value)?;
        let window = window.filter(|window| !window.is_zero() && *window <= Rule::DELAY_MAX);
        if window.is_none() {
            let (place, field, value) = (Place::Policy, "window_s", cut(&written));
            self.faults.push(Fault::BadNumber { place, field, value });
        }
        window
    }

    fn defaults(&mut self, draft: &mut Draft, value: Tree) {
        let place = Place::Table("defaults");
        let mut rule = Rule::new("defaults");
        for (key, value) in self.table(&place, "defaults", value) {
            match key.as_str() {
                "max_attempts" | "delay_s" | "factor" | "stale_max_s" => {
                    self.number(&place, &mut rule, &key, value);
                }
                _ => self.unknown(&place, &key),
            }
        }
        self.faults.extend(super::check::bad_numbers(place, &rule));
        draft.defaults.max_attempts = rule.then.max_attempts;
        draft.defaults.backoff = rule.then.backoff;
        draft.defaults.stale_max = rule.then.stale_max;
    }

    fn fallbacks(&mut self, value: Tree) -> BTreeMap<String, String> {
        let place = Place::Table("fallbacks");
        let entries = self.table(&place, "fallbacks", value).into_iter();
        entries
            .filter_map(|(key, value)| Some((key.clone(), self.text(&place, &key, value)?)))
            .collect()
    }

    fn thresholds(&mut self, value: Tree) -> BTreeMap<Component, NonZeroU32> {
        let place = Place::Table("thresholds");
        self.by_component("thresholds", value, |reader, key, value| {
            let written = reader.whole(&place, key, &value)?;
            let count = u32::try_from(written).ok().and_then(NonZeroU32::new);
            if count.is_none() {
                let (place, value) = (place.clone(), format!("{written} of {}", cut(key)));
                reader.faults.push(Fault::BadNumber { place, field: "thresholds", value });
            }
            count
        })
    }

    fn transience(&mut self, value: Tree) -> BTreeMap<Component, Transience> {
        let place = Place::Table("transience");
        self.by_component("transience", value, |reader, key, value| reader.axis(&place, key, value))
    }

    fn by_component<T>(
        &mut self,
        name: &'static str,
        value: Tree,
        mut read: impl FnMut(&mut Self, &str, Tree) -> Option<T>,
    ) -> BTreeMap<Component, T> {
        let place = Place::Table(name);
        let mut by_component = BTreeMap::new();
        for (key, value) in self.table(&place, name, value) {
            let component = self.named::<Component>(&place, &key);
            let read = read(self, &key, value);
            by_component.extend(component.zip(read));
        }
        by_component
    }

    fn rule(&mut self, number: usize, value: Tree) -> Option<Rule> {
        let unnamed = Place::RuleNumber(number);
        let entries = self.table(&unnamed, "rule", value);
        let id = entries.iter().find_map(|(key, value)| match (key.as_str(), value) {
            ("id", Tree::Text(id)) => Some(id.clone()),
            _ => None,
        });
        let Some(id) = id else {
            self.faults.push(Fault::MissingKey { place: unnamed, key: "id" });
            return None;
        };
        let place = Place::Rule(cut(&id));
        let mut rule = Rule::new(id);
        for (key, value) in entries {
            if value == Tree::Nothing {
                continue;
            }
            match key.as_str() {
                "id" => {}
                "match" => self.matcher(&place, &mut rule, value),
                "action" => rule.then.action = self.axis(&place, &key, value),
                "severity" => rule.then.severity = self.axis(&place, &key, value),
                "log_level" => rule.then.log_level = self.axis(&place, &key, value),
                "halt" => rule.then.halt = self.axis(&place, &key, value),
                "breaker" => match value {
                    Tree::Truth(counts) => rule.then.breaker = Some(counts),
                    other => self.wrong(&place, &key, "true or false", &other),
                },
                "fallback" => rule.then.fallback = self.text(&place, &key, value).map(Into::into),
                "compensation" => {
                    rule.then.compensation = self.text(&place, &key, value).map(Into::into);
                }
                _ => self.number(&place, &mut rule, &key, value),
            }
        }
        Some(rule)
    }

    fn matcher(&mut self, place: &Place, rule: &mut Rule, value: Tree) {
        let when = &mut rule.when;
        for (key, value) in self.table(place, "match", value) {
            match key.as_str() {
                _ if value == Tree::Nothing => {}
                "component" => when.axes.component = self.axis(place, &key, value),
                "kind" => when.axes.kind = self.axis(place, &key, value),
                "transience" => when.axes.transience = self.axis(place, &key, value),
                "effect" => when.axes.effect = self.axis(place, &key, value),
                "op" => when.op = self.text(place, &key, value).map(Into::into),
                _ => self.unknown(place, &format!("match.{}", cut(&key))),
            }
        }
    }

    /// Reads one of the numbers of a rule; one out of its range is noted in the rule.
    fn number(&mut self, place: &Place, rule: &mut Rule, key: &str, value: Tree) {
        match key {
            "max_attempts" | "alert_after" => {
                let Some(written) = self.whole(place, key, &value) else { return };
                let count = u32::try_from(written).ok().and_then(NonZeroU32::new);
                let bad = count.is_none().then(|| written.to_string());
                if key == "max_attempts" {
                    rule.then.max_attempts = count;
                    rule.judge("max_attempts", bad);
                } else {
                    rule.then.alert_after = count;
                    rule.judge("alert_after", bad);
                }
            }
            "size_percent" => {
                let Some(written) = self.whole(place, key, &value) else { return };
                let percent = u8::try_from(written).ok().and_then(NonZeroU8::new);
                rule.then.size_percent = percent.filter(|percent| percent.get() <= 100);
                let bad = rule.then.size_percent.is_none().then(|| written.to_string());
                rule.judge("size_percent", bad);
            }
            "factor" => {
                // Seconds have the range of a factor, and their milliseconds are its thousandths.
                let Some((read, written)) = self.seconds(place, key, value) else { return };
                let thousandths = read.and_then(|factor| u32::try_from(factor.as_millis()).ok());
                let factor = thousandths.map(Factor::from_thousandths);
                let factor = factor.filter(|factor| (Factor::ONE..=Factor::MAX).contains(factor));
                rule.then.backoff.factor = factor;
                rule.judge("factor", factor.is_none().then_some(written));
            }
            "delay_s" | "stale_max_s" => {
                let Some((read, written)) = self.seconds(place, key, value) else { return };
                let read = read.filter(|time| *time <= Rule::DELAY_MAX);
                let bad = read.is_none().then_some(written);
                if key == "delay_s" {
                    rule.then.backoff.delay = read;
                    rule.judge("delay_s", bad);
                } else {
                    rule.then.stale_max = read;
                    rule.judge("stale_max_s", bad);
                }
            }
            _ => self.unknown(place, key),
        }
    }

    /// A time, or none if the number is negative or beyond all measure, and how it was written.
    fn seconds(
        &mut self,
        place: &Place,
        key: &str,
        value: Tree,
    ) -> Option<(Option<Duration>, String)> {
        match value {
            Tree::Whole(whole) => {
                Some((u64::try_from(whole).ok().map(Duration::from_secs), whole.to_string()))
            }
            Tree::Fraction(fraction) => {
                Some((Duration::try_from_secs_f64(fraction).ok(), fraction.to_string()))
            }
            other => {
                self.wrong(place, key, "a number", &other);
                None
            }
        }
    }

    fn whole(&mut self, place: &Place, key: &str, value: &Tree) -> Option<i128> {
        match value {
            Tree::Whole(whole) => Some(*whole),
            other => {
                self.wrong(place, key, "a whole number", other);
                None
            }
        }
    }

    fn text(&mut self, place: &Place, key: &str, value: Tree) -> Option<String> {
        match value {
            Tree::Text(text) => Some(text),
            Tree::Nothing => None,
            other => {
                self.wrong(place, key, "a text", &other);
                None
            }
        }
    }

    fn axis<T: FromStr<Err = UnknownName>>(
        &mut self,
        place: &Place,
        key: &str,
        value: Tree,
    ) -> Option<T> {
        let text = self.text(place, key, value)?;
        self.named(place, &text)
    }

    fn named<T: FromStr<Err = UnknownName>>(&mut self, place: &Place, text: &str) -> Option<T> {
        let read = text.parse();
        let note = |refused| self.faults.push(Fault::unknown_name(place.clone(), &refused));
        read.map_err(note).ok()
    }

    fn list(&mut self, place: &Place, key: &str, value: Tree) -> Vec<Tree> {
        match value {
            Tree::List(list) => list,
            Tree::Nothing => Vec::new(),
            other => {
                self.wrong(place, key, "a list", &other);
                Vec::new()
            }
        }
    }

    fn table(&mut self, place: &Place, key: &str, value: Tree) -> Vec<(String, Tree)> {
        let table = match value {
            Tree::Table(table) => table,
            Tree::Nothing => Vec::new(),
            other => {
                self.wrong(place, key, "a table", &other);
                Vec::new()
            }
        };
        let mut seen = BTreeSet::new();
        for (key, _) in &table {
            if !seen.insert(key) {
                self.faults.push(Fault::RepeatedKey { place: place.clone(), key: cut(key) });
            }
        }
        table
    }

    fn wrong(&mut self, place: &Place, key: &str, expected: &'static str, found: &Tree) {
        let (place, key, found) = (place.clone(), cut(key), found.sort());
        self.faults.push(Fault::WrongType { place, key, expected, found });
    }

    fn unknown(&mut self, place: &Place, key: &str) {
        self.faults.push(Fault::UnknownKey { place: place.clone(), key: cut(key) });
    }
}

/// Writes the form that it is read from.
impl Serialize for Draft {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = Vec::new();
        put(&mut table, "name", Some(text(&self.name)));
        put(&mut table, "extends", self.parent.as_deref().map(text));
        put(&mut table, "env", self.environment.as_deref().map(text));
        put(&mut table, "window_s", self.window.map(seconds));
        let mut defaults = Vec::new();
        put(&mut defaults, "max_attempts", self.defaults.max_attempts.map(count));
        put(&mut defaults, "delay_s", self.defaults.backoff.delay.map(seconds));
        put(&mut defaults, "factor", self.defaults.backoff.factor.map(factor));
        put(&mut defaults, "stale_max_s", self.defaults.stale_max.map(seconds));
        put_table(&mut table, "defaults", defaults);
        let fallbacks = self.fallbacks.iter().map(|(from, to)| (from.clone(), text(to)));
        put_table(&mut table, "fallbacks", fallbacks.collect());
        let thresholds = self.thresholds.iter().map(|(at, n)| (at.to_string(), count(*n)));
        put_table(&mut table, "thresholds", thresholds.collect());
        let transience = self.transience.iter();
        let transience = transience.map(|(at, stated)| (at.to_string(), text(stated.as_str())));
        put_table(&mut table, "transience", transience.collect());
        let rules: Vec<Tree> = self.rules.iter().map(rule).collect();
        put(&mut table, "rules", (!rules.is_empty()).then_some(Tree::List(rules)));
        Tree::Table(table).serialize(serializer)
    }
}

/// Writes the draft that it was built from.
impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.draft().serialize(serializer)
    }
}

type Table = Vec<(String, Tree)>;

fn put(table: &mut Table, key: &str, value: Option<Tree>) {
    table.extend(value.map(|value| (key.to_owned(), value)));
}

fn put_table(table: &mut Table, key: &str, entries: Table) {
    put(table, key, (!entries.is_empty()).then_some(Tree::Table(entries)));
}

fn text(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

fn count(count: NonZeroU32) -> Tree {
    Tree::Whole(count.get().into())
}

fn seconds(time: Duration) -> Tree {
    match time.subsec_nanos() {
        0 => Tree::Whole(time.as_secs().into()),
        _ => Tree::Fraction(time.as_secs_f64()),
    }
}

fn factor(factor: Factor) -> Tree {
    seconds(Duration::from_millis(factor.thousandths().into()))
}

fn rule(rule: &Rule) -> Tree {
    let (when, then) = (&rule.when, &rule.then);
    let mut table = Vec::new();
    put(&mut table, "id", Some(text(&rule.id)));
    put(&mut table, "action", then.action.map(|action| text(action.as_str())));
    put(&mut table, "severity", then.severity.map(|severity| text(severity.as_str())));
    put(&mut table, "log_level", then.log_level.map(|level| text(level.as_str())));
    put(&mut table, "breaker", then.breaker.map(Tree::Truth));
    put(&mut table, "alert_after", then.alert_after.map(count));
    put(&mut table, "max_attempts", then.max_attempts.map(count));
    put(&mut table, "delay_s", then.backoff.delay.map(seconds));
    put(&mut table, "factor", then.backoff.factor.map(factor));
    put(&mut table, "size_percent", then.size_percent.map(|n| Tree::Whole(n.get().into())));
    put(&mut table, "fallback", then.fallback.as_deref().map(text));
    put(&mut table, "compensation", then.compensation.as_deref().map(text));
    put(&mut table, "halt", then.halt.map(|scope| text(scope.as_str())));
    put(&mut table, "stale_max_s", then.stale_max.map(seconds));
    let mut matcher = Vec::new();
    put(&mut matcher, "component", when.axes.component.map(|at| text(at.as_str())));
    put(&mut matcher, "kind", when.axes.kind.map(|kind| text(kind.as_str())));
    put(&mut matcher, "op", when.op.as_deref().map(text));
    put(&mut matcher, "transience", when.axes.transience.map(|stated| text(stated.as_str())));
    put(&mut matcher, "effect", when.axes.effect.map(|effect| text(effect.as_str())));
    put_table(&mut table, "match", matcher);
    Tree::Table(table)
}
