//! Status codes of HTTP.

use std::time::Duration;

use crate::{Class, Effect, Kind};

/// The class of an HTTP answer that is not a success.
///
/// `retry_after` is the `Retry-After` header as a duration, if there was one.
/// An unknown 4xx counts as 400 and an unknown 5xx as 500, as RFC 9110, section 15, asks.
/// A status below 400 is no failure that the other side reported: a redirect nobody followed is
/// [`Kind::Config`], anything else [`Kind::Other`].
///
/// ```
/// use std::time::Duration;
/// use backstop_error_taxonomy::{Effect, Kind, codes};
///
/// let busy = codes::http(429, Some(Duration::from_secs(7)));
/// assert_eq!((busy.kind(), busy.effect()), (Kind::RateLimited, Effect::NotApplied));
/// assert_eq!(codes::http(504, None).effect(), Effect::Unknown);
/// ```
pub const fn http(status: u16, retry_after: Option<Duration>) -> Class {
    let class = match status {
        401 | 403 | 407 | 451 => Class::of(Kind::Auth),
        404 | 410 => Class::of(Kind::NotFound),
        405 | 501 => Class::of(Kind::Unsupported),
        408 => Class::of(Kind::Timeout),
        409 => Class::of(Kind::Conflict),
        412 | 428 => Class::of(Kind::Precondition),
        // Binance answers 418 to an address that went on after 429.
        418 | 429 => Class::of(Kind::RateLimited),
        // Refused before processing, RFC 8470, section 5.2.
        425 => Class::of(Kind::Unavailable).with_effect(Effect::NotApplied),
        300..=399 => Class::of(Kind::Config),
        400..=499 => Class::of(Kind::Invalid),
        // A gateway cannot tell what happened behind it, so the effect stays unknown.
        500..=599 => Class::of(Kind::Unavailable),
        _ => Class::of(Kind::Other),
    };
    match retry_after {
        Some(delay) => class.with_retry_after(delay),
        None => class,
    }
}
