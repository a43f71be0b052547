//! How real the money is.

use crate::names::names;
use crate::{Action, LogLevel, UnknownName};

/// How real the money is, which decides what becomes of failures that nobody has classified.
///
/// | environment | [`Kind::Other`](crate::Kind::Other) without a rule | logged as |
/// |---|---|---|
/// | development, test | propagate | debug |
/// | staging | propagate | warn |
/// | production | escalate | warn |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Environment {
    /// A programmer's machine.
    Development,
    /// An automated test.
    Test,
    /// As production, with play money.
    Staging,
    /// Real money.
    #[default]
    Production,
}

names!("environment", Environment {
    Development => "development",
    Test => "test",
    Staging => "staging",
    Production => "production",
});

impl Environment {
    /// Reads a name that arrives at run time; an unknown one counts as production.
    ///
    /// That it was unknown comes back beside it: write it down.
    /// A policy file is stricter: there an unknown name is a fault.
    ///
    /// ```
    /// use backstop_error_taxonomy::Environment;
    ///
    /// let (environment, unknown) = Environment::named("prod");
    /// assert_eq!(environment, Environment::Production);
    /// assert_eq!(unknown.unwrap().value(), "prod");
    ///
    /// assert_eq!(Environment::named("test"), (Environment::Test, None));
    /// ```
    pub fn named(name: &str) -> (Self, Option<UnknownName>) {
        match name.parse() {
            Ok(environment) => (environment, None),
            Err(unknown) => (Self::Production, Some(unknown)),
        }
    }

    /// What to do about a failure that nobody has classified and no rule speaks of.
    pub const fn unclassified_action(self) -> Action {
        match self {
            Self::Production => Action::Escalate,
            _ => Action::Propagate,
        }
    }

    /// How loudly such a failure is written down.
    pub const fn unclassified_log_level(self) -> LogLevel {
        match self {
            Self::Development | Self::Test => LogLevel::Debug,
            Self::Staging | Self::Production => LogLevel::Warn,
        }
    }
}
