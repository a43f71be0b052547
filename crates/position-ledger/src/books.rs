//! The books: what all entries so far add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use uuid::Uuid;

use crate::amount::Amount;
use crate::archive::{Archive, Kept, Rows};
use crate::change::Change;
use crate::entry::Fact;
use crate::error::{AmountError, Imbalance};
use crate::fill::{Booked, TradeId};
use crate::instrument::{Instrument, Instruments};
use crate::journal::{Checkpoint, Digest};
use crate::money::{Adjustment, Balance};
use crate::name::{Account, Currency, InstrumentId};
use crate::order::{Order, Status};
use crate::position::{Holding, Position};

/// Positions, balances, orders and fills at one point of a journal.
///
/// Only entries change them, see [`Ledger`](crate::Ledger).
/// Everything that lists anything lists it sorted, or in the order of the journal.
/// They remember every fill and order: identity has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    pub(crate) instruments: Arc<Instruments>,
    pub(crate) head: Checkpoint,
    /// A slot exists once it was booked to; it is found by name once, then by number.
    pub(crate) positions: Vec<PositionSlot>,
    pub(crate) position_slots: HashMap<(Account, InstrumentId), usize>,
    pub(crate) balances: Vec<BalanceSlot>,
    pub(crate) balance_slots: HashMap<(Account, Currency), usize>,
    pub(crate) orders: HashMap<Uuid, Order>,
    /// The orders that may still get filled: kept apart so that asking for them costs nothing by history.
    pub(crate) open: BTreeSet<Uuid>,
    pub(crate) fills: Archive,
    pub(crate) adjustments: Vec<Adjustment>,
    /// Entries that have no key of their own, by their id.
    pub(crate) noted: HashMap<Uuid, (Account, Fact)>,
    pub(crate) scratch: Scratch,
}

/// Room for the changes of one entry, kept to allocate it once; no part of the state.
#[derive(Debug, Default)]
pub(crate) struct Scratch(pub(crate) Vec<Change>);

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Scratch {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Scratch {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PositionSlot {
    pub(crate) account: Account,
    pub(crate) instrument: Instrument,
    pub(crate) holding: Holding,
    pub(crate) fees: Vec<(Currency, Amount)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BalanceSlot {
    pub(crate) account: Account,
    pub(crate) currency: Currency,
    pub(crate) balance: Balance,
}

impl PositionSlot {
    fn view(&self) -> Position<'_> {
        Position {
            account: &self.account,
            instrument: &self.instrument,
            holding: &self.holding,
            fees: &self.fees,
        }
    }
}

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
            positions: Vec::new(),
            position_slots: HashMap::new(),
            balances: Vec::new(),
            balance_slots: HashMap::new(),
            orders: HashMap::new(),
            open: BTreeSet::new(),
            fills: Archive::default(),
            adjustments: Vec::new(),
            noted: HashMap::new(),
            scratch: Scratch::default(),
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

    /// A position, once it had a fill; flat ones stay.
    pub fn position(&self, account: &Account, instrument: &InstrumentId) -> Option<Position<'_>> {
        self.find_position(account, instrument).map(PositionSlot::view)
    }

    /// All positions, sorted by account and instrument.
    pub fn positions(&self) -> Vec<Position<'_>> {
        let mut positions: Vec<_> = self.positions.iter().map(PositionSlot::view).collect();
        positions.sort_unstable_by_key(|position| (position.account(), position.instrument().id()));
        positions
    }

    /// The money of an account in a currency, once there was any.
    pub fn balance(&self, account: &Account, currency: &Currency) -> Option<Balance> {
        self.find_balance(account, currency).map(|(_, slot)| slot.balance)
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
        let number = self.position_number(account, instrument)?;
        self.booked(self.fills.get(self.fills.find(number, trade_id)?)?)
    }

    /// All fills, in the order of the journal.
    pub fn fills(&self) -> impl ExactSizeIterator<Item = Booked> {
        Fills { books: self, rows: self.fills.iter() }
    }

    /// A kept fill with the names that its position knows.
    fn booked(&self, kept: Kept) -> Option<Booked> {
        let slot = self.positions.get(kept.position)?;
        let (sequence, at, closed, realized) = (kept.sequence, kept.at, kept.closed, kept.realized);
        let fill = kept.into_fill(slot.instrument.id(), slot.instrument.quote());
        Some(Booked { sequence, account: slot.account.clone(), at, fill, closed, realized })
    }

    /// All adjustments, in the order of the journal.
    pub fn adjustments(&self) -> impl ExactSizeIterator<Item = &Adjustment> {
        self.adjustments.iter()
    }

    /// Realized profit, without fees, of each cycle of a position from flat to flat, oldest first.
    ///
    /// Derived from the fills, so its cost grows with their number.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when a sum is out of range.
    pub fn closed_cycles(
        &self,
        account: &Account,
        instrument: &InstrumentId,
    ) -> Result<Vec<Amount>, AmountError> {
        let (mut cycles, mut quantity, mut realized) = (Vec::new(), Amount::ZERO, Amount::ZERO);
        let number = self.position_number(account, instrument);
        for kept in self.fills.iter().filter(|kept| Some(kept.position) == number) {
            let was_open = !quantity.is_zero();
            let before = quantity;
            quantity = quantity.checked_add(kept.side.signed(kept.quantity))?;
            realized = realized.checked_add(kept.realized)?;
            if was_open && (quantity.is_zero() || quantity.is_negative() != before.is_negative()) {
                cycles.push(realized);
                realized = Amount::ZERO;
            }
        }
        Ok(cycles)
    }

    /// Proves that no fill created or lost money.
    ///
    /// Per position `realized - side * open_cost` is the net cash flow of its fills, and a flat one costs nothing.
    /// Per balance the total is the sum of its parts, and its realized part is that of the positions.
    /// The cost grows with positions and balances, not with the history.
    ///
    /// # Errors
    ///
    /// [`Imbalance`] with the first figure that does not add up.
    pub fn check_conservation(&self) -> Result<(), Imbalance> {
        let mut realized: BTreeMap<(&Account, &Currency), Amount> = BTreeMap::new();
        for position in self.positions() {
            let imbalance = || Imbalance {
                account: position.account().clone(),
                what: format!("position {}", position.instrument().id()),
            };
            let sum =
                realized.entry((position.account(), position.instrument().quote())).or_default();
            *sum = sum.checked_add(position.realized_gross()).map_err(|_overflow| imbalance())?;
            if !position.holding.is_conserved() {
                return Err(imbalance());
            }
        }
        for (account, currency, balance) in self.balances() {
            let of_positions = realized.get(&(account, currency)).copied().unwrap_or_default();
            if !balance.is_conserved() || balance.realized_gross != of_positions {
                return Err(Imbalance {
                    account: account.clone(),
                    what: format!("balance {currency}"),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn find_position(
        &self,
        account: &Account,
        instrument: &InstrumentId,
    ) -> Option<&PositionSlot> {
        self.position_number(account, instrument).and_then(|number| self.positions.get(number))
    }

    pub(crate) fn position_number(
        &self,
        account: &Account,
        instrument: &InstrumentId,
    ) -> Option<usize> {
        self.position_slots.get(&Names(account, instrument)).copied()
    }

    pub(crate) fn find_balance(
        &self,
        account: &Account,
        currency: &Currency,
    ) -> Option<(usize, &BalanceSlot)> {
        let number = *self.balance_slots.get(&Names(account, currency))?;
        self.balances.get(number).map(|slot| (number, slot))
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
        self.books.booked(self.rows.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for Fills<'_> {}
