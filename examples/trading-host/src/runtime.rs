//! Simulated time: an event queue of timers under an ordinary single-threaded executor.
//!
//! Tasks are plain futures.
//! When all of them wait, the clock jumps to the earliest timer; nothing else moves it.
//! Timers of one moment fire in the order in which they were set, so a run repeats exactly.
//! A future that blocks (the disk, a venue behind HTTP) does so while simulated time stands still.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    rc::{Rc, Weak},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use backstop_clock::{Clock, Sleep, SystemClock, Timestamp};
use futures::{
    executor::{LocalPool, LocalSpawner},
    task::LocalSpawnExt,
};

/// The simulated clock; clones share the time.
#[derive(Clone)]
pub struct SimClock {
    shared: Rc<Shared>,
}

struct Shared {
    /// Where the monotonic reading starts.
    anchor: Instant,
    start: Timestamp,
    now: Cell<Timestamp>,
    timers: RefCell<BinaryHeap<Reverse<Timer>>>,
    /// Numbers the timers, to keep those of one moment in order.
    set: Cell<u64>,
}

/// Ordered by time, then by when it was set.
struct Timer {
    due: Timestamp,
    number: u64,
    waker: Waker,
    /// Gone when the sleeper was dropped: then the timer means nothing.
    fired: Weak<Cell<bool>>,
}

impl SimClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        let shared = Shared {
            anchor: SystemClock.instant(),
            start,
            now: Cell::new(start),
            timers: RefCell::default(),
            set: Cell::new(0),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Completes at a moment; at once when it has passed.
    pub async fn sleep_until(&self, due: Timestamp) {
        self.sleep(due.since(self.now())).await;
    }

    /// Moves to the earliest timer and wakes all that are due then; false when there is none.
    fn advance(&self) -> bool {
        let mut timers = self.shared.timers.borrow_mut();
        let mut due = None;
        while let Some(Reverse(timer)) = timers.peek()
            && due.is_none_or(|due| timer.due <= due)
        {
            if let Some(fired) = timer.fired.upgrade() {
                due = Some(timer.due.max(self.now()));
                fired.set(true);
                timer.waker.wake_by_ref();
            }
            timers.pop();
        }
        if let Some(due) = due {
            self.shared.now.set(due);
        }
        due.is_some()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.shared.now.get()
    }

    fn instant(&self) -> Instant {
        let elapsed = self.now().since(self.shared.start);
        self.shared.anchor.checked_add(elapsed).unwrap_or(self.shared.anchor)
    }
}

impl Sleep for SimClock {
    async fn sleep(&self, duration: Duration) {
        let due = self.now().saturating_add(duration);
        let fired = Rc::new(Cell::new(false));
        let mut is_set = false;
        std::future::poll_fn(|cx| {
            if fired.get() {
                return Poll::Ready(());
            }
            // A task holds one waker for life here, so the one of the first poll stays good.
            if !is_set {
                is_set = true;
                let number = self.shared.set.get();
                self.shared.set.set(number + 1);
                let (waker, fired) = (cx.waker().clone(), Rc::downgrade(&fired));
                self.shared.timers.borrow_mut().push(Reverse(Timer { due, number, waker, fired }));
            }
            Poll::Pending
        })
        .await;
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimClock").field(&self.now()).finish()
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// Runs tasks on simulated time.
#[derive(Debug)]
pub struct Simulation {
    pool: LocalPool,
    clock: SimClock,
}

/// Every task waits for something that no timer will bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {at}: every task waits, and no timer is set")]
pub struct Deadlock {
    /// The simulated time at which everything came to rest.
    pub at: Timestamp,
}

impl Simulation {
    /// An empty simulation that begins at the clock's time.
    pub fn new(clock: SimClock) -> Self {
        Self { pool: LocalPool::new(), clock }
    }

    /// A handle that starts tasks.
    pub fn tasks(&self) -> Tasks {
        Tasks(self.pool.spawner())
    }

    /// Runs until `main` completes; tasks that still run then are dropped.
    ///
    /// # Errors
    /// [`Deadlock`] when nothing can happen any more and `main` has not completed.
    pub fn run<T: 'static>(
        mut self,
        main: impl Future<Output = T> + 'static,
    ) -> Result<T, Deadlock> {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        self.tasks().start(async move {
            let value = main.await;
            slot.replace(Some(value));
        });
        loop {
            self.pool.run_until_stalled();
            if let Some(value) = result.take() {
                return Ok(value);
            }
            if !self.clock.advance() {
                return Err(Deadlock { at: self.clock.now() });
            }
        }
    }
}

/// Starts tasks in a [`Simulation`].
#[derive(Clone, Debug)]
pub struct Tasks(LocalSpawner);

impl Tasks {
    /// Starts a task; it ends with the simulation at the latest.
    pub fn start(&self, task: impl Future<Output = ()> + 'static) {
        // The pool outlives every handle that tasks hold; a refusal means the run is over.
        drop(self.0.spawn_local(task));
    }
}

/// Completes with the future's value, or with `None` once `limit` has passed.
pub async fn within<T>(
    clock: &SimClock,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let future = std::pin::pin!(future);
    let expiry = std::pin::pin!(clock.sleep(limit));
    match futures::future::select(future, expiry).await {
        futures::future::Either::Left((value, _)) => Some(value),
        futures::future::Either::Right(((), _)) => None,
    }
}

/// A flag that a task waits for and others raise; raised twice, it wakes once.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Rc<NudgeState>);

#[derive(Debug, Default)]
struct NudgeState {
    raised: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Nudge {
    /// Wakes the task that waits, or lets the next wait pass at once.
    pub fn raise(&self) {
        self.0.raised.set(true);
        if let Some(waker) = self.0.waiting.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Completes once raised, and takes the flag down.
    pub async fn wait(&self) {
        std::future::poll_fn(|cx| {
            if self.0.raised.replace(false) {
                return Poll::Ready(());
            }
            self.0.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
