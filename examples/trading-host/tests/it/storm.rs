//! A storm on a recorded month: everything holds, within the limits, and the same every time.

use std::path::Path;

use trading_host::{
    faults::Profile,
    report::Report,
    setup::{self, Request},
};

use crate::stage::{broken, january};

fn storm(market: &Path, seed: u64) -> Report {
    let request = Request {
        faults: Profile::Storm,
        seed,
        data_dir: None,
        venue: None,
        market: Some(market.to_owned()),
    };
    setup::execute(&request, setup::settings(seed).unwrap()).unwrap()
}

#[test]
fn every_invariant_holds_within_the_limits() {
    let market = january();
    for seed in 1..=3 {
        let report = storm(market.path(), seed);
        assert_eq!(broken(&report), [""; 0], "seed {seed}");
        assert!(report.ok);
        assert!(report.recovery_rate > 0.95, "seed {seed}: {}", report.recovery_rate);
        assert!(report.detect_s_max < 120.0, "seed {seed}: {}", report.detect_s_max);
        assert!(report.recover_s_max < 300.0, "seed {seed}: {}", report.recover_s_max);
        let age = report.consistency_age_s_max;
        assert!(age < 5.0, "seed {seed}: {age}");
        // What runs out is heard of when the figures are compared.
        let age = report.news_age_s_max;
        assert!(age > 0.0 && age < 120.0, "seed {seed}: {age}");

        // It was a storm: most kinds of faults befall even a month, and each was met.
        assert!(report.faults_injected.len() >= 14, "{:?}", report.faults_injected);
        assert_eq!(report.faults_injected["balance_drift"], 1);
        assert_eq!(report.faults_injected["outage"], 2);
        assert!(report.breaker.opened > 0 && report.breaker.rejected > 0);
        assert!(report.dead_letters.resolved > 0 && report.dead_letters.remaining == 0);
        assert!(report.orders.unknown_resolved > 0 && report.retries > 0);
        assert_eq!(report.orders.duplicates_at_venue, 0);
        // Nothing needed a human but what no program mends: a venue that is away for long.
        let (alerts, others): (Vec<_>, Vec<_>) =
            report.last_alerts.iter().partition(|alert| alert.contains(" venue_silent: "));
        assert_eq!(others, Vec::<&String>::new());
        assert!(alerts.len() <= 2 && report.alerts == alerts.len() as u64, "{alerts:?}");
        assert_eq!(report.halted, None);
    }
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let market = january();
    let text = |seed| {
        let report = Report { elapsed_ms: 0, ..storm(market.path(), seed) };
        serde_json::to_string_pretty(&report).unwrap()
    };
    let first = text(7);
    assert_eq!(first, text(7));
    assert_ne!(first, text(8));
}
