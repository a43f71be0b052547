//! The books: what all entries so far add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use uuid::Uuid;

use crate::action::Subject;
use crate::amount::Amount;
use crate::archive::{Archive, Kept, Key, Place, Rows};
use crate::change::{IsolationKey, Trail, WaitingKey, index};
use crate::error::AmountError;
use crate::fill::{Booked, LotChoice, TradeId};
use crate::instrument::Instruments;
use crate::journal::{Checkpoint, Digest};
use crate::money::{Adjustment, Balance};
use crate::name::{Account, Currency, InstrumentId, LegId};
use crate::order::{Order, Status};
use crate::pairs::{Pair, Pairs};
use crate::position::Position;
use crate::slots::{Amended, BalanceSlot, Deed, Isolation, NoteKey, Slot, Told};

/// Positions, balances, orders and fills at one point of a journal.
///
/// Only entries change them, see [`Ledger`](crate::Ledger).
/// Everything that lists anything lists it sorted, or in the order of the journal.
/// They remember every fill and order: identity has no end.
#[derive(Debug)]
pub struct Books {
    pub(crate) instruments: Arc<Instruments>,
    pub(crate) head: Checkpoint,
    /// An account with an instrument, found by name once, then by number.
    pub(crate) pairs: Pairs,
    /// The positions of all pairs and legs, and beside each those of the desks that share in it.
    pub(crate) slots: Vec<Slot>,
    pub(crate) balances: Vec<BalanceSlot>,
    pub(crate) balance_numbers: HashMap<(Account, Currency), u32>,
    pub(crate) orders: HashMap<Uuid, Order>,
    /// The orders that may still get filled: kept apart so that asking for them costs nothing by history.
    pub(crate) open: BTreeSet<Uuid>,
    pub(crate) fills: Archive,
    /// What was said of a fill after it was booked.
    pub(crate) amended: HashMap<Place, Amended>,
    /// The lots that a fill names.
    pub(crate) choices: HashMap<Place, Box<[LotChoice]>>,
    /// Busts that came before their fill: how much of it is void, none for all.
    pub(crate) waiting: HashMap<WaitingKey, Option<Amount>>,
    /// What changed positions besides fills.
    pub(crate) deeds: Vec<Deed>,
    /// Actions that may concern positions which are not there yet.
    pub(crate) told: Vec<Told>,
    pub(crate) adjustments: Vec<Adjustment>,
    /// The content of entries that are not fills or news of orders, by what identifies them.
    pub(crate) noted: HashMap<NoteKey, Digest>,
    pub(crate) isolated: BTreeMap<IsolationKey, Isolation>,
    pub(crate) trail: Trail,
}

/// What undoes the last entry is no part of the books.
impl Clone for Books {
    fn clone(&self) -> Self {
        Self {
            instruments: Arc::clone(&self.instruments),
            head: self.head,
            pairs: self.pairs.clone(),
            slots: self.slots.clone(),
            balances: self.balances.clone(),
            balance_numbers: self.balance_numbers.clone(),
            orders: self.orders.clone(),
            open: self.open.clone(),
            fills: self.fills.clone(),
            amended: self.amended.clone(),
            choices: self.choices.clone(),
            waiting: self.waiting.clone(),
            deeds: self.deeds.clone(),
            told: self.told.clone(),
            adjustments: self.adjustments.clone(),
            noted: self.noted.clone(),
            isolated: self.isolated.clone(),
            trail: Trail::default(),
        }
    }
}

/// Equal to the last bit: the same entries in the same order make equal books.
impl PartialEq for Books {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
            && self.instruments == other.instruments
            && self.pairs == other.pairs
            && self.slots == other.slots
            && self.balances == other.balances
            && self.orders == other.orders
            && self.open == other.open
            && self.fills == other.fills
            && self.amended == other.amended
            && self.choices == other.choices
            && self.waiting == other.waiting
            && self.deeds == other.deeds
            && self.told == other.told
            && self.adjustments == other.adjustments
            && self.noted == other.noted
            && self.isolated == other.isolated
    }
}

impl Eq for Books {}

impl Books {
    /// Empty books that follow no journal; see [`Books::book`].
    pub fn new(instruments: Instruments) -> Self {
        Self::over(Arc::new(instruments))
    }

    /// Empty books.
    pub(crate) fn over(instruments: Arc<Instruments>) -> Self {
        Self {
            instruments,
            head: Checkpoint::START,
            pairs: Pairs::default(),
            slots: Vec::new(),
            balances: Vec::new(),
            balance_numbers: HashMap::new(),
            orders: HashMap::new(),
            open: BTreeSet::new(),
            fills: Archive::default(),
            amended: HashMap::new(),
            choices: HashMap::new(),
            waiting: HashMap::new(),
            deeds: Vec::new(),
            told: Vec::new(),
            adjustments: Vec::new(),
            noted: HashMap::new(),
            isolated: BTreeMap::new(),
            trail: Trail::default(),
        }
    }

    /// The number of the last entry, which is the version of the books; 0 when empty.
    pub const fn sequence(&self) -> u64 {
        self.head.sequence
    }

    /// The hash of the last entry, which fixes all before it.
    pub const fn head(&self) -> Digest {
        self.head.hash
    }

    /// Number and hash of the last entry together.
    pub const fn checkpoint(&self) -> Checkpoint {
        self.head
    }

    /// The contracts and currencies that the books know.
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// A netted position, once something was booked on it; flat ones stay.
    pub fn position(&self, account: &Account, instrument: &InstrumentId) -> Option<Position<'_>> {
        self.position_of(account, instrument, None)
    }

    /// One leg of a hedged position.
    pub fn leg(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        leg: &LegId,
    ) -> Option<Position<'_>> {
        self.position_of(account, instrument, Some(leg))
    }

    fn position_of(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        leg: Option<&LegId>,
    ) -> Option<Position<'_>> {
        let pair = self.pair_number(account, instrument)?;
        self.view(self.leg_number(pair, leg)?)
    }

    /// All positions, sorted by account, instrument and leg.
    pub fn positions(&self) -> Vec<Position<'_>> {
        let numbers = self.pairs.iter().flat_map(|pair| pair.legs.iter());
        let mut positions: Vec<_> = numbers.filter_map(|number| self.view(number)).collect();
        positions.sort_unstable_by_key(|position| {
            (position.account(), position.instrument().id(), position.leg())
        });
        positions
    }

    /// What each strategy and portfolio has in the positions, sorted by position, strategy and portfolio.
    ///
    /// Every share is netted on its own, by the same method as the position.
    /// Quantities of shares add up to the position where every entry names its strategy;
    /// so do profits, realized and unrealized together, at the same mark.
    /// A transfer takes with it the cost of the position here, and that of the share there: profits then add up over all
    /// accounts.
    pub fn shares(&self) -> Vec<Position<'_>> {
        let mut shares: Vec<_> = self
            .positions()
            .iter()
            .flat_map(|position| &position.slot.desks)
            .filter_map(|number| self.view(*number))
            .collect();
        shares.sort_by_key(|share| {
            let names = (share.account(), share.instrument().id(), share.leg());
            (names, share.strategy(), share.portfolio())
        });
        shares
    }

    /// The quantity of an instrument in an account over all legs; none when nothing was ever booked on it.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when the sum is out of range.
    pub fn net_quantity(
        &self,
        account: &Account,
        instrument: &InstrumentId,
    ) -> Result<Option<Amount>, AmountError> {
        let pair = self.pair_number(account, instrument).and_then(|pair| self.pair(pair));
        let legs = pair.into_iter().flat_map(|pair| pair.legs.iter());
        let held = legs.filter_map(|leg| self.slot(leg)).map(|slot| slot.state.holding.quantity);
        held.map(Ok).reduce(|sum, leg| sum?.checked_add(leg?)).transpose()
    }

    fn view(&self, number: u32) -> Option<Position<'_>> {
        let slot = self.slot(number)?;
        let pair = self.pair(slot.pair)?;
        let instrument = self.instruments.at(pair.instrument)?;
        let isolation = self.isolation(&pair.account, Some(&pair.id));
        Some(Position { account: &pair.account, instrument, slot, isolation })
    }

    /// The money of an account in a currency, once there was any.
    pub fn balance(&self, account: &Account, currency: &Currency) -> Option<Balance> {
        let number = self.balance_number(account, currency)?;
        self.balances.get(index(number)).map(|slot| slot.balance)
    }

    /// All balances, sorted by account and currency.
    pub fn balances(&self) -> Vec<(&Account, &Currency, Balance)> {
        let rows = self.balances.iter();
        let mut balances: Vec<_> =
            rows.map(|slot| (&slot.account, &slot.currency, slot.balance)).collect();
        balances.sort_unstable_by_key(|(account, currency, _)| (*account, *currency));
        balances
    }

    /// Fees over all accounts, by currency.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when a sum is out of range.
    pub fn fees(&self) -> Result<BTreeMap<Currency, Amount>, AmountError> {
        self.sums(|balance| balance.fees)
    }

    /// Realized profit over all accounts, without fees, by currency.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when a sum is out of range.
    pub fn realized_gross(&self) -> Result<BTreeMap<Currency, Amount>, AmountError> {
        self.sums(|balance| balance.realized_gross)
    }

    fn sums(
        &self,
        part: impl Fn(&Balance) -> Amount,
    ) -> Result<BTreeMap<Currency, Amount>, AmountError> {
        let mut sums = BTreeMap::new();
        for slot in &self.balances {
            let sum: &mut Amount = sums.entry(slot.currency.clone()).or_default();
            *sum = sum.checked_add(part(&slot.balance))?;
        }
        Ok(sums)
    }

    /// An order by its client order id.
    pub fn order(&self, order_id: Uuid) -> Option<&Order> {
        self.orders.get(&order_id)
    }

    /// All orders, in the order of their intents in the journal.
    pub fn orders(&self) -> Vec<&Order> {
        let mut orders: Vec<_> = self.orders.values().collect();
        orders.sort_by_key(|order| order.sequence());
        orders
    }

    /// Orders that may still be, or get, filled; sorted by client order id, which is by time.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        self.open.iter().filter_map(|order_id| self.orders.get(order_id))
    }

    /// Open orders whose fate at the venue is not known: look these up before anything trades.
    pub fn unresolved(&self) -> impl Iterator<Item = &Order> {
        self.open_orders().filter(|order| Status::is_unresolved(order.status()))
    }

    /// A fill by its key.
    pub fn fill(
        &self,
        account: &Account,
        instrument: &InstrumentId,
        trade_id: &TradeId,
    ) -> Option<Booked> {
        let pair = self.pair_number(account, instrument)?;
        let place = self.fills.find(&Key::new(pair, trade_id))?;
        self.booked(place, self.fills.get(place)?)
    }

    /// All fills, in the order of the journal.
    pub fn fills(&self) -> impl ExactSizeIterator<Item = Booked> {
        Fills { books: self, rows: self.fills.iter() }
    }

    /// A kept fill with the names that its position knows.
    fn booked(&self, place: Place, kept: Kept) -> Option<Booked> {
        let pair = self.pair(kept.pair)?;
        let (sequence, at) = (kept.sequence, kept.at);
        let leg = self.slot_of(&kept).and_then(|slot| self.slot(slot)?.leg.clone());
        let lots = self.choices.get(&place).map(|lots| lots.to_vec()).unwrap_or_default();
        let settlement = self.instruments.at(pair.instrument)?.settlement();
        let fill = kept.into_fill((&pair.id, settlement), leg, lots);
        let amended = self.amended.get(&place).cloned().unwrap_or_default();
        let (voided, corrected) = (amended.voided, amended.restated.map(|(price, _)| price));
        Some(Booked { sequence, account: pair.account.clone(), at, fill, voided, corrected })
    }

    /// All adjustments of balances, in the order of the journal.
    pub fn adjustments(&self) -> impl ExactSizeIterator<Item = &Adjustment> {
        self.adjustments.iter()
    }

    /// What keeps an account, or an instrument in it, from being booked on.
    pub fn isolation(
        &self,
        account: &Account,
        instrument: Option<&InstrumentId>,
    ) -> Option<&Isolation> {
        // Nothing is the common case, and costs nothing.
        if self.isolated.is_empty() {
            return None;
        }
        let of_account = self.isolated.get(&(Some(account.clone()), Subject::Account));
        of_account.or_else(|| self.isolated.get(&(None, Subject::Instrument(instrument?.clone()))))
    }

    /// Everything that is set apart: the account for an account, and why; sorted.
    pub fn isolated(&self) -> impl Iterator<Item = (Option<&Account>, &Subject, &Isolation)> {
        self.isolated.iter().map(|((account, subject), why)| (account.as_ref(), subject, why))
    }

    pub(crate) fn pair_number(&self, account: &Account, instrument: &InstrumentId) -> Option<u32> {
        self.pairs.number(account, instrument)
    }

    pub(crate) fn pair(&self, number: u32) -> Option<&Pair> {
        self.pairs.at(number)
    }

    pub(crate) fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(index(number))
    }

    /// The position of a pair with that leg.
    pub(crate) fn leg_number(&self, pair: u32, leg: Option<&LegId>) -> Option<u32> {
        let mut legs = self.pair(pair)?.legs.iter();
        legs.find(|number| self.slot(*number).is_some_and(|slot| slot.leg.as_ref() == leg))
    }

    /// The position of a kept fill.
    pub(crate) fn slot_of(&self, kept: &Kept) -> Option<u32> {
        kept.slot.or_else(|| self.pair(kept.pair)?.legs.first())
    }

    pub(crate) fn balance_number(&self, account: &Account, currency: &Currency) -> Option<u32> {
        self.balance_numbers.get(&Names(account, currency)).copied()
    }
}

/// Two borrowed names, to find a pair of owned ones.
#[derive(Hash)]
struct Names<'a, A, B>(&'a A, &'a B);

impl<A: Eq, B: Eq> Equivalent<(A, B)> for Names<'_, A, B> {
    fn equivalent(&self, key: &(A, B)) -> bool {
        *self.0 == key.0 && *self.1 == key.1
    }
}

/// All fills with their names.
#[derive(Debug)]
struct Fills<'a> {
    books: &'a Books,
    rows: Rows<'a>,
}

impl Iterator for Fills<'_> {
    type Item = Booked;

    fn next(&mut self) -> Option<Booked> {
        let (place, kept) = self.rows.next()?;
        self.books.booked(place, kept)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for Fills<'_> {}
