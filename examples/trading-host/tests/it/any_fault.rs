//! Whatever fails: any wishes under any faults end in books that equal the venue's.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::{
    ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest,
};
use rust_decimal::Decimal;
use trading_host::strategy::Style;

use crate::stage::{Fate, Script, Stage, Submit, at, decimal};

const END_S: u64 = 600;
const SYMBOLS: [&str; 3] = ["AAA", "BBB", "CCC"];

fn submit() -> impl Strategy<Value = Submit> {
    // The deadline of an order is 15 seconds.
    let late = (0_u64..20_000).prop_map(|ms| Submit::Late(Duration::from_millis(ms)));
    let limited = (0_u64..20_000).prop_map(|ms| Submit::Limited(Duration::from_millis(ms)));
    prop::strategy::Union::new(vec![
        prop::strategy::Just(Submit::Lost).boxed(),
        prop::strategy::Just(Submit::Unanswered).boxed(),
        prop::strategy::Just(Submit::Rejected).boxed(),
        late.boxed(),
        limited.boxed(),
    ])
}

fn fate() -> impl Strategy<Value = Fate> {
    let delay = || (0_u64..2_000).prop_map(Duration::from_millis);
    prop::strategy::Union::new(vec![
        prop::strategy::Just(Fate::Twice).boxed(),
        prop::strategy::Just(Fate::Never).boxed(),
        delay().prop_map(Fate::After).boxed(),
        (delay(), 1_u32..3).prop_map(|(delay, times)| Fate::Torn(delay, times)).boxed(),
    ])
}

fn script() -> impl Strategy<Value = Script> {
    let submits = prop::collection::btree_map(1_usize..12, submit(), 0..6);
    let events = prop::collection::btree_map(1_usize..60, fate(), 0..20);
    let away = prop::option::of((0_u64..500, 1_u64..200));
    let drift = prop::option::of((0..END_S, -50_i64..=50));
    let behind = 0_u64..10;
    (submits, events, away, drift, behind).prop_map(|(submits, events, away, drift, behind)| {
        let away = away.map(|(from, length)| (at(from), at(from + length)));
        let drift = drift.filter(|(_, amount)| *amount != 0);
        let drift = drift.map(|(second, amount)| (at(second), amount.into()));
        Script {
            submits,
            events,
            away,
            drift,
            behind: Duration::from_secs(behind),
            ..Script::default()
        }
    })
}

/// A second, an instrument, so many lots, and whether to wait for a better price.
type Wish = (u64, usize, i64, bool);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    prop::collection::vec((0_u64..500, 0_usize..3, -30_i64..=30, any::<bool>()), 1..8)
}

fn stage(wishes: &[Wish], script: Script) -> Stage {
    let mut stage = Stage::new(3, END_S).with_liquidity(100);
    for &(second, instrument, lots, is_patient) in wishes {
        // Half of the limits are met at once, the others never.
        let price = decimal(if second % 2 == 0 { "10.00" } else { "10.50" });
        let style = if is_patient {
            Style::Limit { price, good_for: Duration::from_mins(2) }
        } else {
            Style::Market
        };
        stage = stage.wishing_in_style(second, instrument, lots * 10, style);
    }
    stage.script = script;
    stage
}

/// The last wish for each instrument, where it is to be had at any price.
fn last_wishes(wishes: &[Wish]) -> BTreeMap<usize, i64> {
    let mut sorted = wishes.to_vec();
    sorted.sort_by_key(|wish| wish.0);
    let mut last = BTreeMap::new();
    for (_, instrument, lots, is_patient) in sorted {
        last.insert(instrument, (!is_patient).then_some(lots * 10));
    }
    last.into_iter().filter_map(|(place, wish)| Some((place, wish?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Every invariant holds; no intent has two orders; a wish at any price is met once the
    /// venue is back, unless a halt forbids it.
    #[test]
    fn the_books_equal_the_venue(wishes in wishes(), script in script()) {
        let was_away = script.away.is_some();
        let ending = stage(&wishes, script).play();
        prop_assert_eq!(ending.broken(), Vec::<&str>::new());
        prop_assert!(ending.report.ok);
        prop_assert_eq!(ending.report.orders.duplicates_at_venue, 0);
        prop_assert_eq!(ending.report.dead_letters.remaining, 0);
        prop_assert_eq!(&ending.report.halted, &None);
        for (instrument, wish) in last_wishes(&wishes).into_iter().filter(|_| !was_away) {
            prop_assert_eq!(ending.held(SYMBOLS[instrument]), Decimal::from(wish));
        }
    }
}
