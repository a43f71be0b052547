//! Orders and how they stand.

use std::collections::{BTreeMap, BTreeSet};

use backstop_clock::Timestamp;
use backstop_position_ledger::Amount;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::venue::{AuditedOrder, OrderRequest, VenueOrder, VenueOrderStatus};

/// Every order that came into being, rejected ones included.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// In the order of acceptance, which is their priority in time.
    all: Vec<Order>,
    /// The venue does not recognise a repeated id, so there may be several.
    by_id: BTreeMap<Uuid, Vec<usize>>,
    /// When open orders leave the book.
    expiries: BTreeSet<(Timestamp, usize)>,
}

/// An order that passed the checks, or the reason why it did not.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) request: OrderRequest,
    pub(super) venue_order_id: String,
    pub(super) terms: Option<Ordered>,
    pub(super) status: VenueOrderStatus,
}

/// What an order that is not rejected is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ordered {
    pub(super) instrument: usize,
    pub(super) limit: Option<Amount>,
    /// Not yet filled.
    pub(super) rest: Amount,
}

impl Orders {
    /// Adds an order and returns its place.
    pub(super) fn add(
        &mut self,
        request: &OrderRequest,
        checked: Result<Ordered, &'static str>,
    ) -> usize {
        let place = self.all.len();
        let (terms, status) = match checked {
            Ok(terms) => (Some(terms), VenueOrderStatus::Open),
            Err(reason) => (None, VenueOrderStatus::Rejected { reason: reason.to_owned() }),
        };
        if let (Some(_), Some(expiry)) = (terms, request.expire_at) {
            self.expiries.insert((expiry, place));
        }
        self.by_id.entry(request.client_order_id).or_default().push(place);
        let venue_order_id = format!("V{:08}", place + 1);
        self.all.push(Order { request: request.clone(), venue_order_id, terms, status });
        place
    }

    /// The order at a place that [`Orders::add`] gave.
    pub(super) fn at(&self, place: usize) -> &Order {
        &self.all[place]
    }

    /// Takes a filled quantity from what an order still wants; true when nothing is left.
    pub(super) fn fill(&mut self, place: usize, rest: Amount) -> bool {
        if let Some(terms) = &mut self.all[place].terms {
            terms.rest = rest;
        }
        let is_filled = rest.is_zero();
        if is_filled {
            self.close(place, VenueOrderStatus::Filled);
        }
        is_filled
    }

    /// Ends an open order.
    pub(super) fn close(&mut self, place: usize, status: VenueOrderStatus) {
        let order = &mut self.all[place];
        order.status = status;
        if let Some(expiry) = order.request.expire_at {
            self.expiries.remove(&(expiry, place));
        }
    }

    /// Time and place of the open order that expires first.
    pub(super) fn next_expiry(&self) -> Option<(Timestamp, usize)> {
        self.expiries.first().copied()
    }

    /// Places of the orders with a client order id, oldest first.
    pub(super) fn places(&self, client_order_id: Uuid) -> &[usize] {
        self.by_id.get(&client_order_id).map_or(&[], Vec::as_slice)
    }

    /// Everything for the audit.
    pub(super) fn audit(&self) -> Vec<AuditedOrder> {
        let audited = self.all.iter().map(|order| AuditedOrder {
            tag: order.request.tag,
            client_order_id: order.request.client_order_id,
            venue_order_id: order.venue_order_id.clone(),
            rejected: order.terms.is_none(),
        });
        audited.collect()
    }
}

impl Order {
    /// Whether it is in the book.
    pub(super) fn is_open(&self) -> bool {
        self.status == VenueOrderStatus::Open
    }

    /// The order as the venue shows it.
    pub(super) fn view(&self) -> VenueOrder {
        let request = &self.request;
        // Rests are exact multiples of the lot step, so the difference is one of decimals.
        let rest = self.terms.and_then(|terms| Decimal::try_from(terms.rest).ok());
        VenueOrder {
            venue_order_id: self.venue_order_id.clone(),
            client_order_id: request.client_order_id,
            symbol: request.symbol.clone(),
            side: request.side,
            quantity: request.quantity,
            filled: rest.map_or(Decimal::ZERO, |rest| request.quantity - rest),
            limit: request.limit,
            status: self.status.clone(),
        }
    }
}
