//! Letters and positions as rows; every function runs inside a job of the writer.

use backstop_clock::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    fault::Fault,
    rows::{
        all, attempts, behind, column, edits, header, insert_attempt, number, ordinals,
        reason_named, state_named, time,
    },
};
use crate::{
    Letter, LetterId, Message, Reason, State,
    error::StoreError,
    history::Attempts,
    store::{Filter, Listing, Page, Position, Put, Stats},
};

/// The condition of the index `dlq_letters_open`, word for word, so that it is used.
const OPEN: &str = "state IN ('dead', 'parked', 'quarantined')";

const COLUMNS: &str = "sequence, id, stream, partition, position, key, payload, at_ms, reason,
    behind, state, attempts, replays, put_at_ms, settled_at_ms, note";

pub(super) fn insert(connection: &Connection, letter: &Letter) -> Result<Put, Fault> {
    let message = &letter.message;
    let position = column("position", message.position)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO dlq_letters
                 (id, stream, partition, position, key, payload, at_ms, reason, behind, state,
                  attempts, replays, put_at_ms, settled_at_ms, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            letter.id.as_bytes(),
            message.stream,
            message.partition,
            position,
            message.key,
            message.payload,
            message.at.as_millis(),
            letter.reason.name(),
            behind(letter.reason),
            letter.state.name(),
            letter.attempts.count(),
            letter.replays,
            letter.put_at.as_millis(),
            letter.settled_at.map(Timestamp::as_millis),
            letter.note,
        ])?;
    if inserted == 0 {
        return Ok(Put::Duplicate);
    }
    let sequence = connection.last_insert_rowid();
    let mut statement = connection.prepare_cached(
        "INSERT INTO dlq_letter_headers (sequence, ordinal, name, value) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (ordinal, (name, value)) in ordinals(&message.headers) {
        statement.execute(params![sequence, ordinal, name, value])?;
    }
    insert_history(connection, sequence, letter)?;
    Ok(Put::Inserted)
}

/// Writes what may change of a letter that is there.
pub(super) fn update(connection: &Connection, letter: &Letter) -> Result<(), Fault> {
    let sequence: i64 = connection
        .prepare_cached(
            "UPDATE dlq_letters SET reason = ?2, behind = ?3, state = ?4, attempts = ?5,
                 replays = ?6, settled_at_ms = ?7, note = ?8
             WHERE id = ?1 RETURNING sequence",
        )?
        .query_row(
            params![
                letter.id.as_bytes(),
                letter.reason.name(),
                behind(letter.reason),
                letter.state.name(),
                letter.attempts.count(),
                letter.replays,
                letter.settled_at.map(Timestamp::as_millis),
                letter.note,
            ],
            |row| row.get(0),
        )?;
    for table in ["dlq_letter_attempts", "dlq_letter_edits"] {
        let delete = format!("DELETE FROM {table} WHERE sequence = ?1");
        connection.prepare_cached(&delete)?.execute([sequence])?;
    }
    insert_history(connection, sequence, letter)
}

fn insert_history(connection: &Connection, sequence: i64, letter: &Letter) -> Result<(), Fault> {
    for attempt in letter.attempts.iter() {
        insert_attempt(connection, sequence, attempt)?;
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO dlq_letter_edits (sequence, ordinal, payload, editor, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (ordinal, edit) in ordinals(&letter.edits) {
        let at = edit.at.as_millis();
        statement.execute(params![sequence, ordinal, edit.payload, edit.by, at])?;
    }
    Ok(())
}

/// Loads a letter, lets `change` work on it, and writes it back.
pub(super) fn change(
    connection: &Connection,
    id: LetterId,
    change: impl FnOnce(&mut Letter) -> Result<(), StoreError>,
) -> Result<Letter, Fault> {
    let mut letter = find(connection, id)?.ok_or(StoreError::Missing(id))?;
    change(&mut letter)?;
    update(connection, &letter)?;
    Ok(letter)
}

pub(super) fn find(connection: &Connection, id: LetterId) -> Result<Option<Letter>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM dlq_letters WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = all(statement.query([id.as_bytes()])?, |row| letter(connection, row))?;
    Ok(found.into_iter().next().map(|(_, letter)| letter))
}

/// The first open letter of the message's key.
pub(super) fn head(connection: &Connection, message: &Message) -> Result<Option<LetterId>, Fault> {
    let Some(key) = &message.key else { return Ok(None) };
    let sql = format!(
        "SELECT id FROM dlq_letters WHERE stream = ?1 AND partition = ?2 AND key = ?3 AND {OPEN}
         ORDER BY position LIMIT 1"
    );
    let id = connection
        .prepare_cached(&sql)?
        .query_row(params![message.stream, message.partition, key], |row| row.get(0))
        .optional()?;
    Ok(id.map(LetterId::from_bytes))
}

pub(super) fn exists(connection: &Connection, id: LetterId) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM dlq_letters WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.exists([id.as_bytes()])?)
}

/// How many letters are parked for the message's key.
pub(super) fn parked(connection: &Connection, message: &Message) -> Result<u32, Fault> {
    let sql = format!(
        "SELECT count(*) FROM dlq_letters
         WHERE stream = ?1 AND partition = ?2 AND key = ?3 AND {OPEN} AND state = 'parked'"
    );
    let counted = connection
        .prepare_cached(&sql)?
        .query_row(params![message.stream, message.partition, message.key], |row| row.get(0))?;
    Ok(counted)
}

pub(super) fn list(connection: &Connection, filter: &Filter, page: Page) -> Result<Listing, Fault> {
    let conditions = [
        (filter.stream.is_some(), " AND stream = ?2"),
        (filter.state.is_some(), " AND state = ?3"),
        (filter.reason.is_some(), " AND reason = ?4 AND behind IS ?5"),
        (filter.put_before.is_some(), " AND put_at_ms < ?6"),
    ];
    let wanted = conditions.iter().filter(|(given, _)| *given);
    let wanted: String = wanted.map(|(_, condition)| *condition).collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM dlq_letters WHERE sequence > ?1{wanted} ORDER BY sequence LIMIT ?7"
    );
    // One row more than asked for says whether there is a page behind this one.
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query(params![
        column("page", page.after)?,
        filter.stream,
        filter.state.map(State::name),
        filter.reason.map(Reason::name),
        filter.reason.and_then(behind),
        filter.put_before.map(Timestamp::as_millis),
        i64::from(page.length) + 1,
    ])?;
    let mut found = all(rows, |row| letter(connection, row))?;
    let length = usize::try_from(page.length).unwrap_or(usize::MAX);
    let more = found.len() > length;
    found.truncate(length);
    let last = found.last().map(|(sequence, _)| *sequence);
    let letters = found.into_iter().map(|(_, letter)| letter).collect();
    let next = last.filter(|_| more).map(|sequence| page.behind(sequence));
    Ok(Listing { letters, next })
}

pub(super) fn stats(connection: &Connection) -> Result<Stats, Fault> {
    let mut stats = Stats::default();
    let mut statement =
        connection.prepare_cached("SELECT state, count(*) FROM dlq_letters GROUP BY state")?;
    let counts = all(statement.query([])?, |row| {
        let name: String = row.get(0)?;
        Ok((state_named(&name)?, number("count", row.get(1)?)?))
    })?;
    for (state, count) in counts {
        *stats.count(state) = count;
    }
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT min(put_at_ms) FROM dlq_letters WHERE state = 'dead'")?
        .query_row([], |row| row.get(0))?;
    stats.oldest_dead_at = oldest.map(time);
    Ok(stats)
}

pub(super) fn commit(connection: &Connection, position: &Position) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO dlq_positions (stream, partition, next) VALUES (?1, ?2, ?3)
             ON CONFLICT (stream, partition) DO UPDATE SET next = max(next, excluded.next)",
        )?
        .execute(params![
            position.stream,
            position.partition,
            column("position", position.next)?
        ])?;
    Ok(())
}

pub(super) fn committed(
    connection: &Connection,
    stream: &str,
    partition: u32,
) -> Result<Option<u64>, Fault> {
    let next: Option<i64> = connection
        .prepare_cached("SELECT next FROM dlq_positions WHERE stream = ?1 AND partition = ?2")?
        .query_row(params![stream, partition], |row| row.get(0))
        .optional()?;
    Ok(next.map(|next| number("next", next)).transpose()?)
}

/// A letter with its sequence number, from a row of [`COLUMNS`].
fn letter(connection: &Connection, row: &Row<'_>) -> Result<(u64, Letter), Fault> {
    let sequence: i64 = row.get(0)?;
    let mut statement = connection.prepare_cached(
        "SELECT name, value FROM dlq_letter_headers WHERE sequence = ?1 ORDER BY ordinal",
    )?;
    let message = Message {
        stream: row.get(2)?,
        partition: row.get(3)?,
        position: number("position", row.get(4)?)?,
        key: row.get(5)?,
        payload: row.get(6)?,
        headers: all(statement.query([sequence])?, header)?,
        at: time(row.get(7)?),
    };
    let (reason, state): (String, String) = (row.get(8)?, row.get(10)?);
    let letter = Letter {
        id: LetterId::from_bytes(row.get(1)?),
        message,
        reason: reason_named(&reason, row.get(9)?)?,
        state: state_named(&state)?,
        attempts: Attempts::restored(row.get(11)?, attempts(connection, sequence)?),
        edits: edits(connection, sequence)?,
        replays: row.get(12)?,
        put_at: time(row.get(13)?),
        settled_at: row.get::<_, Option<i64>>(14)?.map(time),
        note: row.get(15)?,
    };
    Ok((number("sequence", sequence)?, letter))
}
