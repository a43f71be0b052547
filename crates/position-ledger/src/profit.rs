//! Profit by position, instrument, strategy, account, portfolio or currency, at marks that may grow old.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backstop_clock::Timestamp;

use crate::amount::Amount;
use crate::books::Books;
use crate::error::{AmountError, RateError};
use crate::name::{Account, Currency, InstrumentId, LegId, Portfolio, Strategy};
use crate::position::Position;
use crate::rates::Rates;

/// A price that positions are valued at, and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The price.
    pub price: Amount,
    /// When it was seen.
    pub at: Timestamp,
}

/// Marks by instrument, and how old they may be.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::Timestamp;
/// use backstop_position_ledger::{Amount, InstrumentId};
/// use backstop_position_ledger::pnl::{Mark, Marks};
///
/// let id = InstrumentId::new("EUR/USD")?;
/// let mark = Mark { price: "1.1".parse()?, at: Timestamp::from_millis(1_000) };
/// let marks = Marks::new(Timestamp::from_millis(6_000), Duration::from_secs(2)).with_mark(id.clone(), mark);
/// assert_eq!(marks.age(&id), Some(Duration::from_secs(5)));
/// assert!(marks.is_stale(&id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    by_instrument: BTreeMap<InstrumentId, Mark>,
    now: Timestamp,
    age_max: Duration,
}

impl Marks {
    /// No marks yet, as of a time; older ones than `age_max` are stale.
    pub const fn new(now: Timestamp, age_max: Duration) -> Self {
        Self { by_instrument: BTreeMap::new(), now, age_max }
    }

    /// Gives the mark of an instrument.
    #[must_use]
    pub fn with_mark(mut self, instrument: InstrumentId, mark: Mark) -> Self {
        self.by_instrument.insert(instrument, mark);
        self
    }

    /// How old the mark of an instrument is; none when there is none.
    pub fn age(&self, instrument: &InstrumentId) -> Option<Duration> {
        self.by_instrument.get(instrument).map(|mark| self.now.since(mark.at))
    }

    /// Whether an instrument has a mark that is too old.
    pub fn is_stale(&self, instrument: &InstrumentId) -> bool {
        self.age(instrument).is_some_and(|age| age > self.age_max)
    }
}

/// What profits are summed by; currencies are never summed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Each position, or leg.
    Position,
    /// Each instrument, over all accounts.
    Instrument,
    /// Each account.
    Account,
    /// Each strategy, by its shares; what no entry gave to a strategy is not in it.
    Strategy,
    /// Each portfolio, by its shares; what no entry gave to a portfolio is not in it.
    Portfolio,
    /// Nothing else than the currency.
    Currency,
}

/// What a row of profits is about; parts that it is summed over are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The account.
    pub account: Option<Account>,
    /// The instrument.
    pub instrument: Option<InstrumentId>,
    /// The leg of a hedged position.
    pub leg: Option<LegId>,
    /// The strategy.
    pub strategy: Option<Strategy>,
    /// The portfolio.
    pub portfolio: Option<Portfolio>,
}

/// Profit of a group in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profit {
    /// Of what was closed, without fees.
    pub realized_gross: Amount,
    /// Funding received less funding paid.
    pub funding: Amount,
    /// Dividends received less dividends paid.
    pub income: Amount,
    /// Fees in this currency that positions paid; those in kind of spot pairs are in the quantity already.
    pub fees: Amount,
    /// Of what is open, where there is a mark.
    pub unrealized: Amount,
    /// Instruments that are open without a mark, sorted: their profit is not in the sum, and it is not zero.
    pub unpriced: BTreeSet<InstrumentId>,
    /// Instruments whose mark is too old, or whose position is isolated, with the age of the figure.
    pub stale: BTreeMap<InstrumentId, Duration>,
}

impl Profit {
    /// Realized profit after funding, dividends and fees in this currency.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    pub fn realized_net(&self) -> Result<Amount, AmountError> {
        let sum = self.realized_gross.checked_add(self.funding)?.checked_add(self.income)?;
        sum.checked_sub(self.fees)
    }

    /// Realized net and unrealized profit together; none when an instrument has no mark.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    pub fn total(&self) -> Result<Option<Amount>, AmountError> {
        if !self.unpriced.is_empty() {
            return Ok(None);
        }
        self.realized_net()?.checked_add(self.unrealized).map(Some)
    }

    fn add_position(&mut self, position: &Position<'_>, marks: &Marks) -> Result<(), AmountError> {
        self.realized_gross = self.realized_gross.checked_add(position.realized_gross())?;
        self.funding = self.funding.checked_add(position.funding())?;
        self.income = self.income.checked_add(position.income())?;
        let id = position.instrument().id();
        if let Some(isolation) = position.isolation() {
            self.note_stale(id, isolation.age(marks.now));
        }
        if position.quantity().is_zero() {
            return Ok(());
        }
        let Some(mark) = marks.by_instrument.get(id) else {
            self.unpriced.insert(id.clone());
            return Ok(());
        };
        if marks.is_stale(id) {
            self.note_stale(id, marks.now.since(mark.at));
        }
        self.unrealized = self.unrealized.checked_add(position.unrealized(mark.price)?)?;
        Ok(())
    }

    fn note_stale(&mut self, id: &InstrumentId, age: Duration) {
        let held = self.stale.entry(id.clone()).or_default();
        *held = age.max(*held);
    }
}

/// Profits by group and currency, sorted.
pub type Profits = BTreeMap<(Group, Currency), Profit>;

impl Books {
    /// Profits at marks, by group and currency.
    ///
    /// Fees count in the currency they were paid in, so a group may have rows that hold fees alone.
    ///
    /// # Errors
    ///
    /// [`AmountError`] when a figure is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_clock::Timestamp;
    /// use backstop_position_ledger::{Books, Instruments};
    /// use backstop_position_ledger::pnl::{By, Marks};
    ///
    /// let books = Books::new(Instruments::default());
    /// let marks = Marks::new(Timestamp::EPOCH, Duration::from_secs(60));
    /// assert!(books.profits(By::Strategy, &marks)?.is_empty());
    /// # Ok::<(), backstop_position_ledger::error::AmountError>(())
    /// ```
    pub fn profits(&self, by: By, marks: &Marks) -> Result<Profits, AmountError> {
        let positions = match by {
            By::Strategy | By::Portfolio => self.shares(),
            _ => self.positions(),
        };
        let mut profits = Profits::new();
        for position in &positions {
            let Some(group) = group(by, position) else { continue };
            let settlement = position.instrument().settlement().clone();
            profits
                .entry((group.clone(), settlement))
                .or_default()
                .add_position(position, marks)?;
            let fees = position.fees().into_iter();
            for (currency, fee) in fees.filter(|(currency, _)| !position.counts_in_kind(currency)) {
                let row = profits.entry((group.clone(), currency.clone())).or_default();
                row.fees = row.fees.checked_add(fee)?;
            }
        }
        Ok(profits)
    }
}

/// The group of a position; none for a share that names no strategy, or no portfolio, where these are asked for.
fn group(by: By, position: &Position<'_>) -> Option<Group> {
    let mut group = Group::default();
    match by {
        By::Position => {
            group.account = Some(position.account().clone());
            group.instrument = Some(position.instrument().id().clone());
            group.leg = position.leg().cloned();
        }
        By::Instrument => group.instrument = Some(position.instrument().id().clone()),
        By::Account => group.account = Some(position.account().clone()),
        By::Strategy => group.strategy = Some(position.strategy()?.clone()),
        By::Portfolio => group.portfolio = Some(position.portfolio()?.clone()),
        By::Currency => {}
    }
    Some(group)
}

/// Profits of each group in one reporting currency, after all fees.
///
/// # Errors
///
/// [`RateError::Missing`] when a rate is not given, and [`RateError::Unpriced`] when a mark is: neither is taken for zero.
pub fn convert(profits: &Profits, rates: &Rates) -> Result<BTreeMap<Group, Amount>, RateError> {
    let mut totals: BTreeMap<Group, Amount> = BTreeMap::new();
    for ((group, currency), profit) in profits {
        if let Some(instrument) = profit.unpriced.first() {
            return Err(RateError::Unpriced(instrument.clone()));
        }
        let own = profit.realized_net()?.checked_add(profit.unrealized)?;
        let sum = totals.entry(group.clone()).or_default();
        *sum = sum.checked_add(rates.convert(currency, own)?)?;
    }
    Ok(totals)
}
