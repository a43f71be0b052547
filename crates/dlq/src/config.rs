//! How a consumer works, and its defaults.

use std::{num::NonZeroU32, time::Duration};

/// Letters in a row after which something bigger is broken than a few messages.
const LETTERS_IN_A_ROW_MAX: NonZeroU32 = const { NonZeroU32::new(20).unwrap() };

/// What happens to later messages of a key that has an open letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Followers {
    /// They are parked behind it, in order, and not handled.
    #[default]
    Park,
    /// They are handled as if nothing had happened: for messages that do not depend on each other.
    Pass,
}

/// How a consumer works.
///
/// | field | default |
/// |---|---|
/// | `followers` | [`Followers::Park`] |
/// | `retry` | three attempts, 100 ms doubled up to 2 s, within 10 s |
/// | `letters_in_a_row_max` | 20 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What happens to later messages of a key that has an open letter.
    pub followers: Followers,
    /// How transient failures are retried.
    pub retry: Retry,
    /// Letters without a success in between after which the consumer stops putting more.
    pub letters_in_a_row_max: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            followers: Followers::default(),
            retry: Retry::default(),
            letters_in_a_row_max: LETTERS_IN_A_ROW_MAX,
        }
    }
}

impl Config {
    /// The same, with another rule for followers.
    #[must_use]
    pub fn with_followers(self, followers: Followers) -> Self {
        Self { followers, ..self }
    }

    /// The same, with another schedule.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The same, with another limit of letters in a row.
    #[must_use]
    pub fn with_letters_in_a_row_max(self, letters_in_a_row_max: NonZeroU32) -> Self {
        Self { letters_in_a_row_max, ..self }
    }
}

/// How a transient failure is retried while the message waits.
///
/// The wait before attempt n + 1 is `delay_first * 2^(n-1)`, at most `delay_max`; a handler's
/// retry-after is waited for when it is longer.
/// There is no jitter: a partition has one consumer, so nobody is in step with it.
///
/// ```
/// use std::time::Duration;
/// use backstop_dlq::config::Retry;
///
/// let retry = Retry::default();
/// assert_eq!(retry.delay(1), Duration::from_millis(100));
/// assert_eq!(retry.delay(2), Duration::from_millis(200));
/// assert_eq!(retry.delay(60), Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Calls of the handler in total, the first included.
    pub attempts_max: NonZeroU32,
    /// The wait before the second attempt.
    pub delay_first: Duration,
    /// The longest wait of the schedule.
    pub delay_max: Duration,
    /// No attempt begins later than this after the first one began.
    pub budget: Duration,
}

impl Default for Retry {
    /// Three attempts, 100 ms doubled up to 2 s, within 10 s.
    fn default() -> Self {
        // Three attempts outlive a reset or a lock; what lasts longer belongs in a letter, and
        // 10 s stay below the poll limits of the brokers in use.
        Self {
            attempts_max: const { NonZeroU32::new(3).unwrap() },
            delay_first: Duration::from_millis(100),
            delay_max: Duration::from_secs(2),
            budget: Duration::from_secs(10),
        }
    }
}

impl Retry {
    /// A schedule with this many attempts in total, otherwise the default.
    #[must_use]
    pub fn with_attempts_max(self, attempts_max: NonZeroU32) -> Self {
        Self { attempts_max, ..self }
    }

    /// The wait of the schedule after failed attempt `number`, counted from 1.
    pub fn delay(&self, number: u32) -> Duration {
        let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
        self.delay_first.saturating_mul(factor).min(self.delay_max)
    }
}
