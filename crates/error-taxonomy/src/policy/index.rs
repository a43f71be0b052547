//! Finds the winning rule by small numbers instead of names.

use super::rule::Rule;
use crate::{Class, Component, Effect, Kind, Transience};

/// A name that a rule does not look at.
const ANY: u16 = u16::MAX;

/// The rules in the order in which they win, once per kind.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Operations that rules name, sorted.
    ops: Box<[Box<str>]>,
    /// One list per kind, the most specific first.
    by_kind: Box<[Box<[Row]>]>,
}

/// A rule as it is compared: names by their place in the sorted lists, axes by bits.
#[derive(Clone, Copy, Debug)]
struct Row {
    component: u16,
    op: u16,
    transience: u8,
    effect: u8,
    rule: u16,
}

impl Index {
    /// An index of `rules`, whose components are all in the sorted `components`.
    pub(crate) fn new(rules: &[Rule], components: &[Component]) -> Self {
        let mut ops: Vec<Box<str>> = rules.iter().filter_map(|rule| rule.when.op.clone()).collect();
        ops.sort();
        ops.dedup();
        let mut order: Vec<usize> = (0..rules.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(rules[*place].when.rank()));
        let row = |place: usize| {
            let when = &rules[place].when;
            let component = when.axes.component.and_then(|c| components.binary_search(&c).ok());
            let op = when.op.as_ref().and_then(|op| ops.binary_search(op).ok());
            Row {
                component: component.map_or(ANY, small),
                op: op.map_or(ANY, small),
                transience: when.axes.transience.map_or(u8::MAX, transience_bit),
                effect: when.axes.effect.map_or(u8::MAX, effect_bit),
                rule: small(place),
            }
        };
        let rows_of = |kind: &Kind| {
            let matching = order
                .iter()
                .filter(|place| rules[**place].when.axes.kind.is_none_or(|named| named == *kind));
            matching.map(|place| row(*place)).collect()
        };
        let by_kind = Kind::ALL.iter().map(rows_of).collect();
        Self { ops: ops.into(), by_kind }
    }

    /// The place of the winning rule for a class; `component` is its place, if rules name it.
    pub(crate) fn winner(&self, class: Class, component: Option<usize>, op: &str) -> Option<usize> {
        let rows = self.by_kind.get(class.kind() as usize)?;
        // A name that no rule knows is equal to none of theirs; `ANY` itself is never a place.
        let component = component.map_or(ANY - 1, small);
        let op = self.ops.binary_search_by(|known| (**known).cmp(op)).map_or(ANY - 1, small);
        let transience = transience_bit(class.transience());
        let effect = effect_bit(class.effect());
        let winner = rows.iter().find(|row| {
            (row.component == ANY || row.component == component)
                && (row.op == ANY || row.op == op)
                && row.transience & transience != 0
                && row.effect & effect != 0
        });
        winner.map(|row| usize::from(row.rule))
    }
}

/// A place in a list that is bounded far below 65,534 entries.
fn small(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(ANY - 2)
}

const fn transience_bit(transience: Transience) -> u8 {
    match transience {
        Transience::Permanent => 1,
        Transience::Transient => 2,
        Transience::Exhausted => 4,
    }
}

const fn effect_bit(effect: Effect) -> u8 {
    match effect {
        Effect::NotApplied => 1,
        Effect::Unknown => 2,
        Effect::Applied => 4,
    }
}
