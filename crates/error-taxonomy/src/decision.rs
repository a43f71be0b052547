//! What to do about a failure: a pure function of its class and the place.

use crate::names::names;
use crate::{Class, Component, Effect, Kind, Severity, Transience};

/// What to do about a failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Hand it to the caller.
    Propagate,
    /// Note it and go on.
    Continue,
    /// Send the same request again, later.
    Retry,
    /// Use the second-best source or strategy.
    Fallback,
    /// Go on with less.
    Degrade,
    /// Undo or correct what is half done.
    Compensate,
    /// Look up whether it happened, then report that as the result.
    Reconcile,
    /// Set the message aside as a dead letter.
    Isolate,
    /// Tell a person.
    Escalate,
    /// Stop trading.
    Halt,
}

names!("action", Action {
    Propagate => "propagate",
    Continue => "continue",
    Retry => "retry",
    Fallback => "fallback",
    Degrade => "degrade",
    Compensate => "compensate",
    Reconcile => "reconcile",
    Isolate => "isolate",
    Escalate => "escalate",
    Halt => "halt",
});

/// One try and three retries.
const ATTEMPTS_MAX: u32 = 4;

/// The place of a failure: which operation, and how often it was tried.
///
/// | field | default |
/// |---|---|
/// | `idempotent` | false, because resending is what costs money |
/// | `attempt` | 1 |
/// | `attempts_max` | 4 |
/// | start-up | no |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Site {
    /// Where it happened.
    pub component: Component,
    /// Which operation failed.
    pub op: &'static str,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// Number of the attempt that failed, from 1.
    pub attempt: u32,
    /// How many attempts there may be, the first included.
    pub attempts_max: u32,
    /// Whether nothing trades yet.
    pub startup: bool,
}

impl Site {
    /// The first attempt of an operation that must not be done twice.
    pub const fn new(component: Component, op: &'static str) -> Self {
        Self {
            component,
            op,
            idempotent: false,
            attempt: 1,
            attempts_max: ATTEMPTS_MAX,
            startup: false,
        }
    }

    /// Declares that doing it twice is the same as doing it once.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// States that attempt number `attempt` of at most `attempts_max` failed.
    #[must_use]
    pub const fn with_attempt(mut self, attempt: u32, attempts_max: u32) -> Self {
        self.attempt = attempt;
        self.attempts_max = attempts_max;
        self
    }

    /// States that nothing trades yet, so that a bad configuration may stop the start.
    #[must_use]
    pub const fn at_startup(mut self) -> Self {
        self.startup = true;
        self
    }
}

/// What [`decide`] says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Decision {
    /// What to do.
    pub action: Action,
    /// How bad it is.
    pub severity: Severity,
    /// The class, with the transience exhausted if this was the last attempt.
    pub class: Class,
    /// Whether a circuit breaker counts it as a failure of the other side.
    pub counts_for_breaker: bool,
}

/// What to do about a failure of `class` at `site`.
///
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
pub fn decide(class: Class, site: &Site) -> Decision {
    let mut decision = Decision {
        action: class.kind().default_action(),
        severity: class.severity(),
        class,
        counts_for_breaker: class.counts_for_breaker(),
    };
    let family = decision.action == Action::Retry || class.transience() == Transience::Transient;
    if family {
        if class.may_retry(site.idempotent) && site.attempt >= site.attempts_max {
            decision.class = class.exhausted();
        }
        decision.action = within_family(decision.class, site.idempotent);
    } else if class.kind() == Kind::Config && site.startup {
        decision.action = Action::Halt;
        decision.severity = Severity::Critical;
    }
    decision
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
