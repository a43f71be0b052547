//! The answering side.

use std::{
    io,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, Path, State},
    http::{StatusCode, header::RETRY_AFTER, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use backstop_clock::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{
    REFUSED, Rejection, SIM_TIME,
    cut::{Cut, Door},
};
use crate::{
    sim_venue::{Outcome, SimVenue},
    venue::{OrderRequest, TradeWindow, VenueError},
};

/// Longest request body; an order is a few hundred bytes.
const BODY_LEN_MAX: usize = 16 * 1024;

/// Serves a venue until `shutdown` completes; open connections end with it.
///
/// The calling thread does the work, on a runtime of its own.
///
/// # Errors
/// [`io::Error`] when the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    venue: SimVenue,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let door = Door(tokio::net::TcpListener::from_std(listener)?);
        let app = router(venue).into_make_service_with_connect_info::<Cut>();
        tokio::select! {
            served = axum::serve(door, app).into_future() => served,
            () = shutdown => Ok(()),
        }
    })
}

fn router(venue: SimVenue) -> Router {
    Router::new()
        .route("/orders", post(submit))
        .route("/orders/{client_order_id}", get(look_up).delete(cancel))
        .route("/events/after/{sequence}", get(events))
        .route("/statement", get(statement))
        .route("/statement/from/{ms}", get(statement_from))
        .route("/audit", get(audit))
        .route("/time", get(time))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .with_state(Shared(Arc::new(Mutex::new(venue))))
}

#[derive(Clone)]
struct Shared(Arc<Mutex<SimVenue>>);

impl Shared {
    fn ask<T>(&self, request: impl FnOnce(&mut SimVenue) -> T) -> T {
        // The venue changes after its checks, so it is sound even if a request panicked.
        request(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The host's simulated time.
struct At(Timestamp);

impl<S: Sync> FromRequestParts<S> for At {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let text = parts.headers.get(SIM_TIME).and_then(|value| value.to_str().ok());
        let ms = text.and_then(|text| text.parse().ok());
        let rule = "x-sim-time-ms: must be milliseconds since the epoch";
        ms.map(|ms| Self(Timestamp::from_millis(ms))).ok_or((StatusCode::BAD_REQUEST, rule))
    }
}

async fn submit(
    State(venue): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    At(at): At,
    Json(order): Json<OrderRequest>,
) -> Response {
    answer(&cut, venue.ask(|venue| venue.submit(at, &order))).await
}

async fn look_up(
    State(venue): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    At(at): At,
    Path(client_order_id): Path<Uuid>,
) -> Response {
    answer(&cut, venue.ask(|venue| venue.look_up(at, client_order_id))).await
}

async fn cancel(
    State(venue): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    At(at): At,
    Path(client_order_id): Path<Uuid>,
) -> Response {
    answer(&cut, venue.ask(|venue| venue.cancel(at, client_order_id))).await
}

async fn events(
    State(venue): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    At(at): At,
    Path(after): Path<u64>,
) -> Response {
    answer(&cut, venue.ask(|venue| venue.events(at, after))).await
}

async fn statement(
    State(venue): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    At(at): At,
) -> Response {
    answer(&cut, venue.ask(|venue| venue.statement(at, None))).await
}

async fn statement_from(
    State(venue): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    At(at): At,
    Path(from): Path<Timestamp>,
) -> Response {
    answer(&cut, venue.ask(|venue| venue.statement(at, Some(TradeWindow { from })))).await
}

async fn audit(State(venue): State<Shared>, At(at): At) -> Response {
    Json(venue.ask(|venue| venue.audit(at))).into_response()
}

async fn time(State(venue): State<Shared>) -> Json<Timestamp> {
    Json(venue.ask(|venue| venue.now()))
}

/// Puts an outcome on the wire.
async fn answer<T: Serialize>(cut: &Cut, outcome: Outcome<T>) -> Response {
    let error = match outcome {
        Outcome::Answered(Ok(answer)) => return Json(answer).into_response(),
        Outcome::Answered(Err(error)) => error,
        // Lasts until the caller hangs up: the connection goes, and this future with it.
        Outcome::Withheld => std::future::pending().await,
    };
    match error {
        VenueError::Refused => {
            (StatusCode::SERVICE_UNAVAILABLE, [(REFUSED, "outage")]).into_response()
        }
        VenueError::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs().to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)]).into_response()
        }
        VenueError::Rejected { reason } => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(Rejection { reason })).into_response()
        }
        VenueError::Unavailable { status } => {
            StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE).into_response()
        }
        // The venue itself knows neither of the last two.
        VenueError::Reset | VenueError::Timeout { .. } | VenueError::Malformed { .. } => {
            cut.close();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
