use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use backstop_clock::{Clock, SystemClock};
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, ffi};

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

/// Opens a file that is there, and leaves its bytes and its log as they are.
pub(crate) fn for_reading(path: &Path) -> rusqlite::Result<Connection> {
    // SQLite looks for log and journal beside the file itself, wherever a link to it lies.
    // What cannot be found is left to SQLite, which says so in its own words.
    let path = fs::canonicalize(path).unwrap_or_else(|_gone| path.to_owned());
    let path = path.as_path();
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    // Who reads a file with a log makes an index of it, and tidies up if it is the last to leave.
    // Who may write would also roll a journal back, which a switch to a log can leave.
    let needs_index = uses_log(path) && !has_journal(path);
    let access = if needs_index {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    match looking(path, access, has_log) {
        // No index can be made in a folder that is not to be written; without a log none is needed.
        Err(error) if needs_index && !has_log && lacks_room(&error) => {
            looking(&immutable(path)?, OpenFlags::SQLITE_OPEN_READ_ONLY, has_log)
        }
        // What it would be rolled back to is known without doing it.
        Err(error) if is_cut_short(&error) && began_empty(path) => {
            looking(Path::new(":memory:"), OpenFlags::SQLITE_OPEN_READ_WRITE, false)
        }
        opened => opened,
    }
}

/// Whether SQLite would have rolled a journal back first, had it been allowed to write.
pub(crate) fn is_cut_short(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|failure| failure.extended_code);
    code == Some(ffi::SQLITE_READONLY_ROLLBACK)
}

fn lacks_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) && !is_cut_short(error)
}

fn looking(path: &Path, access: OpenFlags, has_log: bool) -> rusqlite::Result<Connection> {
    let shared = OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, access | shared)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    connection.pragma_update(None, "query_only", true)?;
    // Opening alone does not look whether it is a database.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_row| Ok(()))?;
    Ok(connection)
}

/// The file, by its absolute path, as one that nobody changes while it is open.
fn immutable(path: &Path) -> rusqlite::Result<PathBuf> {
    let text = path.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(format!("file:{escaped}?immutable=1").into())
}

/// Whether the header says that the file has a write-ahead log; false for what is too short.
fn uses_log(path: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    // Offset 18 of the file format: 2 to write with a log, 1 without.
    read.is_ok() && header[18] == 2
}

/// Whether a journal lies beside the file that may have to be rolled back.
fn has_journal(path: &Path) -> bool {
    // One that is done with is gone, empty, or has its header overwritten with zeros.
    journal_start::<1>(path).is_some_and(|start| start != [0])
}

/// Whether the journal goes back to before the first commit, when the file had no pages.
fn began_empty(path: &Path) -> bool {
    // Offset 16 of the journal: how many pages the file had.
    journal_start::<20>(path).is_some_and(|start| start[16..] == [0; 4])
}

fn journal_start<const N: usize>(path: &Path) -> Option<[u8; N]> {
    let mut start = [0; N];
    File::open(beside(path, "-journal")).ok()?.read_exact(&mut start).ok()?;
    Some(start)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
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
