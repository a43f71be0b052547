use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use backstop_clock::{Clock, SystemClock};

use crate::{
    Grouping,
    error::Poison,
    writer::{Message, Writer},
};

/// Jobs that may wait for the writer; who queues more waits, or works some off.
pub const QUEUE_LENGTH_MAX: usize = 16_384;

/// The queue of a database, and the writer that works it off.
///
/// Who has to wait works: a thread that blocks on a result takes the writer and runs the queue
/// itself, which saves waking another thread and being woken by it.
/// Only if somebody works already does it leave the rest to the background thread, which also
/// serves futures, groups that are due, and the end.
pub(crate) struct Queue {
    grouping: Grouping,
    poison: Arc<Poison>,
    state: Mutex<State>,
    /// Wakes the background thread.
    called: Condvar,
    /// Wakes those that found the queue full.
    room: Condvar,
}

struct State {
    messages: Vec<Message>,
    /// Away while somebody works, and for good once closed.
    writer: Option<Box<Writer>>,
    /// Who works.
    worker: Option<ThreadId>,
    /// What is waited for by those who could not take the writer.
    wanted: End,
    /// When the first job was queued that no commit covers; kept for timed groups alone.
    uncommitted_since: Option<Instant>,
    /// The background thread waits without a limit.
    is_idle: bool,
    is_closing: bool,
}

/// How far the queue is to be worked off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    #[default]
    Nowhere,
    /// Every queued job has run.
    Run,
    /// And is durable.
    Commit,
}

/// The caller is a job, so the writer it waits for is its own.
pub(crate) struct Nested;

impl Queue {
    pub(crate) fn new(writer: Writer, poison: Arc<Poison>, grouping: Grouping) -> Self {
        let state = State {
            messages: Vec::new(),
            writer: Some(Box::new(writer)),
            worker: None,
            wanted: End::Nowhere,
            uncommitted_since: None,
            is_idle: false,
            is_closing: false,
        };
        let (state, called, room) = (Mutex::new(state), Condvar::new(), Condvar::new());
        Self { grouping, poison, state, called, room }
    }

    /// Where a failure goes that nobody took.
    pub(crate) fn poison(&self) -> &Poison {
        &self.poison
    }

    /// Queues a message; `is_waited_for` says that its sender calls [`Self::serve`] next.
    pub(crate) fn push(&self, message: Message, is_waited_for: bool) {
        let mut state = self.lock();
        while state.messages.len() >= QUEUE_LENGTH_MAX && !state.is_led_by_caller() {
            state = if let Some(writer) = state.writer.take() {
                self.work(state, writer, End::Run);
                self.lock()
            } else {
                state.wanted = state.wanted.max(End::Run);
                self.room.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
        // Who waits works, or has the background thread called; only a job that cannot wait is left to it.
        if !is_waited_for || state.is_led_by_caller() {
            self.limit(&mut state);
        }
        state.messages.push(message);
    }

    /// Works the queue off, or sees to it that it will be.
    pub(crate) fn serve(&self, end: End) -> Result<(), Nested> {
        let mut state = self.lock();
        if state.is_led_by_caller() {
            return Err(Nested);
        }
        match state.writer.take() {
            Some(writer) => self.work(state, writer, end),
            // Whoever has the writer calls the background thread when giving it back.
            None => state.wanted = state.wanted.max(end),
        }
        Ok(())
    }

    /// Lets the background thread work, for those who must not block.
    pub(crate) fn call(&self, end: End) {
        let mut state = self.lock();
        state.wanted = state.wanted.max(end);
        self.called.notify_one();
    }

    /// Ends the background thread once the queue is empty; answers whether one may wait for it.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        state.is_closing = true;
        self.called.notify_one();
        !state.is_led_by_caller()
    }

    /// The life of the background thread.
    pub(crate) fn attend(&self) {
        let mut state = self.lock();
        loop {
            let left = state.uncommitted_since.and_then(|since| self.left(since));
            let is_due = left == Some(Duration::ZERO);
            let Some(writer) = state.writer.take() else {
                state = self.rest(state, None);
                continue;
            };
            if state.is_closing && state.messages.is_empty() && writer.is_idle() {
                drop(state);
                return;
            }
            let asked = if state.is_closing || is_due { End::Commit } else { state.wanted };
            state = if asked == End::Nowhere {
                state.writer = Some(writer);
                self.rest(state, left)
            } else {
                self.work(state, writer, asked);
                self.lock()
            };
        }
    }

    /// Sees to it that a timed group does not wait longer than it may.
    fn limit(&self, state: &mut State) {
        if matches!(self.grouping, Grouping::Timed(_)) && state.uncommitted_since.is_none() {
            state.uncommitted_since = Some(SystemClock.instant());
            if state.is_idle {
                self.called.notify_one();
            }
        }
    }

    /// How long a group may still wait whose first job was queued then.
    fn left(&self, since: Instant) -> Option<Duration> {
        match self.grouping {
            Grouping::Timed(delay_max) => {
                Some(delay_max.saturating_sub(SystemClock.instant().duration_since(since)))
            }
            Grouping::Explicit => None,
        }
    }

    fn rest<'q>(
        &'q self,
        mut state: MutexGuard<'q, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'q, State> {
        state.is_idle = limit.is_none();
        let mut state = match limit {
            Some(limit) => {
                let waited = self.called.wait_timeout(state, limit);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.called.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.is_idle = false;
        state
    }

    fn work<'q>(&'q self, mut state: MutexGuard<'q, State>, mut writer: Box<Writer>, end: End) {
        let end = end.max(mem::take(&mut state.wanted));
        if state.messages.len() >= QUEUE_LENGTH_MAX {
            self.room.notify_all();
        }
        let mut messages = mem::replace(&mut state.messages, mem::take(&mut writer.spare));
        state.worker = Some(thread::current().id());
        if end == End::Commit {
            state.uncommitted_since = None;
        }
        drop(state);
        let mut shift = Shift { queue: self, writer: Some(writer) };
        if let Some(writer) = &mut shift.writer {
            writer.run(&mut messages);
            if end == End::Commit {
                writer.commit();
            }
            writer.spare = messages;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user's code runs under this lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_led_by_caller(&self) -> bool {
        self.worker.is_some_and(|worker| worker == thread::current().id())
    }
}

/// Gives the writer back, also when a waker or a destructor of a user panics.
struct Shift<'q> {
    queue: &'q Queue,
    writer: Option<Box<Writer>>,
}

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.writer = self.writer.take();
        state.worker = None;
        let is_wanted = state.wanted != End::Nowhere || state.is_closing;
        // The background thread may have gone to rest because it found no writer.
        if is_wanted || (state.is_idle && state.uncommitted_since.is_some()) {
            self.queue.called.notify_one();
        }
    }
}
