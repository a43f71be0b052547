//! The venue without its file: time, market, orders, books and faults as one state machine.

use std::{collections::BTreeMap, time::Duration};

use backstop_clock::Timestamp;
use backstop_position_ledger::Amount;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    SetupError, VenueConfig, account::Account, events::EventLog, listing::Listing, log::Command,
    orders::Orders, outages::Outages, skew::SkewedClock,
};
use crate::{
    chance::Chance,
    faults::{ReadFault, SubmitRates},
    market::Feed,
    venue::{
        Audit, AuditedFault, Event, EventPage, FaultSubject, OrderRequest, Trade, VenueOrderStatus,
        VenueStatement,
    },
};

/// The silent drift, in hundredths of a unit: below what a host settles without asking.
const DRIFT_CENTS: std::ops::RangeInclusive<u64> = 100..=4_000;

/// Everything that the venue is.
pub(super) struct Exchange {
    pub(super) now: Timestamp,
    pub(super) chance: Chance,
    pub(super) submit_rates: SubmitRates,
    pub(super) feed: Box<dyn Feed>,
    clock: SkewedClock,
    pub(super) listings: Vec<Listing>,
    pub(super) orders: Orders,
    pub(super) account: Account,
    pub(super) events: EventLog,
    /// With the true time of each.
    pub(super) trades: Vec<(Timestamp, Trade)>,
    /// Orders of which nothing is known yet, by the time and number at which they are accepted.
    pub(super) late: BTreeMap<(Timestamp, u64), OrderRequest>,
    /// The drift to come.
    drift: Option<Drift>,
    pub(super) outages: Outages,
    faults: Vec<AuditedFault>,
    /// Submit requests at the door, with the true time of each.
    pub(super) submits: Vec<(Timestamp, Uuid)>,
    pub(super) attempts: BTreeMap<Uuid, u64>,
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
            // Its line was advanced to already.
            Command::Reach => {}
        }
    }

    /// Takes an order out of the book, in one of the ways that are not a fill.
    pub(super) fn close(&mut self, place: usize, status: VenueOrderStatus) {
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

    pub(super) fn announce(&mut self, symbol: &str, event: &Event) {
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
            dropped_trades: self.events.dropped_trades(),
            events: self.events.times(),
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
