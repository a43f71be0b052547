//! Has the handlers called, blocking or async, and keeps their panics from the process.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::course::{Course, HandlerFailure, Next};
use super::{Call, Done, Handlers, Recovery};
use crate::{Action, Classify, Decision, Error, Transience};

/// How many characters of a panic's message are kept.
const MESSAGE_CHARS_MAX: usize = 256;

/// Does what was decided about `error`.
///
/// [`recovery`](super) has the table of what leads to what.
/// Put a [`LoopGuard`](super::LoopGuard) around it where a handler may fail the same way.
///
/// ```
/// use backstop_error_taxonomy::recovery::{Handlers, Outcome, recover};
/// use backstop_error_taxonomy::{Action, Classify, Component, Error, Kind, Policy, Severity, Site};
///
/// let error = Error::new(Kind::Inconsistent, "10 here, 12 at the venue");
/// let policy = Policy::default();
/// let decision = policy.decide(error.class(), &Site::new(Component::POSITION, "reconcile"));
/// assert_eq!(decision.action, Action::Compensate);
///
/// let broken = |_: backstop_error_taxonomy::recovery::Call<'_>| {
///     Err(Error::new(Kind::Timeout, "venue is silent"))
/// };
/// let recovery = recover(&decision, error, Handlers::<()>::new().on_compensate(broken));
/// assert_eq!(recovery.actions, [Action::Compensate, Action::Escalate]);
/// assert_eq!(recovery.event, Some(Severity::Critical));
///
/// // The original error is returned, with the handler's beside it.
/// let Outcome::Escalated(error) = &recovery.outcome else { unreachable!() };
/// assert_eq!(error.kind(), Kind::Inconsistent);
/// assert!(error.value("recovery_failed").unwrap().contains("venue is silent"));
/// ```
pub fn recover<T>(
    decision: &Decision<'_>,
    error: Error,
    mut handlers: Handlers<'_, T>,
) -> Recovery<T> {
    let mut course = Course::new(given_up(error, decision));
    let mut next = course.begin(decision);
    loop {
        let action = match next {
            Next::Do(action) => action,
            Next::End(ending) => return course.end(ending),
        };
        let call = Call { action, error: &course.error, decision };
        // What the handler left half done is its own; the handlers are dropped afterwards.
        let done = catch_unwind(AssertUnwindSafe(|| handlers.run(call)));
        let done = match done {
            Ok(done) => done.map(|done| done.map_err(|error| failed(action, error))),
            Err(panic) => Some(Err(panicked(action, &*panic))),
        };
        next = course.after(action, done, decision);
    }
}

/// As [`recover`], by an async closure of any runtime.
///
/// The closure is asked with a [`Call`] and answers with [`Done`]; what it does not do it answers
/// with [`Done::NotMine`].
/// Dropping the future drops the error with it, unrecorded.
///
/// ```
/// use backstop_error_taxonomy::recovery::{Done, Outcome, recover_async};
/// use backstop_error_taxonomy::{Action, Classify, Component, Error, Kind, Policy, Site};
///
/// # pollster::block_on(async {
/// let error = Error::new(Kind::Timeout, "no answer within 2 s");
/// let policy = Policy::default();
/// let decision = policy.decide(error.class(), &Site::new(Component::EXECUTION, "submit_order"));
/// let recovery = recover_async(&decision, error, async |call| match call.action {
///     Action::Reconcile => Ok(Done::Value("filled")), // asked the venue
///     _ => Ok(Done::NotMine),
/// });
/// assert!(matches!(recovery.await.outcome, Outcome::Recovered("filled")));
/// # });
/// ```
pub async fn recover_async<T>(
    decision: &Decision<'_>,
    error: Error,
    mut doer: impl AsyncFnMut(Call<'_>) -> Result<Done<T>, Error>,
) -> Recovery<T> {
    let mut course = Course::new(given_up(error, decision));
    let mut next = course.begin(decision);
    loop {
        let action = match next {
            Next::Do(action) => action,
            Next::End(ending) => return course.end(ending),
        };
        let call = Call { action, error: &course.error, decision };
        let done = match caught(async { doer(call).await }).await {
            Ok(done) => done.map_err(|error| failed(action, error)),
            Err(panic) => Err(panicked(action, &*panic)),
        };
        next = course.after(action, Some(done), decision);
    }
}

/// The error, exhausted if the decision says so, lest an outer layer start over.
fn given_up(error: Error, decision: &Decision<'_>) -> Error {
    let (known, decided) = (error.class(), decision.class);
    if known.kind() == decided.kind() && decided.transience() == Transience::Exhausted {
        error.with_transience(Transience::Exhausted)
    } else {
        error
    }
}

/// Runs a future; a panic ends it and is handed over instead of unwinding further.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    // The future is never polled again after a panic.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn failed(action: Action, error: Error) -> HandlerFailure {
    HandlerFailure::Failed { action, error }
}

fn panicked(action: Action, panic: &(dyn Any + Send)) -> HandlerFailure {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("no message").chars().take(MESSAGE_CHARS_MAX).collect();
    HandlerFailure::Panicked { action, message }
}
