//! One rule: what it matches, and what it says.

use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use crate::{Action, Class, Component, Effect, HaltScope, Kind, LogLevel, Severity, Transience};

/// How much longer each delay is than the one before, in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Factor(u32);

impl Factor {
    /// Every delay is as long as the first.
    pub const ONE: Self = Self(1_000);
    /// Each delay is twice the one before.
    pub const TWO: Self = Self(2_000);
    /// The largest factor a rule may have; beyond it the second delay is for ever.
    pub const MAX: Self = Self(1_000_000);

    /// A factor of that many thousandths; a policy refuses less than 1,000.
    pub const fn from_thousandths(thousandths: u32) -> Self {
        Self(thousandths)
    }

    /// The factor in thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// `delay` times the factor, rounded down to nanoseconds.
    pub(crate) fn of(self, delay: Duration) -> Duration {
        delay.saturating_mul(self.0) / Self::ONE.0
    }
}

/// How to wait between attempts, as far as the rules say it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Backoff {
    /// The delay after the first attempt.
    pub delay: Option<Duration>,
    /// How much longer each further delay is.
    pub factor: Option<Factor>,
}

/// What a rule matches; what is left out matches everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Axes {
    pub(crate) component: Option<Component>,
    pub(crate) kind: Option<Kind>,
    pub(crate) transience: Option<Transience>,
    pub(crate) effect: Option<Effect>,
}

/// A matcher: the axes and the operation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Match {
    pub(crate) axes: Axes,
    pub(crate) op: Option<Box<str>>,
}

/// How specific a matcher is; the larger wins.
///
/// First what it names of component, kind and operation, then transience, then effect.
/// Two matchers of one rank that match the same failure are equal, so there is always one winner.
pub(crate) type Rank = (u8, bool, bool);

impl Match {
    pub(crate) fn rank(&self) -> Rank {
        let named = (self.axes.component.is_some(), self.axes.kind.is_some(), self.op.is_some());
        let rank = match named {
            (true, true, true) => 7,
            (true, true, false) => 6,
            (false, true, true) => 5,
            (false, true, false) => 4,
            (true, false, true) => 3,
            (false, false, true) => 2,
            (true, false, false) => 1,
            (false, false, false) => 0,
        };
        (rank, self.axes.transience.is_some(), self.axes.effect.is_some())
    }
}

/// What a rule says; what is left out stays as it would be without the rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Then {
    pub(crate) action: Option<Action>,
    pub(crate) severity: Option<Severity>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) breaker: Option<bool>,
    pub(crate) alert_after: Option<NonZeroU32>,
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) backoff: Backoff,
    pub(crate) size_percent: Option<NonZeroU8>,
    pub(crate) fallback: Option<Box<str>>,
    pub(crate) compensation: Option<Box<str>>,
    pub(crate) halt: Option<HaltScope>,
    pub(crate) stale_max: Option<Duration>,
}

impl Then {
    pub(crate) const NOTHING: Self = Self {
        action: None,
        severity: None,
        log_level: None,
        breaker: None,
        alert_after: None,
        max_attempts: None,
        backoff: Backoff { delay: None, factor: None },
        size_percent: None,
        fallback: None,
        compensation: None,
        halt: None,
        stale_max: None,
    };
}

/// A number of a rule that may not be what it says, kept to be refused with all else at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadNumber {
    /// Which of the numbers.
    pub(crate) field: &'static str,
    /// As it was written.
    pub(crate) value: String,
}

/// What to do about the failures that it matches.
///
/// A matcher that names more wins, whatever the order of the rules:
///
/// | rank | names |
/// |---|---|
/// | 7 | component, kind and operation |
/// | 6 | component and kind |
/// | 5 | kind and operation |
/// | 4 | kind |
/// | 3 | component and operation |
/// | 2 | operation |
/// | 1 | component |
/// | 0 | nothing: the default rule |
///
/// Within a rank, one that names the transience wins, then one that names the effect.
/// Transience and effect are those the failure came with; that the attempts are used up is a result
/// of the decision.
///
/// ```
/// use std::time::Duration;
/// use backstop_error_taxonomy::policy::Rule;
/// use backstop_error_taxonomy::{Action, Component, Kind, Severity};
///
/// let rule = Rule::new("slow_candles")
///     .on_component(Component::DATA)
///     .on_kind(Kind::Timeout)
///     .act(Action::Retry)
///     .with_severity(Severity::Low)
///     .with_max_attempts(6)
///     .with_delay(Duration::from_secs(2));
/// assert_eq!(rule.id(), "slow_candles");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    pub(crate) id: Box<str>,
    pub(crate) when: Match,
    pub(crate) then: Then,
    pub(crate) bad: Vec<BadNumber>,
}

impl Rule {
    /// A rule that matches everything and says nothing yet.
    ///
    /// The id is what decisions and faults name it by.
    pub fn new(id: impl Into<Box<str>>) -> Self {
        Self { id: id.into(), when: Match::default(), then: Then::NOTHING, bad: Vec::new() }
    }

    /// Its name in decisions and faults.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Matches failures of one component only.
    #[must_use]
    pub fn on_component(mut self, component: Component) -> Self {
        self.when.axes.component = Some(component);
        self
    }

    /// Matches failures of one kind only.
    #[must_use]
    pub fn on_kind(mut self, kind: Kind) -> Self {
        self.when.axes.kind = Some(kind);
        self
    }

    /// Matches failures of one operation only.
    #[must_use]
    pub fn on_op(mut self, op: impl Into<Box<str>>) -> Self {
        self.when.op = Some(op.into());
        self
    }

    /// Matches failures that came with one transience only.
    #[must_use]
    pub fn on_transience(mut self, transience: Transience) -> Self {
        self.when.axes.transience = Some(transience);
        self
    }

    /// Matches failures of one effect only.
    #[must_use]
    pub fn on_effect(mut self, effect: Effect) -> Self {
        self.when.axes.effect = Some(effect);
        self
    }

    /// Says what to do.
    ///
    /// A retry stays subject to the money rule; another action stands as it is.
    #[must_use]
    pub fn act(mut self, action: Action) -> Self {
        self.then.action = Some(action);
        self
    }

    /// Says how bad it is, unless the failure's own floor is higher.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.then.severity = Some(severity);
        self
    }

    /// Says how loudly it is written down.
    #[must_use]
    pub fn with_log_level(mut self, level: LogLevel) -> Self {
        self.then.log_level = Some(level);
        self
    }

    /// Says whether circuit breakers count it; a refusal by one is never counted.
    #[must_use]
    pub fn with_breaker(mut self, counts: bool) -> Self {
        self.then.breaker = Some(counts);
        self
    }

    /// Says how many events within the policy's window make an alert, over the component's count.
    #[must_use]
    pub fn with_alert_after(mut self, count: u32) -> Self {
        self.then.alert_after = self.non_zero("alert_after", count);
        self
    }

    /// Says how many attempts there may be, the first included, over what the site says.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.then.max_attempts = self.non_zero("max_attempts", attempts);
        self
    }

    /// Says how long to wait after the first attempt; at most [`Rule::DELAY_MAX`].
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.then.backoff.delay = Some(delay);
        let bad = (delay > Self::DELAY_MAX).then(|| format!("{delay:?}"));
        self.judge("delay_s", bad);
        self
    }

    /// Says how much longer each further delay is; at least 1, at most 1,000.
    #[must_use]
    pub fn with_factor(mut self, factor: Factor) -> Self {
        self.then.backoff.factor = Some(factor);
        let is_good = (Factor::ONE..=Factor::MAX).contains(&factor);
        let bad = (!is_good).then(|| format!("{} thousandths", factor.thousandths()));
        self.judge("factor", bad);
        self
    }

    /// Says what an order shrinks to with each retry, from 1 to 100 percent.
    #[must_use]
    pub fn with_size_percent(mut self, percent: u8) -> Self {
        self.then.size_percent = NonZeroU8::new(percent).filter(|percent| percent.get() <= 100);
        let bad = self.then.size_percent.is_none().then(|| percent.to_string());
        self.judge("size_percent", bad);
        self
    }

    /// Names what stands in; the policy must know the name.
    #[must_use]
    pub fn with_fallback(mut self, id: impl Into<Box<str>>) -> Self {
        self.then.fallback = Some(id.into());
        self
    }

    /// Names what undoes or corrects it.
    #[must_use]
    pub fn with_compensation(mut self, id: impl Into<Box<str>>) -> Self {
        self.then.compensation = Some(id.into());
        self
    }

    /// Says how much a halt stops.
    #[must_use]
    pub fn with_halt(mut self, scope: HaltScope) -> Self {
        self.then.halt = Some(scope);
        self
    }

    /// Says how old a value may be to stand in for a fresh one; at most [`Rule::DELAY_MAX`].
    #[must_use]
    pub fn with_stale_max(mut self, age: Duration) -> Self {
        self.then.stale_max = Some(age);
        let bad = (age > Self::DELAY_MAX).then(|| format!("{age:?}"));
        self.judge("stale_max_s", bad);
        self
    }

    /// The longest delay and age: a longer one is a slip in the unit.
    pub const DELAY_MAX: Duration = Duration::from_hours(24);

    fn non_zero(&mut self, field: &'static str, number: u32) -> Option<NonZeroU32> {
        let non_zero = NonZeroU32::new(number);
        self.judge(field, non_zero.is_none().then(|| number.to_string()));
        non_zero
    }

    /// Notes that a number is wrong, or that it no longer is.
    pub(crate) fn judge(&mut self, field: &'static str, bad: Option<String>) {
        self.bad.retain(|earlier| earlier.field != field);
        self.bad.extend(bad.map(|value| BadNumber { field, value }));
    }
}

impl Axes {
    /// Whether a failure of this class and component is meant.
    pub(crate) fn fits(&self, class: Class, component: Component) -> bool {
        self.component.is_none_or(|named| named == component)
            && self.kind.is_none_or(|named| named == class.kind())
            && self.transience.is_none_or(|named| named == class.transience())
            && self.effect.is_none_or(|named| named == class.effect())
    }
}
