use std::{fmt, time::Duration};

/// A moment in UTC, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// Moments before the epoch are negative.
/// Arithmetic is checked or saturating; nothing here panics.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::Timestamp;
///
/// let at = Timestamp::from_millis(1_500);
/// assert_eq!(at.checked_add(Duration::from_millis(500)), Some(Timestamp::from_millis(2_000)));
/// assert_eq!(at.since(Timestamp::EPOCH), Duration::from_millis(1_500));
/// // A clock that stepped back gives no negative duration.
/// assert_eq!(Timestamp::EPOCH.since(at), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment `after` later, or `None` past the end of the range.
    ///
    /// Parts of a millisecond are cut off.
    pub fn checked_add(self, after: Duration) -> Option<Self> {
        let millis = i64::try_from(after.as_millis()).ok()?;
        self.0.checked_add(millis).map(Self)
    }

    /// The moment `after` later, or the last moment of the range.
    pub fn saturating_add(self, after: Duration) -> Self {
        self.checked_add(after).unwrap_or(Self(i64::MAX))
    }

    /// The moment `before` earlier, or the first moment of the range.
    pub fn saturating_sub(self, before: Duration) -> Self {
        let millis = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Time passed since `earlier`; zero if `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Writes the milliseconds since the epoch with their unit.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}
