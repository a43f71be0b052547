//! The place where a decision is taken.

use crate::{Component, Environment};

/// One try and three retries.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

/// The place of a failure: which operation, and how often it was tried.
///
/// | field | default |
/// |---|---|
/// | `idempotent` | false, because resending is what costs money |
/// | `attempt` | 1 |
/// | `attempts_max` | 4 |
/// | `startup` | no |
/// | `strategy` | none |
/// | `environment` | the policy's |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Site<'a> {
    /// Where it happened.
    pub component: Component,
    /// Which operation failed.
    pub op: &'a str,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// Number of the attempt that failed, from 1.
    pub attempt: u32,
    /// How many attempts there may be, the first included; a rule may say otherwise.
    pub attempts_max: u32,
    /// Whether nothing trades yet.
    pub startup: bool,
    /// The strategy that failed, so that its stand-in can be named.
    pub strategy: Option<&'a str>,
    /// Where it runs, if that is not what the policy says.
    pub environment: Option<Environment>,
}

impl<'a> Site<'a> {
    /// The first attempt of an operation that must not be done twice.
    pub const fn new(component: Component, op: &'a str) -> Self {
        Self {
            component,
            op,
            idempotent: false,
            attempt: 1,
            attempts_max: ATTEMPTS_MAX,
            startup: false,
            strategy: None,
            environment: None,
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

    /// Names the strategy that failed.
    #[must_use]
    pub const fn of_strategy(mut self, strategy: &'a str) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// States where it runs, over what the policy says.
    #[must_use]
    pub const fn in_environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }
}
