//! The venue in the host's own process, on the host's simulated time.

use std::{cell::RefCell, rc::Rc};

use backstop_clock::Clock;
use uuid::Uuid;

use super::{Latency, Outcome, SimVenue};
use crate::{
    runtime::SimClock,
    venue::{
        Acceptance, Answer, Audit, EventPage, LookUp, OrderRequest, TradeWindow, Venue, VenueError,
        VenueStatement,
    },
};

/// A [`SimVenue`] behind the [`Venue`] trait; clones share it.
///
/// A call lasts as long as the way to a venue does, 20 to 80 ms for a submit or cancel and 5 to
/// 20 ms for a read, and takes effect at its end.
/// A withheld answer never comes: the caller's own time limit ends the wait.
#[derive(Clone, Debug)]
pub struct InProcess {
    venue: Rc<RefCell<SimVenue>>,
    latency: Latency,
}

impl InProcess {
    /// Puts a venue on a clock.
    pub fn new(venue: SimVenue, clock: SimClock) -> Self {
        let latency = Latency::new(venue.chance, clock);
        Self { venue: Rc::new(RefCell::new(venue)), latency }
    }

    /// Asks the venue now; the borrow ends before anybody waits.
    async fn ask<T>(
        &self,
        request: impl FnOnce(&mut SimVenue) -> Outcome<T>,
    ) -> Result<T, VenueError> {
        let outcome = request(&mut self.venue.borrow_mut());
        match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Withheld => std::future::pending().await,
        }
    }
}

impl Venue for InProcess {
    fn submit<'a>(&'a self, order: &'a OrderRequest) -> Answer<'a, Acceptance> {
        Box::pin(async move {
            self.latency.write(order.client_order_id.as_bytes()).await;
            self.ask(|venue| venue.submit(self.latency.clock().now(), order)).await
        })
    }

    fn look_up(&self, client_order_id: Uuid) -> Answer<'_, LookUp> {
        Box::pin(async move {
            self.latency.read().await;
            self.ask(|venue| venue.look_up(self.latency.clock().now(), client_order_id)).await
        })
    }

    fn cancel(&self, client_order_id: Uuid) -> Answer<'_, ()> {
        Box::pin(async move {
            self.latency.write(client_order_id.as_bytes()).await;
            self.ask(|venue| venue.cancel(self.latency.clock().now(), client_order_id)).await
        })
    }

    fn events(&self, after: u64) -> Answer<'_, EventPage> {
        Box::pin(async move {
            self.latency.read().await;
            self.ask(|venue| venue.events(self.latency.clock().now(), after)).await
        })
    }

    fn statement(&self, window: Option<TradeWindow>) -> Answer<'_, VenueStatement> {
        Box::pin(async move {
            self.latency.read().await;
            self.ask(|venue| venue.statement(self.latency.clock().now(), window)).await
        })
    }

    fn audit(&self) -> Answer<'_, Audit> {
        let audit = self.venue.borrow_mut().audit(self.latency.clock().now());
        Box::pin(async move { Ok(audit) })
    }
}
