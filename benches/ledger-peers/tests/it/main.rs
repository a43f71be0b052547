//! What the comparison claims: the libraries do the same work, and differ in what becomes of a repeated fill.

use std::panic::{AssertUnwindSafe, catch_unwind};

use backstop_ledger_peers::{
    Backstop, Barter, Deal, Deals, Held, Keeper, Nautilus057, Nautilus067, POSITIONS, Pattern,
};
use rust_decimal::Decimal;

/// What every instrument holds after so many deals.
fn after<K: Keeper>(pattern: Pattern, count: usize) -> Vec<Option<Held>> {
    let mut keeper = K::empty();
    for deal in Deals::new(pattern).take(count) {
        let fill = keeper.fill(&deal);
        keeper.apply(&fill);
    }
    (0..usize::try_from(POSITIONS).expect("small")).map(|place| keeper.held(place)).collect()
}

/// The averages may differ by what the floats and the divisions of a peer round away.
fn assert_same(name: &str, ours: &[Option<Held>], theirs: &[Option<Held>]) {
    let rounding = Decimal::new(1, 9);
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => {
                ours.quantity == theirs.quantity && (ours.average - theirs.average).abs() < rounding
            }
            (ours, theirs) => ours == theirs,
        };
        assert!(same, "{name}, instrument {place}: {theirs:?} instead of {ours:?}");
    }
}

#[test]
fn all_end_with_the_same_positions() {
    // One and a half rounds more than the even number at which all reopened positions are flat.
    for (pattern, count) in [(Pattern::Mixed, 50_000), (Pattern::Reopening, 21_500)] {
        let ours = after::<Backstop>(pattern, count);
        assert!(ours.iter().flatten().count() >= 500, "there is something to compare");
        assert_same("barter", &ours, &after::<Barter>(pattern, count));
        assert_same("nautilus 0.57", &ours, &after::<Nautilus057>(pattern, count));
        assert_same("nautilus 0.67", &ours, &after::<Nautilus067>(pattern, count));
    }
}

/// What becomes of a fill that comes again.
#[derive(Debug, PartialEq)]
enum Repeated {
    /// Refused by an error, a panic, or an outcome that says so.
    Refused,
    /// Nothing happens, and nobody is told.
    Ignored,
    /// The position changes.
    Booked,
}

/// Buys and sells the same quantity in turns, so many times, and then sends the first fill again.
fn repeated<K: Keeper>(count: usize) -> Repeated {
    let mut keeper = K::empty();
    let of_one = Deals::new(Pattern::Reopening).filter(|deal| deal.place == 0);
    let deals: Vec<Deal> = of_one.take(count).collect();
    for deal in &deals {
        let fill = keeper.fill(deal);
        keeper.apply(&fill);
    }
    let before = keeper.held(0);
    let again = keeper.fill(&deals[0]);
    let refused = catch_unwind(AssertUnwindSafe(|| keeper.apply(&again))).is_err();
    match (refused, keeper.held(0) == before) {
        (true, _) => Repeated::Refused,
        (false, true) => Repeated::Ignored,
        (false, false) => Repeated::Booked,
    }
}

#[test]
fn a_repeated_fill_is_not_the_same_to_all() {
    let in_its_cycle_and_in_the_next = [
        ("backstop", repeated::<Backstop>(1), repeated::<Backstop>(3)),
        ("barter", repeated::<Barter>(1), repeated::<Barter>(3)),
        ("nautilus 0.57", repeated::<Nautilus057>(1), repeated::<Nautilus057>(3)),
        ("nautilus 0.67", repeated::<Nautilus067>(1), repeated::<Nautilus067>(3)),
    ];
    let expected = [
        ("backstop", Repeated::Refused, Repeated::Refused),
        ("barter", Repeated::Booked, Repeated::Booked),
        ("nautilus 0.57", Repeated::Refused, Repeated::Booked),
        ("nautilus 0.67", Repeated::Ignored, Repeated::Ignored),
    ];
    assert_eq!(in_its_cycle_and_in_the_next, expected);
}
