//! Snapshots of profit and loss in a table, found by portfolio, broker and time.

use std::fmt;

use backstop_clock::Timestamp;
use backstop_storage::{Database, history};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, named_params, params_from_iter};
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use super::{MIGRATIONS, Refused};
use crate::error::{JournalError, StoreError};
use crate::journal::Digest;
use crate::name::{Broker, Portfolio};
use crate::pnl::{Damaged, Found, Query, Snapshot, Status, Store, Stored, Validation};

/// The table and its indexes; the columns beside the body are for those who look with SQL.
pub(super) const SCHEMA: &str = "
    CREATE TABLE ledger_pnl_snapshots (
        checksum TEXT PRIMARY KEY CHECK (length(checksum) = 64),
        portfolio TEXT,
        broker TEXT,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('periodic', 'end_of_day', 'reconciliation')),
        sequence INTEGER NOT NULL,
        realized TEXT NOT NULL,
        unrealized TEXT NOT NULL,
        total TEXT NOT NULL,
        body TEXT NOT NULL,
        status TEXT NOT NULL
            CHECK (status IN ('unchecked', 'valid', 'accepted', 'alert', 'broken')),
        checked_at_ms INTEGER,
        validation TEXT,
        CHECK ((checked_at_ms IS NULL) = (validation IS NULL))
    ) STRICT;
    CREATE INDEX ledger_pnl_snapshots_by_portfolio ON ledger_pnl_snapshots (portfolio, at_ms);
    CREATE INDEX ledger_pnl_snapshots_by_broker ON ledger_pnl_snapshots (broker, at_ms);
    CREATE INDEX ledger_pnl_snapshots_by_time ON ledger_pnl_snapshots (at_ms);
";

const INSERT: &str = "
    INSERT INTO ledger_pnl_snapshots
        (checksum, portfolio, broker, at_ms, kind, sequence, realized, unrealized, total, body, status)
    VALUES
        (:checksum, :portfolio, :broker, :at_ms, :kind, :sequence, :realized, :unrealized, :total, :body, 'unchecked')
    ON CONFLICT (checksum) DO NOTHING";

const MARK: &str = "
    UPDATE ledger_pnl_snapshots
    SET status = :status, checked_at_ms = :at_ms, validation = :validation
    WHERE checksum = :checksum";

/// Snapshots in a table of a [`Database`], which may hold the journal too.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use backstop_clock::Timestamp;
/// use backstop_position_ledger::pnl::{Kind, Query, Store};
/// use backstop_position_ledger::{Books, Instruments, SqliteSnapshots};
/// use backstop_storage::Database;
///
/// let mut store = SqliteSnapshots::create(Database::in_memory()?, Timestamp::EPOCH)?;
/// let books = Books::new(Instruments::default());
/// let snapshot = books.snapshot(&BTreeMap::new(), Timestamp::from_millis(5), Kind::EndOfDay)?;
/// store.put(&snapshot)?;
/// let ended = store.find(&Query::new().with_kind(Kind::EndOfDay))?;
/// assert_eq!(ended[0].snapshot, snapshot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteSnapshots {
    db: Database,
}

impl SqliteSnapshots {
    /// Applies what is missing of [`MIGRATIONS`], recorded as of `now`, and opens the store.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the database has a schema that this version does not understand, or refuses.
    pub fn create(db: Database, now: Timestamp) -> Result<Self, JournalError> {
        super::create(&db, now)?;
        Self::open(db)
    }

    /// Opens a store whose schema is in place.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the schema is missing, older, newer or edited, or the database refuses.
    pub fn open(db: Database) -> Result<Self, JournalError> {
        db.read(|connection| history::check(connection, MIGRATIONS)).map_err(super::failed)?;
        Ok(Self { db })
    }
}

impl fmt::Debug for SqliteSnapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSnapshots").finish_non_exhaustive()
    }
}

impl Store for SqliteSnapshots {
    fn put(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        snapshot.verify().map_err(|_checksum| StoreError::Checksum(snapshot.checksum))?;
        let snapshot = snapshot.clone();
        let checksum = snapshot.checksum.to_string();
        let (realized, unrealized, total) = (
            json(&snapshot.realized, &checksum)?,
            json(&snapshot.unrealized, &checksum)?,
            json(&snapshot.total, &checksum)?,
        );
        let body = json(&snapshot, &checksum)?;
        let job = move |connection: &Connection| -> Result<usize, Refused> {
            let inserted = connection.prepare_cached(INSERT)?.execute(named_params! {
                ":checksum": checksum,
                ":portfolio": snapshot.portfolio.as_ref().map(Portfolio::as_str),
                ":broker": snapshot.broker.as_ref().map(Broker::as_str),
                ":at_ms": snapshot.at.as_millis(),
                ":kind": snapshot.kind.as_str(),
                ":sequence": i64::try_from(snapshot.sequence).unwrap_or(i64::MAX),
                ":realized": realized,
                ":unrealized": unrealized,
                ":total": total,
                ":body": body,
            })?;
            Ok(inserted)
        };
        self.db.write(job).map_err(super::failed)?;
        Ok(())
    }

    fn mark(
        &mut self,
        checksum: Digest,
        validation: &Validation,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let status = validation.status;
        let text = json(validation, &checksum.to_string())?;
        let job = move |connection: &Connection| -> Result<usize, Refused> {
            Ok(connection.prepare_cached(MARK)?.execute(named_params! {
                ":checksum": checksum.to_string(),
                ":status": status.as_str(),
                ":at_ms": at.as_millis(),
                ":validation": text,
            })?)
        };
        match self.db.write(job).map_err(super::failed)? {
            0 => Err(StoreError::Unknown(checksum)),
            _ => Ok(()),
        }
    }

    fn find(&self, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let found = self.find_each(query)?.into_iter();
        found.map(|row| row.map_err(|damaged| damaged.error)).collect()
    }

    fn find_each(&self, query: &Query) -> Result<Vec<Found>, StoreError> {
        let (sql, values) = select(query);
        let job = move |connection: &Connection| -> Result<Vec<Columns>, Refused> {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), columns)?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        let rows = self.db.read(job).map_err(super::failed)?.into_iter();
        let judged = |row: Columns| {
            row.read().map_err(|error| Damaged {
                checksum: row.checksum.clone(),
                at: row.at,
                kind: word(&row.kind).ok(),
                error,
            })
        };
        Ok(rows.map(judged).collect())
    }
}

/// A query as SQL: only what it asks for is a condition, so that the index of it is used.
fn select(query: &Query) -> (String, Vec<Value>) {
    let mut conditions = vec!["at_ms >= ?", "at_ms < ?"];
    let mut values: Vec<Value> =
        vec![query.from.as_millis().into(), query.until.as_millis().into()];
    match &query.portfolio {
        None => {}
        Some(None) => conditions.push("portfolio IS NULL"),
        Some(Some(portfolio)) => {
            conditions.push("portfolio = ?");
            values.push(portfolio.as_str().to_owned().into());
        }
    }
    if let Some(broker) = &query.broker {
        conditions.push("broker = ?");
        values.push(broker.as_str().to_owned().into());
    }
    if let Some(kind) = query.kind {
        conditions.push("kind = ?");
        values.push(kind.as_str().to_owned().into());
    }
    if let Some(status) = query.status {
        conditions.push("status = ?");
        values.push(status.as_str().to_owned().into());
    }
    values.push(i64::try_from(query.limit).unwrap_or(i64::MAX).into());
    let conditions = conditions.join(" AND ");
    let sql = format!(
        "SELECT checksum, body, status, checked_at_ms, validation, at_ms, kind
         FROM ledger_pnl_snapshots
         WHERE {conditions} ORDER BY at_ms DESC, checksum LIMIT ?"
    );
    (sql, values)
}

/// A row as the database has it: damaged text need not even be UTF-8.
struct Columns {
    checksum: String,
    body: Vec<u8>,
    status: String,
    validation: Option<(i64, Vec<u8>)>,
    at: Timestamp,
    kind: String,
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let bytes = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_bytes_or_null()?);
    let text = |column| {
        bytes(column).map(|text| String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
    };
    let checked_at: Option<i64> = row.get(3)?;
    Ok(Columns {
        checksum: text(0)?,
        body: bytes(1)?.unwrap_or_default().to_vec(),
        status: text(2)?,
        validation: checked_at.zip(bytes(4)?.map(<[u8]>::to_vec)),
        at: Timestamp::from_millis(row.get(5)?),
        kind: text(6)?,
    })
}

impl Columns {
    /// The snapshot, if it is the one that was kept.
    fn read(&self) -> Result<Stored, StoreError> {
        let unreadable = |why: &dyn fmt::Display| StoreError::Unreadable {
            checksum: self.checksum.clone(),
            why: why.to_string(),
        };
        let checksum: Digest = self.checksum.parse().map_err(|why| unreadable(&why))?;
        let snapshot: Snapshot =
            serde_json::from_slice(&self.body).map_err(|why| unreadable(&why))?;
        if snapshot.checksum != checksum || snapshot.verify().is_err() {
            return Err(StoreError::Checksum(checksum));
        }
        let status: Status = word(&self.status).map_err(|why| unreadable(&why))?;
        let Some((at, text)) = &self.validation else {
            return Ok(Stored { snapshot, status, validation: None });
        };
        let validation: Validation =
            serde_json::from_slice(text).map_err(|why| unreadable(&why))?;
        Ok(Stored { snapshot, status, validation: Some((validation, Timestamp::from_millis(*at))) })
    }
}

/// One of the words of a type.
fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde::de::value::Error> {
    T::deserialize(StrDeserializer::new(text))
}

fn json(part: &impl Serialize, checksum: &str) -> Result<String, StoreError> {
    serde_json::to_string(part).map_err(|why| StoreError::Unreadable {
        checksum: checksum.to_owned(),
        why: why.to_string(),
    })
}
