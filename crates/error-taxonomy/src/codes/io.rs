//! Kinds of `std::io::Error`.

use std::io::ErrorKind;

use crate::{Class, Effect, Kind, Severity, Transience};

/// The class of an input or output error.
///
/// A refused or unreachable peer was never reached; a connection that broke may have carried the
/// request.
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
        ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => {
            Class::of(Kind::Connection).with_effect(Effect::NotApplied)
        }
        ErrorKind::ConnectionReset
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
