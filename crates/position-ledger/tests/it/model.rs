//! A naive model of positions in exact fractions, written apart from the crate from the rules alone.
//!
//! It keeps what happened and computes everything anew each time, which is slow, and plainly right.

use std::collections::BTreeMap;

use backstop_position_ledger::Amount;
use backstop_position_ledger::rules::{Contract, Method};
use num_bigint::BigInt;
use num_rational::BigRational;

pub(crate) type Fraction = BigRational;

pub(crate) fn exact(amount: Amount) -> Fraction {
    Fraction::new(BigInt::from(amount.units()), BigInt::from(Amount::ONE.units()))
}

pub(crate) fn zero() -> Fraction {
    Fraction::from_integer(BigInt::from(0))
}

fn is_zero(value: &Fraction) -> bool {
    *value == zero()
}

fn size(value: &Fraction) -> Fraction {
    if *value < zero() { -value } else { value.clone() }
}

/// The nearest multiple of 1e-18, the even one of two: what of a fee is left after a bust is money, not a fraction.
pub(crate) fn rounded(value: &Fraction) -> Fraction {
    let one = Fraction::from_integer(BigInt::from(Amount::ONE.units()));
    let (units, two) = (value * &one, BigInt::from(2));
    let (floor, half) = (units.floor(), Fraction::new(BigInt::from(1), BigInt::from(2)));
    let rest = &units - &floor;
    let odd = floor.numer() % two != BigInt::from(0);
    let up = rest > half || (rest == half && odd);
    (floor + Fraction::from_integer(BigInt::from(u8::from(up)))) / one
}

/// Whether `amount` is within `units` of 1e-18.
pub(crate) fn is_near(value: &Fraction, amount: Amount, units: usize) -> bool {
    let limit = Fraction::new(BigInt::from(units), BigInt::from(Amount::ONE.units()));
    size(&(value - exact(amount))) <= limit
}

/// The rules of the one instrument of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) contract: Contract,
    pub(crate) method: Method,
    pub(crate) multiplier: i64,
}

/// A fee, by where it is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paid {
    Settlement,
    Base,
    Third,
}

/// A trade as it stands after busts and corrections.
#[derive(Clone, Debug)]
pub(crate) struct Deal {
    pub(crate) buy: bool,
    pub(crate) quantity: Fraction,
    pub(crate) price: Fraction,
    pub(crate) fee: Fraction,
    pub(crate) paid: Paid,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Deal(Box<Deal>),
    Split(i64, i64),
    Dividend(Fraction),
    Settle(Fraction),
    /// To the other account.
    Move(Fraction),
}

#[derive(Clone, Debug)]
struct Lot {
    age: usize,
    quantity: Fraction,
    cost: Fraction,
    price: Fraction,
}

#[derive(Clone, Debug)]
pub(crate) struct Position {
    long: bool,
    lots: Vec<Lot>,
    pub(crate) realized: Fraction,
    pub(crate) income: Fraction,
    pub(crate) fees: BTreeMap<Paid, Fraction>,
    /// What was paid and received in fills, without fees, and what was carried at its cost.
    pub(crate) flow: Fraction,
}

impl Position {
    fn flat() -> Self {
        let fees = BTreeMap::new();
        Self { long: true, lots: Vec::new(), realized: zero(), income: zero(), fees, flow: zero() }
    }

    /// Signed.
    pub(crate) fn quantity(&self) -> Fraction {
        let sum: Fraction = self.lots.iter().map(|lot| &lot.quantity).sum();
        if self.long { sum } else { -sum }
    }

    pub(crate) fn cost(&self) -> Fraction {
        self.lots.iter().map(|lot| &lot.cost).sum()
    }

    /// Which lot is next, by its place.
    fn next(&self, method: Method) -> usize {
        let key = |place: &usize| self.lots[*place].age;
        let places = 0..self.lots.len();
        match method {
            Method::Lifo => places.max_by_key(key).unwrap(),
            Method::Hifo => places
                .max_by(|one, other| {
                    let (one, other) = (&self.lots[*one], &self.lots[*other]);
                    let worse = one.price.cmp(&other.price);
                    let worse = if self.long { worse } else { worse.reverse() };
                    worse.then(other.age.cmp(&one.age))
                })
                .unwrap(),
            _ => places.min_by_key(key).unwrap(),
        }
    }

    /// Takes a quantity out, in the order of the method; at average cost all parts are one.
    fn take(&mut self, method: Method, quantity: &Fraction) -> Vec<Lot> {
        let mut taken = Vec::new();
        if method == Method::Average {
            self.merge();
        }
        let mut left = quantity.clone();
        while !is_zero(&left) {
            let place = self.next(method);
            let lot = &mut self.lots[place];
            if lot.quantity <= left {
                left -= &lot.quantity;
                taken.push(self.lots.remove(place));
                continue;
            }
            let cost = &lot.cost * &left / &lot.quantity;
            let part = Lot { quantity: left.clone(), cost: cost.clone(), ..lot.clone() };
            lot.quantity -= &left;
            lot.cost -= cost;
            taken.push(part);
            left = zero();
        }
        taken
    }

    fn merge(&mut self) {
        let all =
            Lot { age: 0, quantity: size(&self.quantity()), cost: self.cost(), price: zero() };
        self.lots = if is_zero(&all.quantity) { Vec::new() } else { vec![all] };
    }

    fn deal(&mut self, terms: &Terms, age: usize, deal: &Deal) {
        let multiplier = Fraction::from_integer(terms.multiplier.into());
        let inverse = terms.contract == Contract::Inverse;
        let value = |quantity: &Fraction| {
            if inverse {
                quantity * &multiplier / &deal.price
            } else {
                quantity * &multiplier * &deal.price
            }
        };
        let paid = value(&deal.quantity);
        self.flow += if deal.buy == inverse { paid } else { -paid };
        let held = size(&self.quantity());
        let is_opposite = !is_zero(&held) && self.long != deal.buy;
        let closed = if is_opposite { deal.quantity.clone().min(held) } else { zero() };
        let opened = &deal.quantity - &closed;
        if is_opposite {
            let cost: Fraction =
                self.take(terms.method, &closed).into_iter().map(|lot| lot.cost).sum();
            let gain = value(&closed) - cost;
            self.realized += if self.long == inverse { -gain } else { gain };
        }
        if !is_zero(&opened) {
            self.long = deal.buy;
            let mut price = deal.price.clone();
            if terms.contract == Contract::Spot && deal.paid == Paid::Base && opened > deal.fee {
                price = value(&opened) / (&opened - &deal.fee);
            }
            let (quantity, cost) = (opened.clone(), value(&opened));
            self.lots.push(Lot { age, quantity, cost, price });
        }
        *self.fees.entry(deal.paid).or_insert_with(zero) += &deal.fee;
        if terms.contract == Contract::Spot && deal.paid == Paid::Base {
            self.shrink(terms, age, !is_zero(&opened), &deal.fee);
        }
    }

    /// A fee in kind: the quantity falls, its cost stays; what has nothing left to bear it is lost.
    fn shrink(&mut self, terms: &Terms, age: usize, opened: bool, fee: &Fraction) {
        let held = self.quantity();
        let left = &held - fee;
        if is_zero(fee) {
            return;
        }
        if held >= zero() && left <= zero() {
            self.realized -= self.cost();
            self.lots.clear();
            self.long = is_zero(&left);
            if !self.long {
                self.lots.push(Lot { age, quantity: -left, cost: zero(), price: zero() });
            }
            return;
        }
        if terms.method == Method::Average {
            self.merge();
        }
        if held < zero() {
            let place = if opened { self.youngest() } else { self.next(terms.method) };
            self.lots[place].quantity += fee;
            return;
        }
        let (mut rest, mut orphaned) = (fee.clone(), zero());
        while !is_zero(&rest) || !is_zero(&orphaned) {
            let place = if opened { self.youngest() } else { self.next(terms.method) };
            let last = self.lots.len() == 1;
            let lot = &mut self.lots[place];
            if lot.quantity <= rest && !last {
                rest -= &lot.quantity;
                orphaned += self.lots.remove(place).cost;
                continue;
            }
            lot.quantity -= &rest;
            lot.cost += &orphaned;
            (rest, orphaned) = (zero(), zero());
        }
    }

    fn youngest(&self) -> usize {
        (0..self.lots.len()).max_by_key(|place| self.lots[*place].age).unwrap()
    }

    fn carry(&mut self, terms: &Terms, out: bool, cost: &Fraction) {
        let like_a_sale = (out == self.long) != (terms.contract == Contract::Inverse);
        self.flow += if like_a_sale { cost.clone() } else { -cost };
    }
}

/// Two accounts after a history; each event names the account it happens in.
///
/// Void deals have a quantity of zero.
pub(crate) fn replay(terms: &Terms, history: &[(usize, Event)]) -> [Position; 2] {
    let mut books = [Position::flat(), Position::flat()];
    for (age, (account, event)) in history.iter().enumerate() {
        let position = &mut books[*account];
        match event {
            Event::Deal(deal) if is_zero(&deal.quantity) => {}
            Event::Deal(deal) => position.deal(terms, age, deal),
            Event::Split(new, old) => {
                let ratio = Fraction::new((*new).into(), (*old).into());
                for lot in &mut position.lots {
                    lot.quantity *= &ratio;
                    lot.price /= &ratio;
                }
            }
            Event::Dividend(per_unit) => position.income += position.quantity() * per_unit,
            Event::Settle(price) => {
                let quantity = position.quantity();
                if !is_zero(&quantity) {
                    let (fee, paid) = (zero(), Paid::Settlement);
                    let (buy, quantity) = (quantity < zero(), size(&quantity));
                    let deal = Deal { buy, quantity, price: price.clone(), fee, paid };
                    position.deal(terms, age, &deal);
                }
            }
            Event::Move(quantity) => {
                let long = position.long;
                let lots = position.take(terms.method, quantity);
                let cost: Fraction = lots.iter().map(|lot| &lot.cost).sum();
                position.carry(terms, true, &cost);
                let other = &mut books[1 - account];
                other.long = long;
                other.lots.extend(lots);
                other.carry(terms, false, &cost);
            }
        }
    }
    books
}
