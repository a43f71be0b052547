//! The usual paths allocate nothing, and a breaker is small.

use std::{
    pin::pin,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use allocation_counter::measure;
use backstop_circuit_breaker::{Breaker, Policy, Registry, State};
use backstop_clock::{Clock, SystemClock};
use backstop_error_taxonomy::Error;

const SECOND: Duration = Duration::from_secs(1);

fn policies() -> Vec<Policy> {
    let policy = || Policy::new(30 * SECOND);
    vec![
        policy().with_consecutive_failures(5),
        policy().with_count_window(100).with_failure_rate(0.5).with_min_calls(100),
        policy().with_time_window(10 * SECOND, 10).with_failure_rate(0.5).with_min_calls(100),
        policy().with_count_window(100).with_slow_calls(SECOND, 0.5).with_min_calls(100),
    ]
}

fn now() -> Instant {
    SystemClock.instant()
}

#[test]
fn calls_allocate_nothing() {
    for policy in policies() {
        let breaker = Breaker::new(policy.clone()).unwrap();
        let call = |number: u32| {
            breaker.call(now, || Ok::<_, Error>(number)).unwrap();
            breaker.admit(now).unwrap().ignore();
            breaker.admit_owned(now).unwrap().success(now);
            // One failure in so many that it trips nothing.
            if number % 100 == 99 {
                breaker.admit(now).unwrap().failure(now);
            }
        };
        let many = measure(|| (0..1_000).for_each(call));
        assert_eq!((many.count_total, breaker.state()), (0, State::Closed), "{policy:?}");
    }
}

#[test]
fn an_asynchronous_call_allocates_nothing() {
    for policy in policies() {
        let breaker = Breaker::new(policy).unwrap();
        let one = measure(|| {
            let call = pin!(breaker.call_async(now, async || Ok::<_, Error>(())));
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.poll(&mut context).is_ready());
        });
        assert_eq!(one.count_total, 0);
    }
}

#[test]
fn rejections_allocate_nothing() {
    for policy in policies() {
        let breaker = Breaker::new(policy).unwrap();
        breaker.open(now());
        let one = measure(|| assert!(breaker.admit(now).is_err()));
        assert_eq!(one.count_total, 0);
        breaker.force_open();
        let one = measure(|| assert!(breaker.admit(now).is_err()));
        assert_eq!(one.count_total, 0);
    }
}

#[test]
fn a_change_of_state_allocates_little() {
    for policy in policies() {
        let policy = policy.with_consecutive_failures(1);
        let breaker = Breaker::new(policy).unwrap().with_listener(|_, _| ());
        for _ in 0..20 {
            let trip = measure(|| breaker.admit(now).unwrap().failure(now));
            assert_eq!(breaker.state(), State::Open);
            breaker.open_for(Duration::ZERO, now());
            let mut permit = None;
            let probe = measure(|| permit = breaker.admit(now).ok());
            assert_eq!(breaker.state(), State::HalfOpen);
            let permit = permit.unwrap();
            let close = measure(|| permit.success(now));
            assert_eq!(breaker.state(), State::Closed);
            let most = [trip, probe, close].map(|part| part.count_total).into_iter().max();
            assert!(most <= Some(4), "{most:?}");
        }
    }
}

#[cfg(feature = "tower")]
#[test]
fn a_layer_allocates_nothing() {
    use tower::{Layer as _, Service as _, service_fn};

    for policy in policies() {
        let layer =
            backstop_circuit_breaker::tower::Layer::new(Breaker::new(policy).unwrap(), SystemClock);
        let mut client =
            layer.layer(service_fn(|call: u32| std::future::ready(Ok::<_, Error>(call))));
        let one = measure(|| {
            let call = pin!(client.call(1));
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.poll(&mut context).is_ready());
        });
        assert_eq!(one.count_total, 0);
        let cloned = measure(|| drop(client.clone()));
        assert_eq!((cloned.count_total, cloned.bytes_total), (1, 256));
    }
}

/// What a breaker takes that shares its policy, as those of a registry do.
fn bytes(policy: &std::sync::Arc<Policy>) -> u64 {
    let mut made = None;
    let one = measure(|| made = Some(Breaker::new(std::sync::Arc::clone(policy)).unwrap()));
    drop(made);
    one.bytes_max
}

#[test]
fn a_breaker_takes_256_bytes_and_its_window() {
    /// Eight cells, two cache lines apart, and what stands beside them.
    const CELLS: u64 = 9 * 128;
    /// Counts, sizes and positions of a window.
    const HEAD: u64 = 96;
    let policy = |policy: Policy| std::sync::Arc::new(policy);
    let plain = Policy::new(30 * SECOND).with_failure_count(1).with_consecutive_failures(1);
    assert!(bytes(&policy(Policy::new(SECOND).with_consecutive_failures(5))) <= 256);
    // Two bits a verdict.
    let counted = bytes(&policy(plain.clone().with_count_window(6_400)));
    assert!(counted <= 256 + 6_400 / 4 + CELLS + HEAD, "{counted}");
    // Three counts and a spare a slice.
    let timed = bytes(&policy(plain.with_time_window(60 * SECOND, 60)));
    assert!(timed <= 256 + 60 * 32 + CELLS + HEAD, "{timed}");
}

#[test]
fn a_registry_adds_little_to_each_breaker() {
    const KEYS: u32 = 1_000;
    let mut registry = None;
    let all = measure(|| {
        let policy = Policy::new(30 * SECOND).with_consecutive_failures(5);
        let made = Registry::new(1_000, policy).unwrap();
        for key in 0..KEYS {
            drop(made.breaker(&key, now).unwrap());
        }
        registry = Some(made);
    });
    let each = all.bytes_current / i64::from(KEYS);
    assert!(each <= 256 + 64, "{each} bytes a key");
}
