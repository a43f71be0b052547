//! SQLSTATE, the five characters by which SQL databases name a failure.

use super::{again, no};
use crate::{Class, Kind, Severity};

/// The class of an SQLSTATE, given as text or as its five bytes.
///
/// A failed statement is undone by the server, so the effect is
/// [`Effect::NotApplied`](crate::Effect::NotApplied) but for a
/// lost connection, a server that went down, and a commit whose completion is unknown (40003).
/// The particular code decides, then its class, which is its first two characters; the classes are
/// those of the SQL standard and of PostgreSQL.
/// What is not five ASCII letters and digits, or of a class nobody has heard of, is
/// [`Kind::Other`], and so is success, since the caller says that something failed.
///
/// Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
///
/// ```
/// use backstop_error_taxonomy::{Effect, Kind, Transience, codes};
///
/// let deadlock = codes::sqlstate("40P01");
/// assert_eq!((deadlock.kind(), deadlock.transience()), (Kind::Conflict, Transience::Transient));
/// assert_eq!(codes::sqlstate(b"08006").effect(), Effect::Unknown, "the commit may have got through");
/// assert_eq!(codes::sqlstate("no code").kind(), Kind::Other);
/// ```
pub fn sqlstate(code: impl AsRef<[u8]>) -> Class {
    let Ok(code) = <[u8; 5]>::try_from(code.as_ref()) else {
        return Class::of(Kind::Other);
    };
    if !code.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()) {
        return Class::of(Kind::Other);
    }
    of_code(code).unwrap_or_else(|| of_class([code[0], code[1]]))
}

/// The codes that mean something else than their class.
const fn of_code(code: [u8; 5]) -> Option<Class> {
    Some(match &code {
        // The connection was never made, or ended while nothing ran on it.
        b"08001" | b"08004" | b"25P03" | b"57P05" | b"HV00N" => again(Kind::Connection),
        // The server became a replica, or the session says read only.
        b"25006" => no(Kind::Precondition),
        // The transaction took longer than the server allows and is undone.
        b"25P04" => again(Kind::Timeout),
        b"23505" => no(Kind::Conflict),
        // A constraint that is checked at the commit; more rows than a function expects.
        b"40002" | b"P0003" => no(Kind::Invalid),
        b"40003" => Class::of(Kind::Timeout),
        b"42501" => no(Kind::Auth),
        b"53100" | b"58030" => no(Kind::Unavailable),
        // An object in use, a lock that was not to be had at once.
        b"55006" | b"55P03" => again(Kind::Conflict),
        b"57014" => no(Kind::Cancelled),
        b"57P01" | b"57P02" => Class::of(Kind::Unavailable),
        b"57P03" => again(Kind::Unavailable),
        b"57P04" => no(Kind::Config),
        // RAISE in a function of the database: a rule of the business said no.
        b"P0001" => no(Kind::Rejected),
        b"P0002" => no(Kind::NotFound),
        // Corrupt rows, corrupt index.
        b"XX001" | b"XX002" => no(Kind::Internal).with_severity_floor(Severity::Critical),
        _ => return None,
    })
}

/// What the first two characters say.
const fn of_class(class: [u8; 2]) -> Class {
    match &class {
        b"02" => no(Kind::NotFound),
        b"08" => Class::of(Kind::Connection),
        // Statement not complete, transaction states, cursors, prepared statements, schemas,
        // syntax: faults of our own code. Then functions that run inside the server, foreign data,
        // and the server's own faults.
        b"03" | b"07" | b"0B" | b"0Z" | b"24" | b"25" | b"26" | b"2D" | b"34" | b"3B" | b"3F"
        | b"42" | b"2F" | b"38" | b"39" | b"HV" | b"P0" | b"XX" => no(Kind::Internal),
        b"0A" => no(Kind::Unsupported),
        // Triggers, locators, CASE, cardinality, data, constraints, views with a check, limits.
        b"09" | b"0F" | b"10" | b"20" | b"21" | b"22" | b"23" | b"27" | b"44" | b"54" => {
            no(Kind::Invalid)
        }
        // Grantors, roles, log-in.
        b"0L" | b"0P" | b"28" => no(Kind::Auth),
        b"2B" | b"55" => no(Kind::Precondition),
        // No such database, broken configuration file.
        b"3D" | b"F0" => no(Kind::Config),
        // Serialization failures, deadlocks and the other rollbacks; a snapshot that is too old.
        b"40" | b"72" => again(Kind::Conflict),
        b"53" => again(Kind::Unavailable),
        // An operator ended it, MySQL's 70 included.
        b"57" | b"70" => no(Kind::Cancelled),
        b"58" => no(Kind::Unavailable),
        _ => Class::of(Kind::Other),
    }
}
