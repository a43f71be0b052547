//! Trying a handler on one message until it succeeds or gives up.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::{Action, Class, Classify, Component, Kind, Policy, Site, Transience};
use tracing::debug;

use crate::{Handler, Message, Reason, config::Retry, history::Attempts};

/// Where the policy is told that a failure happened.
const COMPONENT: Component = Component::new("dlq");

/// Which operation it is told that failed: a handler, which is idempotent.
const OP: &str = "handle";

/// What decides whether there is another attempt, and when.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) retry: &'a Retry,
}

/// Why one attempt failed.
struct Failure {
    class: Class,
    text: String,
    undecodable: bool,
}

impl Failure {
    fn of(error: &(impl Classify + fmt::Display), undecodable: bool) -> Self {
        Self { class: error.class(), text: error.to_string(), undecodable }
    }
}

/// Hands a message to the handler as often as the rules allow; records what fails.
pub(crate) async fn deliver<H: Handler, C: Clock + Sleep>(
    handler: &mut H,
    message: &Message,
    rules: Rules<'_>,
    clock: &C,
    attempts: &mut Attempts,
) -> Result<(), Reason> {
    let Rules { policy, retry } = rules;
    let began = clock.instant();
    let mut number = 0;
    loop {
        number += 1;
        let Err(failure) = attempt(handler, message).await else { return Ok(()) };
        attempts.record(clock.now(), failure.class, &failure.text);
        if failure.undecodable {
            return Err(Reason::Undecodable);
        }
        let site = Site::new(COMPONENT, OP).idempotent();
        let site = site.with_attempt(number, retry.attempts_max.get());
        let decision = policy.decide(failure.class, &site);
        if decision.action != Action::Retry {
            return Err(reason(decision.class));
        }
        let delay = decision.backoff.delay(number, retry.delay_max);
        let delay = delay.unwrap_or_else(|| retry.delay(number));
        let delay = delay.max(failure.class.retry_after().unwrap_or_default());
        if clock.instant().duration_since(began).saturating_add(delay) > retry.budget {
            return Err(Reason::DeadlineExceeded);
        }
        debug!(
            stream = message.stream,
            position = message.position,
            attempt = number,
            kind = failure.class.kind().as_str(),
            delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            "attempt failed, will retry"
        );
        clock.sleep(delay).await;
    }
}

async fn attempt<H: Handler>(handler: &mut H, message: &Message) -> Result<(), Failure> {
    let decoded = caught(async { handler.decode(message) }).await;
    let decoded = decoded.map_err(|panic| panicked(&panic, true))?;
    let decoded = decoded.map_err(|error| Failure::of(&error, true))?;
    let done = caught(async { handler.handle(decoded, message).await }).await;
    let done = done.map_err(|panic| panicked(&panic, false))?;
    done.map_err(|error| Failure::of(&error, false))
}

/// Runs a future; a panic ends it and is handed over instead of unwinding further.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    // The future is never polled again after a panic. What the handler left half done is its
    // own: it must be idempotent, and so able to start over.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn panicked(payload: &Box<dyn Any + Send>, undecodable: bool) -> Failure {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = format!("panicked: {}", text.unwrap_or("no message"));
    Failure { class: Class::of(Kind::Internal), text, undecodable }
}

/// Why there is no further attempt, given the class after the decision.
fn reason(class: Class) -> Reason {
    match class.transience() {
        Transience::Exhausted => Reason::AttemptsExhausted,
        _ if class.is_unclassified() => Reason::Unclassified,
        _ => Reason::Fatal,
    }
}
