//! Status codes of gRPC.

use crate::names::names;
use crate::{Class, Effect, Kind, Transience};

/// The canonical codes of gRPC, by the names of the specification.
///
/// ```
/// use backstop_error_taxonomy::codes::{self, Grpc};
///
/// let code: Grpc = "ABORTED".parse()?;
/// assert_eq!(codes::grpc(code.number()), codes::grpc(10));
/// # Ok::<(), backstop_error_taxonomy::UnknownName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Grpc {
    /// 0: no error.
    Ok,
    /// 1: ended by the caller.
    Cancelled,
    /// 2: an error of another address space, or none that is known.
    Unknown,
    /// 3: the request is wrong whatever the state.
    InvalidArgument,
    /// 4: the deadline passed, perhaps after it was done.
    DeadlineExceeded,
    /// 5: what the request names does not exist.
    NotFound,
    /// 6: what the request creates exists.
    AlreadyExists,
    /// 7: who asks may not.
    PermissionDenied,
    /// 8: a quota is used up.
    ResourceExhausted,
    /// 9: the state must be mended first.
    FailedPrecondition,
    /// 10: a race was lost; read again, then write again.
    Aborted,
    /// 11: past the end.
    OutOfRange,
    /// 12: not implemented here.
    Unimplemented,
    /// 13: an invariant of the server is broken.
    Internal,
    /// 14: not available at present.
    Unavailable,
    /// 15: data is lost or corrupt.
    DataLoss,
    /// 16: nobody knows who asks.
    Unauthenticated,
}

names!("gRPC code", Grpc {
    Ok => "OK",
    Cancelled => "CANCELLED",
    Unknown => "UNKNOWN",
    InvalidArgument => "INVALID_ARGUMENT",
    DeadlineExceeded => "DEADLINE_EXCEEDED",
    NotFound => "NOT_FOUND",
    AlreadyExists => "ALREADY_EXISTS",
    PermissionDenied => "PERMISSION_DENIED",
    ResourceExhausted => "RESOURCE_EXHAUSTED",
    FailedPrecondition => "FAILED_PRECONDITION",
    Aborted => "ABORTED",
    OutOfRange => "OUT_OF_RANGE",
    Unimplemented => "UNIMPLEMENTED",
    Internal => "INTERNAL",
    Unavailable => "UNAVAILABLE",
    DataLoss => "DATA_LOSS",
    Unauthenticated => "UNAUTHENTICATED",
});

impl Grpc {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

/// The class of a gRPC status, or nothing for 0, which is OK.
///
/// A number that is no code counts as UNKNOWN, as the gRPC libraries themselves do.
/// The kinds are those of [`Kind::of_grpc`].
///
/// ```
/// use backstop_error_taxonomy::{Effect, Kind, Transience, codes};
///
/// let class = codes::grpc(4).unwrap();
/// assert_eq!((class.kind(), class.effect()), (Kind::Timeout, Effect::Unknown));
/// let exists = codes::grpc(6).unwrap();
/// assert_eq!((exists.kind(), exists.transience()), (Kind::Conflict, Transience::Permanent));
/// assert_eq!(codes::grpc(0), None);
/// ```
pub const fn grpc(code: i32) -> Option<Class> {
    let Some(kind) = Kind::of_grpc(code) else { return None };
    let class = Class::of(kind);
    Some(match code {
        6 => class.with_transience(Transience::Permanent),
        // What is lost may be the very thing that was to be done.
        15 => class.with_effect(Effect::Unknown),
        _ => class,
    })
}
