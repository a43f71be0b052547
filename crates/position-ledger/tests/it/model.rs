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

/// Whether it is no more than what the ledger rounds, who names lots by quantities that are rounded.
fn is_crumb(quantity: &Fraction) -> bool {
    size(quantity) < exact("0.000000000001".parse().unwrap())
}

pub(crate) fn is_zero(value: &Fraction) -> bool {
    *value == zero()
}

pub(crate) fn size(value: &Fraction) -> Fraction {
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

impl Terms {
    pub(crate) fn value(&self, quantity: &Fraction, price: &Fraction) -> Fraction {
        let units = quantity * Fraction::from_integer(self.multiplier.into());
        if self.contract == Contract::Inverse { units / price } else { units * price }
    }

    /// The price at which a quantity is worth a value.
    fn price(&self, quantity: &Fraction, value: &Fraction) -> Option<Fraction> {
        let units = quantity * Fraction::from_integer(self.multiplier.into());
        let inverse = self.contract == Contract::Inverse;
        let (over, under) = if inverse { (units, value.clone()) } else { (value.clone(), units) };
        (!is_zero(&under)).then(|| over / under)
    }
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
    /// What it cost in all, if that was stated.
    pub(crate) cost: Option<Fraction>,
    /// The lots that it closes, where it has to say so.
    pub(crate) choice: Vec<(Name, Fraction)>,
}

/// What a lot is called by: its trade, or its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Trade(String),
    Entry(u64),
}

/// Where a lot comes from: its place among all events, its entry, and its trade if it had one.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub(crate) age: usize,
    pub(crate) entry: u64,
    pub(crate) trade: Option<String>,
}

impl Birth {
    const fn unnamed(age: usize) -> Self {
        Self { age, entry: 0, trade: None }
    }

    fn is(&self, name: &Name) -> bool {
        match name {
            Name::Trade(trade) => self.trade.as_ref() == Some(trade),
            Name::Entry(entry) => self.entry == *entry,
        }
    }
}

/// Whose choice of lots counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choosing {
    /// Nobody's: the method decides.
    No,
    /// That of the deal, which has to name just what is closed.
    Strictly,
    /// That of the deal as far as the lots are there, then the oldest.
    AsFarAsHeld,
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
pub(crate) struct Lot {
    pub(crate) birth: Birth,
    pub(crate) quantity: Fraction,
    pub(crate) cost: Fraction,
    price: Fraction,
}

impl Lot {
    pub(crate) fn new(terms: &Terms, birth: &Birth, quantity: Fraction, cost: Fraction) -> Self {
        let price = terms.price(&quantity, &cost).unwrap_or_else(zero);
        Self { birth: birth.clone(), quantity, cost, price }
    }

    pub(crate) fn scale(&mut self, ratio: &Fraction) {
        self.quantity *= ratio;
        self.price /= ratio;
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) long: bool,
    pub(crate) lots: Vec<Lot>,
    pub(crate) realized: Fraction,
    pub(crate) income: Fraction,
    pub(crate) fees: BTreeMap<Paid, Fraction>,
    /// What was paid and received in fills, without fees, and what was carried at its cost.
    pub(crate) flow: Fraction,
}

impl Position {
    pub(crate) fn flat() -> Self {
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
        let key = |place: &usize| self.lots[*place].birth.age;
        let places = 0..self.lots.len();
        match method {
            Method::Lifo => places.max_by_key(key).unwrap(),
            // The last of equals is taken, so the first one has to be last.
            Method::Hifo => places
                .rev()
                .max_by(|one, other| {
                    let (one, other) = (&self.lots[*one], &self.lots[*other]);
                    let worse = one.price.cmp(&other.price);
                    let worse = if self.long { worse } else { worse.reverse() };
                    worse.then(other.birth.age.cmp(&one.birth.age))
                })
                .unwrap(),
            _ => places.min_by_key(key).unwrap(),
        }
    }

    /// Takes a quantity out, in the order of the method; at average cost all parts are one.
    pub(crate) fn take(&mut self, method: Method, quantity: &Fraction) -> Vec<Lot> {
        let mut taken = Vec::new();
        if method == Method::Average {
            self.merge();
        }
        let mut left = quantity.clone();
        while !is_zero(&left) && !self.lots.is_empty() {
            let place = self.next(method);
            taken.push(self.take_from(place, &mut left));
        }
        // The ledger may hold a part of a unit more, of a fee in kind that a bust has cut and a split then rounded.
        assert!(is_near(&left, Amount::ZERO, 4), "{left} is not there");
        taken
    }

    /// Takes of one lot what is left to take, or all of it.
    fn take_from(&mut self, place: usize, left: &mut Fraction) -> Lot {
        let lot = &mut self.lots[place];
        if lot.quantity <= *left {
            *left -= &lot.quantity;
            return self.lots.remove(place);
        }
        let cost = &lot.cost * &*left / &lot.quantity;
        let part = Lot { quantity: left.clone(), cost: cost.clone(), ..lot.clone() };
        lot.quantity -= &*left;
        lot.cost -= cost;
        *left = zero();
        part
    }

    /// Takes what is named, the oldest of a name first; gives what was not there.
    fn take_named(&mut self, name: &Name, quantity: &Fraction) -> (Vec<Lot>, Fraction) {
        let (mut taken, mut left) = (Vec::new(), quantity.clone());
        while !is_zero(&left) {
            let named = (0..self.lots.len()).filter(|place| self.lots[*place].birth.is(name));
            let Some(place) = named.min_by_key(|place| self.lots[*place].birth.age) else { break };
            taken.push(self.take_from(place, &mut left));
        }
        (taken, left)
    }

    /// Takes what a deal closes; none when the lots that it names are not just that.
    fn take_for(
        &mut self,
        terms: &Terms,
        deal: &Deal,
        closed: &Fraction,
        how: Choosing,
    ) -> Option<Vec<Lot>> {
        if how == Choosing::No {
            return Some(self.take(terms.method, closed));
        }
        let (mut taken, mut rest) = (Vec::new(), closed.clone());
        for (name, quantity) in &deal.choice {
            let wanted = if how == Choosing::Strictly {
                quantity
            } else {
                &quantity.clone().min(rest.clone())
            };
            let (lots, missing) = self.take_named(name, wanted);
            if how == Choosing::Strictly && !is_crumb(&missing) {
                return None;
            }
            rest -= wanted - missing;
            taken.extend(lots);
        }
        if how == Choosing::Strictly && !is_crumb(&rest) {
            return None;
        }
        if rest > zero() {
            taken.extend(self.take(terms.method, &rest));
        }
        Some(taken)
    }

    fn merge(&mut self) {
        let birth = Birth::unnamed(0);
        let all = Lot { birth, quantity: size(&self.quantity()), cost: self.cost(), price: zero() };
        self.lots = if is_zero(&all.quantity) { Vec::new() } else { vec![all] };
    }

    /// Books a deal; none when it names other lots than those it closes.
    pub(crate) fn deal(
        &mut self,
        terms: &Terms,
        birth: &Birth,
        deal: &Deal,
        how: Choosing,
    ) -> Option<()> {
        let inverse = terms.contract == Contract::Inverse;
        let value = |quantity: &Fraction| match &deal.cost {
            Some(cost) => cost * quantity / &deal.quantity,
            None => terms.value(quantity, &deal.price),
        };
        let paid = value(&deal.quantity);
        self.flow += if deal.buy == inverse { paid } else { -paid };
        let held = size(&self.quantity());
        let is_opposite = !is_zero(&held) && self.long != deal.buy;
        let closed = if is_opposite { deal.quantity.clone().min(held) } else { zero() };
        let opened = &deal.quantity - &closed;
        if is_opposite {
            let taken = self.take_for(terms, deal, &closed, how)?;
            let cost: Fraction = taken.into_iter().map(|lot| lot.cost).sum();
            let gain = value(&closed) - cost;
            self.realized += if self.long == inverse { -gain } else { gain };
        } else if how == Choosing::Strictly {
            let named: Fraction = deal.choice.iter().map(|(_, quantity)| quantity).sum();
            if !is_crumb(&named) {
                return None;
            }
        }
        if !is_zero(&opened) {
            self.long = deal.buy;
            let (quantity, cost) = (opened.clone(), value(&opened));
            let price = Self::rank(terms, deal, &opened, &cost);
            self.lots.push(Lot { birth: birth.clone(), quantity, cost, price });
        }
        self.pay(terms, birth, (deal.paid, &deal.fee), !is_zero(&opened));
        Some(())
    }

    /// The price that ranks a lot: what it really cost per unit where that was stated, or a fee in kind changed it.
    fn rank(terms: &Terms, deal: &Deal, opened: &Fraction, cost: &Fraction) -> Fraction {
        let in_kind = terms.contract == Contract::Spot && deal.paid == Paid::Base;
        if deal.cost.is_none() && (!in_kind || is_zero(&deal.fee)) {
            return deal.price.clone();
        }
        // The fee in kind of a buy is not held, that of a sale is owed on top.
        let fee = if in_kind { deal.fee.clone() } else { zero() };
        let net = if deal.buy { opened - fee } else { opened + fee };
        let net = if net > zero() { &net } else { opened };
        terms.price(net, cost).unwrap_or_else(|| deal.price.clone())
    }

    /// A fee of a trade, or one that comes alone.
    pub(crate) fn pay(
        &mut self,
        terms: &Terms,
        birth: &Birth,
        (paid, fee): (Paid, &Fraction),
        opened: bool,
    ) {
        *self.fees.entry(paid).or_insert_with(zero) += fee;
        if terms.contract == Contract::Spot && paid == Paid::Base {
            self.shrink(terms, birth, opened, fee);
        }
    }

    /// A fee in kind: the quantity falls, its cost stays; what has nothing left to bear it is lost.
    fn shrink(&mut self, terms: &Terms, birth: &Birth, opened: bool, fee: &Fraction) {
        let held = self.quantity();
        let left = &held - fee;
        if is_zero(fee) {
            return;
        }
        let is_over = is_zero(&held) || is_zero(&left) || (held < zero()) != (left < zero());
        if is_over {
            // What was paid for a long is lost, what a short brought is kept.
            self.realized -= if held < zero() { -self.cost() } else { self.cost() };
            self.lots.clear();
            self.long = left >= zero();
            if !is_zero(&left) {
                let (birth, quantity) = (birth.clone(), size(&left));
                self.lots.push(Lot { birth, quantity, cost: zero(), price: zero() });
            }
            return;
        }
        if terms.method == Method::Average {
            self.merge();
        }
        if (held < zero()) == (*fee > zero()) {
            let place = if opened { self.youngest() } else { self.next(terms.method) };
            self.lots[place].quantity += size(fee);
            return;
        }
        let (mut rest, mut orphaned) = (size(fee), zero());
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
        (0..self.lots.len()).max_by_key(|place| self.lots[*place].birth.age).unwrap()
    }

    pub(crate) fn carry(&mut self, terms: &Terms, out: bool, cost: &Fraction) {
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
            Event::Deal(deal) => {
                position.deal(terms, &Birth::unnamed(age), deal, Choosing::No).unwrap();
            }
            Event::Split(new, old) => {
                let ratio = Fraction::new((*new).into(), (*old).into());
                position.lots.iter_mut().for_each(|lot| lot.scale(&ratio));
            }
            Event::Dividend(per_unit) => position.income += position.quantity() * per_unit,
            Event::Settle(price) => {
                let quantity = position.quantity();
                if !is_zero(&quantity) {
                    let (fee, paid) = (zero(), Paid::Settlement);
                    let (buy, quantity) = (quantity < zero(), size(&quantity));
                    let (price, cost, choice) = (price.clone(), None, Vec::new());
                    let deal = Deal { buy, quantity, price, fee, paid, cost, choice };
                    position.deal(terms, &Birth::unnamed(age), &deal, Choosing::No).unwrap();
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
