use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{Action, rows::OrderRow};
use rust_decimal::dec;

use crate::book::{OLD, buy, compare, order, ours, theirs, told};

#[test]
fn an_order_only_we_hold_open_is_looked_up() {
    let ours = ours().with_orders(vec![order("o1"), order("o2")]);
    let report = compare(&ours, &theirs().with_orders(vec![order("o2")]));
    assert_eq!(told(&report), [("order_missing_external", "auto")]);
    assert!(matches!(
        &report.plan.actions[..],
        [Action::ResolveOrder { order_id, .. }] if order_id == "o1"
    ));
}

#[test]
fn an_order_only_the_venue_knows_is_reported() {
    let report =
        compare(&ours().with_orders(vec![]), &theirs().with_orders(vec![order("foreign")]));
    assert_eq!(told(&report), [("order_missing_internal", "reported")]);
    assert!(report.plan.actions.is_empty());
}

#[test]
fn an_order_with_other_content_is_looked_up() {
    let filled = OrderRow { filled: dec!(3), ..order("o1") };
    let report =
        compare(&ours().with_orders(vec![order("o1")]), &theirs().with_orders(vec![filled]));
    assert_eq!(told(&report), [("order_mismatch", "auto")]);
}

#[test]
fn trades_to_be_booked_may_explain_the_order() {
    let filled = OrderRow { filled: dec!(3), ..order("o1") };
    let ours = ours().with_orders(vec![order("o1")]).with_trades(vec![]);
    let theirs = theirs().with_orders(vec![filled]).with_trades(vec![buy("t1", dec!(3), OLD)]);
    let report = compare(&ours, &theirs);
    assert_eq!(told(&report), [("order_mismatch", "deferred"), ("trade_missing_internal", "auto")]);
}

#[test]
fn a_changing_order_is_left_alone() {
    // Within the grace; newer than the statement; neither.
    for (updated, outcome) in [(95_001, "deferred"), (50_001, "deferred"), (50_000, "auto")] {
        let updated = Some(Timestamp::from_millis(updated));
        let ours = ours().with_orders(vec![OrderRow { updated, ..order("o1") }]);
        let mut theirs = theirs().with_orders(vec![]);
        theirs.as_of = Timestamp::from_millis(50_000);
        assert_eq!(told(&compare(&ours, &theirs)), [("order_missing_external", outcome)]);
    }
}
