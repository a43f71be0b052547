//! The market: what is read, how it is played, what is refused.

mod refused;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backstop_clock::Timestamp;
use proptest::prelude::{Strategy as _, any, prop, prop_assert, prop_assert_eq, proptest};
use rust_decimal::Decimal;
use tempfile::TempDir;
use trading_host::market::{
    Bar, Currency, Feed, Instrument, Market, MarketError, Recorded, Scripted, Symbol, Tick,
};

const INSTRUMENTS: &str = "symbol,base,quote,price_step,lot_step,multiplier,fee_rate\n\
    AAA,AAA,USD,0.01,1,1,0.0005\n\
    BBB,BBB,USD,0.25,1,1,0\n";

const HEADER: &str = "time,symbol,open,high,low,close,volume\n";

/// A folder of the files `(name, text)`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn read(files: &[(&str, &str)]) -> Result<Market, MarketError> {
    Market::read(folder(files).path())
}

/// A market of [`INSTRUMENTS`] and the rows `rows`.
fn read_rows(rows: &str) -> Result<Market, MarketError> {
    read(&[("instruments.csv", INSTRUMENTS), ("bars.csv", &format!("{HEADER}{rows}"))])
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn ticks(market: Market) -> Vec<Tick> {
    let mut feed = Recorded::new(Arc::new(market));
    std::iter::from_fn(|| feed.next()).collect()
}

#[test]
fn the_bundled_market_is_the_folder_beside_it() {
    let market = Market::bundled().unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/2017");
    assert_eq!(market, Market::read(&dir).unwrap());
    assert_eq!(market.instruments.len(), 21);
    assert_eq!(market.bars.len(), 6_225 + 20 * 251);
    assert_eq!(market.rounded, 0);

    let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
    let series = market.series();
    assert_eq!(series.len(), 21);
    assert_eq!((series[0].length, series[0].first_close), (hour, decimal("1.05227")));
    assert!(series[1..].iter().all(|equity| equity.length == day));

    let ticks = ticks(market);
    assert_eq!(ticks.len(), 4 * 6_225 + 20 * 251);
    assert_eq!(ticks[0].at.as_millis(), 1_483_308_000_000);
    assert_eq!(ticks.last().unwrap().at.as_millis(), 1_514_585_000_000 - 200_001);
}

#[test]
fn prices_are_rounded_to_their_step_and_counted() {
    let market = read_rows(
        "2020-01-01T00:00:00Z,AAA,13.789999999999999,13.79,13.785,13.79,0.30000000000000004\n\
         2020-01-01T00:00:00Z,BBB,1E+1,10.125,1000e-2,10,1.5E+11\n",
    )
    .unwrap();
    let [a, b] = market.bars[..] else { panic!("two bars") };
    assert_eq!([a.open, a.high, a.low, a.close], [decimal("13.79"); 4]);
    assert_eq!(a.open.to_string(), "13.79");
    // Volumes have no step; they stay as they are.
    assert_eq!(a.volume, Some(decimal("0.30000000000000004")));
    assert_eq!([b.open, b.high, b.low], [decimal("10"), decimal("10.25"), decimal("10")]);
    assert_eq!(b.volume, Some(decimal("150000000000")));
    assert_eq!(market.rounded, 3);
}

#[test]
fn digits_past_what_is_kept_count_as_rounded() {
    let long = "1.00000000000000000000000000000000000001";
    let row = format!("2020-01-01T00:00:00Z,AAA,1,{long},1,1,\n");
    let market = read_rows(&row).unwrap();
    assert_eq!((market.bars[0].high, market.rounded), (Decimal::ONE, 1));
}

#[test]
fn empty_fields_are_unknown() {
    let market = read(&[
        ("instruments.csv", INSTRUMENTS),
        (
            "bars.csv",
            "time,symbol,open,high,low,close,volume,bid,ask,bid_size,ask_size\n\
             2020-01-01T00:00:00Z,AAA,,,,1.5,,,,,\n\
             2020-01-02T00:00:00Z,AAA,1,2,1,2,0,1.9,2.1,7,0\n",
        ),
    ])
    .unwrap();
    let [closed, full] = market.bars[..] else { panic!("two bars") };
    assert!(closed.is_close_only());
    assert_eq!((closed.high, closed.volume, closed.bid), (decimal("1.5"), None, None));
    assert_eq!(closed.end, closed.start);
    assert_eq!((full.volume, full.bid_size), (Some(Decimal::ZERO), Some(Decimal::from(7))));
    assert_eq!(full.ask_size, Some(Decimal::ZERO));
    assert_eq!(full.end.since(full.start), Duration::from_hours(24));
}

#[test]
fn files_are_merged_by_time_then_instrument() {
    let a = "2020-01-01T00:00:00Z,AAA,1,1,1,1,\n2020-01-02T00:00:00Z,AAA,1,1,1,1,\n";
    let b = "2020-01-01T00:00:00Z,BBB,1,1,1,1,\n2020-01-02T00:00:00Z,BBB,1,1,1,1,\n";
    let (file_a, file_b) = (format!("{HEADER}{a}"), format!("{HEADER}{b}"));
    let instruments = ("instruments.csv", INSTRUMENTS);
    let one = read(&[instruments, ("x.bars.csv", &file_a), ("y.bars.csv", &file_b)]).unwrap();
    let other = read(&[
        instruments,
        ("bars.csv", &file_b),
        ("z.bars.csv", &file_a),
        // Not of the form, so not read.
        ("NOTICE", "words"),
        ("bars.csv.old", "words"),
    ])
    .unwrap();
    assert_eq!(one, other);
    let places: Vec<_> = one.bars.iter().map(|bar| (bar.start, bar.instrument)).collect();
    assert!(places.is_sorted());
}

#[test]
fn a_byte_order_mark_and_foreign_line_ends_are_no_error() {
    let text = format!("\u{feff}{HEADER}2020-01-01T00:00:00Z, AAA ,1,1,1,1,\n");
    let text = text.replace('\n', "\r\n");
    let market = read(&[("instruments.csv", INSTRUMENTS), ("bars.csv", &text)]).unwrap();
    assert_eq!(market.bars.len(), 1);
}

fn quoted(bid: Option<&str>, ask: Option<&str>) -> Vec<(String, String)> {
    let market = Market {
        instruments: vec![instrument("AAA")],
        bars: vec![Bar {
            bid: bid.map(decimal),
            ask: ask.map(decimal),
            ..bar(0, 0, [10, 14, 9, 12])
        }],
        rounded: 0,
    };
    ticks(market).iter().map(|tick| (tick.bid.to_string(), tick.ask.to_string())).collect()
}

#[test]
fn a_recorded_spread_is_kept_along_the_path() {
    let pairs = |pairs: [(&str, &str); 4]| pairs.map(|(bid, ask)| (bid.into(), ask.into()));
    let wide = pairs([("9.95", "10.05"), ("8.95", "9.05"), ("13.95", "14.05"), ("11.95", "12.05")]);
    assert_eq!(quoted(Some("11.95"), Some("12.05")), wide);
    // Without a quote the bar is of asks, one step above the bid.
    let narrow = pairs([("9.99", "10"), ("8.99", "9"), ("13.99", "14"), ("11.99", "12")]);
    assert_eq!(quoted(None, None), narrow);
    assert_eq!(quoted(None, Some("12.05"))[3], ("12.04".into(), "12.05".into()));
    assert_eq!(quoted(Some("11.95"), None)[3], ("11.95".into(), "11.96".into()));
}

#[test]
fn a_close_only_bar_is_one_tick_at_its_start() {
    let close_only = Bar { volume: None, end: Timestamp::EPOCH, ..bar(0, 0, [10, 10, 10, 10]) };
    let market =
        Market { instruments: vec![instrument("AAA")], bars: vec![close_only], rounded: 0 };
    let [tick] = ticks(market)[..] else { panic!("one tick") };
    assert_eq!((tick.at, tick.completes), (Timestamp::EPOCH, Some(close_only)));
    assert_eq!(tick.liquidity, None);
}

#[test]
fn a_script_is_played_in_the_order_of_time() {
    let market = Market {
        instruments: vec![instrument("AAA")],
        bars: vec![bar(0, 0, [10, 14, 9, 12])],
        rounded: 0,
    };
    let (instruments, played) = (market.instruments.clone(), ticks(market));
    let backwards = played.iter().rev().copied().collect();
    let mut script = Scripted::new(instruments, backwards);
    assert_eq!((script.instruments().len(), script.bars()), (1, 1));
    for tick in played {
        assert_eq!(script.peek_time(), Some(tick.at));
        assert_eq!(script.next(), Some(tick));
    }
    assert_eq!((script.peek_time(), script.next()), (None, None));
}

fn instrument(symbol: &str) -> Instrument {
    Instrument {
        symbol: Symbol::new(symbol).unwrap(),
        base: Currency::new(symbol).unwrap(),
        quote: Currency::new("USD").unwrap(),
        price_step: decimal("0.01"),
        lot_step: Decimal::ONE,
        multiplier: Decimal::ONE,
        fee_rate: Decimal::ZERO,
    }
}

/// A bar of 1,000 ms with whole prices: open, high, low, close.
fn bar(instrument: usize, start_ms: i64, prices: [i64; 4]) -> Bar {
    let [open, high, low, close] = prices.map(Decimal::from);
    Bar {
        instrument,
        start: Timestamp::from_millis(start_ms),
        end: Timestamp::from_millis(start_ms + 1_000),
        open,
        high,
        low,
        close,
        volume: Some(Decimal::from(100)),
        bid: None,
        ask: None,
        bid_size: None,
        ask_size: None,
    }
}

/// Open, high, low and close that fit together.
fn prices() -> impl proptest::strategy::Strategy<Value = [i64; 4]> {
    prop::array::uniform4(10_i64..60).prop_map(|mut prices| {
        let (open, close) = (prices[0], prices[3]);
        prices.sort_unstable();
        [open, prices[3], prices[0], close]
    })
}

/// Bars of three instruments of different lengths, some close-only.
fn markets() -> impl proptest::strategy::Strategy<Value = Market> {
    let rows = prop::collection::vec((any::<bool>(), prices()), 0..12);
    prop::array::uniform3(rows).prop_map(|rows| {
        let lengths = [1, 300, 1_000];
        let mut bars = Vec::new();
        for (place, (rows, length_ms)) in rows.into_iter().zip(lengths).enumerate() {
            let starts = (0_i64..).step_by(usize::try_from(length_ms).unwrap());
            let rows = starts.zip(rows);
            bars.extend(rows.map(|(start, row)| recorded(place, start, length_ms, row)));
        }
        bars.sort_by_key(|bar| (bar.start, bar.instrument));
        Market { instruments: ["A", "B", "C"].map(instrument).to_vec(), bars, rounded: 0 }
    })
}

/// A bar as the reader makes it, with volume or without.
fn recorded(place: usize, start_ms: i64, length_ms: i64, row: (bool, [i64; 4])) -> Bar {
    let (traded, prices) = row;
    let mut bar = bar(place, start_ms, prices);
    bar.volume = bar.volume.filter(|_| traded);
    let length_ms = if bar.is_close_only() { 0 } else { length_ms };
    bar.end = Timestamp::from_millis(start_ms + length_ms);
    bar
}

/// Every tick's time, instrument and ask, worked out bar by bar and sorted afterwards.
fn naive(market: &Market) -> Vec<(i64, usize, Decimal)> {
    let mut expected = Vec::new();
    for bar in &market.bars {
        let (start, end) = (bar.start.as_millis(), bar.end.as_millis());
        if bar.is_close_only() {
            expected.push((start, bar.instrument, bar.close));
            continue;
        }
        let mut path = [bar.open, bar.high, bar.low, bar.close];
        if bar.open - bar.low <= bar.high - bar.open {
            path.swap(1, 2);
        }
        let length = end - start;
        let times = [start, start + length / 4, start + length / 2, end - 1];
        expected.extend(times.into_iter().zip(path).map(|(at, ask)| (at, bar.instrument, ask)));
    }
    expected.sort_by_key(|(at, instrument, _)| (*at, *instrument));
    expected
}

proptest! {
    #[test]
    fn ticks_follow_the_path_in_the_order_of_time(market in markets()) {
        let expected = naive(&market);
        let played = ticks(market.clone());
        let seen: Vec<_> =
            played.iter().map(|tick| (tick.at.as_millis(), tick.instrument, tick.ask)).collect();
        prop_assert_eq!(seen, expected);

        let mut completed: Vec<Bar> = played.iter().filter_map(|tick| tick.completes).collect();
        completed.sort_by_key(|bar| (bar.start, bar.instrument));
        prop_assert_eq!(completed, market.bars);
    }

    #[test]
    fn peeking_tells_the_time_of_the_next_tick(market in markets()) {
        let mut feed = Recorded::new(Arc::new(market));
        loop {
            let peeked = feed.peek_time();
            let tick = feed.next();
            prop_assert_eq!(peeked, tick.map(|tick| tick.at));
            if tick.is_none() {
                break;
            }
        }
    }

    #[test]
    fn the_volume_is_shared_out_whole(market in markets()) {
        let volume: Decimal = market.bars.iter().filter_map(|bar| bar.volume).sum();
        let shared: Decimal = ticks(market).iter().filter_map(|tick| tick.liquidity).sum();
        prop_assert_eq!(shared, volume);
    }

    #[test]
    fn rounding_goes_to_the_nearest_step(cents in 1_i64..1_000_000, noise in -49_i64..50) {
        let price = Decimal::new(cents * 100 + noise, 4);
        let row = format!("2020-01-01T00:00:00Z,AAA,{price},{price},{price},{price},1\n");
        let market = read_rows(&row).unwrap();
        prop_assert_eq!(market.bars[0].close, Decimal::new(cents, 2));
        prop_assert_eq!(market.rounded, if noise == 0 { 0 } else { 4 });
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-0-9A-Z:,.eE\n\"T]{0,80}") {
        let read = read_rows(&text);
        prop_assert!(read.is_err() || !read.unwrap().bars.is_empty());
    }
}
