use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{WriteError, error::Poison, writer::Queue};

/// The claim on the result of a queued job; resolves once the job is durable.
///
/// Waiting, or polling it as a future, ends the job's group.
/// Dropping it leaves the job queued; a failure that nobody took stops the database, so that
/// the next caller hears of it.
#[must_use = "wait for it, or drop it on purpose: the job's failure is then the next caller's"]
pub struct Ticket<T, E> {
    shared: Arc<Shared<T, E>>,
    /// Asks for the end of the group; taken by the first wait or poll.
    queue: Option<Queue>,
}

pub(crate) struct Shared<T, E> {
    slot: Mutex<Slot<T, E>>,
    ready: Condvar,
    poison: Arc<Poison>,
}

struct Slot<T, E> {
    outcome: Option<Result<T, WriteError<E>>>,
    /// The failure in `outcome`, in words.
    failure: Option<Arc<str>>,
    waker: Option<Waker>,
    /// No ticket is left that could take the outcome.
    abandoned: bool,
}

impl<T, E> Ticket<T, E> {
    pub(crate) fn new(queue: Queue, poison: Arc<Poison>) -> Self {
        let slot = Slot { outcome: None, failure: None, waker: None, abandoned: false };
        let shared = Arc::new(Shared { slot: Mutex::new(slot), ready: Condvar::new(), poison });
        Self { shared, queue: Some(queue) }
    }

    /// The other end, for the writer.
    pub(crate) fn shared(&self) -> Arc<Shared<T, E>> {
        Arc::clone(&self.shared)
    }

    /// Blocks until the job is durable.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn wait(mut self) -> Result<T, WriteError<E>> {
        if let Some(queue) = self.queue.take() {
            queue.end_group();
        }
        self.answered()
    }

    /// Blocks until the job is answered, without asking for a commit.
    pub(crate) fn answered(self) -> Result<T, WriteError<E>> {
        let mut slot = self.shared.lock();
        loop {
            if let Some(outcome) = slot.take() {
                return outcome;
            }
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
    pub(crate) fn resolve(&self, outcome: Result<T, WriteError<E>>) {
        let failure = outcome.as_ref().err().map(|error| Arc::from(error.to_string()));
        let mut slot = self.lock();
        if slot.abandoned {
            drop(slot);
            self.poison.set(failure);
            return;
        }
        slot.outcome = Some(outcome);
        slot.failure = failure;
        let waker = slot.waker.take();
        drop(slot);
        self.ready.notify_all();
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
        if let Some(queue) = self.queue.take() {
            queue.end_group();
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
        self.shared.poison.set(untaken);
    }
}

impl<T, E> fmt::Debug for Ticket<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
