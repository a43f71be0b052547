use std::{
    convert::Infallible,
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use crate::{
    OpenError, QUEUE_LENGTH_MAX, Ticket, WriteError,
    error::Poison,
    prepare::prepared,
    writer::{Job, Message, Queue, Queued, Verdict, Writer},
};

/// How long a queued job may stay out of a commit that nobody waits for.
const DELAY_MAX: Duration = Duration::from_millis(10);

/// When a group of jobs ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Where somebody waits, and at the latest after this much idle time.
    Timed(Duration),
    /// Only where somebody waits: for programs on simulated time, whose runs must repeat.
    Explicit,
}

/// A shared handle to one SQLite file and the one thread that writes it.
///
/// Clones share the thread; the last one to be dropped commits what is queued and ends it.
///
/// ```
/// use backstop_storage::Database;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Database::in_memory()?;
/// db.write(|c| c.execute_batch("CREATE TABLE t (n INTEGER) STRICT"))?;
/// for n in 0..100 {
///     drop(db.submit(move |c| c.execute("INSERT INTO t VALUES (?1)", [n])));
/// }
/// db.flush()?; // one commit for the hundred
/// assert_eq!(db.commits(), 2);
/// let count: u32 = db.read(|c| c.query_row("SELECT count(*) FROM t", [], |r| r.get(0)))?;
/// assert_eq!(count, 100);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    shared: Arc<Handle>,
}

struct Handle {
    queue: SyncSender<Message>,
    commits: Arc<AtomicU64>,
    poison: Arc<Poison>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Opens or creates a file: write-ahead log, full sync, foreign keys enforced.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened or is no database.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, Grouping::Timed(DELAY_MAX))
    }

    /// Opens or creates a file with a chosen end of groups.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_with(path: &Path, grouping: Grouping) -> Result<Self, OpenError> {
        let opened = Connection::open(path).and_then(prepared);
        let failed = |source| OpenError { path: path.display().to_string(), source };
        Self::start(opened.map_err(failed)?, grouping)
    }

    /// A database that lives as long as its handles; for tests and examples.
    ///
    /// # Errors
    /// [`OpenError`] when SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, OpenError> {
        let failed = |source| OpenError { path: ":memory:".to_owned(), source };
        let opened = Connection::open_in_memory().and_then(prepared);
        Self::start(opened.map_err(failed)?, Grouping::Explicit)
    }

    fn start(connection: Connection, grouping: Grouping) -> Result<Self, OpenError> {
        let (queue, messages) = sync_channel(QUEUE_LENGTH_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let poison = Arc::new(Poison::default());
        let path = connection.path().unwrap_or(":memory:").to_owned();
        let writer = Writer {
            connection,
            poison: Arc::clone(&poison),
            commits: Arc::clone(&commits),
            grouping,
            group: Vec::new(),
            has_changes: false,
        };
        let thread = thread::Builder::new()
            .name("backstop-storage".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(|error| OpenError {
                path,
                source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            })?;
        Ok(Self { shared: Arc::new(Handle { queue, commits, poison, thread: Some(thread) }) })
    }

    /// Queues a job; its changes join the next commit.
    ///
    /// Waits only when the queue is full.
    pub fn submit<T, E, F>(&self, job: F) -> Ticket<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.enqueue(job, Message::Write)
    }

    /// Queues a job and waits until it is durable.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write<T, E, F>(&self, job: F) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.submit(job).wait()
    }

    /// Reads in order: sees everything queued before, and forces no commit.
    ///
    /// # Errors
    /// See [`WriteError`]; a job that tries to write fails.
    pub fn read<T, E, F>(&self, job: F) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.enqueue(job, Message::Read).answered()
    }

    /// Commits what is queued, then runs a job in a transaction of its own.
    ///
    /// The transaction begins with the write lock, also against other processes.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn exclusive<T, E, F>(&self, job: F) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.enqueue(job, Message::Exclusive).answered()
    }

    /// Commits what is queued and waits for it.
    ///
    /// # Errors
    /// [`WriteError::Poisoned`] also when a job that nobody waited for has failed.
    pub fn flush(&self) -> Result<(), WriteError<Infallible>> {
        Queue(self.shared.queue.clone()).end_group();
        self.read(|_| Ok(()))
    }

    /// Commits made so far by this handle and its clones.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    fn enqueue<T, E, F>(&self, job: F, wrap: fn(Box<dyn Job>) -> Message) -> Ticket<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let queue = Queue(self.shared.queue.clone());
        let ticket = Ticket::new(queue, Arc::clone(&self.shared.poison));
        let job = Box::new(Queued::new(job, ticket.shared()));
        if let Err(refused) = self.shared.queue.send(wrap(job))
            && let Message::Write(job) | Message::Read(job) | Message::Exclusive(job) = refused.0
        {
            job.finish(Verdict::Closed);
        }
        ticket
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.queue.send(Message::Close));
        if let Some(thread) = self.thread.take() {
            // The last handle may be dropped by a job, on the very thread that would be joined.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}
