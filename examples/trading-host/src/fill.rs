//! Books one event of the venue, or says why it cannot.

use std::rc::Rc;

use backstop_clock::Clock;
use backstop_dlq::{Handler, Message};
use backstop_error_taxonomy::{Class, Classify, Kind};
use backstop_position_ledger::{
    Amount, Currency, Fact, InstrumentId, Outcome,
    error::{AmountError, AppendError, Difference, NameError},
    fill::{Fill, Side, Source, TradeId},
    order::{Event as OrderEvent, VenueOrderId},
};
use uuid::Uuid;

use crate::{
    host::Host,
    trouble::Trouble,
    venue::{self, Event, FaultSubject, Trade},
};

/// Why an event was not booked.
#[derive(Debug, thiserror::Error)]
pub enum BookingError {
    /// The payload is no event.
    #[error("the payload is no event: {0}")]
    Undecodable(#[from] serde_json::Error),
    /// A name or number is outside of what the books take.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A number is outside of what the books take.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The books refused.
    #[error(transparent)]
    Books(#[from] AppendError),
    /// The books hold something else under the same id.
    #[error("trade {trade_id} is in the books with another content: {difference}")]
    Conflict {
        /// The trade.
        trade_id: String,
        /// What differs.
        difference: Difference,
    },
    /// The books hold something else of an order.
    #[error("order {order_id} stands otherwise in the books: {difference}")]
    OrderConflict {
        /// The order.
        order_id: Uuid,
        /// What differs.
        difference: Difference,
    },
}

impl Classify for BookingError {
    fn class(&self) -> Class {
        match self {
            Self::Undecodable(error) => error.class(),
            Self::Name(error) => error.class(),
            Self::Amount(error) => error.class(),
            Self::Books(error) => error.class(),
            Self::Conflict { .. } | Self::OrderConflict { .. } => Class::of(Kind::Inconsistent),
        }
    }
}

/// Whether a repeated trade is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// A trade id is booked once, for ever.
    Recognised,
    /// Every delivery is a trade of its own; shows what the invariants are for.
    Booked,
}

/// Books the venue's events.
#[derive(Debug)]
pub struct Booking {
    /// The books, and what this process saw.
    pub host: Rc<Host>,
    /// Whether repeats are recognised.
    pub repeats: Repeats,
}

impl Handler for Booking {
    type Message = Event;
    type Error = BookingError;

    fn decode(&self, raw: &Message) -> Result<Event, BookingError> {
        Ok(serde_json::from_slice(&raw.payload)?)
    }

    async fn handle(&mut self, message: Event, raw: &Message) -> Result<(), BookingError> {
        let subject = FaultSubject::Event(raw.position);
        let Host { accounts, watch, clock, .. } = &*self.host;
        match message {
            Event::Filled { trade } => {
                let mut fill = booked_as(&trade, Source::Stream)?;
                if self.repeats == Repeats::Booked {
                    fill.trade_id = TradeId::new(&format!("{}/{}", trade.trade_id, raw.position))?;
                }
                let order_id = trade.client_order_id;
                match accounts.post(trade.at, order_id, Fact::Filled(fill))? {
                    Outcome::Applied { .. } | Outcome::Voided { .. } | Outcome::Recorded { .. } => {
                        watch.booked(&trade.trade_id, clock.now());
                    }
                    Outcome::Duplicate => watch.notice(subject.clone(), clock.now()),
                    Outcome::Conflict(difference) => {
                        let trade_id = trade.trade_id;
                        return Err(BookingError::Conflict { trade_id, difference });
                    }
                }
            }
            Event::Accepted { client_order_id, venue_order_id } => {
                let venue_order_id = VenueOrderId::new(&venue_order_id)?;
                self.post_order(raw, client_order_id, OrderEvent::Accepted { venue_order_id })?;
            }
            Event::Cancelled { client_order_id } => {
                self.post_order(raw, client_order_id, OrderEvent::Cancelled)?;
            }
            Event::Expired { client_order_id } => {
                self.post_order(raw, client_order_id, OrderEvent::Expired)?;
            }
        }
        watch.repair(subject, clock.now());
        watch.settled(raw.position, clock.now());
        self.host.crash_point("booked");
        Ok(())
    }
}

impl Booking {
    fn post_order(
        &self,
        raw: &Message,
        order_id: Uuid,
        event: OrderEvent,
    ) -> Result<(), BookingError> {
        let Host { accounts, watch, clock, .. } = &*self.host;
        let outcome = accounts.post(raw.at, order_id, Fact::order(order_id, event))?;
        match outcome {
            Outcome::Applied { .. } | Outcome::Voided { .. } | Outcome::Recorded { .. } => Ok(()),
            Outcome::Duplicate => {
                watch.notice(FaultSubject::Event(raw.position), clock.now());
                Ok(())
            }
            // Two orders under one client id: the letter waits for a human, and so does trading.
            Outcome::Conflict(difference) => {
                if !self.host.halt.is_on() {
                    let text = format!("order {order_id}: {difference}");
                    self.host.meet(Trouble::OrderDiffers, None, text);
                }
                Err(BookingError::OrderConflict { order_id, difference })
            }
        }
    }
}

/// A trade as the ledger books it.
///
/// # Errors
/// A name or number outside of what the books take.
pub fn booked_as(trade: &Trade, source: Source) -> Result<Fill, BookingError> {
    let side = match trade.side {
        venue::Side::Buy => Side::Buy,
        venue::Side::Sell => Side::Sell,
    };
    let what = (side, Amount::try_from(trade.quantity)?, Amount::try_from(trade.price)?);
    let instrument = InstrumentId::new(&trade.symbol)?;
    let fill = Fill::new(TradeId::new(&trade.trade_id)?, trade.client_order_id, instrument, what);
    let currency = Currency::new(&trade.fee_currency)?;
    Ok(fill.with_fee(Amount::try_from(trade.fee)?, currency).with_source(source))
}
