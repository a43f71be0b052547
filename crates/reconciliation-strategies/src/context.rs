use std::{borrow::Cow, collections::BTreeSet};

use backstop_clock::Timestamp;

use crate::{
    limits::{Instruments, Steps},
    rows::TradeRow,
};

/// What a run knows besides the two statements.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) instruments: Option<&'a Instruments>,
    pub(crate) in_flight: Option<&'a InFlight<'a>>,
}

impl<'a> Context<'a> {
    /// A run at `now`, with no instrument known and nothing in flight.
    pub const fn new(now: Timestamp) -> Self {
        Self { now, instruments: None, in_flight: None }
    }

    /// With the steps of the instruments.
    #[must_use]
    pub const fn with_instruments(mut self, instruments: &'a Instruments) -> Self {
        self.instruments = Some(instruments);
        self
    }

    /// With what is known to be on its way.
    #[must_use]
    pub const fn with_in_flight(mut self, in_flight: &'a InFlight<'a>) -> Self {
        self.in_flight = Some(in_flight);
        self
    }

    pub(crate) fn steps(&self, instrument: &str) -> Option<Steps> {
        self.instruments.and_then(|known| known.steps(instrument))
    }
}

/// What is known to be on its way between the two sides.
///
/// Differences it touches are deferred: the next run finds them gone, or finds them still there.
///
/// ```
/// use backstop_reconciliation_strategies::InFlight;
///
/// let in_flight =
///     InFlight::default().with_key("A", "BTC-USDT").with_trade("A", "ETH-USDT", "t-7");
/// assert!(!in_flight.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InFlight<'a> {
    keys: BTreeSet<[Cow<'a, str>; 2]>,
    trades: BTreeSet<[Cow<'a, str>; 3]>,
}

impl<'a> InFlight<'a> {
    /// With an instrument of an account, for instance one with an order of unknown outcome.
    #[must_use]
    pub fn with_key(
        mut self,
        account: impl Into<Cow<'a, str>>,
        instrument: impl Into<Cow<'a, str>>,
    ) -> Self {
        self.keys.insert([account.into(), instrument.into()]);
        self
    }

    /// With one trade whose event has not reached our book yet.
    #[must_use]
    pub fn with_trade(
        mut self,
        account: impl Into<Cow<'a, str>>,
        instrument: impl Into<Cow<'a, str>>,
        trade_id: impl Into<Cow<'a, str>>,
    ) -> Self {
        self.trades.insert([account.into(), instrument.into(), trade_id.into()]);
        self
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.trades.is_empty()
    }

    pub(crate) fn has_key(&self, account: &str, instrument: &str) -> bool {
        self.keys.contains(&[account, instrument].map(Cow::Borrowed))
    }

    pub(crate) fn has_trade(&self, trade: &TradeRow<'_>) -> bool {
        let key: [&str; 3] = [&trade.account, &trade.instrument, &trade.trade_id];
        self.trades.contains(&key.map(Cow::Borrowed))
    }

    /// Whether the key or a trade of it is on its way.
    pub(crate) fn touches(&self, account: &str, instrument: &str) -> bool {
        let first = [account, instrument, ""].map(Cow::Borrowed);
        let next = self.trades.range(first..).next();
        self.has_key(account, instrument)
            || next.is_some_and(|[a, i, _]| a == account && i == instrument)
    }

    /// Whether anything of the account is on its way.
    pub(crate) fn touches_account(&self, account: &str) -> bool {
        self.keys.iter().any(|[a, _]| a == account)
            || self.trades.iter().any(|[a, ..]| a == account)
    }
}
