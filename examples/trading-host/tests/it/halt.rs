//! A halt: no new orders, whatever is open cancelled, flat at the end.

use std::{collections::BTreeMap, time::Duration};

use backstop_clock::Timestamp;
use backstop_position_ledger::order::Status;
use rust_decimal::Decimal;
use trading_host::{
    halt::{Called, Cause, Depth, Halts, SqliteHalts},
    host::run,
    strategy::Style,
};

use crate::stage::{Ending, Set, Stage, Submit, at, broken, decimal};

fn far_limit() -> Style {
    Style::Limit { price: decimal("9.00"), good_for: Duration::from_hours(1) }
}

/// Holds two instruments, has a limit in the book of a third, wants more after the halt.
fn drill(halt_at: Timestamp) -> Stage {
    let mut stage = Stage::new(3, 600)
        .wishing(20, 0, 100)
        .wishing(20, 1, -200)
        .wishing_in_style(30, 2, 500, far_limit())
        .wishing(310, 0, 400)
        .wishing(320, 2, 100);
    stage.settings.halt_at = Some(halt_at);
    stage
}

fn after(ending: &Ending, moment: Timestamp) -> Vec<(String, Decimal)> {
    let late: Vec<_> = ending.audit.submits.iter().filter(|(at, _)| *at >= moment).collect();
    let orders = ending.orders();
    let by_tag: BTreeMap<_, _> = orders.iter().map(|order| (order.intent().tag, order)).collect();
    let sent = late.into_iter().map(|(_, tag)| {
        let intent = by_tag[tag].intent();
        let signed = intent.side.signed(intent.quantity);
        (intent.instrument.as_str().to_owned(), signed.try_into().unwrap())
    });
    sent.collect()
}

#[test]
fn nothing_is_sent_after_it_but_what_flattens() {
    let ending = drill(at(300)).play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    let mut sent = after(&ending, at(300));
    sent.sort_unstable();
    let expected =
        [("AAA".to_owned(), Decimal::from(-100)), ("BBB".to_owned(), Decimal::from(200))];
    assert_eq!(sent, expected);
    assert_eq!(ending.report.halted.as_deref(), Some("drill"));
}

#[test]
fn open_orders_are_cancelled_and_positions_closed() {
    let ending = drill(at(300)).play();
    assert_eq!(ending.audit.positions, []);
    assert_eq!(["AAA", "BBB", "CCC"].map(|symbol| ending.held(symbol)), [Decimal::ZERO; 3]);
    let resting = ending.orders().into_iter().find(|order| order.intent().limit.is_some());
    assert_eq!(resting.unwrap().status(), Status::Cancelled);
    let cancels = ending.venue.cancels();
    assert_eq!(cancels.len(), 1);
    assert!(cancels[0] >= at(300) && cancels[0] < at(310), "{cancels:?}");
    // At the halt, not at the end of the market.
    let last = ending.audit.trades.last().unwrap().0;
    assert!(last < at(320), "{last}");
}

#[test]
fn without_it_the_run_would_have_traded_on() {
    let ending = drill(at(10_000)).play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.report.halted, None);
    assert_eq!(after(&ending, at(300)).len(), 2);
    assert_eq!((ending.held("AAA"), ending.held("BBB")), (400.into(), Decimal::from(-200)));
}

#[test]
fn an_order_in_doubt_is_settled_before_its_position_is_closed() {
    let mut stage = drill(at(300)).wishing(290, 1, 300);
    // Sent just before the halt, and accepted after it.
    stage.script.submits.insert(4, Submit::Late(Duration::from_secs(12)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.audit.positions, []);
    let of_bbb = ending.orders().into_iter().filter(|o| o.intent().instrument.as_str() == "BBB");
    let statuses: Vec<_> = of_bbb.map(|order| order.status()).collect();
    assert_eq!(statuses, [Status::Done; 3]);
}

#[test]
fn a_venue_that_is_away_delays_the_closing_and_does_not_prevent_it() {
    let mut stage = drill(at(100));
    stage.script.away = Some((at(90), at(400)));
    let ending = stage.play();
    assert!(ending.report.ok, "{:?}", ending.broken());
    assert_eq!(ending.audit.positions, []);
    assert!(ending.audit.trades.last().unwrap().0 >= at(400));
}

fn called(cause: Cause, depth: Depth) -> Called {
    Called { at: at(7), cause, depth, reason: "books differ".to_owned() }
}

#[test]
fn a_process_that_starts_again_is_still_halted() {
    let Set { ports, db, venue, alerts } = Stage::new(1, 100).wishing(20, 0, 100).set();
    let halt = called(Cause::Reconciliation, Depth::Cancel);
    SqliteHalts::open(&db).unwrap().write(&halt).unwrap();
    let report = run(ports, Stage::new(1, 100).settings).unwrap();
    assert_eq!(broken(&report), Vec::<&str>::new());
    assert_eq!(report.halted.as_deref(), Some("books differ"));
    assert_eq!(venue.truth().submits, []);
    // Whoever was told of it may not have heard.
    let told: Vec<_> = alerts.raised.take();
    assert_eq!(told.iter().map(|alert| alert.name).collect::<Vec<_>>(), ["still_halted"]);
    assert!(told[0].text.contains("books differ"), "{}", told[0].text);
}

#[test]
fn a_halt_is_kept_until_it_is_lifted() {
    let Set { db, .. } = Stage::new(1, 100).set();
    let halts = SqliteHalts::open(&db).unwrap();
    assert_eq!(halts.standing().unwrap(), None);
    for cause in [Cause::Operator, Cause::Reconciliation, Cause::CriticalError] {
        let (shallow, deep) = (called(cause, Depth::Cancel), called(cause, Depth::Flatten));
        for halt in [shallow, deep] {
            halts.write(&halt).unwrap();
            assert_eq!(halts.standing().unwrap(), Some(halt));
        }
        let lifted = halts.lift(at(9), "a missed event").unwrap();
        assert_eq!(lifted.map(|halt| halt.cause), Some(cause));
        assert_eq!(halts.standing().unwrap(), None);
    }
    assert_eq!(halts.lift(at(9), "again").unwrap(), None);
}

#[test]
fn a_halt_that_is_not_understood_refuses_to_trade() {
    let Set { ports, db, venue, .. } = Stage::new(1, 100).wishing(20, 0, 100).set();
    let halt = called(Cause::Operator, Depth::Cancel);
    SqliteHalts::open(&db).unwrap().write(&halt).unwrap();
    db.write(|c| c.execute("UPDATE host_halts SET cause = 'weather'", ())).unwrap();
    let refused = run(ports, Stage::new(1, 100).settings).unwrap_err().to_string();
    assert!(refused.contains("refused to trade") && refused.contains("weather"), "{refused}");
    assert_eq!(venue.truth().submits, []);
}
