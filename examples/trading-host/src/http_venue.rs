//! The simulated venue as a process of its own, over HTTP.
//!
//! [`serve`] answers, [`HttpVenue`] asks.
//! Both speak JSON, and every request carries the host's simulated time in `x-sim-time-ms`, in
//! milliseconds since the epoch: the venue advances to it, never back.
//!
//! | request | answer |
//! |---|---|
//! | `POST /orders` with an [`OrderRequest`](crate::venue::OrderRequest) | [`Acceptance`](crate::venue::Acceptance) |
//! | `GET /orders/{client_order_id}` | [`LookUp`](crate::venue::LookUp) |
//! | `DELETE /orders/{client_order_id}` | `null` |
//! | `GET /events/after/{sequence}` | [`EventPage`](crate::venue::EventPage) |
//! | `GET /statement` | [`VenueStatement`](crate::venue::VenueStatement) |
//! | `GET /statement/from/{ms}` | the same with open orders, and trades since then |
//! | `GET /audit` | [`Audit`](crate::venue::Audit), free of faults |
//! | `GET /time` | how far simulated time has come, in milliseconds since the epoch, free of faults |
//!
//! | failure | on the wire |
//! |---|---|
//! | rate limit | 429 with Retry-After in seconds; a date, with the date of the answer, is read too |
//! | server error | 503 |
//! | reject | 422 with `{"reason": ".."}` |
//! | reset | the connection closes without an answer |
//! | timeout | nothing, until the caller hangs up |
//! | outage | 503 with `x-venue-refused`, which stands for a connection that did not come about |
//!
//! A request that is not understood gets 400, 404, 413, 415 or 422 without a reason.

mod client;
mod cut;
mod server;

pub use client::{HttpVenue, UrlError};
pub use server::serve;

/// Carries the host's simulated time.
const SIM_TIME: &str = "x-sim-time-ms";

/// Marks an answer that stands for a refused connection.
const REFUSED: &str = "x-venue-refused";

/// Why the venue rejected a request.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Rejection {
    reason: String,
}
