//! Random histories of every kind of entry, told to a ledger and to a model in exact fractions side by side.

pub(crate) mod facts;
mod check;
mod laws;
pub(crate) mod model;
mod refusals;
pub(crate) mod wish;

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_position_ledger::action::{Payment, Purpose, Subject};
use backstop_position_ledger::error::AppendError;
use backstop_position_ledger::fill::{Correction, TradeId, Void};
use backstop_position_ledger::journal::{Digest, Record};
use backstop_position_ledger::order::{
    Event as News, Intent, Portfolio, Resolution, Strategy, VenueOrderId,
};
use backstop_position_ledger::pnl;
use backstop_position_ledger::position::Position;
use backstop_position_ledger::rules::{Contract, Mode, Sequencing};
use backstop_position_ledger::{
    Account, Amount, Books, Currency, Durability, Entry, Fact, Instrument, Instruments, Ledger,
    MemoryJournal, Outcome, Text,
};
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use uuid::Uuid;

use crate::kit::{Desk, amount, currency, instrument_id};
use crate::model::{self as fractions, Fraction, Name, Paid, exact, zero};
use facts::{Meant, account, hundredths, leg, product, thousandths};
use model::{Event, Key, Product, Rules, Step, World};
use wish::{Kind, Wish};

/// Fewer cases than usual, because each is a whole history, and the same everywhere; who asks for more gets others.
///
/// About one history in 50,000 differs in which lot bears a fee in kind, where what is left to close is less than the
/// ledger's last decimal, and the model has no last decimal.
pub(crate) fn histories() -> ProptestConfig {
    let usual = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        let max_global_rejects = usual.cases.saturating_mul(4);
        return ProptestConfig { max_global_rejects, ..usual };
    }
    ProptestConfig { cases: 48, rng_seed: RngSeed::Fixed(1), ..usual }
}

/// A fill of a history: its place there, and what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    key: Key,
    place: usize,
    trade_id: String,
    quantity: Amount,
    voided: Amount,
    fee: Amount,
    cost: Option<Amount>,
    choice: Vec<(Name, Fraction)>,
}

/// A trade that is not known yet, and how much of it is void: none for all.
type Waiting = (String, Option<Amount>);

/// A ledger and the model side by side.
pub(crate) struct Pair {
    pub(crate) rules: Rules,
    pub(crate) ledger: Ledger,
    pub(crate) instruments: Instruments,
    desk: Desk,
    /// What was booked, in order.
    pub(crate) entries: Vec<Entry>,
    pub(crate) history: Vec<Event>,
    /// What the model makes of that.
    pub(crate) world: World,
    pub(crate) fills: Vec<Known>,
    /// A bust that waits for its fill, by account.
    waiting: [Option<Waiting>; 2],
    trades: usize,
    orders: Vec<Uuid>,
    /// Money that moved without a position, funding included.
    money: BTreeMap<(usize, Currency), Fraction>,
    funding: BTreeMap<Key, Fraction>,
}

/// The contract of a history, and the spot pair that a linear one delivers.
pub(crate) fn instruments(rules: &Rules) -> Instruments {
    let make = |name: &str| {
        let made =
            Instrument::new(instrument_id(name), currency("USD"), amount("0.01"), amount("0.001"));
        let sequencing = if rules.by_time { Sequencing::EventTime } else { Sequencing::Arrival };
        made.unwrap().with_method(rules.terms.method).with_sequencing(sequencing)
    };
    let base = currency("BTC");
    let contract = match rules.terms.contract {
        Contract::Spot => make("X").spot(base.clone()),
        Contract::Inverse => make("X").inverse(base.clone()),
        Contract::Quanto => {
            make("X").with_base(base.clone()).and_then(|own| own.quanto(currency("EUR")))
        }
        Contract::Linear => make("X").with_base(base.clone()),
    };
    let contract =
        contract.unwrap().with_multiplier(Amount::from_int(rules.terms.multiplier)).unwrap();
    let mode = if rules.hedged { Mode::Hedging } else { Mode::Netting };
    let mut all = vec![contract.with_mode(mode)];
    if rules.terms.contract == Contract::Linear {
        all.push(make("BTC/USD").spot(base.clone()).unwrap());
    }
    Instruments::new(all).unwrap().with_currency(currency("BNB")).with_currency(base)
}

impl Pair {
    pub(crate) fn new(rules: Rules) -> Self {
        let instruments = instruments(&rules);
        Self {
            rules,
            ledger: Ledger::open(Box::new(MemoryJournal::new()), instruments.clone()).unwrap(),
            instruments,
            desk: Desk::default(),
            entries: Vec::new(),
            history: Vec::new(),
            world: World::default(),
            fills: Vec::new(),
            waiting: [None, None],
            trades: 0,
            orders: Vec::new(),
            money: BTreeMap::new(),
            funding: BTreeMap::new(),
        }
    }

    pub(crate) fn instrument(&self, of: Product) -> &Instrument {
        self.instruments.find(&product(of)).unwrap()
    }

    pub(crate) fn position(&self, key: Key) -> Option<Position<'_>> {
        position(self.ledger.books(), key)
    }

    fn held(&self, key: Key) -> Amount {
        self.position(Key { desk: None, ..key })
            .map_or(Amount::ZERO, |position| position.quantity())
    }

    /// Everything that a refusal has to leave as it was.
    pub(crate) fn bytes(&mut self) -> (Vec<Record>, Vec<u8>, Digest) {
        self.ledger.keep_image().unwrap();
        let journal = self.ledger.journal();
        let image = journal.image().unwrap().unwrap();
        (journal.read(0, usize::MAX).unwrap(), image.body, self.ledger.head())
    }

    pub(crate) fn entry(&mut self, wish: &Wish, fact: Fact) -> Entry {
        let mut entry = self.desk.entry(fact);
        entry.account = account(wish.account);
        let at = (entry.at.as_millis() - 700 * wish.late).max(0);
        entry.at = Timestamp::from_millis(at);
        if let Some(desk) = wish.desk {
            entry = entry.with_strategy(Strategy::new(["slow", "fast"][desk]).unwrap());
            entry = entry.with_portfolio(Portfolio::new("all").unwrap());
        }
        entry
    }

    /// Tells the ledger something that moves no position.
    fn tell(&mut self, wish: &Wish, fact: Fact) -> Result<Outcome, AppendError> {
        let entry = self.entry(wish, fact);
        let told = self.ledger.append(&entry, Durability::Grouped);
        if told.is_ok() {
            self.entries.push(entry);
        }
        told
    }

    /// Tells the ledger what makes another history of it; both have to take it, or neither.
    fn happen(&mut self, wish: &Wish, fact: Fact, history: Vec<Event>) -> bool {
        let before = self.ledger.books().clone();
        match (self.tell(wish, fact), World::after(&self.rules, &history)) {
            (Ok(Outcome::Applied { .. } | Outcome::Voided { .. }), Some(world)) => {
                (self.history, self.world) = (history, world);
                true
            }
            (Err(refused), None) => {
                assert!(is_about_history(&refused), "{refused}");
                assert_eq!(*self.ledger.books(), before, "a refusal leaves no trace");
                false
            }
            (Ok(outcome), model) => panic!("{outcome:?}, and the model {model:?}"),
            (Err(refused), Some(_)) => panic!("{refused}, and the model takes it"),
        }
    }

    fn followed_by(&self, wish: &Wish, step: Step, trade: Option<String>) -> Vec<Event> {
        let mut history = self.history.clone();
        let at = (self.desk.now() + 1_000 - 700 * wish.late).max(0);
        history.push(Event { entry: self.ledger.version() + 1, at, trade, step });
        history
    }

    pub(crate) fn grant(&mut self, wish: &Wish) {
        let coin = wish.coin && self.rules.terms.contract == Contract::Linear;
        let product = if coin { Product::Coin } else { Product::Contract };
        let leg = (self.rules.hedged && !coin).then_some(wish.leg);
        let key = Key { account: wish.account, product, leg, desk: wish.desk };
        match &wish.kind {
            Kind::Fill(trade) => self.trade(wish, key, trade),
            Kind::Void { pick, eighths } => self.void(wish, *pick, *eighths),
            Kind::EarlyVoid { thousandths } => self.early_void(wish, *thousandths),
            Kind::Correct { pick, cents, stated } => self.correct(wish, *pick, (*cents, *stated)),
            Kind::Funding { cents } => self.fund(wish, key, *cents),
            Kind::Money { which, cents } => self.move_money(wish, *which, *cents),
            Kind::Fee { thousandths, alone: true, .. } => self.lone_fee(wish, *thousandths),
            Kind::Order { pick, news } => self.order(wish, *pick, *news),
            Kind::Isolate { instrument } => self.isolate(wish, *instrument),
            Kind::Snapshot => {
                let (kind, of_sequence) = (pnl::Kind::Periodic, self.ledger.version());
                let checksum = self.ledger.head();
                let taken = self.tell(wish, Fact::SnapshotTaken { kind, of_sequence, checksum });
                assert!(taken.is_ok(), "{taken:?}");
            }
            _ => {
                let Some(Meant { fact, step, trade }) = self.meant(wish, key) else { return };
                let history = self.followed_by(wish, step.unwrap(), trade);
                self.happen(wish, fact, history);
            }
        }
    }

    fn trade(&mut self, wish: &Wish, key: Key, trade: &wish::Trade) {
        let lots = thousandths(trade.thousandths);
        // A bust that waits for more than this waits for another fill.
        let waiting = if key.product == Product::Contract {
            self.waiting[wish.account].clone()
        } else {
            None
        };
        let waiting = waiting.filter(|(_, voided)| voided.is_none_or(|voided| voided <= lots));
        let (trade_id, voided) = match waiting {
            Some((trade_id, voided)) => (trade_id, voided.unwrap_or(lots)),
            None => (format!("t{}", self.trades), Amount::ZERO),
        };
        let (fill, mut deal) = self.fill(key, trade, &trade_id);
        let known = Known {
            key,
            place: self.history.len(),
            trade_id: trade_id.clone(),
            quantity: lots,
            voided: Amount::ZERO,
            fee: fill.fee,
            cost: fill.cost,
            choice: deal.choice.clone(),
        };
        known.void(&mut deal, voided);
        let history = self.followed_by(wish, Step::Deal(key, deal), Some(trade_id.clone()));
        if self.happen(wish, Fact::Filled(fill), history) {
            self.fills.push(Known { voided, ..known });
            self.trades += 1;
            let slot = &mut self.waiting[wish.account];
            if slot.as_ref().is_some_and(|(waiting, _)| *waiting == trade_id) {
                *slot = None;
            }
        }
    }

    fn void(&mut self, wish: &Wish, pick: usize, eighths: i64) {
        let Some(place) = pick.checked_rem(self.fills.len()) else { return };
        let known = self.fills[place].clone();
        let left = known.quantity.checked_sub(known.voided).unwrap();
        let more = left.mul_div_at(Amount::from_int(eighths), Amount::from_int(8), 3).unwrap();
        if more.is_zero() {
            return;
        }
        let voided = known.voided.checked_add(more).unwrap();
        let whole = voided == known.quantity && eighths == 8;
        let (instrument, trade_id) =
            (product(known.key.product), TradeId::new(&known.trade_id).unwrap());
        let void = Void { instrument, trade_id, quantity: (!whole).then_some(voided) };
        let history = self.amended(&known, |deal| known.void(deal, voided));
        let wish = Wish { account: known.key.account, ..wish.clone() };
        if self.happen(&wish, Fact::FillVoided(void), history) {
            self.fills[place].voided = voided;
        }
    }

    fn early_void(&mut self, wish: &Wish, voided: Option<i64>) {
        if self.waiting[wish.account].is_some() {
            return;
        }
        let (trade, voided) = (format!("t{}", self.trades), voided.map(thousandths));
        self.trades += 1;
        let (instrument, trade_id) = (product(Product::Contract), TradeId::new(&trade).unwrap());
        let told =
            self.tell(wish, Fact::FillVoided(Void { instrument, trade_id, quantity: voided }));
        assert!(matches!(told, Ok(Outcome::Recorded { .. })), "{told:?}");
        self.waiting[wish.account] = Some((trade, voided));
    }

    fn correct(&mut self, wish: &Wish, pick: usize, (cents, stated): (i64, bool)) {
        let Some(place) = pick.checked_rem(self.fills.len()) else { return };
        let known = self.fills[place].clone();
        if known.voided == known.quantity {
            return;
        }
        let price = self.price(cents);
        let cost = stated.then(|| self.stated(known.key, (known.quantity, price), cents));
        let (instrument, trade_id) =
            (product(known.key.product), TradeId::new(&known.trade_id).unwrap());
        let correction = Correction::new(instrument, trade_id, price);
        let fact = Fact::FillCorrected(Correction { cost, ..correction });
        let history = self.amended(&known, |deal| {
            deal.price = exact(price);
            let left = &deal.quantity / exact(known.quantity);
            deal.cost = cost.map(|cost| exact(cost) * left);
        });
        let wish = Wish { account: known.key.account, ..wish.clone() };
        if self.happen(&wish, fact, history) {
            self.fills[place].cost = cost;
        }
    }

    /// The history with one deal in it changed.
    fn amended(&self, known: &Known, change: impl FnOnce(&mut fractions::Deal)) -> Vec<Event> {
        let mut history = self.history.clone();
        let Step::Deal(_, deal) = &mut history[known.place].step else { panic!("not a fill") };
        change(deal);
        history
    }

    fn fund(&mut self, wish: &Wish, key: Key, cents: i64) {
        let amount = hundredths(cents);
        let settlement = self.instrument(key.product).settlement().clone();
        let payment = Payment {
            id: self.reference(),
            purpose: Purpose::Funding,
            instrument: Some(product(key.product)),
            leg: key.leg.map(leg),
            currency: settlement.clone(),
            amount,
        };
        assert!(self.tell(wish, Fact::Paid(payment)).is_ok());
        self.owe(key.account, &settlement, amount);
        *self.funding.entry(key).or_insert_with(zero) += exact(amount);
        if key.desk.is_some() {
            *self.funding.entry(Key { desk: None, ..key }).or_insert_with(zero) += exact(amount);
        }
    }

    fn owe(&mut self, account: usize, currency: &Currency, amount: Amount) {
        *self.money.entry((account, currency.clone())).or_insert_with(zero) += exact(amount);
    }

    fn lone_fee(&mut self, wish: &Wish, fee: i64) {
        let purpose = [Purpose::Fee, Purpose::Rebate, Purpose::Interest]
            [usize::from(fee < 0) + usize::from(fee % 3 == 0)];
        let (bnb, size) = (currency("BNB"), thousandths(fee.abs() + 1));
        let (id, currency, amount) = (self.reference(), bnb.clone(), size);
        let payment = Payment { id, purpose, instrument: None, leg: None, currency, amount };
        assert!(self.tell(wish, Fact::Paid(payment)).is_ok());
        self.owe(wish.account, &bnb, if purpose == Purpose::Fee { size.negated() } else { size });
    }

    fn move_money(&mut self, wish: &Wish, which: usize, cents: i64) {
        let (amount, usd) = (hundredths(cents), currency("USD"));
        let currency = usd.clone();
        let reason = Text::new("drift").unwrap();
        let to = account(1 - wish.account);
        let (fact, own) = match which {
            0 => (Fact::Deposited { currency, amount }, amount),
            1 => (Fact::Withdrawn { currency, amount }, amount.negated()),
            2 => (Fact::BalanceOpened { currency, amount: amount.negated() }, amount.negated()),
            3 => (Fact::MoneyMoved { currency, amount, to }, amount.negated()),
            _ => (Fact::Adjusted { currency, amount: amount.negated(), reason }, amount.negated()),
        };
        assert!(self.tell(wish, fact).is_ok());
        self.owe(wish.account, &usd, own);
        if which == 3 {
            self.owe(1 - wish.account, &usd, amount);
        }
    }

    /// An intent, or news of one; what cannot follow leaves no trace.
    fn order(&mut self, wish: &Wish, pick: usize, news: usize) {
        let Some(order_id) =
            pick.checked_rem(self.orders.len() + 1).and_then(|pick| self.orders.get(pick)).copied()
        else {
            let order_id = Uuid::from_u128(1 + self.orders.len() as u128);
            self.orders.push(order_id);
            let intent = Intent {
                order_id,
                tag: Uuid::from_u128(7),
                instrument: product(Product::Contract),
                side: backstop_position_ledger::fill::Side::Buy,
                quantity: Amount::ONE,
                limit: Some(Amount::ONE),
                accept_by: Timestamp::from_millis(1_000_000_000),
                strategy: Strategy::new("slow").unwrap(),
            };
            assert!(
                self.tell(&Wish { account: 0, ..wish.clone() }, Fact::intended(intent)).is_ok()
            );
            return;
        };
        let venue_order_id = VenueOrderId::new("v").unwrap();
        let event = match news {
            0 => News::Accepted { venue_order_id },
            1 => News::Rejected { reason: Text::new("margin").unwrap() },
            2 => News::Cancelled,
            3 => News::Expired,
            4 => News::OutcomeUnknown,
            5 => News::Resolved(Resolution::Accepted { venue_order_id }),
            _ => News::Resolved(Resolution::NotApplied),
        };
        let before = self.ledger.books().clone();
        let entry = self.entry(&Wish { account: 0, ..wish.clone() }, Fact::order(order_id, event));
        match self.ledger.append(&entry, Durability::Grouped) {
            Ok(Outcome::Applied { .. }) => self.entries.push(entry),
            Ok(Outcome::Duplicate) | Err(AppendError::Transition { .. }) => {
                assert_eq!(*self.ledger.books(), before);
            }
            other => panic!("{other:?}"),
        }
    }

    /// What is set apart takes nothing until it is released.
    fn isolate(&mut self, wish: &Wish, instrument: bool) {
        let subject = if instrument {
            Subject::Instrument(product(Product::Contract))
        } else {
            Subject::Account
        };
        let reason = Text::new("prices in cents").unwrap();
        assert!(
            self.tell(wish, Fact::Isolated { subject: subject.clone(), reason: reason.clone() })
                .is_ok()
        );
        let before = self.ledger.books().clone();
        for fact in self.facts_of_contract(wish) {
            let entry = self.entry(wish, fact);
            let refused = self.ledger.append(&entry, Durability::Grouped);
            assert!(matches!(refused, Err(AppendError::Isolated { .. })), "{refused:?}: {entry:?}");
            assert_eq!(*self.ledger.books(), before);
        }
        assert!(self.tell(wish, Fact::Released { subject, reason }).is_ok());
    }

    /// One of each kind that moves figures of the contract, as far as this history can have it.
    fn facts_of_contract(&self, wish: &Wish) -> Vec<Fact> {
        let leg = self.rules.hedged.then_some(0);
        let key = Key { account: wish.account, product: Product::Contract, leg, desk: None };
        let (cents, everyone, thousandths) = (100, false, 1_000);
        let kinds = [
            Kind::Split { ratio: 0, in_lieu: None, everyone },
            Kind::Dividend { cents, everyone },
            Kind::Settle { cents, everyone },
            Kind::Deliver { cents, everyone },
            Kind::Move { part: 1 },
            Kind::Repair { thousandths, cents },
            Kind::Open { thousandths, cents },
            Kind::Fee { thousandths, paid: Paid::Third, alone: false },
        ];
        let meant = kinds.into_iter().filter_map(|kind| {
            let wish = Wish { coin: false, kind, ..wish.clone() };
            self.meant(&wish, key).map(|meant| meant.fact)
        });
        let mut facts: Vec<Fact> = meant.collect();
        let (instrument, trade) = (product(Product::Contract), format!("t{}", self.trades));
        let trade_id = TradeId::new(&trade).unwrap();
        let void = Void { instrument: instrument.clone(), trade_id, quantity: None };
        facts.push(Fact::FillVoided(void));
        facts.push(Fact::Paid(Payment {
            id: self.reference(),
            purpose: Purpose::Funding,
            instrument: Some(instrument),
            leg: leg.map(facts::leg),
            currency: self.instrument(Product::Contract).settlement().clone(),
            amount: Amount::ONE,
        }));
        facts
    }
}

impl Known {
    /// Whether nothing of it is void.
    pub(crate) const fn is_whole(&self) -> bool {
        self.voided.is_zero()
    }

    /// What a bust leaves of a deal.
    fn void(&self, deal: &mut fractions::Deal, voided: Amount) {
        let left = self.quantity.checked_sub(voided).unwrap();
        let part = exact(left) / exact(self.quantity);
        deal.quantity = exact(left);
        deal.fee = fractions::rounded(&(exact(self.fee) * &part));
        deal.cost = self.cost.map(|cost| exact(cost) * &part);
        let mut rest = exact(left);
        deal.choice.clear();
        for (name, quantity) in &self.choice {
            let part = quantity.clone().min(rest.clone());
            rest -= &part;
            if !fractions::is_zero(&part) {
                deal.choice.push((name.clone(), part));
            }
        }
    }
}

/// The refusals of what does not fit what was there before.
fn is_about_history(refused: &AppendError) -> bool {
    matches!(
        refused,
        AppendError::InsufficientQuantity { .. }
            | AppendError::LotRequired { .. }
            | AppendError::LotUnavailable { .. }
            | AppendError::LotQuantity { .. }
            | AppendError::Invalid(_)
    )
}

/// The position or share of a key.
pub(crate) fn position(books: &Books, key: Key) -> Option<Position<'_>> {
    let (of, id) = (account(key.account), product(key.product));
    let Some(desk) = key.desk else {
        return match key.leg {
            Some(number) => books.leg(&of, &id, &leg(number)),
            None => books.position(&of, &id),
        };
    };
    let (name, leg) = (["slow", "fast"][desk], key.leg.map(leg));
    books.shares().into_iter().find(|share| {
        let strategy = share.strategy().map(Strategy::as_str);
        (share.account(), share.instrument().id(), share.leg()) == (&of, &id, leg.as_ref())
            && strategy == Some(name)
    })
}

/// Accounts by their numbers.
pub(crate) fn number_of(of: &Account) -> usize {
    usize::from(of.as_str() == "B")
}
