//! How long to wait before which attempt.
#![expect(clippy::float_arithmetic, reason = "factors and draws are ratios, never amounts")]

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::error::Problem;

/// Doubling is what every peer defaults to.
const FACTOR: f64 = 2.0;

/// Longest delay unless stated: nobody watches a bot that sleeps for longer than a minute.
const CAP: Duration = Duration::from_mins(1);

/// How a delay is spread, so that clients that failed together do not come back together.
///
/// With `u` drawn uniformly from `[0, 1)` and `d` the capped nominal delay:
///
/// | jitter | delay |
/// |---|---|
/// | none | `d` |
/// | full | `u * d` |
/// | equal | `d / 2 + u * d / 2` |
/// | proportional `r` | `d * (1 - r + 2 * r * u)`, at most the cap |
#[derive(Clone, Copy, PartialEq, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Jitter {
    /// Exactly the nominal delay.
    None,
    /// Uniform between zero and the nominal delay; spreads best.
    #[default]
    Full,
    /// Uniform between half the nominal delay and all of it.
    Equal,
    /// Up to this share of the nominal delay, from 0 to 1, less or more.
    Proportional(f64),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Family {
    Fixed,
    Linear,
    Exponential { factor: f64 },
    Fibonacci,
    Decorrelated,
}

/// The delays between attempts.
///
/// The n-th nominal delay (n = 1 comes before the second attempt), at most the cap:
///
/// | schedule | nominal delay |
/// |---|---|
/// | fixed | `base` |
/// | linear | `base * n` |
/// | exponential | `base * factor^(n-1)` |
/// | fibonacci | `base * F(n)`: 1, 1, 2, 3, 5 |
/// | decorrelated | at most `base * 3^n`: drawn between the base and thrice the delay before |
///
/// Jitter is drawn on the capped delay, so that callers at the cap still spread; afterwards the
/// cap holds again.
/// Decorrelated delays are drawn as they are and take no further jitter.
///
/// | setting | default |
/// |---|---|
/// | factor | 2 |
/// | cap | one minute, or the base if that is longer |
/// | jitter | [`Jitter::Full`] |
///
/// ```
/// use std::time::Duration;
/// use backstop_retry_backoff::{Jitter, Schedule};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let schedule = Schedule::exponential(Duration::from_millis(500)).with_cap(Duration::from_secs(2));
/// let nominal: Vec<_> = (1..=4).map(|n| schedule.nominal(n).as_millis()).collect();
/// assert_eq!(nominal, [500, 1_000, 2_000, 2_000]);
/// assert_eq!(schedule.nominal(u32::MAX).as_millis(), 2_000);
///
/// let plain = schedule.with_jitter(Jitter::None);
/// let delays = plain.delays(StdRng::seed_from_u64(7)).take(3);
/// assert_eq!(delays.map(|delay| delay.as_millis()).collect::<Vec<_>>(), [500, 1_000, 2_000]);
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::plain::Schedule"))]
#[cfg_attr(feature = "serde", serde(into = "crate::plain::Schedule"))]
pub struct Schedule {
    pub(crate) family: Family,
    pub(crate) base: Duration,
    /// `None` means the default, which depends on the base.
    pub(crate) cap: Option<Duration>,
    pub(crate) jitter: Jitter,
}

impl Schedule {
    pub(crate) const fn of(family: Family, base: Duration) -> Self {
        Self { family, base, cap: None, jitter: Jitter::Full }
    }

    /// The same delay each time.
    pub const fn fixed(base: Duration) -> Self {
        Self::of(Family::Fixed, base)
    }

    /// Each delay is longer than the previous one by the base.
    pub const fn linear(base: Duration) -> Self {
        Self::of(Family::Linear, base)
    }

    /// Each delay is the previous one times the factor.
    pub const fn exponential(base: Duration) -> Self {
        Self::of(Family::Exponential { factor: FACTOR }, base)
    }

    /// Each delay is the sum of the two before it.
    pub const fn fibonacci(base: Duration) -> Self {
        Self::of(Family::Fibonacci, base)
    }

    /// Each delay is drawn between the base and three times the delay before.
    pub const fn decorrelated(base: Duration) -> Self {
        Self::of(Family::Decorrelated, base)
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
    ///
    /// Of a decorrelated schedule it is the longest that the n-th delay can be.
    pub fn nominal(&self, n: u32) -> Duration {
        let n = n.max(1);
        let delay = match self.family {
            Family::Fixed => self.base,
            Family::Linear => times(self.base, n.into()),
            Family::Exponential { factor } => scaled_power(self.base, factor, n - 1),
            Family::Fibonacci => times(self.base, fibonacci(n)),
            Family::Decorrelated => scaled_power(self.base, 3.0, n),
        };
        delay.min(self.cap())
    }

    /// The n-th delay with jitter; takes one draw from `rng` if there is chance in it.
    ///
    /// `previous` is the delay before, zero if there was none; only a decorrelated schedule
    /// looks at it.
    /// The same generator state gives the same delay.
    pub fn delay(&self, n: u32, previous: Duration, rng: &mut (impl Rng + ?Sized)) -> Duration {
        if self.family == Family::Decorrelated {
            let longest = previous.max(self.base).saturating_mul(3);
            let spread = share(longest.saturating_sub(self.base), rng.random());
            return self.base.saturating_add(spread).min(self.cap());
        }
        let nominal = self.nominal(n);
        let drawn = match self.jitter {
            Jitter::None => nominal,
            // Rounding to nanoseconds may end above the nominal delay by one.
            Jitter::Full => share(nominal, rng.random()).min(nominal),
            Jitter::Equal => {
                let half = nominal / 2;
                half.saturating_add(share(nominal.saturating_sub(half), rng.random())).min(nominal)
            }
            Jitter::Proportional(ratio) => {
                share(nominal, 1.0 - ratio + 2.0 * ratio * rng.random::<f64>())
            }
        };
        drawn.min(self.cap())
    }

    /// The delays one after the other, without end.
    pub const fn delays<R: Rng>(self, rng: R) -> Delays<R> {
        Delays { schedule: self, position: 0, previous: Duration::ZERO, rng }
    }

    pub(crate) fn has_chance(&self) -> bool {
        self.jitter != Jitter::None || self.family == Family::Decorrelated
    }

    pub(crate) fn cap(&self) -> Duration {
        self.cap.unwrap_or(CAP.max(self.base))
    }

    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        if let Family::Exponential { factor } = self.family
            && !(factor >= 1.0 && factor.is_finite())
        {
            problems.push(Problem::Factor { factor });
        }
        if self.cap() < self.base {
            problems.push(Problem::CapBelowBase { cap: self.cap(), base: self.base });
        }
        if let Jitter::Proportional(ratio) = self.jitter
            && !(0.0..=1.0).contains(&ratio)
        {
            problems.push(Problem::Jitter { ratio });
        }
    }
}

/// The delays of a [`Schedule`] with the chance drawn from one generator.
#[derive(Clone, Debug)]
pub struct Delays<R> {
    schedule: Schedule,
    position: u32,
    previous: Duration,
    rng: R,
}

impl<R: Rng> Iterator for Delays<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.position = self.position.saturating_add(1);
        self.previous = self.schedule.delay(self.position, self.previous, &mut self.rng);
        Some(self.previous)
    }
}

/// A share of the delay; what no duration can hold becomes the longest one.
fn share(delay: Duration, share: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * share).unwrap_or(Duration::MAX)
}

fn times(base: Duration, multiple: u64) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let nanos = base.as_nanos().saturating_mul(multiple.into());
    match (u64::try_from(nanos / NANOS), u32::try_from(nanos % NANOS)) {
        (Ok(seconds), Ok(rest)) => Duration::new(seconds, rest),
        _ => Duration::MAX,
    }
}

/// The n-th Fibonacci number, or the largest `u64`.
fn fibonacci(n: u32) -> u64 {
    // The 94th is the first that does not fit.
    let steps = 1..n.min(94);
    steps.fold((1_u64, 1_u64), |(last, next), _| (next, last.saturating_add(next))).0
}

fn scaled_power(base: Duration, factor: f64, exponent: u32) -> Duration {
    // Nothing times what has grown to infinity is no number.
    if base.is_zero() {
        return Duration::ZERO;
    }
    let multiple = factor.powi(i32::try_from(exponent).unwrap_or(i32::MAX));
    match whole(multiple) {
        Some(multiple) => times(base, multiple),
        // Too large for a duration, or infinite: the cap holds anyway.
        None => Duration::try_from_secs_f64(base.as_secs_f64() * multiple).unwrap_or(Duration::MAX),
    }
}

/// The multiple as an integer where it is one, so that doubling a delay is exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked just before: a whole number within the range"
)]
fn whole(multiple: f64) -> Option<u64> {
    /// Two to the 64th, the first that does not fit.
    const END: f64 = 18_446_744_073_709_552_000.0;
    let fits = (0.0..END).contains(&multiple) && multiple.fract() == 0.0;
    fits.then_some(multiple as u64)
}
