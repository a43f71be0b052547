//! The venue over HTTP: the same answers as in process, and what a wire adds.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use backstop_clock::{Clock, Timestamp};
use futures::channel::oneshot;
use trading_host::chance::Chance;
use trading_host::faults::Profile;
use trading_host::http_venue::{HttpVenue, serve};
use trading_host::market::Scripted;
use trading_host::runtime::{SimClock, Simulation, within};
use trading_host::sim_venue::{InProcess, SimVenue};
use trading_host::venue::{
    Acceptance, EventPage, LookUp, Side, TradeWindow, Venue, VenueError, VenueStatement,
};
use uuid::Uuid;

use crate::sim_venue::{START, at, config, instrument, order, tick};

/// What the host's guard would wait, in simulated time.
const LIMIT: Duration = Duration::from_secs(2);

/// A served venue; it stops when dropped.
struct Served {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(venue: SimVenue) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            serve(listener, venue, async { stopped.await.unwrap_or(()) }).unwrap();
        });
        Self { addr, stop: Some(stop), thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn venue(profile: Profile) -> SimVenue {
    let ticks = vec![tick(0, "10", Some(u32::MAX)), tick(60, "9", Some(30))];
    let feed = Scripted::new(vec![instrument("AAA")], ticks);
    SimVenue::new(Box::new(feed), &config(1, profile, 1_000_000)).unwrap()
}

fn connect(url: &str, clock: &SimClock) -> HttpVenue {
    HttpVenue::new(url, clock.clone(), Chance::new(1)).unwrap()
}

/// Everything that one submit and some reads after it show.
#[derive(Debug, PartialEq)]
struct Seen {
    submit: Option<Result<Acceptance, VenueError>>,
    look_up: Option<Result<LookUp, VenueError>>,
    cancel: Option<Result<(), VenueError>>,
    events: Option<Result<EventPage, VenueError>>,
    statement: Option<Result<VenueStatement, VenueError>>,
    at: Timestamp,
}

async fn tour(venue: &dyn Venue, clock: &SimClock, orders: u128) -> Vec<Seen> {
    let mut seen = Vec::new();
    for id in 1..orders {
        let request = order(id, Side::Buy, 20, (id % 4 == 0).then_some("10.00"));
        let window = (id % 2 == 0).then_some(TradeWindow { from: at(0) });
        let client_order_id = Uuid::from_u128(id);
        seen.push(Seen {
            submit: within(clock, LIMIT, venue.submit(&request)).await,
            look_up: within(clock, LIMIT, venue.look_up(client_order_id)).await,
            cancel: within(clock, LIMIT, venue.cancel(client_order_id)).await,
            events: within(clock, LIMIT, venue.events(0)).await,
            statement: within(clock, LIMIT, venue.statement(window)).await,
            at: clock.now(),
        });
    }
    seen
}

#[test]
fn both_ways_show_the_same_venue() {
    let clock = SimClock::new(START);
    let near = InProcess::new(venue(Profile::Storm), clock.clone());
    let (expected, truth) = Simulation::new(clock.clone())
        .run(async move { (tour(&near, &clock, 120).await, near.audit().await) })
        .unwrap();

    let served = Served::start(venue(Profile::Storm));
    let clock = SimClock::new(START);
    // A busy machine must not look like a venue that fails.
    let far = connect(&served.url(), &clock).with_limit(Duration::from_secs(1));
    let (seen, audit) = Simulation::new(clock.clone())
        .run(async move { (tour(&far, &clock, 120).await, far.audit().await) })
        .unwrap();
    for (far, near) in seen.iter().zip(&expected) {
        assert_eq!(far, near);
    }
    assert_eq!(audit, truth);

    // The tour has met each way to fail that a submit knows.
    let submits: Vec<_> = seen.into_iter().map(|seen| seen.submit).collect();
    assert!(submits.contains(&None));
    let failed = |is: fn(&VenueError) -> bool| {
        submits.iter().flatten().any(|answer| answer.as_ref().is_err_and(is))
    };
    assert!(failed(|error| *error == VenueError::Reset));
    assert!(failed(|error| *error == VenueError::Unavailable { status: 503 }));
    assert!(failed(|error| matches!(error, VenueError::RateLimited { .. })));
    assert!(failed(|error| matches!(error, VenueError::Rejected { .. })));
}

#[test]
fn an_outage_is_a_refused_connection() {
    let served = Served::start(venue(Profile::Storm));
    let clock = SimClock::new(at(900_000));
    let far = connect(&served.url(), &clock);
    let answers = Simulation::new(clock).run(async move {
        let submit = far.submit(&order(1, Side::Buy, 20, None)).await;
        (submit, far.look_up(Uuid::nil()).await, far.audit().await)
    });
    let (submit, look_up, audit) = answers.unwrap();
    assert_eq!(submit, Err(VenueError::Refused));
    assert_eq!(look_up, Err(VenueError::Refused));
    assert_eq!(audit.unwrap().outages.len(), 1);
}

#[test]
fn the_time_is_told_whatever_fails() {
    let served = Served::start(venue(Profile::Storm));
    let clock = SimClock::new(at(900_000));
    let far = connect(&served.url(), &clock);
    assert_eq!(far.reached(), Ok(START));
    let (answer, reached) = Simulation::new(clock.clone())
        .run(async move {
            let answer = far.submit(&order(1, Side::Buy, 20, None)).await;
            (answer, far.reached())
        })
        .unwrap();
    // The order came into an outage, at the time that the clock shows since.
    assert_eq!((answer, reached), (Err(VenueError::Refused), Ok(clock.now())));
}

#[test]
fn a_dead_server_refuses() {
    let served = Served::start(venue(Profile::None));
    let clock = SimClock::new(START);
    let url = served.url();
    let far = connect(&url, &clock);
    drop(served);
    let answer = Simulation::new(clock).run(async move { far.statement(None).await }).unwrap();
    assert_eq!(answer, Err(VenueError::Refused));
    assert_eq!(connect(&url, &SimClock::new(START)).reached(), Err(VenueError::Refused));
}

#[test]
fn a_server_that_stays_silent_is_a_timeout_of_simulated_time() {
    // Connections queue at the listener, but nobody accepts them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = SimClock::new(START);
    let far = connect(&format!("http://{}", silent.local_addr().unwrap()), &clock);
    let (answer, waited) = Simulation::new(clock.clone())
        .run(async move {
            let answer = within(&clock, LIMIT, far.statement(None)).await;
            (answer, clock.now().since(START))
        })
        .unwrap();
    assert_eq!((answer, waited), (None, LIMIT));
}

#[test]
fn an_answer_that_is_cut_short_or_foreign_is_no_answer() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"as", VenueError::Reset),
        ("", VenueError::Reset),
        ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", {
            VenueError::Malformed { what: "HTTP status 302".to_owned() }
        }),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", {
            VenueError::Unavailable { status: 404 }
        }),
    ];
    for (text, error) in cases {
        assert_eq!(answered(text), Err(error));
    }
}

/// What a call comes to that is answered in these words.
fn answered(text: &str) -> Result<VenueStatement, VenueError> {
    let text = text.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4_096];
        let length = stream.read(&mut request).unwrap();
        assert!(length > 0);
        stream.write_all(text.as_bytes()).unwrap();
    });
    let clock = SimClock::new(START);
    let far = connect(&url, &clock);
    let answer = Simulation::new(clock).run(async move { far.statement(None).await });
    thread.join().unwrap();
    answer.unwrap()
}

#[test]
fn a_rate_limit_names_its_end_in_seconds_or_as_a_date_by_the_clock_of_the_answer() {
    let date = "date: Fri, 31 Dec 1999 23:59:30 GMT\r\n";
    let cases = [
        ("", 0),
        ("retry-after: 7\r\n", 7),
        (&format!("{date}retry-after: 7\r\n"), 7),
        (&format!("{date}retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n"), 29),
        // Over already, no hint at all, and a date that nobody's clock belongs to.
        (&format!("{date}retry-after: Fri, 31 Dec 1999 23:59:00 GMT\r\n"), 0),
        (&format!("{date}retry-after: soon\r\n"), 0),
        ("retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 0),
    ];
    for (headers, seconds) in cases {
        let text = format!("HTTP/1.1 429 Too Many Requests\r\n{headers}content-length: 0\r\n\r\n");
        let retry_after = Duration::from_secs(seconds);
        assert_eq!(answered(&text), Err(VenueError::RateLimited { retry_after }), "{headers}");
    }
}

/// Sends bytes, and returns the status line of the answer.
fn status_line(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_server_refuses_what_it_does_not_understand() {
    let served = Served::start(venue(Profile::None));
    let tail = "connection: close\r\nhost: venue\r\n";
    let json = "content-type: application/json\r\nx-sim-time-ms: 0\r\n";
    let long = " ".repeat(20_000);
    let cases = [
        ("400", format!("GET /statement HTTP/1.1\r\n{tail}\r\n")),
        ("400", format!("GET /statement HTTP/1.1\r\n{tail}x-sim-time-ms: noon\r\n\r\n")),
        ("404", format!("GET /nowhere HTTP/1.1\r\n{tail}\r\n")),
        ("400", format!("GET /orders/seven HTTP/1.1\r\n{tail}x-sim-time-ms: 0\r\n\r\n")),
        ("405", format!("DELETE /statement HTTP/1.1\r\n{tail}\r\n")),
        ("422", format!("POST /orders HTTP/1.1\r\n{tail}{json}content-length: 2\r\n\r\n{{}}")),
        (
            "413",
            format!("POST /orders HTTP/1.1\r\n{tail}{json}content-length: 20000\r\n\r\n{long}"),
        ),
    ];
    for (status, request) in cases {
        let line = status_line(served.addr, &request);
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {line}");
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    for url in ["", "127.0.0.1:7878", "https://127.0.0.1", "ftp://venue"] {
        let error = HttpVenue::new(url, SimClock::new(START), Chance::new(1)).unwrap_err();
        let expected = format!("venue address `{url}`: must look like http://127.0.0.1:7878");
        assert_eq!(error.to_string(), expected);
    }
}
