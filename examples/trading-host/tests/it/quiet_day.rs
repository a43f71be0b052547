//! A quiet day: nothing fails, so nothing is repaired, retried, lettered or alerted.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use trading_host::{
    faults::Profile,
    report::{Breaker, DeadLetters},
    setup::{self, Request},
};

use crate::stage::{Stage, broken, january};

#[test]
fn a_month_without_faults_is_traded_and_proven() {
    let market = january();
    let request = Request {
        faults: Profile::None,
        seed: 1,
        data_dir: None,
        venue: None,
        market: Some(market.path().to_owned()),
    };
    let report = setup::execute(&request, setup::settings(1).unwrap()).unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert!(report.ok);

    // Enough happened for that to mean something.
    assert_eq!(report.market_events, 930);
    assert!(report.orders.intended > 100, "{:?}", report.orders);
    assert_eq!(report.orders.accepted, report.orders.intended);
    assert!(report.fills.partial > 50, "{:?}", report.fills);
    assert!(report.pnl_snapshots.taken >= 30);
    assert!(report.durable_commits >= report.orders.intended);

    // And nothing that a quiet day does not need.
    assert_eq!(report.faults_injected, BTreeMap::new());
    assert_eq!((report.retries, report.alerts, &report.halted), (0, 0, &None));
    assert_eq!(report.errors, BTreeMap::new());
    assert_eq!(report.dead_letters, DeadLetters::default());
    assert_eq!(report.breaker, Breaker::default());
    assert_eq!((report.orders.rejected, report.orders.unknown_resolved), (0, 0));
    assert_eq!((report.fills.recovered, report.reconciliation.found), (0, 0));
    assert!(report.reconciliation.runs > 10_000);
}

#[test]
fn an_order_is_written_down_sent_once_and_booked() {
    let ending = Stage::new(1, 120).with_liquidity(50).wishing(20, 0, 120).play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let words: Vec<_> = ending.order_events().into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["intended", "accepted"]);
    assert_eq!(ending.trade_ids(), ["T00000001", "T00000002", "T00000003"]);
    assert_eq!(ending.held("AAA"), Decimal::from(120));
    assert_eq!((ending.audit.submits.len(), ending.audit.orders.len()), (1, 1));
    assert!(ending.venue.look_ups().is_empty());

    // Known to the journal before the venue could know of it.
    let entries = ending.entries();
    let order = &ending.orders()[0];
    let intended = &entries[usize::try_from(order.sequence()).unwrap() - 1];
    assert!(intended.journaled_at < ending.audit.submits[0].0);
    assert_eq!(ending.audit.orders[0].client_order_id, order.intent().order_id);
    assert_eq!(ending.audit.orders[0].tag, order.intent().tag);
}
