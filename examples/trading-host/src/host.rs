//! The host: owns the parts, runs the tasks, and tells the story of a run.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use anyhow::Context as _;
use backstop_clock::{Clock, Timestamp};
use backstop_dlq::DeadLetterStore;
use backstop_error_taxonomy::{Policy, thresholds::EventCounts};
use backstop_position_ledger::{
    Account, Amount, InstrumentId,
    order::{Event, Order},
    pnl::Store,
};
use backstop_reconciliation_strategies::{
    Report as Comparison,
    findings::{FindingId, Outcome},
};
use backstop_retry_backoff::Stopped;
use backstop_schema_version::SchemaGate;
use indicatif::ProgressBar;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    accounts::{Accounts, Books},
    alerts::Alerts,
    chance::Chance,
    closing,
    consume::Consume,
    crash::Passage,
    duties,
    errors::Errors,
    fill::Repeats,
    guard::{CallError, Guard, Submitting},
    halt::{Halt, Halts},
    ids::Ids,
    letters::{Committing, Letters},
    market::{Bar, Feed, Instrument},
    order::{self, Absence, Desk, Wanted},
    proof, recon,
    report::Report,
    runtime::{Nudge, SimClock, Simulation, Tasks},
    snapshots::{Publishing, Snapshots, Stream},
    startup,
    strategy::{Strategies, Style, Target},
    trouble::Trouble,
    venue::{Trade, Venue, VenueError},
    watch::Watch,
};

mod lasting;
mod remedy;
mod stop;

pub use stop::{BrokenOff, Stop};

/// Who wants to hold nothing.
pub const FLATTEN: &str = "halt";

/// Everything that a host composes, each part behind a port of its own.
#[derive(Debug)]
pub struct Ports<D> {
    /// Simulated time.
    pub clock: SimClock,
    /// Prices.
    pub feed: Box<dyn Feed>,
    /// What to hold at those prices.
    pub strategies: Strategies,
    /// Where orders go.
    pub venue: Rc<dyn Venue>,
    /// The books.
    pub books: Box<dyn Books>,
    /// Where messages wait that could not be handled.
    pub letters: D,
    /// Where snapshots of profit and loss are kept.
    pub snapshots: Box<dyn Store>,
    /// Where they are published.
    pub stream: Box<dyn Stream>,
    /// Whether the schema is one that this program understands.
    pub gate: Box<dyn Gate>,
    /// Who is told.
    pub alerts: Rc<dyn Alerts>,
    /// Where a halt is written down.
    pub halts: Box<dyn Halts>,
}

/// Says whether the schema lets the host trade.
pub trait Gate: std::fmt::Debug {
    /// The verdict of now.
    fn state(&self) -> SchemaGate;
}

/// A gate that was decided at start-up.
impl Gate for SchemaGate {
    fn state(&self) -> SchemaGate {
        self.clone()
    }
}

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides ids and jitter.
    pub seed: u64,
    /// The account that trades.
    pub account: Account,
    /// What becomes of which failure.
    pub policy: Arc<Policy>,
    /// One rule may be broken on purpose, to see its invariant fail.
    pub controls: Controls,
    /// Where this process kills itself, for crash tests.
    pub crash_at: Option<Passage>,
    /// Shows how many bars have passed.
    pub progress: Option<ProgressBar>,
    /// Simulated time at which an operator halts and flattens, for drills.
    pub halt_at: Option<Timestamp>,
}

/// The rules of the host; the defaults are the right ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controls {
    /// How orders are sent.
    pub submitting: Submitting,
    /// Whether repeats are recognised.
    pub repeats: Repeats,
    /// When a place in the stream is written.
    pub committing: Committing,
    /// How differences are repaired.
    pub repair: recon::Repair,
    /// When an order counts as never placed.
    pub absence: Absence,
    /// What is published of a snapshot.
    pub publishing: Publishing,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            submitting: Submitting::Once,
            repeats: Repeats::Recognised,
            committing: Committing::WithLetter,
            repair: recon::Repair::Planned,
            absence: Absence::AfterDeadline,
            publishing: Publishing::AsTaken,
        }
    }
}

/// The parts as the tasks share them.
#[derive(Debug)]
pub struct Host {
    /// Simulated time.
    pub clock: SimClock,
    /// The books.
    pub accounts: Rc<Accounts>,
    /// Where orders go; only the guard calls it.
    pub venue: Rc<dyn Venue>,
    /// The seam in front of the venue.
    pub guard: Guard,
    /// What the strategies want.
    pub desk: Desk,
    /// The halt.
    pub halt: Halt,
    /// What this process saw.
    pub watch: Rc<Watch>,
    /// What becomes of which failure.
    pub policy: Arc<Policy>,
    /// How the books are compared.
    pub rules: recon::Rules,
    /// Profit and loss, as it was published.
    pub snapshots: Snapshots,
    /// When an order counts as never placed.
    pub absence: Absence,
    /// Wakes the task that reads the venue's events.
    pub poll: Nudge,
    /// Wakes the task that works an instrument.
    pub nudges: Vec<Nudge>,
    /// Last prices, for unrealised profit.
    pub marks: RefCell<BTreeMap<InstrumentId, Amount>>,
    /// What became of failures.
    pub errors: Rc<Errors>,
    alerts: Rc<dyn Alerts>,
    counts: RefCell<EventCounts>,
    gate: Box<dyn Gate>,
    instruments: Vec<Instrument>,
    instrument_ids: Vec<InstrumentId>,
    reconciled: Cell<recon::Counts>,
    unknown_resolved: Cell<u64>,
    /// Findings that were counted, and those that a human was told of.
    known_findings: RefCell<BTreeSet<(FindingId, bool)>>,
    /// Of the venue.
    silence: Cell<Option<lasting::Lasting>>,
    /// Currencies that differ while something is set apart.
    unexplained: RefCell<BTreeMap<String, lasting::Lasting>>,
    started: Cell<bool>,
    failed: RefCell<Option<Stop>>,
    failure: Nudge,
    crash_at: Option<Passage>,
    passed: Cell<u32>,
}

impl Host {
    /// The ledger's name of an instrument.
    pub fn instrument_id(&self, instrument: usize) -> &InstrumentId {
        &self.instrument_ids[instrument]
    }

    /// The venue's name of an instrument.
    pub fn symbol(&self, instrument: usize) -> &str {
        self.instruments[instrument].symbol.as_str()
    }

    /// The verdict on the schema.
    pub fn gate_state(&self) -> SchemaGate {
        self.gate.state()
    }

    /// Whether a new order may be made.
    pub fn may_trade(&self) -> bool {
        self.started.get() && self.gate.state() == SchemaGate::ReadWrite && !self.halt.is_on()
    }

    /// Whether an order that was made may still leave: in a halt only what flattens.
    pub fn may_send(&self, order: Uuid) -> bool {
        let books = self.accounts.view();
        let intent = books.order(order).map(Order::intent);
        let flattens = intent.is_some_and(|intent| intent.strategy.as_str() == FLATTEN);
        if intent.is_some_and(|intent| self.accounts.is_apart(&intent.instrument)) {
            return false;
        }
        let is_halted = self.halt.is_on() && !(flattens && self.halt.flattens());
        self.gate.state() == SchemaGate::ReadWrite && !is_halted
    }

    /// The wish to hold nothing.
    pub fn flat(&self, instrument: usize) -> Wanted {
        let target = Target { instrument, quantity: Decimal::ZERO, style: Style::Market };
        Wanted { strategy: FLATTEN, target, at: self.clock.now() }
    }

    /// Trading may begin.
    pub fn open_trading(&self) {
        self.started.set(true);
        self.nudge_all();
    }

    /// Trading is over.
    pub fn close_trading(&self) {
        self.started.set(false);
    }

    /// Has every instrument looked at.
    pub fn nudge_all(&self) {
        self.nudges.iter().for_each(Nudge::raise);
    }

    /// The ledger's name of what the venue calls `symbol`, if it is traded here.
    pub fn known(&self, symbol: &str) -> Option<&InstrumentId> {
        self.instrument_ids.iter().find(|id| id.as_str() == symbol)
    }

    /// Whether nothing is booked or sent of what the venue calls `symbol`, until it is released.
    pub fn is_apart(&self, symbol: &str) -> bool {
        self.known(symbol).is_some_and(|id| self.accounts.is_apart(id))
    }

    /// Posts what the host itself learned of an order.
    ///
    /// # Errors
    /// [`Stop`] when the books can no longer be written.
    pub fn note(&self, order: Uuid, event: Event) -> Result<(), Stop> {
        if let Some(difference) = self.accounts.note(order, event)? {
            self.meet(Trouble::OrderDiffers, None, format!("order {order}: {difference}"));
        }
        Ok(())
    }

    /// Whether a trade of the venue is in the books.
    pub fn has_booked(&self, trade: &Trade) -> bool {
        let books = self.accounts.view();
        proof::find(self.accounts.account(), &books, trade).is_some()
    }

    /// The last alerts, in words.
    pub fn last_alerts(&self) -> Vec<String> {
        self.alerts.last()
    }

    /// How many alerts were raised.
    pub fn alerts_raised(&self) -> usize {
        self.alerts.raised()
    }

    /// Notes whether the venue talks to us, from the outcome of any call.
    pub fn observe<T>(&self, called: &Result<T, Stopped<CallError>>) {
        let now = self.clock.now();
        match called {
            Ok(_) => {
                self.watch.answered(now);
                self.silence.set(None);
            }
            Err(Stopped { error: Some(CallError::Venue(error)), .. }) => {
                if *error == VenueError::Refused {
                    self.watch.refused(now);
                }
                self.heed_silence(error);
            }
            Err(_) => {}
        }
    }

    /// Until when the venue may accept an order of ours.
    pub fn accept_by(&self, order: Uuid) -> Option<Timestamp> {
        self.accounts.view().order(order).map(|order| order.intent().accept_by)
    }

    /// Whether the outcome of an order is still open.
    pub fn is_unresolved(&self, order: Uuid) -> bool {
        self.accounts.view().order(order).is_some_and(|order| order.status().is_unresolved())
    }

    /// Whether an order may still trade, as far as the books know.
    pub fn is_open(&self, order: Uuid) -> bool {
        self.accounts.view().order(order).is_some_and(|order| order.status().is_open())
    }

    /// Whether an order is on its way of which nothing is known yet.
    pub fn awaits_outcome(&self) -> bool {
        self.accounts.view().unresolved().next().is_some()
    }

    /// An outcome that was unknown has been found out.
    pub fn count_resolved(&self) {
        self.unknown_resolved.set(self.unknown_resolved.get() + 1);
    }

    /// Outcomes that were unknown and have been found out.
    pub fn unknown_resolved(&self) -> u64 {
        self.unknown_resolved.get()
    }

    /// Whether a finding is seen for the first time.
    pub fn is_news(&self, finding: FindingId) -> bool {
        self.known_findings.borrow_mut().insert((finding, true))
    }

    /// Adds a comparison to the counts.
    pub fn count_reconciled(&self, report: &Comparison, applied: usize) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let mut counts = self.reconciled.get();
        let mut known = self.known_findings.borrow_mut();
        let fresh = report.findings.iter().filter(|found| found.outcome != Outcome::Deferred);
        counts.runs += 1;
        // The second comparison of a pair sees again what the first one found.
        counts.found += count(fresh.filter(|found| known.insert((found.id, false))).count());
        counts.auto_resolved += count(applied);
        self.reconciled.set(counts);
    }

    /// A difference is left to a human.
    pub fn count_manual(&self) {
        let mut counts = self.reconciled.get();
        counts.manual += 1;
        self.reconciled.set(counts);
    }

    /// What the comparisons came to.
    pub fn reconciled(&self) -> recon::Counts {
        self.reconciled.get()
    }

    /// A place where a crash test may end this process.
    pub fn crash_point(&self, point: &str) {
        if let Some(crash_at) = &self.crash_at {
            crash_at.pass(point, &self.passed);
        }
    }

    /// Whether an order of this instrument may trade at the next price.
    fn has_open_orders(&self, instrument: usize) -> bool {
        let id = self.instrument_id(instrument);
        self.accounts.view().open_orders().any(|order| order.intent().instrument == *id)
    }

    /// Takes every tick of one moment; gives back the bars that it completed.
    ///
    /// # Errors
    /// A price outside of what the books take.
    pub fn follow(&self, feed: &mut dyn Feed, at: Timestamp) -> Result<Vec<Bar>, Stop> {
        let mut closed = Vec::new();
        let mut marks = self.marks.borrow_mut();
        while feed.peek_time() == Some(at)
            && let Some(tick) = feed.next()
        {
            let mark = Amount::try_from(tick.bid)?;
            marks.insert(self.instrument_id(tick.instrument).clone(), mark);
            closed.extend(tick.completes);
            if self.has_open_orders(tick.instrument) {
                self.poll.raise();
            }
        }
        Ok(closed)
    }

    fn fail(&self, stop: Stop) {
        self.failed.borrow_mut().get_or_insert(stop);
        self.failure.raise();
    }

    async fn failure(&self) -> Stop {
        loop {
            self.failure.wait().await;
            if let Some(stop) = self.failed.borrow().clone() {
                return stop;
            }
        }
    }
}

/// Runs a host to the end of its market data.
///
/// # Errors
/// [`Stop`] when the host refuses to trade, or can no longer keep its books; with the context
/// [`BrokenOff`] once trading has opened.
pub fn run<D: DeadLetterStore + 'static>(
    ports: Ports<D>,
    settings: Settings,
) -> anyhow::Result<Report> {
    let simulation = Simulation::new(ports.clock.clone());
    let tasks = simulation.tasks();
    let opened = Rc::<Cell<bool>>::default();
    let told = simulation.run(story(ports, settings, tasks, Rc::clone(&opened)));
    let told = told.map_err(|deadlock| Stop::from(deadlock).into()).flatten();
    if opened.get() { told.context(BrokenOff) } else { told }
}

async fn story<D: DeadLetterStore + 'static>(
    ports: Ports<D>,
    settings: Settings,
    tasks: Tasks,
    opened: Rc<Cell<bool>>,
) -> anyhow::Result<Report> {
    let Ports {
        clock,
        mut feed,
        mut strategies,
        venue,
        books,
        letters,
        snapshots,
        stream,
        gate,
        alerts,
        halts,
    } = ports;
    let instruments = feed.instruments().to_vec();
    let snapshots = Snapshots::new(snapshots, stream, settings.controls.publishing, clock.now())?;
    let shared = (clock, venue, books, snapshots, gate, alerts, halts);
    let host = Rc::new(Host::new(shared, instruments, &settings)?);
    let letters = Letters::new(letters, settings.controls.committing);
    let mut consume = Consume::new(&host, &letters, settings.controls.repeats).await?;

    let began = startup::begin(&host, &mut consume, &mut *feed, &mut strategies, &tasks).await?;
    let consume = Rc::new(futures::lock::Mutex::new(consume));

    for instrument in 0..host.nudges.len() {
        start(&tasks, &host, order::work(Rc::clone(&host), instrument));
    }
    start(&tasks, &host, duties::events(Rc::clone(&host), Rc::clone(&consume)));
    start(&tasks, &host, duties::figures(Rc::clone(&host), Rc::clone(&consume)));
    if let Some(at) = settings.halt_at {
        start(&tasks, &host, duties::drill(Rc::clone(&host), at));
    }
    host.open_trading();
    opened.set(true);

    let trading = {
        let trade = duties::trade(&host, &mut *feed, strategies, settings.progress, async || {
            consume.lock().await.compare_everything().await.map(drop)
        });
        let failure = host.failure();
        futures::pin_mut!(trade, failure);
        match futures::future::select(trade, failure).await {
            futures::future::Either::Left((traded, _)) => traded,
            futures::future::Either::Right((stop, _)) => Err(stop),
        }
    };
    if trading.is_err() {
        closing::cancel_open(&host).await;
    }
    trading?;
    host.close_trading();
    let mut consume = consume.lock().await;
    closing::settle(&host, &mut consume).await?;
    closing::report(&host, &consume, began, feed.bars()).await
}

/// Starts a task whose failure ends the run.
pub(crate) fn start(
    tasks: &Tasks,
    host: &Rc<Host>,
    task: impl Future<Output = Result<(), Stop>> + 'static,
) {
    let host = Rc::clone(host);
    tasks.start(async move {
        if let Err(stop) = task.await {
            host.fail(stop);
        }
    });
}

/// The ports that tasks share.
type Shared = (
    SimClock,
    Rc<dyn Venue>,
    Box<dyn Books>,
    Snapshots,
    Box<dyn Gate>,
    Rc<dyn Alerts>,
    Box<dyn Halts>,
);

impl Host {
    fn new(
        (clock, venue, books, snapshots, gate, alerts, halts): Shared,
        instruments: Vec<Instrument>,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let ids = Ids::new(settings.seed);
        let accounts = Accounts::new(books, settings.account.clone(), clock.clone(), ids);
        let named = |instrument: &Instrument| InstrumentId::new(instrument.symbol.as_str());
        let instrument_ids = instruments.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let controls = settings.controls;
        let (chance, errors) = (Chance::new(settings.seed), Rc::<Errors>::default());
        Ok(Self {
            guard: Guard::new(clock.clone(), chance, controls.submitting, Rc::clone(&errors))?,
            errors,
            desk: Desk::new(instruments.len()),
            halt: Halt::resume(halts)?,
            watch: Rc::default(),
            rules: recon::Rules::new(&instruments, controls.repair)?,
            snapshots,
            absence: controls.absence,
            poll: Nudge::default(),
            nudges: instruments.iter().map(|_| Nudge::default()).collect(),
            marks: RefCell::default(),
            accounts: Rc::new(accounts),
            reconciled: Cell::default(),
            unknown_resolved: Cell::default(),
            known_findings: RefCell::default(),
            silence: Cell::default(),
            unexplained: RefCell::default(),
            started: Cell::default(),
            failed: RefCell::default(),
            failure: Nudge::default(),
            crash_at: settings.crash_at.clone(),
            passed: Cell::default(),
            policy: Arc::clone(&settings.policy),
            counts: RefCell::default(),
            clock,
            venue,
            alerts,
            gate,
            instruments,
            instrument_ids,
        })
    }
}
