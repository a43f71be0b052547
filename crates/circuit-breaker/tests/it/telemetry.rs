//! What breakers and bulkheads tell of themselves.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use backstop_circuit_breaker::{Breaker, Policy, Registry, bulkhead, metrics, tracing};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_testkit::{log, metrics::Recorded};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A breaker that trips, lets a probe hang, rejects, and trips again.
fn play(breaker: &Breaker, clock: &ManualClock) {
    let now = || clock.instant();
    breaker.admit(now).unwrap().failure(now);
    assert!(breaker.admit(now).is_err());
    drop(breaker.admit_priority(now).unwrap());
    clock.advance(ms(100));
    let hung = breaker.admit(now).unwrap();
    clock.advance(ms(50));
    let next = breaker.admit(now).unwrap();
    hung.success(now);
    assert!(breaker.admit(now).is_err());
    next.failure(now);
    clock.advance(ms(40));
}

fn policy() -> Policy {
    let policy = Policy::new(ms(100)).with_consecutive_failures(1).with_probe_lease(ms(50));
    policy.with_count_window(4)
}

#[test]
fn events_and_totals_become_counters_and_gauges() {
    let recorded = Recorded::default();
    let clock = ManualClock::new(Timestamp::EPOCH);
    ::metrics::with_local_recorder(&recorded, || {
        let breaker = Breaker::new(policy())
            .unwrap()
            .with_listener(|breaker, event| metrics::observe("venue", breaker, event));
        play(&breaker, &clock);
        for _ in 0..2 {
            metrics::publish("venue", &breaker, || clock.instant());
        }
    });
    let of =
        |name: &str, labels: &str| recorded.value(&format!("circuit_breaker_{name}{{{labels}}}"));
    for (name, labels, value) in [
        ("transitions_total", "breaker=venue,from=closed,to=open", 1.0),
        ("transitions_total", "breaker=venue,from=open,to=half_open", 1.0),
        ("transitions_total", "breaker=venue,from=half_open,to=open", 1.0),
        ("thresholds_total", "breaker=venue,rule=consecutive_failures", 1.0),
        ("calls_total", "breaker=venue,outcome=rejected", 2.0),
        ("calls_total", "breaker=venue,outcome=would_reject", 0.0),
        ("calls_total", "breaker=venue,outcome=prioritized", 1.0),
        ("calls_total", "breaker=venue,outcome=stale", 1.0),
        ("opened_total", "breaker=venue", 2.0),
        ("probes_reclaimed_total", "breaker=venue", 1.0),
        ("state", "breaker=venue,state=open", 1.0),
        ("state", "breaker=venue,state=closed", 0.0),
        ("state", "breaker=venue,state=half_open", 0.0),
        ("verdicts", "breaker=venue,outcome=failure", 1.0),
        ("verdicts", "breaker=venue,outcome=success", 0.0),
        ("verdicts", "breaker=venue,outcome=slow", 0.0),
        ("probes_in_flight", "breaker=venue", 0.0),
        ("open_seconds", "breaker=venue", 0.06),
    ] {
        assert_eq!(of(name, labels), Some(value), "{name} {labels}");
    }
    let states = recorded.names().into_iter().filter(|name| name.contains("_state{")).count();
    assert_eq!(states, 6);
}

/// Resets the breaker, as another thread may, just before the first gauge of a state is set.
struct Meddling {
    recorded: Recorded,
    breaker: Breaker,
    has_reset: AtomicBool,
}

impl Recorder for Meddling {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.recorded.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        if !self.has_reset.swap(true, Ordering::SeqCst) {
            self.breaker.reset();
        }
        self.recorded.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.recorded.register_histogram(key, metadata)
    }
}

#[test]
fn a_state_that_ends_while_it_is_shown_is_not_left_standing() {
    let breaker = Breaker::new(policy())
        .unwrap()
        .with_listener(|breaker, event| metrics::observe("venue", breaker, event));
    let recorded = Recorded::default();
    let meddling = Meddling {
        recorded: recorded.clone(),
        breaker: breaker.clone(),
        has_reset: AtomicBool::new(false),
    };
    ::metrics::with_local_recorder(&meddling, || breaker.force_open());
    let state = |state| recorded.value(&format!("circuit_breaker_state{{breaker=venue,{state}}}"));
    assert_eq!((state("state=closed"), state("state=forced_open")), (Some(1.0), Some(0.0)));
}

#[test]
fn a_registry_shows_how_full_it_is() {
    let recorded = Recorded::default();
    let clock = ManualClock::new(Timestamp::EPOCH);
    let now = || clock.instant();
    ::metrics::with_local_recorder(&recorded, || {
        let registry = Registry::new(1, policy()).unwrap();
        registry.admit(&1, now).unwrap().success(now);
        registry.admit(&2, now).unwrap().failure(now);
        assert!(registry.admit(&3, now).is_err());
        registry.reconfigure(policy().with_dry_run(true)).unwrap();
        assert!(registry.admit(&3, now).is_ok());
        assert!(registry.admit_priority(&3, now).is_ok());
        metrics::publish_registry("venues", &registry);
    });
    for (name, value) in [
        ("circuit_breaker_registry_keys{registry=venues}", 1.0),
        ("circuit_breaker_registry_keys_total{outcome=evicted,registry=venues}", 1.0),
        ("circuit_breaker_registry_keys_total{outcome=rejected,registry=venues}", 1.0),
        ("circuit_breaker_registry_keys_total{outcome=would_reject,registry=venues}", 1.0),
        ("circuit_breaker_registry_keys_total{outcome=prioritized,registry=venues}", 1.0),
    ] {
        assert_eq!(recorded.value(name), Some(value), "{name}");
    }
}

#[test]
fn a_bulkhead_shows_who_runs_and_who_did_not_get_in() {
    let recorded = Recorded::default();
    ::metrics::with_local_recorder(&recorded, || {
        let bulkhead = bulkhead::Bulkhead::new(bulkhead::Limits::new(1)).unwrap();
        let slot = bulkhead.try_enter().unwrap();
        assert!(bulkhead.try_enter().is_err());
        metrics::publish_bulkhead("venue", &bulkhead);
        drop(slot);
    });
    for (name, value) in [
        ("bulkhead_calls{bulkhead=venue,state=running}", 1.0),
        ("bulkhead_calls{bulkhead=venue,state=waiting}", 0.0),
        ("bulkhead_calls_total{bulkhead=venue,outcome=full}", 1.0),
        ("bulkhead_calls_total{bulkhead=venue,outcome=waited}", 0.0),
        ("bulkhead_calls_total{bulkhead=venue,outcome=timed_out}", 0.0),
    ] {
        assert_eq!(recorded.value(name), Some(value), "{name}");
    }
}

#[test]
fn transitions_are_logged_as_loud_as_they_are_bad() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let lines = log::lines(|| {
        let breaker =
            Breaker::new(policy()).unwrap().with_listener(|_, event| tracing::log("venue", event));
        play(&breaker, &clock);
        breaker.reset();
        breaker.force_open();
    });
    let starts = [
        ("DEBUG", "rule=consecutive_failures"),
        ("WARN", "from=closed to=open period=1 success=0 failure=1"),
        ("INFO", "from=open to=half_open"),
        ("WARN", "took the slot of a hung probe"),
        ("WARN", "from=half_open to=open"),
        ("INFO", "from=open to=closed"),
        ("WARN", "from=closed to=forced_open"),
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, (level, part)) in lines.iter().zip(starts) {
        let fits =
            line.starts_with(level) && line.contains(part) && line.contains("breaker=\"venue\"");
        assert!(fits, "{line}\nwithout {level} {part}");
    }
}
