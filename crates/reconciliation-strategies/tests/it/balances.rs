use backstop_clock::Timestamp;
use backstop_reconciliation_strategies::{
    Action, Context, InFlight, Policy, Preset,
    limits::{Authority, Rule, Tolerance},
    reconcile,
    rows::{BalanceRow, PositionRow},
};
use rust_decimal::{Decimal, dec};

use crate::book::{NOW, OLD, buy, compare, compare_with, ours, position, theirs, told};

fn usdt(total: Decimal) -> Vec<BalanceRow<'static>> {
    vec![BalanceRow::new("A", "USDT", total)]
}

fn limit(limit: Decimal) -> Policy {
    Policy::new(Preset::Full).with_auto_resolve_limit(limit).unwrap()
}

#[test]
fn up_to_the_limit_the_balance_is_adjusted() {
    for (external, outcome) in [
        (dec!(100.05), "auto"),
        (dec!(99.95), "auto"),
        (dec!(100.0501), "manual"),
        (dec!(99.9499), "manual"),
    ] {
        let ours = ours().with_balances(usdt(dec!(100)));
        let theirs = theirs().with_balances(usdt(external));
        let report = compare_with(&limit(dec!(0.05)), &ours, &theirs);
        assert_eq!(told(&report), [("balance", outcome)], "{external}");
        let amounts = report.plan.actions.iter().map(|action| match action {
            Action::AdjustBalance { amount, .. } => *amount,
            other => panic!("{other:?}"),
        });
        let expected: Vec<_> =
            if outcome == "auto" { vec![external - dec!(100)] } else { Vec::new() };
        assert_eq!(amounts.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn without_a_limit_nothing_is_adjusted() {
    let report = compare(
        &ours().with_balances(usdt(dec!(100))),
        &theirs().with_balances(usdt(dec!(100.00000001))),
    );
    assert_eq!(told(&report), [("balance", "manual")]);
}

#[test]
fn a_currency_that_is_left_out_is_zero() {
    let ours = ours().with_balances(vec![BalanceRow::new("A", "BTC", dec!(0))]);
    let report = compare_with(&limit(dec!(1)), &ours, &theirs().with_balances(vec![]));
    assert_eq!(told(&report), []);
    let report = compare_with(&limit(dec!(1)), &ours, &theirs().with_balances(usdt(dec!(1))));
    assert_eq!(told(&report), [("balance", "auto")]);
    assert_eq!(report.findings[0].internal, None);
}

#[test]
fn tolerance_and_authority_hold() {
    let cent = Tolerance::exact().with_absolute(dec!(0.01)).unwrap();
    let policy = limit(dec!(10)).with_balance(Rule::new(cent));
    let ours = ours().with_balances(usdt(dec!(100)));
    let near = theirs().with_balances(usdt(dec!(99.99)));
    assert_eq!(told(&compare_with(&policy, &ours, &near)), []);
    let kept = Rule::new(cent).with_authority(Authority::Internal);
    let far = theirs().with_balances(usdt(dec!(99.98)));
    let report = compare_with(&policy.with_balance(kept), &ours, &far);
    assert_eq!(told(&report), [("balance", "accepted")]);
    assert!(report.plan.actions.is_empty());
}

#[test]
fn a_lost_fill_is_booked_before_money_is_judged() {
    let ours =
        ours().with_positions(position(dec!(0))).with_trades(vec![]).with_balances(usdt(dec!(100)));
    let theirs = theirs()
        .with_positions(position(dec!(2)))
        .with_trades(vec![buy("t1", dec!(2), OLD)])
        .with_balances(vec![
            BalanceRow::new("A", "USDT", dec!(80)),
            BalanceRow::new("B", "USDT", dec!(5)),
        ]);
    let report = compare_with(&limit(dec!(1000)), &ours, &theirs);
    assert_eq!(
        told(&report),
        [
            ("trade_missing_internal", "auto"),
            ("balance", "deferred"),
            // Another account has no open trade.
            ("balance", "auto"),
        ]
    );
}

#[test]
fn while_a_position_waits_for_a_human_so_does_the_money() {
    let ours = ours().with_positions(position(dec!(0))).with_balances(usdt(dec!(100)));
    let theirs = theirs().with_positions(position(dec!(2))).with_balances(usdt(dec!(80)));
    let report = compare_with(&limit(dec!(1000)), &ours, &theirs);
    assert_eq!(told(&report), [("missing_internal", "manual"), ("balance", "manual")]);
    assert!(report.plan.actions.is_empty());
}

#[test]
fn a_position_too_new_to_be_judged_defers_the_money() {
    let row = PositionRow::new("A", "X", dec!(1)).with_last_activity(Timestamp::from_millis(2));
    let ours = ours().with_positions(vec![row]).with_balances(usdt(dec!(100)));
    let mut theirs = theirs().with_positions(vec![]).with_balances(usdt(dec!(99)));
    theirs.as_of = Timestamp::from_millis(1);
    assert_eq!(told(&compare_with(&limit(dec!(1)), &ours, &theirs)), [("balance", "deferred")]);
}

#[test]
fn an_average_price_moves_no_money() {
    let held = |average| vec![PositionRow::new("A", "X", dec!(1)).with_average_price(average)];
    let ours = ours().with_positions(held(dec!(10))).with_balances(usdt(dec!(100)));
    let theirs = theirs().with_positions(held(dec!(11))).with_balances(usdt(dec!(99)));
    let report = compare_with(&limit(dec!(1)), &ours, &theirs);
    assert_eq!(told(&report), [("average_price", "manual"), ("balance", "auto")]);
}

#[test]
fn anything_in_flight_in_the_account_defers_its_money() {
    let ours = ours().with_balances(usdt(dec!(100)));
    let theirs = theirs().with_balances(usdt(dec!(99)));
    for (in_flight, outcome) in [
        (InFlight::default().with_key("A", "X"), "deferred"),
        (InFlight::default().with_trade("A", "X", "t"), "deferred"),
        (InFlight::default().with_key("B", "X"), "auto"),
    ] {
        let context = Context::new(NOW).with_in_flight(&in_flight);
        let report = reconcile(&limit(dec!(1)), &context, &ours, &theirs).unwrap();
        assert_eq!(told(&report), [("balance", outcome)]);
    }
}
