//! Submit requests: what befalls them at the door, and how an order comes into being.

use std::time::Duration;

use super::{Outcome, exchange::Exchange, listing::Arrival, orders::Ordered};
use crate::{
    faults::SubmitFault,
    venue::{Acceptance, Event, FaultSubject, OrderRequest, VenueError, VenueOrderStatus},
};

/// How long nothing is known of an order that is accepted late.
const LATE_MS: std::ops::RangeInclusive<u64> = 4_000..=8_000;

/// How long a caller over the rate limit is asked to wait.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 1..=3;

impl Exchange {
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
    pub(super) fn place(&mut self, request: &OrderRequest) -> Result<Acceptance, VenueError> {
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
}
