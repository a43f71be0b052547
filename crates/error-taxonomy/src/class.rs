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
        match self.millis() {
            None => None,
            Some(ms) => Some(Duration::from_millis(ms)),
        }
    }

    const fn millis(self) -> Option<u64> {
        if self.0 == Self::NONE.0 { None } else { Some(self.0) }
    }
}

impl fmt::Debug for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// What is known of a failure, small enough to copy everywhere.
///
/// With the feature `serde` it is a map of `kind`, `transience`, `effect` and, where they say
/// something, `retry_after_ms`, `severity_floor` and `breaker_refusal`.
/// When it is read, an absent axis has the kind's default, and a kind that this version does not
/// know is [`Kind::Other`], so that an old program can read what a newer one wrote.
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
    /// [`Severity::Info`] is below everything and so is no floor.
    severity_floor: Severity,
    breaker_refusal: bool,
    /// Whether somebody said of an [`Kind::Other`] whether it passes; of no other kind it is set.
    is_judged: bool,
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
            severity_floor: Severity::Info,
            breaker_refusal: false,
            is_judged: false,
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
        self.is_judged = matches!(self.kind, Kind::Other);
        self
    }

    /// States how bad it is at least, whatever anybody decides later.
    ///
    /// A policy may raise the severity of a failure, and lower it, but never below this floor: a
    /// corrupt database file stays critical under a rule that calls unreadable messages harmless.
    /// Of two floors the higher holds.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Class, Kind, Severity};
    ///
    /// let corrupt = Class::of(Kind::Data).with_severity_floor(Severity::Critical);
    /// assert_eq!(corrupt.severity(), Severity::Critical);
    /// assert_eq!(corrupt.severity_within(Severity::Low), Severity::Critical);
    ///
    /// let broken_message = Class::of(Kind::Data);
    /// assert_eq!(broken_message.severity(), Severity::Medium);
    /// assert_eq!(broken_message.severity_within(Severity::Low), Severity::Low);
    /// ```
    #[must_use]
    pub const fn with_severity_floor(mut self, floor: Severity) -> Self {
        if floor as u8 > self.severity_floor as u8 {
            self.severity_floor = floor;
        }
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

    /// How bad it is: the kind's default, or the floor if that is higher.
    pub const fn severity(self) -> Severity {
        self.severity_within(self.kind.default_severity())
    }

    /// How bad it is when a policy says `chosen`: that, or the floor if that is higher.
    pub const fn severity_within(self, chosen: Severity) -> Severity {
        if (chosen as u8) < (self.severity_floor as u8) { self.severity_floor } else { chosen }
    }

    /// What no policy may go below; [`Severity::Info`] if nobody said.
    pub const fn severity_floor(self) -> Severity {
        self.severity_floor
    }

    /// How long the other side wants to be left alone, if it said so.
    pub const fn retry_after(self) -> Option<Duration> {
        self.retry_after.get()
    }

    /// Whether nobody knows what it is, nor has said whether it passes by itself.
    ///
    /// Then, and only then, a component's declared default applies.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Class, Kind, Transience};
    ///
    /// assert!(Class::of(Kind::Other).is_unclassified());
    /// let judged = Class::of(Kind::Other).with_transience(Transience::Permanent);
    /// assert!(!judged.is_unclassified(), "somebody said that it does not pass");
    /// ```
    pub const fn is_unclassified(self) -> bool {
        matches!(self.kind, Kind::Other) && !self.is_judged
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

#[cfg(feature = "serde")]
mod wire {
    use std::borrow::Cow;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Class, Effect, Transience};
    use crate::{Kind, Severity};

    /// The form of a class in data; what is usual is left out.
    #[derive(Serialize, Deserialize)]
    struct Form<'a> {
        #[serde(borrow)]
        kind: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transience: Option<Transience>,
        effect: Option<Effect>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        severity_floor: Option<Severity>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        breaker_refusal: bool,
    }

    impl Serialize for Class {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let floor = self.severity_floor;
            let form = Form {
                kind: Cow::Borrowed(self.kind.as_str()),
                // Absent is what nobody has said.
                transience: (!self.is_unclassified()).then_some(self.transience),
                effect: Some(self.effect),
                retry_after_ms: self.retry_after.millis(),
                severity_floor: (floor > Severity::Info).then_some(floor),
                breaker_refusal: self.breaker_refusal,
            };
            form.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Class {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let form = Form::deserialize(deserializer)?;
            let mut class = Self::of(form.kind.parse().unwrap_or(Kind::Other));
            if form.breaker_refusal {
                class = class.refused_by_breaker();
            }
            if let Some(ms) = form.retry_after_ms {
                class = class.with_retry_after(Duration::from_millis(ms));
            }
            class.severity_floor = form.severity_floor.unwrap_or(Severity::Info);
            if let Some(transience) = form.transience {
                class = class.with_transience(transience);
            }
            class.effect = form.effect.unwrap_or(class.effect);
            Ok(class)
        }
    }
}
