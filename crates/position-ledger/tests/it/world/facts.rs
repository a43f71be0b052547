//! From a wish to the fact that the ledger is told, and the step that the model takes.

use backstop_position_ledger::action::{
    Act, Action, CashInLieu, LegId, Move, Opening, Payment, Purpose, Reach, Reference, Repair,
    Split,
};
use backstop_position_ledger::fill::{Fill, LotChoice, Side, TradeId};
use backstop_position_ledger::rules::{Contract, Method};
use backstop_position_ledger::{Account, Amount, Currency, Fact, InstrumentId, Text};
use uuid::Uuid;

use super::Pair;
use super::model::{self, Key, Product, Step};
use super::wish::{Kind, Trade, Wish};
use crate::kit::{currency, instrument_id};
use crate::model::{Deal, Fraction, Name, Paid, exact};

pub(crate) fn hundredths(value: i64) -> Amount {
    Amount::from_int(value).mul_div(Amount::ONE, Amount::from_int(100)).unwrap()
}

pub(crate) fn thousandths(value: i64) -> Amount {
    Amount::from_int(value).mul_div(Amount::ONE, Amount::from_int(1_000)).unwrap()
}

pub(crate) fn account(number: usize) -> Account {
    Account::new(["A", "B"][number]).unwrap()
}

pub(crate) fn leg(number: usize) -> LegId {
    LegId::new(["long", "short"][number]).unwrap()
}

pub(crate) fn product(product: Product) -> InstrumentId {
    instrument_id(if product == Product::Contract { "X" } else { "BTC/USD" })
}

/// New for old, and both as amounts: all keep quantities exact.
const RATIOS: [(i64, i64); 6] = [(2, 1), (1, 2), (3, 2), (1, 4), (5, 1), (1, 1)];

/// What a wish means.
#[derive(Debug)]
pub(crate) struct Meant {
    pub(crate) fact: Fact,
    pub(crate) step: Option<Step>,
    pub(crate) trade: Option<String>,
}

impl Meant {
    fn by(fact: Fact, step: Step) -> Self {
        Self { fact, step: Some(step), trade: None }
    }
}

impl Pair {
    pub(crate) fn reference(&self) -> Reference {
        Reference::new(&format!("r{}", self.ledger.version())).unwrap()
    }

    pub(crate) fn currency(&self, key: Key, paid: Paid) -> Currency {
        let settlement = self.instrument(key.product).settlement().clone();
        match paid {
            Paid::Settlement => settlement,
            Paid::Base => currency("BTC"),
            Paid::Third => currency("BNB"),
        }
    }

    /// The price that a contract of this kind can have.
    pub(crate) fn price(&self, cents: i64) -> Amount {
        let inverse = self.rules.terms.contract == Contract::Inverse;
        hundredths(if inverse { cents.abs() + 1 } else { cents })
    }

    /// What is told of a position by a wish that is neither a fill nor what the venue says of one.
    pub(crate) fn meant(&self, wish: &Wish, key: Key) -> Option<Meant> {
        Some(match wish.kind {
            Kind::Split { ratio, in_lieu, everyone } => {
                let (new, old) = RATIOS[ratio];
                let in_lieu = in_lieu.map(|cents| (thousandths(100), self.price(cents)));
                let cash = in_lieu.map(|(whole, price)| CashInLieu { whole, price });
                let (new_units, old_units) = (Amount::from_int(new), Amount::from_int(old));
                let split = Split { new: new_units, old: old_units, in_lieu: cash };
                let in_lieu = in_lieu.map(|(whole, price)| (exact(whole), exact(price)));
                let ratio = Fraction::new(new.into(), old.into());
                self.action(
                    wish,
                    (key, everyone),
                    Act::Split(split),
                    model::Act::Split(ratio, in_lieu),
                )
            }
            Kind::Dividend { cents, everyone } => {
                let per_unit = hundredths(cents);
                let act = model::Act::Dividend(exact(per_unit));
                self.action(wish, (key, everyone), Act::Dividend { per_unit }, act)
            }
            Kind::Settle { cents, everyone } => {
                let price = self.price(cents);
                let act = model::Act::Settle(exact(price));
                self.action(wish, (key, everyone), Act::Settlement { price }, act)
            }
            Kind::Deliver { cents, everyone } => {
                if self.rules.terms.contract != Contract::Linear {
                    return None;
                }
                let (price, into) = (self.price(cents), product(Product::Coin));
                let act = model::Act::Deliver(exact(price));
                self.action(wish, (key, everyone), Act::Delivery { price, into }, act)
            }
            Kind::Repair { thousandths: change, cents } => self.repair(key, change, cents)?,
            Kind::Open { thousandths: quantity, cents } => self.opening(key, quantity, cents)?,
            Kind::Fee { thousandths: fee, paid, .. } => self.fee(key, fee, paid)?,
            Kind::Move { part } => self.moved(key, part)?,
            _ => return None,
        })
    }

    fn action(
        &self,
        wish: &Wish,
        (key, everyone): (Key, bool),
        act: Act,
        step: model::Act,
    ) -> Meant {
        let reach = if everyone { Reach::Everyone } else { Reach::Account };
        let (id, instrument) = (self.reference(), product(Product::Contract));
        // Every other one is of all legs.
        let one = key.leg.filter(|_| wish.coin && key.product == Product::Contract);
        let action = Action { id, instrument, leg: one.map(leg), reach, act };
        let account = (!everyone).then_some(key.account);
        Meant::by(Fact::Acted(action), Step::Act(account, one, step))
    }

    fn repair(&self, key: Key, change: i64, cents: i64) -> Option<Meant> {
        let (change, price) = (thousandths(change), self.price(cents));
        let reason = Text::new("drift").unwrap();
        let (id, instrument) = (self.reference(), product(key.product));
        let repair = Repair { id, instrument, leg: key.leg.map(leg), change, price, reason };
        let step = Step::Repair(key, exact(change), exact(price));
        (!change.is_zero()).then(|| Meant::by(Fact::PositionAdjusted(repair), step))
    }

    pub(crate) fn opening(&self, key: Key, quantity: i64, cents: i64) -> Option<Meant> {
        let (quantity, cost) = (thousandths(quantity), hundredths(cents));
        let (id, instrument) = (self.reference(), product(key.product));
        let opening = Opening { id, instrument, leg: key.leg.map(leg), quantity, cost };
        let step = Step::Open(key, exact(quantity), exact(cost));
        (!quantity.is_zero()).then(|| Meant::by(Fact::PositionOpened(opening), step))
    }

    fn fee(&self, key: Key, fee: i64, paid: Paid) -> Option<Meant> {
        let amount = thousandths(fee);
        let purpose = if amount.is_positive() { Purpose::Fee } else { Purpose::Rebate };
        let payment = Payment {
            id: self.reference(),
            purpose,
            instrument: Some(product(key.product)),
            leg: key.leg.map(leg),
            currency: self.currency(key, paid),
            amount: amount.abs(),
        };
        let step = Step::Fee(key, paid, exact(amount));
        (!amount.is_zero()).then(|| Meant::by(Fact::Paid(payment), step))
    }

    fn moved(&self, key: Key, part: i64) -> Option<Meant> {
        let held = self.held(key).abs();
        // In coarse parts, so that quantities stay exact.
        let places = if part == 1 { 18 } else { 3 };
        let quantity = held.mul_div_at(Amount::ONE, Amount::from_int(part), places).unwrap();
        let (id, instrument, to) =
            (self.reference(), product(key.product), account(1 - key.account));
        let moved = Move { id, instrument, leg: key.leg.map(leg), quantity, to };
        let step = Step::Move(key, exact(quantity));
        (!quantity.is_zero()).then(|| Meant::by(Fact::Moved(moved), step))
    }

    /// A fill, with the lots it closes where it has to name them.
    pub(crate) fn fill(&self, key: Key, trade: &Trade, trade_id: &str) -> (Fill, Deal) {
        let side = if trade.buy { Side::Buy } else { Side::Sell };
        let (quantity, price) = (thousandths(trade.thousandths), self.price(trade.cents));
        let fee = thousandths(trade.fee);
        let id = TradeId::new(trade_id).unwrap();
        let mut fill = Fill::new(id, Uuid::nil(), product(key.product), (side, quantity, price));
        fill = fill.with_fee(fee, self.currency(key, trade.paid));
        fill.leg = key.leg.map(leg);
        fill.cost = trade.stated.map(|by| self.stated(key, (quantity, price), by));
        let choice = self.choice(key, trade, quantity);
        fill.lots = choice
            .iter()
            .map(|(name, quantity)| match name {
                Name::Trade(trade) => LotChoice::of_trade(TradeId::new(trade).unwrap(), *quantity),
                Name::Entry(entry) => LotChoice::of_entry(*entry, *quantity),
            })
            .collect();
        let deal = Deal {
            buy: trade.buy,
            quantity: exact(quantity),
            price: exact(price),
            fee: exact(fee),
            paid: trade.paid,
            cost: fill.cost.map(exact),
            choice: choice.into_iter().map(|(name, quantity)| (name, exact(quantity))).collect(),
        };
        (fill, deal)
    }

    /// The cost of a fill as its venue rounds it, which differs a little from what it should be.
    pub(crate) fn stated(&self, key: Key, (quantity, price): (Amount, Amount), by: i64) -> Amount {
        let value = self.instrument(key.product).value(quantity, price).unwrap();
        let value = value.mul_div_at(Amount::ONE, Amount::ONE, 6).unwrap();
        let units = i128::from(by) * 1_000_000_000_000;
        let stated = value.checked_add(Amount::from_units(units).unwrap()).unwrap();
        let inverse = self.rules.terms.contract == Contract::Inverse;
        if inverse && !stated.is_positive() { hundredths(1) } else { stated }
    }

    /// Open lots up to what a trade closes, from any of them on.
    fn choice(&self, key: Key, trade: &Trade, quantity: Amount) -> Vec<(Name, Amount)> {
        let held = self.held(key);
        let closes = if trade.buy { held.is_negative() } else { held.is_positive() };
        if self.rules.terms.method != Method::Specific || !closes {
            return Vec::new();
        }
        let mut lots = self.position(Key { desk: None, ..key }).unwrap().lots();
        let places = lots.len().max(1);
        lots.rotate_left(trade.first % places);
        let (mut left, mut chosen) = (quantity.min(held.abs()), Vec::new());
        for lot in lots {
            let part = lot.quantity.min(left);
            left = left.checked_sub(part).unwrap();
            let name = match &lot.trade_id {
                Some(trade_id) if !trade.by_entry => Name::Trade(trade_id.to_string()),
                _ => Name::Entry(lot.sequence),
            };
            if part.is_positive() {
                chosen.push((name, part));
            }
        }
        chosen
    }
}
