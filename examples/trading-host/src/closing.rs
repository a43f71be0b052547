//! The end of a run: everything open is closed, everything known is compared, then it is told.

use std::time::Duration;

use backstop_clock::Sleep;
use backstop_dlq::{
    DeadLetterStore, State,
    store::{Filter, Page},
};
use uuid::Uuid;

use crate::{
    consume::Consume,
    host::{Host, Stop},
    proof::{self, Evidence},
    redrive::symbol_of,
    report::{DeadLetters, OpenLetter, Report},
    startup::Began,
    venue::Audit,
};

/// Looks at a venue that is away before the run is ended all the same: with half a minute
/// between them longer than the longest outage.
const LOOKS_MAX: u32 = 5_000;

/// Looks at open orders while the venue answers: what it answers by then, it answers.
const LEVEL_LOOKS_MAX: u32 = 20;

/// Between two comparisons at the end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Open letters that a report lists.
const LISTED_MAX: u32 = 1_000;

/// Cancels what is open, waits until every outcome is known, and compares for the last time.
///
/// # Errors
/// [`Stop`] when books or letters can no longer be written.
pub async fn settle<D: DeadLetterStore>(host: &Host, consume: &mut Consume<D>) -> Result<(), Stop> {
    let mut level_looks = 0;
    for _ in 0..LOOKS_MAX {
        let open: Vec<Uuid> = host
            .accounts
            .view()
            .open_orders()
            .filter(|order| !order.status().is_unresolved())
            .map(|order| order.intent().order_id)
            .collect();
        for order in &open {
            let cancelled = host.guard.repeat(|| host.venue.cancel(*order)).await;
            host.observe(&cancelled);
        }
        let is_level = consume.catch_up().await?;
        level_looks += u32::from(is_level);
        let is_closed = is_level && host.accounts.view().open_orders().next().is_none();
        if is_closed || level_looks >= LEVEL_LOOKS_MAX {
            break;
        }
        if !is_level || open.is_empty() {
            host.guard.pause().await;
        }
    }
    for _ in 0..LOOKS_MAX {
        match consume.compare_everything().await? {
            // What is covered by something on its way shows when that has arrived.
            Some(compared) if compared.deferred && level_looks < 2 * LEVEL_LOOKS_MAX => {
                level_looks += 1;
                host.clock.sleep(LOOK_AGAIN).await;
            }
            Some(_) => break,
            None => host.guard.pause().await,
        }
    }
    // The duty may not have come to its turn at this very moment.
    host.snapshots.take_due(host)?;
    host.accounts.flush()?;
    Ok(())
}

/// Asks the venue for the truth and tells what the run came to.
///
/// # Errors
/// [`Stop`] when the letters cannot be read; the venue's error when it has no audit.
pub async fn report<D: DeadLetterStore>(
    host: &Host,
    consume: &Consume<D>,
    began: Began,
    market_events: u64,
) -> anyhow::Result<Report> {
    let audit = audit(host).await?;
    let stats = consume.stats().await?;
    let redriven = consume.redriven();
    let letters = DeadLetters {
        put: stats.total(),
        replayed: redriven.replayed,
        resolved: stats.resolved,
        remaining: stats.open(),
        lost: consume.lost(),
    };
    let open = open_letters(consume).await?;
    let (snapshots, damaged_snapshots) = host.snapshots.count(host)?;
    let evidence = Evidence {
        audit: &audit,
        began,
        market_events,
        letters,
        open_letters: &open,
        snapshots,
        damaged_snapshots: &damaged_snapshots,
    };
    Ok(proof::report(host, &evidence))
}

async fn audit(host: &Host) -> Result<Audit, Stop> {
    let mut looks = 0;
    loop {
        match host.guard.repeat(|| host.venue.audit()).await {
            Ok(audit) => return Ok(audit),
            Err(stopped) if looks == LEVEL_LOOKS_MAX => {
                let why =
                    stopped.error.as_ref().map_or_else(|| stopped.to_string(), ToString::to_string);
                return Err(Stop::Unproven(why));
            }
            Err(_) => {
                looks += 1;
                host.guard.pause().await;
            }
        }
    }
}

/// Cancels what is open before the process ends early, as far as the venue answers.
pub async fn cancel_open(host: &Host) {
    let open: Vec<Uuid> =
        host.accounts.view().open_orders().map(|order| order.intent().order_id).collect();
    for order in open {
        let cancelled = host.guard.repeat(|| host.venue.cancel(order)).await;
        host.observe(&cancelled);
    }
}

async fn open_letters<D: DeadLetterStore>(consume: &Consume<D>) -> Result<Vec<OpenLetter>, Stop> {
    let mut open = Vec::new();
    for state in [State::Dead, State::Parked, State::Quarantined] {
        let filter = Filter::default().with_state(state);
        let listing = consume.letters().list(&filter, Page::first(LISTED_MAX)).await?;
        open.extend(listing.letters.iter().map(|letter| OpenLetter {
            id: letter.id().to_string(),
            symbol: symbol_of(letter),
            state: letter.state().name().to_owned(),
            reason: letter.reason().name().to_owned(),
        }));
    }
    Ok(open)
}
