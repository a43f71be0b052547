use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    WriteError,
    error::Poison,
    queue::{End, Queue},
};

/// The claim on the result of a queued job; resolves once the job is durable.
///
/// Waiting, or polling it as a future, ends the job's group.
/// Dropping it leaves the job queued; a failure that nobody took stops the database, so that
/// the next caller hears of it.
#[must_use = "wait for it, or drop it on purpose: the job's failure is then the next caller's"]
pub struct Ticket<T, E> {
    shared: Arc<Shared<T, E>>,
    queue: Arc<Queue>,
    /// The background thread has been asked to end the group.
    is_polled: bool,
}

pub(crate) struct Shared<T, E> {
    slot: Mutex<Slot<T, E>>,
    ready: Condvar,
}

struct Slot<T, E> {
    outcome: Option<Result<T, WriteError<E>>>,
    /// The failure in `outcome`, in words.
    failure: Option<Arc<str>>,
    waker: Option<Waker>,
    /// A thread sleeps until the outcome is there; who is not waited for need not call.
    is_awaited: bool,
    /// No ticket is left that could take the outcome.
    abandoned: bool,
}

impl<T, E> Ticket<T, E> {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        let slot =
            Slot { outcome: None, failure: None, waker: None, is_awaited: false, abandoned: false };
        let shared = Arc::new(Shared { slot: Mutex::new(slot), ready: Condvar::new() });
        Self { shared, queue, is_polled: false }
    }

    /// The other end, for the writer.
    pub(crate) fn shared(&self) -> Arc<Shared<T, E>> {
        Arc::clone(&self.shared)
    }

    /// Blocks until the job is durable.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn wait(self) -> Result<T, WriteError<E>> {
        self.answered(End::Commit)
    }

    /// Blocks until the job is answered, and works the queue off as far as is asked.
    pub(crate) fn answered(self, end: End) -> Result<T, WriteError<E>> {
        let mut slot = self.shared.lock();
        if let Some(outcome) = slot.take() {
            return outcome;
        }
        drop(slot);
        let served = self.queue.serve(end);
        slot = self.shared.lock();
        loop {
            if let Some(outcome) = slot.take() {
                return outcome;
            }
            if served.is_err() {
                return Err(WriteError::Nested);
            }
            slot.is_awaited = true;
            slot = self.shared.ready.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T, E> Slot<T, E> {
    fn take(&mut self) -> Option<Result<T, WriteError<E>>> {
        self.failure = None;
        self.outcome.take()
    }
}

impl<T, E: fmt::Display> Shared<T, E> {
    /// Hands the outcome over; a failure that nobody can take any more stops the database.
    pub(crate) fn resolve(&self, outcome: Result<T, WriteError<E>>, poison: &Poison) {
        let failure = outcome.as_ref().err().map(|error| Arc::from(error.to_string()));
        let mut slot = self.lock();
        if slot.abandoned {
            drop(slot);
            if let Some(why) = failure {
                poison.set(why);
            }
            return;
        }
        slot.outcome = Some(outcome);
        slot.failure = failure;
        let (waker, is_awaited) = (slot.waker.take(), slot.is_awaited);
        drop(slot);
        if is_awaited {
            self.ready.notify_one();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T, E> Shared<T, E> {
    fn lock(&self) -> MutexGuard<'_, Slot<T, E>> {
        // No user's code runs under this lock, so a poisoned one still holds a whole slot.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Future for Ticket<T, E> {
    type Output = Result<T, WriteError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.shared.lock();
        if let Some(outcome) = slot.take() {
            return Poll::Ready(outcome);
        }
        slot.waker = Some(cx.waker().clone());
        drop(slot);
        if !mem::replace(&mut self.is_polled, true) {
            self.queue.call(End::Commit);
        }
        Poll::Pending
    }
}

impl<T, E> Drop for Ticket<T, E> {
    fn drop(&mut self) {
        let mut slot = self.shared.lock();
        slot.abandoned = true;
        let untaken = slot.failure.take();
        drop(slot);
        if let Some(why) = untaken {
            self.queue.poison().set(why);
        }
    }
}

impl<T, E> fmt::Debug for Ticket<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
