//! A fill whose event never comes: the gap is seen, and reconciliation brings the trade in time.

use std::time::Duration;

use backstop_position_ledger::fill::Source;
use rust_decimal::Decimal;
use trading_host::events::GAP_PATIENCE;

use crate::stage::{Fate, Stage};

fn four_fills() -> Stage {
    Stage::new(1, 120).with_liquidity(50).wishing(20, 0, 200)
}

#[test]
fn reconciliation_applies_it_before_later_ones_and_lists_it() {
    let mut stage = four_fills();
    stage.script.events.insert(3, Fate::Never);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.trade_ids(), ["T00000001", "T00000002", "T00000003", "T00000004"]);
    assert_eq!(ending.held("AAA"), Decimal::from(200));

    let fills = ending.fills();
    let recovered: Vec<_> = fills.iter().map(|fill| fill.fill.source != Source::Stream).collect();
    assert_eq!(recovered, [false, true, false, false]);
    assert!(matches!(&fills[1].fill.source, Source::Recovered { finding }
        if finding.as_str().starts_with("finding ")));
    assert_eq!(ending.report.fills.recovered, 1);
    assert_eq!(ending.detail("every_trade_once"), "4 trades, recovered: [T00000002]");
    assert_eq!(ending.report.reconciliation.auto_resolved, 1);
    // It is the venue's price and fee, not one of ours.
    assert_eq!(fills[1].fill.price, fills[0].fill.price);
    assert_eq!(fills[1].fill.fee, fills[0].fill.fee);
    assert_eq!(ending.alerts, []);
}

#[test]
fn the_gap_is_given_its_time_and_no_more() {
    let mut stage = four_fills();
    stage.script.events.insert(3, Fate::Never);
    let ending = stage.play();
    let booked = &ending.fills()[1];
    let entries = ending.entries();
    let entry = &entries[usize::try_from(booked.sequence).unwrap() - 1];
    let waited = entry.journaled_at.since(booked.at);
    assert!(waited >= GAP_PATIENCE, "{waited:?}");
    assert!(waited < GAP_PATIENCE + Duration::from_secs(2), "{waited:?}");
    assert!(ending.report.consistency_age_s_max < 5.0);
    assert_eq!(ending.report.recovery_rate.to_string(), "1");
}

/// An order of four fills, each so many milliseconds after the twentieth second.
fn fills_at(millis: [u64; 4]) -> Stage {
    let ticks = millis.map(|ms| (Duration::from_millis(20_000 + ms), 50));
    let ticks = [&ticks[..], &[(Duration::from_mins(2), 0)]].concat();
    Stage::new(1, 120).with_ticks(&ticks).wishing(20, 0, 200)
}

#[test]
fn a_trade_that_is_coming_is_not_taken_for_lost() {
    // When the gap is closed, the event of the third trade is on its way.
    let mut stage = fills_at([0, 1_000, 2_500, 10_000]);
    stage.script.events.insert(3, Fate::Never);
    stage.script.events.insert(4, Fate::After(Duration::from_millis(1_900)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.detail("every_trade_once"), "4 trades, recovered: [T00000002]");
    assert!(ending.report.consistency_age_s_max < 5.0, "{}", ending.report.consistency_age_s_max);
}

#[test]
fn a_lost_trade_does_not_overtake_what_waits() {
    // Two are lost; between them one waits, which has to be booked before the second of them.
    let mut stage = fills_at([0, 200, 400, 600]);
    stage.script.events.extend([(3, Fate::Never), (5, Fate::Never)]);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.trade_ids(), ["T00000001", "T00000002", "T00000003", "T00000004"]);
    let expected = "4 trades, recovered: [T00000002, T00000004]";
    assert_eq!(ending.detail("every_trade_once"), expected);
}

#[test]
fn a_young_trade_beside_the_gap_is_booked_in_time_too() {
    let mut stage = fills_at([0, 1_000, 3_900, 10_000]);
    stage.script.events.insert(3, Fate::Never);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert!(ending.report.consistency_age_s_max < 5.0, "{}", ending.report.consistency_age_s_max);
}

#[test]
fn a_dropped_acceptance_needs_no_repair() {
    let mut stage = four_fills();
    stage.script.events.insert(1, Fate::Never);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!((ending.report.fills.total, ending.report.fills.recovered), (4, 0));
    assert_eq!(ending.held("AAA"), Decimal::from(200));
}

#[test]
fn an_order_whose_end_was_dropped_is_learned() {
    // A limit that is never met, cancelled because the wish changes.
    let style = trading_host::strategy::Style::Limit {
        price: "9.00".parse().unwrap(),
        good_for: Duration::from_hours(1),
    };
    let mut stage = Stage::new(1, 240).wishing_in_style(20, 0, 100, style).wishing(60, 0, 50);
    // Accepted, cancelled, accepted, filled.
    stage.script.events.insert(2, Fate::Never);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.held("AAA"), Decimal::from(50));
    assert!(ending.orders().iter().all(|order| !order.status().is_open()));
    assert_eq!(ending.audit.orders.len(), 2);
}
