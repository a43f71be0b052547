//! What a run tells the `metrics` facade while it goes on.

use std::time::Duration;

use backstop_testkit::metrics::Recorded;

use crate::stage::{Stage, Submit, at, decimal};

#[test]
fn failures_alerts_snapshots_and_the_layers_of_the_guard_are_counted() {
    let mut stage = Stage::new(1, 600).wishing(20, 0, 100).wishing(400, 0, 200);
    stage.script.submits.insert(1, Submit::Limited(Duration::from_secs(3)));
    stage.script.away = Some((at(90), at(100)));
    stage.script.drift = Some((at(200), decimal("-50.01")));
    let recorded = Recorded::default();
    let ending = ::metrics::with_local_recorder(&recorded, || stage.play());

    let failures = "retry_failures_total{effect=not_applied,kind=rate_limited,retry=submit}";
    let limited = "component=execution,kind=rate_limited,outcome=recovered";
    let halted = "component=position,kind=inconsistent,outcome=failed";
    for (name, count) in [
        (failures, 1.0),
        (&format!("trading_host_errors_total{{{limited}}}"), 1.0),
        (&format!("trading_host_errors_total{{{halted}}}"), 1.0),
        ("trading_host_alerts_total{alert=reconciliation_manual,severity=critical}", 1.0),
        ("retry_attempts_total{retry=submit}", 2.0),
    ] {
        assert_eq!(recorded.value(name), Some(count), "{name}: {:?}", recorded.names());
    }
    let taken = ending.report.pnl_snapshots.taken;
    let snapshots = "trading_host_snapshots_total{kind=reconciliation,status=valid}";
    let counted = recorded.value(snapshots).unwrap();
    assert_eq!(counted.to_string(), taken.to_string());
    assert!(recorded.value("retry_attempts_total{retry=read}").unwrap() > 10.0);
}
