//! The async driver: runs, sleeps and asks as the pure core says.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::Classify;
use rand::Rng;

use crate::call::LookUp;
use crate::first::{Given, Made, Running};
use crate::guard::Operation;
use crate::outcome::Answer;
use crate::progress::Step;
use crate::run::{Closing, Exit, Last, Run};
use crate::within::{Limit, sleep, within};
use crate::{Call, Elapsed, Finished, Handle, Resolution, StopReason, StopToken, Stopped};

/// Makes the first attempt with nothing around it where nothing is needed.
#[inline]
pub(crate) fn run<T, E, K, L, O, C, R>(
    call: Call<'_, T, K, L>,
    clock: &C,
    rng: &mut R,
    op: O,
) -> impl Future<Output = Result<Finished<T>, Stopped<E>>>
where
    K: Clone,
    L: LookUp<T>,
    O: Operation<K>,
    O::Output: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock + Sleep,
    R: Rng + ?Sized,
{
    let given = Given { call, clock, rng, op };
    Running::new(given, |limit| sleep(clock, limit), rest)
}

/// Goes on after a first attempt that was no success, or makes it with all that belongs to it.
pub(crate) async fn rest<T, E, K, L, O, C, R>(
    given: Given<'_, T, K, L, O, C, R>,
    (first, began): Made<T, E>,
) -> Result<Finished<T>, Stopped<E>>
where
    K: Clone,
    L: LookUp<T>,
    O: Operation<K>,
    O::Output: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock + Sleep,
    R: Rng,
{
    let Given { mut call, clock, mut rng, mut op } = given;
    let _closing = Closing(call.handle);
    let mut now = began.unwrap_or_else(|| clock.instant());
    let mut run = Run::new(&call, now, call.look_up.can_ask());
    let mut last = first;
    if matches!(last, Last::None) {
        match run.progress.lead(now) {
            Ok(Duration::ZERO) => {}
            Ok(lead) => {
                wait(&clock, lead, run.token(), run.handle()).await;
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
            let key = call.guard.key().clone();
            match attempt(&mut run, key, &clock, &mut op, now).await {
                Ok(next) => last = next,
                Err(Exit::Finished(finished)) => return Ok(finished),
                Err(Exit::Stop(reason)) => return run.stop(reason, last),
            }
            now = clock.instant();
        }
        let step = run.next(&last, now, &mut rng);
        match follow(&mut run, step, &clock, &mut call.look_up).await {
            Ok(resumed) => now = resumed,
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
    now: Instant,
) -> Result<Last<T, E>, Exit<T>>
where
    O: Operation<K>,
    O::Output: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock + Sleep,
{
    run.ready()?;
    let lasts = run.progress.limit(now);
    let limit = lasts.map(|lasts| Limit { since: now, lasts });
    let Some(work) = op.start(run.attempt(key, lasts), run.progress.is_open()) else {
        return Err(Exit::Stop(StopReason::ModifiedAfterUnknown));
    };
    run.sent(now);
    let Some(answer) = unless_resolved(run.handle(), within(clock, limit, work)).await else {
        run.ready()?;
        // Another call with the same handle took the news, and this attempt was dropped halfway.
        run.progress.lose_sight();
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

/// Waits and asks as the step says; gives the moment at which the next attempt is due.
async fn follow<T, C>(
    run: &mut Run<'_, T>,
    step: Step,
    clock: &C,
    look_up: &mut impl LookUp<T>,
) -> Result<Instant, Exit<T>>
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
        // Asking changes nothing, so a stop need not wait for the answer.
        let asking = unless_stopped(run.token(), within(clock, limit, asking));
        let answer = unless_resolved(run.handle(), asking).await.flatten();
        match answer.and_then(Result::ok).unwrap_or(Resolution::Unknown) {
            Resolution::Found(value) => return Err(Exit::Finished(run.resolved(value))),
            Resolution::NotFound => run.progress.not_applied(),
            // `resume` refuses to send what is still unknown.
            Resolution::Unknown => {}
        }
        run.ready()?;
    }
    let now = clock.instant();
    run.resume(now).map_err(Exit::Stop)?;
    Ok(now)
}

/// Sleeps, but no longer than until somebody outside has news.
async fn wait<T>(
    clock: &impl Sleep,
    delay: Duration,
    token: Option<&StopToken>,
    handle: Option<&Handle<T>>,
) {
    unless_resolved(handle, unless_stopped(token, clock.sleep(delay))).await;
}

/// `None` if the stop came before the work was done; what is done by then counts.
async fn unless_stopped<W: Future>(token: Option<&StopToken>, work: W) -> Option<W::Output> {
    let Some(token) = token else { return Some(work.await) };
    let mut work = pin!(work);
    let mut stop = pin!(token.stopped());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => stop.as_mut().poll(cx).map(|()| None),
    })
    .await
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
