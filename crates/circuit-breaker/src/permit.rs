use std::{borrow::Borrow, fmt, thread, time::Instant};

use backstop_error_taxonomy::Classify;

use crate::{
    Breaker, Verdict, counts::Outcome, policy::usual_verdict, state::Ordinal, time::Now, word::Word,
};

/// The right to make one call, and the duty to say how it ended.
///
/// Good for the period that gave it: once the breaker has changed state or was reset, a verdict
/// changes nothing and is counted as [stale](crate::Totals::stale).
/// So is the verdict of a probe that outlived its lease.
///
/// Dropping a permit releases it without a verdict, as a cancelled call does.
/// Dropping it while the thread panics is a failure.
/// That drop has no clock: if it opens the breaker, the open time starts with the next call.
/// Nor can it tell whose panic it is; [`Permit::call`] and [`Permit::call_async`] can.
///
/// `now` is read only where the verdict may open the breaker, belongs to a slice of time, or
/// ends a call that is timed.
///
/// It borrows its breaker; [`Breaker::admit_owned`] gives one that holds a clone.
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
pub struct Permit<B: Borrow<Breaker> = Breaker> {
    breaker: B,
    ticket: Ticket,
    /// A drop says nothing of the call: whoever holds it watches the call for panics, or the thread
    /// was panicking already.
    is_mute: bool,
}

/// What admission has to remember until the verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// The breaker's word at admission; [`Word::SPENT`] if the verdict does not judge.
    pub(crate) word: Word,
    pub(crate) ordinal: Ordinal,
    /// The tick at which the call began; [`Ticket::UNTIMED`] if calls are not timed.
    ///
    /// Plain numbers, because they are copied on every call: an `Option<Instant>` is written in
    /// parts and read as a whole, for which the processor has to wait.
    pub(crate) started: i64,
}

impl Ticket {
    /// Of a call that passes although the breaker would have rejected it.
    pub(crate) const SPENT: Self = Self { word: Word::SPENT, ordinal: 0, started: Self::UNTIMED };

    pub(crate) const UNTIMED: i64 = i64::MIN;

    #[inline]
    const fn is_timed(self) -> bool {
        self.started != Self::UNTIMED
    }
}

impl<B: Borrow<Breaker>> Permit<B> {
    #[inline]
    pub(crate) fn new(breaker: B, ticket: Ticket) -> Self {
        Self { breaker, ticket, is_mute: thread::panicking() }
    }

    /// One that is [mute](Self::mute) from the start.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) const fn watched(breaker: B, ticket: Ticket) -> Self {
        Self { breaker, ticket, is_mute: true }
    }

    /// Makes it one that is dropped without a verdict whatever the thread does.
    ///
    /// For who [watches](Self::watch) every part of the call: a panic that drops it otherwise is
    /// that of another call in the same task.
    #[inline]
    pub(crate) const fn mute(&mut self) {
        self.is_mute = true;
    }

    /// The call went well.
    #[inline]
    pub fn success(mut self, now: impl FnOnce() -> Instant) {
        self.settle(false, now);
    }

    /// The call failed in a way that speaks against the other side.
    #[inline]
    pub fn failure(mut self, now: impl FnOnce() -> Instant) {
        self.settle(true, now);
    }

    /// The call says nothing of the other side; the same as dropping the permit.
    #[inline]
    pub fn ignore(mut self) {
        self.release();
    }

    /// Ends the permit by a verdict that was reached elsewhere.
    #[inline]
    pub fn end(mut self, verdict: Verdict, now: impl FnOnce() -> Instant) {
        self.settle_as(verdict, now);
    }

    /// Gives the verdict that a result's class calls for; see [`Policy::verdict`](crate::Policy::verdict).
    ///
    /// Validate a request before asking for a permit: an invalid request counts as answered.
    #[inline]
    pub fn judge<T, E: Classify>(mut self, result: &Result<T, E>, now: impl FnOnce() -> Instant) {
        self.settle_by(result, now);
    }

    /// Whether the call passes although the breaker would have rejected it.
    ///
    /// By a dry run, by its priority, or by a policy that rejects nothing where a full registry
    /// would; the verdict then does not judge.
    #[inline]
    pub fn is_exempt(&self) -> bool {
        self.ticket.word == Word::SPENT
    }

    /// Ends the permit of a call that panicked.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle_panicked(&mut self, now: impl FnOnce() -> Instant) {
        self.settle(true, now);
    }

    #[inline]
    pub(crate) fn settle_by<T, E: Classify>(
        &mut self,
        result: &Result<T, E>,
        now: impl FnOnce() -> Instant,
    ) {
        match result {
            Ok(_) => self.settle(false, now),
            Err(error) => self.settle_failed(error, now),
        }
    }

    /// Apart from the usual way, so that that is small enough to be part of its caller.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle_failed(&mut self, error: &impl Classify, now: impl FnOnce() -> Instant) {
        let class = error.class();
        let breaker = self.breaker.borrow();
        let verdict = if breaker.gate().word().has_own_kinds() {
            breaker.policy().verdict(class)
        } else {
            usual_verdict(class)
        };
        self.settle_as(verdict, now);
    }

    #[inline]
    fn settle_as(&mut self, verdict: Verdict, now: impl FnOnce() -> Instant) {
        match verdict {
            Verdict::Success => self.settle(false, now),
            Verdict::Failure => self.settle(true, now),
            Verdict::Ignored => self.release(),
        }
    }

    #[inline]
    fn release(&mut self) {
        if !self.is_exempt() {
            self.breaker.borrow().release(self.ticket);
            self.ticket.word = Word::SPENT;
        }
    }

    /// Nobody gave a verdict.
    #[cold]
    #[inline(never)]
    fn drop_unsettled(&mut self) {
        if self.is_lost_to_a_panic() {
            self.breaker.borrow().record_panic(self.ticket);
        } else {
            self.release();
        }
    }

    fn is_lost_to_a_panic(&self) -> bool {
        thread::panicking() && !self.is_mute
    }

    /// Gives the verdict; what is left to drop says nothing any more.
    #[inline]
    pub(crate) fn settle(&mut self, failed: bool, now: impl FnOnce() -> Instant) {
        let ticket = self.ticket;
        let gate = self.breaker.borrow().gate();
        let word = gate.word();
        // Healthy callers write nothing, so they share the cache line in peace.
        let is_usual = !failed && word == ticket.word && !ticket.is_timed();
        if !(is_usual && word.is_quiet()) {
            if is_usual && word.is_sliced() {
                self.settle_sliced(now);
            } else {
                self.settle_loud(word, failed, Now::Unread, now);
            }
        }
        // Only now: a `now` that panics must still give the slot back, through the drop.
        self.ticket.word = Word::SPENT;
    }

    /// A good verdict of a call that is not timed, where verdicts belong to slices of time.
    #[inline]
    fn settle_sliced(&self, now: impl FnOnce() -> Instant) {
        let gate = self.breaker.borrow().gate();
        let instant = now();
        let now = Now::At(gate.moment(instant));
        if !gate.book_good(self.ticket.word, now) {
            self.settle_loud(gate.word(), false, now, || instant);
        }
    }

    /// Apart from the usual way, so that that is small enough to be part of its caller.
    #[inline(never)]
    fn settle_loud(&self, word: Word, failed: bool, mut at: Now, now: impl FnOnce() -> Instant) {
        let (ticket, breaker) = (self.ticket, self.breaker.borrow());
        if self.is_exempt() {
            return;
        }
        let gate = breaker.gate();
        let mut outcome = Outcome { failed, slow: false };
        let mut now = Some(now);
        if (ticket.is_timed() || word.is_sliced())
            && matches!(at, Now::Unread)
            && let Some(now) = now.take()
        {
            let moment = gate.moment(now());
            at = Now::At(moment);
            outcome.slow = ticket.is_timed() && gate.is_slow(moment.tick, ticket.started);
        }
        if outcome.is_good() && word.period() == ticket.word.period() {
            let is_silent = word.is_quiet() && gate.word() == word;
            if is_silent || gate.book_good(word, at) {
                return;
            }
        }
        breaker.record(ticket, outcome, at, &mut || {
            now.take().map_or(Now::Unreadable, |now| Now::At(gate.moment(now())))
        });
    }
}

impl<B: Borrow<Breaker>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_exempt() {
            self.drop_unsettled();
        }
    }
}

impl<B: Borrow<Breaker>> fmt::Debug for Permit<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = (!self.is_exempt()).then(|| self.ticket.word.period().number());
        f.debug_struct("Permit").field("period", &period).finish_non_exhaustive()
    }
}
