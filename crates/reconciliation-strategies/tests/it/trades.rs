use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Action, Context, InFlight, Policy, Preset, limits::Authority, reconcile, rows::Side,
};
use rust_decimal::dec;

use crate::book::{NOW, OLD, buy, compare, compare_with, ours, position, theirs, told, trade};

#[test]
fn a_lost_fill_that_explains_the_position_is_booked_as_it_is() {
    let ours = ours().with_positions(position(dec!(1))).with_trades(vec![buy("t1", dec!(1), OLD)]);
    let lost = buy("t2", dec!(2), OLD);
    let theirs = theirs()
        .with_positions(position(dec!(3)))
        .with_trades(vec![buy("t1", dec!(1), OLD), lost.clone()]);
    let report = compare(&ours, &theirs);
    assert_eq!(told(&report), [("trade_missing_internal", "auto")]);
    let [finding] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!(report.plan.actions, [Action::ApplyTrade { trade: lost, finding: finding.id }]);
}

#[test]
fn a_fill_that_explains_only_a_part_is_booked_and_the_rest_is_told() {
    let ours = ours().with_positions(position(dec!(0))).with_trades(vec![]);
    let theirs =
        theirs().with_positions(position(dec!(5))).with_trades(vec![buy("t1", dec!(2), OLD)]);
    let report = compare(&ours, &theirs);
    assert_eq!(told(&report), [("trade_missing_internal", "auto"), ("missing_internal", "manual")]);
    assert_eq!(report.plan.actions.len(), 1);
}

#[test]
fn a_fill_that_leads_away_from_the_position_is_left_to_a_human() {
    // The last one would come nearer, but on the other side of zero.
    for held in [dec!(0), dec!(-1), dec!(1), dec!(1.5)] {
        let ours = ours().with_positions(position(dec!(0))).with_trades(vec![]);
        let theirs =
            theirs().with_positions(position(held)).with_trades(vec![buy("t1", dec!(2), OLD)]);
        let report = compare(&ours, &theirs);
        assert!(report.findings.iter().all(|found| found.outcome.name() == "manual"));
        assert!(report.plan.actions.is_empty(), "{held}");
    }
}

#[test]
fn a_renumbered_trade_is_not_booked_a_second_time() {
    let ours = ours().with_positions(position(dec!(2))).with_trades(vec![buy("t1", dec!(2), OLD)]);
    let theirs =
        theirs().with_positions(position(dec!(2))).with_trades(vec![buy("t9", dec!(2), OLD)]);
    let report = compare(&ours, &theirs);
    assert_eq!(
        told(&report),
        [("trade_missing_external", "manual"), ("trade_missing_internal", "manual")]
    );
    assert!(report.plan.actions.is_empty());
}

#[test]
fn a_trade_only_we_know_explains_the_position_and_stays() {
    let ours = ours().with_positions(position(dec!(2))).with_trades(vec![buy("t1", dec!(2), OLD)]);
    let theirs = theirs().with_positions(vec![]).with_trades(vec![]);
    let report = compare(&ours, &theirs);
    assert_eq!(told(&report), [("trade_missing_external", "manual")]);
    assert!(report.plan.actions.is_empty());
}

#[test]
fn other_content_under_one_id_is_never_repaired() {
    let mut dearer = buy("t1", dec!(2), OLD);
    dearer.price = dec!(11);
    let ours = ours().with_positions(position(dec!(2))).with_trades(vec![buy("t1", dec!(2), OLD)]);
    let theirs = theirs().with_positions(position(dec!(2))).with_trades(vec![dearer]);
    let report = compare(&ours, &theirs);
    assert_eq!(told(&report), [("trade_mismatch", "manual")]);
    assert!(report.plan.actions.is_empty());
}

#[test]
fn other_content_does_not_change_on_its_way() {
    let ours = ours().with_trades(vec![buy("t1", dec!(2), 99_999)]);
    let report = compare(&ours, &theirs().with_trades(vec![buy("t1", dec!(3), 99_999)]));
    assert_eq!(told(&report), [("trade_mismatch", "manual")]);
}

#[test]
fn zeros_clocks_and_the_currency_of_no_fee_are_not_content() {
    let mut same = buy("t1", dec!(2.00), OLD + 7);
    same.fee_currency = "".into();
    let ours = ours().with_trades(vec![buy("t1", dec!(2), OLD)]);
    let report = compare(&ours, &theirs().with_trades(vec![same]));
    assert_eq!(told(&report), []);
    assert_eq!(report.compared.trades, 1);
}

#[test]
fn our_authority_accepts_what_we_have() {
    let policy = Policy::new(Preset::Full).with_trades(Authority::Internal);
    let ours = ours().with_trades(vec![]);
    let theirs = theirs().with_trades(vec![buy("t1", dec!(2), OLD)]);
    let report = compare_with(&policy, &ours, &theirs);
    assert_eq!(told(&report), [("trade_missing_internal", "accepted")]);
    assert!(report.plan.actions.is_empty());
}

#[test]
fn a_young_trade_is_on_its_way() {
    let ours = ours().with_positions(position(dec!(0))).with_trades(vec![]);
    let theirs = theirs()
        .with_positions(position(dec!(5)))
        .with_trades(vec![buy("lost", dec!(2), 95_000), buy("young", dec!(3), 95_001)]);
    let report = compare(&ours, &theirs);
    // The position counts both, so the lost one is booked without waiting for the young one.
    assert_eq!(
        told(&report),
        [("trade_missing_internal", "auto"), ("trade_missing_internal", "deferred")]
    );
    assert_eq!(report.plan.actions.len(), 1);
}

#[test]
fn a_trade_in_flight_is_deferred_and_explains_its_part() {
    let in_flight = InFlight::default().with_trade("A", "X", "t2");
    let context = Context::new(NOW).with_in_flight(&in_flight);
    let ours = ours().with_positions(position(dec!(0))).with_trades(vec![]);
    let theirs = theirs()
        .with_positions(position(dec!(5)))
        .with_trades(vec![buy("t1", dec!(2), OLD), buy("t2", dec!(3), OLD)]);
    let report = reconcile(&Policy::new(Preset::Full), &context, &ours, &theirs).unwrap();
    assert_eq!(
        told(&report),
        [("trade_missing_internal", "auto"), ("trade_missing_internal", "deferred")]
    );
}

#[test]
fn a_key_in_flight_defers_everything_of_the_key() {
    let in_flight = InFlight::default().with_key("A", "X");
    let context = Context::new(NOW).with_in_flight(&in_flight);
    let ours = ours().with_positions(position(dec!(0))).with_trades(vec![]);
    let theirs =
        theirs().with_positions(position(dec!(5))).with_trades(vec![buy("t1", dec!(5), OLD)]);
    let report = reconcile(&Policy::new(Preset::Full), &context, &ours, &theirs).unwrap();
    assert_eq!(report.deferred().count(), report.findings.len());
    assert!(!report.findings.is_empty());
    assert!(report.plan.actions.is_empty());
}

#[test]
fn trades_outside_either_list_or_the_lookback_are_not_judged() {
    let full = Policy::new(Preset::Full);
    let early = vec![buy("t1", dec!(1), OLD)];
    let from = Timestamp::from_millis(OLD + 1);
    let listed = ours().with_trades(early.clone());
    let report = compare_with(&full, &listed, &theirs().with_trades_since(from, vec![]));
    assert_eq!(told(&report), []);
    let report =
        compare_with(&full, &ours().with_trades_since(from, vec![]), &theirs().with_trades(early));
    assert_eq!(told(&report), []);

    let theirs =
        theirs().with_trades(vec![buy("out", dec!(1), 39_999), buy("in", dec!(1), 40_000)]);
    let incremental = Policy::new(Preset::Incremental).with_lookback(Duration::from_mins(1));
    let report = compare_with(&incremental, &ours().with_trades(vec![]), &theirs);
    assert_eq!(told(&report), [("trade_missing_internal", "auto")]);
}

#[test]
fn a_statement_older_than_our_trade_cannot_lack_it() {
    let mut theirs = theirs().with_trades(vec![]);
    theirs.as_of = Timestamp::from_millis(80_000);
    let ours = ours().with_trades(vec![buy("t1", dec!(1), 80_001)]);
    assert_eq!(told(&compare(&ours, &theirs)), []);
}

#[test]
fn trades_are_booked_in_the_order_in_which_they_happened() {
    let rows = vec![
        trade("late", Side::Sell, dec!(1), OLD + 5),
        trade("zeta", Side::Buy, dec!(3), OLD),
        trade("beta", Side::Buy, dec!(4), OLD),
    ];
    let report = compare(&ours().with_trades(vec![]), &theirs().with_trades(rows));
    let ids = report.plan.actions.iter().map(|action| match action {
        Action::ApplyTrade { trade, .. } => trade.trade_id.as_ref(),
        other => panic!("{other:?}"),
    });
    // Same millisecond: the venue lists zeta first.
    assert_eq!(ids.collect::<Vec<_>>(), ["zeta", "beta", "late"]);
}
