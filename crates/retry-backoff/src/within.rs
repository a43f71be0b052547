//! Work that is cut when it takes too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backstop_clock::{Clock, Sleep};
use pin_project_lite::pin_project;

use crate::Elapsed;

/// How long something may take, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) since: Instant,
    pub(crate) lasts: Duration,
}

/// A sleep until the limit is reached.
pub(crate) fn sleep<C: Clock + Sleep>(clock: &C, limit: Limit) -> impl Future<Output = ()> {
    let took = clock.instant().saturating_duration_since(limit.since);
    clock.sleep(limit.lasts.saturating_sub(took))
}

/// Does `work` for as long as the limit allows; an answer that comes with the limit counts.
///
/// What is ready at once needs no timer, so none is made before the first wait.
#[inline]
pub(crate) fn within<W: Future>(
    clock: &(impl Clock + Sleep),
    limit: Option<Limit>,
    work: W,
) -> impl Future<Output = Result<W::Output, Elapsed>> {
    Within { work, limit, sleep: |limit| sleep(clock, limit), timer: Later::NONE }
}

pin_project! {
    struct Within<W, N, S: Future> {
        #[pin]
        work: W,
        limit: Option<Limit>,
        sleep: N,
        timer: Later<S>,
    }
}

impl<W, N, S> Future for Within<W, N, S>
where
    W: Future,
    N: Fn(Limit) -> S + Copy,
    S: Future<Output = ()>,
{
    type Output = Result<W::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.work.poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => this.timer.poll_limit(*this.limit, *this.sleep, cx).map(Err),
        }
    }
}

/// A future in a box that is made when it is needed.
///
/// Boxed, or whatever may need it would have to move it.
/// What is done with it is apart from the usual way and takes copies: who gives away a reference to a
/// part of itself stays in memory as a whole.
pub(crate) struct Later<F: Future>(Option<Pin<Box<Slot<F>>>>);

pin_project! {
    #[project = SlotProjection]
    enum Slot<F: Future> {
        Going { #[pin] future: F },
        Done { output: Option<F::Output> },
    }
}

impl<F: Future> Later<F> {
    pub(crate) const NONE: Self = Self(None);

    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub(crate) fn set<G>(&mut self, given: G, make: impl FnOnce(G) -> F) {
        self.clear();
        self.0 = Some(boxed(given, make));
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        if let Some(future) = self.0.take() {
            discard(future);
        }
    }

    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(slot) = &mut self.0
            && poll_slot(slot.as_mut(), cx)
            && let SlotProjection::Done { output } = slot.as_mut().project()
            && let Some(output) = output.take()
        {
            return Poll::Ready(output);
        }
        Poll::Pending
    }
}

impl<S: Future<Output = ()>> Later<S> {
    /// Polls the sleep until the limit; without one there is nothing to wait for.
    #[inline]
    pub(crate) fn poll_limit(
        &mut self,
        limit: Option<Limit>,
        sleep: impl Fn(Limit) -> S + Copy,
        cx: &mut Context<'_>,
    ) -> Poll<Elapsed> {
        let Some(limit) = limit else { return Poll::Pending };
        if !self.is_some() {
            self.set(limit, sleep);
        }
        self.poll(cx).map(|()| Elapsed::new(limit.lasts))
    }
}

impl<F: Future> Drop for Later<F> {
    #[inline]
    fn drop(&mut self) {
        self.clear();
    }
}

#[cold]
#[inline(never)]
fn boxed<G, F: Future>(given: G, make: impl FnOnce(G) -> F) -> Pin<Box<Slot<F>>> {
    Box::pin(Slot::Going { future: make(given) })
}

#[cold]
#[inline(never)]
fn poll_slot<F: Future>(mut slot: Pin<&mut Slot<F>>, cx: &mut Context<'_>) -> bool {
    let SlotProjection::Going { future } = slot.as_mut().project() else { return true };
    match future.poll(cx) {
        Poll::Ready(output) => {
            slot.set(Slot::Done { output: Some(output) });
            true
        }
        Poll::Pending => false,
    }
}

#[cold]
#[inline(never)]
fn discard<F: Future>(future: Pin<Box<Slot<F>>>) {
    drop(future);
}
