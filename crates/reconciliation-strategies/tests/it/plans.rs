use backstop_error_taxonomy::{Class, Classify, Kind};
use backstop_reconciliation_strategies::{Action, ApplyError, Books, Policy, Preset, apply};
use rust_decimal::dec;

use crate::book::{Book, OLD, buy, compare, compare_with, ours, position, theirs};

fn ours_and_theirs() -> (Book, Book) {
    let mut theirs = Book::default();
    theirs.fill(buy("t1", dec!(1), OLD));
    theirs.fill(buy("t2", dec!(2), OLD));
    (Book::default(), theirs)
}

#[test]
fn making_a_plan_twice_gives_the_same_plan_and_ids() {
    let (ours, theirs) = ours_and_theirs();
    let run = || compare(&ours.statement("ledger"), &theirs.statement("venue"));
    assert_eq!(run(), run());
    let report = run();
    let [first, second, ..] = &report.findings[..] else { panic!("{report:?}") };
    assert_ne!(first.id, second.id);
    // SHA-256, computed apart, over the parts with their lengths as eight big-endian bytes:
    // trade_missing_internal, nothing, trade, A, X, t1, -, 1.
    assert_eq!(first.id.to_string(), "f91a65904d9eaee5ec9a75736456f359");
}

#[test]
fn zeros_at_the_end_make_no_other_case() {
    let id = |quantity| {
        let theirs = theirs().with_positions(position(quantity));
        compare(&ours().with_positions(vec![]), &theirs).findings[0].id
    };
    assert_eq!(id(dec!(1.5)), id(dec!(1.500)));
    assert_ne!(id(dec!(1.5)), id(dec!(1.6)));
}

#[test]
fn a_stale_plan_is_refused_and_changes_nothing() {
    let (mut ours, theirs) = ours_and_theirs();
    let report = compare(&ours.statement("ledger"), &theirs.statement("venue"));
    ours.fill(buy("t1", dec!(1), OLD));
    let before = ours.clone();
    let error = apply(&report.plan, &mut ours).unwrap_err();
    assert_eq!(error, ApplyError::StalePlan { expected: 0, actual: 1 });
    assert_eq!(ours, before);
}

/// Takes one action, then no more.
struct Full(u64);

#[derive(Debug, PartialEq)]
struct DiskFull;

impl Classify for DiskFull {
    fn class(&self) -> Class {
        Class::of(Kind::Unavailable)
    }
}

impl Books for Full {
    type Error = DiskFull;

    fn version(&self) -> u64 {
        self.0
    }

    fn apply(&mut self, _: &Action) -> Result<(), DiskFull> {
        if self.0 == 1 {
            return Err(DiskFull);
        }
        self.0 = 1;
        Ok(())
    }
}

#[test]
fn a_refusing_book_stops_the_plan_and_says_how_far_it_came() {
    let (ours, theirs) = ours_and_theirs();
    let report = compare(&ours.statement("ledger"), &theirs.statement("venue"));
    let mut full = Full(0);
    let error = apply(&report.plan, &mut full).unwrap_err();
    assert_eq!(error, ApplyError::Refused { applied: 1, source: DiskFull });
    assert_eq!(error.class().kind(), Kind::Unavailable);
    // What was applied moved the book, so the same plan is not tried again.
    assert!(matches!(apply(&report.plan, &mut full), Err(ApplyError::StalePlan { .. })));
}

#[test]
fn a_lost_fill_and_a_drift_are_gone_after_two_runs() {
    let (mut ours, mut theirs) = ours_and_theirs();
    theirs.cash -= dec!(0.01);
    let policy = Policy::new(Preset::Full).with_auto_resolve_limit(dec!(0.05)).unwrap();
    for actions in [2, 1, 0] {
        let report = compare_with(&policy, &ours.statement("ledger"), &theirs.statement("venue"));
        assert_eq!(apply(&report.plan, &mut ours), Ok(actions));
    }
    assert_eq!((ours.cash, ours.positions), (theirs.cash, theirs.positions));
}
