//! Posting: from an entry to the changes it makes, or the reason why it makes none.
//!
//! Everything that can fail happens here, before anything changes.

use backstop_clock::Timestamp;
use uuid::Uuid;

use crate::amount::Amount;
use crate::books::Books;
use crate::change::Change;
use crate::entry::{Entry, Fact};
use crate::error::{AmountError, AppendError, Difference, Invalid};
use crate::fill::Fill;
use crate::instrument::Instrument;
use crate::journal::Terms;
use crate::money::{Adjustment, Balance};
use crate::name::{Account, Currency, InstrumentId};
use crate::order::{Event, Intent, Order, Step};
use crate::position::Holding;

/// What an entry means to the books.
#[derive(Debug)]
pub(crate) enum Posting {
    Changes,
    Duplicate,
    Conflict(Difference),
}

/// Names the figure that could not be computed.
fn of(field: &'static str) -> impl Fn(AmountError) -> AppendError {
    move |source| AppendError::Amount { field, source }
}

impl Books {
    /// Posts `entry` as number `sequence`; its changes are added to `changes`, which is empty.
    pub(crate) fn post(
        &self,
        sequence: u64,
        entry: &Entry,
        changes: &mut Vec<Change>,
    ) -> Result<Posting, AppendError> {
        for (field, time) in [("at", entry.at), ("journaled_at", entry.journaled_at)] {
            if time < Timestamp::EPOCH {
                return Err(Invalid::new(field, time.as_millis(), "not be before the epoch").into());
            }
        }
        match &entry.fact {
            Fact::Filled(fill) => self.post_fill(entry, fill, changes),
            Fact::Order { order_id, event } => self.post_event(entry, (*order_id, event), changes),
            Fact::Intended(intent) => {
                self.check_intent(entry, intent)?;
                let Some(held) = self.orders.get(&intent.order_id) else {
                    let order =
                        Order::new(std::sync::Arc::clone(intent), entry.account.clone(), sequence);
                    changes.push(Change::Order(intent.order_id, Some(Box::new(order))));
                    return Ok(Posting::Changes);
                };
                let same = held.intent() == &**intent && held.account() == &entry.account;
                Ok(if same {
                    Posting::Duplicate
                } else {
                    Posting::Conflict(Difference::new("order_id", &"another intent", &"this one"))
                })
            }
            Fact::Deposited { currency, amount } => {
                self.check_currency("currency", currency)?;
                Invalid::unless_positive("amount", *amount)?;
                self.post_noted(entry, changes, |books, changes| {
                    books.move_money(entry, currency, changes, |balance| balance.deposit(*amount))
                })
            }
            Fact::Adjusted { currency, amount, reason } => {
                self.check_currency("currency", currency)?;
                if amount.is_zero() {
                    return Err(Invalid::new("amount", amount, "not be zero").into());
                }
                let (account, at) = (entry.account.clone(), entry.at);
                let (currency, amount, reason) = (currency.clone(), *amount, reason.clone());
                self.post_noted(entry, changes, |books, changes| {
                    let step = |balance: Balance| balance.adjust(amount);
                    books.move_money(entry, &currency, changes, step)?;
                    let adjustment = Adjustment { sequence, account, currency, amount, reason, at };
                    changes.push(Change::AddAdjustment(Box::new(adjustment)));
                    Ok(())
                })
            }
            Fact::SnapshotTaken { of_sequence, .. } => {
                if *of_sequence >= sequence {
                    return Err(Invalid::new(
                        "of_sequence",
                        of_sequence,
                        "be an entry before this one",
                    )
                    .into());
                }
                self.post_noted(entry, changes, |_, _| Ok(()))
            }
        }
    }

    /// The terms that a fill is stored with.
    pub(crate) fn terms(&self, entry: &Entry) -> Option<Terms> {
        let Fact::Filled(fill) = &entry.fact else { return None };
        self.instruments.find(&fill.instrument).map(Terms::of)
    }

    /// For facts without a key of their own, the id of the entry is the key.
    fn post_noted(
        &self,
        entry: &Entry,
        changes: &mut Vec<Change>,
        post: impl FnOnce(&Self, &mut Vec<Change>) -> Result<(), AppendError>,
    ) -> Result<Posting, AppendError> {
        match self.noted.get(&entry.id) {
            Some((account, fact)) if *account == entry.account && *fact == entry.fact => {
                Ok(Posting::Duplicate)
            }
            Some(_) => Ok(Posting::Conflict(Difference::new("id", &"another entry", &"this one"))),
            None => {
                post(self, changes)?;
                let note = (entry.account.clone(), entry.fact.clone());
                changes.push(Change::Note(entry.id, Some(Box::new(note))));
                Ok(Posting::Changes)
            }
        }
    }

    fn move_money(
        &self,
        entry: &Entry,
        currency: &Currency,
        changes: &mut Vec<Change>,
        step: impl FnOnce(Balance) -> Result<Balance, AmountError>,
    ) -> Result<(), AppendError> {
        let (number, balance) = self.balance_slot(changes, &entry.account, currency, 0);
        changes.push(Change::Balance(number, step(balance).map_err(of("balance"))?));
        Ok(())
    }

    /// The number and figures of a balance; a new one is added after `added` others of the same entry.
    fn balance_slot(
        &self,
        changes: &mut Vec<Change>,
        account: &Account,
        currency: &Currency,
        added: usize,
    ) -> (usize, Balance) {
        if let Some((number, slot)) = self.find_balance(account, currency) {
            return (number, slot.balance);
        }
        changes.push(Change::AddBalance(account.clone(), currency.clone()));
        (self.balances.len().saturating_add(added), Balance::default())
    }

    fn check_currency(&self, field: &'static str, currency: &Currency) -> Result<(), AppendError> {
        if self.instruments.knows(currency) {
            return Ok(());
        }
        Err(Invalid::new(field, currency, "be a currency that the ledger knows").into())
    }

    fn find_instrument(&self, id: &InstrumentId) -> Result<&Instrument, AppendError> {
        self.instruments.find(id).ok_or_else(|| AppendError::UnknownInstrument(id.clone()))
    }

    fn check_intent(&self, entry: &Entry, intent: &Intent) -> Result<(), AppendError> {
        let instrument = self.find_instrument(&intent.instrument)?;
        Invalid::unless_positive("quantity", intent.quantity)?;
        if !intent.quantity.is_multiple_of(instrument.lot_step()) {
            return Err(
                Invalid::new("quantity", intent.quantity, "be a multiple of the lot step").into()
            );
        }
        if let Some(limit) = intent.limit
            && !limit.is_multiple_of(instrument.price_step())
        {
            return Err(Invalid::new("limit", limit, "be a multiple of the price step").into());
        }
        if intent.accept_by < entry.at {
            let given = intent.accept_by.as_millis();
            return Err(Invalid::new("accept_by", given, "not be before the intent").into());
        }
        Ok(())
    }

    fn post_event(
        &self,
        entry: &Entry,
        (order_id, event): (Uuid, &Event),
        changes: &mut Vec<Change>,
    ) -> Result<Posting, AppendError> {
        let order = self.orders.get(&order_id).ok_or(AppendError::UnknownOrder(order_id))?;
        if order.account() != &entry.account {
            return Err(Invalid::new("account", &entry.account, "be that of the order").into());
        }
        match order.after(event) {
            Step::Changed(order) => {
                changes.push(Change::Order(order_id, Some(order)));
                Ok(Posting::Changes)
            }
            Step::Repeated => Ok(Posting::Duplicate),
            Step::Differs(difference) => Ok(Posting::Conflict(difference)),
            Step::NotAllowed => Err(AppendError::Transition {
                order_id,
                from: order.status(),
                event: event.as_str(),
            }),
        }
    }

    fn post_fill(
        &self,
        entry: &Entry,
        fill: &Fill,
        changes: &mut Vec<Change>,
    ) -> Result<Posting, AppendError> {
        let instrument = self.find_instrument(&fill.instrument)?;
        Invalid::unless_positive("quantity", fill.quantity)?;
        self.check_currency("fee_currency", &fill.fee_currency)?;
        let number = self.position_number(&entry.account, &fill.instrument);
        if let Some(held) = self.fill(&entry.account, &fill.instrument, &fill.trade_id) {
            return Ok(match held.fill.difference(fill) {
                None => Posting::Duplicate,
                Some(difference) => Posting::Conflict(difference),
            });
        }
        if !self.fills.has_room() {
            return Err(AppendError::Full);
        }
        let slot = number.and_then(|number| self.positions.get(number));
        let number = number.unwrap_or_else(|| {
            changes
                .push(Change::AddPosition(Box::new((entry.account.clone(), instrument.clone()))));
            self.positions.len()
        });
        let value = instrument.value(fill.quantity, fill.price).map_err(of("value"))?;
        let holding = slot.map_or_else(Holding::default, |slot| slot.holding);
        let filled = holding.filled(fill.side, fill.quantity, value).map_err(of("position"))?;
        changes.push(Change::Holding(number, filled.after));
        self.settle(changes, entry, fill, (instrument.quote(), filled.realized))?;
        if !fill.fee.is_zero() {
            let fees = slot.map(|slot| slot.fees.as_slice()).unwrap_or_default();
            let place = fees.iter().position(|(currency, _)| *currency == fill.fee_currency);
            let held =
                place.and_then(|place| fees.get(place)).map_or(Amount::ZERO, |(_, held)| *held);
            let place = place.unwrap_or_else(|| {
                changes.push(Change::AddFee(number, fill.fee_currency.clone()));
                fees.len()
            });
            changes.push(Change::Fee(
                number,
                place,
                held.checked_add(fill.fee).map_err(of("fee"))?,
            ));
        }
        if let Some(order) = self.order_of(entry, fill)? {
            let total = order.filled().checked_add(fill.quantity).map_err(of("filled"))?;
            changes.push(Change::OrderFilled(fill.order_id, total));
        }
        let (closed, realized) = (filled.closed, filled.realized);
        changes.push(Change::AddFill { position: number, closed, realized });
        Ok(Posting::Changes)
    }

    /// Books profit in the quote currency and the fee in its own, which may be the same.
    fn settle(
        &self,
        changes: &mut Vec<Change>,
        entry: &Entry,
        fill: &Fill,
        (quote, realized): (&Currency, Amount),
    ) -> Result<(), AppendError> {
        let added = usize::from(self.find_balance(&entry.account, quote).is_none());
        let (number, balance) = self.balance_slot(changes, &entry.account, quote, 0);
        let balance = balance.realize(realized).map_err(of("balance"))?;
        if fill.fee.is_zero() || fill.fee_currency == *quote {
            changes.push(Change::Balance(number, balance.charge(fill.fee).map_err(of("balance"))?));
            return Ok(());
        }
        changes.push(Change::Balance(number, balance));
        let (number, balance) =
            self.balance_slot(changes, &entry.account, &fill.fee_currency, added);
        changes.push(Change::Balance(number, balance.charge(fill.fee).map_err(of("balance"))?));
        Ok(())
    }

    /// The order of a fill, if the books have it; a fill that contradicts it is refused.
    fn order_of(&self, entry: &Entry, fill: &Fill) -> Result<Option<&Order>, AppendError> {
        let Some(order) = self.orders.get(&fill.order_id) else { return Ok(None) };
        let intent = order.intent();
        if order.account() != &entry.account {
            return Err(Invalid::new("account", &entry.account, "be that of the order").into());
        }
        if intent.instrument != fill.instrument {
            return Err(Invalid::new("instrument", &fill.instrument, "be that of the order").into());
        }
        if intent.side != fill.side {
            return Err(Invalid::new("side", fill.side.as_str(), "be that of the order").into());
        }
        Ok(Some(order))
    }
}
