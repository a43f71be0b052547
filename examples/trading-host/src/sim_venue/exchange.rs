//! The venue without its file: time, market, orders, books and faults as one state machine.

use std::{collections::BTreeMap, time::Duration};

use backstop_clock::Timestamp;
use backstop_position_ledger::Amount;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    Outcome, SetupError, VenueConfig,
    account::{Account, Booking},
    events::EventLog,
    listing::{Arrival, Listing},
    log::Command,
    orders::{Ordered, Orders},
    outages::Outages,
    skew::SkewedClock,
};
use crate::{
    chance::Chance,
    faults::{ReadFault, SubmitFault, SubmitRates},
    market::Feed,
    venue::{
        Acceptance, Audit, AuditedFault, Event, EventPage, FaultSubject, OrderRequest, Trade,
        VenueError, VenueOrderStatus, VenueStatement,
    },
};

/// How long nothing is known of an order that is accepted late.
const LATE_MS: std::ops::RangeInclusive<u64> = 4_000..=8_000;

/// How long a caller over the rate limit is asked to wait.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 1..=3;

/// The silent drift, in hundredths of a unit: below what a host settles without asking.
const DRIFT_CENTS: std::ops::RangeInclusive<u64> = 100..=4_000;

/// Everything that the venue is.
pub(super) struct Exchange {
    now: Timestamp,
    chance: Chance,
    submit_rates: SubmitRates,
    feed: Box<dyn Feed>,
    clock: SkewedClock,
    pub(super) listings: Vec<Listing>,
    pub(super) orders: Orders,
    pub(super) account: Account,
    pub(super) events: EventLog,
    /// With the true time of each.
    pub(super) trades: Vec<(Timestamp, Trade)>,
    /// Orders of which nothing is known yet, by the time and number at which they are accepted.
    late: BTreeMap<(Timestamp, u64), OrderRequest>,
    /// The drift to come.
    drift: Option<Drift>,
    pub(super) outages: Outages,
    faults: Vec<AuditedFault>,
    /// Submit requests at the door, with the true time of each.
    submits: Vec<(Timestamp, Uuid)>,
    attempts: BTreeMap<Uuid, u64>,
}

#[derive(Clone, Debug)]
struct Drift {
    at: Timestamp,
    currency: String,
    amount: Amount,
    shown: Decimal,
}

/// What happens next by itself; of one moment, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Day,
    Drift,
    Late,
    Expiry(usize),
    Tick,
}

impl Exchange {
    pub(super) fn new(feed: Box<dyn Feed>, config: &VenueConfig) -> Result<Self, SetupError> {
        let (chance, rates) = (Chance::new(config.seed), config.profile.rates());
        let listings: Vec<_> = feed
            .instruments()
            .iter()
            .map(|instrument| Listing::new(instrument, config))
            .collect::<Result<_, _>>()?;
        let deposits = config.deposits(listings.iter().map(|listing| &listing.quote))?;
        let names = listings.iter().map(|listing| (listing.symbol.clone(), listing.quote.clone()));
        let account = Account::new(names, deposits);
        let drift = listings
            .first()
            .filter(|_| rates.drifts > 0)
            .map(|first| Drift::drawn(chance, config.span, &first.quote));
        let mut exchange = Self {
            now: config.span.0,
            chance,
            submit_rates: rates.submit,
            clock: SkewedClock::new(chance, rates.skewed_days, config.span),
            account,
            listings,
            feed,
            orders: Orders::default(),
            events: EventLog::new(chance, rates.event),
            trades: Vec::new(),
            late: BTreeMap::new(),
            drift,
            outages: Outages::new(chance, rates.outages, config.span),
            faults: Vec::new(),
            submits: Vec::new(),
            attempts: BTreeMap::new(),
        };
        exchange.note_skew();
        Ok(exchange)
    }

    /// True time, as far as the venue has come.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// What the venue's clock shows.
    pub(super) fn clock(&self) -> Timestamp {
        self.clock.reading(self.now)
    }

    /// Lets everything happen that happens by `to`, in the order of time; never goes back.
    pub(super) fn advance(&mut self, to: Timestamp) {
        while let Some((due, what)) = self.next_due()
            && due <= to
        {
            self.now = self.now.max(due);
            match what {
                Due::Day => {
                    self.clock.turn_day();
                    self.note_skew();
                }
                Due::Drift => self.drift_now(),
                Due::Late => self.accept_late(),
                Due::Expiry(place) => self.close(place, VenueOrderStatus::Expired),
                Due::Tick => self.tick(),
            }
        }
        self.now = self.now.max(to);
    }

    fn next_due(&self) -> Option<(Timestamp, Due)> {
        let dues = [
            self.clock.next_day().map(|at| (at, Due::Day)),
            self.drift.as_ref().map(|drift| (drift.at, Due::Drift)),
            self.late.first_key_value().map(|(&(at, _), _)| (at, Due::Late)),
            self.orders.next_expiry().map(|(at, place)| (at, Due::Expiry(place))),
            self.feed.peek_time().map(|at| (at, Due::Tick)),
        ];
        dues.into_iter().flatten().min()
    }

    fn note_skew(&mut self) {
        if self.clock.is_skewed() {
            self.note("clock_skew", FaultSubject::Other);
        }
    }

    fn drift_now(&mut self) {
        if let Some(Drift { currency, amount, shown, .. }) = self.drift.take() {
            self.account.drift(&currency, amount);
            self.note("balance_drift", FaultSubject::Balance(currency, shown));
        }
    }

    fn accept_late(&mut self) {
        let Some((_, request)) = self.late.pop_first() else { return };
        if self.clock() <= request.accept_by {
            // Nobody waits for the answer.
            drop(self.place(&request));
        }
    }

    /// Puts a fault into the audit.
    pub(super) fn note(&mut self, kind: &str, subject: FaultSubject) {
        self.faults.push(AuditedFault { kind: kind.to_owned(), at: self.now, subject });
    }

    /// The number of the attempt that comes next for a client order id, from 1.
    pub(super) fn next_attempt(&self, client_order_id: Uuid) -> u64 {
        self.attempts.get(&client_order_id).map_or(1, |attempts| attempts + 1)
    }

    /// Repeats a logged command; its answer was given long ago.
    pub(super) fn repeat(&mut self, command: &Command) {
        match command {
            Command::Submit { attempt, order } => drop(self.submit(order, *attempt)),
            Command::Cancel { client_order_id } => self.cancel(*client_order_id),
            Command::Page { after } => drop(self.page(*after)),
            Command::ReadFault { fault } => self.note_read_fault(*fault),
        }
    }

    /// A submit request at the door.
    pub(super) fn submit(&mut self, order: &OrderRequest, attempt: u64) -> Outcome<Acceptance> {
        self.submits.push((self.now, order.tag));
        self.attempts.insert(order.client_order_id, attempt);
        if self.outages.refuses_submit(self.now) {
            if let Some(number) = self.outages.begun() {
                self.note("outage", FaultSubject::Outage(number));
            }
            return Outcome::Answered(Err(VenueError::Refused));
        }
        let key = order.client_order_id.as_bytes();
        let Some(fault) = self.submit_rates.draw(self.chance, key, attempt) else {
            return Outcome::Answered(self.place(order));
        };
        self.note(fault.kind(), FaultSubject::Order(order.client_order_id));
        self.submit_under(fault, order, attempt)
    }

    fn submit_under(
        &mut self,
        fault: SubmitFault,
        order: &OrderRequest,
        attempt: u64,
    ) -> Outcome<Acceptance> {
        let key = order.client_order_id.as_bytes();
        let failed = |error| Outcome::Answered(Err(error));
        match fault {
            SubmitFault::TimeoutBeforeEffect => Outcome::Withheld,
            SubmitFault::TimeoutAfterEffect => {
                drop(self.place(order));
                Outcome::Withheld
            }
            SubmitFault::LateAcceptance => {
                let late_ms = self.chance.within(LATE_MS, "late_ms", key, attempt);
                let due = self.now.saturating_add(Duration::from_millis(late_ms));
                let number = u64::try_from(self.submits.len()).unwrap_or(u64::MAX);
                self.late.insert((due, number), order.clone());
                Outcome::Withheld
            }
            SubmitFault::ResetBeforeEffect => failed(VenueError::Reset),
            SubmitFault::ResetAfterEffect => {
                drop(self.place(order));
                failed(VenueError::Reset)
            }
            SubmitFault::RateLimited => {
                let seconds = self.chance.within(RETRY_AFTER_S, "retry_after_s", key, attempt);
                failed(VenueError::RateLimited { retry_after: Duration::from_secs(seconds) })
            }
            SubmitFault::ServerError => failed(VenueError::Unavailable { status: 503 }),
            SubmitFault::Reject => Outcome::Answered(self.enter(order, Err("risk_check"))),
        }
    }

    /// Checks an order, and puts it into the book or among the rejected.
    fn place(&mut self, request: &OrderRequest) -> Result<Acceptance, VenueError> {
        let checked = self.check(request);
        self.enter(request, checked)
    }

    fn check(&self, request: &OrderRequest) -> Result<Ordered, &'static str> {
        let mut listings = self.listings.iter();
        let instrument = listings
            .position(|listing| listing.symbol == request.symbol)
            .ok_or("unknown_symbol")?;
        let ordered = self.listings[instrument].check(instrument, request)?;
        if self.clock() > request.accept_by { Err("too_late") } else { Ok(ordered) }
    }

    fn enter(
        &mut self,
        request: &OrderRequest,
        checked: Result<Ordered, &'static str>,
    ) -> Result<Acceptance, VenueError> {
        let place = self.orders.add(request, checked);
        let ordered =
            checked.map_err(|reason| VenueError::Rejected { reason: reason.to_owned() })?;
        let venue_order_id = self.orders.at(place).venue_order_id.clone();
        self.announce(
            &request.symbol,
            &Event::Accepted {
                client_order_id: request.client_order_id,
                venue_order_id: venue_order_id.clone(),
            },
        );
        self.listings[ordered.instrument].open.push(place);
        if request.expire_at.is_some_and(|expiry| expiry <= self.now) {
            self.close(place, VenueOrderStatus::Expired);
        } else {
            self.trade(place, ordered, Arrival::Incoming);
        }
        Ok(Acceptance { venue_order_id })
    }

    /// Takes an order out of the book, in one of the ways that are not a fill.
    fn close(&mut self, place: usize, status: VenueOrderStatus) {
        let order = self.orders.at(place);
        let Some(ordered) = order.terms.filter(|_| order.is_open()) else { return };
        let client_order_id = order.request.client_order_id;
        let event = match status {
            VenueOrderStatus::Expired => Event::Expired { client_order_id },
            _ => Event::Cancelled { client_order_id },
        };
        let listing = &mut self.listings[ordered.instrument];
        listing.open.retain(|&open| open != place);
        let symbol = listing.symbol.clone();
        self.orders.close(place, status);
        self.announce(&symbol, &event);
    }

    /// Takes every open order with this id out of the book.
    pub(super) fn cancel(&mut self, client_order_id: Uuid) {
        for place in self.orders.places(client_order_id).to_vec() {
            self.close(place, VenueOrderStatus::Cancelled);
        }
    }

    /// The market moves, and the orders that wait there trade, oldest first.
    fn tick(&mut self) {
        let Some(tick) = self.feed.next() else { return };
        let Some(listing) = self.listings.get_mut(tick.instrument) else { return };
        listing.show(&tick);
        if listing.open.is_empty() {
            return;
        }
        for place in listing.open.clone() {
            if let Some(ordered) = self.orders.at(place).terms {
                self.trade(place, ordered, Arrival::Resting);
            }
        }
    }

    /// Trades what an order wants and the market has.
    fn trade(&mut self, place: usize, ordered: Ordered, arrival: Arrival) {
        let Ordered { instrument, limit, rest } = ordered;
        let listing = &self.listings[instrument];
        let side = self.orders.at(place).request.side;
        let quantity = rest.min(listing.liquidity);
        let Some(price) = listing.price_for(side, limit, arrival) else { return };
        if quantity.is_zero() {
            return;
        }
        // A trade whose figures leave their range cannot be booked, so it does not come about.
        if let Err(error) = self.execute(place, ordered, quantity, price) {
            tracing::warn!(%error, place, "a trade cannot be booked");
        }
    }

    fn execute(
        &mut self,
        place: usize,
        ordered: Ordered,
        quantity: Amount,
        price: Amount,
    ) -> Result<(), backstop_position_ledger::error::AmountError> {
        let listing = &self.listings[ordered.instrument];
        let order = self.orders.at(place);
        let (value, fee) = listing.value_and_fee(quantity, price)?;
        let (instrument, side) = (ordered.instrument, order.request.side);
        let rest = ordered.rest.checked_sub(quantity)?;
        let liquidity = listing.liquidity.checked_sub(quantity)?;
        let trade = Trade {
            trade_id: format!("T{:08}", self.trades.len() + 1),
            client_order_id: order.request.client_order_id,
            symbol: listing.symbol.clone(),
            side,
            quantity: quantity.try_into()?,
            price: price.try_into()?,
            fee: fee.try_into()?,
            fee_currency: listing.quote.clone(),
            at: self.clock(),
        };
        self.account.book(&Booking { instrument, side, quantity, value, fee })?;
        let listing = &mut self.listings[instrument];
        listing.liquidity = liquidity;
        if self.orders.fill(place, rest) {
            listing.open.retain(|&open| open != place);
        }
        self.trades.push((self.now, trade.clone()));
        let symbol = trade.symbol.clone();
        self.announce(&symbol, &Event::Filled { trade });
        Ok(())
    }

    fn announce(&mut self, symbol: &str, event: &Event) {
        let at = self.clock();
        if let Some(hit) = self.events.append(self.now, at, symbol, event) {
            self.note(hit.fault.kind(), FaultSubject::Event(hit.sequence));
        }
    }

    /// A page of events; marks what was delivered.
    pub(super) fn page(&mut self, after: u64) -> EventPage {
        let (page, hits) = self.events.page(self.now, after);
        for hit in hits {
            self.note(hit.fault.kind(), FaultSubject::Event(hit.sequence));
        }
        page
    }

    pub(super) fn note_read_fault(&mut self, fault: ReadFault) {
        self.note(fault.kind(), FaultSubject::Other);
    }

    /// The books, and with a window what is open and the trades since.
    pub(super) fn statement(&self, from: Option<Timestamp>) -> VenueStatement {
        let open = self.listings.iter().flat_map(|listing| &listing.open);
        let since = |from| {
            let first = self.trades.partition_point(|(_, trade)| trade.at < from);
            self.trades[first..].iter().map(|(_, trade)| trade.clone()).collect()
        };
        VenueStatement {
            as_of: self.clock(),
            event_head: self.events.head(),
            positions: self.account.positions(),
            balances: self.account.balances(),
            open_orders: from.map(|_| open.map(|&place| self.orders.at(place).view()).collect()),
            trades: from.map(since),
        }
    }

    pub(super) fn audit(&mut self) -> Audit {
        Audit {
            orders: self.orders.audit(),
            trades: self.trades.clone(),
            positions: self.account.positions(),
            balances: self.account.balances(),
            fees: self.account.fees(),
            faults: self.faults.clone(),
            outages: self.outages.list(self.now),
            submits: self.submits.clone(),
        }
    }
}

impl Drift {
    /// A moment of the middle half of the span, and what goes missing then.
    fn drawn(chance: Chance, span: (Timestamp, Timestamp), currency: &str) -> Self {
        let length_ms = u64::try_from(span.1.since(span.0).as_millis()).unwrap_or(u64::MAX);
        let middle = length_ms / 4..=length_ms / 4 * 3;
        let into_ms = chance.within(middle, "drift_at", currency, 0);
        let cents = i64::try_from(chance.within(DRIFT_CENTS, "drift_cents", currency, 0));
        let shown = -Decimal::new(cents.unwrap_or(0), 2);
        Self {
            at: span.0.saturating_add(Duration::from_millis(into_ms)),
            currency: currency.to_owned(),
            // Two decimals always fit.
            amount: shown.try_into().unwrap_or(Amount::ZERO),
            shown,
        }
    }
}
