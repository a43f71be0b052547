//! The ledger against the model: every figure, but for what each entry may round.

use std::collections::BTreeMap;

use backstop_position_ledger::position::Position;
use backstop_position_ledger::rules::{Contract, Method};
use backstop_position_ledger::{Amount, Currency};

use super::model::{Held, Key, World};
use super::{Pair, number_of};
use crate::kit::currency;
use crate::model::{Fraction, Paid, exact, is_near, is_zero, zero};

impl Pair {
    /// How many units of 1e-18 a figure may be off.
    ///
    /// An entry rounds the value, the cost of what it closes lot by lot, and the cost that is left of a bust, by half a unit;
    /// a share also its part of what is paid for fractions, and a fee in kind that a bust has cut: these are quantities, and
    /// count at a price of up to 300, times the multiplier.
    fn slack(&self) -> usize {
        let multiplier = usize::try_from(self.rules.terms.multiplier).unwrap();
        8 * 300 * multiplier * (self.entries.len() + 1)
    }

    pub(crate) fn compare(&self) {
        for (key, held) in &self.world.0 {
            self.compare_one(*key, held);
        }
        self.check_others();
        self.compare_money(&self.world);
        self.ledger.books().check_conservation().unwrap();
    }

    /// What the model does not know holds and has earned nothing.
    ///
    /// There may be such: a delivery of nothing ties a position to one that may come before it.
    fn check_others(&self) {
        let names = |of: &Position<'_>| {
            let (account, leg) = (of.account().clone(), of.leg().cloned());
            (account, of.instrument().id().clone(), leg, of.strategy().cloned())
        };
        let keys = self.world.0.keys().chain(self.funding.keys());
        let known: Vec<_> = keys.map(|key| names(&self.position(*key).unwrap())).collect();
        let books = self.ledger.books();
        let all = books.positions().into_iter().chain(books.shares());
        for other in all.filter(|of| !known.contains(&names(of))) {
            let held = [other.quantity(), other.open_cost(), other.realized_gross()];
            let flows = [other.cash_flow(), other.income(), other.cash_in_lieu(), other.funding()];
            let paid = other.fees().into_iter().map(|(_, paid)| paid);
            let is_nothing = held.into_iter().chain(flows).chain(paid).all(Amount::is_zero);
            assert!(is_nothing, "{:?} is not known", names(&other));
        }
    }

    fn compare_one(&self, key: Key, held: &Held) {
        let Some(found) = self.position(key) else { panic!("no position {key:?}") };
        let (slack, model) = (self.slack(), &held.position);
        let near = |what: &str, model: &Fraction, found: Amount| {
            assert!(is_near(model, found, slack), "{what} of {key:?}: {model} is not {found}");
        };
        near("quantity", &model.quantity(), found.quantity());
        near("cost", &model.cost(), found.open_cost());
        near("realized", &model.realized, found.realized_gross());
        near("flow", &model.flow, found.cash_flow());
        near("income", &model.income, found.income());
        near("in lieu", &held.in_lieu, found.cash_in_lieu());
        near("funding", self.funding.get(&key).unwrap_or(&zero()), found.funding());
        let mut fees: BTreeMap<Currency, Fraction> = BTreeMap::new();
        for (paid, fee) in &model.fees {
            *fees.entry(self.currency(key, *paid)).or_insert_with(zero) += fee;
        }
        for (currency, fee) in &fees {
            let paid = found.fees().into_iter().find(|(held, _)| *held == currency);
            near("fee", fee, paid.map_or(Amount::ZERO, |(_, paid)| paid));
        }
        for (currency, paid) in found.fees() {
            assert!(fees.contains_key(currency) || paid.is_zero(), "{paid} {currency} of {key:?}");
        }
        if self.rules.terms.method != Method::Average {
            self.compare_lots(key, held);
        }
        self.check_law_of_cash(key);
        if key.desk.is_none() {
            self.check_history(key);
        }
    }

    /// Lot by lot, but for crumbs of what was rounded.
    fn compare_lots(&self, key: Key, held: &Held) {
        let crumb = exact("0.000000000001".parse().unwrap());
        let mut model: Vec<_> =
            held.position.lots.iter().filter(|lot| lot.quantity > crumb).collect();
        // Lots of one entry, such as those of several legs, have no order among themselves.
        model.sort_by(|one, other| {
            (one.birth.age, &one.quantity).cmp(&(other.birth.age, &other.quantity))
        });
        let found = self.position(key).unwrap().lots();
        let mut found: Vec<_> =
            found.into_iter().filter(|lot| exact(lot.quantity) > crumb).collect();
        for same in found.chunk_by_mut(|one, other| one.sequence == other.sequence) {
            same.sort_by_key(|lot| lot.quantity);
        }
        assert_eq!(model.len(), found.len(), "lots of {key:?}: {model:?} are not {found:?}");
        for (model, found) in model.into_iter().zip(found) {
            let same = is_near(&model.quantity, found.quantity, self.slack())
                && is_near(&model.cost, found.cost, self.slack());
            let trade = found.trade_id.as_ref().map(ToString::to_string);
            assert!(same && trade == model.birth.trade, "{key:?}: {model:?} is not {found:?}");
            assert_eq!(model.birth.entry, found.sequence, "{key:?}");
        }
    }

    /// `realized - sign(quantity) x open cost = net cash flow`, to the last unit; for inverse contracts with a plus.
    fn check_law_of_cash(&self, key: Key) {
        let found = self.position(key).unwrap();
        let inverse = found.instrument().is_inverse();
        let short = found.quantity().is_negative();
        let signed = if short == inverse { found.open_cost().negated() } else { found.open_cost() };
        let sum = found.realized_gross().checked_add(signed).unwrap();
        assert_eq!(sum, found.cash_flow(), "{key:?}");
        assert!(!found.quantity().is_zero() || found.open_cost().is_zero(), "{key:?}");
    }

    /// What is derived from the history alone is the position, to the last unit, and its steps add up to it.
    fn check_history(&self, key: Key) {
        let (books, found) = (self.ledger.books(), self.position(key).unwrap());
        let (of, id, leg) = (found.account(), found.instrument().id(), found.leg());
        let (mut quantity, mut cost, mut realized) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
        let steps = books.history(of, id, leg).unwrap();
        for step in &steps {
            quantity = quantity.checked_add(step.change).unwrap();
            realized = realized.checked_add(step.realized).unwrap();
            cost = step.open_cost;
            assert_eq!(step.quantity, quantity, "{key:?}");
        }
        let sums = (found.quantity(), found.open_cost(), found.realized_gross());
        assert_eq!((quantity, cost, realized), sums, "{key:?}");
        let cycles = books.closed_cycles(of, id, leg).unwrap();
        assert_eq!(cycles.len(), steps.iter().filter(|step| step.ended_cycle).count());
        let again = books.in_order(of, id, leg, found.instrument().sequencing()).unwrap().unwrap();
        assert_eq!((again.quantity, again.open_cost, again.realized_gross), sums, "{key:?}");
        assert_eq!(again.cash_flow, found.cash_flow(), "{key:?}");
    }

    /// Every balance is what came in and went out, in every currency.
    fn compare_money(&self, world: &World) {
        let mut totals = self.money.clone();
        for (key, held) in world.0.iter().filter(|(key, _)| key.desk.is_none()) {
            let instrument = self.instrument(key.product);
            let spot = instrument.contract() == Contract::Spot;
            let position = &held.position;
            let mut add = |currency: &Currency, amount: &Fraction| {
                *totals.entry((key.account, currency.clone())).or_insert_with(zero) += amount;
            };
            let settled =
                if spot { &position.flow - &held.carried } else { position.realized.clone() };
            add(instrument.settlement(), &(settled + &position.income));
            if spot {
                add(&currency("BTC"), &position.quantity());
            }
            // A fee in kind was taken out of the quantity.
            let in_money = position.fees.iter().filter(|(paid, _)| !(spot && **paid == Paid::Base));
            for (paid, fee) in in_money {
                add(&self.currency(*key, *paid), &-fee);
            }
        }
        let books = self.ledger.books();
        for (account, code, balance) in books.balances() {
            let model = totals.remove(&(number_of(account), code.clone())).unwrap_or_else(zero);
            let found = balance.total;
            assert!(
                is_near(&model, found, self.slack()),
                "{account} {code}: {model} is not {found}"
            );
        }
        assert!(totals.values().all(is_zero), "{totals:?} are missing");
    }
}
