//! The desk: turns the position that a strategy wants into orders, one instrument at a time.
//!
//! | the order's entry in the journal | what the process may do next |
//! |---|---|
//! | `Intended`, on disk | send it, once |
//! | `Accepted` | wait for events, or cancel |
//! | `OutcomeUnknown` | look it up; no other order of this instrument goes out |
//! | `Resolved(NotApplied)`, `Rejected` | decide anew, with a new intent |

use std::{cell::RefCell, rc::Rc, time::Duration};

use backstop_clock::{Clock, Sleep, Timestamp};
use backstop_error_taxonomy::{Action, Classify, Effect, Transience};
use backstop_position_ledger::{
    Amount, Fact, Outcome, Text,
    error::AppendError,
    fill::Side,
    order::{Event, Intent, Resolution, Strategy as StrategyName, VenueOrderId},
};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    guard::CallError,
    halt::Cause,
    host::{Host, Stop},
    strategy::{Style, Target},
    trouble::{Case, SUBMIT},
    venue::{self, FaultSubject, OrderRequest, VenueError},
};

/// An order that the venue has not accepted by then is none, and the venue enforces it.
pub const ACCEPT_WITHIN: Duration = Duration::from_secs(15);

/// How long the desk waits at first for what is not known yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// The first wait between two look-ups of one order, doubled up to the longest.
const LOOK_UP_FIRST: Duration = Duration::from_millis(500);
const LOOK_UP_LONGEST: Duration = Duration::from_secs(30);

/// The longest wait for the end of an order that was cancelled and does not end.
const CANCEL_LONGEST: Duration = Duration::from_hours(1);

/// What is wanted of one instrument, as the strategy said it last.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The strategy's name.
    pub strategy: &'static str,
    /// The position and how to get there.
    pub target: Target,
    /// When it was said.
    pub at: Timestamp,
}

/// The wishes of all strategies.
#[derive(Debug)]
pub struct Desk {
    wanted: RefCell<Vec<Option<Wanted>>>,
    /// The venue said no; nothing more is tried before the instrument's next bar.
    refused: RefCell<Vec<bool>>,
}

/// What the desk does next for an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Take these orders from the book first.
    Cancel(Vec<Uuid>),
    /// Something is not known yet.
    Wait,
    /// Send an order for this signed quantity.
    Order {
        /// Above zero to buy, below to sell.
        quantity: Amount,
        /// How.
        style: Style,
        /// Who wanted it.
        strategy: &'static str,
        /// When it leaves the book.
        expire_at: Option<Timestamp>,
    },
}

impl Desk {
    /// A desk for so many instruments.
    pub fn new(instruments: usize) -> Self {
        Self {
            wanted: RefCell::new(vec![None; instruments]),
            refused: RefCell::new(vec![false; instruments]),
        }
    }

    /// A strategy has spoken.
    pub fn want(&self, wanted: Wanted) {
        let instrument = wanted.target.instrument;
        if let Some(slot) = self.wanted.borrow_mut().get_mut(instrument) {
            *slot = Some(wanted);
        }
    }

    /// A bar of the instrument has closed: what was refused may be tried again.
    pub fn bar_closed(&self, instrument: usize) {
        if let Some(refused) = self.refused.borrow_mut().get_mut(instrument) {
            *refused = false;
        }
    }

    fn refuse(&self, instrument: usize) {
        if let Some(refused) = self.refused.borrow_mut().get_mut(instrument) {
            *refused = true;
        }
    }

    fn is_refused(&self, instrument: usize) -> bool {
        self.refused.borrow().get(instrument).copied().unwrap_or(true)
    }

    fn wanted(&self, instrument: usize) -> Option<Wanted> {
        self.wanted.borrow().get(instrument).cloned().flatten()
    }
}

/// Decides the next step from the books and the wish; changes nothing.
///
/// # Errors
/// An amount that leaves the range.
pub fn next_step(host: &Host, instrument: usize) -> Result<Step, Stop> {
    let id = host.instrument_id(instrument);
    let books = host.accounts.view();
    let mut resting = Vec::new();
    let mut remaining = Amount::ZERO;
    for order in books.open_orders().filter(|order| order.intent().instrument == *id) {
        if order.status().is_unresolved() {
            return Ok(Step::Wait);
        }
        let intent = order.intent();
        let open = intent.side.signed(intent.quantity.checked_sub(order.filled())?);
        remaining = remaining.checked_add(open)?;
        resting.push((intent.order_id, intent.limit));
    }
    drop(books);
    let cancel = |resting: Vec<(Uuid, Option<Amount>)>| {
        Step::Cancel(resting.into_iter().map(|(id, _)| id).collect())
    };

    if host.accounts.is_apart(id) {
        return Ok(if resting.is_empty() { Step::Rest } else { cancel(resting) });
    }
    let halted = host.halt.is_on();
    if halted && !resting.is_empty() && !(host.halt.flattens() && resting.iter().all(is_market)) {
        return Ok(cancel(resting));
    }
    if halted && !host.halt.flattens() || !halted && host.desk.is_refused(instrument) {
        return Ok(Step::Rest);
    }
    let wanted = if halted { Some(host.flat(instrument)) } else { host.desk.wanted(instrument) };
    let Some(Wanted { strategy, target, at }) = wanted else { return Ok(Step::Rest) };
    let (limit, expire_at) = match target.style {
        Style::Market => (None, None),
        Style::Limit { price, good_for } => {
            (Some(Amount::try_from(price)?), Some(at.saturating_add(good_for)))
        }
    };
    let held = host.accounts.quantity(id);
    let missing = Amount::try_from(target.quantity)?.checked_sub(held)?;
    if resting.is_empty() {
        // A limit that ran out has said what it had to say.
        let is_over = expire_at.is_some_and(|end| host.clock.now() >= end);
        if missing.is_zero() || is_over || !(halted || host.may_trade()) {
            return Ok(Step::Rest);
        }
        return Ok(Step::Order { quantity: missing, style: target.style, strategy, expire_at });
    }
    let as_wanted = remaining == missing && resting.iter().all(|(_, price)| *price == limit);
    Ok(if as_wanted { Step::Rest } else { cancel(resting) })
}

fn is_market(resting: &(Uuid, Option<Amount>)) -> bool {
    resting.1.is_none()
}

/// Works one instrument for as long as the run lasts.
///
/// # Errors
/// [`Stop`] when the books can no longer be written.
pub async fn work(host: Rc<Host>, instrument: usize) -> Result<(), Stop> {
    loop {
        host.nudges[instrument].wait().await;
        let mut patience = PATIENCE;
        loop {
            match next_step(&host, instrument)? {
                Step::Rest => break,
                Step::Wait => wait(&host, &mut patience, LOOK_UP_LONGEST).await,
                Step::Cancel(orders) => {
                    cancel(&host, &orders).await;
                    // What became of them comes as events, a last fill included.
                    wait(&host, &mut patience, CANCEL_LONGEST).await;
                }
                Step::Order { quantity, style, strategy, expire_at } => {
                    let order = intend(&host, instrument, quantity, (style, strategy, expire_at))?;
                    submit(&host, instrument, order).await?;
                }
            }
        }
    }
}

/// Waits, and will wait longer the next time.
async fn wait(host: &Host, patience: &mut Duration, longest: Duration) {
    host.clock.sleep(*patience).await;
    *patience = patience.saturating_mul(2).min(longest);
}

async fn cancel(host: &Host, orders: &[Uuid]) {
    for order in orders {
        let cancelled = host.guard.repeat(|| host.venue.cancel(*order)).await;
        host.observe(&cancelled);
    }
    host.poll.raise();
}

/// Writes the intent down and waits until it is on disk.
fn intend(
    host: &Host,
    instrument: usize,
    quantity: Amount,
    (style, strategy, expire_at): (Style, &'static str, Option<Timestamp>),
) -> Result<OrderRequest, Stop> {
    let now = host.clock.now();
    let order_id = host.accounts.mint("order");
    let (side, venue_side) = if quantity.is_negative() {
        (Side::Sell, venue::Side::Sell)
    } else {
        (Side::Buy, venue::Side::Buy)
    };
    let limit: Option<Decimal> = match style {
        Style::Market => None,
        Style::Limit { price, .. } => Some(price),
    };
    let intent = Intent {
        order_id,
        tag: host.accounts.mint("tag"),
        instrument: host.instrument_id(instrument).clone(),
        side,
        quantity: quantity.abs(),
        limit: limit.map(Amount::try_from).transpose()?,
        accept_by: now.saturating_add(ACCEPT_WITHIN),
        strategy: StrategyName::new(strategy)?,
    };
    let request = OrderRequest {
        client_order_id: order_id,
        tag: intent.tag,
        symbol: host.symbol(instrument).to_owned(),
        side: venue_side,
        quantity: Decimal::try_from(intent.quantity)?,
        limit,
        accept_by: intent.accept_by,
        expire_at,
    };
    let intended = host.accounts.post_durably(now, order_id, Fact::intended(intent))?;
    if !matches!(intended, Outcome::Applied { .. }) {
        // An id that was used before must not leave the process a second time.
        return Err(Stop::Books(format!("order id {order_id} is in the journal already")));
    }
    host.crash_point("intended");
    host.poll.raise();
    Ok(request)
}

/// Sends an intent that is on disk, and does not leave before its outcome is known.
async fn submit(host: &Host, instrument: usize, order: OrderRequest) -> Result<(), Stop> {
    let order_id = order.client_order_id;
    let subject = FaultSubject::Order(order_id);
    let may_send = || host.may_send(order.client_order_id);
    let submitted = host.guard.submit(&*host.venue, &order, may_send).await;
    host.crash_point("submitted");
    let now = host.clock.now();
    let stopped = match submitted {
        Ok(finished) => {
            if finished.attempts > 1 {
                host.watch.notice(subject.clone(), now);
            }
            host.watch.repair(subject, now);
            let venue_order_id = VenueOrderId::new(&finished.value.venue_order_id)?;
            let accepted = Event::Accepted { venue_order_id };
            host.note(order_id, accepted)?;
            host.poll.raise();
            return Ok(());
        }
        Err(stopped) => stopped,
    };
    host.watch.notice(subject.clone(), now);
    if matches!(stopped.error, Some(CallError::Venue(VenueError::Refused))) {
        host.watch.refused(now);
    }
    let decision = host.policy.decide(stopped.class(), &SUBMIT);
    // No message is there to be set aside: it is the order that is looked up, below.
    if decision.action != Action::Isolate {
        let text = stopped.error.as_ref().map_or_else(String::new, ToString::to_string);
        let (name, component, cause) = ("order_failed", SUBMIT.component, Cause::CriticalError);
        host.carry_out(&decision, &Case { name, component, cause, instrument: None, text });
    }
    let (kind, component) = (stopped.class().kind(), SUBMIT.component);
    if decision.class.effect() != Effect::NotApplied {
        // Whatever else was decided: what may have been placed is looked up, never sent again.
        doubt(host, order_id).await?;
        host.errors.recovered(kind, component, host.clock.now());
        return Ok(());
    }
    host.errors.failed(kind, component, now);
    let event = match &stopped.error {
        Some(CallError::Venue(VenueError::Rejected { reason })) => {
            Event::Rejected { reason: Text::clipped(reason) }
        }
        _ => Event::Resolved(Resolution::NotApplied),
    };
    host.note(order_id, event)?;
    host.watch.repair(subject, now);
    match (decision.action, decision.class.transience()) {
        // The same order would fail the same way: the strategy has to want something else.
        (Action::Propagate, Transience::Permanent) => host.desk.refuse(instrument),
        _ => host.guard.pause().await,
    }
    Ok(())
}

/// Writes down that an order may have been placed, and looks it up.
async fn doubt(host: &Host, order_id: Uuid) -> Result<(), Stop> {
    // An event may have brought the answer meanwhile.
    if host.is_unresolved(order_id) {
        host.note(order_id, Event::OutcomeUnknown)?;
    }
    host.crash_point("doubted");
    resolve(host, order_id).await
}

/// When an order that the venue does not show is taken for never placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Once the venue's clock has passed the order's deadline.
    AfterDeadline,
    /// At the first look; shows what the invariants are for.
    AtFirstLook,
}

/// Looks an order up until its outcome is certain, and writes it down.
///
/// Nothing found stays unknown until the venue's own clock has passed the deadline: until then
/// the order may still be accepted.
///
/// # Errors
/// [`Stop`] when the books can no longer be written.
pub async fn resolve(host: &Host, order_id: Uuid) -> Result<(), Stop> {
    let mut wait = LOOK_UP_FIRST;
    let event = loop {
        host.clock.sleep(wait).await;
        wait = wait.saturating_mul(2).min(LOOK_UP_LONGEST);
        let Some(accept_by) = host.accept_by(order_id) else { return Ok(()) };
        let looked_up = host.guard.repeat(|| host.venue.look_up(order_id)).await;
        host.observe(&looked_up);
        let Ok(found) = looked_up else { continue };
        match found.orders.first() {
            Some(order) => break outcome_of(order)?,
            None if found.venue_time > accept_by || host.absence == Absence::AtFirstLook => {
                break Event::Resolved(Resolution::NotApplied);
            }
            None => {}
        }
    };
    let now = host.clock.now();
    // An event of the order may have settled it meanwhile.
    if host.is_unresolved(order_id) {
        host.note(order_id, event)?;
        host.count_resolved();
    }
    host.watch.repair(FaultSubject::Order(order_id), now);
    host.poll.raise();
    Ok(())
}

/// Learns how an order ended whose last event never came; one that did not end stays as it is.
///
/// # Errors
/// [`Stop`] when the books can no longer be written.
pub async fn learn_end(host: &Host, order_id: Uuid) -> Result<(), Stop> {
    let looked_up = host.guard.repeat(|| host.venue.look_up(order_id)).await;
    host.observe(&looked_up);
    let Ok(found) = looked_up else { return Ok(()) };
    let end = match found.orders.first().map(|order| &order.status) {
        Some(venue::VenueOrderStatus::Cancelled) => Event::Cancelled,
        Some(venue::VenueOrderStatus::Expired) => Event::Expired,
        _ => return Ok(()),
    };
    // The event may have come while the venue was asked.
    if host.is_open(order_id) {
        host.note(order_id, end)?;
    }
    Ok(())
}

fn outcome_of(order: &venue::VenueOrder) -> Result<Event, Stop> {
    Ok(match &order.status {
        venue::VenueOrderStatus::Rejected { reason } => {
            Event::Rejected { reason: Text::clipped(reason) }
        }
        _ => Event::Resolved(Resolution::Accepted {
            venue_order_id: VenueOrderId::new(&order.venue_order_id)?,
        }),
    })
}

impl From<AppendError> for Stop {
    fn from(error: AppendError) -> Self {
        Self::Books(error.to_string())
    }
}
