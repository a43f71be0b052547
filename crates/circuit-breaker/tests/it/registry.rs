//! A breaker for each key, and which of them may be forgotten.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use backstop_circuit_breaker::{
    Breaker, Event, Initial, Permit, Policy, Problem, Reason, Registry, Rejection, State,
};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::Component;

fn policy(failures: u32) -> Policy {
    Policy::new(Duration::from_secs(30)).with_consecutive_failures(failures)
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::EPOCH)
}

#[test]
fn only_a_breaker_that_nobody_would_miss_is_forgotten() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(4, policy(2)).unwrap();
    for _ in 0..2 {
        registry.admit(&"open", now).unwrap().failure(now);
    }
    registry.admit(&"failed once", now).unwrap().failure(now);
    let in_flight = registry.admit(&"in flight", now).unwrap();
    let held = registry.breaker(&"held", now).unwrap();

    assert_eq!(registry.admit(&"new", now).unwrap_err().reason, Reason::RegistryFull);
    assert_eq!(registry.occupancy().rejected, 1);
    drop(held);
    registry.admit(&"new", now).unwrap().success(now);
    let keys: Vec<_> = registry.breakers().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["open", "failed once", "in flight", "new"]);

    in_flight.success(now);
    registry.admit(&"failed once", now).unwrap().success(now);
    for key in ["a", "b", "c", "d"] {
        registry.admit(&key, now).unwrap().success(now);
    }
    assert_eq!(registry.peek(&"open").unwrap().state(), State::Open);
    assert!(registry.peek(&"failed once").is_none());
    assert_eq!((registry.occupancy().live, registry.occupancy().evicted), (4, 5));
}

#[test]
fn the_callers_code_runs_outside_the_lock() {
    let clock = clock();
    let registry = Arc::new(OnceLock::<Registry<&str>>::new());
    let inside = Arc::clone(&registry);
    let looks = move |_: &&str| inside.get().unwrap().occupancy().live > 9;
    let made = Registry::new(1, policy(2)).unwrap().with_policy_for(looks, policy(3)).unwrap();
    assert!(registry.set(made).is_ok());
    let registry = registry.get().unwrap();
    let now = || {
        assert_eq!(registry.occupancy().live, 1);
        clock.instant()
    };
    drop(registry.breaker(&"old", now).unwrap());
    drop(registry.breaker(&"new", now).unwrap());
    assert_eq!(registry.occupancy().evicted, 1);
}

#[test]
fn what_a_forgotten_breaker_held_may_ask_the_registry() {
    struct Asks(Weak<Registry<&'static str>>, mpsc::Sender<usize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.1.send(self.0.upgrade().unwrap().occupancy().live).unwrap();
        }
    }
    let (sender, heard) = mpsc::channel();
    // In a thread of its own, so that it fails instead of waiting for itself.
    thread::spawn(move || {
        let clock = clock();
        let now = || clock.instant();
        let registry = Arc::new(Registry::new(1, policy(2)).unwrap());
        let held = Asks(Arc::downgrade(&registry), sender);
        let old =
            Breaker::new(policy(2)).unwrap().with_listener(move |_, _| drop(Weak::clone(&held.0)));
        drop(registry.insert(&"old", old, now).unwrap());
        drop(registry.breaker(&"new", now).unwrap());
    });
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok(1));
}

#[test]
fn a_restored_breaker_takes_its_place_and_no_others() {
    let clock = clock();
    let now = || clock.instant();
    let (sender, heard) = mpsc::channel();
    let registry = Registry::new(1, policy(2)).unwrap();
    let registry = registry.with_listener(move |key: &&str, _, _| sender.send(*key).unwrap());
    let open = || {
        let breaker = Breaker::new(policy(2)).unwrap();
        breaker.open(now());
        Breaker::restore(breaker.snapshot(&clock), &clock).unwrap()
    };
    assert_eq!(registry.insert(&"venue", open(), now).unwrap().state(), State::Open);
    assert_eq!(registry.admit(&"venue", now).unwrap_err().reason, Reason::Open);
    assert_eq!(registry.insert(&"other", open(), now).unwrap_err().reason, Reason::RegistryFull);
    registry.breaker(&"venue", now).unwrap().reset();
    assert_eq!(heard.try_recv(), Ok("venue"));
    assert_eq!(registry.insert(&"venue", open(), now).unwrap().state(), State::Closed);
}

#[test]
fn a_policy_by_hand_is_forgotten_with_its_breaker_unless_somebody_holds_it() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(1, policy(2)).unwrap();
    let held = registry.breaker(&"one", now).unwrap();
    held.reconfigure(policy(9)).unwrap();
    assert_eq!(registry.admit(&"two", now).unwrap_err().reason, Reason::RegistryFull);
    assert_eq!(*registry.breaker(&"one", now).unwrap().policy(), policy(9));
    drop(held);
    registry.admit(&"two", now).unwrap().success(now);
    assert_eq!(*registry.breaker(&"one", now).unwrap().policy(), policy(2));
}

#[test]
fn what_was_asked_for_lately_stays() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(3, policy(2)).unwrap();
    for key in 0..3 {
        drop(registry.breaker(&key, now).unwrap());
    }
    drop(registry.breaker(&3, now).unwrap());
    assert!(registry.peek(&0).is_none(), "all were touched, so the hand took the first");
    drop(registry.breaker(&1, now).unwrap());
    drop(registry.breaker(&4, now).unwrap());
    assert!(registry.peek(&1).is_some() && registry.peek(&2).is_none());
}

#[test]
fn failures_that_left_a_time_window_are_no_reason_to_stay() {
    let clock = clock();
    let now = || clock.instant();
    let policy = Policy::new(Duration::from_secs(30))
        .with_time_window(Duration::from_secs(10), 10)
        .with_failure_count(3);
    let registry = Registry::new(1, policy).unwrap().with_start(now());
    registry.admit(&'a', now).unwrap().failure(now);
    registry.admit(&'a', now).unwrap().success(now);
    assert!(registry.breaker(&'b', now).is_err());
    clock.advance(Duration::from_secs(10));
    assert!(registry.breaker(&'b', now).is_ok());
}

#[test]
fn each_component_has_its_own_threshold() {
    let clock = clock();
    let now = || clock.instant();
    let thresholds = [(Component::DATA, 10), (Component::EXECUTION, 3), (Component::POSITION, 2)];
    let mut registry = Registry::new(16, policy(5)).unwrap();
    for (component, failures) in thresholds {
        registry =
            registry.with_policy_for(move |key| *key == component, policy(failures)).unwrap();
    }
    for (component, failures) in thresholds.into_iter().chain([(Component::STRATEGY, 5)]) {
        for failure in 1..=failures {
            assert_eq!(registry.breaker(&component, now).unwrap().state(), State::Closed);
            registry.admit(&component, now).unwrap().failure(now);
            let is_open = registry.peek(&component).unwrap().state() == State::Open;
            assert_eq!(is_open, failure == failures, "{component} {failure}");
        }
    }
}

#[test]
fn a_listener_hears_of_every_key_by_its_name() {
    let clock = clock();
    let now = || clock.instant();
    let (sender, events) = mpsc::channel();
    let registry = Registry::new(8, policy(1)).unwrap().with_listener(move |key, _, event| {
        if let Event::Transition { to: State::Open, .. } = event {
            sender.send(*key).unwrap();
        }
    });
    for key in ["a", "b"] {
        registry.admit(&key, now).unwrap().failure(now);
    }
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn breakers_of_one_policy_do_not_probe_together() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(8, policy(1).with_open_jitter(1.0, 7)).unwrap();
    let open_time = |key: u8| {
        registry.admit(&key, now).unwrap().failure(now);
        registry.peek(&key).unwrap().open_left(now)
    };
    assert_ne!(open_time(1), open_time(2));
}

#[test]
fn breakers_that_were_restored_do_not_probe_together_either() {
    const KEYS: u8 = 4;
    let clock = clock();
    let now = || clock.instant();
    let made = || Registry::new(KEYS.into(), policy(1).with_open_jitter(0.5, 7)).unwrap();
    let open_times = |registry: &Registry<u8>| -> Vec<_> {
        (0..KEYS)
            .map(|key| {
                registry.admit(&key, now).unwrap().failure(now);
                registry.peek(&key).unwrap().open_left(now)
            })
            .collect()
    };
    let (before, after) = (made(), made());
    // In another order, so that the places of the breakers do not tell them apart as before.
    for key in (0..KEYS).rev() {
        drop(before.breaker(&key, now).unwrap());
    }
    for (key, breaker) in before.breakers().iter().rev() {
        let restored = Breaker::restore(breaker.snapshot(&clock), &clock).unwrap();
        drop(after.insert(key, restored, now).unwrap());
    }
    let times = open_times(&before);
    assert_eq!(open_times(&after), times);
    let different: HashSet<_> = times.iter().collect();
    assert_eq!(different.len(), usize::from(KEYS));
}

#[test]
fn a_dry_run_is_not_rejected_by_a_full_registry() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(1, policy(1).with_dry_run(true)).unwrap();
    let registry = registry.with_policy_for(|key| *key == "strict", policy(1)).unwrap();
    registry.admit(&"open", now).unwrap().failure(now);
    for _ in 0..2 {
        let permit = registry.admit(&"new", now).unwrap();
        assert!(permit.is_exempt());
        permit.failure(now);
    }
    assert_eq!(registry.breaker(&"new", now).unwrap_err().reason, Reason::RegistryFull);
    assert_eq!(registry.admit(&"strict", now).unwrap_err().reason, Reason::RegistryFull);
    let occupancy = registry.occupancy();
    assert_eq!((occupancy.live, occupancy.rejected, occupancy.would_reject), (1, 2, 2));

    registry.reconfigure(policy(1)).unwrap();
    assert_eq!(registry.admit(&"new", now).unwrap_err().reason, Reason::RegistryFull);
}

#[test]
fn what_must_pass_passes_a_full_registry() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(1, policy(1)).unwrap();
    registry.admit(&"venue", now).unwrap().failure(now);
    assert!(registry.admit(&"venue", now).is_err());
    for key in ["venue", "other"] {
        let permit = registry.admit_priority(&key, now).unwrap();
        assert!(permit.is_exempt());
        permit.failure(now);
    }
    assert_eq!(registry.peek(&"venue").unwrap().totals().prioritized, 1);
    let occupancy = registry.occupancy();
    assert_eq!((occupancy.rejected, occupancy.would_reject, occupancy.prioritized), (0, 0, 1));
    registry.peek(&"venue").unwrap().force_open();
    assert_eq!(registry.admit_priority(&"venue", now).unwrap_err().reason, Reason::ForcedOpen);

    registry.peek(&"venue").unwrap().reset();
    registry.admit_priority(&"other", now).unwrap().failure(now);
    assert_eq!(registry.peek(&"other").unwrap().state(), State::Open, "an ordinary call");
}

#[test]
fn a_full_registry_does_with_new_keys_what_their_breakers_would() {
    let clock = clock();
    let now = || clock.instant();
    let starting = |initial| policy(1).with_initial(initial);
    let full = Err(Reason::RegistryFull);
    for (policy, ordinary, priority) in [
        (starting(Initial::Closed), full, Ok(())),
        (starting(Initial::Open), full, Ok(())),
        (starting(Initial::ForcedOpen), full, Err(Reason::ForcedOpen)),
        (starting(Initial::Disabled), Ok(()), Ok(())),
        (starting(Initial::MetricsOnly), Ok(()), Ok(())),
        (starting(Initial::ForcedOpen).with_dry_run(true), Ok(()), Ok(())),
    ] {
        let registry = Registry::new(1, starting(Initial::Open)).unwrap();
        let registry = registry.with_policy_for(|key| *key == "new", policy).unwrap();
        drop(registry.breaker(&"venue", now).unwrap());
        let ends = |admitted: Result<Permit, Rejection>| {
            let permit = admitted.map_err(|rejection| rejection.reason)?;
            assert!(permit.is_exempt());
            permit.failure(now);
            Ok(())
        };
        let ended = (ends(registry.admit(&"new", now)), ends(registry.admit_priority(&"new", now)));
        assert_eq!(ended, (ordinary, priority));
        let occupancy = registry.occupancy();
        let passed = occupancy.would_reject + occupancy.prioritized;
        let rejected = u64::from(ordinary.is_err()) + u64::from(priority.is_err());
        assert_eq!((occupancy.rejected, passed), (rejected, 2 - rejected));
    }
}

#[test]
fn a_reconfiguration_reaches_every_key_without_a_policy_of_its_own() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(8, policy(9)).unwrap();
    let registry = registry.with_policy_for(|key| *key == "own", policy(3)).unwrap();
    for key in ["own", "other", "other"] {
        registry.admit(&key, now).unwrap().failure(now);
    }
    let in_flight = registry.admit(&"other", now).unwrap();
    let single = registry.breaker(&"single", now).unwrap();
    single.reconfigure(policy(7)).unwrap();

    assert!(registry.reconfigure(policy(0)).is_err());
    assert_eq!(registry.peek(&"other").unwrap().policy(), policy(9).into());
    registry.reconfigure(policy(3)).unwrap();
    assert_eq!(registry.peek(&"other").unwrap().counts(now).consecutive_failures, 2);
    in_flight.failure(now);
    assert_eq!(registry.peek(&"other").unwrap().state(), State::Open);

    registry.reconfigure(policy(1)).unwrap();
    assert_eq!(registry.peek(&"own").unwrap().policy(), policy(3).into());
    assert_eq!(single.policy(), policy(1).into());
    registry.admit(&"new", now).unwrap().failure(now);
    assert_eq!(registry.peek(&"new").unwrap().state(), State::Open);
}

#[test]
fn a_reconfiguration_leaves_alone_who_took_the_place_of_another_meanwhile() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Arc::new(OnceLock::<Registry<&str>>::new());
    let (inside, time) = (Arc::clone(&registry), clock.clone());
    let is_asked = Arc::new(AtomicBool::new(false));
    let evicts = Arc::clone(&is_asked);
    // Asked for the old key during the reconfiguration, it lets the other one take its place.
    let is_own = move |key: &&str| {
        if evicts.swap(false, Ordering::Relaxed) {
            drop(inside.get().unwrap().breaker(&"own", || time.instant()).unwrap());
        }
        *key == "own"
    };
    let made = Registry::new(1, policy(9)).unwrap().with_policy_for(is_own, policy(3)).unwrap();
    assert!(registry.set(made).is_ok());
    let registry = registry.get().unwrap();
    drop(registry.breaker(&"old", now).unwrap());
    is_asked.store(true, Ordering::Relaxed);
    registry.reconfigure(policy(1)).unwrap();
    assert!(registry.peek(&"old").is_none());
    assert_eq!(registry.peek(&"own").unwrap().policy(), policy(3).into());
}

#[test]
fn impossible_settings_are_refused_together() {
    let error = Registry::<u8>::new(0, policy(0)).unwrap_err();
    let settings: Vec<_> = error.problems().iter().map(Problem::setting).collect();
    assert_eq!(settings, ["trip.consecutive_failures", "max_keys"]);
    let registry = Registry::<u8>::new(1, policy(1)).unwrap();
    assert!(registry.with_policy_for(|_| true, policy(0)).is_err());
}

#[test]
fn many_threads_make_one_breaker_per_key_and_never_more_than_fit() {
    let clock = clock();
    let now = || clock.instant();
    let registry = Registry::new(8, policy(2)).unwrap();
    let work = &|thread: u32| {
        for call in 0..2_000 {
            if let Ok(permit) = registry.admit(&((call * 7 + thread) % 32), now) {
                permit.success(now);
            }
            assert!(registry.occupancy().live <= 8);
        }
    };
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || work(thread));
        }
    });
    assert_eq!(registry.breakers().len(), 8);
}
