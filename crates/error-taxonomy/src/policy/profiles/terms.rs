//! Names of older systems and what they mean here.

use super::EXTERNAL;
use crate::{Action, Class, Component, Kind, Transience};

/// A name of an older system and what it means here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Term {
    /// The name as it was written there.
    pub name: &'static str,
    /// The profile that says what becomes of it.
    pub profile: &'static str,
    /// What it means.
    pub meaning: Meaning,
}

/// What a name of an older system means on the axes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Meaning {
    /// A failure of one of these kinds, or of its cause's kind if there are none.
    Failure {
        /// What failed.
        kinds: &'static [Kind],
        /// Where, if the name says so.
        component: Option<Component>,
    },
    /// A refusal by a circuit breaker.
    BreakerRefusal,
    /// What to do.
    Action(Action),
    /// Whether it passes by itself.
    Transience(Transience),
}

impl Term {
    /// The classes of the failures that it names; empty if they are those of the causes.
    ///
    /// ```
    /// use backstop_error_taxonomy::policy::profiles::term;
    /// use backstop_error_taxonomy::{Class, Kind};
    ///
    /// let closed = term("MarketClosedError").unwrap();
    /// assert_eq!(closed.classes(), [Class::of(Kind::Precondition)]);
    /// ```
    pub fn classes(&self) -> Vec<Class> {
        match self.meaning {
            Meaning::Failure { kinds, .. } => kinds.iter().map(|kind| Class::of(*kind)).collect(),
            Meaning::BreakerRefusal => vec![Class::of(Kind::Unavailable).refused_by_breaker()],
            Meaning::Action(_) | Meaning::Transience(_) => Vec::new(),
        }
    }
}

/// What the name means, if it is one of the table.
pub fn term(name: &str) -> Option<&'static Term> {
    TERMS.iter().find(|term| term.name == name)
}

const fn failure(
    profile: &'static str,
    name: &'static str,
    kinds: &'static [Kind],
    component: Option<Component>,
) -> Term {
    Term { name, profile, meaning: Meaning::Failure { kinds, component } }
}

const fn exception(
    name: &'static str,
    kinds: &'static [Kind],
    component: Option<Component>,
) -> Term {
    failure("trading_exceptions", name, kinds, component)
}

const fn group(name: &'static str, kinds: &'static [Kind]) -> Term {
    failure("exception_rules", name, kinds, None)
}

const fn category(name: &'static str, kinds: &'static [Kind], at: Option<Component>) -> Term {
    failure("portfolio", name, kinds, at)
}

const fn stage(name: &'static str, component: Component) -> Term {
    failure("pipeline", name, &[], Some(component))
}

const fn action(profile: &'static str, name: &'static str, action: Action) -> Term {
    Term { name, profile, meaning: Meaning::Action(action) }
}

const fn message(name: &'static str, transience: Transience) -> Term {
    Term { name, profile: "stream_messages", meaning: Meaning::Transience(transience) }
}

/// Every name, in the order of the table of [this module](super).
pub const TERMS: &[Term] = &[
    exception("AlchemiserError", &[], None),
    exception("ConfigurationError", &[Kind::Config], Some(Component::CONFIG)),
    exception("EnvironmentError", &[Kind::Config], Some(Component::CONFIG)),
    exception("DataProviderError", &[], Some(Component::DATA)),
    exception("MarketDataError", &[Kind::Data], Some(Component::DATA)),
    exception("WebSocketError", &[Kind::Connection], Some(Component::NETWORK)),
    exception("TradingClientError", &[], Some(Component::EXECUTION)),
    exception("OrderExecutionError", &[Kind::Rejected], Some(Component::EXECUTION)),
    exception("InsufficientFundsError", &[Kind::InsufficientFunds], Some(Component::EXECUTION)),
    exception("PositionValidationError", &[Kind::Inconsistent], Some(Component::POSITION)),
    exception("MarketClosedError", &[Kind::Precondition], Some(Component::EXECUTION)),
    exception("StrategyExecutionError", &[Kind::Internal], Some(Component::STRATEGY)),
    exception("IndicatorCalculationError", &[Kind::Calculation], Some(Component::STRATEGY)),
    exception("ValidationError", &[Kind::Invalid], None),
    exception("NotificationError", &[], Some(Component::NOTIFICATION)),
    exception("S3OperationError", &[], Some(Component::STORAGE)),
    exception("FileOperationError", &[], Some(Component::STORAGE)),
    exception("RateLimitError", &[Kind::RateLimited], None),
    exception("LoggingError", &[], Some(Component::LOGGING)),
    exception("DatabaseError", &[], Some(Component::DATABASE)),
    exception("SecurityError", &[Kind::Auth], None),
    Term {
        name: "CircuitBreakerOpenError",
        profile: "trading_exceptions",
        meaning: Meaning::BreakerRefusal,
    },
    group("critical_system", &[Kind::Internal]),
    group("database_network", &[Kind::Connection, Kind::Timeout]),
    group("business_logic", &[Kind::Invalid, Kind::Calculation]),
    group("general", &[Kind::Other]),
    action("exception_rules", "RAISE", Action::Propagate),
    action("exception_rules", "LOG_AND_CONTINUE", Action::Continue),
    action("exception_rules", "RETRY", Action::Retry),
    action("exception_rules", "FALLBACK", Action::Fallback),
    action("exception_rules", "CIRCUIT_BREAKER", Action::Propagate),
    category("database_error", &[], Some(Component::DATABASE)),
    category("position_consistency", &[Kind::Inconsistent], Some(Component::POSITION)),
    category("calculation_error", &[Kind::Calculation], None),
    category("validation_error", &[Kind::Invalid], None),
    category("external_service", &[Kind::Unavailable], Some(EXTERNAL)),
    category("concurrency_issue", &[Kind::Conflict], None),
    category("configuration_error", &[Kind::Config], None),
    action("portfolio", "IMMEDIATE_RETRY", Action::Retry),
    action("portfolio", "DELAYED_RETRY", Action::Retry),
    action("portfolio", "COMPENSATE", Action::Compensate),
    action("portfolio", "ISOLATE", Action::Isolate),
    action("portfolio", "ESCALATE", Action::Escalate),
    action("portfolio", "GRACEFUL_DEGRADATION", Action::Degrade),
    stage("data_fetch_error", Component::DATA),
    stage("strategy_error", Component::STRATEGY),
    stage("execution_error", Component::EXECUTION),
    stage("position_error", Component::POSITION),
    stage("system_error", Component::SYSTEM),
    action("pipeline", "retry_with_backoff", Action::Retry),
    action("pipeline", "fallback_strategy", Action::Fallback),
    action("pipeline", "retry_execution", Action::Retry),
    action("pipeline", "emergency_exit", Action::Halt),
    action("pipeline", "system_recovery", Action::Halt),
    message("transient", Transience::Transient),
    message("permanent", Transience::Permanent),
    message("permanent_error", Transience::Permanent),
    message("max_retries_exceeded", Transience::Exhausted),
];
