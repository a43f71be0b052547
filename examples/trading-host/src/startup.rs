//! Before anything trades: the schema, the journal, open outcomes, and the venue's books.

use std::rc::Rc;

use backstop_clock::{Clock, Timestamp};
use backstop_dlq::DeadLetterStore;
use backstop_position_ledger::{Amount, Currency, Fact};
use backstop_schema_version::SchemaGate;
use futures::future::try_join_all;
use uuid::Uuid;

use crate::{
    consume::Consume,
    duties::{self, wishes},
    host::{Host, Stop, start},
    market::Feed,
    order,
    runtime::Tasks,
    strategy::Strategies,
};

/// Where a run began: the report speaks of what came after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Began {
    /// Simulated time.
    pub at: Timestamp,
    /// The last journal entry before this process.
    pub sequence: u64,
}

/// Does what has to be done before the first order.
///
/// # Errors
/// [`Stop::Refused`] when the gate is not open for writing; else [`Stop`] of books or letters.
pub async fn begin<D: DeadLetterStore>(
    host: &Rc<Host>,
    consume: &mut Consume<D>,
    feed: &mut dyn Feed,
    strategies: &mut Strategies,
    tasks: &Tasks,
) -> Result<Began, Stop> {
    match host.gate_state() {
        SchemaGate::ReadWrite => {}
        SchemaGate::Closed(refusal) => return Err(Stop::Refused(refusal.to_string())),
        _ => return Err(Stop::Refused("the schema may be read, not written".to_owned())),
    }
    host.tell_what_stands();
    host.snapshots.resume(host)?;
    let began = Began { at: host.clock.now(), sequence: host.accounts.version() };
    if began.sequence == 0 {
        adopt_opening_balance(host).await?;
    }
    warm_up(host, feed, strategies)?;
    // A venue that is away is no reason to miss one.
    start(tasks, host, duties::snapshots(Rc::clone(host)));
    let open: Vec<Uuid> =
        host.accounts.view().unresolved().map(|order| order.intent().order_id).collect();
    // Side by side: each may take until its deadline, and time does not stand still meanwhile.
    try_join_all(open.into_iter().map(|order_id| order::resolve(host, order_id))).await?;
    consume.resume().await?;
    // A venue that is away comes back; until then nobody knows what to trade on.
    loop {
        if consume.catch_up().await? && consume.compare_everything().await?.is_some() {
            break;
        }
        host.guard.pause().await;
    }
    host.accounts.flush()?;
    Ok(began)
}

/// The books of a new account begin with what the venue holds for it.
async fn adopt_opening_balance(host: &Host) -> Result<(), Stop> {
    let statement = loop {
        let statement = host.guard.repeat(|| host.venue.statement(None)).await;
        host.observe(&statement);
        match statement {
            Ok(statement) => break statement,
            Err(_) => host.guard.pause().await,
        }
    };
    if !statement.positions.is_empty() || statement.event_head > 0 {
        let why = "the venue's account has a past that these empty books do not know";
        return Err(Stop::Refused(why.to_owned()));
    }
    let cause = host.accounts.mint("opening");
    for (currency, total) in &statement.balances {
        let currency = Currency::new(currency)?;
        let deposited = Fact::Deposited { currency, amount: Amount::try_from(*total)? };
        drop(host.accounts.post(host.clock.now(), cause, deposited)?);
    }
    host.accounts.flush()?;
    Ok(())
}

/// Shows the strategies the past again; what they wanted last is wanted still.
fn warm_up(host: &Host, feed: &mut dyn Feed, strategies: &mut Strategies) -> Result<(), Stop> {
    while let Some(at) = feed.peek_time().filter(|at| *at < host.clock.now()) {
        let closed = host.follow(feed, at)?;
        for wanted in wishes(strategies, at, &closed) {
            host.desk.want(wanted);
        }
    }
    Ok(())
}
