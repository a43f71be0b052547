use std::time::Instant;

use backstop_error_taxonomy::{Class, Classify, Kind};

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
    pub fn call<T, E: Classify>(
        &self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        let guard = OnPanic { permit: Some(self.admit(&now)?), now: &now };
        let result = op();
        guard.judge(&result);
        result.map_err(CallError::Failed)
    }

    /// Makes one asynchronous call if it is admitted, as [`call`](Self::call) does.
    ///
    /// Dropping the future releases the permit without a verdict.
    ///
    /// # Errors
    /// The call was rejected, or failed.
    pub async fn call_async<T, E: Classify, F: Future<Output = Result<T, E>>>(
        &self,
        now: impl Fn() -> Instant,
        op: impl FnOnce() -> F,
    ) -> Result<T, CallError<E>> {
        let guard = OnPanic { permit: Some(self.admit(&now)?), now: &now };
        let result = op().await;
        guard.judge(&result);
        result.map_err(CallError::Failed)
    }
}

impl Permit<'_> {
    /// Gives the verdict that a result's class calls for.
    ///
    /// | result | verdict |
    /// |---|---|
    /// | `Ok` | success |
    /// | an error that [counts for a breaker](Class::counts_for_breaker) | failure |
    /// | an answer all the same: a reject, missing funds, an invalid request, ... | success |
    /// | anything else: a refusal by another breaker, a cancelled call, bad data, ... | none |
    ///
    /// The last row is about this side or says too little, so it must not close a breaker either.
    /// Validate a request before asking for a permit: an invalid request counts as answered.
    pub fn judge<T, E: Classify>(self, result: &Result<T, E>, now: impl FnOnce() -> Instant) {
        match result {
            Ok(_) => self.success(now),
            Err(error) if error.class().counts_for_breaker() => self.failure(now),
            Err(error) if answered(error.class()) => self.success(now),
            Err(_) => self.ignore(),
        }
    }
}

/// The other side was reached, understood the request and said no.
const fn answered(class: Class) -> bool {
    !class.is_breaker_refusal()
        && matches!(
            class.kind(),
            Kind::Invalid
                | Kind::Auth
                | Kind::NotFound
                | Kind::Conflict
                | Kind::Precondition
                | Kind::InsufficientFunds
                | Kind::Rejected
                | Kind::Unsupported
        )
}

/// A permit that has a clock at hand should the call panic.
struct OnPanic<'b, N: Fn() -> Instant> {
    permit: Option<Permit<'b>>,
    now: N,
}

impl<N: Fn() -> Instant> OnPanic<'_, N> {
    fn judge<T, E: Classify>(mut self, result: &Result<T, E>) {
        if let Some(permit) = self.permit.take() {
            permit.judge(result, &self.now);
        }
    }
}

impl<N: Fn() -> Instant> Drop for OnPanic<'_, N> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.end(&self.now);
        }
    }
}
