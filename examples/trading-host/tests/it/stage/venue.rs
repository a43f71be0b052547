//! A venue that never fails of itself, and exactly as a test says.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    time::Duration,
};

use backstop_clock::{Clock, Sleep, Timestamp};
use rust_decimal::Decimal;
use trading_host::{
    faults::Profile,
    market::Feed,
    runtime::SimClock,
    sim_venue::{Outcome, SimVenue},
    venue::{
        Acceptance, Answer, Audit, AuditedFault, Delivery, Event, EventPage, FaultSubject, LookUp,
        OrderRequest, TradeWindow, Venue, VenueError, VenueStatement,
    },
};
use uuid::Uuid;

use crate::sim_venue::config;

/// How long each call takes.
const LATENCY: Duration = Duration::from_millis(10);

/// Everything that goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// What becomes of the n-th submit request, counted from 1.
    pub(crate) submits: BTreeMap<usize, Submit>,
    /// What becomes of the n-th event, counted from 1.
    pub(crate) events: BTreeMap<usize, Fate>,
    /// The venue lets nobody in from here to there.
    pub(crate) away: Option<(Timestamp, Timestamp)>,
    /// Money that goes without a word, and when.
    pub(crate) drift: Option<(Timestamp, Decimal)>,
    /// Units of an instrument that come without a word, and when.
    pub(crate) moved: Option<(Timestamp, &'static str, Decimal)>,
    /// The n-th trade, counted from 1, is told of at another price in statements.
    pub(crate) restated: Option<usize>,
    /// How far the clock that enforces deadlines is behind.
    pub(crate) behind: Duration,
}

/// What becomes of a submit request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Submit {
    /// No answer, and no order.
    Lost,
    /// No answer, but an order.
    Unanswered,
    /// No answer, and an order after a while.
    Late(Duration),
    /// 429 with Retry-After, and no order.
    Limited(Duration),
    /// An answer that says no.
    Rejected,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It comes again under the next number.
    Twice,
    /// It is never delivered.
    Never,
    /// It is delivered so much later.
    After(Duration),
    /// It is delivered so much later, and half of it is missing so many times.
    Torn(Duration, u32),
}

/// An event as it will be delivered.
#[derive(Debug)]
struct Row {
    delivery: Delivery,
    visible: Option<Timestamp>,
    /// How many deliveries are torn.
    torn: u32,
}

struct State {
    venue: SimVenue,
    script: Script,
    /// Events of the venue that have been given a number.
    seen: u64,
    rows: Vec<Row>,
    late: Vec<(Timestamp, OrderRequest)>,
    submits: Vec<(Timestamp, Uuid)>,
    faults: Vec<AuditedFault>,
    dropped_trades: Vec<String>,
    outage_begun: bool,
    drifted: bool,
}

/// A [`SimVenue`] without faults, behind those of a [`Script`].
pub(crate) struct ScriptedVenue {
    clock: SimClock,
    state: RefCell<State>,
    /// When an order was looked up, and how many were found.
    look_ups: RefCell<Vec<(Timestamp, usize)>>,
    /// When a cancel came.
    cancels: RefCell<Vec<Timestamp>>,
    calls: Cell<u64>,
}

impl ScriptedVenue {
    pub(crate) fn new(feed: Box<dyn Feed>, clock: SimClock, script: &Script) -> Self {
        let venue = SimVenue::new(feed, &config(1, Profile::None, 1_000_000)).unwrap();
        let state = State {
            venue,
            script: script.clone(),
            seen: 0,
            rows: Vec::new(),
            late: Vec::new(),
            submits: Vec::new(),
            faults: Vec::new(),
            dropped_trades: Vec::new(),
            outage_begun: false,
            drifted: false,
        };
        Self {
            clock,
            state: RefCell::new(state),
            look_ups: RefCell::default(),
            cancels: RefCell::default(),
            calls: Cell::default(),
        }
    }

    /// When an order was looked up, and how many were found.
    pub(crate) fn look_ups(&self) -> Vec<(Timestamp, usize)> {
        self.look_ups.borrow().clone()
    }

    /// When a cancel came.
    pub(crate) fn cancels(&self) -> Vec<Timestamp> {
        self.cancels.borrow().clone()
    }

    /// How many calls came, the audit left out.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// What really happened.
    pub(crate) fn truth(&self) -> Audit {
        self.state.borrow_mut().truth(self.clock.now())
    }

    /// Lets the time of a call pass; then the venue is as of now, or away.
    async fn call<T>(
        &self,
        answer: impl FnOnce(&mut State, Timestamp) -> Result<T, VenueError>,
    ) -> Result<T, VenueError> {
        self.calls.set(self.calls.get() + 1);
        self.clock.sleep(LATENCY).await;
        let now = self.clock.now();
        let mut state = self.state.borrow_mut();
        state.advance(now);
        if state.is_away(now) { Err(VenueError::Refused) } else { answer(&mut state, now) }
    }
}

impl State {
    fn is_away(&self, now: Timestamp) -> bool {
        self.script.away.is_some_and(|(from, to)| from <= now && now < to)
    }

    fn note(&mut self, kind: &str, at: Timestamp, subject: FaultSubject) {
        self.faults.push(AuditedFault { kind: kind.to_owned(), at, subject });
    }

    /// Lets happen what has happened by now.
    fn advance(&mut self, now: Timestamp) {
        self.late.sort_by_key(|(due, _)| *due);
        while self.late.first().is_some_and(|(due, _)| *due <= now) {
            let (due, order) = self.late.remove(0);
            // The deadline is enforced by a clock that may be behind.
            let behind = self.script.behind;
            let accept_by = order.accept_by.saturating_add(behind);
            drop(self.venue.submit(due, &OrderRequest { accept_by, ..order }));
        }
        if let Some((at, amount)) = self.script.drift.filter(|(at, _)| *at <= now && !self.drifted)
        {
            self.drifted = true;
            self.note("balance_drift", at, FaultSubject::Balance("USD".to_owned(), amount));
        }
        while let Outcome::Answered(Ok(page)) = self.venue.events(now, self.seen)
            && !page.deliveries.is_empty()
        {
            page.deliveries.iter().for_each(|delivery| self.number(delivery));
        }
    }

    /// Numbers an event as it will be delivered.
    fn number(&mut self, delivery: &Delivery) {
        self.seen = delivery.sequence;
        let nth = usize::try_from(delivery.sequence).unwrap();
        let at = delivery.at;
        let fate = self.script.events.get(&nth).copied();
        let (visible, torn) = match fate {
            None | Some(Fate::Twice) => (Some(at), 0),
            Some(Fate::Never) => (None, 0),
            Some(Fate::After(delay)) => (Some(at.saturating_add(delay)), 0),
            Some(Fate::Torn(delay, times)) => (Some(at.saturating_add(delay)), times),
        };
        if let (None, Ok(Event::Filled { trade })) =
            (visible, serde_json::from_slice(&delivery.payload))
        {
            self.dropped_trades.push(trade.trade_id);
        }
        let copies = if matches!(fate, Some(Fate::Twice)) { 2 } else { 1 };
        for _ in 0..copies {
            let sequence = u64::try_from(self.rows.len()).unwrap() + 1;
            let delivery = Delivery { sequence, ..delivery.clone() };
            self.rows.push(Row { delivery, visible, torn });
        }
        if let Some(fate) = fate {
            let last = u64::try_from(self.rows.len()).unwrap();
            let name = format!("{fate:?}");
            self.note(&name, at, FaultSubject::Event(last));
        }
    }

    fn submit(&mut self, now: Timestamp, order: &OrderRequest) -> Outcome<Acceptance> {
        self.submits.push((now, order.tag));
        if self.is_away(now) {
            if !std::mem::replace(&mut self.outage_begun, true) {
                self.note("outage", now, FaultSubject::Outage(1));
            }
            return Outcome::Answered(Err(VenueError::Refused));
        }
        let subject = FaultSubject::Order(order.client_order_id);
        let Some(fate) = self.script.submits.get(&self.submits.len()).copied() else {
            let outcome = self.venue.submit(now, order);
            self.advance(now);
            return outcome;
        };
        match fate {
            Submit::Lost => self.note("timeout_before_effect", now, subject),
            Submit::Unanswered => {
                self.note("timeout_after_effect", now, subject);
                drop(self.venue.submit(now, order));
                self.advance(now);
            }
            Submit::Late(delay) => {
                self.note("late_acceptance", now, subject);
                self.late.push((now.saturating_add(delay), order.clone()));
            }
            Submit::Limited(retry_after) => {
                self.note("rate_limited", now, subject);
                return Outcome::Answered(Err(VenueError::RateLimited { retry_after }));
            }
            Submit::Rejected => {
                self.note("reject", now, subject);
                let reason = "risk_check".to_owned();
                return Outcome::Answered(Err(VenueError::Rejected { reason }));
            }
        }
        Outcome::Withheld
    }

    fn page(&mut self, now: Timestamp, after: u64) -> EventPage {
        let head = u64::try_from(self.rows.len()).unwrap();
        let rows = self.rows.iter_mut().skip(usize::try_from(after).unwrap());
        let visible = rows.filter(|row| row.visible.is_some_and(|visible| visible <= now));
        let deliveries = visible.map(|row| {
            let mut delivery = row.delivery.clone();
            if row.torn > 0 {
                row.torn -= 1;
                delivery.payload.truncate(delivery.payload.len() / 2);
            }
            delivery
        });
        EventPage { deliveries: deliveries.collect(), head }
    }

    fn drift_of(&self, currency: &str) -> Decimal {
        let drift = self.script.drift.filter(|_| self.drifted && currency == "USD");
        drift.map_or(Decimal::ZERO, |(_, amount)| amount)
    }

    fn with_drift(&self, balances: Vec<(String, Decimal)>) -> Vec<(String, Decimal)> {
        let drifted = balances.into_iter().map(|(currency, total)| {
            let drift = self.drift_of(&currency);
            (currency, total + drift)
        });
        drifted.collect()
    }

    fn with_moved(
        &self,
        positions: Vec<(String, Decimal)>,
        now: Timestamp,
    ) -> Vec<(String, Decimal)> {
        let mut positions: BTreeMap<_, _> = positions.into_iter().collect();
        if let Some((_, symbol, units)) = self.script.moved.filter(|(at, ..)| *at <= now) {
            *positions.entry(symbol.to_owned()).or_default() += units;
        }
        positions.into_iter().filter(|(_, units)| !units.is_zero()).collect()
    }

    fn statement(&mut self, now: Timestamp, window: Option<TradeWindow>) -> VenueStatement {
        let mut statement = answer_of(self.venue.statement(now, window)).unwrap();
        let balances = self.with_drift(statement.balances);
        let positions = self.with_moved(statement.positions, now);
        if let (Some(trades), Some(nth)) = (&mut statement.trades, self.script.restated) {
            let id = format!("T{nth:08}");
            let restated = trades.iter_mut().find(|trade| trade.trade_id == id);
            if let Some(trade) = restated {
                trade.price += Decimal::ONE;
            }
        }
        let event_head = u64::try_from(self.rows.len()).unwrap();
        VenueStatement { balances, positions, event_head, ..statement }
    }

    fn truth(&mut self, now: Timestamp) -> Audit {
        self.advance(now);
        let audit = self.venue.audit(now);
        let balances = self.with_drift(audit.balances);
        let positions = self.with_moved(audit.positions, now);
        let faults = self.faults.clone();
        let outages = self.script.away.filter(|_| self.outage_begun);
        Audit {
            balances,
            positions,
            faults,
            outages: outages.map(|(from, to)| (from, Some(to))).into_iter().collect(),
            submits: self.submits.clone(),
            dropped_trades: self.dropped_trades.clone(),
            ..audit
        }
    }
}

fn answer_of<T>(outcome: Outcome<T>) -> Result<T, VenueError> {
    match outcome {
        Outcome::Answered(answer) => answer,
        Outcome::Withheld => unreachable!("a venue without faults answers"),
    }
}

impl Venue for ScriptedVenue {
    fn submit<'a>(&'a self, order: &'a OrderRequest) -> Answer<'a, Acceptance> {
        Box::pin(async move {
            self.calls.set(self.calls.get() + 1);
            self.clock.sleep(LATENCY).await;
            let now = self.clock.now();
            let outcome = {
                let mut state = self.state.borrow_mut();
                state.advance(now);
                state.submit(now, order)
            };
            match outcome {
                Outcome::Answered(answer) => answer,
                Outcome::Withheld => std::future::pending().await,
            }
        })
    }

    fn look_up(&self, client_order_id: Uuid) -> Answer<'_, LookUp> {
        Box::pin(async move {
            let found = self
                .call(|state, now| {
                    let found = answer_of(state.venue.look_up(now, client_order_id))?;
                    let venue_time = found.venue_time.saturating_sub(state.script.behind);
                    Ok(LookUp { venue_time, ..found })
                })
                .await?;
            self.look_ups.borrow_mut().push((self.clock.now(), found.orders.len()));
            Ok(found)
        })
    }

    fn cancel(&self, client_order_id: Uuid) -> Answer<'_, ()> {
        Box::pin(async move {
            self.call(|state, now| answer_of(state.venue.cancel(now, client_order_id))).await?;
            self.cancels.borrow_mut().push(self.clock.now());
            Ok(())
        })
    }

    fn events(&self, after: u64) -> Answer<'_, EventPage> {
        Box::pin(self.call(move |state, now| Ok(state.page(now, after))))
    }

    fn statement(&self, window: Option<TradeWindow>) -> Answer<'_, VenueStatement> {
        Box::pin(self.call(move |state, now| Ok(state.statement(now, window))))
    }

    fn audit(&self) -> Answer<'_, Audit> {
        Box::pin(async move { Ok(self.truth()) })
    }
}

impl fmt::Debug for ScriptedVenue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedVenue").field("calls", &self.calls).finish_non_exhaustive()
    }
}
