use std::{
    convert::Infallible,
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use crate::{
    OpenError, Ticket, WriteError,
    error::Poison,
    prepare::{for_reading, is_cut_short, prepared},
    queue::{End, Queue},
    writer::{Access, Job, Message, Queued, Writer},
};

/// How long a queued job may stay out of a commit that nobody waits for.
const DELAY_MAX: Duration = Duration::from_millis(10);

/// When a group of jobs ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Where somebody waits, and at the latest this long after its first job was queued.
    Timed(Duration),
    /// Only where somebody waits: for programs on simulated time, whose runs must repeat.
    Explicit,
}

/// A shared handle to one SQLite file and its only writer.
///
/// Clones share the writer; the last one to be dropped commits what is queued and closes the file.
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
    queue: Arc<Queue>,
    commits: Arc<AtomicU64>,
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
        let failed = |source| OpenError::Refused { path: path.display().to_string(), source };
        Self::start(opened.map_err(failed)?, grouping, Access::Write)
    }

    /// Opens a file that is there to look into it, and changes nothing of it.
    ///
    /// For a file that may be another program's: it keeps its journal mode, and what stands in a
    /// log stays there.
    /// A job that writes fails.
    ///
    /// ```
    /// use backstop_storage::Database;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("theirs.db");
    /// rusqlite::Connection::open(&path)?.execute_batch("CREATE TABLE t (n INTEGER)")?;
    /// let before = std::fs::read(&path)?;
    ///
    /// let db = Database::open_for_reading(&path)?;
    /// let count: u32 = db.read(|c| c.query_row("SELECT count(*) FROM t", [], |r| r.get(0)))?;
    /// assert_eq!(count, 0);
    /// assert!(db.write(|c| c.execute("INSERT INTO t VALUES (1)", [])).is_err());
    /// assert_eq!(std::fs::read(&path)?, before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError`] when there is no such file, it is no database, or its last write was cut short.
    pub fn open_for_reading(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| {
            let path = path.display().to_string();
            if is_cut_short(&source) {
                OpenError::CutShort { path }
            } else {
                OpenError::Refused { path, source }
            }
        };
        Self::start(for_reading(path).map_err(failed)?, Grouping::Explicit, Access::Read)
    }

    /// A database that lives as long as its handles; for tests and examples.
    ///
    /// # Errors
    /// [`OpenError`] when SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, OpenError> {
        let failed = |source| OpenError::Refused { path: ":memory:".to_owned(), source };
        let opened = Connection::open_in_memory().and_then(prepared);
        Self::start(opened.map_err(failed)?, Grouping::Explicit, Access::Write)
    }

    fn start(
        connection: Connection,
        grouping: Grouping,
        access: Access,
    ) -> Result<Self, OpenError> {
        let commits = Arc::new(AtomicU64::new(0));
        let poison = Arc::new(Poison::default());
        let path = connection.path().unwrap_or(":memory:").to_owned();
        let writer = Writer::new(connection, access, Arc::clone(&poison), Arc::clone(&commits));
        let queue = Arc::new(Queue::new(writer, poison, grouping));
        let attended = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("backstop-storage".to_owned())
            .spawn(move || attended.attend())
            .map_err(|error| OpenError::Refused {
                path,
                source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            })?;
        Ok(Self { shared: Arc::new(Handle { queue, commits, thread: Some(thread) }) })
    }

    /// Queues a job; its changes join the next commit.
    ///
    /// Waits only when the queue is full. The job may run on any thread that waits for a result.
    pub fn submit<T, E, F>(&self, job: F) -> Ticket<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.enqueue(job, Message::Write, false)
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
        self.enqueue(job, Message::Write, true).wait()
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
        self.enqueue(job, Message::Read, true).answered(End::Run)
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
        self.enqueue(job, Message::Exclusive, true).answered(End::Run)
    }

    /// Commits what is queued and waits for it.
    ///
    /// # Errors
    /// [`WriteError::Poisoned`] also when a job that nobody waited for has failed.
    pub fn flush(&self) -> Result<(), WriteError<Infallible>> {
        self.enqueue(|_| Ok(()), Message::Flush, true).answered(End::Run)
    }

    /// Commits made so far by this handle and its clones.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    fn enqueue<T, E, F>(
        &self,
        job: F,
        wrap: fn(Box<dyn Job>) -> Message,
        is_waited_for: bool,
    ) -> Ticket<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let ticket = Ticket::new(Arc::clone(&self.shared.queue));
        let message = wrap(Box::new(Queued::new(job, ticket.shared())));
        self.shared.queue.push(message, is_waited_for);
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
        // The last handle may be dropped by a job, on the very thread that would be waited for.
        if self.queue.close()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}
