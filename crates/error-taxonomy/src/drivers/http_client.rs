//! What an HTTP client reports when there is no answer to read.

use crate::{Class, Effect, Kind, codes};

/// What an HTTP client says of a failed call, in the order in which it decides.
///
/// Several are true of one failure: a connection that is not made in time is a `Connect` and a
/// `Timeout`, and only the first says that nothing was sent.
///
/// | in this order | kind | transience | effect |
/// |---|---|---|---|
/// | builder | invalid | permanent | not applied |
/// | dns, connect | connection | transient | not applied |
/// | status | as [`codes::http`] | | |
/// | timeout | timeout | transient | unknown |
/// | redirect | config | permanent | unknown |
/// | decode | data | permanent | unknown |
/// | body, request | connection | transient | unknown |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HttpClient {
    /// The request could not be built.
    Builder,
    /// The name of the host could not be resolved.
    Dns,
    /// No connection was made.
    Connect,
    /// An answer came, with this status.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// Too many redirects, or a loop of them.
    Redirect,
    /// The answer cannot be read as what it should be.
    Decode,
    /// A body broke off, in one direction or the other.
    Body,
    /// The request could not be sent to its end.
    Request,
}

impl HttpClient {
    /// What is known of it if nothing else is true of the failure.
    pub const fn class(self) -> Class {
        match self {
            Self::Builder => Class::of(Kind::Invalid),
            Self::Dns | Self::Connect => {
                Class::of(Kind::Connection).with_effect(Effect::NotApplied)
            }
            Self::Status(status) => codes::http(status, None),
            Self::Timeout => Class::of(Kind::Timeout),
            // The request was processed somewhere on the way, or before the answer went wrong.
            Self::Redirect => Class::of(Kind::Config).with_effect(Effect::Unknown),
            Self::Decode => Class::of(Kind::Data).with_effect(Effect::Unknown),
            Self::Body | Self::Request => Class::of(Kind::Connection),
        }
    }

    /// A status of success says nothing of the failure.
    const fn is_success(self) -> bool {
        matches!(self, Self::Status(100..=299))
    }
}

/// The class of a failed HTTP call of which all of `signs` are true.
///
/// The order of [`HttpClient`] decides, not that of the signs; a success status counts only when it
/// is the only sign.
/// Without any sign it is [`Kind::Other`].
///
/// ```
/// use backstop_error_taxonomy::drivers::{HttpClient, http_client};
/// use backstop_error_taxonomy::{Effect, Kind};
///
/// let slow_connect = http_client([HttpClient::Timeout, HttpClient::Connect]);
/// assert_eq!((slow_connect.kind(), slow_connect.effect()), (Kind::Connection, Effect::NotApplied));
///
/// let slow_answer = http_client([HttpClient::Timeout, HttpClient::Request]);
/// assert_eq!((slow_answer.kind(), slow_answer.effect()), (Kind::Timeout, Effect::Unknown));
/// ```
pub fn http_client(signs: impl IntoIterator<Item = HttpClient>) -> Class {
    let first = signs.into_iter().min_by_key(|sign| (sign.is_success(), *sign));
    first.map_or(Class::of(Kind::Other), HttpClient::class)
}
