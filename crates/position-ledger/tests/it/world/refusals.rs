//! What is refused leaves every byte as it was: of the books, of their image, and of the journal.

use backstop_clock::Timestamp;
use backstop_position_ledger::action::{
    Act, Action, CashInLieu, LegId, Move, Opening, Payment, Purpose, Reach, Repair, Split, Subject,
};
use backstop_position_ledger::fill::{Correction, Fill, LotChoice, Side, TradeId, Void};
use backstop_position_ledger::order::{Event, Intent, Strategy as Desk};
use backstop_position_ledger::rules::Contract;
use backstop_position_ledger::{
    Amount, Currency, Durability, Fact, InstrumentId, Outcome, Text, pnl,
};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::facts::{account, leg, product};
use super::model::Product;
use super::wish::{Kind, Wish, rules, wish};
use super::{Pair, histories};
use crate::kit::{currency, instrument_id};

/// Amounts that nothing can be which has to be above zero.
const NOT_ABOVE_ZERO: [Amount; 2] = [Amount::ZERO, Amount::MIN];

fn reason() -> Text {
    Text::new("drift").unwrap()
}

fn usd() -> Currency {
    currency("USD")
}

fn unknown_currency() -> Currency {
    currency("ZZZ")
}

fn contract() -> InstrumentId {
    product(Product::Contract)
}

fn unknown() -> InstrumentId {
    instrument_id("NO-SUCH")
}

fn trade(id: &str) -> TradeId {
    TradeId::new(id).unwrap()
}

impl Pair {
    /// The leg that a fact has to name here.
    fn right_leg(&self) -> Option<LegId> {
        self.rules.hedged.then(|| leg(0))
    }

    /// None where one has to be named, and one where none is to be.
    fn wrong_leg(&self) -> Option<LegId> {
        (!self.rules.hedged).then(|| leg(0))
    }

    fn good_fill(&self) -> Fill {
        let what = (Side::Buy, Amount::ONE, Amount::ONE);
        Fill { leg: self.right_leg(), ..Fill::new(trade("new"), Uuid::nil(), contract(), what) }
    }

    fn wrong_fills(&self) -> Vec<Fact> {
        let good = || self.good_fill();
        let mut wrong = vec![
            Fill { instrument: unknown(), ..good() },
            Fill { fee_currency: Some(unknown_currency()), ..good() },
            Fill { leg: self.wrong_leg(), ..good() },
            Fill { lots: vec![LotChoice::of_entry(1, Amount::ZERO)], ..good() },
            Fill { lots: vec![LotChoice::of_entry(1, Amount::MAX)], ..good() },
        ];
        let inverse = self.rules.terms.contract == Contract::Inverse;
        if !inverse {
            wrong.push(Fill { quantity: Amount::MAX, price: Amount::MAX, ..good() });
        }
        for amount in NOT_ABOVE_ZERO {
            wrong.push(Fill { quantity: amount, ..good() });
            if inverse {
                wrong.push(Fill { price: amount, ..good() });
                wrong.push(Fill { cost: Some(amount), ..good() });
            }
        }
        let known = self.fills.iter().find(|known| known.key.product == Product::Contract);
        if let Some(known) = known.filter(|known| known.key.account == 0) {
            // The same trade, of another content.
            let (trade_id, leg) = (trade(&known.trade_id), known.key.leg.map(leg));
            wrong.push(Fill { trade_id, leg, price: Amount::from_int(777), ..good() });
        }
        wrong.into_iter().map(Fact::Filled).collect()
    }

    fn wrong_words_on_fills(&self) -> Vec<Fact> {
        let void = |instrument, trade_id, quantity| {
            Fact::FillVoided(Void { instrument, trade_id, quantity })
        };
        let mut wrong = vec![
            void(unknown(), trade("t"), None),
            void(contract(), trade("t"), Some(Amount::ZERO)),
            void(contract(), trade("t"), Some(Amount::MIN)),
            Fact::FillCorrected(Correction::new(unknown(), trade("t"), Amount::ONE)),
            Fact::FillCorrected(Correction::new(contract(), trade("no-such"), Amount::ONE)),
        ];
        for known in self.fills.iter().filter(|known| known.key.account == 0) {
            let (id, of) = (trade(&known.trade_id), product(known.key.product));
            wrong.push(void(of.clone(), id.clone(), Some(Amount::MAX)));
            if !known.is_whole() {
                // A duplicate, and one that is stale: busts are cumulative.
                wrong.push(void(of.clone(), id.clone(), Some(known.voided)));
                let less = known.voided.checked_sub(Amount::from_units(1).unwrap()).unwrap();
                wrong.push(void(of.clone(), id.clone(), Some(less)));
            }
            if known.voided == known.quantity {
                wrong.push(Fact::FillCorrected(Correction::new(of, id, Amount::ONE)));
            } else if self.rules.terms.contract == Contract::Inverse {
                wrong.push(Fact::FillCorrected(Correction::new(of, id, Amount::ZERO)));
            }
        }
        wrong
    }

    fn wrong_actions(&self) -> Vec<Fact> {
        let id = || self.reference();
        let action = |instrument, leg, act| {
            Fact::Acted(Action { id: id(), instrument, leg, reach: Reach::Account, act })
        };
        let split = |new, old, in_lieu| Act::Split(Split { new, old, in_lieu });
        let (one, price) = (Amount::ONE, Amount::ONE);
        let mut wrong = vec![
            action(unknown(), None, Act::Dividend { per_unit: one }),
            action(unknown(), None, Act::Settlement { price }),
            action(contract(), None, Act::Delivery { price, into: contract() }),
            action(contract(), None, Act::Delivery { price, into: unknown() }),
        ];
        if !self.rules.hedged {
            wrong.push(action(contract(), self.wrong_leg(), Act::Dividend { per_unit: one }));
        }
        for amount in NOT_ABOVE_ZERO {
            let cash = CashInLieu { whole: amount, price };
            wrong.extend([
                action(contract(), None, split(amount, one, None)),
                action(contract(), None, split(one, amount, None)),
                action(contract(), None, split(one, one, Some(cash))),
            ]);
            if self.rules.terms.contract == Contract::Inverse {
                wrong.push(action(contract(), None, Act::Settlement { price: amount }));
            }
        }
        wrong
    }

    fn wrong_repairs(&self) -> Vec<Fact> {
        let id = || self.reference();
        let repair = |instrument, leg, change| {
            let (id, reason) = (id(), reason());
            Fact::PositionAdjusted(Repair {
                id,
                instrument,
                leg,
                change,
                price: Amount::ONE,
                reason,
            })
        };
        let opening = |instrument, leg, quantity| {
            Fact::PositionOpened(Opening { id: id(), instrument, leg, quantity, cost: Amount::ONE })
        };
        let moved = |instrument, leg, quantity, to| {
            Fact::Moved(Move { id: id(), instrument, leg, quantity, to })
        };
        let (right, wrong) = (|| self.right_leg(), || self.wrong_leg());
        let mut all = vec![
            repair(unknown(), None, Amount::ONE),
            repair(contract(), wrong(), Amount::ONE),
            repair(contract(), right(), Amount::ZERO),
            opening(unknown(), None, Amount::ONE),
            opening(contract(), wrong(), Amount::ONE),
            opening(contract(), right(), Amount::ZERO),
            moved(unknown(), None, Amount::ONE, account(1)),
            moved(contract(), wrong(), Amount::ONE, account(1)),
            moved(contract(), right(), Amount::ONE, account(0)),
            moved(contract(), right(), Amount::MAX, account(1)),
        ];
        all.extend(NOT_ABOVE_ZERO.map(|quantity| moved(contract(), right(), quantity, account(1))));
        all
    }

    fn wrong_payments(&self) -> Vec<Fact> {
        let payment = |purpose, instrument: Option<InstrumentId>, leg, currency, amount| {
            Fact::Paid(Payment { id: self.reference(), purpose, instrument, leg, currency, amount })
        };
        let (one, right, wrong) = (Amount::ONE, || self.right_leg(), || self.wrong_leg());
        let mut all = vec![
            payment(Purpose::Funding, None, None, usd(), one),
            payment(Purpose::Funding, Some(unknown()), None, usd(), one),
            payment(Purpose::Funding, Some(contract()), right(), currency("BNB"), one),
            payment(Purpose::Funding, Some(contract()), wrong(), usd(), one),
            payment(Purpose::Interest, None, None, unknown_currency(), one),
            payment(Purpose::Interest, Some(unknown()), None, usd(), one),
            payment(Purpose::Interest, None, Some(leg(0)), usd(), one),
        ];
        for purpose in [Purpose::Fee, Purpose::Rebate] {
            all.push(payment(purpose, None, None, unknown_currency(), one));
            all.push(payment(purpose, Some(unknown()), None, usd(), one));
            all.push(payment(purpose, Some(contract()), wrong(), usd(), one));
            all.push(payment(purpose, None, Some(leg(0)), usd(), one));
            all.extend(NOT_ABOVE_ZERO.map(|amount| payment(purpose, None, None, usd(), amount)));
        }
        all
    }

    fn wrong_money(&self) -> Vec<Fact> {
        let (one, nobody) = (Amount::ONE, unknown_currency);
        let (zero, to) = (Amount::ZERO, account(0));
        let mut all = vec![
            Fact::Deposited { currency: nobody(), amount: one },
            Fact::Withdrawn { currency: nobody(), amount: one },
            Fact::BalanceOpened { currency: nobody(), amount: one },
            Fact::BalanceOpened { currency: usd(), amount: zero },
            Fact::MoneyMoved { currency: nobody(), amount: one, to: account(1) },
            Fact::MoneyMoved { currency: usd(), amount: one, to },
            Fact::Adjusted { currency: nobody(), amount: one, reason: reason() },
            Fact::Adjusted { currency: usd(), amount: zero, reason: reason() },
        ];
        for amount in NOT_ABOVE_ZERO {
            all.push(Fact::Deposited { currency: usd(), amount });
            all.push(Fact::Withdrawn { currency: usd(), amount });
            all.push(Fact::MoneyMoved { currency: usd(), amount, to: account(1) });
        }
        let (kind, checksum) = (pnl::Kind::Periodic, self.ledger.head());
        all.push(Fact::SnapshotTaken { kind, of_sequence: u64::MAX, checksum });
        all.push(Fact::Released { subject: Subject::Account, reason: reason() });
        let subject = Subject::Instrument(unknown());
        all.push(Fact::Isolated { subject, reason: reason() });
        all
    }

    fn wrong_orders(&self) -> Vec<Fact> {
        let half = Amount::ONE.mul_div(Amount::ONE, Amount::from_int(2_000)).unwrap();
        let good = || Intent {
            order_id: Uuid::from_u128(99),
            tag: Uuid::from_u128(7),
            instrument: contract(),
            side: Side::Buy,
            quantity: Amount::ONE,
            limit: Some(Amount::ONE),
            accept_by: Timestamp::from_millis(1_000_000_000),
            strategy: Desk::new("slow").unwrap(),
        };
        let mut all = vec![
            Intent { order_id: Uuid::nil(), ..good() },
            Intent { instrument: unknown(), ..good() },
            Intent { quantity: half, ..good() },
            Intent { limit: Some(half), ..good() },
            Intent { accept_by: Timestamp::from_millis(-1), ..good() },
        ];
        all.extend(NOT_ABOVE_ZERO.map(|quantity| Intent { quantity, ..good() }));
        if !self.orders.is_empty() {
            all.push(Intent {
                order_id: Uuid::from_u128(1),
                quantity: Amount::from_int(2),
                ..good()
            });
        }
        let mut all: Vec<_> = all.into_iter().map(Fact::intended).collect();
        all.push(Fact::order(Uuid::from_u128(98), Event::Cancelled));
        all
    }

    /// Facts with numbers so large that some figure may leave its range: booked exactly, or refused.
    fn extremes(&self) -> Vec<Fact> {
        let (good, id) = (|| self.good_fill(), || self.reference());
        let (instrument, leg) = (contract, || self.right_leg());
        let payment = |purpose, instrument, leg, currency| {
            Fact::Paid(Payment {
                id: id(),
                purpose,
                instrument,
                leg,
                currency,
                amount: Amount::MAX,
            })
        };
        let action = |act| {
            let (instrument, reach) = (contract(), Reach::Everyone);
            Fact::Acted(Action { id: id(), instrument, leg: None, reach, act })
        };
        let (new, old, max) = (Amount::MAX, Amount::from_units(1).unwrap(), Amount::MAX);
        let mut all = vec![
            Fact::Filled(Fill { quantity: max, ..good() }),
            Fact::Filled(Fill { side: Side::Sell, quantity: max, ..good() }),
            Fact::Filled(Fill { price: max, ..good() }),
            Fact::Filled(Fill { cost: Some(max), ..good() }),
            Fact::Filled(Fill { fee: max, fee_currency: Some(currency("BTC")), ..good() }),
            Fact::Filled(Fill { fee: Amount::MIN, ..good() }),
            Fact::PositionAdjusted(Repair {
                id: id(),
                instrument: instrument(),
                leg: leg(),
                change: Amount::MIN,
                price: Amount::ONE,
                reason: reason(),
            }),
            Fact::PositionOpened(Opening {
                id: id(),
                instrument: instrument(),
                leg: leg(),
                quantity: max,
                cost: max,
            }),
            action(Act::Split(Split { new, old, in_lieu: None })),
            action(Act::Split(Split { new: old, old: new, in_lieu: None })),
            action(Act::Dividend { per_unit: max }),
            action(Act::Settlement { price: max }),
            payment(
                Purpose::Funding,
                Some(contract()),
                leg(),
                self.instrument(Product::Contract).settlement().clone(),
            ),
            payment(Purpose::Fee, Some(contract()), leg(), currency("BTC")),
            payment(Purpose::Rebate, Some(contract()), leg(), currency("BTC")),
            payment(Purpose::Interest, None, None, usd()),
            Fact::Deposited { currency: usd(), amount: max },
            Fact::Withdrawn { currency: usd(), amount: max },
            Fact::BalanceOpened { currency: usd(), amount: Amount::MIN },
            Fact::MoneyMoved { currency: usd(), amount: max, to: account(1) },
            Fact::Adjusted { currency: usd(), amount: Amount::MIN, reason: reason() },
        ];
        if self.rules.terms.contract == Contract::Linear {
            all.push(action(Act::Delivery { price: max, into: product(Product::Coin) }));
        }
        for known in self.fills.iter().filter(|known| known.key.account == 0) {
            let (of, id) = (product(known.key.product), trade(&known.trade_id));
            all.push(Fact::FillCorrected(Correction::new(of, id, Amount::MAX)));
        }
        all
    }
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn what_is_refused_leaves_every_byte_as_it_was(rules in rules(), wishes in vec(wish(), 0..25)) {
        let mut pair = Pair::new(rules);
        for wish in &wishes {
            pair.grant(wish);
        }
        let teller = Wish { account: 0, leg: 0, desk: Some(0), coin: false, late: 0, kind: Kind::Snapshot };
        let before = (pair.ledger.books().clone(), pair.bytes());
        let mut wrong = pair.wrong_fills();
        wrong.extend(pair.wrong_words_on_fills());
        wrong.extend(pair.wrong_actions());
        wrong.extend(pair.wrong_repairs());
        wrong.extend(pair.wrong_payments());
        wrong.extend(pair.wrong_money());
        wrong.extend(pair.wrong_orders());
        for fact in wrong {
            let entry = pair.entry(&teller, fact);
            let told = pair.ledger.append(&entry, Durability::Durable);
            prop_assert!(matches!(told, Err(_) | Ok(Outcome::Conflict(_))), "{told:?} for {:?}", entry.fact);
            prop_assert!((pair.ledger.books().clone(), pair.bytes()) == before, "{:?} left a trace", entry.fact);
        }
        for fact in pair.extremes() {
            let entry = pair.entry(&teller, fact);
            let early = pair.entry(&teller, Fact::Deposited { currency: usd(), amount: Amount::ONE });
            let early = backstop_position_ledger::Entry { at: Timestamp::from_millis(-1), ..early };
            // Whether it is booked or not: the second entry of the group takes it back.
            let told = pair.ledger.append_all(&[entry.clone(), early], None, Durability::Durable);
            prop_assert!(told.is_err());
            prop_assert!((pair.ledger.books().clone(), pair.bytes()) == before, "{:?} left a trace", entry.fact);
        }
        // And the ledger goes on.
        pair.compare();
    }
}
