//! A simulated venue with books, an event stream and a fault script.
//!
//! [`SimVenue`] is a state machine: every request says when it comes, and the venue first lets all
//! happen that has happened by then.
//! Nothing in it reads a clock or a random stream, so the same requests give the same venue.
//! [`InProcess`] puts it behind the [`Venue`](crate::venue::Venue) trait on simulated time.
//!
//! # How orders trade
//!
//! | order | trades | at |
//! |---|---|---|
//! | market | at once, then at each tick | the touch |
//! | limit, coming in | at once, if the touch crosses it | the touch |
//! | limit, resting | at each tick whose touch crosses it | its limit |
//!
//! A tick has so many units for this account: a share of those that traded, rounded down to the
//! lot step, or so many lots per bar where volume is unknown.
//! Older orders come first; what is left waits for the next tick.
//! The fee is value times fee rate, rounded half up at 8 decimals, in the quote currency.
//!
//! # How it fails
//!
//! By [`faults`](crate::faults), and by two rules of its own: it does not recognise a repeated
//! client order id, and it accepts nothing after an order's deadline by its own clock.
//! An order that it rejects has one of these reasons: `unknown_symbol`, `bad_quantity`,
//! `bad_price`, `too_late`, `risk_check`.
//!
//! # What it keeps
//!
//! With a file, each request that changes something is written before it is answered, and so is
//! the time of one whose answer tells of something that time has brought.
//! [`SimVenue::resume`] repeats them.

mod exchange;
mod door;
mod matching;
mod listing;
mod orders;
mod account;
mod events;
mod outages;
mod skew;
mod log;
mod in_process;
mod latency;

use std::{collections::BTreeMap, fmt, path::Path};

use backstop_clock::Timestamp;
use backstop_position_ledger::Amount;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use account::Deposit;
use exchange::Exchange;
pub use in_process::InProcess;
pub(crate) use latency::Latency;
pub use log::LogError;
use log::{Command, CommandLog, Line};

use crate::{
    chance::Chance,
    faults::{Profile, ReadFault, ReadRates},
    market::Feed,
    venue::{
        Acceptance, Audit, EventPage, LookUp, OrderRequest, TradeWindow, VenueError, VenueStatement,
    },
};

/// What every quote currency holds at first, unless a deposit says otherwise.
const DEPOSIT: i64 = 1_000_000;

/// Share of a tick's units that this account may trade, in units of 1e-7.
///
/// Half of the ticks in the bundled EUR/USD stand for 2 billion units or more: that makes 15,000,
/// so that a standard lot of 100,000 takes some ticks to fill.
const VOLUME_SHARE_E7: i64 = 75;

/// Lots per bar where volume is unknown: few enough that an order of some thousands in shares of
/// the bundled data takes more than a day to fill.
const UNKNOWN_VOLUME_LOTS: u32 = 300;

/// What a venue is set up with.
///
/// | setting | default |
/// |---|---|
/// | deposits | 1,000,000 of every quote currency |
/// | volume share | 0.0000075 of a tick's units |
/// | unknown volume | 300 lots per bar |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueConfig {
    seed: u64,
    profile: Profile,
    span: (Timestamp, Timestamp),
    deposits: Vec<(String, Decimal)>,
    volume_share: Decimal,
    unknown_volume_lots: u32,
}

impl VenueConfig {
    /// The faults of `profile` under `seed`, over the feed's first to last time.
    ///
    /// Outages, the drift and the days of clock skew are laid out over the span.
    pub fn new(seed: u64, profile: Profile, span: (Timestamp, Timestamp)) -> Self {
        Self {
            seed,
            profile,
            span,
            deposits: Vec::new(),
            volume_share: Decimal::new(VOLUME_SHARE_E7, 7),
            unknown_volume_lots: UNKNOWN_VOLUME_LOTS,
        }
    }

    /// With a deposit in place of the default one of its currency.
    pub fn with_deposit(mut self, currency: &str, amount: Decimal) -> Self {
        self.deposits.push((currency.to_owned(), amount));
        self
    }

    /// With another share of a tick's units; zero or more.
    pub fn with_volume_share(mut self, share: Decimal) -> Self {
        self.volume_share = share;
        self
    }

    /// With other lots per bar where volume is unknown.
    pub fn with_unknown_volume_lots(mut self, lots: u32) -> Self {
        self.unknown_volume_lots = lots;
        self
    }

    /// Every currency once, sorted, with what it holds at first.
    fn deposits<'a>(
        &self,
        quotes: impl Iterator<Item = &'a String>,
    ) -> Result<Vec<Deposit>, SetupError> {
        let defaults = quotes.map(|quote| (quote.clone(), Decimal::from(DEPOSIT)));
        let amounts: BTreeMap<_, _> = defaults.chain(self.deposits.iter().cloned()).collect();
        let exact = |(currency, shown): (String, Decimal)| match Amount::try_from(shown) {
            Ok(amount) => Ok(Deposit { currency, amount, shown }),
            Err(_not_exact) => Err(SetupError::Deposit { currency, value: shown }),
        };
        amounts.into_iter().map(exact).collect()
    }
}

/// The venue cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Terms of an instrument on which exact books cannot be kept.
    #[error("{symbol}: {field} {value} {rule}")]
    Terms {
        /// The instrument.
        symbol: String,
        /// The field of its terms, or of the configuration.
        field: &'static str,
        /// As given.
        value: Decimal,
        /// What it breaks.
        rule: &'static str,
    },
    /// A deposit that the books cannot hold.
    #[error("deposit of {value} {currency}: must have at most 18 decimals and be below 1.7e20")]
    Deposit {
        /// Its currency.
        currency: String,
        /// As given.
        value: Decimal,
    },
    /// The venue's file cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The caller hears of it.
    Answered(Result<T, VenueError>),
    /// The caller waits in vain.
    Withheld,
}

/// The venue.
///
/// ```
/// use backstop_clock::Timestamp;
/// use trading_host::faults::Profile;
/// use trading_host::market::{Feed, Market, Recorded};
/// use trading_host::sim_venue::{Outcome, SimVenue, VenueConfig};
///
/// let feed = Recorded::new(Market::bundled()?.into());
/// let start = feed.peek_time().unwrap_or_default();
/// let end = Timestamp::from_millis(start.as_millis() + 365 * 86_400_000);
/// let mut venue = SimVenue::new(Box::new(feed), &VenueConfig::new(1, Profile::None, (start, end)))?;
/// let Outcome::Answered(Ok(statement)) = venue.statement(start, None) else { panic!() };
/// assert_eq!(statement.balances, [("USD".to_owned(), 1_000_000.into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SimVenue {
    exchange: Exchange,
    chance: Chance,
    read_rates: ReadRates,
    log: Option<CommandLog>,
    /// The last event when the last line was written.
    logged_head: u64,
}

/// What keeps a read or cancel from being answered as it should be.
#[derive(Clone, Copy, Debug)]
enum Hindrance {
    Outage,
    Fault(ReadFault),
    /// The venue's file could not be written.
    Log,
}

impl SimVenue {
    /// A venue without a file, at the beginning of the configured span.
    ///
    /// # Errors
    /// [`SetupError`] if exact books cannot be kept on these terms.
    pub fn new(feed: Box<dyn Feed>, config: &VenueConfig) -> Result<Self, SetupError> {
        Ok(Self {
            exchange: Exchange::new(feed, config)?,
            chance: Chance::new(config.seed),
            read_rates: config.profile.rates().read,
            log: None,
            logged_head: 0,
        })
    }

    /// A venue that goes on where its file ends; without a file it begins one.
    ///
    /// # Errors
    /// [`SetupError`] as for [`SimVenue::new`], or if the file cannot be read, has a broken line
    /// before its last, or was written under another configuration.
    pub fn resume(
        feed: Box<dyn Feed>,
        config: &VenueConfig,
        path: &Path,
    ) -> Result<Self, SetupError> {
        let mut venue = Self::new(feed, config)?;
        let log = CommandLog::open(path, config, |Line { at, command }| {
            venue.exchange.advance(at);
            venue.exchange.repeat(&command);
        })?;
        venue.log = Some(log);
        venue.logged_head = venue.exchange.events.head();
        Ok(venue)
    }

    /// True time, as far as the venue has come.
    pub fn now(&self) -> Timestamp {
        self.exchange.now()
    }

    /// Places an order.
    pub fn submit(&mut self, at: Timestamp, order: &OrderRequest) -> Outcome<Acceptance> {
        self.exchange.advance(at);
        let attempt = self.exchange.next_attempt(order.client_order_id);
        match self.record(|| Command::Submit { attempt, order: order.clone() }) {
            Ok(()) => self.exchange.submit(order, attempt),
            Err(hindrance) => hindrance.into(),
        }
    }

    /// The orders with a client order id, and the venue's time.
    pub fn look_up(&mut self, at: Timestamp, client_order_id: Uuid) -> Outcome<LookUp> {
        self.read(at, "look_up", client_order_id.as_bytes(), |venue| {
            let orders = &venue.exchange.orders;
            let places = orders.places(client_order_id).iter();
            let orders = places.map(|&place| orders.at(place).view()).collect();
            Ok(LookUp { venue_time: venue.exchange.clock(), orders })
        })
    }

    /// Takes an order from the book.
    ///
    /// A fault comes before the effect or after it, as the hash decides.
    pub fn cancel(&mut self, at: Timestamp, client_order_id: Uuid) -> Outcome<()> {
        self.exchange.advance(at);
        let key = client_order_id.as_bytes();
        let hindrance = self.hindrance("cancel", key);
        let is_after = match hindrance {
            None => true,
            Some(Hindrance::Fault(_)) => self.draw("cancel", key) >> 63 == 1,
            Some(_) => false,
        };
        let cancelled = if is_after {
            self.record(|| Command::Cancel { client_order_id })
                .map(|()| self.exchange.cancel(client_order_id))
        } else {
            Ok(())
        };
        match cancelled.and(hindrance.map_or(Ok(()), Err)) {
            Ok(()) => Outcome::Answered(Ok(())),
            Err(hindrance) => hindrance.into(),
        }
    }

    /// Events numbered above `after`, at most 500.
    pub fn events(&mut self, at: Timestamp, after: u64) -> Outcome<EventPage> {
        self.read(at, "events", &after.to_be_bytes(), |venue| {
            if venue.exchange.events.page_changes(venue.exchange.now(), after) {
                venue.record(|| Command::Page { after })?;
            }
            Ok(venue.exchange.page(after))
        })
    }

    /// The books, and with a window what is open and the trades since.
    pub fn statement(
        &mut self,
        at: Timestamp,
        window: Option<TradeWindow>,
    ) -> Outcome<VenueStatement> {
        self.read(at, "statement", &[], |venue| {
            Ok(venue.exchange.statement(window.map(|window| window.from)))
        })
    }

    /// What really happened; never fails and is never refused.
    pub fn audit(&mut self, at: Timestamp) -> Audit {
        self.exchange.advance(at);
        self.exchange.audit()
    }

    /// A request that fails as reads do.
    fn read<T>(
        &mut self,
        at: Timestamp,
        kind: &str,
        key: &[u8],
        answer: impl FnOnce(&mut Self) -> Result<T, Hindrance>,
    ) -> Outcome<T> {
        self.exchange.advance(at);
        let answer = match self.hindrance(kind, key) {
            None => self.reach().and_then(|()| answer(self)),
            Some(hindrance) => Err(hindrance),
        };
        match answer {
            Ok(answer) => Outcome::Answered(Ok(answer)),
            Err(hindrance) => hindrance.into(),
        }
    }

    /// What befalls a read or cancel at this moment.
    fn hindrance(&mut self, kind: &str, key: &[u8]) -> Option<Hindrance> {
        if self.exchange.outages.is_out(self.exchange.now()) {
            return Some(Hindrance::Outage);
        }
        if self.read_rates.is_none() {
            return None;
        }
        let fault = self.read_rates.draw(self.draw(kind, key))?;
        if let Err(hindrance) = self.record(|| Command::ReadFault { fault }) {
            return Some(hindrance);
        }
        self.exchange.note_read_fault(fault);
        Some(Hindrance::Fault(fault))
    }

    /// The same read has another draw at another moment; no count of attempts need be kept.
    fn draw(&self, kind: &str, key: &[u8]) -> u64 {
        let moment = self.exchange.now().as_millis().cast_unsigned();
        self.chance.draw(kind, key, moment)
    }

    /// Writes down how far time has come, if the answer may tell of something new.
    ///
    /// A venue that was killed would else begin before what it has told, and another order could
    /// come between.
    fn reach(&mut self) -> Result<(), Hindrance> {
        if self.exchange.events.head() > self.logged_head {
            self.record(|| Command::Reach)?;
        }
        Ok(())
    }

    /// Writes a command to the file, if there is one.
    fn record(&mut self, command: impl FnOnce() -> Command) -> Result<(), Hindrance> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let line = Line { at: self.exchange.now(), command: command() };
        log.append(&line).map_err(|error| {
            tracing::error!(%error, "the venue's file cannot be written");
            Hindrance::Log
        })?;
        self.logged_head = self.exchange.events.head();
        Ok(())
    }
}

impl<T> From<Hindrance> for Outcome<T> {
    fn from(hindrance: Hindrance) -> Self {
        Self::Answered(Err(match hindrance {
            Hindrance::Fault(ReadFault::Timeout) => return Self::Withheld,
            Hindrance::Fault(ReadFault::Reset) => VenueError::Reset,
            Hindrance::Fault(ReadFault::Error) => VenueError::Unavailable { status: 503 },
            Hindrance::Outage => VenueError::Refused,
            Hindrance::Log => VenueError::Unavailable { status: 500 },
        }))
    }
}

impl fmt::Debug for SimVenue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimVenue")
            .field("now", &self.now())
            .field("trades", &self.exchange.trades.len())
            .finish_non_exhaustive()
    }
}
