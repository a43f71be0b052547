use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
};

use rusqlite::Connection;

use crate::{Grouping, WriteError, error::Poison, ticket::Shared};

/// Jobs that share one commit at most, so that a group's latency and its rollback stay bounded.
pub const JOBS_PER_COMMIT_MAX: usize = 4_096;

/// Jobs that may wait for the writer; a producer that outruns the disk waits in its turn.
pub const QUEUE_LENGTH_MAX: usize = 16_384;

/// What the writer thread is told.
pub(crate) enum Message {
    /// Run it inside the group's transaction.
    Write(Box<dyn Job>),
    /// Run it in order, outside any transaction of its own, and answer at once.
    Read(Box<dyn Job>),
    /// Commit the group, then run it in a transaction of its own.
    Exclusive(Box<dyn Job>),
    /// Somebody waits.
    EndGroup,
    /// Commit and end the thread.
    Close,
}

/// The sending half, as tickets hold it.
#[derive(Clone)]
pub(crate) struct Queue(pub(crate) SyncSender<Message>);

impl Queue {
    pub(crate) fn end_group(&self) {
        // A writer that has ended has answered every ticket already.
        drop(self.0.send(Message::EndGroup));
    }
}

/// How a group ended, for every job in it.
#[derive(Clone)]
pub(crate) enum Verdict {
    Durable,
    NotBegun(Arc<rusqlite::Error>),
    CommitFailed(Arc<rusqlite::Error>),
    Poisoned(Arc<str>),
    Closed,
}

/// A queued closure together with the ticket that waits for it.
pub(crate) trait Job: Send {
    fn run(&mut self, connection: &Connection) -> Ran;
    fn finish(self: Box<Self>, verdict: Verdict);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    Well,
    Badly,
}

pub(crate) struct Queued<T, E, F> {
    job: Option<F>,
    outcome: Option<Result<T, WriteError<E>>>,
    shared: Arc<Shared<T, E>>,
}

impl<T, E, F> Queued<T, E, F> {
    pub(crate) fn new(job: F, shared: Arc<Shared<T, E>>) -> Self {
        Self { job: Some(job), outcome: None, shared }
    }
}

impl<T, E, F> Job for Queued<T, E, F>
where
    T: Send,
    E: fmt::Display + Send,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn run(&mut self, connection: &Connection) -> Ran {
        let Some(job) = self.job.take() else { return Ran::Badly };
        let outcome = match catch_unwind(AssertUnwindSafe(|| job(connection))) {
            Ok(outcome) => outcome.map_err(WriteError::Job),
            Err(payload) => Err(WriteError::Panicked(panic_text(payload.as_ref()))),
        };
        let ran = if outcome.is_ok() { Ran::Well } else { Ran::Badly };
        self.outcome = Some(outcome);
        ran
    }

    fn finish(self: Box<Self>, verdict: Verdict) {
        let outcome = match (verdict, self.outcome) {
            // A job that failed did so whatever became of its group.
            (_, Some(Err(error))) => Err(error),
            (Verdict::Durable, Some(Ok(value))) => Ok(value),
            (Verdict::NotBegun(error), _) => Err(WriteError::Begin(error)),
            (Verdict::CommitFailed(error), _) => Err(WriteError::Commit(error)),
            (Verdict::Poisoned(why), _) => Err(WriteError::Poisoned(why)),
            (Verdict::Closed | Verdict::Durable, _) => Err(WriteError::Closed),
        };
        self.shared.resolve(outcome);
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> Arc<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Arc::from(text.unwrap_or("no message"))
}

/// The thread's state: one connection and the group that is open on it.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) poison: Arc<Poison>,
    pub(crate) commits: Arc<AtomicU64>,
    pub(crate) grouping: Grouping,
    /// Jobs that ran in the open transaction and wait for its commit.
    pub(crate) group: Vec<Box<dyn Job>>,
    /// The open transaction holds the changes of a job that did not fail.
    pub(crate) has_changes: bool,
}

impl Writer {
    pub(crate) fn run(mut self, queue: &Receiver<Message>) {
        let mut held_back = None;
        loop {
            let Some(message) = held_back.take().or_else(|| self.receive(queue)) else { break };
            match message {
                Message::Close => break,
                Message::EndGroup => {
                    held_back = self.take_the_rest(queue);
                    self.commit();
                }
                Message::Write(job) => self.write(job),
                Message::Read(job) => self.read(job),
                Message::Exclusive(job) => {
                    self.commit();
                    self.write(job);
                    self.commit();
                }
            }
            if self.group.len() >= JOBS_PER_COMMIT_MAX {
                self.commit();
            }
        }
        self.commit();
    }

    fn receive(&mut self, queue: &Receiver<Message>) -> Option<Message> {
        match self.grouping {
            Grouping::Timed(delay_max) if !self.group.is_empty() => {
                match queue.recv_timeout(delay_max) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => Some(Message::EndGroup),
                    Err(RecvTimeoutError::Disconnected) => None,
                }
            }
            _ => queue.recv().ok(),
        }
    }

    /// Lets the writes that other threads queued meanwhile share the commit.
    ///
    /// Anything else has to see the commit first and is given back.
    fn take_the_rest(&mut self, queue: &Receiver<Message>) -> Option<Message> {
        while self.group.len() < JOBS_PER_COMMIT_MAX {
            match queue.try_recv().ok()? {
                Message::EndGroup => {}
                Message::Write(job) => self.write(job),
                other => return Some(other),
            }
        }
        None
    }

    fn write(&mut self, mut job: Box<dyn Job>) {
        if let Some(why) = self.poison.why() {
            return job.finish(Verdict::Poisoned(why));
        }
        if self.connection.is_autocommit()
            && let Err(error) = self.execute("BEGIN IMMEDIATE")
        {
            return job.finish(Verdict::NotBegun(Arc::new(error)));
        }
        let ran = self.run_in_savepoint(job.as_mut());
        self.group.push(job);
        // A full disk can make SQLite roll the whole transaction back on its own.
        if let Err(error) = ran {
            self.fail_group(error);
        } else if self.connection.is_autocommit() {
            self.fail_group(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK),
                Some("the group's transaction was rolled back by SQLite".to_owned()),
            ));
        }
    }

    fn run_in_savepoint(&mut self, job: &mut dyn Job) -> rusqlite::Result<()> {
        self.execute("SAVEPOINT job")?;
        let ran = job.run(&self.connection);
        if self.connection.is_autocommit() {
            return Ok(());
        }
        match ran {
            Ran::Well => self.has_changes = true,
            Ran::Badly => self.execute("ROLLBACK TO job")?,
        }
        self.execute("RELEASE job")
    }

    fn read(&self, mut job: Box<dyn Job>) {
        if let Some(why) = self.poison.why() {
            return job.finish(Verdict::Poisoned(why));
        }
        let guarded = self.connection.pragma_update(None, "query_only", true);
        let verdict = match guarded {
            Ok(()) => {
                job.run(&self.connection);
                Verdict::Durable
            }
            Err(error) => Verdict::NotBegun(Arc::new(error)),
        };
        if let Err(error) = self.connection.pragma_update(None, "query_only", false) {
            self.poison.set(Some(Arc::from(error.to_string())));
        }
        job.finish(verdict);
    }

    fn commit(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        // Pages that were changed and changed back would still be written by a commit.
        let ended =
            if self.has_changes { self.execute("COMMIT") } else { self.execute("ROLLBACK") };
        match ended {
            Ok(()) => {
                self.commits.fetch_add(u64::from(self.has_changes), Ordering::Relaxed);
                self.finish_group(&Verdict::Durable);
            }
            Err(error) => self.fail_group(error),
        }
    }

    fn fail_group(&mut self, error: rusqlite::Error) {
        self.poison.set(Some(Arc::from(error.to_string())));
        if !self.connection.is_autocommit() {
            // The failure already stands; a rollback that fails too leaves it to recovery.
            drop(self.execute("ROLLBACK"));
        }
        self.finish_group(&Verdict::CommitFailed(Arc::new(error)));
    }

    fn finish_group(&mut self, verdict: &Verdict) {
        self.has_changes = false;
        for job in self.group.drain(..) {
            job.finish(verdict.clone());
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
