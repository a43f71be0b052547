//! An outage: the breaker keeps orders back, and everything goes on when the venue is back.

use std::time::Duration;

use rust_decimal::Decimal;
use trading_host::{
    faults::Profile,
    setup::{self, Request},
    venue::FaultSubject,
};

use crate::stage::{Ending, Stage, at, january};

/// Wishes of three instruments that come while the venue is away, and one from before.
fn five_minutes_away() -> Ending {
    let mut stage = Stage::new(3, 900)
        .wishing(50, 0, 100)
        .wishing(120, 0, 200)
        .wishing(130, 1, 300)
        .wishing(140, 2, -100);
    stage.script.away = Some((at(100), at(400)));
    stage.play()
}

#[test]
fn the_breaker_opens_and_keeps_orders_back() {
    let ending = five_minutes_away();
    let breaker = ending.report.breaker;
    assert!(breaker.opened >= 1 && breaker.rejected >= 3, "{breaker:?}");

    // Ten probes of half a minute each, and what it took to open: not a try per tick.
    let (from, to) = (at(100), at(400));
    let inside = |moment| from <= moment && moment < to;
    let knocks = ending.audit.submits.iter().filter(|(moment, _)| inside(*moment)).count();
    assert!((5..=20).contains(&knocks), "{knocks}");
    let intents = u64::try_from(ending.orders().len()).unwrap();
    assert!(intents > 4, "an intent that was kept back is over, and the next is another");
    assert_eq!(ending.audit.orders.len(), 4);
}

#[test]
fn an_order_that_was_kept_back_never_came_to_the_door() {
    let ending = five_minutes_away();
    let knocked: Vec<_> = ending.audit.submits.iter().map(|(_, tag)| *tag).collect();
    let orders = ending.orders();
    let silent = orders.iter().filter(|order| !knocked.contains(&order.intent().tag)).count();
    assert!(silent >= 3, "{silent} of {}", orders.len());
    assert_eq!(ending.detail("nothing_sent_when_closed").split(' ').next().unwrap(), {
        let mut tags = knocked.clone();
        tags.sort_unstable();
        tags.dedup();
        tags.len().to_string()
    });
}

#[test]
fn everything_recovers_within_the_limits() {
    let ending = five_minutes_away();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (200.into(), 300.into()));
    assert_eq!(ending.held("CCC"), Decimal::from(-100));

    let report = &ending.report;
    assert_eq!(report.faults_injected["outage"], 1);
    assert_eq!(report.recovery_rate.to_string(), "1");
    assert!(report.detect_s_max < 120.0, "{}", report.detect_s_max);
    assert!(report.recover_s_max > 0.0 && report.recover_s_max < 300.0);
    assert!(report.consistency_age_s_max < 5.0, "{}", report.consistency_age_s_max);
    // Orders that missed their time were told apart from those that may have been placed.
    assert_eq!((report.orders.accepted, report.orders.unknown_resolved), (4, 0));
    assert_eq!(ending.alerts, []);
}

#[test]
fn what_waits_for_the_venue_at_the_end_is_awaited() {
    let mut stage = Stage::new(1, 120).wishing(20, 0, 100);
    // Back only long after the last price.
    stage.script.away = Some((at(15), at(4_000)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.report.orders.accepted, 0);
    assert_eq!(ending.audit.orders, []);
    assert!(ending.orders().iter().all(|order| !order.status().is_open()));
}

#[test]
fn a_human_hears_once_of_a_venue_that_is_silent() {
    let mut stage = Stage::new(1, 7_200).wishing(20, 0, 100).wishing(6_000, 0, 200);
    stage.script.away = Some((at(100), at(4_000)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let names: Vec<_> = ending.alerts.iter().map(|alert| alert.name).collect();
    assert_eq!(names, ["venue_silent"]);
    let told = ending.alerts[0].at;
    assert!(at(700) <= told && told < at(800), "{told}");
}

#[test]
fn a_venue_that_is_away_at_the_start_is_awaited() {
    let mut stage = Stage::new(1, 900).wishing(20, 0, 100);
    stage.script.away = Some((at(0).saturating_sub(Duration::from_hours(1)), at(300)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert!(ending.audit.submits[0].0 >= at(300));
    assert_eq!(ending.held("AAA"), Decimal::from(100));
}

#[test]
fn each_outage_of_a_recorded_month_is_joined_with_its_own_end() {
    let market = january();
    let request = Request {
        faults: Profile::Calm,
        seed: 3,
        data_dir: None,
        venue: None,
        market: Some(market.path().to_owned()),
    };
    let report = setup::execute(&request, setup::settings(3).unwrap()).unwrap();
    assert!(report.ok);
    assert_eq!(report.faults_injected["outage"], 1);
    assert_eq!(report.recovery_rate.to_string(), "1", "{:?}", FaultSubject::Outage(1));
    assert!(report.breaker.opened > 0);
}
