//! What to do about a failure: a pure function of its class, the place and the rules.

use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use crate::policy::{Backoff, Factor, Then};
use crate::{
    Action, Class, Effect, Environment, HaltScope, Kind, LogLevel, Severity, Site, Transience,
};

/// When a person hears of a failure that is bearable in small numbers.
///
/// [`EventCounts`](crate::thresholds::EventCounts) counts them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AlertAfter {
    /// How many events of the component make an alert.
    pub count: NonZeroU32,
    /// How far back they are counted.
    pub window: Duration,
}

/// What to do about a failure, and what the doer needs for it.
///
/// Names are borrowed from the [`Policy`](crate::Policy) that decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Decision<'p> {
    /// What to do.
    pub action: Action,
    /// How bad it is.
    pub severity: Severity,
    /// How loudly to write it down.
    pub log_level: LogLevel,
    /// The class, with the transience exhausted if this was the last attempt.
    pub class: Class,
    /// Whether a circuit breaker counts it as a failure of the other side.
    pub breaker: bool,
    /// Id of the rule that was followed; none if the defaults of the kind were.
    pub rule: Option<&'p str>,
    /// When a person hears of it, if not at once by its severity.
    pub alert_after: Option<AlertAfter>,
    /// How many attempts there may be, the first included.
    pub max_attempts: u32,
    /// How to wait between attempts, if the rules say so.
    pub backoff: Backoff,
    /// What an order shrinks to, in percent, with each retry.
    pub size_percent: Option<NonZeroU8>,
    /// What stands in: a strategy or source.
    pub fallback: Option<&'p str>,
    /// What undoes or corrects it.
    pub compensation: Option<&'p str>,
    /// How much a halt stops.
    pub halt: HaltScope,
    /// How old a value may be to stand in for a fresh one.
    pub stale_max: Option<Duration>,
    /// The environment that was decided for.
    pub environment: Environment,
}

impl Decision<'_> {
    /// What remains of a size of `size` units for attempt number `attempt`, rounded down.
    ///
    /// Units are the smallest there are, such as steps of the quantity, so that nothing is lost to
    /// a binary fraction; the first attempt has the full size.
    ///
    /// ```
    /// use backstop_error_taxonomy::policy::{Draft, Rule};
    /// use backstop_error_taxonomy::{Action, Class, Component, Kind, Site};
    ///
    /// let rule = Rule::new("half").act(Action::Retry).with_size_percent(50);
    /// let policy = Draft::new("bot").with_rule(rule).build()?;
    /// let site = Site::new(Component::EXECUTION, "submit_order");
    /// let decision = policy.decide(Class::of(Kind::RateLimited), &site);
    /// let sizes = [1, 2, 3].map(|attempt| decision.size_of_attempt(1_000, attempt));
    /// assert_eq!(sizes, [1_000, 500, 250]);
    /// # Ok::<(), backstop_error_taxonomy::policy::BuildError>(())
    /// ```
    pub fn size_of_attempt(&self, size: u128, attempt: u32) -> u128 {
        let Some(percent) = self.size_percent else { return size };
        let mut left = size;
        for _ in 1..attempt {
            if left == 0 || percent.get() == 100 {
                break;
            }
            left = percent_of(left, percent);
        }
        left
    }
}

/// `size * percent / 100` rounded down, without overflow.
fn percent_of(size: u128, percent: NonZeroU8) -> u128 {
    let percent = u128::from(percent.get());
    size / 100 * percent + size % 100 * percent / 100
}

/// What the rules say about one failure; everything empty without rules.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ruling<'p> {
    pub(crate) rule: Option<&'p str>,
    pub(crate) then: Option<&'p Then>,
    pub(crate) alert_after: Option<AlertAfter>,
    /// What stands in for the strategy at the site.
    pub(crate) stand_in: Option<&'p str>,
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) backoff: Backoff,
    pub(crate) stale_max: Option<Duration>,
    pub(crate) environment: Environment,
}

/// What to do about a failure of `class` at `site` where no rule says otherwise, in production.
///
/// [`Policy::decide`](crate::Policy::decide) is the same with rules.
/// A failure joins the retry family if its kind's default action is a retry or its transience is
/// [`Transience::Transient`].
/// Within the family the first line that fits decides:
///
/// | effect and state | action |
/// |---|---|
/// | applied | [`Action::Reconcile`] |
/// | unknown, operation not idempotent | [`Action::Reconcile`] |
/// | permanent or exhausted | degrade (`Unavailable`), escalate (`Other`), else propagate |
/// | last attempt used | class becomes exhausted, then as above |
/// | otherwise | [`Action::Retry`] |
///
/// Outside the family the kind's default action stands; `Config` at start-up is critical and halts.
///
/// ```
/// use backstop_error_taxonomy::{Action, Class, Component, Kind, Site, decide};
///
/// let submit = Site::new(Component::EXECUTION, "submit_order");
/// assert_eq!(decide(Class::of(Kind::Timeout), &submit).action, Action::Reconcile);
/// assert_eq!(decide(Class::of(Kind::Timeout), &submit.idempotent()).action, Action::Retry);
/// ```
pub fn decide(class: Class, site: &Site<'_>) -> Decision<'static> {
    let environment = site.environment.unwrap_or_default();
    settle(class, site, Ruling { environment, ..Ruling::default() })
}

/// Applies what the rules say, and the laws that stand above them.
pub(crate) fn settle<'p>(class: Class, site: &Site<'_>, ruling: Ruling<'p>) -> Decision<'p> {
    let then = ruling.then.unwrap_or(&Then::NOTHING);
    let max_attempts = ruling.max_attempts.map_or(site.attempts_max, NonZeroU32::get);
    let (class, action) = act(class, site, then.action, (max_attempts, ruling.environment));
    let fallback = then.fallback.as_deref().or(ruling.stand_in);
    let halts_start = class.kind() == Kind::Config && site.startup && action == Action::Halt;
    let usual = if halts_start { Severity::Critical } else { class.kind().default_severity() };
    let severity = class.severity_within(then.severity.unwrap_or(usual));
    let is_unclassified = class.kind() == Kind::Other && then.action.is_none();
    let log_level = then.log_level.unwrap_or(match action {
        Action::Retry => LogLevel::Debug,
        _ if is_unclassified => ruling.environment.unclassified_log_level(),
        _ => LogLevel::of(action, severity),
    });
    Decision {
        action: match action {
            // What stands in for itself would fail the same way.
            Action::Fallback if fallback.is_some() && fallback == site.strategy => Action::Degrade,
            action => action,
        },
        severity,
        log_level,
        class,
        breaker: !class.is_breaker_refusal() && then.breaker.unwrap_or(class.counts_for_breaker()),
        rule: ruling.rule,
        alert_after: ruling.alert_after,
        max_attempts,
        backoff: ruling.backoff,
        size_percent: then.size_percent,
        fallback,
        compensation: then.compensation.as_deref(),
        halt: then.halt.unwrap_or(if halts_start {
            HaltScope::Process
        } else {
            HaltScope::Trading
        }),
        stale_max: ruling.stale_max,
        environment: ruling.environment,
    }
}

/// The action, and the class after the last attempt.
fn act(
    class: Class,
    site: &Site<'_>,
    stated: Option<Action>,
    (max_attempts, environment): (u32, Environment),
) -> (Class, Action) {
    let usual = class.kind().default_action();
    let is_retried = usual == Action::Retry || class.transience() == Transience::Transient;
    match stated {
        Some(action) if action != Action::Retry => (class, action),
        None if !is_retried => match class.kind() {
            Kind::Config if site.startup => (class, Action::Halt),
            Kind::Other => (class, environment.unclassified_action()),
            _ => (class, usual),
        },
        _ => {
            let is_last = site.attempt >= max_attempts && class.may_retry(site.idempotent);
            let class = if is_last { class.exhausted() } else { class };
            (class, within_family(class, site.idempotent))
        }
    }
}

/// The action for a class of the retry family; `exhausted` is applied already.
fn within_family(class: Class, idempotent: bool) -> Action {
    match (class.effect(), class.transience(), class.kind()) {
        (Effect::Applied, _, _) => Action::Reconcile,
        (Effect::Unknown, _, _) if !idempotent => Action::Reconcile,
        (_, Transience::Transient, _) => Action::Retry,
        (_, _, Kind::Unavailable) => Action::Degrade,
        (_, _, Kind::Other) => Action::Escalate,
        _ => Action::Propagate,
    }
}

impl Backoff {
    /// The delay before the attempt after number `attempt`, at most `cap`; none without a rule.
    ///
    /// The first delay times the factor for each further attempt; without a factor it stays.
    /// The other side's wish to be left alone comes on top and is not capped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_error_taxonomy::policy::{Backoff, Factor};
    ///
    /// let second = Duration::from_secs(1);
    /// let backoff = Backoff { delay: Some(second), factor: Some(Factor::TWO) };
    /// let delays = [1, 2, 3, 4].map(|attempt| backoff.delay(attempt, 5 * second));
    /// assert_eq!(delays, [1, 2, 4, 5].map(|n| Some(n * second)));
    /// ```
    pub fn delay(self, attempt: u32, cap: Duration) -> Option<Duration> {
        let mut delay = self.delay?;
        let factor = self.factor.unwrap_or(Factor::ONE);
        for _ in 1..attempt {
            let longer = factor.of(delay);
            // Nothing, or a few nanoseconds rounded down, stays what it is however often.
            if delay >= cap || longer == delay {
                break;
            }
            delay = longer;
        }
        Some(delay.min(cap))
    }
}
