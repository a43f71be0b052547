//! Result codes of `SQLite`.

use crate::{Class, Effect, Kind, Severity, Transience};

/// The class of an `SQLite` result code, primary or extended.
///
/// A failed statement leaves nothing behind, so the effect is [`Effect::NotApplied`] unless the
/// disk itself failed.
/// Codes: <https://www.sqlite.org/rescode.html>.
///
/// ```
/// use backstop_error_taxonomy::{Kind, Transience, codes};
///
/// assert_eq!(codes::sqlite(5).kind(), Kind::Conflict);
/// assert_eq!(codes::sqlite(2067).transience(), Transience::Permanent, "a unique key");
/// ```
pub const fn sqlite(code: i32) -> Class {
    // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID: the row is there already.
    if matches!(code, 1555 | 2067 | 2579) {
        return Class::of(Kind::Conflict).with_transience(Transience::Permanent);
    }
    // IOERR_NOMEM, IOERR_CORRUPTFS: the primary code says less.
    match code {
        3082 => return sqlite(7),
        8458 => return sqlite(11),
        _ => {}
    }
    // No code is negative; the low byte of one would be taken for another.
    if code < 0 {
        return Class::of(Kind::Other);
    }
    // The low byte of an extended code is its primary code.
    match code & 0xff {
        // BUSY, LOCKED, PROTOCOL (a race for a lock), SCHEMA (changed while the statement ran).
        5 | 6 | 15 | 17 => Class::of(Kind::Conflict),
        // CORRUPT, NOTADB.
        11 | 26 => Class::of(Kind::Data).with_severity_floor(Severity::Critical),
        // IOERR, FULL: part of a commit may be on the disk.
        10 | 13 => Class::of(Kind::Unavailable).with_transience(Transience::Permanent),
        // READONLY, CANTOPEN: refused before anything was written.
        8 | 14 => Class::of(Kind::Unavailable)
            .with_transience(Transience::Permanent)
            .with_effect(Effect::NotApplied),
        // PERM, AUTH.
        3 | 23 => Class::of(Kind::Auth),
        // ABORT, INTERRUPT.
        4 | 9 => Class::of(Kind::Cancelled).with_effect(Effect::NotApplied),
        // NOMEM.
        7 => Class::of(Kind::Internal).with_severity_floor(Severity::Critical),
        // TOOBIG, CONSTRAINT, MISMATCH.
        18..=20 => Class::of(Kind::Invalid),
        // NOLFS.
        22 => Class::of(Kind::Unsupported),
        // ERROR (wrong SQL), INTERNAL, NOTFOUND, MISUSE, RANGE: faults of our own code.
        1 | 2 | 12 | 21 | 25 => Class::of(Kind::Internal).with_effect(Effect::NotApplied),
        _ => Class::of(Kind::Other),
    }
}
