//! What breakers and bulkheads tell the `metrics` facade.
//!
//! The label `breaker`, `registry` or `bulkhead` is the name that the caller gives, one of a few.
//!
//! | name | kind | further labels |
//! |---|---|---|
//! | `circuit_breaker_transitions_total` | counter | `from`, `to` |
//! | `circuit_breaker_thresholds_total` | counter | `rule` |
//! | `circuit_breaker_calls_total` | counter | `outcome`: rejected, `would_reject`, prioritized, stale |
//! | `circuit_breaker_opened_total`, `circuit_breaker_probes_reclaimed_total` | counter | |
//! | `circuit_breaker_state` | gauge, 1 for the state it is in | `state` |
//! | `circuit_breaker_verdicts` | gauge: those it judges by | `outcome`: success, failure, slow |
//! | `circuit_breaker_probes_in_flight` | gauge | |
//! | `circuit_breaker_open_seconds` | gauge: the rest of the open time | |
//! | `circuit_breaker_registry_keys` | gauge | |
//! | `circuit_breaker_registry_keys_total` | counter | `outcome`: evicted, rejected, `would_reject`, prioritized |
//! | `bulkhead_calls` | gauge | `state`: running, waiting |
//! | `bulkhead_calls_total` | counter | `outcome`: waited, full, `timed_out` |
//!
//! ```
//! use std::time::Duration;
//! use backstop_circuit_breaker::{Breaker, Policy, metrics};
//! use backstop_clock::{Clock, SystemClock};
//! use backstop_testkit::metrics::Recorded;
//!
//! let now = || SystemClock.instant();
//! let recorded = Recorded::default(); // a program installs its exporter instead
//! ::metrics::with_local_recorder(&recorded, || {
//!     let venue = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?
//!         .with_listener(|breaker, event| metrics::observe("venue", breaker, event));
//!     venue.admit(now)?.failure(now);
//!     assert!(venue.admit(now).is_err());
//!     metrics::publish("venue", &venue, now); // by a timer, or before a scrape
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! let name = "circuit_breaker_transitions_total{breaker=venue,from=closed,to=open}";
//! assert_eq!(recorded.value(name), Some(1.0));
//! assert_eq!(recorded.value("circuit_breaker_state{breaker=venue,state=open}"), Some(1.0));
//! let name = "circuit_breaker_calls_total{breaker=venue,outcome=rejected}";
//! assert_eq!(recorded.value(name), Some(1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{hash::Hash, time::Instant};

use ::metrics::{counter, gauge};

use crate::{Breaker, Event, Registry, State};

const STATES: [State; 6] = [
    State::Closed,
    State::Open,
    State::HalfOpen,
    State::ForcedOpen,
    State::Disabled,
    State::MetricsOnly,
];

/// Counts an event and shows the state; for [`Breaker::with_listener`].
///
/// The breaker itself tells its state, and is asked again once it is shown: so listeners of two
/// threads cannot leave an older one.
pub fn observe(name: &str, breaker: &Breaker, event: &Event) {
    let name = name.to_owned();
    match event {
        Event::Transition { from, to, .. } => {
            let (from, to) = (from.to_string(), to.to_string());
            let labels = [("breaker", name.clone()), ("from", from), ("to", to)];
            counter!("circuit_breaker_transitions_total", &labels).increment(1);
            show_state(&name, breaker);
        }
        Event::Threshold { rule, .. } => {
            let labels = [("breaker", name), ("rule", rule.to_string())];
            counter!("circuit_breaker_thresholds_total", &labels).increment(1);
        }
        // The totals count them.
        Event::ProbeReclaimed { .. } => {}
    }
}

/// Shows the totals and gauges as they are now; by a timer, or before each scrape.
///
/// What costs every call a write is not counted by events but read here.
pub fn publish(name: &str, breaker: &Breaker, now: impl Fn() -> Instant) {
    let totals = breaker.totals();
    for (outcome, total) in [
        ("rejected", totals.rejected),
        ("would_reject", totals.would_reject),
        ("prioritized", totals.prioritized),
        ("stale", totals.stale),
    ] {
        let labels = [("breaker", name.to_owned()), ("outcome", outcome.to_owned())];
        counter!("circuit_breaker_calls_total", &labels).absolute(total);
    }
    let label = [("breaker", name.to_owned())];
    counter!("circuit_breaker_opened_total", &label).absolute(totals.opened);
    counter!("circuit_breaker_probes_reclaimed_total", &label).absolute(totals.reclaimed);
    let counts = breaker.counts(&now);
    for (outcome, count) in
        [("success", counts.success), ("failure", counts.failure), ("slow", counts.slow)]
    {
        let labels = [("breaker", name.to_owned()), ("outcome", outcome.to_owned())];
        gauge!("circuit_breaker_verdicts", &labels).set(shown(count));
    }
    gauge!("circuit_breaker_probes_in_flight", &label).set(breaker.probes_in_flight());
    let left = breaker.open_left(now).unwrap_or_default();
    gauge!("circuit_breaker_open_seconds", &label).set(left.as_secs_f64());
    show_state(name, breaker);
}

/// Shows how many keys have a breaker, and what became of others.
///
/// Its breakers are shown one by one, by [`publish`] for each of
/// [`Registry::breakers`](crate::Registry::breakers).
pub fn publish_registry<K>(name: &str, registry: &Registry<K>)
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    let occupancy = registry.occupancy();
    let live = u32::try_from(occupancy.live).unwrap_or(u32::MAX);
    gauge!("circuit_breaker_registry_keys", "registry" => name.to_owned()).set(live);
    let totals = [
        ("evicted", occupancy.evicted),
        ("rejected", occupancy.rejected),
        ("would_reject", occupancy.would_reject),
        ("prioritized", occupancy.prioritized),
    ];
    for (outcome, total) in totals {
        let labels = [("registry", name.to_owned()), ("outcome", outcome.to_owned())];
        counter!("circuit_breaker_registry_keys_total", &labels).absolute(total);
    }
}

/// Shows how many calls run and wait, and how many did not get in.
#[cfg(feature = "bulkhead")]
pub fn publish_bulkhead(name: &str, bulkhead: &crate::bulkhead::Bulkhead) {
    for (state, calls) in [("running", bulkhead.running()), ("waiting", bulkhead.waiting())] {
        let labels = [("bulkhead", name.to_owned()), ("state", state.to_owned())];
        gauge!("bulkhead_calls", &labels).set(calls);
    }
    let totals = bulkhead.totals();
    for (outcome, total) in
        [("waited", totals.waited), ("full", totals.full), ("timed_out", totals.timed_out)]
    {
        let labels = [("bulkhead", name.to_owned()), ("outcome", outcome.to_owned())];
        counter!("bulkhead_calls_total", &labels).absolute(total);
    }
}

fn show_state(name: &str, breaker: &Breaker) {
    loop {
        let now = breaker.state();
        for state in STATES {
            let labels = [("breaker", name.to_owned()), ("state", state.to_string())];
            gauge!("circuit_breaker_state", &labels).set(if state == now { 1.0 } else { 0.0 });
        }
        // Who showed a newer one meanwhile may have been written over.
        if breaker.state() == now {
            return;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 2^53 calls")]
fn shown(count: u64) -> f64 {
    count as f64
}
