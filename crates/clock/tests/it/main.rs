//! Laws of the two clocks.

use std::time::Duration;

use backstop_clock::{Clock, ManualClock, Sleep, SystemClock, Timestamp};

#[test]
fn timestamps_saturate_at_the_ends_of_their_range() {
    let last = Timestamp::from_millis(i64::MAX);
    assert_eq!(last.checked_add(Duration::from_millis(1)), None);
    assert_eq!(last.saturating_add(Duration::MAX), last);
    let first = Timestamp::from_millis(i64::MIN);
    assert_eq!(first.saturating_sub(Duration::MAX), first);
    assert_eq!(first.since(last), Duration::ZERO);
    assert_eq!(Timestamp::EPOCH.checked_add(Duration::MAX), None);
}

#[test]
fn a_manual_clock_moves_only_when_told_to() {
    let clock = ManualClock::new(Timestamp::from_millis(-5));
    let shared = clock.clone();
    assert_eq!(clock.now(), clock.now());
    shared.advance(Duration::from_millis(7));
    assert_eq!(clock.now(), Timestamp::from_millis(2));
}

#[test]
fn setting_wall_time_back_leaves_the_instant_monotonic() {
    let clock = ManualClock::new(Timestamp::from_millis(10_000));
    let before = clock.instant();
    clock.advance(Duration::from_secs(1));
    clock.set_now(Timestamp::EPOCH);
    assert_eq!(clock.now(), Timestamp::EPOCH);
    assert_eq!(clock.instant() - before, Duration::from_secs(1));
}

#[test]
fn a_manual_sleep_takes_no_real_time_and_yields_even_for_zero() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut zero = std::pin::pin!(clock.sleep(Duration::ZERO));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(zero.as_mut().poll(&mut context).is_pending());
    assert!(zero.as_mut().poll(&mut context).is_ready());
    pollster::block_on(clock.sleep(Duration::from_hours(1)));
    assert_eq!(clock.now(), Timestamp::from_millis(3_600_000));
}

#[test]
fn the_system_clock_is_past_the_year_2020() {
    assert!(SystemClock.now() > Timestamp::from_millis(1_577_836_800_000));
}
