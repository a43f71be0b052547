//! The asking side.

use std::{io::Read, time::Duration};

use backstop_clock::{Clock, Timestamp};
use backstop_error_taxonomy::{Classify, Effect, Kind, codes};
use reqwest::{
    Method, StatusCode, Url,
    blocking::{Client, RequestBuilder, Response},
    header::{DATE, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{REFUSED, Rejection, SIM_TIME};
use crate::{
    chance::Chance,
    runtime::SimClock,
    sim_venue::Latency,
    venue::{
        Acceptance, Answer, Audit, EventPage, LookUp, OrderRequest, TradeWindow, Venue, VenueError,
        VenueStatement,
    },
};

/// Real time that a call may take; a venue on the same machine needs a hundredth of it.
const LIMIT: Duration = Duration::from_millis(50);

/// Real time for what has no fault to detect; the audit grows with the run.
const PATIENT_LIMIT: Duration = Duration::from_secs(30);

/// Longest answer in bytes; the audit of 200,000 orders is below it.
const ANSWER_LEN_MAX: u64 = 256 * 1024 * 1024;

/// A venue behind HTTP.
///
/// A call first takes the simulated time of a call, as in process.
/// Then it blocks the thread on purpose: the simulated clock must not move while the wire works.
/// When no answer comes within 50 ms of real time, the default limit, the call waits in vain on simulated time, as in
/// process, until the caller's own limit ends it.
#[derive(Debug)]
pub struct HttpVenue {
    client: Client,
    url: Url,
    latency: Latency,
    limit: Duration,
}

/// The venue's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("venue address `{url}`: {rule}")]
pub struct UrlError {
    /// As given.
    pub url: String,
    /// What it breaks.
    pub rule: &'static str,
}

impl HttpVenue {
    /// A venue at an address such as `http://127.0.0.1:7878`; nothing is sent yet.
    ///
    /// `chance` draws the simulated latency.
    ///
    /// # Errors
    /// [`UrlError`] when it is no http address, or no HTTP client can be set up.
    pub fn new(url: &str, clock: SimClock, chance: Chance) -> Result<Self, UrlError> {
        let refused = |rule| UrlError { url: url.to_owned(), rule };
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let client =
            Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self {
            client: client.map_err(|_no_client| refused("no HTTP client can be set up"))?,
            url: parsed.ok_or_else(|| refused("must look like http://127.0.0.1:7878"))?,
            latency: Latency::new(chance, clock),
            limit: LIMIT,
        })
    }

    /// With another limit in real time, for a venue that is not on this machine.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How far the venue's simulated time has come; never fails by the fault script.
    ///
    /// A host that starts must not begin before it: time does not go back for the venue.
    ///
    /// # Errors
    /// [`VenueError`] when no venue answers.
    pub fn reached(&self) -> Result<Timestamp, VenueError> {
        call(self.get(&["time"]).timeout(PATIENT_LIMIT)).map_err(|failure| match failure {
            Failure::Venue(error) => error,
            Failure::Silence => VenueError::Timeout { limit: PATIENT_LIMIT },
        })
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let at = self.latency.clock().now().as_millis();
        self.client.request(method, url).header(SIM_TIME, at).timeout(self.limit)
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::GET, path)
    }
}

impl Venue for HttpVenue {
    fn submit<'a>(&'a self, order: &'a OrderRequest) -> Answer<'a, Acceptance> {
        Box::pin(async move {
            self.latency.write(order.client_order_id.as_bytes()).await;
            ask(self.request(Method::POST, &["orders"]).json(order)).await
        })
    }

    fn look_up(&self, client_order_id: Uuid) -> Answer<'_, LookUp> {
        Box::pin(async move {
            self.latency.read().await;
            ask(self.get(&["orders", &client_order_id.to_string()])).await
        })
    }

    fn cancel(&self, client_order_id: Uuid) -> Answer<'_, ()> {
        Box::pin(async move {
            self.latency.write(client_order_id.as_bytes()).await;
            ask(self.request(Method::DELETE, &["orders", &client_order_id.to_string()])).await
        })
    }

    fn events(&self, after: u64) -> Answer<'_, EventPage> {
        Box::pin(async move {
            self.latency.read().await;
            ask(self.get(&["events", "after", &after.to_string()])).await
        })
    }

    fn statement(&self, window: Option<TradeWindow>) -> Answer<'_, VenueStatement> {
        Box::pin(async move {
            self.latency.read().await;
            match window {
                None => ask(self.get(&["statement"])).await,
                Some(TradeWindow { from }) => {
                    let from = from.as_millis().to_string();
                    ask(self.get(&["statement", "from", &from])).await
                }
            }
        })
    }

    fn audit(&self) -> Answer<'_, Audit> {
        Box::pin(async move { ask(self.get(&["audit"]).timeout(PATIENT_LIMIT)).await })
    }
}

/// Sends a request and waits for the answer, or for ever if none came in time.
async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, VenueError> {
    match call(request) {
        Ok(answer) => Ok(answer),
        Err(Failure::Venue(error)) => Err(error),
        Err(Failure::Silence) => std::future::pending().await,
    }
}

/// What came back instead of an answer.
enum Failure {
    Venue(VenueError),
    /// Nothing, within the real limit.
    Silence,
}

fn call<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    let response = request.send().map_err(|error| {
        let class = error.class();
        match (class.kind(), class.effect()) {
            (_, Effect::NotApplied) => Failure::Venue(VenueError::Refused),
            (Kind::Timeout, _) => Failure::Silence,
            _ => Failure::Venue(VenueError::Reset),
        }
    })?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Failure::Venue(refusal(status, response)));
    }
    let body = body(response)?;
    serde_json::from_slice(&body)
        .map_err(|error| Failure::Venue(VenueError::Malformed { what: error.to_string() }))
}

/// The whole body, if it comes in time and is of a sane length.
fn body(response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = response.take(ANSWER_LEN_MAX).read_to_end(&mut body);
    read.map_err(|error| match error.class().kind() {
        Kind::Timeout => Failure::Silence,
        _ => Failure::Venue(VenueError::Reset),
    })?;
    Ok(body)
}

/// What an answer other than 200 means.
fn refusal(status: StatusCode, response: Response) -> VenueError {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            // A date is by the venue's clock, and so is the date of its answer; ours may be off.
            let sent = header(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
            let asked = header(RETRY_AFTER.as_str()).and_then(|text| match sent {
                Some(sent) => codes::retry_after(text, sent),
                None => text.parse().ok().map(Duration::from_secs),
            });
            // Without one, it is the caller's schedule that says when.
            VenueError::RateLimited { retry_after: asked.unwrap_or_default() }
        }
        _ if header(REFUSED).is_some() => VenueError::Refused,
        _ if status.is_server_error() => VenueError::Unavailable { status: status.as_u16() },
        _ if status.is_client_error() => {
            // Only the venue gives a reason; a proxy in between says nothing of the order.
            let rejection = body(response).ok();
            match rejection.and_then(|body| serde_json::from_slice(&body).ok()) {
                Some(Rejection { reason }) => VenueError::Rejected { reason },
                None => VenueError::Unavailable { status: status.as_u16() },
            }
        }
        _ => VenueError::Malformed { what: format!("HTTP status {}", status.as_u16()) },
    }
}
