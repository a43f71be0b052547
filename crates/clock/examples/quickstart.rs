//! A function that takes a clock, run on the system's clock and on a manual one.

use std::time::Duration;

use backstop_clock::{Clock, ManualClock, SystemClock, Timestamp};

/// A quote is stale after five seconds.
fn is_stale(quoted_at: Timestamp, clock: &impl Clock) -> bool {
    clock.now().since(quoted_at) > Duration::from_secs(5)
}

fn main() {
    let quoted_at = SystemClock.now();
    assert!(!is_stale(quoted_at, &SystemClock));

    let clock = ManualClock::new(quoted_at);
    clock.advance(Duration::from_secs(6));
    assert!(is_stale(quoted_at, &clock));
}
