//! The first attempt of a run, with nothing around it where nothing is needed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use backstop_clock::Clock;
use backstop_error_taxonomy::Classify;
use pin_project_lite::pin_project;

use crate::call::Start;
use crate::guard::Operation;
use crate::outcome::Answer;
use crate::run::Last;
use crate::within::{Later, Limit};
use crate::{Attempt, Call, Elapsed, Ending, Finished, Outcome, Stopped};

/// What a run was given.
pub(crate) struct Given<'c, T, K, L, O, C, R> {
    pub(crate) call: Call<'c, T, K, L>,
    pub(crate) clock: C,
    pub(crate) rng: R,
    pub(crate) op: O,
}

/// How the first attempt ended, and when it began if the clock was read.
pub(crate) type Made<T, E> = (Last<T, E>, Option<Instant>);

pin_project! {
    /// A run that makes its first attempt by itself.
    ///
    /// Written out, because an `async` block of the same steps takes longer.
    pub(crate) struct Running<'c, T, K, L, O, C, R, W, N, S: Future, P, Z: Future> {
        // There until the rest takes it.
        given: Option<Given<'c, T, K, L, O, C, R>>,
        // There until the first attempt is made, so that nothing makes it twice.
        start: Option<Start>,
        // Makes the timer of an attempt.
        sleep: N,
        // Goes on after an attempt that was no success.
        proceed: P,
        limit: Option<Limit>,
        timer: Later<S>,
        #[pin]
        work: Option<W>,
        rest: Later<Z>,
    }
}

impl<'c, T, K, L, O, C, R, W, N, S: Future, P, Z: Future>
    Running<'c, T, K, L, O, C, R, W, N, S, P, Z>
{
    #[inline]
    pub(crate) fn new(given: Given<'c, T, K, L, O, C, R>, sleep: N, proceed: P) -> Self {
        let start = Some(given.call.start());
        Self {
            given: Some(given),
            start,
            sleep,
            proceed,
            limit: None,
            timer: Later::NONE,
            work: None,
            rest: Later::NONE,
        }
    }
}

impl<'c, T, E, K, L, O, C, R, W, N, S, P, Z> Future for Running<'c, T, K, L, O, C, R, W, N, S, P, Z>
where
    K: Clone,
    O: Operation<K, Output = W>,
    W: Future<Output: Answer<Value = T, Error = E>>,
    E: Classify + From<Elapsed>,
    C: Clock,
    N: Fn(Limit) -> S + Copy,
    S: Future<Output = ()>,
    P: Fn(Given<'c, T, K, L, O, C, R>, Made<T, E>) -> Z + Copy,
    Z: Future<Output = Result<Finished<T>, Stopped<E>>>,
{
    type Output = Result<Finished<T>, Stopped<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.rest.is_some() {
            return this.rest.poll(cx);
        }
        if this.work.is_none()
            && let Some(given) = this.given
        {
            // A first attempt that panicked, or whose drop did, may have been sent.
            let Some(start) = this.start.take() else { return Poll::Pending };
            if start == Start::Timed {
                let lasts = given.call.retry.policy().first_limit();
                *this.limit = lasts.map(|lasts| Limit { since: given.clock.instant(), lasts });
            }
            if start != Start::Whole {
                let limit = this.limit.map(|limit| limit.lasts);
                let attempt = Attempt { number: 1, key: given.call.guard.key().clone(), limit };
                // Nothing is open yet, so nothing is refused.
                this.work.set(given.op.start(attempt, false));
            }
        }
        let last = match this.work.as_mut().as_pin_mut() {
            Some(work) => match work.poll(cx) {
                // Matched where it arrives: to move it first makes the processor wait.
                Poll::Ready(answer) => match answer.into_outcome() {
                    Outcome::Success(value) => {
                        return Poll::Ready(Ok(Finished::new(value, 1, Ending::Success)));
                    }
                    Outcome::Again(value) => Last::Value(value, None),
                    Outcome::AgainAfter(value, after) => Last::Value(value, Some(after)),
                    Outcome::AgainNever(value) => Last::Never(value),
                    Outcome::Pending(value) => Last::Pending(value),
                    Outcome::Failure(error) => Last::failed(error),
                    Outcome::Pushback(error) => Last::pushed_back(error),
                },
                Poll::Pending => {
                    Last::cut(E::from(ready!(this.timer.poll_limit(*this.limit, *this.sleep, cx))))
                }
            },
            None => Last::None,
        };
        // An attempt that is over leaves nothing behind that would go on.
        this.work.set(None);
        this.timer.clear();
        let proceed = *this.proceed;
        let began = this.limit.map(|limit| limit.since);
        if let Some(given) = this.given.take() {
            this.rest.set((given, last), move |(given, last)| proceed(given, (last, began)));
        }
        this.rest.poll(cx)
    }
}
