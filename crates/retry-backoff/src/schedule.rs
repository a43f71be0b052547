//! How long to wait before which attempt.
#![expect(clippy::float_arithmetic, reason = "factors and draws are ratios, never amounts")]

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::PolicyError;

/// Doubling is what every peer defaults to.
const FACTOR: f64 = 2.0;

/// Longest delay unless stated: nobody watches a bot that sleeps for longer than a minute.
const CAP: Duration = Duration::from_mins(1);

/// How a delay is spread, so that clients that failed together do not come back together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Jitter {
    /// Exactly the nominal delay.
    None,
    /// Uniform between zero and the nominal delay; spreads best.
    #[default]
    Full,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Family {
    Fixed,
    Exponential { factor: f64 },
}

/// The delays between attempts.
///
/// The n-th nominal delay (n = 1 comes before the second attempt) is `base` if fixed and
/// `base * factor^(n-1)` if exponential, at most the cap.
/// Jitter is drawn on the capped delay, so that callers at the cap still spread and no delay is
/// ever above it.
///
/// | setting | default |
/// |---|---|
/// | factor | 2 |
/// | cap | one minute, or the base if that is longer |
/// | jitter | [`Jitter::Full`] |
///
/// ```
/// use std::time::Duration;
/// use backstop_retry_backoff::Schedule;
///
/// let schedule = Schedule::exponential(Duration::from_millis(500)).with_cap(Duration::from_secs(2));
/// let nominal: Vec<_> = (1..=4).map(|n| schedule.nominal(n).as_millis()).collect();
/// assert_eq!(nominal, [500, 1_000, 2_000, 2_000]);
/// assert_eq!(schedule.nominal(u32::MAX).as_millis(), 2_000);
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    family: Family,
    base: Duration,
    /// `None` means the default, which depends on the base.
    cap: Option<Duration>,
    jitter: Jitter,
}

impl Schedule {
    /// The same delay each time.
    pub const fn fixed(base: Duration) -> Self {
        Self { family: Family::Fixed, base, cap: None, jitter: Jitter::Full }
    }

    /// Each delay is the previous one times the factor.
    pub const fn exponential(base: Duration) -> Self {
        let family = Family::Exponential { factor: FACTOR };
        Self { family, base, cap: None, jitter: Jitter::Full }
    }

    /// Sets the factor of an exponential schedule, at least 1; others ignore it.
    #[must_use]
    pub const fn with_factor(mut self, factor: f64) -> Self {
        if let Family::Exponential { .. } = self.family {
            self.family = Family::Exponential { factor };
        }
        self
    }

    /// Sets the longest delay, at least the base.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = Some(cap);
        self
    }

    /// Sets how a delay is spread.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The n-th delay before jitter, counted from 1; saturates at the cap.
    pub fn nominal(&self, n: u32) -> Duration {
        let delay = match self.family {
            Family::Fixed => self.base,
            Family::Exponential { factor } => {
                let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
                let multiple = factor.powi(exponent);
                match whole(multiple) {
                    Some(multiple) => self.base.saturating_mul(multiple),
                    // Too large for a duration, or infinite: the cap holds anyway.
                    None => Duration::try_from_secs_f64(self.base.as_secs_f64() * multiple)
                        .unwrap_or(Duration::MAX),
                }
            }
        };
        delay.min(self.cap())
    }

    /// The n-th delay with jitter; takes one draw from `rng` unless the jitter is none.
    ///
    /// The same generator state gives the same delay.
    pub fn delay(&self, n: u32, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let nominal = self.nominal(n);
        match self.jitter {
            Jitter::None => nominal,
            Jitter::Full => {
                let seconds = rng.random::<f64>() * nominal.as_secs_f64();
                // Rounding to nanoseconds may end above the nominal delay by one.
                Duration::try_from_secs_f64(seconds).map_or(nominal, |drawn| drawn.min(nominal))
            }
        }
    }

    pub(crate) fn has_jitter(&self) -> bool {
        self.jitter != Jitter::None
    }

    fn cap(&self) -> Duration {
        self.cap.unwrap_or(CAP.max(self.base))
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        if let Family::Exponential { factor } = self.family
            && !(factor >= 1.0 && factor.is_finite())
        {
            return Err(PolicyError::Factor { factor });
        }
        if self.cap() < self.base {
            return Err(PolicyError::CapBelowBase { cap: self.cap(), base: self.base });
        }
        Ok(())
    }
}

/// The multiple as an integer where it is one, so that doubling a delay is exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked just before: a whole number within the range"
)]
fn whole(multiple: f64) -> Option<u32> {
    let fits = multiple >= 0.0 && multiple <= f64::from(u32::MAX) && multiple.fract() == 0.0;
    fits.then_some(multiple as u32)
}
