//! Policies to start from, and where the names of older systems went.
//!
//! | profile | what it is |
//! |---|---|
//! | `trading_exceptions` | the exception hierarchy of a trading system |
//! | `exception_rules` | four groups: critical system, database and network, business logic, general |
//! | `portfolio` | categories of a portfolio with their recovery strategies |
//! | `pipeline` | stages of a pipeline with counts that make an alert: 10, 5, 3, 2, 1 |
//! | `stream_messages` | messages of a stream: transient again, permanent aside |
//!
//! A profile is a [`Draft`]: take it as it is, or extend it by its name.
//!
//! ```
//! use backstop_error_taxonomy::policy::profiles;
//! use backstop_error_taxonomy::{Action, Class, Component, HaltScope, Kind, Site};
//!
//! let policy = profiles::pipeline().build()?;
//! let site = Site::new(Component::POSITION, "reconcile");
//! let decision = policy.decide(Class::of(Kind::Inconsistent), &site);
//! assert_eq!((decision.action, decision.halt), (Action::Halt, HaltScope::Position));
//! assert_eq!(decision.alert_after.unwrap().count.get(), 2);
//! # Ok::<(), backstop_error_taxonomy::policy::BuildError>(())
//! ```
//!
//! # Names of older systems
//!
//! Older systems mix four questions in one list of names: where it failed, what failed, whether it
//! passes, and what to do.
//! Here each name finds its place on the axes; [`term`] looks one up.
//! "by cause" means that the kind is that of the cause, such as an I/O error or a database's code.
//!
//! | name | profile | meaning |
//! |---|---|---|
//! | `AlchemiserError` | `trading_exceptions` | any failure, by cause |
//! | `ConfigurationError` | `trading_exceptions` | config at config |
//! | `EnvironmentError` | `trading_exceptions` | config at config |
//! | `DataProviderError` | `trading_exceptions` | by cause at data |
//! | `MarketDataError` | `trading_exceptions` | data at data |
//! | `WebSocketError` | `trading_exceptions` | connection at network |
//! | `TradingClientError` | `trading_exceptions` | by cause at execution |
//! | `OrderExecutionError` | `trading_exceptions` | rejected at execution |
//! | `InsufficientFundsError` | `trading_exceptions` | insufficient_funds at execution |
//! | `PositionValidationError` | `trading_exceptions` | inconsistent at position |
//! | `MarketClosedError` | `trading_exceptions` | precondition at execution |
//! | `StrategyExecutionError` | `trading_exceptions` | internal at strategy |
//! | `IndicatorCalculationError` | `trading_exceptions` | calculation at strategy |
//! | `ValidationError` | `trading_exceptions` | invalid |
//! | `NotificationError` | `trading_exceptions` | by cause at notification |
//! | `S3OperationError` | `trading_exceptions` | by cause at storage |
//! | `FileOperationError` | `trading_exceptions` | by cause at storage |
//! | `RateLimitError` | `trading_exceptions` | rate_limited |
//! | `LoggingError` | `trading_exceptions` | by cause at logging |
//! | `DatabaseError` | `trading_exceptions` | by cause at database |
//! | `SecurityError` | `trading_exceptions` | auth |
//! | `CircuitBreakerOpenError` | `trading_exceptions` | unavailable, refused by a breaker |
//! | `critical_system` | `exception_rules` | internal |
//! | `database_network` | `exception_rules` | connection or timeout |
//! | `business_logic` | `exception_rules` | invalid or calculation |
//! | `general` | `exception_rules` | other |
//! | `RAISE` | `exception_rules` | action propagate |
//! | `LOG_AND_CONTINUE` | `exception_rules` | action continue |
//! | `RETRY` | `exception_rules` | action retry |
//! | `FALLBACK` | `exception_rules` | action fallback |
//! | `CIRCUIT_BREAKER` | `exception_rules` | action propagate, counted by a breaker |
//! | `database_error` | `portfolio` | by cause at database |
//! | `position_consistency` | `portfolio` | inconsistent at position |
//! | `calculation_error` | `portfolio` | calculation |
//! | `validation_error` | `portfolio` | invalid |
//! | `external_service` | `portfolio` | unavailable at external |
//! | `concurrency_issue` | `portfolio` | conflict |
//! | `configuration_error` | `portfolio` | config |
//! | `IMMEDIATE_RETRY` | `portfolio` | action retry, without a delay |
//! | `DELAYED_RETRY` | `portfolio` | action retry, with a backoff |
//! | `COMPENSATE` | `portfolio` | action compensate |
//! | `ISOLATE` | `portfolio` | action isolate |
//! | `ESCALATE` | `portfolio` | action escalate |
//! | `GRACEFUL_DEGRADATION` | `portfolio` | action degrade |
//! | `data_fetch_error` | `pipeline` | by cause at data |
//! | `strategy_error` | `pipeline` | by cause at strategy |
//! | `execution_error` | `pipeline` | by cause at execution |
//! | `position_error` | `pipeline` | by cause at position |
//! | `system_error` | `pipeline` | by cause at system |
//! | `retry_with_backoff` | `pipeline` | action retry, with a backoff |
//! | `fallback_strategy` | `pipeline` | action fallback |
//! | `retry_execution` | `pipeline` | action retry, twice at most, half the size each time |
//! | `emergency_exit` | `pipeline` | action halt of the position |
//! | `system_recovery` | `pipeline` | action halt of the process |
//! | `transient` | `stream_messages` | transience transient |
//! | `permanent` | `stream_messages` | transience permanent |
//! | `permanent_error` | `stream_messages` | transience permanent |
//! | `max_retries_exceeded` | `stream_messages` | transience exhausted |

use std::time::Duration;

use super::{Backoff, Draft, Factor, Rule};
use crate::{Action, Component, HaltScope, Kind, Severity, Transience};

pub use terms::{Meaning, TERMS, Term, term};

mod terms;

/// Names of all profiles, for [`profile`].
pub const NAMES: &[&str] =
    &["exception_rules", "pipeline", "portfolio", "stream_messages", "trading_exceptions"];

/// Services of others.
pub(crate) const EXTERNAL: Component = Component::new("external");

/// Dead letters.
const DLQ: Component = Component::new("dlq");

/// The profile of that name.
pub fn profile(name: &str) -> Option<Draft> {
    match name {
        "exception_rules" => Some(exception_rules()),
        "pipeline" => Some(pipeline()),
        "portfolio" => Some(portfolio()),
        "stream_messages" => Some(stream_messages()),
        "trading_exceptions" => Some(trading_exceptions()),
        _ => None,
    }
}

fn doubling(delay: Duration) -> Backoff {
    Backoff { delay: Some(delay), factor: Some(Factor::TWO) }
}

/// The exception hierarchy of a trading system.
///
/// What it changes of the defaults: positions that differ are repaired by `reconcile_position`,
/// a closed market is no news, messages to people and logs never hold trading up, a feed is
/// reconnected patiently, and a security failure is critical.
pub fn trading_exceptions() -> Draft {
    let rules = trading().into_iter().chain(surroundings());
    rules.fold(Draft::new("trading_exceptions"), Draft::with_rule)
}

/// Rules about orders, positions and strategies.
fn trading() -> [Rule; 6] {
    let on = |id: &str, component, kind| Rule::new(id).on_component(component).on_kind(kind);
    [
        on("order_execution", Component::EXECUTION, Kind::Rejected)
            .act(Action::Propagate)
            .with_severity(Severity::High),
        Rule::new("insufficient_funds")
            .on_kind(Kind::InsufficientFunds)
            .act(Action::Propagate)
            .with_severity(Severity::High),
        on("position_validation", Component::POSITION, Kind::Inconsistent)
            .act(Action::Compensate)
            .with_compensation("reconcile_position")
            .with_severity(Severity::Critical),
        on("market_closed", Component::EXECUTION, Kind::Precondition)
            .act(Action::Propagate)
            .with_severity(Severity::Low),
        on("strategy", Component::STRATEGY, Kind::Internal)
            .act(Action::Escalate)
            .with_severity(Severity::High),
        on("indicator", Component::STRATEGY, Kind::Calculation)
            .act(Action::Fallback)
            .with_severity(Severity::Medium),
    ]
}

/// Rules about what trading rests on.
fn surroundings() -> [Rule; 7] {
    let on = |id: &str, component| Rule::new(id).on_component(component);
    [
        on("market_data", Component::DATA).on_kind(Kind::Data).act(Action::Isolate),
        on("websocket", Component::NETWORK)
            .on_kind(Kind::Connection)
            .act(Action::Retry)
            .with_max_attempts(10)
            .with_delay(Duration::from_secs(1))
            .with_factor(Factor::TWO),
        on("notification", Component::NOTIFICATION)
            .act(Action::Continue)
            .with_severity(Severity::Low),
        on("logging", Component::LOGGING).act(Action::Continue).with_severity(Severity::Low),
        on("storage", Component::STORAGE)
            .on_kind(Kind::Unavailable)
            .act(Action::Degrade)
            .with_severity(Severity::High),
        Rule::new("rate_limit")
            .on_kind(Kind::RateLimited)
            .act(Action::Retry)
            .with_max_attempts(5)
            .with_delay(Duration::from_secs(1))
            .with_factor(Factor::TWO),
        Rule::new("security")
            .on_kind(Kind::Auth)
            .act(Action::Escalate)
            .with_severity(Severity::Critical),
    ]
}

/// Four groups of rules: critical system, database and network, business logic, general.
pub fn exception_rules() -> Draft {
    let network = |id: &str, kind| {
        Rule::new(id)
            .on_kind(kind)
            .act(Action::Retry)
            .with_severity(Severity::High)
            .with_max_attempts(3)
            .with_delay(Duration::from_secs(2))
    };
    let business = |id: &str, kind| {
        Rule::new(id).on_kind(kind).act(Action::Continue).with_severity(Severity::Medium)
    };
    Draft::new("exception_rules")
        .with_rule(
            Rule::new("critical_system")
                .on_kind(Kind::Internal)
                .act(Action::Halt)
                .with_halt(HaltScope::Trading)
                .with_severity(Severity::Critical),
        )
        .with_rule(network("database_network_connection", Kind::Connection))
        .with_rule(network("database_network_timeout", Kind::Timeout))
        .with_rule(business("business_logic_invalid", Kind::Invalid))
        .with_rule(business("business_logic_calculation", Kind::Calculation))
        .with_rule(
            // What to do about it is the environment's to say.
            Rule::new("general").on_kind(Kind::Other).with_severity(Severity::Medium),
        )
}

/// Categories of a portfolio with their recovery strategies.
pub fn portfolio() -> Draft {
    let delayed = |id: &str| {
        Rule::new(id).act(Action::Retry).with_delay(Duration::from_secs(1)).with_factor(Factor::TWO)
    };
    Draft::new("portfolio")
        .with_rule(
            delayed("database_error")
                .on_component(Component::DATABASE)
                .with_severity(Severity::High),
        )
        .with_rule(
            Rule::new("position_consistency")
                .on_component(Component::POSITION)
                .on_kind(Kind::Inconsistent)
                .act(Action::Compensate)
                .with_compensation("reconcile_position")
                .with_severity(Severity::Critical),
        )
        .with_rule(
            Rule::new("calculation_error")
                .on_kind(Kind::Calculation)
                .act(Action::Isolate)
                .with_severity(Severity::High),
        )
        .with_rule(
            Rule::new("validation_error")
                .on_kind(Kind::Invalid)
                .act(Action::Isolate)
                .with_severity(Severity::Medium),
        )
        .with_rule(
            Rule::new("external_service")
                .on_component(EXTERNAL)
                .on_kind(Kind::Unavailable)
                .act(Action::Degrade)
                .with_severity(Severity::Medium),
        )
        .with_rule(
            // A lost race is over: the second try may follow at once.
            Rule::new("concurrency_issue")
                .on_kind(Kind::Conflict)
                .act(Action::Retry)
                .with_delay(Duration::ZERO)
                .with_severity(Severity::Medium),
        )
        .with_rule(
            Rule::new("configuration_error")
                .on_kind(Kind::Config)
                .act(Action::Escalate)
                .with_severity(Severity::Critical),
        )
}

/// Stages of a pipeline, with the count of failures within five minutes that makes an alert.
///
/// Data 10, strategy 5, execution 3, position 2, system 1.
pub fn pipeline() -> Draft {
    let at = |id: &str, component| Rule::new(id).on_component(component);
    let data = doubling(Duration::from_secs(1));
    Draft::new("pipeline")
        .with_window(Duration::from_mins(5))
        .with_threshold(Component::DATA, 10)
        .with_threshold(Component::STRATEGY, 5)
        .with_threshold(Component::EXECUTION, 3)
        .with_threshold(Component::POSITION, 2)
        .with_threshold(Component::SYSTEM, 1)
        .with_fallback("trend_bot", "mean_bot")
        .with_retries(4, data)
        .with_rule(at("data_fetch_error", Component::DATA).act(Action::Retry))
        .with_rule(
            at("strategy_error", Component::STRATEGY)
                .act(Action::Fallback)
                .with_fallback("mean_bot"),
        )
        .with_rule(
            at("execution_error", Component::EXECUTION)
                .act(Action::Retry)
                .with_max_attempts(3)
                .with_size_percent(50),
        )
        .with_rule(
            at("position_error", Component::POSITION)
                .act(Action::Halt)
                .with_halt(HaltScope::Position),
        )
        .with_rule(
            at("system_error", Component::SYSTEM).act(Action::Halt).with_halt(HaltScope::Process),
        )
}

/// Messages of a stream: what may pass is tried again, what will not is set aside.
///
/// What nobody has classified may pass: a handler of messages is idempotent, and a letter can
/// still be written when the attempts are used up.
pub fn stream_messages() -> Draft {
    let aside = |id: &str, transience| Rule::new(id).on_transience(transience).act(Action::Isolate);
    Draft::new("stream_messages")
        .with_default_transience(DLQ, Transience::Transient)
        .with_rule(Rule::new("transient").on_transience(Transience::Transient).act(Action::Retry))
        .with_rule(aside("permanent", Transience::Permanent))
        .with_rule(aside("max_retries_exceeded", Transience::Exhausted))
}
