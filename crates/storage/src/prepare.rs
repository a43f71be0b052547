use std::{thread, time::Duration};

use backstop_clock::{Clock, SystemClock};
use rusqlite::{Connection, ErrorCode};

/// How long to wait for another connection's lock before giving up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two tries to switch to the write-ahead log; a switch takes about as long.
const PAUSE: Duration = Duration::from_millis(2);

/// Statements the connection keeps prepared.
const STATEMENT_CACHE_LENGTH: usize = 128;

/// Sets what makes SQLite safe and quick for one writer.
pub(crate) fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    use_write_ahead_log(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_LENGTH);
    Ok(connection)
}

/// Switches a fresh file, again and again while others do the same.
///
/// SQLite does not wait for a lock here as it does elsewhere: of two connections that switch at
/// once, one gets `SQLITE_BUSY` at once, whatever the timeout.
#[expect(clippy::disallowed_methods, reason = "opening blocks; no clock of a test moves a lock")]
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let start = SystemClock.instant();
    loop {
        match try_write_ahead_log(connection) {
            Err(error) if is_busy(&error) => {
                if SystemClock.instant().duration_since(start) >= BUSY_TIMEOUT {
                    return Err(error);
                }
            }
            switched => return switched,
        }
        thread::sleep(PAUSE);
    }
}

fn try_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    // The file keeps its mode, so that only the first to open it has to switch.
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { connection.pragma_update(None, "journal_mode", "WAL") }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
