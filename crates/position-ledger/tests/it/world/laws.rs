//! Laws that hold for every history, whatever happens in it.

use backstop_position_ledger::fill::{Fill, LotChoice, LotName};
use backstop_position_ledger::journal::{Journal, Record, verify};
use backstop_position_ledger::position::Position;
use backstop_position_ledger::rules::{Contract, Method};
use backstop_position_ledger::{
    Amount, Books, Durability, Entry, Fact, Ledger, MemoryJournal, Outcome,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::facts::thousandths;
use super::model::{Key, Product, Rules};
use super::wish::{Kind, Wish, rules, wish};
use super::{Known, Pair, histories, instruments, position};
use crate::kit::currency;

fn after(rules: Rules, wishes: &[Wish]) -> Pair {
    let mut pair = Pair::new(rules);
    for wish in wishes {
        pair.grant(wish);
    }
    pair
}

fn records(ledger: &Ledger) -> Vec<Record> {
    ledger.journal().read(0, usize::MAX).unwrap()
}

fn empty(rules: &Rules) -> Ledger {
    Ledger::open(Box::new(MemoryJournal::new()), instruments(rules)).unwrap()
}

const fn is_booked(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { .. } | Outcome::Voided { .. } | Outcome::Recorded { .. })
}

/// Every figure of a position that does not name an entry.
fn figures(position: &Position<'_>) -> impl PartialEq + std::fmt::Debug + use<> {
    let lots: Vec<_> =
        position.lots().into_iter().map(|lot| (lot.trade_id, lot.quantity, lot.cost)).collect();
    let fees: Vec<_> = position.fees().into_iter().map(|(code, fee)| (code.clone(), fee)).collect();
    let sums = (position.quantity(), position.open_cost(), position.realized_gross());
    let flows =
        (position.cash_flow(), position.income(), position.cash_in_lieu(), position.funding());
    let names =
        (position.account().clone(), position.instrument().id().clone(), position.leg().cloned());
    (names, position.strategy().cloned(), sums, flows, lots, fees)
}

fn all_figures(books: &Books) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    let mut all = books.positions();
    all.extend(books.shares());
    all.iter().map(figures).collect()
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn every_figure_of_every_kind_of_entry_is_that_of_exact_fractions(
        rules in rules(),
        wishes in vec(wish(), 1..40),
    ) {
        let mut pair = Pair::new(rules);
        for wish in &wishes {
            pair.grant(wish);
            pair.compare();
        }
    }

    #[test]
    fn a_replay_is_the_state_at_every_entry_also_from_an_image(
        rules in rules(),
        wishes in vec(wish(), 1..40),
        at in any::<Index>(),
    ) {
        let (mut pair, at) = (Pair::new(rules), at.index(wishes.len()));
        let mut image = None;
        for (number, wish) in wishes.iter().enumerate() {
            pair.grant(wish);
            if number == at {
                pair.ledger.keep_image().unwrap();
                image = pair.ledger.journal().image().unwrap();
            }
        }
        // One wish may be several entries, such as an isolation and its end: entry by entry.
        let (mut replay, mut live) = (pair.ledger.replay(), empty(&rules));
        for entry in &pair.entries {
            prop_assert!(is_booked(&live.append(entry, Durability::Grouped).unwrap()));
            let version = live.version();
            prop_assert_eq!(replay.advance_to(version).unwrap(), live.books());
        }
        prop_assert_eq!(live.books(), pair.ledger.books());
        prop_assert_eq!(verify(pair.ledger.journal()).unwrap(), pair.ledger.books().checkpoint());
        let mut journal = MemoryJournal::from_records(records(&pair.ledger));
        journal.keep_image(image.unwrap(), 0, Vec::new()).unwrap();
        let resumed = Ledger::resume(Box::new(journal), pair.instruments.clone()).unwrap();
        prop_assert_eq!(resumed.books(), pair.ledger.books());
    }

    #[test]
    fn a_duplicate_anywhere_is_ignored(
        rules in rules(),
        wishes in vec(wish(), 1..30),
        repeats in vec(any::<Index>(), 1..6),
    ) {
        let pair = after(rules, &wishes);
        let mut noisy = empty(&rules);
        for (number, entry) in pair.entries.iter().enumerate() {
            prop_assert!(is_booked(&noisy.append(entry, Durability::Grouped).unwrap()));
            for repeat in &repeats {
                let earlier = &pair.entries[repeat.index(number + 1)];
                // Told again later, by whom we do not know: the same fact all the same.
                let later = earlier.clone().with_journaled_at(entry.journaled_at);
                prop_assert_eq!(noisy.append(&later, Durability::Grouped).unwrap(), Outcome::Duplicate);
            }
        }
        prop_assert_eq!(noisy.books(), pair.ledger.books());
        prop_assert_eq!(records(&noisy), records(&pair.ledger));
    }

    #[test]
    fn a_group_is_taken_whole_or_not_at_all(
        rules in rules(),
        wishes in vec(wish(), 1..30),
        from in any::<Index>(),
    ) {
        let pair = after(rules, &wishes);
        let (head, group) = pair.entries.split_at(from.index(pair.entries.len() + 1));
        let mut ledger = empty(&rules);
        for entry in head {
            prop_assert!(is_booked(&ledger.append(entry, Durability::Grouped).unwrap()));
        }
        let (books, bytes) = (ledger.books().clone(), records(&ledger));
        let mut bad = pair.entries.last().cloned().into_iter().map(|entry| Entry {
            fact: Fact::Withdrawn { currency: "USD".parse().unwrap(), amount: Amount::ZERO },
            id: Entry::id_at(entry.at, [9; 10]),
            ..entry
        });
        if let Some(bad) = bad.next() {
            let spoiled: Vec<_> = group.iter().cloned().chain([bad]).collect();
            prop_assert!(ledger.append_all(&spoiled, None, Durability::Grouped).is_err());
            prop_assert_eq!(ledger.books(), &books);
            prop_assert_eq!(records(&ledger), bytes);
        }
        let outcomes = ledger.append_all(group, None, Durability::Grouped).unwrap();
        prop_assert!(outcomes.iter().all(is_booked));
        prop_assert_eq!(ledger.books(), pair.ledger.books());
        prop_assert_eq!(records(&ledger), records(&pair.ledger));
    }

    #[test]
    fn the_order_of_accounts_is_irrelevant(rules in rules(), wishes in vec(wish(), 1..40)) {
        // What concerns both accounts at once has its place between the entries of both.
        let alone: Vec<_> = wishes.into_iter().filter(|wish| is_of_one_account(&wish.kind)).collect();
        let pair = after(rules, &alone);
        let mut entries = pair.entries.clone();
        entries.sort_by(|one, other| other.account.cmp(&one.account));
        // Other places in the journal are other names of lots.
        prop_assume!(!entries.iter().any(names_an_entry));
        let mut other = empty(&rules);
        for entry in &entries {
            prop_assert!(is_booked(&other.append(entry, Durability::Grouped).unwrap()), "{entry:?}");
        }
        prop_assert_eq!(all_figures(pair.ledger.books()), all_figures(other.books()));
        prop_assert_eq!(pair.ledger.books().balances(), other.books().balances());
    }

    #[test]
    fn shares_add_up_to_their_position(rules in rules(), wishes in vec(wish(), 1..40), mark in 1..300_i64) {
        let mut pair = Pair::new(rules);
        for wish in wishes {
            pair.grant(&Wish { desk: wish.desk.or(Some(0)), ..wish });
        }
        let (books, mark) = (pair.ledger.books(), Amount::from_int(mark));
        let sum = |amounts: Vec<Amount>| {
            amounts.into_iter().try_fold(Amount::ZERO, Amount::checked_add).unwrap()
        };
        let (positions, shares) = (books.positions(), books.shares());
        for position in &positions {
            let names = |of: &Position<'_>| (of.account().clone(), of.instrument().id().clone(), of.leg().cloned());
            let shares = || shares.iter().filter(|share| names(share) == names(position));
            prop_assert_eq!(sum(shares().map(Position::quantity).collect()), position.quantity());
            prop_assert_eq!(sum(shares().map(Position::funding).collect()), position.funding());
        }
        // A transfer takes the cost of the position from the one, that of the share from the other: over all accounts
        // they are the same.
        let profit = |of: &Position<'_>| of.realized_gross().checked_add(of.unrealized(mark).unwrap()).unwrap();
        let all = |of: &[Position<'_>]| sum(of.iter().map(profit).collect());
        let apart = all(&shares).checked_sub(all(&positions)).unwrap().units().abs();
        let limit = i128::try_from(8 * (pair.entries.len() + positions.len() + shares.len())).unwrap();
        prop_assert!(apart <= limit, "{}", apart);
    }

    #[test]
    fn a_trade_in_two_parts_is_the_same_trade(
        rules in rules(),
        wishes in vec(wish(), 1..25),
        last in wish().prop_filter("a fill", |wish| matches!(wish.kind, Kind::Fill(_))),
        part in 1..1_000_i64,
    ) {
        let mut whole = after(rules, &wishes);
        let before = whole.ledger.version();
        let head = whole.entries.clone();
        // In the order of arrival: a part that comes between is another history.
        whole.grant(&Wish { late: 0, ..last });
        let Some(entry) = whole.entries.last().filter(|_| whole.ledger.version() > before) else { return Ok(()) };
        let Fact::Filled(fill) = &entry.fact else { panic!("not a fill") };
        // A bust that waited for it names it as a whole.
        prop_assume!(whole.fills.last().is_some_and(Known::is_whole));
        // A fee in kind changes what is left to close between the parts, so other lots would have to be named.
        let names = rules.terms.method == Method::Specific;
        prop_assume!(!names || fill.fee.is_zero() || fill.fee_currency != Some(currency("BTC")));
        let mut parts = empty(&rules);
        for entry in &head {
            prop_assert!(is_booked(&parts.append(entry, Durability::Grouped).unwrap()));
        }
        for (number, fill) in in_two(fill, part).into_iter().enumerate() {
            let id = Entry::id_at(entry.at, [u8::try_from(number).unwrap(); 10]);
            let part = Entry { id, fact: Fact::Filled(fill), ..entry.clone() };
            prop_assert!(is_booked(&parts.append(&part, Durability::Grouped).unwrap()));
        }
        let known = whole.fills.last().unwrap();
        let in_kind = known.key.product == Product::Coin || rules.terms.contract == Contract::Spot;
        let in_kind = in_kind && fill.fee_currency == Some(currency("BTC")) && !fill.fee.is_zero();
        let keys = [Some(Key { desk: None, ..known.key }), known.key.desk.map(|_| known.key)];
        for key in keys.into_iter().flatten() {
            same_but_for_rounding(&whole.ledger, &parts, key, in_kind)?;
        }
    }
}

const fn is_of_one_account(kind: &Kind) -> bool {
    match kind {
        Kind::Split { everyone, .. }
        | Kind::Dividend { everyone, .. }
        | Kind::Settle { everyone, .. }
        | Kind::Deliver { everyone, .. } => !*everyone,
        Kind::Isolate { instrument } => !*instrument,
        Kind::Move { .. } | Kind::Money { which: 3, .. } | Kind::Snapshot => false,
        _ => true,
    }
}

fn names_an_entry(entry: &Entry) -> bool {
    let Fact::Filled(fill) = &entry.fact else { return false };
    fill.lots.iter().any(|choice| matches!(choice.lot, LotName::Entry(_)))
}

/// The same position, but for what two parts round more than one.
///
/// A fee in kind is taken out of what is left after each part, so it may bear on other lots; the whole is the same.
fn same_but_for_rounding(
    whole: &Ledger,
    parts: &Ledger,
    key: Key,
    in_kind: bool,
) -> Result<(), TestCaseError> {
    let (one, two) = (position(whole.books(), key).unwrap(), position(parts.books(), key).unwrap());
    let figures = |of: &Position<'_>| {
        let short = of.quantity().is_negative() != of.instrument().is_inverse();
        let cost = of.open_cost();
        let signed = if short { cost.negated() } else { cost };
        let fees: Vec<_> = of.fees().into_iter().map(|(code, fee)| (code.clone(), fee)).collect();
        let whole = of.realized_gross().checked_sub(signed).unwrap();
        (
            (of.quantity(), of.income(), fees),
            [of.cash_flow(), whole],
            [of.realized_gross(), of.open_cost()],
        )
    };
    let (one, two) = (figures(&one), figures(&two));
    prop_assert_eq!(one.0, two.0, "{:?}", key);
    let each = if in_kind { Vec::new() } else { one.2.into_iter().zip(two.2).collect() };
    for (one, two) in one.1.into_iter().zip(two.1).chain(each) {
        let apart = one.checked_sub(two).unwrap();
        prop_assert!(apart.units().abs() <= 200, "{:?}: {} is not {}", key, one, two);
    }
    Ok(())
}

/// A fill in two: quantity, cost, fee and lots are those of the whole.
fn in_two(fill: &Fill, part: i64) -> [Fill; 2] {
    let first = fill.quantity.checked_mul(thousandths(part)).unwrap();
    let rest = fill.quantity.checked_sub(first).unwrap();
    let share = |amount: Amount| amount.mul_div(first, fill.quantity).unwrap();
    let (mut one, mut two) = (fill.clone(), fill.clone());
    (one.trade_id, two.trade_id) = ("first".parse().unwrap(), "second".parse().unwrap());
    (one.quantity, two.quantity) = (first, rest);
    (one.fee, two.fee) = (share(fill.fee), fill.fee.checked_sub(share(fill.fee)).unwrap());
    if let Some(cost) = fill.cost {
        (one.cost, two.cost) = (Some(share(cost)), Some(cost.checked_sub(share(cost)).unwrap()));
    }
    let mut left = first;
    (one.lots, two.lots) = (Vec::new(), Vec::new());
    for LotChoice { lot, quantity } in fill.lots.clone() {
        let taken = quantity.min(left);
        left = left.checked_sub(taken).unwrap();
        let more = quantity.checked_sub(taken).unwrap();
        for (lots, quantity) in [(&mut one.lots, taken), (&mut two.lots, more)] {
            if quantity.is_positive() {
                lots.push(LotChoice { lot: lot.clone(), quantity });
            }
        }
    }
    [one, two]
}
