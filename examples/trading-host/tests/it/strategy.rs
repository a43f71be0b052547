//! Strategies: what they want, what they never want, and which are chosen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Classify, Kind};
use proptest::prelude::{Strategy as _, prop, prop_assert, prop_assert_eq, proptest};
use rust_decimal::Decimal;
use trading_host::market::{Bar, Currency, Feed, Instrument, Market, Recorded, Series, Symbol};
use trading_host::strategy::cross_section::{self, CrossSection, Member};
use trading_host::strategy::mean_reversion::{self, MeanReversion};
use trading_host::strategy::{Strategy, Style, Target, strategies_for};

fn terms(price_step: &str, lot_step: i64) -> Instrument {
    Instrument {
        symbol: Symbol::new("AAA").unwrap(),
        base: Currency::new("AAA").unwrap(),
        quote: Currency::new("USD").unwrap(),
        price_step: price_step.parse().unwrap(),
        lot_step: lot_step.into(),
        multiplier: Decimal::ONE,
        fee_rate: Decimal::ZERO,
    }
}

/// A close-only bar at `close` hundredths.
fn bar(instrument: usize, hour: usize, close: i64) -> Bar {
    let start = Timestamp::EPOCH.saturating_add(Duration::from_hours(hour.try_into().unwrap()));
    let close = Decimal::new(close, 2);
    Bar {
        instrument,
        start,
        end: start,
        open: close,
        high: close,
        low: close,
        close,
        volume: None,
        bid: None,
        ask: None,
        bid_size: None,
        ask_size: None,
    }
}

/// What `strategy` wants as `hours` pass, each a close per instrument.
fn run(strategy: &mut dyn Strategy, hours: &[Vec<i64>]) -> Vec<Vec<Target>> {
    let bars = |(hour, closes): (usize, &Vec<i64>)| -> Vec<Bar> {
        closes.iter().enumerate().map(|(place, close)| bar(place, hour, *close)).collect()
    };
    let hours = hours.iter().enumerate().map(bars);
    hours.map(|bars| strategy.on_close(bars[0].start, &bars)).collect()
}

fn reversion(config: mean_reversion::Config) -> MeanReversion {
    MeanReversion::new(0, terms("0.01", 1), config).unwrap()
}

/// A look back of one bar and one name a side, over `count` members.
fn section(count: usize, config: cross_section::Config) -> CrossSection {
    CrossSection::new(members(count), config).unwrap()
}

fn members(count: usize) -> Vec<Member> {
    let member =
        |instrument| Member { instrument, terms: terms("0.01", 1), limit: Decimal::ONE_THOUSAND };
    (0..count).map(member).collect()
}

const PAIR: cross_section::Config = cross_section::Config {
    lookback: 1,
    names_per_side: 1,
    notional: Decimal::ONE_THOUSAND,
    band_percent: 10,
};

#[test]
fn the_year_2017_gives_orders_enough_within_limits() {
    let market = Arc::new(Market::bundled().unwrap());
    let series = market.series();
    let mut strategies = strategies_for(&market.instruments, &series).unwrap();
    let mut wanted = vec![Decimal::ZERO; market.instruments.len()];
    let mut sizes: BTreeMap<&str, Vec<Decimal>> = BTreeMap::new();
    for bars in closes(Recorded::new(Arc::clone(&market))) {
        for strategy in &mut strategies {
            for Target { instrument, quantity, .. } in strategy.on_close(bars[0].end, &bars) {
                let value = quantity.abs() * series[instrument].first_close;
                assert!(value <= Decimal::from([100_000, 20_000][instrument.min(1)]));
                assert_eq!(quantity % market.instruments[instrument].lot_step, Decimal::ZERO);
                let size = (quantity - wanted[instrument]).abs();
                sizes.entry(strategy.name()).or_default().push(size);
                wanted[instrument] = quantity;
            }
        }
    }
    for (name, sizes) in &mut sizes {
        sizes.sort();
        assert!(!sizes[0].is_zero());
        let [low, middle, high] = [10, 50, 90].map(|percent| sizes[sizes.len() * percent / 100]);
        println!("{name}: {} orders of {low} / {middle} / {high} units", sizes.len());
    }
    let count: usize = sizes.values().map(Vec::len).sum();
    assert!((1_500..=3_000).contains(&count), "{count} orders");
    assert!(sizes["mean-reversion"].len() > 300);
}

/// The bars that complete at each instant of `feed`.
fn closes(mut feed: Recorded) -> Vec<Vec<Bar>> {
    let mut closes: Vec<(Timestamp, Vec<Bar>)> = Vec::new();
    while let Some(tick) = feed.next() {
        let Some(bar) = tick.completes else { continue };
        match closes.last_mut() {
            Some((at, bars)) if *at == tick.at => bars.push(bar),
            _ => closes.push((tick.at, vec![bar])),
        }
    }
    closes.into_iter().map(|(_, bars)| bars).collect()
}

#[test]
fn reversion_enters_at_the_exact_score_and_leaves_at_the_mean() {
    // The closes 100, 100, 100, 104 have mean 101 and deviation sqrt(3) = 1.7320...
    let hours: Vec<_> = [10_000, 10_000, 10_000, 10_400, 10_400, 10_000].map(|c| vec![c]).into();
    let config = mean_reversion::Config {
        window: 4,
        entry_hundredths: 173,
        notional: Decimal::from(1_050),
        ..mean_reversion::Config::default()
    };
    let targets = run(&mut reversion(config), &hours);
    let style = Style::Limit { price: Decimal::from(104), good_for: config.good_for };
    let short = Target { instrument: 0, quantity: Decimal::from(-10), style };
    let flat = Target { instrument: 0, quantity: Decimal::ZERO, style: Style::Market };
    assert_eq!(targets, [vec![], vec![], vec![], vec![short], vec![], vec![flat]]);

    let later = mean_reversion::Config { entry_hundredths: 174, ..config };
    assert!(run(&mut reversion(later), &hours).concat().is_empty());
}

#[test]
fn reversion_buys_at_the_bid() {
    let hours: Vec<_> = [10_000, 10_000, 10_000, 9_600].map(|close| vec![close]).into();
    let config = mean_reversion::Config { window: 4, ..mean_reversion::Config::default() };
    let [target] = run(&mut reversion(config), &hours).concat()[..] else { panic!("one entry") };
    // A bar without a quote is of asks: the bid is a step below.
    let price = Decimal::new(9_599, 2);
    assert_eq!(target.style, Style::Limit { price, good_for: config.good_for });
    // 50,000 buys 520.8 units.
    assert_eq!(target.quantity, Decimal::from(520));
}

#[test]
fn the_section_buys_the_loser_and_sells_the_winner() {
    let hours = [vec![1_000; 4], vec![1_000, 1_100, 900, 1_000], vec![1_010, 1_111, 909, 1_005]];
    let targets = run(&mut section(4, PAIR), &hours);
    let target = |instrument, quantity: i64| Target {
        instrument,
        quantity: quantity.into(),
        style: Style::Market,
    };
    assert_eq!(targets[0], []);
    assert_eq!(targets[1], [target(1, -90), target(2, 111)]);
    // The first three rose by one percent, which is the most; of equals the last is sold.
    assert_eq!(targets[2], [target(1, 0), target(2, -110), target(3, 99)]);
}

#[test]
fn a_position_is_left_alone_inside_the_band() {
    let mut section = section(4, PAIR);
    // The third falls every hour; it stays the one to buy, and grows cheaper.
    let falling = |close| vec![1_000, 1_000, close, 1_000];
    let hours = [falling(1_000), falling(950), falling(902), falling(850)];
    let targets = run(&mut section, &hours);
    let bought = |hour: usize| targets[hour].iter().find(|target| target.instrument == 2);
    assert_eq!(bought(1).unwrap().quantity, Decimal::from(105));
    // 105 units are worth 947.10, then 892.50, of 1,000 wanted.
    assert_eq!(bought(2), None);
    assert_eq!(bought(3).unwrap().quantity, Decimal::from(117));
}

#[test]
fn the_section_waits_for_four_to_be_ranked() {
    let mut section = section(5, PAIR);
    assert!(run(&mut section, &[vec![1_000; 5]]).concat().is_empty());
    let closes = [1_030, 1_020, 1_010, 990];
    let bars: Vec<_> = closes.iter().enumerate().map(|(at, close)| bar(at, 1, *close)).collect();
    assert!(section.on_close(bars[0].start, &bars[..3]).is_empty());
    // Each return is since the member's own last close: the fourth fell, the third rose most.
    let bars: Vec<_> = closes.iter().enumerate().map(|(at, close)| bar(at, 2, close + 5)).collect();
    let targets = section.on_close(bars[0].start, &bars);
    let places: Vec<_> = targets.iter().map(|target| target.instrument).collect();
    assert_eq!(places, [2, 3]);
}

#[test]
fn a_setting_out_of_bounds_is_refused_by_name() {
    let refused = |change: fn(&mut mean_reversion::Config)| {
        let mut config = mean_reversion::Config::default();
        change(&mut config);
        MeanReversion::new(0, terms("0.01", 1), config).unwrap_err().field
    };
    assert_eq!(refused(|config| config.window = 1), "window");
    assert_eq!(refused(|config| config.window = 201), "window");
    assert_eq!(refused(|config| config.entry_hundredths = 0), "entry_hundredths");
    assert_eq!(refused(|config| config.entry_hundredths = 501), "entry_hundredths");
    assert_eq!(refused(|config| config.notional = Decimal::ZERO), "notional");
    assert_eq!(refused(|config| config.limit = Decimal::ZERO), "limit");
    assert_eq!(refused(|config| config.good_for = Duration::ZERO), "good_for");

    let refused = |change: fn(&mut cross_section::Config)| {
        let mut config = PAIR;
        change(&mut config);
        CrossSection::new(members(4), config).unwrap_err().field
    };
    assert_eq!(refused(|config| config.lookback = 0), "lookback");
    assert_eq!(refused(|config| config.lookback = 253), "lookback");
    assert_eq!(refused(|config| config.names_per_side = 0), "names_per_side");
    assert_eq!(refused(|config| config.names_per_side = 3), "names_per_side");
    assert_eq!(refused(|config| config.notional = Decimal::NEGATIVE_ONE), "notional");
    assert_eq!(refused(|config| config.band_percent = 101), "band_percent");
}

#[test]
fn members_that_do_not_fit_together_are_refused() {
    let refused = |change: fn(&mut Vec<Member>)| {
        let mut members = members(4);
        change(&mut members);
        CrossSection::new(members, PAIR).unwrap_err()
    };
    let few = refused(|members| members.truncate(3));
    assert_eq!(few.to_string(), "cross-section: members is 3: must be at least four");
    assert_eq!(few.class().kind(), Kind::Config);
    assert_eq!(refused(|members| members[3].instrument = 0).field, "instrument");
    assert_eq!(refused(|members| members[3].limit = Decimal::new(5, 1)).field, "limit");
    let euro = refused(|members| members[3].terms.quote = Currency::new("EUR").unwrap());
    assert_eq!(euro.field, "quote");
}

/// Names of the strategies for instruments of these bar lengths, in hours, and quotes.
fn chosen(instruments: &[(u64, &str)]) -> Vec<&'static str> {
    let series: Vec<_> = instruments
        .iter()
        .enumerate()
        .map(|(instrument, (hours, _))| Series {
            instrument,
            length: Duration::from_hours(*hours),
            first_close: Decimal::TEN,
        })
        .collect();
    let quoted = |quote| Instrument { quote: Currency::new(quote).unwrap(), ..terms("0.01", 1) };
    let instruments: Vec<_> = instruments.iter().map(|(_, quote)| quoted(quote)).collect();
    let strategies = strategies_for(&instruments, &series).unwrap();
    strategies.iter().map(|strategy| strategy.name()).collect()
}

#[test]
fn strategies_are_chosen_by_resolution_and_quote() {
    let (alone, ranked) = ("mean-reversion", "cross-section");
    assert_eq!(chosen(&[(24, "USD"), (24, "USD"), (1, "USD"), (23, "USD")]), [alone; 4]);
    assert_eq!(chosen(&[(1, "USD"), (1, "USD"), (1, "USD"), (1, "USD")]), [alone; 4]);
    let mixed =
        [(24, "USD"), (1, "USD"), (24, "USD"), (24, "EUR"), (24, "USD"), (24, "USD"), (4, "JPY")];
    assert_eq!(chosen(&mixed), [ranked, alone, alone, alone]);
    assert_eq!(chosen(&[]), [] as [&str; 0]);
}

#[test]
fn a_dear_lot_is_still_traded() {
    // A lot of 1,000 at 110 costs more than twice the value planned in dollars.
    let instrument = terms("0.01", 1_000);
    let first_close = Decimal::from(110);
    let series = Series { instrument: 0, length: Duration::from_hours(1), first_close };
    let mut strategies = strategies_for(&[instrument], &[series]).unwrap();
    let hours: Vec<_> = (0..24).map(|hour| vec![if hour < 23 { 11_000 } else { 10_900 }]).collect();
    let [target] = run(strategies[0].as_mut(), &hours).concat()[..] else { panic!("one entry") };
    assert_eq!(target.quantity, Decimal::from(10_000));
}

#[test]
fn absurd_terms_do_not_panic() {
    let mut instrument = terms("0.01", 1);
    instrument.lot_step = Decimal::from(10_u64.pow(18));
    instrument.multiplier = instrument.lot_step;
    let series = |instrument| Series {
        instrument,
        length: Duration::from_hours(24),
        first_close: Decimal::from(10_u64.pow(12)),
    };
    let instruments = vec![instrument; 4];
    let all: Vec<_> = (0..4).map(series).collect();
    for count in 1..=4 {
        let refused = strategies_for(&instruments, &all[..count]).unwrap_err();
        assert_eq!(refused.field, "lot_step");
    }
}

/// Closes of four instruments over some hours, in hundredths.
fn walks() -> impl proptest::strategy::Strategy<Value = Vec<Vec<i64>>> {
    let moves = prop::collection::vec(prop::array::uniform4(-40_i64..=40), 1..120);
    moves.prop_map(|moves| {
        let mut closes = [1_000_i64; 4];
        let mut step = |moves: [i64; 4]| {
            for (close, moved) in closes.iter_mut().zip(moves) {
                *close = (*close + *close * moved / 200).clamp(100, 100_000);
            }
            closes.to_vec()
        };
        moves.into_iter().map(&mut step).collect()
    })
}

/// One strategy of each kind, with limits that bite.
fn both(limit: i64) -> [Box<dyn Strategy>; 2] {
    let limit = Decimal::from(limit);
    let config = mean_reversion::Config {
        window: 6,
        entry_hundredths: 100,
        notional: Decimal::ONE_THOUSAND,
        limit,
        good_for: Duration::from_hours(1),
    };
    let members = members(4).into_iter().map(|member| Member { limit, ..member }).collect();
    [Box::new(reversion(config)), Box::new(CrossSection::new(members, PAIR).unwrap())]
}

proptest! {
    #[test]
    fn limits_are_never_exceeded(hours in walks(), limit in 1_i64..200) {
        for mut strategy in both(limit) {
            for target in run(strategy.as_mut(), &hours).concat() {
                prop_assert!(target.quantity.abs() <= Decimal::from(limit));
                prop_assert_eq!(target.quantity.fract(), Decimal::ZERO);
            }
        }
    }

    #[test]
    fn the_same_bars_give_the_same_targets(hours in walks(), cut in 0_usize..120) {
        let cut = cut.min(hours.len());
        for (mut whole, mut parted) in both(150).into_iter().zip(both(150)) {
            let expected = run(whole.as_mut(), &hours);
            // What comes later does not change what was said before.
            prop_assert_eq!(run(parted.as_mut(), &hours[..cut]), &expected[..cut]);
            // The state is that of the bars: going on is as if there had been no pause.
            prop_assert_eq!(run(parted.as_mut(), &hours[cut..]).concat(), expected[cut..].concat());
        }
    }

    #[test]
    fn every_target_is_a_change(hours in walks()) {
        for mut strategy in both(150) {
            let mut wanted = [Decimal::ZERO; 4];
            for target in run(strategy.as_mut(), &hours).concat() {
                prop_assert!(wanted[target.instrument] != target.quantity);
                wanted[target.instrument] = target.quantity;
            }
        }
    }

    #[test]
    fn a_flat_market_gives_no_targets(closes in prop::array::uniform4(1_i64..100_000)) {
        let hours = vec![closes.to_vec(); 30];
        for mut strategy in both(150) {
            prop_assert!(run(strategy.as_mut(), &hours).concat().is_empty());
        }
    }

    #[test]
    fn a_market_that_moves_as_one_gives_the_section_nothing(moves in prop::collection::vec(1_i64..50, 2..30)) {
        let hours: Vec<_> = moves.iter().map(|m| vec![m * 100, m * 200, m * 300, m * 700]).collect();
        prop_assert!(run(&mut section(4, PAIR), &hours).concat().is_empty());
    }

    #[test]
    fn entries_agree_with_scores_in_fractions(closes in prop::collection::vec(9_000_i64..11_000, 8), entry in 1_u32..400) {
        let config = mean_reversion::Config {
            window: closes.len(),
            entry_hundredths: entry,
            ..mean_reversion::Config::default()
        };
        let hours: Vec<_> = closes.iter().map(|close| vec![*close]).collect();
        let entered = run(&mut reversion(config), &hours).concat();

        let count = Decimal::from(closes.len());
        let mean = closes.iter().map(|close| Decimal::from(*close)).sum::<Decimal>() / count;
        let apart = |close: &i64| Decimal::from(*close) - mean;
        let variance = closes.iter().map(|c| apart(c) * apart(c)).sum::<Decimal>() / count;
        let (last, entry) = (apart(closes.last().unwrap()), Decimal::new(entry.into(), 2));
        // Eight divides without remainder, so these decimals are exact.
        let reached = last * last >= entry * entry * variance && !variance.is_zero();
        prop_assert_eq!(!entered.is_empty(), reached);
        if let Some(target) = entered.first() {
            prop_assert_eq!(target.quantity.is_sign_negative(), last.is_sign_positive());
        }
    }
}
