//! Random histories of every kind of contract and method, against the model in exact fractions.

use backstop_position_ledger::action::{
    Act, Action, Move, Payment, Purpose, Reach, Reference, Split,
};
use backstop_position_ledger::error::AppendError;
use backstop_position_ledger::fill::{Correction, Fill, Side, TradeId, Void};
use backstop_position_ledger::order::Portfolio;
use backstop_position_ledger::rules::{Contract, Method, Sequencing};
use backstop_position_ledger::{
    Account, Amount, Books, Entry, Fact, Instrument, Instruments, Outcome,
};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::kit::{Desk, amount, currency, instrument_id};
use crate::model::{self, Deal, Event, Paid, Terms, exact, is_near};

/// What may happen next; numbers are taken modulo what is there.
#[derive(Clone, Debug)]
enum Wish {
    Fill { account: usize, buy: bool, thousandths: i64, cents: i64, fee: i64, paid: Paid },
    Void { pick: usize, whole: bool },
    Correct { pick: usize, cents: i64 },
    Split { account: usize, double: bool },
    Dividend { account: usize, cents: i64 },
    Settle { account: usize, cents: i64 },
    Move { account: usize, part: i64 },
    Funding { account: usize, cents: i64 },
}

fn paid() -> impl Strategy<Value = Paid> {
    prop_oneof![Just(Paid::Settlement), Just(Paid::Base), Just(Paid::Third)]
}

fn wish() -> impl Strategy<Value = Wish> {
    let account = 0..2_usize;
    let fill = (account.clone(), any::<bool>(), 1..9_000_i64, 1..30_000_i64, 0..20_i64, paid());
    let fill = fill.prop_map(|(account, buy, thousandths, cents, fee, paid)| Wish::Fill {
        account,
        buy,
        thousandths,
        cents,
        fee,
        paid,
    });
    let void = (any::<usize>(), any::<bool>());
    prop_oneof![
        12 => fill,
        2 => void.prop_map(|(pick, whole)| Wish::Void { pick, whole }),
        1 => (any::<usize>(), 1..30_000_i64).prop_map(|(pick, cents)| Wish::Correct { pick, cents }),
        1 => (account.clone(), any::<bool>()).prop_map(|(account, double)| Wish::Split { account, double }),
        1 => (account.clone(), -50..50_i64).prop_map(|(account, cents)| Wish::Dividend { account, cents }),
        1 => (account.clone(), 1..30_000_i64).prop_map(|(account, cents)| Wish::Settle { account, cents }),
        2 => (account.clone(), 1..4_i64).prop_map(|(account, part)| Wish::Move { account, part }),
        1 => (account, -500..500_i64).prop_map(|(account, cents)| Wish::Funding { account, cents }),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    let contract = prop_oneof![
        Just(Contract::Linear),
        Just(Contract::Spot),
        Just(Contract::Inverse),
        Just(Contract::Quanto)
    ];
    let method = prop_oneof![
        Just(Method::Average),
        Just(Method::Fifo),
        Just(Method::Lifo),
        Just(Method::Hifo)
    ];
    (contract, method, 1..60_i64).prop_map(|(contract, method, multiplier)| {
        let multiplier = if contract == Contract::Spot { 1 } else { multiplier };
        Terms { contract, method, multiplier }
    })
}

fn hundredths(value: i64) -> Amount {
    Amount::from_int(value).mul_div(Amount::ONE, Amount::from_int(100)).unwrap()
}

fn thousandths(value: i64) -> Amount {
    Amount::from_int(value).mul_div(Amount::ONE, Amount::from_int(1_000)).unwrap()
}

fn instrument(terms: &Terms) -> Instrument {
    let contract =
        Instrument::new(instrument_id("X"), currency("USD"), amount("0.01"), amount("0.001"));
    let contract = contract.unwrap().with_method(terms.method);
    let base = currency("BTC");
    let contract = match terms.contract {
        Contract::Spot => contract.spot(base),
        Contract::Inverse => contract.inverse(base),
        Contract::Quanto => contract.with_base(base).and_then(|own| own.quanto(currency("EUR"))),
        Contract::Linear => contract.with_base(base),
    };
    contract.unwrap().with_multiplier(Amount::from_int(terms.multiplier)).unwrap()
}

fn books(instrument: Instrument) -> Books {
    Books::new(Instruments::new([instrument]).unwrap().with_currency(currency("BNB")))
}

fn account(number: usize) -> Account {
    Account::new(["A", "B"][number]).unwrap()
}

/// A fill of a history, with its place there and what is void of it.
#[derive(Debug)]
struct Known {
    account: usize,
    place: usize,
    trade_id: TradeId,
    quantity: i64,
    voided: i64,
    fee: Amount,
}

/// Books and the model side by side.
struct Pair {
    terms: Terms,
    instrument: Instrument,
    books: Books,
    desk: Desk,
    entries: Vec<Entry>,
    fills: Vec<Known>,
    events: Vec<(usize, Event)>,
}

impl Pair {
    fn new(terms: Terms) -> Self {
        let instrument = instrument(&terms);
        Self {
            terms,
            books: books(instrument.clone()),
            instrument,
            desk: Desk::default(),
            entries: Vec::new(),
            fills: Vec::new(),
            events: Vec::new(),
        }
    }

    fn paid(&self, paid: Paid) -> backstop_position_ledger::Currency {
        match paid {
            Paid::Settlement => self.instrument.settlement().clone(),
            Paid::Base => currency("BTC"),
            Paid::Third => currency("BNB"),
        }
    }

    /// Books a fact, if the books take it; a refusal has to leave no trace.
    fn book(&mut self, number: usize, fact: Fact) -> bool {
        let mut entry = self.desk.entry(fact);
        entry.account = account(number);
        entry.portfolio = Some(Portfolio::new("all").unwrap());
        let before = self.books.clone();
        match self.books.book(&entry) {
            Ok(Outcome::Applied { .. }) => {
                self.entries.push(entry);
                true
            }
            Ok(other) => panic!("{other:?}"),
            Err(
                AppendError::InsufficientQuantity { .. }
                | AppendError::Invalid(_)
                | AppendError::DuplicateVoid { .. }
                | AppendError::VoidedTrade(_),
            ) => {
                assert_eq!(self.books, before, "a refusal leaves no trace");
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn quantity(&self, number: usize) -> Amount {
        let held = self.books.net_quantity(&account(number), self.instrument.id());
        held.unwrap().unwrap_or_default()
    }

    fn action(&mut self, number: usize, act: Act) -> bool {
        let id = Reference::new(&format!("a{}", self.entries.len())).unwrap();
        let instrument = self.instrument.id().clone();
        let reach = Reach::Account;
        self.book(number, Fact::Acted(Action { id, instrument, leg: None, reach, act }))
    }

    fn fill(&mut self, number: usize, what: (bool, i64, i64), (fee, paid): (i64, Paid)) {
        let (buy, lots, cents) = what;
        let side = if buy { Side::Buy } else { Side::Sell };
        let trade_id = TradeId::new(&format!("t{}", self.fills.len())).unwrap();
        let (quantity, price, fee) = (thousandths(lots), hundredths(cents), thousandths(fee));
        let id = self.instrument.id().clone();
        let fill = Fill::new(trade_id.clone(), Uuid::nil(), id, (side, quantity, price))
            .with_fee(fee, self.paid(paid));
        assert!(self.book(number, Fact::Filled(fill)), "a fill is a fact");
        let (place, voided) = (self.events.len(), 0);
        self.fills.push(Known { account: number, place, trade_id, quantity: lots, voided, fee });
        let (quantity, price, fee) = (exact(quantity), exact(price), exact(fee));
        let (cost, choice) = (None, Vec::new());
        let deal = Deal { buy, quantity, price, fee, paid, cost, choice };
        self.events.push((number, Event::Deal(Box::new(deal))));
    }

    fn void(&mut self, pick: usize, whole: bool) {
        if self.fills.is_empty() {
            return;
        }
        let place = pick % self.fills.len();
        let known = &self.fills[place];
        let voided = if whole { known.quantity } else { known.voided.midpoint(known.quantity) };
        if voided == 0 {
            return;
        }
        let (number, trade_id) = (known.account, known.trade_id.clone());
        let (quantity, fee, at) = (known.quantity, known.fee, known.place);
        let instrument = self.instrument.id().clone();
        let void = Void { instrument, trade_id, quantity: Some(thousandths(voided)) };
        if self.book(number, Fact::FillVoided(void)) {
            self.fills[place].voided = voided;
            let left = model::Fraction::new((quantity - voided).into(), quantity.into());
            let Event::Deal(deal) = &mut self.events[at].1 else { panic!("a fill") };
            deal.quantity = exact(thousandths(quantity - voided));
            deal.fee = model::rounded(&(exact(fee) * left));
        }
    }

    fn correct(&mut self, pick: usize, cents: i64) {
        if self.fills.is_empty() {
            return;
        }
        let known = &self.fills[pick % self.fills.len()];
        let (number, place, trade_id) = (known.account, known.place, known.trade_id.clone());
        let (instrument, price) = (self.instrument.id().clone(), hundredths(cents));
        let correction = Correction::new(instrument, trade_id, price);
        if self.book(number, Fact::FillCorrected(correction)) {
            let Event::Deal(deal) = &mut self.events[place].1 else { panic!("a fill") };
            deal.price = exact(price);
        }
    }

    fn grant(&mut self, wish: &Wish) {
        match *wish {
            Wish::Fill { account, buy, thousandths, cents, fee, paid } => {
                self.fill(account, (buy, thousandths, cents), (fee, paid));
            }
            Wish::Void { pick, whole } => self.void(pick, whole),
            Wish::Correct { pick, cents } => self.correct(pick, cents),
            Wish::Split { account, double } => {
                let (new, old) = if double { (2, 1) } else { (1, 2) };
                let (new_units, old_units) = (Amount::from_int(new), Amount::from_int(old));
                let split = Split { new: new_units, old: old_units, in_lieu: None };
                if self.action(account, Act::Split(split)) {
                    self.events.push((account, Event::Split(new, old)));
                }
            }
            Wish::Dividend { account, cents } => {
                let per_unit = hundredths(cents);
                if self.action(account, Act::Dividend { per_unit }) {
                    self.events.push((account, Event::Dividend(exact(per_unit))));
                }
            }
            Wish::Settle { account, cents } => {
                let price = hundredths(cents);
                if self.action(account, Act::Settlement { price }) {
                    self.events.push((account, Event::Settle(exact(price))));
                }
            }
            Wish::Move { account: from, part } => {
                let held = self.quantity(from).abs();
                // In coarse parts, so that quantities stay exact.
                let places = if part == 1 { 18 } else { 3 };
                let part = held.mul_div_at(Amount::ONE, Amount::from_int(part), places).unwrap();
                let id = Reference::new(&format!("m{}", self.entries.len())).unwrap();
                let (instrument, to) = (self.instrument.id().clone(), account(1 - from));
                let moved = Move { id, instrument, leg: None, quantity: part, to };
                if self.book(from, Fact::Moved(moved)) {
                    self.events.push((from, Event::Move(exact(part))));
                }
            }
            Wish::Funding { account, cents } => {
                let payment = Payment {
                    id: Reference::new(&format!("f{}", self.entries.len())).unwrap(),
                    purpose: Purpose::Funding,
                    instrument: Some(self.instrument.id().clone()),
                    leg: None,
                    currency: self.instrument.settlement().clone(),
                    amount: hundredths(cents),
                };
                assert!(self.book(account, Fact::Paid(payment)));
            }
        }
    }

    /// Every figure of both accounts is that of the model, but for what each entry may round.
    fn compare(&self) {
        // An entry rounds the value and the cost of what it closes, per lot, by half a unit; quantities are exact here,
        // but for what a split makes of a fee in kind that a bust has cut: that counts at a price of up to 300.
        let price = if self.terms.contract == Contract::Spot { 300 } else { 1 };
        let slack = 4 * price * (self.entries.len() + 1);
        let models = model::replay(&self.terms, &self.events);
        for (number, model) in models.iter().enumerate() {
            let id = self.instrument.id();
            let Some(position) = self.books.position(&account(number), id) else {
                assert_eq!(model.quantity(), model::zero());
                continue;
            };
            let near = |what: &str, model: &model::Fraction, found: Amount| {
                assert!(is_near(model, found, slack), "{what} of {number}: {model} is not {found}");
            };
            near("quantity", &model.quantity(), position.quantity());
            near("cost", &model.cost(), position.open_cost());
            near("realized", &model.realized, position.realized_gross());
            near("flow", &model.flow, position.cash_flow());
            near("income", &model.income, position.income());
            for paid in model.fees.keys() {
                let currency = self.paid(*paid);
                // Of an inverse contract the base currency is that of settlement.
                let same = model.fees.iter().filter(|(paid, _)| self.paid(**paid) == currency);
                let fee: model::Fraction = same.map(|(_, fee)| fee).sum();
                let paid = position.fees().into_iter().find(|(held, _)| **held == currency);
                near("fee", &fee, paid.map_or(Amount::ZERO, |(_, paid)| paid));
            }
        }
        self.books.check_conservation().unwrap();
    }
}

proptest! {
    #[test]
    fn every_figure_is_that_of_exact_fractions(terms in terms(), wishes in vec(wish(), 1..30)) {
        let mut pair = Pair::new(terms);
        for wish in &wishes {
            pair.grant(wish);
            pair.compare();
        }
        // Whatever was booked, again, is known; and the same entries in a second book are the same book.
        let mut again = books(pair.instrument.clone());
        for entry in &pair.entries {
            prop_assert_eq!(pair.books.book(entry).unwrap(), Outcome::Duplicate);
            let outcome = again.book(entry).unwrap();
            prop_assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
            prop_assert_eq!(again.book(entry).unwrap(), Outcome::Duplicate);
        }
        prop_assert_eq!(&again, &pair.books);
    }

    /// A test of its own, so that the histories that once failed stay what they were.
    #[test]
    fn rebates_are_fees_the_other_way(terms in terms(), wishes in vec(wish(), 1..30)) {
        let mut pair = Pair::new(terms);
        for mut wish in wishes {
            if let Wish::Fill { fee, cents, .. } = &mut wish && *cents % 2 == 0 {
                *fee = -*fee;
            }
            pair.grant(&wish);
            pair.compare();
        }
    }

    #[test]
    fn the_order_of_accounts_does_not_matter(terms in terms(), wishes in vec(wish(), 1..30)) {
        let mut pair = Pair::new(terms);
        let alone = |wish: &&Wish| !matches!(wish, Wish::Move { .. });
        wishes.iter().filter(alone).for_each(|wish| pair.grant(wish));
        let mut sorted = pair.entries.clone();
        sorted.sort_by(|one, other| other.account.cmp(&one.account));
        let mut other = books(pair.instrument.clone());
        for entry in &sorted {
            let outcome = other.book(entry).unwrap();
            prop_assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        }
        for number in 0..2 {
            let figures = |books: &Books| {
                let position = books.position(&account(number), pair.instrument.id())?;
                let lots: Vec<_> =
                    position.lots().into_iter().map(|lot| (lot.trade_id, lot.quantity, lot.cost)).collect();
                let sums = (position.quantity(), position.open_cost(), position.realized_gross());
                let fees: Vec<_> =
                    position.fees().into_iter().map(|(currency, fee)| (currency.clone(), fee)).collect();
                Some((sums, position.cash_flow(), position.income(), lots, fees))
            };
            prop_assert_eq!(figures(&pair.books), figures(&other));
        }
        prop_assert_eq!(pair.books.balances(), other.balances());
    }

    #[test]
    fn by_event_time_the_order_of_arrival_does_not_matter(
        terms in terms(),
        fills in vec((any::<bool>(), 1..9_000_i64, 1..30_000_i64), 1..20),
        order in any::<prop::sample::Index>(),
    ) {
        let instrument = instrument(&terms).with_sequencing(Sequencing::EventTime);
        let mut desk = Desk::default();
        let entries: Vec<_> = fills.iter().enumerate().map(|(number, (buy, size, cents))| {
            let side = if *buy { Side::Buy } else { Side::Sell };
            let what = (side, thousandths(*size), hundredths(*cents));
            let trade_id = TradeId::of_number(number.try_into().unwrap());
            desk.entry(Fact::Filled(Fill::new(trade_id, Uuid::nil(), instrument.id().clone(), what)))
        }).collect();
        let (mut in_order, mut late) = (books(instrument.clone()), books(instrument.clone()));
        let figures = |books: &Books| {
            let position = books.positions()[0];
            let sums = (position.quantity(), position.open_cost(), position.realized_gross());
            let cycles = books.closed_cycles(position.account(), instrument.id(), None).unwrap();
            (sums, position.cash_flow(), cycles, books.balances().len())
        };
        for entry in &entries {
            prop_assert!(in_order.book(entry).is_ok());
        }
        let mut shuffled = entries.clone();
        shuffled.rotate_left(order.index(entries.len()));
        for entry in &shuffled {
            prop_assert!(late.book(entry).is_ok());
        }
        prop_assert_eq!(figures(&in_order), figures(&late));
        let arrived = late.in_order(&crate::kit::account(), instrument.id(), None, Sequencing::Arrival);
        prop_assert_eq!(arrived.unwrap().unwrap().quantity, in_order.positions()[0].quantity());
        late.check_conservation().unwrap();
    }
}
