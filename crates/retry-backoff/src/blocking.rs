//! The blocking driver: the same steps on one thread.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use backstop_clock::{Clock, ManualClock, SystemClock};
use backstop_error_taxonomy::Classify;
use rand::Rng;

use crate::call::{BlockingLookUp, Start};
use crate::guard::Operation;
use crate::outcome::Answer;
use crate::progress::Step;
use crate::run::{Closing, Exit, Last, Run};
use crate::{Attempt, Call, Ending, Finished, Handle, Resolution, StopReason, StopToken, Stopped};

/// Waits by holding the thread.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_retry_backoff::bounds::Pause;
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// clock.pause(Duration::from_secs(60));
/// assert_eq!(clock.elapsed(), Duration::from_secs(60));
/// ```
pub trait Pause {
    /// Returns after `duration` at the latest, earlier if the thread is unparked.
    ///
    /// A pause of zero lets other threads run.
    fn pause(&self, duration: Duration);
}

impl Pause for SystemClock {
    fn pause(&self, duration: Duration) {
        if duration.is_zero() {
            thread::yield_now();
        } else {
            thread::park_timeout(duration);
        }
    }
}

impl Pause for ManualClock {
    fn pause(&self, duration: Duration) {
        self.advance(duration);
    }
}

impl<P: Pause + ?Sized> Pause for &P {
    fn pause(&self, duration: Duration) {
        (**self).pause(duration);
    }
}

/// Makes the first attempt with nothing around it where nothing is needed.
#[inline]
pub(crate) fn run<T, E, K, L, O, C, R>(
    call: Call<'_, T, K, L>,
    clock: &C,
    rng: &mut R,
    mut op: O,
) -> Result<Finished<T>, Stopped<E>>
where
    K: Clone,
    L: BlockingLookUp<T>,
    O: Operation<K>,
    O::Output: Answer<Value = T, Error = E>,
    E: Classify,
    C: Clock + Pause,
    R: Rng + ?Sized,
{
    let (mut first, mut began) = (Last::None, None);
    if call.start() != Start::Whole {
        let limit = call.retry.policy().first_limit();
        began = limit.map(|_| clock.instant());
        let attempt = Attempt { number: 1, key: call.guard.key().clone(), limit };
        // Nothing is open yet, so nothing is refused.
        if let Some(answer) = op.start(attempt, false) {
            match Last::of(answer.into_outcome()) {
                Ok(value) => return Ok(Finished::new(value, 1, Ending::Success)),
                Err(last) => first = last,
            }
        }
    }
    rest(call, (first, began), clock, rng, op)
}

/// Goes on after a first attempt that was no success, or makes it with all that belongs to it.
#[cold]
fn rest<T, E, K, L, O, C, R>(
    mut call: Call<'_, T, K, L>,
    (first, began): (Last<T, E>, Option<Instant>),
    clock: &C,
    rng: &mut R,
    mut op: O,
) -> Result<Finished<T>, Stopped<E>>
where
    K: Clone,
    L: BlockingLookUp<T>,
    O: Operation<K>,
    O::Output: Answer<Value = T, Error = E>,
    E: Classify,
    C: Clock + Pause,
    R: Rng + ?Sized,
{
    let _closing = Closing(call.handle);
    let mut now = began.unwrap_or_else(|| clock.instant());
    let mut run = Run::new(&call, now, call.look_up.can_ask_blocking());
    let mut last = first;
    if matches!(last, Last::None) {
        match run.progress.lead(now) {
            Ok(Duration::ZERO) => {}
            Ok(lead) => {
                wait(clock, lead, run.token(), run.handle());
                now = clock.instant();
                if let Err(reason) = run.progress.begin(now) {
                    return run.stop(reason, last);
                }
            }
            Err(reason) => return run.stop(reason, last),
        }
    } else {
        run = run.with_first_made();
        if began.is_some() {
            now = clock.instant();
        }
    }
    loop {
        // A first attempt that was made already is judged like any other.
        if run.is_due() {
            match attempt(&mut run, call.guard.key().clone(), clock, &mut op, now) {
                Ok(next) => last = next,
                Err(Exit::Finished(finished)) => return Ok(finished),
                Err(Exit::Stop(reason)) => return run.stop(reason, last),
            }
            now = clock.instant();
        }
        let step = run.next(&last, now, rng);
        match follow(&mut run, step, clock, &mut call.look_up) {
            Ok(resumed) => now = resumed,
            Err(Exit::Finished(finished)) => return Ok(finished),
            Err(Exit::Stop(reason)) => return run.stop(reason, last),
        }
    }
}

/// Makes one attempt; what it gives is what stands in the place of a success.
fn attempt<T, E, K, O, C>(
    run: &mut Run<'_, T>,
    key: K,
    clock: &C,
    op: &mut O,
    now: Instant,
) -> Result<Last<T, E>, Exit<T>>
where
    O: Operation<K>,
    O::Output: Answer<Value = T, Error = E>,
    E: Classify,
    C: Clock,
{
    run.ready()?;
    let limit = run.progress.limit(now);
    let Some(answer) = op.start(run.attempt(key, limit), run.progress.is_open()) else {
        return Err(Exit::Stop(StopReason::ModifiedAfterUnknown));
    };
    run.sent(now);
    match Last::of(answer.into_outcome()) {
        Ok(value) => Err(Exit::Finished(run.succeeded(value, || clock.instant()))),
        Err(last) => Ok(last),
    }
}

/// Waits and asks as the step says; gives the moment at which the next attempt is due.
fn follow<T, C>(
    run: &mut Run<'_, T>,
    step: Step,
    clock: &C,
    look_up: &mut impl BlockingLookUp<T>,
) -> Result<Instant, Exit<T>>
where
    C: Clock + Pause,
{
    let (after, asks) = match step {
        Step::Stop(reason) => return Err(Exit::Stop(reason)),
        Step::Run { after } => (after, false),
        Step::Ask { after } => (after, true),
    };
    wait(clock, after, run.token(), run.handle());
    run.ready()?;
    if asks {
        match look_up.ask_blocking() {
            Some(Resolution::Found(value)) => return Err(Exit::Finished(run.resolved(value))),
            Some(Resolution::NotFound) => run.progress.not_applied(),
            // `resume` refuses to send what is still unknown.
            Some(Resolution::Unknown) | None => {}
        }
        run.ready()?;
    }
    let now = clock.instant();
    run.resume(now).map_err(Exit::Stop)?;
    Ok(now)
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Pauses, but no longer than until somebody outside has news.
fn wait<T>(
    clock: &(impl Clock + Pause),
    delay: Duration,
    token: Option<&StopToken>,
    handle: Option<&Handle<T>>,
) {
    let start = clock.instant();
    if token.is_none() && handle.is_none() {
        let mut rest = delay;
        loop {
            clock.pause(rest);
            rest = delay.saturating_sub(clock.instant().saturating_duration_since(start));
            if rest.is_zero() {
                return;
            }
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut stop = pin!(async {
        if let Some(token) = token {
            token.stopped().await;
        } else {
            pending::<()>().await;
        }
    });
    let mut arrival = pin!(async {
        if let Some(handle) = handle {
            handle.arrival().await;
        } else {
            pending::<()>().await;
        }
    });
    let mut rest = delay;
    loop {
        let is_over = stop.as_mut().poll(&mut context).is_ready();
        if is_over || arrival.as_mut().poll(&mut context).is_ready() {
            return;
        }
        clock.pause(rest);
        rest = delay.saturating_sub(clock.instant().saturating_duration_since(start));
        if rest.is_zero() {
            return;
        }
    }
}
