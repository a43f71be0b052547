use std::{fmt, mem, thread, time::Instant};

use crate::{Breaker, state::Verdict, word::Period};

/// The right to make one call, and the duty to say how it ended.
///
/// Good for the period that gave it: once the breaker has changed state or was reset, a verdict
/// changes nothing and is counted as [stale](crate::Totals::stale).
///
/// Dropping a permit releases it without a verdict, as a cancelled call does.
/// Dropping it while the thread panics is a failure.
/// That drop has no clock: if it opens the breaker, the open time starts with the next call.
///
/// `now` is read only where the verdict may open the breaker.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy, State};
/// use backstop_clock::{Clock, SystemClock};
///
/// let breaker = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?;
/// let now = || SystemClock.instant();
/// breaker.admit(now)?.success(now);
/// breaker.admit(now)?.failure(now);
/// assert_eq!(breaker.state(), State::Open);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a permit gives no verdict"]
pub struct Permit<'b> {
    breaker: &'b Breaker,
    period: Period,
    /// The thread was panicking already, so a drop says nothing of the call.
    born_panicking: bool,
}

impl<'b> Permit<'b> {
    #[inline]
    pub(crate) fn new(breaker: &'b Breaker, period: Period) -> Self {
        Self { breaker, period, born_panicking: thread::panicking() }
    }

    /// The call went well.
    #[inline]
    pub fn success(self, now: impl FnOnce() -> Instant) {
        self.settle(Verdict::Success, now);
    }

    /// The call failed in a way that speaks against the other side.
    #[inline]
    pub fn failure(self, now: impl FnOnce() -> Instant) {
        self.settle(Verdict::Failure, now);
    }

    /// The call says nothing of the other side; the same as dropping the permit.
    #[inline]
    pub fn ignore(self) {
        self.breaker.release(self.period);
        mem::forget(self);
    }

    /// Ends the permit as its drop would, with a clock to tell when a panic opened the breaker.
    pub(crate) fn end(self, now: impl FnOnce() -> Instant) {
        if self.is_lost_to_a_panic() {
            self.failure(now);
        }
    }

    fn is_lost_to_a_panic(&self) -> bool {
        thread::panicking() && !self.born_panicking
    }

    #[inline]
    fn settle(self, verdict: Verdict, now: impl FnOnce() -> Instant) {
        self.breaker.record(self.period, verdict, now);
        // Only now: a `now` that panics must still give the slot back, through the drop.
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_lost_to_a_panic() {
            self.breaker.record_panic(self.period);
        } else {
            self.breaker.release(self.period);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("period", &self.period.number()).finish_non_exhaustive()
    }
}
