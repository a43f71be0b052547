#![expect(clippy::float_arithmetic, reason = "a rate is a statistic, never an amount")]

/// Verdicts that the current state judges by.
///
/// Closed or metrics only, with a window: the verdicts within it.
/// The same without a window: the current run of failures alone, because nothing else is kept.
/// Half-open: the verdicts of this period's probes.
/// Open: frozen as they led there.
/// Forced open and disabled: zero.
///
/// ```
/// use backstop_circuit_breaker::Counts;
///
/// let counts = Counts::default();
/// assert_eq!((counts.total(), counts.failure_rate()), (0, None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls that went well.
    pub success: u64,
    /// Calls that failed in a way that counts.
    pub failure: u64,
    /// Calls of both sorts that took too long.
    pub slow: u64,
    /// Failures since the last success; it may be longer than the window.
    pub consecutive_failures: u32,
}

impl Counts {
    /// Verdicts of both sorts.
    pub const fn total(&self) -> u64 {
        self.success + self.failure
    }

    /// Failures among the verdicts, from 0 to 1; `None` without a verdict.
    pub fn failure_rate(&self) -> Option<f64> {
        self.share(self.failure)
    }

    /// Slow calls among the verdicts, from 0 to 1; `None` without a verdict.
    pub fn slow_rate(&self) -> Option<f64> {
        self.share(self.slow)
    }

    fn share(&self, part: u64) -> Option<f64> {
        (self.total() > 0).then(|| share(part, self.total()))
    }

    /// A good verdict that takes no longer than it should can be added without a look at the rest.
    pub(crate) const fn is_clean(&self) -> bool {
        self.failure == 0 && self.slow == 0
    }

    pub(crate) const fn add(&mut self, outcome: Outcome, many: u64) {
        if outcome.failed {
            self.failure += many;
        } else {
            self.success += many;
        }
        if outcome.slow {
            self.slow += many;
        }
    }

    pub(crate) const fn remove(&mut self, outcome: Outcome) {
        if outcome.failed {
            self.failure -= 1;
        } else {
            self.success -= 1;
        }
        if outcome.slow {
            self.slow -= 1;
        }
    }
}

/// Division rounds correctly, so 3 of 10 is exactly the number written as 0.3.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 calls in one window")]
pub(crate) fn share(part: u64, total: u64) -> f64 {
    part as f64 / total as f64
}

/// How a guarded call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

impl Outcome {
    pub(crate) const GOOD: Self = Self { failed: false, slow: false };
    pub(crate) const FAILED: Self = Self { failed: true, slow: false };

    pub(crate) const fn is_good(self) -> bool {
        !self.failed && !self.slow
    }
}

/// What happened since the breaker was made; no reset takes it back.
///
/// Counters for a metrics exporter: each of them only grows.
/// Successes are not among them, because counting them would cost every healthy call a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls that were not admitted.
    pub rejected: u64,
    /// Calls that a dry run admitted although the breaker would have rejected them.
    pub would_reject: u64,
    /// Calls that passed by their priority although others were rejected.
    pub prioritized: u64,
    /// Transitions to open, reopenings included.
    pub opened: u64,
    /// Verdicts that came after their period or their lease had ended, and changed nothing.
    pub stale: u64,
    /// Probes that lost their slot because they outlived their lease.
    pub reclaimed: u64,
}
