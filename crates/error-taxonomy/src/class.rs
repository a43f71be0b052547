//! The class of a failure: kind, transience, effect, and what goes with them.

use std::fmt;
use std::time::Duration;

use crate::names::names;
use crate::{Kind, Severity};

/// Whether a failure may pass by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transience {
    /// The same request will fail again.
    Permanent,
    /// The same request may succeed later.
    Transient,
    /// It was transient and its retries are used up; an outer layer must not start over.
    Exhausted,
}

names!("transience", Transience {
    Permanent => "permanent",
    Transient => "transient",
    Exhausted => "exhausted",
});

/// Whether the failed operation took effect.
///
/// ```
/// use backstop_error_taxonomy::{Class, Effect, Kind};
///
/// let timeout = Class::of(Kind::Timeout);
/// assert_eq!(timeout.effect(), Effect::Unknown);
/// assert!(!timeout.may_retry(false), "an order would be sent twice");
/// assert!(timeout.may_retry(true));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// It certainly did not happen.
    NotApplied,
    /// Nobody here knows; it has to be looked up.
    Unknown,
    /// It happened, although the answer is an error.
    Applied,
}

names!("effect", Effect {
    NotApplied => "not_applied",
    Unknown => "unknown",
    Applied => "applied",
});

/// An optional delay in whole milliseconds; `Option<Duration>` would double the size of a class.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Hint(u64);

impl Hint {
    /// No hint; one millisecond less is the longest hint.
    const NONE: Self = Self(u64::MAX);

    const fn of(delay: Duration) -> Self {
        let part = delay.subsec_nanos().div_ceil(1_000_000) as u64;
        let ms = delay.as_secs().saturating_mul(1_000).saturating_add(part);
        Self(if ms == u64::MAX { u64::MAX - 1 } else { ms })
    }

    const fn get(self) -> Option<Duration> {
        match self {
            Self::NONE => None,
            Self(ms) => Some(Duration::from_millis(ms)),
        }
    }
}

impl fmt::Debug for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// What is known of a failure, small enough to copy everywhere.
///
/// ```
/// use std::time::Duration;
/// use backstop_error_taxonomy::{Class, Effect, Kind, Transience};
///
/// let class = Class::of(Kind::RateLimited).with_retry_after(Duration::from_secs(7));
/// assert_eq!(class.transience(), Transience::Transient);
/// assert_eq!(class.effect(), Effect::NotApplied);
/// assert_eq!(class.retry_after(), Some(Duration::from_secs(7)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Class {
    retry_after: Hint,
    kind: Kind,
    transience: Transience,
    effect: Effect,
    /// `None` means the kind's default.
    severity: Option<Severity>,
    breaker_refusal: bool,
}

const _: () = assert!(size_of::<Class>() <= 16, "a class travels by value through every layer");

impl Class {
    /// The class of `kind` with the kind's defaults.
    pub const fn of(kind: Kind) -> Self {
        Self {
            retry_after: Hint::NONE,
            kind,
            transience: kind.default_transience(),
            effect: kind.default_effect(),
            severity: None,
            breaker_refusal: false,
        }
    }

    /// States whether the operation took effect.
    #[must_use]
    pub const fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// States whether it may pass by itself.
    ///
    /// `Transient` on a kind that is not usually retried makes it one that is.
    #[must_use]
    pub const fn with_transience(mut self, transience: Transience) -> Self {
        self.transience = transience;
        self
    }

    /// States how bad it is, instead of the kind's default.
    #[must_use]
    pub const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// States the other side's wish to be left alone for `delay`.
    ///
    /// Kept in whole milliseconds, rounded up so that nobody comes back too early.
    #[must_use]
    pub const fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Hint::of(delay);
        self
    }

    /// Marks a refusal by a local circuit breaker.
    ///
    /// Nothing was sent, so the effect becomes [`Effect::NotApplied`]; no breaker counts it.
    #[must_use]
    pub const fn refused_by_breaker(mut self) -> Self {
        self.breaker_refusal = true;
        self.effect = Effect::NotApplied;
        self
    }

    /// The same class after the last retry: transient becomes exhausted, permanent stays.
    #[must_use]
    pub const fn exhausted(mut self) -> Self {
        if matches!(self.transience, Transience::Transient) {
            self.transience = Transience::Exhausted;
        }
        self
    }

    /// What failed.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Whether it may pass by itself.
    pub const fn transience(self) -> Transience {
        self.transience
    }

    /// Whether the operation took effect.
    pub const fn effect(self) -> Effect {
        self.effect
    }

    /// How bad it is: as stated, else the kind's default.
    pub const fn severity(self) -> Severity {
        match self.severity {
            Some(stated) => stated,
            None => self.kind.default_severity(),
        }
    }

    /// How long the other side wants to be left alone, if it said so.
    pub const fn retry_after(self) -> Option<Duration> {
        self.retry_after.get()
    }

    /// Whether a local circuit breaker refused the call.
    pub const fn is_breaker_refusal(self) -> bool {
        self.breaker_refusal
    }

    /// Whether a circuit breaker counts it as a failure of the other side.
    pub const fn counts_for_breaker(self) -> bool {
        self.kind.counts_for_breaker() && !self.breaker_refusal
    }

    /// The money rule: whether the very same request may be sent once more.
    ///
    /// 1. Only a transient failure is retried.
    /// 2. What took effect is never sent again.
    /// 3. What may have taken effect is sent again only if the operation is `idempotent`.
    pub const fn may_retry(self, idempotent: bool) -> bool {
        let safe = match self.effect {
            Effect::NotApplied => true,
            Effect::Unknown => idempotent,
            Effect::Applied => false,
        };
        safe && matches!(self.transience, Transience::Transient)
    }
}
