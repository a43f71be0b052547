use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{CachedStatement, Connection};

use crate::{WriteError, error::Poison, ticket::Shared};

/// Jobs that share one commit at most, so that a group's latency and its rollback stay bounded.
pub const JOBS_PER_COMMIT_MAX: usize = 4_096;

/// What the writer is told.
pub(crate) enum Message {
    /// Run it inside the group's transaction.
    Write(Box<dyn Job>),
    /// Run it in order, outside any transaction of its own, and answer at once.
    Read(Box<dyn Job>),
    /// Commit the group, then answer.
    Flush(Box<dyn Job>),
    /// Commit the group, then run it in a transaction of its own.
    Exclusive(Box<dyn Job>),
}

/// How a group ended, for every job in it.
pub(crate) enum Verdict {
    Durable,
    NotBegun(Arc<rusqlite::Error>),
    CommitFailed(Arc<rusqlite::Error>),
    Poisoned(Arc<str>),
}

/// A queued closure together with the ticket that waits for it.
pub(crate) trait Job: Send {
    fn run(&mut self, connection: &Connection) -> Ran;
    fn finish(self: Box<Self>, verdict: &Verdict, poison: &Poison);
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

    fn finish(self: Box<Self>, verdict: &Verdict, poison: &Poison) {
        let outcome = match (verdict, self.outcome) {
            // A job that failed did so whatever became of its group.
            (_, Some(Err(error))) => Err(error),
            (Verdict::Durable, Some(Ok(value))) => Ok(value),
            (Verdict::NotBegun(error), _) => Err(WriteError::Begin(Arc::clone(error))),
            (Verdict::CommitFailed(error), _) => Err(WriteError::Commit(Arc::clone(error))),
            (Verdict::Poisoned(why), _) => Err(WriteError::Poisoned(Arc::clone(why))),
            // It was taken out of the queue and not run, which `Writer::run` never does.
            (Verdict::Durable, None) => Err(WriteError::Closed),
        };
        self.shared.resolve(outcome, poison);
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> Arc<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Arc::from(text.unwrap_or("no message"))
}

/// What a connection was opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It refuses whatever writes.
    Read,
    Write,
}

/// One connection and the group that is open on it.
pub(crate) struct Writer {
    connection: Connection,
    access: Access,
    group: Group,
    /// An empty list with room, for the next messages.
    pub(crate) spare: Vec<Message>,
}

/// The jobs that ran in the open transaction and wait for its commit.
struct Group {
    jobs: Vec<Box<dyn Job>>,
    /// The transaction holds the changes of a job that did not fail.
    has_changes: bool,
    poison: Arc<Poison>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        access: Access,
        poison: Arc<Poison>,
        commits: Arc<AtomicU64>,
    ) -> Self {
        let group = Group { jobs: Vec::new(), has_changes: false, poison, commits };
        Self { connection, access, group, spare: Vec::new() }
    }

    /// Runs all messages in order; what they write waits for [`Self::commit`].
    pub(crate) fn run(&mut self, messages: &mut Vec<Message>) {
        let mut turn = Turn::new(&self.connection, self.access, &mut self.group);
        for message in messages.drain(..) {
            match message {
                Message::Write(job) => turn.write(job),
                Message::Read(job) => turn.read(job),
                Message::Flush(job) => {
                    turn.commit();
                    turn.read(job);
                }
                Message::Exclusive(job) => {
                    turn.commit();
                    turn.write(job);
                    turn.commit();
                }
            }
            if turn.group.jobs.len() >= JOBS_PER_COMMIT_MAX {
                turn.commit();
            }
        }
    }

    /// Makes the open group durable, if there is one, and answers its jobs.
    pub(crate) fn commit(&mut self) {
        Turn::new(&self.connection, self.access, &mut self.group).commit();
    }

    /// No transaction is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }
}

/// Work on the group, with the statements at hand that every job needs.
struct Turn<'w> {
    connection: &'w Connection,
    access: Access,
    group: &'w mut Group,
    savepoint: Kept<'w>,
    release: Kept<'w>,
}

impl<'w> Turn<'w> {
    fn new(connection: &'w Connection, access: Access, group: &'w mut Group) -> Self {
        let (savepoint, release) = (Kept::new("SAVEPOINT job"), Kept::new("RELEASE job"));
        Self { connection, access, group, savepoint, release }
    }

    fn write(&mut self, mut job: Box<dyn Job>) {
        if let Some(why) = self.group.poison.why() {
            return job.finish(&Verdict::Poisoned(why), &self.group.poison);
        }
        let is_first = self.connection.is_autocommit();
        if is_first && let Err(error) = self.execute("BEGIN IMMEDIATE") {
            return job.finish(&Verdict::NotBegun(Arc::new(error)), &self.group.poison);
        }
        let ran = if is_first {
            self.run_first(job.as_mut())
        } else {
            self.run_in_savepoint(job.as_mut())
        };
        self.group.jobs.push(job);
        match ran {
            Err(error) => self.fail(error),
            // Nothing is open, so no commit would answer it.
            Ok(()) if self.connection.is_autocommit() => self.group.finish(&Verdict::Durable),
            Ok(()) => {}
        }
    }

    /// Without a savepoint: nothing is lost with the transaction but what this job did.
    fn run_first(&mut self, job: &mut dyn Job) -> rusqlite::Result<()> {
        match self.run(job)? {
            Ran::Well => self.group.has_changes = true,
            Ran::Badly => self.execute("ROLLBACK")?,
        }
        Ok(())
    }

    fn run_in_savepoint(&mut self, job: &mut dyn Job) -> rusqlite::Result<()> {
        if self.group.jobs.len() == 1 {
            // While an outer savepoint is open, SQLite keeps the memory in which it notes how to undo
            // a job; without one it is freed and allocated again for each.
            self.execute("SAVEPOINT jobs")?;
        }
        self.savepoint.execute(self.connection)?;
        match self.run(job)? {
            Ran::Well => self.group.has_changes = true,
            Ran::Badly => self.execute("ROLLBACK TO job")?,
        }
        self.release.execute(self.connection)
    }

    fn run(&self, job: &mut dyn Job) -> rusqlite::Result<Ran> {
        let ran = job.run(self.connection);
        // A full disk can make SQLite roll the whole transaction back on its own.
        if self.connection.is_autocommit() {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK),
                Some("the group's transaction was rolled back by SQLite".to_owned()),
            ));
        }
        Ok(ran)
    }

    fn read(&self, mut job: Box<dyn Job>) {
        if let Some(why) = self.group.poison.why() {
            return job.finish(&Verdict::Poisoned(why), &self.group.poison);
        }
        let guarded = self.connection.pragma_update(None, "query_only", true);
        let verdict = match guarded {
            Ok(()) => {
                job.run(self.connection);
                Verdict::Durable
            }
            Err(error) => Verdict::NotBegun(Arc::new(error)),
        };
        let stays = self.access == Access::Read;
        if let Err(error) = self.connection.pragma_update(None, "query_only", stays) {
            self.group.poison.set(Arc::from(error.to_string()));
        }
        job.finish(&verdict, &self.group.poison);
    }

    fn commit(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        // Pages that were changed and changed back would still be written by a commit.
        let end = if self.group.has_changes { "COMMIT" } else { "ROLLBACK" };
        match self.execute(end) {
            Ok(()) => {
                self.group.commits.fetch_add(u64::from(self.group.has_changes), Ordering::Relaxed);
                self.group.finish(&Verdict::Durable);
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: rusqlite::Error) {
        self.group.poison.set(Arc::from(error.to_string()));
        if !self.connection.is_autocommit() {
            // The failure already stands; a rollback that fails too leaves it to recovery.
            drop(self.execute("ROLLBACK"));
        }
        self.group.finish(&Verdict::CommitFailed(Arc::new(error)));
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

impl Group {
    fn finish(&mut self, verdict: &Verdict) {
        self.has_changes = false;
        for job in self.jobs.drain(..) {
            job.finish(verdict, &self.poison);
        }
    }
}

/// A statement that stays out of the cache once it was used.
struct Kept<'c> {
    sql: &'static str,
    statement: Option<CachedStatement<'c>>,
}

impl<'c> Kept<'c> {
    fn new(sql: &'static str) -> Self {
        Self { sql, statement: None }
    }

    fn execute(&mut self, connection: &'c Connection) -> rusqlite::Result<()> {
        let statement = match &mut self.statement {
            Some(statement) => statement,
            empty => empty.insert(connection.prepare_cached(self.sql)?),
        };
        // There is nothing to bind.
        statement.raw_execute().map(drop)
    }
}
