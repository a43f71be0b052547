//! One task on simulated time: the clock jumps to the next timer whenever nothing else can run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backstop_clock::{Clock, Sleep, SystemClock, Timestamp};

#[derive(Clone)]
pub(crate) struct Sim {
    anchor: Instant,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    now: Cell<Duration>,
    /// Timers that somebody waits for.
    timers: RefCell<BTreeMap<u64, Duration>>,
    next_timer: Cell<u64>,
    /// How often a sleep of zero gave way.
    yields: Cell<u32>,
    /// How late timers fire.
    slack: Cell<Duration>,
}

impl Sim {
    pub(crate) fn new() -> Self {
        Self { anchor: SystemClock.instant(), state: Rc::default() }
    }

    /// Milliseconds since the start.
    pub(crate) fn ms(&self) -> u64 {
        u64::try_from(self.state.now.get().as_millis()).unwrap()
    }

    pub(crate) fn yields(&self) -> u32 {
        self.state.yields.get()
    }

    /// Makes every timer fire this much late, as a busy machine would.
    pub(crate) fn set_slack(&self, slack: Duration) {
        self.state.slack.set(slack);
    }

    /// Runs `task` to its end, or drops it at `cancel_at` and returns `None`.
    pub(crate) fn block_on<T>(
        &self,
        task: impl Future<Output = T>,
        cancel_at: Option<Duration>,
    ) -> Option<T> {
        self.block_on_with(task, cancel_at, Vec::new())
    }

    /// The same, with things that happen from outside meanwhile, in the order of their times.
    pub(crate) fn block_on_with<T>(
        &self,
        task: impl Future<Output = T>,
        cancel_at: Option<Duration>,
        news: Vec<Outside<'_>>,
    ) -> Option<T> {
        let mut task = pin!(task);
        let mut news = news.into_iter().peekable();
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let now = self.state.now.get();
            if cancel_at.is_some_and(|at| now >= at) {
                return None;
            }
            while let Some((_, happen)) = news.next_if(|(at, _)| *at <= now) {
                happen();
            }
            if let Poll::Ready(value) = task.as_mut().poll(&mut context) {
                return Some(value);
            }
            let timer = self.state.timers.borrow().values().min().copied();
            let next = timer.into_iter().chain(cancel_at).chain(news.peek().map(|(at, _)| *at));
            let next = next.min().expect("the task waits for something that never comes");
            self.state.now.set(next.max(now));
        }
    }
}

/// Something that happens from outside, and when.
pub(crate) type Outside<'n> = (Duration, Box<dyn FnOnce() + 'n>);

impl Clock for Sim {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.saturating_add(self.state.now.get())
    }

    fn instant(&self) -> Instant {
        self.anchor + self.state.now.get()
    }
}

impl Sleep for Sim {
    async fn sleep(&self, duration: Duration) {
        let state = &*self.state;
        let end = state.now.get().saturating_add(duration).saturating_add(state.slack.get());
        let id = state.next_timer.replace(state.next_timer.get() + 1);
        // Removed when the sleep ends or is dropped, so that nobody jumps to a dead timer.
        let _timer = Timer { state, id };
        let mut gave_way = false;
        poll_fn(|_| {
            if gave_way && state.now.get() >= end {
                return Poll::Ready(());
            }
            if !gave_way && duration.is_zero() {
                state.yields.set(state.yields.get() + 1);
            }
            gave_way = true;
            state.timers.borrow_mut().insert(id, end);
            Poll::Pending
        })
        .await;
    }
}

struct Timer<'s> {
    state: &'s State,
    id: u64,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.state.timers.borrow_mut().remove(&self.id);
    }
}
