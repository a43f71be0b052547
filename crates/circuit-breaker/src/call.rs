use std::{
    borrow::Borrow,
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Instant,
};

use backstop_error_taxonomy::{Class, Classify};
use pin_project_lite::pin_project;

use crate::{Breaker, Permit, Rejection};

/// A guarded call gave no value: it was not admitted, or it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The breaker did not admit the call; nothing was done.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The call was made and failed.
    #[error("{0}")]
    Failed(#[source] E),
}

impl<E: Classify> Classify for CallError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Rejected(rejection) => rejection.class(),
            Self::Failed(error) => error.class(),
        }
    }
}

impl Breaker {
    /// Makes one call if it is admitted, and judges it by [`Permit::judge`].
    ///
    /// A panic in `op` counts as a failure and goes on.
    ///
    /// ```
    /// use std::{io, time::Duration};
    /// use backstop_circuit_breaker::{Breaker, CallError, Policy};
    /// use backstop_clock::{Clock, SystemClock};
    ///
    /// let breaker = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?;
    /// let now = || SystemClock.instant();
    /// let ping = || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset));
    ///
    /// assert!(matches!(breaker.call(now, ping), Err(CallError::Failed(_))));
    /// assert!(matches!(breaker.call(now, ping), Err(CallError::Rejected(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The call was rejected, or failed.
    #[inline]
    pub fn call<T, E: Classify>(
        &self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        let permit = self.admit(&now)?;
        match permit.call(now, op) {
            Ok(value) => Ok(value),
            Err(error) => Err(CallError::Failed(error)),
        }
    }

    /// Makes one asynchronous call if it is admitted, as [`call`](Self::call) does.
    ///
    /// Dropping the future releases the permit without a verdict, also where another call of the
    /// same task panics.
    ///
    /// # Errors
    /// The call was rejected, or failed.
    #[inline]
    pub fn call_async<T, E: Classify, F: Future<Output = Result<T, E>>>(
        &self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> F,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        Calling { breaker: self, now, stage: Stage::Asking { _wide: 0, op } }
    }
}

pin_project! {
    /// A call that is admitted when it is polled first.
    ///
    /// A future is moved right after it was made, in pieces of sixteen bytes, and where such a
    /// piece was written in smaller ones the processor waits for them.
    /// So a new one holds little, in this order, and its stage is written in one piece: a tag of
    /// eight bytes and eight more beside it.
    /// An `async` block, whose tag is one byte, takes twice as long.
    #[repr(C)]
    struct Calling<'b, N, O, F> {
        breaker: &'b Breaker,
        now: N,
        #[pin]
        stage: Stage<'b, O, F>,
    }

    impl<N, O, F> PinnedDrop for Calling<'_, N, O, F> {
        // Not told when the permit is made: a byte written into it would be waited for.
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            if let StageProjection::Running { permit, .. } = this.project().stage.project() {
                permit.mute();
            }
        }
    }
}

pin_project! {
    #[repr(u64)]
    #[project = StageProjection]
    #[project_replace = StageOwned]
    enum Stage<'b, O, F> {
        Asking { _wide: u64, op: O },
        Running { permit: Permit<&'b Breaker>, #[pin] future: F },
        Ended,
    }
}

impl<N, O, F, T, E> Future for Calling<'_, N, O, F>
where
    N: Fn() -> Instant,
    O: FnOnce() -> F,
    F: Future<Output = Result<T, E>>,
    E: Classify,
{
    type Output = Result<T, CallError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let now = &*this.now;
        if let StageProjection::Asking { .. } = this.stage.as_mut().project()
            && let StageOwned::Asking { op, .. } = this.stage.as_mut().project_replace(Stage::Ended)
        {
            let mut permit = this.breaker.admit(now)?;
            let future = permit.watch(now, op);
            this.stage.set(Stage::Running { permit, future });
        }
        let StageProjection::Running { permit, future } = this.stage.project() else {
            // Polled after it was rejected, which futures need not answer.
            return Poll::Pending;
        };
        // Matched where it arrives, for moving it stalls the processor.
        match permit.watch(now, || future.poll(cx)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(value)) => {
                permit.settle(false, now);
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => {
                permit.settle_failed(&error, now);
                Poll::Ready(Err(CallError::Failed(error)))
            }
        }
    }
}

impl<B: Borrow<Breaker>> Permit<B> {
    /// Makes the call that this permit is for, and [judges](Self::judge) its result.
    ///
    /// A panic in `op` counts as a failure and goes on.
    ///
    /// # Errors
    /// The call failed.
    #[inline]
    pub fn call<T, E: Classify>(
        mut self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let result = self.watch(&now, op);
        self.settle_by(&result, &now);
        result
    }

    /// Makes the asynchronous call that this permit is for, as [`call`](Self::call) does.
    ///
    /// Dropping the future releases the permit without a verdict, also where another call of the
    /// same task panics.
    ///
    /// # Errors
    /// The call failed.
    #[inline]
    pub fn call_async<T, E: Classify, F: Future<Output = Result<T, E>>>(
        mut self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> F,
    ) -> impl Future<Output = Result<T, E>> {
        // Before it is polled too, so not within.
        self.mute();
        async move {
            let future = self.watch(&now, op);
            let mut future = pin!(future);
            let result = poll_fn(|cx| self.watch(&now, || future.as_mut().poll(cx))).await;
            self.settle_by(&result, &now);
            result
        }
    }
}

impl<B: Borrow<Breaker>> Permit<B> {
    /// Makes a part of the call; a panic in it is booked at once, with a clock at hand.
    ///
    /// Whoever catches the panic may drop the permit much later, in peace.
    #[inline]
    pub(crate) fn watch<R>(&mut self, now: impl Fn() -> Instant, part: impl FnOnce() -> R) -> R {
        let watched = Watched { permit: self, now };
        let result = part();
        // It holds references only, so nothing is lost.
        mem::forget(watched);
        result
    }
}

/// Books a panic.
struct Watched<'p, B: Borrow<Breaker>, N: Fn() -> Instant> {
    permit: &'p mut Permit<B>,
    now: N,
}

impl<B: Borrow<Breaker>, N: Fn() -> Instant> Drop for Watched<'_, B, N> {
    fn drop(&mut self) {
        // Whatever the thread did before, this panic comes out of the call.
        self.permit.settle_panicked(&self.now);
    }
}
