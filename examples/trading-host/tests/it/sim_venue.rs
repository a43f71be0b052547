//! The simulated venue: how orders trade, how it fails, what its file keeps.

mod books;
mod faults;
mod file;

use std::time::Duration;

use backstop_clock::Timestamp;
use rust_decimal::Decimal;
use trading_host::faults::Profile;
use trading_host::market::{Currency, Instrument, Scripted, Symbol, Tick};
use trading_host::sim_venue::{Outcome, SimVenue, VenueConfig};
use trading_host::venue::{
    Event, OrderRequest, Side, Trade, TradeWindow, VenueError, VenueOrderStatus,
};
use uuid::Uuid;

/// Midnight UTC, so that days of a script begin where they seem to.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_483_228_800_000);

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

pub(crate) fn instrument(symbol: &str) -> Instrument {
    Instrument {
        symbol: Symbol::new(symbol).unwrap(),
        base: Currency::new(symbol).unwrap(),
        quote: Currency::new("USD").unwrap(),
        price_step: decimal("0.01"),
        lot_step: decimal("10"),
        multiplier: Decimal::ONE,
        fee_rate: decimal("0.0005"),
    }
}

/// A tick that offers `liquidity` units at a spread of one step above `bid`.
pub(crate) fn tick(seconds: u64, bid: &str, liquidity: Option<u32>) -> Tick {
    Tick {
        at: at(seconds),
        instrument: 0,
        bid: decimal(bid),
        ask: decimal(bid) + decimal("0.01"),
        bid_size: None,
        ask_size: None,
        liquidity: liquidity.map(Decimal::from),
        completes: None,
    }
}

pub(crate) fn order(id: u128, side: Side, quantity: u32, limit: Option<&str>) -> OrderRequest {
    OrderRequest {
        client_order_id: Uuid::from_u128(id),
        tag: Uuid::from_u128(id + (1 << 100)),
        symbol: "AAA".to_owned(),
        side,
        quantity: quantity.into(),
        limit: limit.map(decimal),
        accept_by: at(10_000_000),
        expire_at: None,
    }
}

pub(crate) fn config(seed: u64, profile: Profile, seconds: u64) -> VenueConfig {
    VenueConfig::new(seed, profile, (START, at(seconds))).with_volume_share(Decimal::ONE)
}

/// A venue that never fails, on these ticks.
pub(crate) fn quiet(ticks: Vec<Tick>) -> SimVenue {
    let feed = Scripted::new(vec![instrument("AAA")], ticks);
    SimVenue::new(Box::new(feed), &config(1, Profile::None, 1_000)).unwrap()
}

pub(crate) fn answered<T>(outcome: Outcome<T>) -> Result<T, VenueError> {
    match outcome {
        Outcome::Answered(answer) => answer,
        Outcome::Withheld => panic!("the answer was withheld"),
    }
}

/// Quantity and price of each trade so far.
fn trades(venue: &mut SimVenue, seconds: u64) -> Vec<(String, String)> {
    let trades = venue.audit(at(seconds)).trades.into_iter();
    trades.map(|(_, trade)| (trade.quantity.to_string(), trade.price.to_string())).collect()
}

fn pair(quantity: &str, price: &str) -> (String, String) {
    (quantity.to_owned(), price.to_owned())
}

fn status(venue: &mut SimVenue, seconds: u64, id: u128) -> (VenueOrderStatus, Decimal) {
    let found = answered(venue.look_up(at(seconds), Uuid::from_u128(id))).unwrap();
    let order = found.orders.into_iter().next().unwrap();
    (order.status, order.filled)
}

#[test]
fn market_orders_take_the_touch_and_wait_for_liquidity() {
    let mut venue = quiet(vec![tick(0, "10", Some(55)), tick(60, "11", Some(1_000))]);
    answered(venue.submit(at(1), &order(1, Side::Buy, 120, None))).unwrap();
    assert_eq!(trades(&mut venue, 2), [pair("50", "10.01")]);
    assert_eq!(status(&mut venue, 2, 1), (VenueOrderStatus::Open, 50.into()));

    assert_eq!(trades(&mut venue, 60), [pair("50", "10.01"), pair("70", "11.01")]);
    assert_eq!(status(&mut venue, 60, 1), (VenueOrderStatus::Filled, 120.into()));
}

#[test]
fn limit_orders_trade_at_the_touch_coming_in_and_at_their_limit_when_resting() {
    let ticks = vec![tick(0, "10", Some(50)), tick(60, "9.50", Some(1_000))];
    let mut venue = quiet(ticks);
    answered(venue.submit(at(1), &order(1, Side::Buy, 100, Some("10.50")))).unwrap();
    answered(venue.submit(at(2), &order(2, Side::Buy, 100, Some("9.99")))).unwrap();
    answered(venue.submit(at(3), &order(3, Side::Sell, 100, Some("9.51")))).unwrap();
    // The first took all of the tick at its touch, so the third finds nothing left.
    assert_eq!(trades(&mut venue, 4), [pair("50", "10.01")]);
    // Then the ask is 9.51: the first two buy at their limits, and the bid is below the third.
    let expected = [pair("50", "10.01"), pair("50", "10.5"), pair("100", "9.99")];
    assert_eq!(trades(&mut venue, 60), expected);
    assert_eq!(status(&mut venue, 60, 3), (VenueOrderStatus::Open, Decimal::ZERO));
}

#[test]
fn older_orders_come_first() {
    let mut venue = quiet(vec![tick(0, "10", Some(0)), tick(60, "9", Some(30))]);
    answered(venue.submit(at(2), &order(7, Side::Buy, 20, Some("9.50")))).unwrap();
    answered(venue.submit(at(3), &order(3, Side::Buy, 20, Some("9.60")))).unwrap();
    assert_eq!(trades(&mut venue, 60), [pair("20", "9.5"), pair("10", "9.6")]);
}

#[test]
fn unknown_volume_gives_lots_once_a_bar() {
    let mut last = tick(20, "10", None);
    last.completes = Some(trading_host::market::Bar {
        instrument: 0,
        start: START,
        end: at(21),
        open: decimal("10"),
        high: decimal("10"),
        low: decimal("10"),
        close: decimal("10"),
        volume: None,
        bid: None,
        ask: None,
        bid_size: None,
        ask_size: None,
    });
    let feed = vec![tick(0, "10", None), tick(10, "10", None), last, tick(30, "10", None)];
    let feed = Scripted::new(vec![instrument("AAA")], feed);
    let config = config(1, Profile::None, 1_000).with_unknown_volume_lots(3);
    let mut venue = SimVenue::new(Box::new(feed), &config).unwrap();
    answered(venue.submit(at(1), &order(1, Side::Buy, 50, None))).unwrap();
    assert_eq!(trades(&mut venue, 29), [pair("30", "10.01")]);
    assert_eq!(trades(&mut venue, 30), [pair("30", "10.01"), pair("20", "10.01")]);
}

#[test]
fn cancelled_and_expired_orders_leave_the_book() {
    let mut venue = quiet(vec![tick(0, "10", Some(0)), tick(60, "9", Some(1_000))]);
    answered(venue.submit(at(1), &order(1, Side::Buy, 20, Some("9.50")))).unwrap();
    let expiring =
        OrderRequest { expire_at: Some(at(60)), ..order(2, Side::Buy, 20, Some("9.50")) };
    answered(venue.submit(at(1), &expiring)).unwrap();
    answered(venue.cancel(at(2), Uuid::from_u128(1))).unwrap();
    // Neither a second time nor an unknown id is an error.
    answered(venue.cancel(at(3), Uuid::from_u128(1))).unwrap();
    answered(venue.cancel(at(3), Uuid::from_u128(9))).unwrap();
    assert_eq!(trades(&mut venue, 60), []);
    assert_eq!(status(&mut venue, 61, 1).0, VenueOrderStatus::Cancelled);
    assert_eq!(status(&mut venue, 61, 2).0, VenueOrderStatus::Expired);

    let page = answered(venue.events(at(62), 0)).unwrap();
    let sequences: Vec<_> = page.deliveries.iter().map(|delivery| delivery.sequence).collect();
    assert_eq!((sequences, page.head), (vec![1, 2, 3, 4], 4));
    let last: Event = serde_json::from_slice(&page.deliveries[3].payload).unwrap();
    assert_eq!(last, Event::Expired { client_order_id: Uuid::from_u128(2) });
}

#[test]
fn a_repeated_client_order_id_is_another_order() {
    let mut venue = quiet(vec![tick(0, "10", Some(1_000))]);
    for _ in 0..2 {
        answered(venue.submit(at(1), &order(1, Side::Buy, 20, None))).unwrap();
    }
    assert_eq!(answered(venue.look_up(at(2), Uuid::from_u128(1))).unwrap().orders.len(), 2);
}

#[test]
fn bad_orders_are_rejected_and_found() {
    let good = order(1, Side::Buy, 20, Some("9.50"));
    let bad = [
        ("unknown_symbol", OrderRequest { symbol: "BBB".to_owned(), ..good.clone() }),
        ("bad_quantity", OrderRequest { quantity: decimal("0"), ..good.clone() }),
        ("bad_quantity", OrderRequest { quantity: decimal("-10"), ..good.clone() }),
        ("bad_quantity", OrderRequest { quantity: decimal("15"), ..good.clone() }),
        ("bad_quantity", OrderRequest { quantity: Decimal::MAX, ..good.clone() }),
        ("bad_price", OrderRequest { limit: Some(decimal("0")), ..good.clone() }),
        ("bad_price", OrderRequest { limit: Some(decimal("9.505")), ..good.clone() }),
        ("too_late", OrderRequest { accept_by: at(0), ..good.clone() }),
    ];
    for (reason, request) in bad {
        let mut venue = quiet(vec![tick(0, "10", Some(1_000))]);
        let reason = reason.to_owned();
        let answer = answered(venue.submit(at(1), &request));
        assert_eq!(answer, Err(VenueError::Rejected { reason: reason.clone() }), "{request:?}");
        assert_eq!(status(&mut venue, 2, 1).0, VenueOrderStatus::Rejected { reason });
        assert!(venue.audit(at(3)).orders[0].rejected);
        assert_eq!(answered(venue.events(at(3), 0)).unwrap().head, 0);
    }
}

#[test]
fn a_statement_shows_the_window_that_was_asked_for() {
    let mut venue = quiet(vec![tick(0, "10", Some(20)), tick(60, "9", Some(20))]);
    answered(venue.submit(at(1), &order(1, Side::Sell, 50, None))).unwrap();
    let plain = answered(venue.statement(at(61), None)).unwrap();
    assert_eq!(plain.positions, [("AAA".to_owned(), decimal("-40"))]);
    // 20 * 10 and 20 * 9 at five basis points each.
    assert_eq!(plain.balances, [("USD".to_owned(), decimal("999999.81"))]);
    assert_eq!((plain.open_orders, plain.trades, plain.event_head), (None, None, 3));

    let from = TradeWindow { from: at(60) };
    let wide = answered(venue.statement(at(61), Some(from))).unwrap();
    let shown: Vec<Trade> = wide.trades.unwrap();
    assert_eq!((shown.len(), shown[0].trade_id.as_str()), (1, "T00000002"));
    assert_eq!(wide.open_orders.unwrap()[0].filled, 40.into());
}

#[test]
fn time_never_goes_back() {
    let mut venue = quiet(vec![tick(0, "10", Some(20)), tick(60, "9", Some(20))]);
    answered(venue.statement(at(61), None)).unwrap();
    answered(venue.submit(at(1), &order(1, Side::Sell, 10, None))).unwrap();
    assert_eq!(venue.now(), at(61));
    assert_eq!(trades(&mut venue, 2), [pair("10", "9")]);
}

#[test]
fn terms_without_exact_books_are_refused() {
    let mut fine = instrument("AAA");
    fine.fee_rate = decimal("0.00000000000000000001");
    let feed = Scripted::new(vec![fine], Vec::new());
    let refused = SimVenue::new(Box::new(feed), &config(1, Profile::None, 1)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "AAA: fee_rate 0.00000000000000000001 \
         makes more than 18 decimals with the steps and the multiplier"
    );
}
