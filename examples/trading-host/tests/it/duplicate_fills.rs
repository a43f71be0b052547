//! Repeated and disordered events: each trade is booked once, in the order of execution.

use std::time::Duration;

use rust_decimal::Decimal;
use trading_host::fill::Repeats;

use crate::stage::{Fate, Stage};

const ALL: [&str; 4] = ["T00000001", "T00000002", "T00000003", "T00000004"];

/// An order that takes four ticks, so that its events are: accepted, then four fills.
fn four_fills() -> Stage {
    Stage::new(1, 120).with_liquidity(50).wishing(20, 0, 200)
}

#[test]
fn a_fill_that_comes_twice_is_booked_once() {
    let mut stage = four_fills();
    stage.script.events.extend([(1, Fate::Twice), (2, Fate::Twice), (4, Fate::Twice)]);
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.trade_ids(), ALL);
    assert_eq!(ending.held("AAA"), Decimal::from(200));
    assert_eq!((ending.report.fills.total, ending.report.fills.recovered), (4, 0));
    // Recognised, not repaired: no letter, no finding, and noticed as what it is.
    assert_eq!(ending.letters(), []);
    assert_eq!(ending.report.reconciliation.found, 0);
    assert_eq!(ending.report.faults_injected.values().sum::<u64>(), 3);
    assert_eq!(ending.report.recovery_rate.to_string(), "1");
}

#[test]
fn without_that_the_books_would_differ() {
    let mut stage = four_fills();
    stage.script.events.insert(2, Fate::Twice);
    stage.settings.controls.repeats = Repeats::Booked;
    let ending = stage.play();
    assert!(ending.broken().contains(&"every_trade_once"), "{:?}", ending.broken());
    assert!(!ending.report.ok);
}

#[test]
fn a_fill_that_comes_after_its_successors_is_booked_before_them() {
    // The second fill is slower than the two that follow, 400 ms apart.
    let ticks: Vec<_> = (0..10)
        .map(|nth| (Duration::from_millis(20_000 + 400 * nth), 50))
        .chain([(Duration::from_mins(2), 0)])
        .collect();
    let mut stage = Stage::new(1, 120).with_ticks(&ticks).wishing(20, 0, 200);
    stage.script.events.insert(3, Fate::After(Duration::from_millis(1_500)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.trade_ids(), ALL);
    assert_eq!(ending.report.fills.recovered, 0);

    let fills = ending.fills();
    let written: Vec<_> = ending.entries().iter().map(|entry| entry.journaled_at).collect();
    let written = |nth: usize| written[usize::try_from(fills[nth].sequence).unwrap() - 1];
    assert!(written(1).since(fills[1].at) >= Duration::from_millis(1_500));
    assert!(written(2) >= written(1) && written(3) >= written(2));
    // The third had come long before, and waited.
    assert!(written(2).since(fills[2].at) > Duration::from_secs(1));
}
