use backstop_error_taxonomy::{Classify, Kind};
use backstop_reconciliation_strategies::{
    Context, Leg, Policy, Preset, ReconcileError, Statement,
    coverage::{Seen, Status},
    limits::{Steps, Tolerance},
    reconcile,
    rows::{BalanceRow, PositionRow},
};
use rust_decimal::dec;

use crate::book::{NOW, OLD, buy, compare, ours, position, theirs, told};

fn full_book() -> Statement<'static> {
    ours()
        .with_positions(position(dec!(5)))
        .with_balances(vec![BalanceRow::new("A", "USDT", dec!(7))])
        .with_trades(vec![buy("t1", dec!(5), OLD)])
        .with_orders(vec![])
}

#[test]
fn what_was_not_asked_is_not_empty() {
    let report = compare(&full_book(), &theirs());
    assert_eq!(told(&report), []);
    assert_eq!((report.status, report.compared.total()), (Status::Completed, 0));
    assert_eq!(report.coverage[1].positions, Seen::NotObserved);
}

#[test]
fn a_failed_query_is_not_a_flat_account() {
    let mut venue = theirs().with_balances(vec![BalanceRow::new("A", "USDT", dec!(7))]);
    venue.positions = Leg::Failed("timed out".to_owned());
    let report = compare(&full_book(), &venue);
    assert_eq!(told(&report), []);
    assert_eq!((report.status, report.compared.total()), (Status::Partial, 1));
    assert_eq!(report.coverage[1].source, "venue");
    assert_eq!(report.coverage[1].positions, Seen::Unavailable("timed out".to_owned()));
}

#[test]
fn an_unreadable_book_of_our_own_fails_the_run() {
    let mut ours = ours();
    ours.positions = Leg::Failed("locked".to_owned());
    let report = compare(&ours, &theirs().with_positions(position(dec!(5))));
    assert_eq!(report.status, Status::Failed);
    assert_eq!(told(&report), []);
}

#[test]
fn repeated_rows_are_reported_and_compared_once() {
    let rows = vec![buy("t1", dec!(5), OLD), buy("t1", dec!(5), OLD), buy("t1", dec!(5), OLD)];
    let report = compare(&full_book(), &theirs().with_trades(rows));
    assert_eq!(told(&report), [("duplicate_row", "reported")]);
    assert_eq!(report.findings[0].source.as_deref(), Some("venue"));
    assert_eq!(report.status, Status::Completed);
}

#[test]
fn a_source_that_contradicts_itself_decides_nothing() {
    let mut rows = position(dec!(5));
    rows.push(PositionRow::new("A", "X", dec!(6)));
    rows.push(PositionRow::new("A", "Y", dec!(1)));
    let report = compare(&full_book(), &theirs().with_positions(rows));
    assert_eq!(told(&report), [("malformed_source", "reported"), ("missing_internal", "manual")]);
    assert_eq!(report.status, Status::Partial);

    let mut rows = position(dec!(5));
    rows.push(PositionRow::new("A", "X", dec!(6)));
    let theirs = theirs().with_positions(position(dec!(5)));
    let report = compare(&ours().with_positions(rows), &theirs);
    assert_eq!(told(&report), [("malformed_source", "reported")]);
}

#[test]
fn an_impossible_row_decides_nothing_and_holds_back_the_money() {
    let policy = Policy::new(Preset::Full).with_auto_resolve_limit(dec!(100)).unwrap();
    let venue = theirs()
        .with_trades(vec![buy("t1", dec!(-5), OLD)])
        .with_balances(vec![BalanceRow::new("A", "USDT", dec!(8))]);
    let report = reconcile(&policy, &Context::new(NOW), &full_book(), &venue).unwrap();
    assert_eq!(told(&report), [("malformed_source", "reported"), ("balance", "manual")]);
}

#[test]
fn statements_that_cannot_be_compared_are_refused() {
    let policy = Policy::new(Preset::Full);
    let context = Context::new(NOW);
    let error = reconcile(&policy, &context, &theirs(), &ours()).unwrap_err();
    assert_eq!(error, ReconcileError::NoVersion { source_name: "venue".to_owned() });
    assert_eq!(error.class().kind(), Kind::Invalid);
    let error = reconcile(&policy, &context, &ours(), &ours()).unwrap_err();
    assert_eq!(error.to_string(), "both statements come from `ledger`");
}

#[test]
fn a_setting_that_cannot_hold_names_field_value_and_rule() {
    let policy = Policy::new(Preset::Full);
    let error = policy.with_auto_resolve_limit(dec!(-0.1)).unwrap_err();
    assert_eq!(error.to_string(), "auto-resolve limit is -0.1: it must not be negative");
    let error = Steps::new(dec!(0), dec!(0.01)).unwrap_err();
    assert_eq!(error.to_string(), "lot step is 0: it must be above zero");
    assert_eq!(error.class().kind(), Kind::Config);
    assert!(Tolerance::exact().with_absolute(dec!(-1)).is_err());
    assert!(Tolerance::exact().with_relative(dec!(-1)).is_err());
}
