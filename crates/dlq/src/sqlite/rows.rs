//! The parts of a letter or record as columns and rows.

use std::{str::FromStr, time::Duration};

use backstop_clock::Timestamp;
use backstop_error_taxonomy::Class;
use rusqlite::{Connection, Row, Rows, params};

use super::fault::Fault;
use crate::{
    LetterId, Reason, State,
    error::{Invalid, StoreError},
    history::{Attempt, Edit},
    message::Header,
};

/// A number as a column, which is signed.
pub(super) fn column(field: &'static str, number: u64) -> Result<i64, Invalid> {
    i64::try_from(number).map_err(|_out_of_range| Invalid {
        field,
        value: number.to_string(),
        rule: "must be at most 2^63 - 1",
    })
}

/// A column that was written from an unsigned number.
pub(super) fn number(field: &'static str, column: i64) -> Result<u64, StoreError> {
    u64::try_from(column)
        .map_err(|_negative| StoreError::Corrupt { field, value: column.to_string() })
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub(super) fn corrupt(field: &'static str, value: &str) -> StoreError {
    StoreError::Corrupt { field, value: value.to_owned() }
}

/// A word that was written from a closed set.
fn word<T: FromStr>(field: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_unknown: T::Err| corrupt(field, text))
}

pub(super) fn state_named(name: &str) -> Result<State, StoreError> {
    State::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| corrupt("state", name))
}

pub(super) fn reason_named(name: &str, behind: Option<[u8; 16]>) -> Result<Reason, StoreError> {
    let plain = [
        Reason::Fatal,
        Reason::AttemptsExhausted,
        Reason::DeadlineExceeded,
        Reason::Undecodable,
        Reason::Unclassified,
        Reason::Operator,
    ];
    let parked = behind.map(|id| Reason::ParkedBehind(LetterId::from_bytes(id)));
    let known = plain.into_iter().chain(parked);
    known.into_iter().find(|r| r.name() == name).ok_or_else(|| corrupt("reason", name))
}

pub(super) fn behind(reason: Reason) -> Option<[u8; 16]> {
    match reason {
        Reason::ParkedBehind(id) => Some(*id.as_bytes()),
        _ => None,
    }
}

/// Reads every row of a query.
pub(super) fn all<T>(
    mut rows: Rows<'_>,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

pub(super) fn header(row: &Row<'_>) -> Result<Header, Fault> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Parts with the numbers that keep their order.
pub(super) fn ordinals<T>(parts: &[T]) -> impl Iterator<Item = (i64, &T)> {
    (0..).zip(parts)
}

pub(super) fn insert_attempt(
    connection: &Connection,
    sequence: i64,
    attempt: &Attempt,
) -> Result<(), Fault> {
    let class = attempt.class;
    let retry_after = class.retry_after().map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    // A hint beyond the column's range is no less than for ever.
    let retry_after = retry_after.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    connection
        .prepare_cached(
            "INSERT INTO dlq_letter_attempts
                 (sequence, number, at_ms, kind, transience, effect, severity, retry_after_ms,
                  breaker_refusal, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            sequence,
            attempt.number,
            attempt.at.as_millis(),
            class.kind().as_str(),
            class.transience().as_str(),
            class.effect().as_str(),
            class.severity().as_str(),
            retry_after,
            class.is_breaker_refusal(),
            attempt.text,
        ])?;
    Ok(())
}

pub(super) fn attempts(connection: &Connection, sequence: i64) -> Result<Vec<Attempt>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT number, at_ms, text, kind, transience, effect, severity, retry_after_ms,
                breaker_refusal
         FROM dlq_letter_attempts WHERE sequence = ?1 ORDER BY number",
    )?;
    all(statement.query([sequence])?, |row| {
        let (number, at, text) = (row.get(0)?, time(row.get(1)?), row.get(2)?);
        Ok(Attempt { number, at, class: class(row)?, text })
    })
}

fn class(row: &Row<'_>) -> Result<Class, Fault> {
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let mut class = Class::of(word("kind", text(3)?)?);
    let severity = word("severity", text(6)?)?;
    if severity != class.severity() {
        class = class.with_severity_floor(severity);
    }
    if row.get(8)? {
        class = class.refused_by_breaker();
    }
    if let Some(ms) = row.get::<_, Option<i64>>(7)? {
        class = class.with_retry_after(Duration::from_millis(number("retry_after_ms", ms)?));
    }
    let transience = word("transience", text(4)?)?;
    Ok(class.with_transience(transience).with_effect(word("effect", text(5)?)?))
}

pub(super) fn edits(connection: &Connection, sequence: i64) -> Result<Vec<Edit>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT payload, editor, at_ms FROM dlq_letter_edits WHERE sequence = ?1 ORDER BY ordinal",
    )?;
    all(statement.query([sequence])?, |row| {
        Ok(Edit { payload: row.get(0)?, by: row.get(1)?, at: time(row.get(2)?) })
    })
}
