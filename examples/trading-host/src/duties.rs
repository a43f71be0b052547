//! The tasks that go on side by side for as long as a run lasts.

use std::{rc::Rc, time::Duration};

use backstop_clock::{Clock, Sleep, Timestamp};
use backstop_dlq::DeadLetterStore;
use futures::lock::Mutex;
use indicatif::ProgressBar;

use crate::{
    consume::Consume,
    halt::{Called, Cause, Depth},
    host::{Host, Stop},
    market::{Bar, Feed},
    order::Wanted,
    strategy::Strategies,
};

/// How often the figures are compared with the venue's.
const COMPARE_EVERY: Duration = Duration::from_secs(100);

/// How often the events are read while an order is on its way.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// How often a venue that is away is called: the books have to be level seconds after its return.
const CALL_AGAIN_EVERY: Duration = Duration::from_secs(2);

/// How often everything is compared.
const DAY: Duration = Duration::from_hours(24);

/// Reads the venue's events whenever something may have happened.
///
/// # Errors
/// [`Stop`] when books or letters can no longer be kept.
pub async fn events<D: DeadLetterStore>(
    host: Rc<Host>,
    consume: Rc<Mutex<Consume<D>>>,
) -> Result<(), Stop> {
    loop {
        host.poll.wait().await;
        let reached = consume.lock().await.catch_up().await?;
        host.nudge_all();
        if !reached {
            // The venue does not talk to us; it will not be forgotten.
            host.clock.sleep(CALL_AGAIN_EVERY).await;
            host.poll.raise();
        } else if host.awaits_outcome() {
            // An order that is on its way may trade before its answer comes, if one comes at all.
            host.clock.sleep(FOLLOW_EVERY).await;
            host.poll.raise();
        }
    }
}

/// Compares the figures for as long as the run lasts.
///
/// # Errors
/// [`Stop`] when books or letters can no longer be kept.
pub async fn figures<D: DeadLetterStore>(
    host: Rc<Host>,
    consume: Rc<Mutex<Consume<D>>>,
) -> Result<(), Stop> {
    loop {
        host.clock.sleep(COMPARE_EVERY).await;
        consume.lock().await.compare_figures().await?;
    }
}

/// Takes the snapshots that are due for as long as the run lasts.
///
/// # Errors
/// [`Stop`] when books, snapshots or their stream can no longer be kept.
pub async fn snapshots(host: Rc<Host>) -> Result<(), Stop> {
    loop {
        host.clock.sleep_until(host.snapshots.next()).await;
        host.snapshots.take_due(&host)?;
    }
}

/// An operator halts and flattens.
///
/// # Errors
/// [`Stop`] when books or letters can no longer be kept.
pub async fn drill(host: Rc<Host>, at: Timestamp) -> Result<(), Stop> {
    host.clock.sleep_until(at).await;
    let reason = "drill".to_owned();
    host.halt.call(Called { at, cause: Cause::Operator, depth: Depth::Flatten, reason })?;
    host.nudge_all();
    Ok(())
}

/// Follows the market to its end.
///
/// # Errors
/// [`Stop`] when books or letters can no longer be kept.
pub async fn trade(
    host: &Rc<Host>,
    feed: &mut dyn Feed,
    mut strategies: Strategies,
    progress: Option<ProgressBar>,
    mut daily: impl AsyncFnMut() -> Result<(), Stop>,
) -> Result<(), Stop> {
    if let Some(progress) = &progress {
        progress.set_length(feed.bars());
    }
    let mut next_daily = host.clock.now().saturating_add(DAY);
    let mut bars = 0;
    while let Some(at) = feed.peek_time() {
        while next_daily <= at {
            host.clock.sleep_until(next_daily).await;
            daily().await?;
            next_daily = next_daily.saturating_add(DAY);
        }
        host.clock.sleep_until(at).await;
        let closed = host.follow(feed, at)?;
        bars += closed.len();
        for wanted in wishes(&mut strategies, at, &closed) {
            host.desk.want(wanted);
        }
        for bar in &closed {
            host.desk.bar_closed(bar.instrument);
            host.nudges[bar.instrument].raise();
        }
        if let Some(progress) = progress.as_ref().filter(|_| !closed.is_empty()) {
            progress.set_position(u64::try_from(bars).unwrap_or(u64::MAX));
        }
    }
    Ok(())
}

/// What the strategies want after the bars that closed.
pub fn wishes(strategies: &mut Strategies, at: Timestamp, closed: &[Bar]) -> Vec<Wanted> {
    let mut wishes = Vec::new();
    if !closed.is_empty() {
        for strategy in strategies {
            let name = strategy.name();
            let targets = strategy.on_close(at, closed);
            wishes.extend(targets.into_iter().map(|target| Wanted { strategy: name, target, at }));
        }
    }
    wishes
}
