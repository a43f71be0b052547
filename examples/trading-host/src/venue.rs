//! The venue as the host sees it: one trait, its records and its typed failures.

use std::{pin::Pin, time::Duration};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The pending answer of a venue.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, VenueError>> + 'a>>;

/// Where orders go and what the books are compared with.
///
/// The host reads the venue through this trait alone; whether it lives in this process or
/// behind HTTP makes no difference to it.
pub trait Venue: std::fmt::Debug {
    /// Places an order; the venue does not recognise a repeated client order id.
    fn submit<'a>(&'a self, order: &'a OrderRequest) -> Answer<'a, Acceptance>;

    /// Every order that the venue has under a client order id, and the venue's time.
    fn look_up(&self, client_order_id: Uuid) -> Answer<'_, LookUp>;

    /// Takes an order from the book; an order that is not open any more is left as it is.
    fn cancel(&self, client_order_id: Uuid) -> Answer<'_, ()>;

    /// Events with a sequence above `after`, and how far the numbering has come.
    fn events(&self, after: u64) -> Answer<'_, EventPage>;

    /// Positions and balances, and with a window also open orders and trades.
    fn statement(&self, window: Option<TradeWindow>) -> Answer<'_, VenueStatement>;

    /// What really happened; free of faults, for the report and for tests only.
    fn audit(&self) -> Answer<'_, Audit>;
}

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The position grows.
    Buy,
    /// The position falls.
    Sell,
}

/// An order as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// Chosen by the host, one for each intent.
    pub client_order_id: Uuid,
    /// Names the intent in the venue's audit log, and nowhere else.
    pub tag: Uuid,
    /// Symbol of the instrument.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// Units of the base, above zero and a multiple of the lot step.
    pub quantity: Decimal,
    /// The worst price, or none for a market order.
    pub limit: Option<Decimal>,
    /// The venue refuses to accept the order after this moment of its own clock.
    pub accept_by: Timestamp,
    /// The venue takes what is left of the order from the book at this moment.
    pub expire_at: Option<Timestamp>,
}

/// The venue has the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The venue's own id.
    pub venue_order_id: String,
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUp {
    /// The venue's clock, by which it enforces acceptance deadlines.
    pub venue_time: Timestamp,
    /// One is the rule; two are what a blind retry leaves behind.
    pub orders: Vec<VenueOrder>,
}

/// How an order stands at the venue.
#[expect(clippy::module_name_repetitions, reason = "it stands beside our own of the kind")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueOrder {
    /// The venue's own id.
    pub venue_order_id: String,
    /// The host's id.
    pub client_order_id: Uuid,
    /// Symbol of the instrument.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// As ordered.
    pub quantity: Decimal,
    /// As filled so far.
    pub filled: Decimal,
    /// The worst price, or none for a market order.
    pub limit: Option<Decimal>,
    /// How it stands.
    pub status: VenueOrderStatus,
}

/// How an order stands at the venue.
#[expect(clippy::module_name_repetitions, reason = "it stands beside our own of the kind")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueOrderStatus {
    /// In the book.
    Open,
    /// Filled to the end.
    Filled,
    /// Taken from the book on request.
    Cancelled,
    /// Taken from the book at its time.
    Expired,
    /// Never in the book.
    Rejected {
        /// The venue's word for why.
        reason: String,
    },
}

/// A trade of this account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The venue's id; ids of one venue sort in the order of execution.
    pub trade_id: String,
    /// The order that traded.
    pub client_order_id: Uuid,
    /// Symbol of the instrument.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// Units of the base.
    pub quantity: Decimal,
    /// Quote per unit.
    pub price: Decimal,
    /// Paid by the account, in `fee_currency`.
    pub fee: Decimal,
    /// Currency of the fee.
    pub fee_currency: String,
    /// By the venue's clock.
    pub at: Timestamp,
}

/// One event as it was delivered: the envelope is sound, the payload may not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Numbered from 1 without gaps, in the order of what happened.
    pub sequence: u64,
    /// Symbol of the instrument.
    pub symbol: String,
    /// By the venue's clock.
    pub at: Timestamp,
    /// An [`Event`] as JSON.
    pub payload: Vec<u8>,
}

/// A page of deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// In the order in which they arrived, which need not be that of their numbers.
    pub deliveries: Vec<Delivery>,
    /// The last number given to an event, delivered or not.
    pub head: u64,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The order is in the book.
    Accepted {
        /// The host's id.
        client_order_id: Uuid,
        /// The venue's own id.
        venue_order_id: String,
    },
    /// The order traded.
    Filled {
        /// The trade.
        trade: Trade,
    },
    /// The order left the book on request.
    Cancelled {
        /// The host's id.
        client_order_id: Uuid,
    },
    /// The order left the book at its time.
    Expired {
        /// The host's id.
        client_order_id: Uuid,
    },
}

/// Which trades a statement lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeWindow {
    /// Trades at or after this moment.
    pub from: Timestamp,
}

/// The venue's books at one moment.
#[expect(clippy::module_name_repetitions, reason = "it stands beside our own of the kind")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueStatement {
    /// By the venue's clock.
    pub as_of: Timestamp,
    /// The last event that these figures contain.
    pub event_head: u64,
    /// Signed quantity by symbol; flat ones are left out.
    pub positions: Vec<(String, Decimal)>,
    /// Deposits, realised profit and fees by currency.
    pub balances: Vec<(String, Decimal)>,
    /// Orders in the book, when a window was asked for.
    pub open_orders: Option<Vec<VenueOrder>>,
    /// Trades in the order of execution, when a window was asked for.
    pub trades: Option<Vec<Trade>>,
}

/// The truth, as only the venue knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Every order that came into being, in that order.
    pub orders: Vec<AuditedOrder>,
    /// Every trade in the order of execution, with the true time beside it.
    pub trades: Vec<(Timestamp, Trade)>,
    /// Signed quantity by symbol; flat ones are left out.
    pub positions: Vec<(String, Decimal)>,
    /// By currency.
    pub balances: Vec<(String, Decimal)>,
    /// Trades of which every event was dropped for good.
    #[serde(default)]
    pub dropped_trades: Vec<String>,
    /// True time of each event, in the order of their numbers.
    #[serde(default)]
    pub events: Vec<Timestamp>,
    /// Fees paid by currency.
    pub fees: Vec<(String, Decimal)>,
    /// Every fault that was injected, in that order.
    pub faults: Vec<AuditedFault>,
    /// Outages as pairs of true times; an open one has no end.
    pub outages: Vec<(Timestamp, Option<Timestamp>)>,
    /// When each submit request reached the venue's door, served or not: true time and tag.
    pub submits: Vec<(Timestamp, Uuid)>,
}

/// An order in the venue's audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedOrder {
    /// The intent.
    pub tag: Uuid,
    /// The host's id.
    pub client_order_id: Uuid,
    /// The venue's own id.
    pub venue_order_id: String,
    /// A rejected order never was in the book.
    pub rejected: bool,
}

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedFault {
    /// Its name, for example `timeout_after_effect`.
    pub kind: String,
    /// True time at which it took effect.
    pub at: Timestamp,
    /// What it hit.
    pub subject: FaultSubject,
}

/// What a fault hit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultSubject {
    /// A submit request, by client order id.
    Order(Uuid),
    /// An event, by sequence.
    Event(u64),
    /// A balance: currency and amount added.
    Balance(String, Decimal),
    /// The n-th outage, counted from 1.
    Outage(u32),
    /// A read, a cancel, or the clock.
    Other,
}

/// A call to the venue that failed.
#[expect(clippy::module_name_repetitions, reason = "it stands beside our own of the kind")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueError {
    /// No connection came about, so nothing was sent.
    #[error("the venue refused the connection")]
    Refused,
    /// The connection broke while the answer was awaited.
    #[error("the connection to the venue was reset")]
    Reset,
    /// No answer in time.
    #[error("no answer from the venue within {limit:?}")]
    Timeout {
        /// How long the call had.
        limit: Duration,
    },
    /// Too many requests; not processed.
    #[error("the venue limits the rate; next try after {retry_after:?}")]
    RateLimited {
        /// Not before.
        retry_after: Duration,
    },
    /// A 5xx answer, which says nothing of the effect.
    #[error("the venue answered {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// A definite no.
    #[error("the venue rejected the request: {reason}")]
    Rejected {
        /// The venue's word for why.
        reason: String,
    },
    /// An answer that is not what the protocol says.
    #[error("the venue's answer cannot be understood: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
}

impl Classify for VenueError {
    fn class(&self) -> Class {
        match self {
            Self::Refused => Class::of(Kind::Connection).with_effect(Effect::NotApplied),
            Self::Reset => Class::of(Kind::Connection),
            Self::Timeout { .. } => Class::of(Kind::Timeout),
            Self::RateLimited { retry_after } => {
                Class::of(Kind::RateLimited).with_retry_after(*retry_after)
            }
            Self::Unavailable { .. } => Class::of(Kind::Unavailable),
            Self::Rejected { .. } => Class::of(Kind::Rejected),
            Self::Malformed { .. } => Class::of(Kind::Data).with_effect(Effect::Unknown),
        }
    }
}

impl From<backstop_retry_backoff::Elapsed> for VenueError {
    fn from(elapsed: backstop_retry_backoff::Elapsed) -> Self {
        Self::Timeout { limit: elapsed.limit() }
    }
}
