//! Status codes of HTTP and the header that goes with them.

use std::time::{Duration, SystemTime};

use crate::{Class, Effect, Kind};

/// The class of an HTTP answer that is not a success.
///
/// `retry_after` is the `Retry-After` header as a duration, if there was one; [`retry_after`] reads
/// it.
/// An unknown 4xx counts as 400 and an unknown 5xx as 500, as RFC 9110, section 15, asks.
/// A status below 400 is no failure that the other side reported: a redirect nobody followed is
/// [`Kind::Config`], anything else [`Kind::Other`].
///
/// A venue that documents "not processed" for a status is believed with
/// [`Class::with_effect`], for that venue alone.
///
/// ```
/// use std::time::Duration;
/// use backstop_error_taxonomy::{Effect, Kind, codes};
///
/// let busy = codes::http(429, Some(Duration::from_secs(7)));
/// assert_eq!((busy.kind(), busy.effect()), (Kind::RateLimited, Effect::NotApplied));
/// assert_eq!(codes::http(504, None).effect(), Effect::Unknown);
///
/// // This venue's manual says that its 503 comes before an order is looked at.
/// let refused = codes::http(503, None).with_effect(Effect::NotApplied);
/// assert!(refused.may_retry(false));
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
        // "See other": it was processed and the outcome is elsewhere, RFC 9110, section 15.4.4.
        // Many servers answer a form that they have processed with one of the older three.
        300..=303 => Class::of(Kind::Config).with_effect(Effect::Unknown),
        304..=399 => Class::of(Kind::Config),
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

/// How long a `Retry-After` header asks to be left alone, seen from `now`.
///
/// Reads both forms of RFC 9110, section 10.2.3: seconds, and a date in any of the three formats
/// of section 5.6.7; a date that has passed is zero.
/// Anything else is nothing, as if the header were absent.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use backstop_error_taxonomy::codes;
///
/// let now = SystemTime::UNIX_EPOCH;
/// assert_eq!(codes::retry_after("7", now), Some(Duration::from_secs(7)));
/// let date = "Thu, 01 Jan 1970 00:00:15 GMT";
/// assert_eq!(codes::retry_after(date, now), Some(Duration::from_secs(15)));
/// assert_eq!(codes::retry_after("soon", now), None);
/// ```
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim_ascii();
    if header.is_empty() {
        return None;
    }
    if header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are as good as for ever.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}
