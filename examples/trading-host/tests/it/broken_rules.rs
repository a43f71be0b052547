//! Negative controls: with one rule broken, its invariant fails and the run exits with status 1.

use serde_json::Value;

use crate::{
    command_line::{run, told},
    stage::january,
};

/// The invariants that broke under a broken rule, on a month in which that rule is needed.
fn broken(rule: &str) -> (Vec<String>, Value) {
    let market = january();
    let more = ["--break-rule", rule, "--report", "json", "--seed", "1"];
    let (status, out, err) = told(&run(market.path(), None, &more));
    assert_eq!(status, Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["ok"], Value::Bool(false));
    let invariants = report["invariants"].as_array().unwrap().iter();
    let broken = invariants.filter(|invariant| invariant["holds"] == Value::Bool(false));
    (broken.map(|invariant| invariant["name"].as_str().unwrap().to_owned()).collect(), report)
}

#[test]
fn a_plain_retry_buys_twice() {
    let (broken, report) = broken("plain-retry");
    assert!(broken.contains(&"one_order_per_intent".to_owned()), "{broken:?}");
    assert!(report["orders"]["duplicates_at_venue"].as_u64().unwrap() > 0);
}

#[test]
fn without_deduplication_trades_are_not_in_the_books_once() {
    let (broken, _) = broken("no-deduplication");
    assert!(broken.contains(&"every_trade_once".to_owned()), "{broken:?}");
}

#[test]
fn a_place_committed_before_the_letter_loses_trades() {
    let (broken, report) = broken("commit-before-put");
    assert!(broken.contains(&"every_trade_once".to_owned()), "{broken:?}");
    assert!(broken.contains(&"letters_accounted_for".to_owned()), "{broken:?}");
    assert_eq!(report["dead_letters"]["put"], Value::from(0));
}

#[test]
fn overwritten_books_are_adjusted_by_more_than_the_drift() {
    let (broken, _) = broken("overwrite-books");
    assert!(broken.contains(&"adjustments_are_drift".to_owned()), "{broken:?}");
}

#[test]
fn an_order_presumed_failed_at_first_sight_was_placed_after_all() {
    let (broken, _) = broken("presume-failed");
    assert!(broken.contains(&"no_order_misjudged".to_owned()), "{broken:?}");
}

#[test]
fn with_every_rule_in_force_the_same_month_holds() {
    let market = january();
    let (status, out, _) = told(&run(market.path(), None, &["--seed", "1", "--report", "json"]));
    assert_eq!(status, Some(0), "{out}");
}

#[test]
fn a_snapshot_altered_on_its_way_out_does_not_verify() {
    let (broken, report) = broken("alter-snapshot");
    assert_eq!(broken, ["snapshots_verify"]);
    assert_eq!(report["pnl_snapshots"]["mismatched"], Value::from(1));
    let told = report["last_alerts"].as_array().unwrap().iter();
    let told: Vec<_> = told.filter_map(Value::as_str).collect();
    let text = "snapshot_mismatch: the end_of_day snapshot of 2017-01-02T22:00:00Z was published";
    assert!(told.iter().any(|alert| alert.contains(text)), "{told:?}");
}
