//! Posting: what each kind of entry does to the books.
//!
//! Whatever can be told from the entry and the books is checked first.
//! A figure that leaves its range on the way is an error too, and the trail takes back what was booked before it.

use std::borrow::Cow;

use backstop_clock::Timestamp;
use uuid::Uuid;

use crate::action::{Act, Action, Payment, Purpose, Reach, Subject};
use crate::amount::Amount;
use crate::books::Books;
use crate::change::{Undo, index};
use crate::entry::{Entry, Fact};
use crate::error::{AppendError, Difference, Invalid};
use crate::instrument::Instrument;
use crate::journal::{Terms, fact_digest, has_terms};
use crate::ledger::Outcome;
use crate::money::{Adjustment, Balance, Part};
use crate::name::{Account, Currency, InstrumentId, Reference, Text};
use crate::order::{Event, Intent, Order, Step};
use crate::places::check_leg;
use crate::slots::{BalanceSlot, Isolation, NoteKey, What};
use crate::state::of;

/// What an entry meant to the books.
#[derive(Debug)]
pub(crate) enum Posting {
    /// It is booked, and the trail takes it back.
    Applied,
    /// A fill whose bust came first: it is remembered, no figure changed.
    Voided,
    /// A bust whose fill is not known yet: it is remembered, no figure changed.
    Recorded,
    Duplicate,
    /// Boxed, so that every other posting is a few bytes.
    Conflict(Box<Difference>),
}

impl Posting {
    pub(crate) fn conflict(difference: Difference) -> Self {
        Self::Conflict(Box::new(difference))
    }

    /// What the caller is told; `sequence` is that of the entry, if it was booked.
    pub(crate) fn outcome(self, sequence: u64) -> Outcome {
        match self {
            Self::Applied => Outcome::Applied { sequence },
            Self::Voided => Outcome::Voided { sequence },
            Self::Recorded => Outcome::Recorded { sequence },
            Self::Duplicate => Outcome::Duplicate,
            Self::Conflict(difference) => Outcome::Conflict(*difference),
        }
    }

    /// Whether it belongs into the journal.
    pub(crate) const fn is_booked(&self) -> bool {
        matches!(self, Self::Applied | Self::Voided | Self::Recorded)
    }
}

impl Books {
    /// Books `entry` as number `sequence`; after an error the trail has to be taken back.
    #[inline]
    pub(crate) fn post(&mut self, sequence: u64, entry: &Entry) -> Result<Posting, AppendError> {
        check_time("at", entry.at)?;
        check_time("journaled_at", entry.journaled_at)?;
        match &entry.fact {
            Fact::Filled(fill) => self.post_fill(sequence, entry, fill),
            Fact::Order { order_id, event } => self.post_event(entry, *order_id, event),
            Fact::Intended(intent) => self.post_intent(sequence, entry, intent),
            fact => self.post_noted(sequence, entry, fact),
        }
    }

    /// The terms that an entry is stored with.
    pub(crate) fn terms(&self, entry: &Entry) -> Option<Terms> {
        let terms = || self.instruments.find(entry.fact.instrument()?).map(Terms::of);
        if has_terms(&entry.fact) { terms() } else { None }
    }

    /// News of orders are taken also when their account is set apart: they move no figure.
    ///
    /// Comes after the question whether the entry is known: what is in the books already has nothing to wait for.
    #[inline]
    pub(crate) fn check_apart(&self, entry: &Entry) -> Result<(), AppendError> {
        // Nothing is the common case, and costs nothing.
        if self.isolated.is_empty() { Ok(()) } else { self.check_isolated(entry) }
    }

    fn check_isolated(&self, entry: &Entry) -> Result<(), AppendError> {
        let passes = matches!(
            entry.fact,
            Fact::Order { .. }
                | Fact::Isolated { .. }
                | Fact::Released { .. }
                | Fact::SnapshotTaken { .. }
        );
        if passes {
            return Ok(());
        }
        let other = match &entry.fact {
            Fact::MoneyMoved { to, .. } => Some(to),
            Fact::Moved(moved) => Some(&moved.to),
            _ => None,
        };
        let delivered = match &entry.fact {
            Fact::Acted(Action { act: Act::Delivery { into, .. }, .. }) => Some(into),
            _ => None,
        };
        let named = entry.fact.instrument();
        let places = [Some((&entry.account, named)), other.map(|other| (other, named))];
        let into = delivered.map(|into| (&entry.account, Some(into)));
        for (account, instrument) in places.into_iter().chain([into]).flatten() {
            if let Some(isolation) = self.isolation(account, instrument) {
                let subject = match instrument {
                    Some(id) => format!("{id} of {account}"),
                    None => account.to_string(),
                };
                let isolation = Box::new(isolation.clone());
                return Err(AppendError::Isolated { subject, isolation });
            }
        }
        Ok(())
    }

    /// For facts that are neither fills nor orders: known by the id of their source, or of the entry.
    fn post_noted(
        &mut self,
        sequence: u64,
        entry: &Entry,
        fact: &Fact,
    ) -> Result<Posting, AppendError> {
        let key = note_key(entry);
        if key == NoteKey::Entry(Uuid::nil()) {
            return Err(Invalid::new("id", entry.id, "not be nil where it is the key").into());
        }
        let content = fact_digest(entry);
        if let Some(held) = self.noted.get(&key) {
            return Ok(if *held == content {
                Posting::Duplicate
            } else {
                Posting::conflict(Difference::new("id", &"another entry", &"this one"))
            });
        }
        if let Fact::Acted(action) = fact
            && let Some(known) = self.known_with_other_reach(entry, action)
        {
            return Ok(known);
        }
        self.check_apart(entry)?;
        let posting = self.post_fact(sequence, entry, fact)?;
        if !posting.is_booked() {
            return Ok(posting);
        }
        self.noted.insert(key.clone(), content);
        self.trail.push(Undo::Noted(Box::new(key)));
        Ok(posting)
    }

    /// What an action is that was told of before with another reach, if it was: nobody is split twice.
    fn known_with_other_reach(&self, entry: &Entry, action: &Action) -> Option<Posting> {
        let with = |account: &Account, reach| {
            let fact = Fact::Acted(Action { reach, ..action.clone() });
            Entry { account: account.clone(), fact, ..entry.clone() }
        };
        if action.reach == Reach::Account {
            let wide = with(&entry.account, Reach::Everyone);
            let held = self.noted.get(&note_key(&wide))?;
            return Some(if *held == fact_digest(&wide) {
                Posting::Duplicate
            } else {
                Posting::conflict(Difference::new(
                    "id",
                    &"another action for everyone",
                    &"this one",
                ))
            });
        }
        // Some had it, others had not: what is left to do is for the caller to say, account by account.
        let of = self.pairs.iter().filter(|pair| pair.id == action.instrument);
        // Where event time decides, also those who held nothing yet.
        let told = self.told.iter().filter(|told| {
            (&told.action.instrument, &told.action.id) == (&action.instrument, &action.id)
        });
        let told = told.filter_map(|told| told.account.as_ref());
        let mut accounts = of.map(|pair| &pair.account).chain(told);
        let known = accounts
            .any(|account| self.noted.contains_key(&note_key(&with(account, Reach::Account))));
        let difference = || Difference::new("reach", &"some accounts", &"everyone");
        known.then(|| Posting::conflict(difference()))
    }

    fn post_fact(
        &mut self,
        sequence: u64,
        entry: &Entry,
        fact: &Fact,
    ) -> Result<Posting, AppendError> {
        match fact {
            Fact::Deposited { currency, amount } => {
                Invalid::unless_positive("amount", *amount)?;
                self.move_money(&entry.account, currency, Part::Deposited, *amount)?;
            }
            Fact::Withdrawn { currency, amount } => {
                Invalid::unless_positive("amount", *amount)?;
                self.move_money(&entry.account, currency, Part::Withdrawn, *amount)?;
            }
            Fact::BalanceOpened { currency, amount } => {
                Invalid::unless_not_zero("amount", *amount)?;
                self.move_money(&entry.account, currency, Part::Deposited, *amount)?;
            }
            Fact::MoneyMoved { currency, amount, to } => {
                Invalid::unless_positive("amount", *amount)?;
                if *to == entry.account {
                    return Err(Invalid::new("to", to, "be another account").into());
                }
                let part = Part::Transferred;
                self.move_money(&entry.account, currency, part, amount.negated())?;
                self.move_money(to, currency, part, *amount)?;
            }
            Fact::Adjusted { currency, amount, reason } => {
                self.adjust(sequence, entry, (currency, *amount), reason)?;
            }
            Fact::Paid(payment) => self.pay(sequence, entry, payment)?,
            Fact::FillVoided(void) => return self.post_void(entry, void),
            Fact::FillCorrected(correction) => return self.correct(entry, correction),
            Fact::Acted(action) => self.act(sequence, entry, action)?,
            Fact::Moved(moved) => self.move_position(sequence, entry, moved)?,
            Fact::PositionAdjusted(repair) => self.repair(sequence, entry, repair)?,
            Fact::PositionOpened(opening) => self.open_position(sequence, entry, opening)?,
            Fact::Isolated { subject, reason } => self.isolate(sequence, entry, subject, reason)?,
            Fact::Released { subject, .. } => self.release(entry, subject)?,
            Fact::SnapshotTaken { of_sequence, .. } => {
                if *of_sequence >= sequence {
                    let rule = "be an entry before this one";
                    return Err(Invalid::new("of_sequence", of_sequence, rule).into());
                }
            }
            Fact::Filled(_) | Fact::Order { .. } | Fact::Intended(_) => {}
        }
        Ok(Posting::Applied)
    }

    fn adjust(
        &mut self,
        sequence: u64,
        entry: &Entry,
        (currency, amount): (&Currency, Amount),
        reason: &Text,
    ) -> Result<(), AppendError> {
        self.check_currency("currency", currency)?;
        Invalid::unless_not_zero("amount", amount)?;
        self.move_money(&entry.account, currency, Part::Adjusted, amount)?;
        self.adjustments.push(Adjustment {
            sequence,
            account: entry.account.clone(),
            currency: currency.clone(),
            amount,
            reason: reason.clone(),
            at: entry.at,
        });
        self.trail.push(Undo::AdjustmentAdded);
        Ok(())
    }

    fn pay(&mut self, sequence: u64, entry: &Entry, payment: &Payment) -> Result<(), AppendError> {
        let amount = payment.amount;
        let instrument = match &payment.instrument {
            Some(id) => Some(self.find_instrument(id)?.clone()),
            None => None,
        };
        match (&instrument, &payment.leg) {
            (Some(terms), Some(leg)) => check_leg(terms, Some(leg))?,
            (None, Some(leg)) => {
                return Err(Invalid::new("leg", leg, "be that of an instrument").into());
            }
            (_, None) => {}
        }
        let part = match payment.purpose {
            Purpose::Fee | Purpose::Rebate => {
                Invalid::unless_positive("amount", amount)?;
                let fee = if payment.purpose == Purpose::Fee { amount } else { amount.negated() };
                return self.pay_fee((sequence, entry), payment, instrument.as_ref(), fee);
            }
            Purpose::Funding => Part::Funding,
            Purpose::Interest => Part::Interest,
        };
        if payment.purpose == Purpose::Funding {
            let Some(terms) = instrument else {
                return Err(Invalid::new("instrument", "-", "be named by funding").into());
            };
            if payment.currency != *terms.settlement() {
                let rule = "be the settlement currency of the instrument";
                return Err(Invalid::new("currency", &payment.currency, rule).into());
            }
            let slot = self.slot_for(&entry.account, &terms, payment.leg.as_ref())?;
            self.fund(slot, amount)?;
            if let Some(share) = self.share_for(slot, &desk_of(entry))? {
                self.fund(share, amount)?;
            }
        }
        self.move_money(&entry.account, &payment.currency, part, amount)
    }

    fn pay_fee(
        &mut self,
        (sequence, entry): (u64, &Entry),
        payment: &Payment,
        instrument: Option<&Instrument>,
        fee: Amount,
    ) -> Result<(), AppendError> {
        self.check_currency("currency", &payment.currency)?;
        if let Some(terms) = instrument {
            let slot = self.slot_for(&entry.account, terms, payment.leg.as_ref())?;
            let share = self.share_for(slot, &desk_of(entry))?;
            let slots: Vec<_> = [Some(slot), share].into_iter().flatten().collect();
            // The balance follows the fees of the position.
            return self.do_deed(
                (sequence, entry.at),
                &slots,
                What::Fee(payment.currency.clone(), fee),
            );
        }
        self.move_money(&entry.account, &payment.currency, Part::Fees, fee)
    }

    fn isolate(
        &mut self,
        sequence: u64,
        entry: &Entry,
        subject: &Subject,
        reason: &Text,
    ) -> Result<(), AppendError> {
        if let Subject::Instrument(id) = subject {
            self.find_instrument(id)?;
        }
        let key = isolation_key(&entry.account, subject);
        if self.isolated.contains_key(&key) {
            return Err(Invalid::new("subject", subject_name(&key), "not be isolated yet").into());
        }
        let isolation = Isolation { sequence, at: entry.at, reason: reason.clone() };
        self.isolated.insert(key.clone(), isolation);
        self.trail.push(Undo::Isolated(Box::new((key, None))));
        Ok(())
    }

    fn release(&mut self, entry: &Entry, subject: &Subject) -> Result<(), AppendError> {
        let key = isolation_key(&entry.account, subject);
        let Some(before) = self.isolated.remove(&key) else {
            return Err(Invalid::new("subject", subject_name(&key), "be isolated").into());
        };
        self.trail.push(Undo::Isolated(Box::new((key, Some(before)))));
        Ok(())
    }

    /// Adds to one part of a balance, and to its total.
    pub(crate) fn move_money(
        &mut self,
        account: &Account,
        currency: &Currency,
        part: Part,
        amount: Amount,
    ) -> Result<(), AppendError> {
        self.check_currency("currency", currency)?;
        let number = self.balance_for(account, currency);
        self.add_money(number, part, amount)
    }

    /// The balance of an account in a currency, made if there is none.
    pub(crate) fn balance_for(&mut self, account: &Account, currency: &Currency) -> u32 {
        if let Some(number) = self.balance_number(account, currency) {
            return number;
        }
        let number = u32::try_from(self.balances.len()).unwrap_or(u32::MAX);
        self.balance_numbers.insert((account.clone(), currency.clone()), number);
        let (account, currency) = (account.clone(), currency.clone());
        self.balances.push(BalanceSlot { account, currency, balance: Balance::default() });
        self.trail.push(Undo::BalanceAdded);
        number
    }

    /// Adds to one part of a balance, and leaves in the trail what it added.
    #[inline]
    pub(crate) fn add_money(
        &mut self,
        number: u32,
        part: Part,
        amount: Amount,
    ) -> Result<(), AppendError> {
        if amount.is_zero() {
            return Ok(());
        }
        if let Some(slot) = self.balances.get_mut(index(number)) {
            slot.balance.add(part, amount).map_err(of("balance"))?;
            self.trail.money.push((number, part, amount));
        }
        Ok(())
    }

    pub(crate) fn check_currency(
        &self,
        field: &'static str,
        currency: &Currency,
    ) -> Result<(), AppendError> {
        if self.instruments.knows(currency) {
            return Ok(());
        }
        Err(Invalid::new(field, currency, "be a currency that the ledger knows").into())
    }

    pub(crate) fn find_instrument(&self, id: &InstrumentId) -> Result<&Instrument, AppendError> {
        self.instruments.find(id).ok_or_else(|| AppendError::UnknownInstrument(id.clone()))
    }

    fn post_intent(
        &mut self,
        sequence: u64,
        entry: &Entry,
        intent: &std::sync::Arc<Intent>,
    ) -> Result<Posting, AppendError> {
        self.check_intent(entry, intent)?;
        if let Some(held) = self.orders.get(&intent.order_id) {
            let same = held.intent() == &**intent
                && held.account() == &entry.account
                && held.portfolio() == entry.portfolio.as_ref();
            return Ok(if same {
                Posting::Duplicate
            } else {
                Posting::conflict(Difference::new("order_id", &"another intent", &"this one"))
            });
        }
        self.check_apart(entry)?;
        let order = Order::new(std::sync::Arc::clone(intent), entry, sequence);
        self.swap_order(intent.order_id, Some(Box::new(order)));
        Ok(Posting::Applied)
    }

    fn check_intent(&self, entry: &Entry, intent: &Intent) -> Result<(), AppendError> {
        let instrument = self.find_instrument(&intent.instrument)?;
        if intent.order_id.is_nil() {
            return Err(Invalid::new("order_id", intent.order_id, "not be nil").into());
        }
        Invalid::unless_positive("quantity", intent.quantity)?;
        if !intent.quantity.is_multiple_of(instrument.lot_step()) {
            return Err(
                Invalid::new("quantity", intent.quantity, "be a multiple of the lot step").into()
            );
        }
        if let Some(limit) = intent.limit {
            instrument.check_price("limit", limit)?;
            if !limit.is_multiple_of(instrument.price_step()) {
                return Err(Invalid::new("limit", limit, "be a multiple of the price step").into());
            }
        }
        if intent.accept_by < entry.at {
            let given = intent.accept_by.as_millis();
            return Err(Invalid::new("accept_by", given, "not be before the intent").into());
        }
        Ok(())
    }

    fn post_event(
        &mut self,
        entry: &Entry,
        order_id: Uuid,
        event: &Event,
    ) -> Result<Posting, AppendError> {
        let order = self.orders.get(&order_id).ok_or(AppendError::UnknownOrder(order_id))?;
        if order.account() != &entry.account {
            return Err(Invalid::new("account", &entry.account, "be that of the order").into());
        }
        match order.after(event, entry.at) {
            Step::Changed(order) => {
                self.swap_order(order_id, Some(order));
                Ok(Posting::Applied)
            }
            Step::Repeated => Ok(Posting::Duplicate),
            Step::Differs(difference) => Ok(Posting::conflict(difference)),
            Step::NotAllowed => Err(AppendError::Transition {
                order_id,
                from: order.status(),
                event: event.as_str(),
            }),
        }
    }

    /// Lets an order be filled so far.
    pub(crate) fn count_filled(&mut self, order_id: Uuid, total: Amount) {
        let Some(order) = self.orders.get(&order_id) else { return };
        if order.is_thought_over() {
            let mut order = Box::new(order.clone());
            order.fill(total);
            return self.swap_order(order_id, Some(order));
        }
        let before = order.filled();
        self.set_filled(order_id, total);
        self.trail.push(Undo::Filled(order_id, before));
    }

    /// Sets how much of an order is filled, where nothing else of it changes.
    pub(crate) fn set_filled(&mut self, order_id: Uuid, filled: Amount) {
        let Some(order) = self.orders.get_mut(&order_id) else { return };
        let was_open = order.status().is_open();
        order.set_filled(filled);
        match (was_open, order.status().is_open()) {
            (true, false) => self.open.remove(&order_id),
            (false, true) => self.open.insert(order_id),
            _ => false,
        };
    }

    /// Puts an order in, or takes it out, and leaves in the trail what was there.
    pub(crate) fn swap_order(&mut self, order_id: Uuid, order: Option<Box<Order>>) {
        let before = self.orders.get(&order_id).cloned().map(Box::new);
        self.put_order(order_id, order);
        self.trail.push(Undo::Order(order_id, before));
    }

    pub(crate) fn put_order(&mut self, order_id: Uuid, order: Option<Box<Order>>) {
        if order.as_ref().is_some_and(|order| order.status().is_open()) {
            self.open.insert(order_id);
        } else {
            self.open.remove(&order_id);
        }
        drop(match order {
            Some(order) => self.orders.insert(order_id, *order),
            None => self.orders.remove(&order_id),
        });
    }
}

#[inline]
fn check_time(field: &'static str, time: Timestamp) -> Result<(), Invalid> {
    if time >= Timestamp::EPOCH {
        return Ok(());
    }
    Err(Invalid::new(field, time.as_millis(), "not be before the epoch"))
}

/// The desk that an entry names.
pub(crate) fn desk_of(entry: &Entry) -> crate::slots::Desk {
    crate::slots::Desk { strategy: entry.strategy.clone(), portfolio: entry.portfolio.clone() }
}

/// What identifies an entry that is neither fill nor news of an order.
fn note_key(entry: &Entry) -> NoteKey {
    let given = |kind, id: &Reference| NoteKey::Given {
        kind: Cow::Borrowed(kind),
        account: entry.fact.is_of_one_account().then(|| entry.account.clone()),
        instrument: entry.fact.instrument().cloned(),
        id: id.clone(),
    };
    match &entry.fact {
        Fact::Paid(payment) => given(payment.purpose.as_str(), &payment.id),
        Fact::Acted(action) => given(action.act.as_str(), &action.id),
        Fact::Moved(moved) => given("transfer", &moved.id),
        Fact::PositionAdjusted(repair) => given("adjustment", &repair.id),
        Fact::PositionOpened(opening) => given("opening", &opening.id),
        _ => NoteKey::Entry(entry.id),
    }
}

fn isolation_key(account: &Account, subject: &Subject) -> (Option<Account>, Subject) {
    match subject {
        Subject::Account => (Some(account.clone()), Subject::Account),
        Subject::Instrument(_) => (None, subject.clone()),
    }
}

fn subject_name((account, subject): &(Option<Account>, Subject)) -> String {
    match (account, subject) {
        (_, Subject::Instrument(id)) => id.to_string(),
        (Some(account), Subject::Account) => account.to_string(),
        (None, Subject::Account) => "-".to_owned(),
    }
}
