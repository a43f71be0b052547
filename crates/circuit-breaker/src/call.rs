use std::{borrow::Borrow, time::Instant};

use backstop_error_taxonomy::{Class, Classify};

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
    /// Dropping the future releases the permit without a verdict.
    ///
    /// # Errors
    /// The call was rejected, or failed.
    #[inline]
    #[expect(clippy::manual_async_fn, reason = "an async fn moves its arguments once more")]
    pub fn call_async<T, E: Classify, F: Future<Output = Result<T, E>>>(
        &self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> F,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        // Not by way of the permit's own: a future within a future is copied once more.
        // The result is matched where it arrives, for moving it stalls the processor.
        async move {
            let mut guard = OnPanic { permit: self.admit(&now)?, now: &now };
            match op().await {
                Ok(value) => {
                    guard.permit.settle(false, &now);
                    Ok(value)
                }
                Err(error) => {
                    guard.permit.settle_failed(&error, &now);
                    Err(CallError::Failed(error))
                }
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
        self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut guard = OnPanic { permit: self, now: &now };
        let result = op();
        guard.permit.settle_by(&result, &now);
        result
    }

    /// Makes the asynchronous call that this permit is for, as [`call`](Self::call) does.
    ///
    /// Dropping the future releases the permit without a verdict.
    ///
    /// # Errors
    /// The call failed.
    #[inline]
    pub async fn call_async<T, E: Classify, F: Future<Output = Result<T, E>>>(
        self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> F,
    ) -> Result<T, E> {
        let mut guard = OnPanic { permit: self, now: &now };
        match op().await {
            Ok(value) => {
                guard.permit.settle(false, &now);
                Ok(value)
            }
            Err(error) => {
                guard.permit.settle_failed(&error, &now);
                Err(error)
            }
        }
    }
}

/// A permit that has a clock at hand should the call panic.
struct OnPanic<B: Borrow<Breaker>, N: Fn() -> Instant> {
    permit: Permit<B>,
    now: N,
}

impl<B: Borrow<Breaker>, N: Fn() -> Instant> Drop for OnPanic<B, N> {
    #[inline]
    fn drop(&mut self) {
        if !self.permit.is_exempt() {
            self.permit.settle_dropped(&self.now);
        }
    }
}
