//! A silent drift: money goes without a word, and is found by comparing.

use std::time::Duration;

use rust_decimal::Decimal;
use trading_host::{halt::Cause, host::Controls, recon::Repair, strategy::Style};

use crate::stage::{Ending, Stage, at, decimal};

/// Buys, loses `amount` at the 200th second, and wants to buy more at the 400th.
fn drifting(amount: &str, controls: Controls) -> Ending {
    let mut stage = Stage::new(1, 600).wishing(20, 0, 100).wishing(400, 0, 200);
    stage.script.drift = Some((at(200), decimal(amount)));
    stage.settings.controls = controls;
    stage.play()
}

#[test]
fn below_the_limit_it_is_found_within_two_minutes_and_adjusted() {
    let ending = drifting("-12.34", Controls::default());
    assert!(ending.report.ok, "{:?}", ending.broken());
    let report = &ending.report;
    assert!(report.detect_s_max > 0.0 && report.detect_s_max < 120.0, "{}", report.detect_s_max);
    assert!(report.recover_s_max > 0.0 && report.recover_s_max < 300.0);
    assert_eq!((report.reconciliation.found, report.reconciliation.auto_resolved), (1, 1));
    assert_eq!((report.reconciliation.manual, report.reconciliation.remaining), (0, 0));
    assert_eq!(ending.adjustments(), [("USD".to_owned(), decimal("-12.34"))]);
    assert_eq!(ending.alerts, []);
    assert_eq!(ending.held("AAA"), Decimal::from(200));
}

#[test]
fn the_limit_itself_is_still_adjusted_and_either_sign_is() {
    for amount in ["-50", "50"] {
        let ending = drifting(amount, Controls::default());
        assert!(ending.report.ok, "{amount}: {:?}", ending.broken());
        assert_eq!(ending.adjustments(), [("USD".to_owned(), decimal(amount))]);
    }
}

#[test]
fn just_before_the_end_it_is_found_beside_the_last_trades() {
    // The last tick trades: the balance may differ because of that, until its event has come.
    let mut stage = Stage::new(1, 200).wishing(190, 0, 2_000);
    stage.script.drift = Some((at(195), decimal("-12.34")));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.audit.trades.last().unwrap().0, at(200));
    assert_eq!(ending.adjustments(), [("USD".to_owned(), decimal("-12.34"))]);
}

#[test]
fn above_the_limit_a_human_hears_of_it_and_trading_stops() {
    for amount in ["-50.01", "50.01"] {
        let ending = drifting(amount, Controls::default());
        assert!(!ending.report.ok);
        let expected = ["adjustments_are_drift", "books_equal_venue", "nothing_left_to_a_human"];
        assert_eq!(ending.broken(), expected);
        assert_eq!(ending.report.reconciliation.manual, 1);
        assert_eq!(ending.adjustments(), []);

        // One alert within two minutes, which says what differs by how much.
        assert_eq!(ending.alerts.len(), 1, "{:?}", ending.alerts);
        let alert = &ending.alerts[0];
        assert_eq!(alert.name, "reconciliation_manual");
        assert!(alert.text.contains("USD"), "{}", alert.text);
        assert!(alert.at > at(200) && alert.at < at(320), "{}", alert.at);

        // The wish of the 400th second was not served; what was held stays.
        assert!(ending.report.halted.is_some(), "{:?}", Cause::Reconciliation);
        assert_eq!((ending.audit.submits.len(), ending.held("AAA")), (1, Decimal::from(100)));
    }
}

#[test]
fn what_rests_in_the_book_is_cancelled_then() {
    let limit = Style::Limit { price: decimal("9.00"), good_for: Duration::from_hours(1) };
    let mut stage = Stage::new(2, 600).wishing(20, 0, 100).wishing_in_style(20, 1, 50, limit);
    stage.script.drift = Some((at(200), decimal("-50.01")));
    let ending = stage.play();
    let cancels = ending.venue.cancels();
    assert_eq!(cancels.len(), 1);
    assert!(cancels[0] > at(200) && cancels[0] < at(320), "{cancels:?}");
    // The position stays: only an operator asks for more.
    assert_eq!(ending.held("AAA"), Decimal::from(100));
}

#[test]
fn the_figure_of_the_venue_is_not_simply_taken_over() {
    let overwrite = Controls { repair: Repair::Overwrite, ..Controls::default() };
    let ending = drifting("-50.01", overwrite);
    // What was ours to decide is gone without a word in the books of anybody.
    assert_eq!(ending.adjustments(), [("USD".to_owned(), decimal("-50.01"))]);
    assert!(ending.broken().contains(&"nothing_left_to_a_human"), "{:?}", ending.broken());
    assert!(!ending.report.ok);
}
