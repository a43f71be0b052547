//! Everything that can happen to positions, in exact fractions: several accounts, legs, desks, and what is delivered.
//!
//! Written apart from the crate from the rules alone: it keeps what happened, and computes everything anew each time.

use std::collections::BTreeMap;

use backstop_position_ledger::rules::{Contract, Method};

use crate::model::{
    Birth, Choosing, Deal, Fraction, Lot, Paid, Position, Terms, is_zero, size, zero,
};

/// The contract of a history, or the spot pair that it delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Product {
    Contract,
    Coin,
}

/// A position, or with a desk its share in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) account: usize,
    pub(crate) product: Product,
    pub(crate) leg: Option<usize>,
    pub(crate) desk: Option<usize>,
}

impl Key {
    const fn main(self) -> Self {
        Self { desk: None, ..self }
    }

    /// The position, and the share of the desk if one is named.
    fn both(self) -> impl Iterator<Item = Self> {
        [self.main()].into_iter().chain(self.desk.map(|_| self))
    }
}

/// What happened, after busts and corrections.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Deal(Key, Deal),
    /// Of the contract, for one account or all, one leg or all.
    Act(Option<usize>, Option<usize>, Act),
    /// To the other account.
    Move(Key, Fraction),
    /// A signed change, at a price.
    Repair(Key, Fraction, Fraction),
    /// A signed quantity, and its cost.
    Open(Key, Fraction, Fraction),
    Fee(Key, Paid, Fraction),
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Settle(Fraction),
    Deliver(Fraction),
    Dividend(Fraction),
    /// New for old, and what fractions of a whole are paid.
    Split(Fraction, Option<InLieu>),
}

/// What can be held, and the price of what cannot.
type InLieu = (Fraction, Fraction);

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) entry: u64,
    pub(crate) at: i64,
    pub(crate) trade: Option<String>,
    pub(crate) step: Step,
}

/// The rules of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) terms: Terms,
    pub(crate) hedged: bool,
    pub(crate) by_time: bool,
}

impl Rules {
    pub(crate) fn terms(&self, product: Product) -> Terms {
        match product {
            Product::Contract => self.terms,
            Product::Coin => Terms { contract: Contract::Spot, multiplier: 1, ..self.terms },
        }
    }
}

/// A position with what only the world knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) position: Position,
    pub(crate) in_lieu: Fraction,
    /// The part of the flow that was no cash.
    pub(crate) carried: Fraction,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct World(pub(crate) BTreeMap<Key, Held>);

impl World {
    /// The positions after a history; none for one that does not work.
    pub(crate) fn after(rules: &Rules, history: &[Event]) -> Option<Self> {
        let mut events: Vec<_> = history.iter().collect();
        events.sort_by_key(|event| (if rules.by_time { event.at } else { 0 }, event.entry));
        let mut world = Self::default();
        for (age, event) in events.into_iter().enumerate() {
            let birth = Birth { age, entry: event.entry, trade: event.trade.clone() };
            world.step(rules, &birth, &event.step)?;
        }
        Some(world)
    }

    fn at(&mut self, key: Key) -> &mut Held {
        let flat = || Held { position: Position::flat(), in_lieu: zero(), carried: zero() };
        self.0.entry(key).or_insert_with(flat)
    }

    fn step(&mut self, rules: &Rules, birth: &Birth, step: &Step) -> Option<()> {
        match step {
            Step::Deal(key, deal) if is_zero(&deal.quantity) => {
                // It is void, and its position is there all the same.
                for key in key.both() {
                    self.at(key);
                }
            }
            Step::Deal(key, deal) => {
                let terms = rules.terms(key.product);
                for key in key.both() {
                    let how = match (terms.method, key.desk) {
                        (Method::Specific, None) => Choosing::Strictly,
                        (Method::Specific, Some(_)) => Choosing::AsFarAsHeld,
                        _ => Choosing::No,
                    };
                    self.at(key).position.deal(&terms, birth, deal, how)?;
                }
            }
            Step::Act(account, leg, act) => {
                let is_reached = |key: &&Key| {
                    let there = account.is_none_or(|account| account == key.account);
                    there && (leg.is_none() || *leg == key.leg) && key.product == Product::Contract
                };
                let reached: Vec<_> = self.0.keys().filter(is_reached).copied().collect();
                self.act(rules, birth, &reached, act);
            }
            Step::Move(key, quantity) => self.carry_over(rules, *key, quantity)?,
            Step::Repair(key, change, price) => {
                for key in key.both() {
                    self.at(key).repair(&rules.terms(key.product), birth, change, price);
                }
            }
            Step::Open(key, quantity, cost) => {
                for key in key.both() {
                    let terms = rules.terms(key.product);
                    self.at(key).open(&terms, birth, quantity, cost)?;
                }
            }
            Step::Fee(key, paid, fee) => {
                for key in key.both() {
                    let terms = rules.terms(key.product);
                    self.at(key).position.pay(&terms, birth, (*paid, fee), false);
                }
            }
        }
        Some(())
    }

    fn act(&mut self, rules: &Rules, birth: &Birth, reached: &[Key], act: &Act) {
        let terms = rules.terms(Product::Contract);
        for key in reached {
            match act {
                Act::Settle(price) => drop(self.at(*key).settle(&terms, birth, price)),
                Act::Dividend(per_unit) => {
                    let position = &mut self.at(*key).position;
                    position.income += position.quantity() * per_unit;
                }
                Act::Deliver(price) => {
                    let closed = self.at(*key).settle(&terms, birth, price);
                    let to = Key { product: Product::Coin, leg: None, ..*key };
                    let quantity = &closed * Fraction::from_integer(terms.multiplier.into());
                    // A desk's share is delivered to its share, the position to the position.
                    self.at(to).repair(&rules.terms(Product::Coin), birth, &quantity, price);
                }
                // A share follows its position.
                Act::Split(ratio, in_lieu) if key.desk.is_none() => {
                    self.split((&terms, birth), *key, (ratio, in_lieu.as_ref()));
                }
                Act::Split(..) => {}
            }
        }
    }

    /// Scales a position and its shares; of what is beyond whole units each has its part.
    fn split(
        &mut self,
        (terms, birth): (&Terms, &Birth),
        main: Key,
        (ratio, in_lieu): (&Fraction, Option<&InLieu>),
    ) {
        let shares: Vec<_> = self.0.keys().filter(|key| key.main() == main).copied().collect();
        for key in &shares {
            for lot in &mut self.at(*key).position.lots {
                lot.scale(ratio);
            }
        }
        let quantity = self.at(main).position.quantity();
        let Some((whole, price)) = in_lieu.filter(|_| !is_zero(&quantity)) else { return };
        let beyond = (&quantity / whole - (&quantity / whole).trunc()) * whole;
        for key in shares {
            let held = self.at(key);
            let part = held.position.quantity() * &beyond / &quantity;
            if is_zero(&part) {
                continue;
            }
            let before = held.position.flow.clone();
            held.repair(terms, birth, &-&part, price);
            held.in_lieu += &held.position.flow - before;
        }
    }

    /// Moves a part with its cost; the share of the desk moves as much, on the same side.
    fn carry_over(&mut self, rules: &Rules, from: Key, quantity: &Fraction) -> Option<()> {
        let terms = rules.terms(from.product);
        let long = self.at(from.main()).position.quantity() > zero();
        for key in from.both() {
            let held = self.at(key);
            let there = held.position.quantity();
            if size(&there) < *quantity || (there > zero()) != long {
                return None;
            }
            let lots = held.position.take(terms.method, quantity);
            let cost: Fraction = lots.iter().map(|lot| &lot.cost).sum();
            let before = held.position.flow.clone();
            held.position.long = long;
            held.position.carry(&terms, true, &cost);
            held.carried += &held.position.flow - before;
            let other = self.at(Key { account: 1 - key.account, ..key });
            other.receive(&terms, long, lots)?;
        }
        Some(())
    }
}

impl Held {
    fn receive(&mut self, terms: &Terms, long: bool, lots: Vec<Lot>) -> Option<()> {
        let held = self.position.quantity();
        if !is_zero(&held) && (held > zero()) != long {
            return None;
        }
        let cost: Fraction = lots.iter().map(|lot| &lot.cost).sum();
        let before = self.position.flow.clone();
        self.position.long = long;
        self.position.lots.extend(lots);
        self.position.carry(terms, false, &cost);
        self.carried += &self.position.flow - before;
        Some(())
    }

    fn open(
        &mut self,
        terms: &Terms,
        birth: &Birth,
        quantity: &Fraction,
        cost: &Fraction,
    ) -> Option<()> {
        let lot = Lot::new(terms, birth, size(quantity), cost.clone());
        self.receive(terms, *quantity > zero(), vec![lot])
    }

    /// Closes everything at a price, and gives what that was.
    fn settle(&mut self, terms: &Terms, birth: &Birth, price: &Fraction) -> Fraction {
        let held = self.position.quantity();
        self.repair(terms, birth, &-&held, price);
        held
    }

    /// A signed change at a price.
    fn repair(&mut self, terms: &Terms, birth: &Birth, change: &Fraction, price: &Fraction) {
        if !is_zero(change) {
            let deal = plain(*change > zero(), size(change), price);
            self.position.deal(terms, birth, &deal, Choosing::No).unwrap();
        }
    }
}

/// A deal at a price, without anything else.
fn plain(buy: bool, quantity: Fraction, price: &Fraction) -> Deal {
    let (price, fee, paid) = (price.clone(), zero(), Paid::Settlement);
    Deal { buy, quantity, price, fee, paid, cost: None, choice: Vec::new() }
}
