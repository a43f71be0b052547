#![expect(clippy::float_arithmetic, reason = "a rate is a statistic, never an amount")]

/// Verdicts that the current state judges by.
///
/// Closed or metrics only, with a window: the last verdicts, at most the window's size.
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
    pub success: u32,
    /// Calls that failed in a way that counts.
    pub failure: u32,
    /// Failures since the last success; it may be longer than the window.
    pub consecutive_failures: u32,
}

impl Counts {
    /// Verdicts of both sorts.
    pub const fn total(&self) -> u32 {
        self.success + self.failure
    }

    /// Failures among the verdicts, from 0 to 1; `None` without a verdict.
    pub fn failure_rate(&self) -> Option<f64> {
        let total = self.total();
        (total > 0).then(|| f64::from(self.failure) / f64::from(total))
    }
}

/// What happened since the breaker was made; no reset takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls that were not admitted.
    pub rejected: u64,
    /// Transitions to open, reopenings included.
    pub opened: u64,
    /// Verdicts that came after their period had ended, and changed nothing.
    pub stale: u64,
}
