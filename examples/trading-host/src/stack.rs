//! The layers around one call, in the one order that is right.
//!
//! ```text
//! fallback    an answer of last resort, for reads alone
//!  retry      decides by class whether another attempt is safe
//!   gate      may anything be sent at all? asked before each attempt, and again once it has its slot
//!    breaker  admits or refuses each attempt, sees each verdict
//!     bulkhead  keeps one slow venue from taking every task
//!      timeout  ends one attempt, whose outcome is then unknown
//!       call    one request
//! ```
//!
//! Whoever builds a stack names its layers in any order; the order of the stack is fixed here.
//!
//! Why this order:
//! - Fallback outside the retry: what stands in for an answer is no attempt, and it must see the
//!   end of all of them. An order has none: nothing stands in for an order.
//! - Retry outside the breaker: each attempt is judged, and an open breaker ends the loop at once.
//! - Gate outside the breaker: being halted says nothing of the venue.
//! - Breaker outside the bulkhead: an open breaker takes no slot and nobody waits for one behind it;
//!   a refusal by the bulkhead is marked as ours and judges no venue.
//!   Whoever waits for a slot was admitted before, and still goes out when the breaker opens meanwhile.
//! - Bulkhead outside the timeout: the time of an attempt starts when it runs, so waiting for a slot
//!   is never taken for a slow venue; the wait has a limit of its own.
//! - Timeout innermost: it ends one attempt, and the breaker sees that it did.
//!   An attempt that the deadline of the whole call cuts before that judges nobody.

use std::{fmt, time::Duration};

use backstop_circuit_breaker::{Breaker, bulkhead::Bulkhead};
use backstop_clock::Clock;
use backstop_retry_backoff::{Finished, Guard as Repeat, Retry, Stopped};
use rand::rngs::SmallRng;
use uuid::Uuid;

use crate::{
    guard::CallError,
    runtime::{SimClock, within},
    venue::{Answer, VenueError},
};

/// Is told of each attempt that failed, but for one that the deadline of the whole call cut.
pub type Witness<'w> = &'w dyn Fn(&CallError);

/// Builds the layers around calls to a venue.
#[derive(Clone, Copy)]
pub struct Stack<'s> {
    clock: &'s SimClock,
    retry: &'s Retry,
    gate: Option<&'s dyn Fn() -> bool>,
    breaker: Option<&'s Breaker>,
    bulkhead: Option<&'s Bulkhead>,
    witness: Option<Witness<'s>>,
    timeout: Duration,
}

impl<'s> Stack<'s> {
    /// Every call is retried as its class allows, and no attempt goes on for ever.
    pub fn new(clock: &'s SimClock, retry: &'s Retry, timeout: Duration) -> Self {
        Self { clock, retry, gate: None, breaker: None, bulkhead: None, witness: None, timeout }
    }

    /// Asks before each attempt whether anything may be sent, and again when it has waited for its slot.
    #[must_use]
    pub fn with_gate(self, may_send: &'s dyn Fn() -> bool) -> Self {
        Self { gate: Some(may_send), ..self }
    }

    /// Keeps attempts from a venue that fails, and lets each of them judge it.
    #[must_use]
    pub fn with_breaker(self, breaker: &'s Breaker) -> Self {
        Self { breaker: Some(breaker), ..self }
    }

    /// Limits how many attempts run at once.
    #[must_use]
    pub fn with_bulkhead(self, bulkhead: &'s Bulkhead) -> Self {
        Self { bulkhead: Some(bulkhead), ..self }
    }

    /// Is told of each attempt that failed.
    #[must_use]
    pub fn with_witness(self, witness: Witness<'s>) -> Self {
        Self { witness: Some(witness), ..self }
    }

    /// Makes the call, as often as `repeat` allows; without it the call is a read.
    ///
    /// # Errors
    /// [`Stopped`] with the last error; its class says whether the call may have taken effect.
    pub async fn run<'v, T: 'v>(
        &self,
        rng: &mut SmallRng,
        repeat: Option<Repeat<Uuid>>,
        call: impl Fn() -> Answer<'v, T>,
    ) -> Result<Finished<T>, Stopped<CallError>> {
        if let Some(repeat) = repeat {
            self.retry.guarded(repeat).run(self.clock, rng, |_| self.attempt(&call)).await
        } else {
            self.retry.read().run(self.clock, rng, |_| self.attempt(&call)).await
        }
    }

    /// Makes a read, and gives `fallback`'s answer if it has none.
    ///
    /// # Errors
    /// As [`run`](Self::run), where the fallback has no answer either.
    pub async fn read_or<'v, T: 'v>(
        &self,
        rng: &mut SmallRng,
        call: impl Fn() -> Answer<'v, T>,
        fallback: impl FnOnce(&Stopped<CallError>) -> Option<T>,
    ) -> Result<T, Stopped<CallError>> {
        match self.run(rng, None, call).await {
            Ok(finished) => Ok(finished.value),
            Err(stopped) => fallback(&stopped).ok_or(stopped),
        }
    }

    async fn attempt<'v, T: 'v>(&self, call: &impl Fn() -> Answer<'v, T>) -> Result<T, CallError> {
        let result = self.admitted(call).await;
        if let (Err(error), Some(witness)) = (&result, self.witness) {
            witness(error);
        }
        result
    }

    async fn admitted<'v, T: 'v>(&self, call: &impl Fn() -> Answer<'v, T>) -> Result<T, CallError> {
        self.ask_gate()?;
        let now = || self.clock.instant();
        let permit = match self.breaker {
            Some(breaker) => Some(breaker.admit(now)?),
            None => None,
        };
        let _slot = match self.bulkhead {
            Some(bulkhead) => Some(bulkhead.enter(self.clock).await?),
            None => None,
        };
        // A halt may have come while this waited for its slot; a permit that is dropped judges nobody.
        self.ask_gate()?;
        match permit {
            Some(permit) => permit.call_async(now, || self.in_time(call)).await,
            None => self.in_time(call).await,
        }
    }

    fn ask_gate(&self) -> Result<(), CallError> {
        if self.gate.is_some_and(|may_send| !may_send()) { Err(CallError::Closed) } else { Ok(()) }
    }

    async fn in_time<'v, T: 'v>(&self, call: &impl Fn() -> Answer<'v, T>) -> Result<T, CallError> {
        let limit = self.timeout;
        let answer = within(self.clock, limit, call()).await;
        Ok(answer.unwrap_or(Err(VenueError::Timeout { limit }))?)
    }
}

impl fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("breaker", &self.breaker)
            .field("bulkhead", &self.bulkhead)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
