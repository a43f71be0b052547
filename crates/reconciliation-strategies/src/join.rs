//! Pairs the rows of two statements by key; row order does not matter.

use std::{cmp::Ordering, slice};

use rust_decimal::Decimal;

use crate::{
    findings::{Finding, Kind, Outcome, Subject},
    rows::{BalanceRow, OrderRow, PositionRow, TradeRow},
};

/// A row that has a key.
pub(crate) trait Row: PartialEq {
    fn key_order(&self, other: &Self) -> Ordering;
    fn subject(&self) -> Subject;
    /// Whether a source may state such a row.
    fn is_possible(&self) -> bool;
}

/// Rows of one statement in order of their keys, each key once.
#[derive(Debug)]
pub(crate) struct Sorted<'r, R> {
    rows: Vec<&'r R>,
    /// Keys that the statement gives no usable row for: their pair is not judged.
    void: Vec<&'r R>,
}

impl<'r, R: Row> Sorted<'r, R> {
    /// Sorts `rows` and tells of those that are impossible, repeated or contradictory.
    pub(crate) fn new(source: &str, rows: &'r [R], findings: &mut Vec<Finding>) -> Self {
        let mut sorted: Vec<&R> = rows.iter().collect();
        sorted.sort_unstable_by(|a, b| a.key_order(b));
        let ascending = sorted.is_sorted_by(|a, b| a.key_order(b).is_lt());
        if ascending && sorted.iter().all(|row| row.is_possible()) {
            return Self { rows: sorted, void: Vec::new() };
        }
        let mut clean = Self { rows: Vec::new(), void: Vec::new() };
        for same_key in sorted.chunk_by(|a, b| a.key_order(b).is_eq()) {
            clean.add(source, same_key, findings);
        }
        clean
    }

    fn add(&mut self, source: &str, same_key: &[&'r R], findings: &mut Vec<Finding>) {
        let Some((&first, rest)) = same_key.split_first() else { return };
        let usable = first.is_possible() && rest.iter().all(|row| *row == first);
        let kind = if usable { Kind::DuplicateRow } else { Kind::MalformedSource };
        if !usable || !rest.is_empty() {
            let finding = Finding::new(kind, first.subject(), Outcome::Reported);
            findings.push(finding.with_source(source));
        }
        if usable { &mut self.rows } else { &mut self.void }.push(first);
    }

    fn is_void(&self, row: &R) -> bool {
        self.void.binary_search_by(|void| void.key_order(row)).is_ok()
    }
}

/// The rows of one key, ours first.
pub(crate) type Pair<'r, R> = [Option<&'r R>; 2];

/// Calls `judge` for every key that at least one side lists; returns how many keys there were.
pub(crate) fn join<'r, R: Row>(
    internal: &Sorted<'r, R>,
    external: &Sorted<'r, R>,
    mut judge: impl FnMut(Pair<'r, R>),
) -> usize {
    let (mut ours, mut theirs) = (internal.rows.iter(), external.rows.iter());
    let mut compared = 0_usize;
    while let Some(pair) = next_pair(&mut ours, &mut theirs) {
        let judged = match pair {
            [Some(row), None] => !external.is_void(row),
            [None, Some(row)] => !internal.is_void(row),
            _ => true,
        };
        if judged {
            compared = compared.saturating_add(1);
            judge(pair);
        }
    }
    compared
}

/// The rows of the least key, from one side or from both.
fn next_pair<'r, R: Row>(
    ours: &mut slice::Iter<'_, &'r R>,
    theirs: &mut slice::Iter<'_, &'r R>,
) -> Option<Pair<'r, R>> {
    let (our_next, their_next) = (ours.as_slice().first(), theirs.as_slice().first());
    let order = match (our_next, their_next) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) => a.key_order(b),
    };
    let our_row = if order.is_le() { ours.next().copied() } else { None };
    let their_row = if order.is_ge() { theirs.next().copied() } else { None };
    Some([our_row, their_row])
}

impl Row for PositionRow<'_> {
    fn key_order(&self, other: &Self) -> Ordering {
        (&self.account, &self.instrument).cmp(&(&other.account, &other.instrument))
    }

    fn subject(&self) -> Subject {
        Subject::Position {
            account: self.account.to_string(),
            instrument: self.instrument.to_string(),
        }
    }

    fn is_possible(&self) -> bool {
        !self.instrument.is_empty()
    }
}

impl Row for BalanceRow<'_> {
    fn key_order(&self, other: &Self) -> Ordering {
        (&self.account, &self.currency).cmp(&(&other.account, &other.currency))
    }

    fn subject(&self) -> Subject {
        Subject::Balance { account: self.account.to_string(), currency: self.currency.to_string() }
    }

    fn is_possible(&self) -> bool {
        !self.currency.is_empty()
    }
}

impl Row for TradeRow<'_> {
    fn key_order(&self, other: &Self) -> Ordering {
        let ours = (&self.account, &self.instrument, &self.trade_id);
        ours.cmp(&(&other.account, &other.instrument, &other.trade_id))
    }

    fn subject(&self) -> Subject {
        Subject::Trade {
            account: self.account.to_string(),
            instrument: self.instrument.to_string(),
            trade_id: self.trade_id.to_string(),
        }
    }

    fn is_possible(&self) -> bool {
        !self.instrument.is_empty()
            && !self.trade_id.is_empty()
            && self.quantity.is_sign_positive()
            && !self.quantity.is_zero()
    }
}

impl Row for OrderRow<'_> {
    fn key_order(&self, other: &Self) -> Ordering {
        let ours = (&self.account, &self.instrument, &self.order_id);
        ours.cmp(&(&other.account, &other.instrument, &other.order_id))
    }

    fn subject(&self) -> Subject {
        Subject::Order {
            account: self.account.to_string(),
            instrument: self.instrument.to_string(),
            order_id: self.order_id.to_string(),
        }
    }

    fn is_possible(&self) -> bool {
        !self.instrument.is_empty()
            && !self.order_id.is_empty()
            && self.filled >= Decimal::ZERO
            && self.filled <= self.quantity
            && !self.quantity.is_zero()
    }
}
