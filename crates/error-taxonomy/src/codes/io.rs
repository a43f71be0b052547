//! Kinds of `std::io::Error`.

use std::io::ErrorKind;

use crate::{Class, Effect, Kind, Severity, Transience};

/// The class of an input or output error.
///
/// A peer that refused was never reached; a connection that broke may have carried the request.
/// So may one whose network went away: Linux reports an unreachable host not only while connecting,
/// but also for a connection on which nobody acknowledges any more.
/// Who knows that it was still connecting says so with [`Class::with_effect`].
///
/// `WouldBlock` says "not ready", and nothing happened.
/// But a blocking socket reports with it that its read timeout has passed, on Unix: who sets one
/// and has sent a request by then takes the failure for a [`Kind::Timeout`].
/// Kinds that the standard library adds later become [`Kind::Other`].
///
/// ```
/// use std::io::ErrorKind;
/// use backstop_error_taxonomy::{Effect, codes};
///
/// assert_eq!(codes::io(ErrorKind::ConnectionRefused).effect(), Effect::NotApplied);
/// assert_eq!(codes::io(ErrorKind::ConnectionReset).effect(), Effect::Unknown);
/// ```
pub const fn io(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable => {
            Class::of(Kind::Connection).with_effect(Effect::NotApplied)
        }
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => Class::of(Kind::Connection),
        ErrorKind::TimedOut => Class::of(Kind::Timeout),
        // The server of the file lost it while it was in use; opened again it may be there.
        ErrorKind::StaleNetworkFileHandle => Class::of(Kind::Unavailable),
        ErrorKind::Interrupted | ErrorKind::WouldBlock => {
            Class::of(Kind::Unavailable).with_effect(Effect::NotApplied)
        }
        ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy | ErrorKind::Deadlock => {
            Class::of(Kind::Conflict)
        }
        ErrorKind::AlreadyExists => {
            Class::of(Kind::Conflict).with_transience(Transience::Permanent)
        }
        ErrorKind::NotFound => Class::of(Kind::NotFound),
        ErrorKind::PermissionDenied => Class::of(Kind::Auth),
        ErrorKind::InvalidData => Class::of(Kind::Data),
        // A write may have put part of its bytes on the disk before it was full.
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::WriteZero => {
            Class::of(Kind::Unavailable).with_transience(Transience::Permanent)
        }
        ErrorKind::OutOfMemory => Class::of(Kind::Internal).with_severity_floor(Severity::Critical),
        ErrorKind::Unsupported | ErrorKind::CrossesDevices => Class::of(Kind::Unsupported),
        ErrorKind::TooManyLinks => Class::of(Kind::Precondition),
        ErrorKind::AddrInUse => Class::of(Kind::Config),
        ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::NotSeekable
        | ErrorKind::FileTooLarge
        | ErrorKind::ArgumentListTooLong => Class::of(Kind::Invalid),
        _ => Class::of(Kind::Other),
    }
}
