//! What can be wrong with a policy.

use std::fmt;

#[cfg(feature = "serde")]
use crate::UnknownName;
use crate::{Class, Classify, Kind};

/// One thing that is wrong with a policy.
///
/// [`Fault::code`] is stable; the text of `Display` is for people.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Several rules match the same.
    #[error("rules {} match the same", list(rules))]
    DuplicateRule {
        /// Their ids.
        rules: Vec<String>,
    },
    /// Several rules have one id.
    #[error("{count} rules have the id `{rule}`")]
    DuplicateId {
        /// The id.
        rule: String,
        /// How many.
        count: usize,
    },
    /// More specific rules take everything that this one matches.
    #[error("rule `{rule}` can never win: {} take all that it matches", list(by))]
    UnreachableRule {
        /// Its id.
        rule: String,
        /// Ids of the rules that win in its place.
        by: Vec<String>,
    },
    /// A rule that cannot mean what it says.
    #[error("rule `{rule}` contradicts itself: {why}")]
    ContradictoryRule {
        /// Its id.
        rule: String,
        /// Which two parts cannot both hold.
        why: &'static str,
    },
    /// A number out of its range.
    #[error("{place}: {field} is {value}, but {}", range(field))]
    BadNumber {
        /// Where it stands.
        place: Place,
        /// The field as it is named in a file.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// An environment that there is not.
    #[error("`{value}` is not an environment")]
    BadEnvironment {
        /// What it says.
        value: String,
    },
    /// A stand-in that the policy's fallbacks do not name.
    #[error("rule `{rule}` falls back to `{fallback}`, which no fallback of the policy names")]
    UnknownFallback {
        /// The rule's id.
        rule: String,
        /// The stand-in.
        fallback: String,
    },
    /// A policy to extend that there is not.
    #[error("`{policy}` extends `{parent}`, which is no policy")]
    UnknownParent {
        /// Name of the policy.
        policy: String,
        /// What it extends.
        parent: String,
    },
    /// Policies that extend each other in a circle.
    #[error("policies extend each other in a circle: {}", list(policies))]
    Cycle {
        /// Their names, from the one that was built.
        policies: Vec<String>,
    },
    /// A key that means nothing here.
    #[error("{place}: `{key}` is no key")]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
    },
    /// A key that has to be there.
    #[error("{place}: `{key}` is missing")]
    MissingKey {
        /// Where it is missed.
        place: Place,
        /// The key.
        key: &'static str,
    },
    /// A key that stands twice.
    #[error("{place}: `{key}` stands twice")]
    RepeatedKey {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
    },
    /// A value that is not of the sort that belongs there.
    #[error("{place}: {key} is {found}, not {expected}")]
    WrongType {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A value that names nothing on its axis.
    #[error("{place}: `{value}` is not a {axis}")]
    UnknownName {
        /// Where it stands.
        place: Place,
        /// The axis, such as `kind`.
        axis: &'static str,
        /// What it says.
        value: String,
    },
    /// A name that is empty or too long.
    #[error("{place}: {field} `{value}` is not of 1 to {max} characters")]
    BadName {
        /// Where it stands.
        place: Place,
        /// What it names.
        field: &'static str,
        /// The name, cut.
        value: String,
        /// How many characters there may be.
        max: usize,
    },
    /// More of something than a policy holds.
    #[error("{count} {what}, but a policy holds {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// Where in a policy a fault lies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Place {
    /// The policy itself.
    Policy,
    /// A table of the policy, such as `thresholds`.
    Table(&'static str),
    /// The rule of this id.
    Rule(String),
    /// The rule at this place, from 1, which has no id.
    RuleNumber(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("policy"),
            Self::Table(name) => f.write_str(name),
            Self::Rule(id) => write!(f, "rule `{id}`"),
            Self::RuleNumber(number) => write!(f, "rule number {number}"),
        }
    }
}

/// The rule that a number of this field has to keep.
fn range(field: &str) -> &'static str {
    match field {
        "factor" => "a factor is from 1 to 1000",
        "size_percent" => "a size is from 1 to 100 percent",
        "delay_s" | "stale_max_s" => "it is from 0 to 86400 seconds",
        "window_s" => "it is above 0 and at most 86400 seconds",
        "max_attempts" => "there is at least 1 attempt",
        _ => "a count is at least 1",
    }
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl Fault {
    /// A stable word for the sort of fault.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateRule { .. } => "duplicate_rule",
            Self::DuplicateId { .. } => "duplicate_id",
            Self::UnreachableRule { .. } => "unreachable_rule",
            Self::ContradictoryRule { .. } => "contradictory_rule",
            Self::BadNumber { field, .. } => match *field {
                "max_attempts" => "bad_max_attempts",
                "delay_s" => "bad_delay",
                "factor" => "bad_factor",
                "size_percent" => "bad_size",
                "stale_max_s" => "bad_stale_max",
                "window_s" => "bad_window",
                _ => "bad_alert_after",
            },
            Self::BadEnvironment { .. } => "bad_env",
            Self::UnknownFallback { .. } => "unknown_fallback",
            Self::UnknownParent { .. } => "unknown_parent",
            Self::Cycle { .. } => "cycle",
            Self::UnknownKey { .. } => "unknown_key",
            Self::MissingKey { .. } => "missing_key",
            Self::RepeatedKey { .. } => "repeated_key",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownName { .. } => "unknown_name",
            Self::BadName { .. } => "bad_name",
            Self::TooMany { .. } => "too_many",
        }
    }

    /// Ids of the rules that it names.
    pub fn rules(&self) -> Vec<&str> {
        match self {
            Self::DuplicateRule { rules } => rules.iter().map(String::as_str).collect(),
            Self::UnreachableRule { rule, by } => {
                std::iter::once(rule).chain(by).map(String::as_str).collect()
            }
            Self::DuplicateId { rule, .. }
            | Self::ContradictoryRule { rule, .. }
            | Self::UnknownFallback { rule, .. } => vec![rule],
            Self::BadNumber { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::MissingKey { place, .. }
            | Self::RepeatedKey { place, .. }
            | Self::WrongType { place, .. }
            | Self::UnknownName { place, .. }
            | Self::BadName { place, .. } => match place {
                Place::Rule(id) => vec![id],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    #[cfg(feature = "serde")]
    /// What an axis refused to read at `place`.
    pub(crate) fn unknown_name(place: Place, refused: &UnknownName) -> Self {
        Self::UnknownName { place, axis: refused.axis(), value: refused.value().to_owned() }
    }
}

/// Everything that is wrong with a policy, in an order that does not depend on that of the rules.
///
/// ```
/// use backstop_error_taxonomy::policy::{Draft, Rule};
/// use backstop_error_taxonomy::{Action, Kind};
///
/// let refused = Draft::new("bot")
///     .with_rule(Rule::new("a").on_kind(Kind::Auth).act(Action::Escalate))
///     .with_rule(Rule::new("b").on_kind(Kind::Auth).act(Action::Halt))
///     .with_environment("prod")
///     .build()
///     .unwrap_err();
/// let codes: Vec<_> = refused.faults().iter().map(|fault| fault.code()).collect();
/// assert_eq!(codes, ["duplicate_rule", "bad_env"]);
/// assert_eq!(refused.faults()[0].rules(), ["a", "b"]);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildError {
    faults: Vec<Fault>,
    left_out: usize,
}

impl BuildError {
    /// How many faults are reported; what is beyond is counted.
    pub const FAULTS_MAX: usize = 256;

    /// `Err` if there are faults.
    pub(crate) fn check(mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort();
        faults.dedup();
        let left_out = faults.len().saturating_sub(Self::FAULTS_MAX);
        faults.truncate(Self::FAULTS_MAX);
        Err(Self { faults, left_out })
    }

    /// The faults, at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many more there are than are reported.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        if self.left_out > 0 {
            write!(f, "; and {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

impl Classify for BuildError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}
