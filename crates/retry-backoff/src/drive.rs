//! The async driver: runs, sleeps and asks as the pure core says.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::Classify;
use rand::Rng;

use crate::call::LookUp;
use crate::guard::Operation;
use crate::outcome::Answer;
use crate::progress::Step;
use crate::run::{Closing, Exit, Last, Run};
use crate::{
    Attempt, Call, Elapsed, Ending, Finished, Handle, Resolution, StopReason, StopToken, Stopped,
};

/// Makes the first attempt with nothing around it where nothing is needed.
#[inline]
pub(crate) async fn run<T, E, K, L, O, C, R>(
    call: Call<'_, T, K, L>,
    clock: &C,
    rng: &mut R,
    mut op: O,
) -> Result<Finished<T>, Stopped<E>>
where
    K: Clone,
    L: LookUp<T>,
    O: Operation<K>,
    O::Output: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock + Sleep,
    R: Rng + ?Sized,
{
    let mut first = Last::None;
    if call.is_plain() {
        let attempt = Attempt { number: 1, key: call.guard.key().clone(), limit: None };
        // Nothing is open yet, so nothing is refused.
        if let Some(work) = op.start(attempt, false) {
            match Last::of(work.await.into_outcome()) {
                Ok(value) => return Ok(Finished::new(value, 1, Ending::Success)),
                Err(last) => first = last,
            }
        }
    }
    rest(call, first, clock, rng, op).await
}

/// Goes on after a first attempt that was no success, or makes it with all that belongs to it.
async fn rest<T, E, K, L, O, C, R>(
    mut call: Call<'_, T, K, L>,
    first: Last<T, E>,
    clock: &C,
    rng: &mut R,
    mut op: O,
) -> Result<Finished<T>, Stopped<E>>
where
    K: Clone,
    L: LookUp<T>,
    O: Operation<K>,
    O::Output: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock + Sleep,
    R: Rng + ?Sized,
{
    let _closing = Closing(call.handle);
    let mut run = Run::new(&call, clock.instant(), call.look_up.can_ask());
    let mut last = first;
    if matches!(last, Last::None) {
        match run.progress.lead(clock.instant()) {
            Ok(Duration::ZERO) => {}
            Ok(lead) => wait(clock, lead, run.token(), run.handle()).await,
            Err(reason) => return run.stop(reason, last),
        }
    } else {
        run = run.with_first_made();
    }
    loop {
        // A first attempt that was made already is judged like any other.
        if run.is_due() {
            let key = call.guard.key().clone();
            match attempt(&mut run, key, clock, &mut op).await {
                Ok(next) => last = next,
                Err(Exit::Finished(finished)) => return Ok(finished),
                Err(Exit::Stop(reason)) => return run.stop(reason, last),
            }
        }
        let step = run.next(&last, clock.instant(), rng);
        match follow(&mut run, step, clock, &mut call.look_up).await {
            Ok(()) => {}
            Err(Exit::Finished(finished)) => return Ok(finished),
            Err(Exit::Stop(reason)) => return run.stop(reason, last),
        }
    }
}

/// Makes one attempt; what it gives is what stands in the place of a success.
async fn attempt<T, E, K, O, C>(
    run: &mut Run<'_, T>,
    key: K,
    clock: &C,
    op: &mut O,
) -> Result<Last<T, E>, Exit<T>>
where
    O: Operation<K>,
    O::Output: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock + Sleep,
{
    run.ready()?;
    let limit = run.limit(|| clock.instant());
    let Some(work) = op.start(run.attempt(key, limit), run.progress.is_open()) else {
        return Err(Exit::Stop(StopReason::ModifiedAfterUnknown));
    };
    run.sent(|| clock.instant());
    let Some(answer) = unless_resolved(run.handle(), within(clock, limit, work)).await else {
        run.ready()?;
        // Only this run takes from the handle, so the news cannot be gone.
        return Err(Exit::Stop(StopReason::Cancelled));
    };
    let last = match answer {
        Ok(answer) => match Last::of(answer.into_outcome()) {
            Ok(value) => return Err(Exit::Finished(run.succeeded(value, || clock.instant()))),
            Err(last) => last,
        },
        Err(elapsed) => Last::cut(E::from(elapsed)),
    };
    Ok(last)
}

/// Waits and asks as the step says, until the next attempt is due.
async fn follow<T, C>(
    run: &mut Run<'_, T>,
    step: Step,
    clock: &C,
    look_up: &mut impl LookUp<T>,
) -> Result<(), Exit<T>>
where
    C: Clock + Sleep,
{
    let (after, asks) = match step {
        Step::Stop(reason) => return Err(Exit::Stop(reason)),
        Step::Run { after } => (after, false),
        Step::Ask { after } => (after, true),
    };
    wait(clock, after, run.token(), run.handle()).await;
    run.ready()?;
    if asks && let Some(asking) = look_up.ask() {
        let limit = run.limit(|| clock.instant());
        let answer = unless_resolved(run.handle(), within(clock, limit, asking)).await;
        match answer.unwrap_or(Ok(Resolution::Unknown)).unwrap_or(Resolution::Unknown) {
            Resolution::Found(value) => return Err(Exit::Finished(run.resolved(value))),
            Resolution::NotFound => run.progress.not_applied(),
            // `resume` refuses to send what is still unknown.
            Resolution::Unknown => {}
        }
        run.ready()?;
    }
    run.resume(clock.instant()).map_err(Exit::Stop)
}

/// Sleeps, but no longer than until somebody outside has news.
async fn wait<T>(
    clock: &impl Sleep,
    delay: Duration,
    token: Option<&StopToken>,
    handle: Option<&Handle<T>>,
) {
    let mut stop = pin!(stopped(token));
    let mut sleep = pin!(clock.sleep(delay));
    let nap = poll_fn(|cx| match stop.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => sleep.as_mut().poll(cx),
    });
    unless_resolved(handle, nap).await;
}

async fn stopped(token: Option<&StopToken>) {
    match token {
        Some(token) => token.stopped().await,
        None => pending().await,
    }
}

/// `None` if the news came before the work was done; an answer that comes with them counts.
async fn unless_resolved<T, W: Future>(handle: Option<&Handle<T>>, work: W) -> Option<W::Output> {
    let Some(handle) = handle else { return Some(work.await) };
    let mut work = pin!(work);
    let mut arrival = pin!(handle.arrival());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => arrival.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Polls `work` and, if there is a limit, a sleep; an answer that comes with the limit counts.
async fn within<T>(
    clock: &impl Sleep,
    limit: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let Some(limit) = limit else { return Ok(work.await) };
    let mut work = pin!(work);
    let mut timer = pin!(clock.sleep(limit));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| Err(Elapsed::new(limit))),
    })
    .await
}
