//! A policy before it is checked.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::check::{self, Layer};
use super::fault::{Fault, Place};
use super::profiles;
use super::rule::{Backoff, Rule};
use super::{BuildError, Policy};
use crate::{Component, Environment, Transience};

/// A policy as somebody wrote it; [`Draft::build`] checks all of it at once.
///
/// With the feature `serde` it reads and writes TOML, JSON and the like; see
/// [the form](crate::policy#as-a-file).
///
/// ```
/// use backstop_error_taxonomy::policy::{Draft, Rule};
/// use backstop_error_taxonomy::{Action, Class, Component, Kind, Site};
///
/// let policy = Draft::new("bot")
///     .extending("pipeline")
///     .with_rule(Rule::new("closed").on_kind(Kind::Precondition).act(Action::Continue))
///     .build()?;
/// let site = Site::new(Component::API, "submit_order");
/// assert_eq!(policy.decide(Class::of(Kind::Precondition), &site).rule, Some("closed"));
/// # Ok::<(), backstop_error_taxonomy::policy::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Draft {
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) defaults: Defaults,
    /// What stands in for what.
    pub(crate) fallbacks: BTreeMap<String, String>,
    pub(crate) thresholds: BTreeMap<Component, NonZeroU32>,
    pub(crate) window: Option<Duration>,
    pub(crate) transience: BTreeMap<Component, Transience>,
    /// What was wrong already when it was read.
    pub(crate) faults: Vec<Fault>,
}

/// What holds where no rule says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) backoff: Backoff,
    pub(crate) stale_max: Option<Duration>,
}

impl Draft {
    /// How many rules a policy holds, those it inherits included.
    pub const RULES_MAX: usize = 512;
    /// How many entries each table of a policy holds.
    pub const ENTRIES_MAX: usize = 256;
    /// How many characters a name may have: of a policy, an id, an operation, a strategy.
    pub const NAME_CHARS_MAX: usize = 128;
    /// How many policies a policy extends, one through the other.
    pub const ANCESTORS_MAX: usize = 16;

    /// A draft without rules.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Its name, by which others extend it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes over everything of the policy `parent` that this one does not say itself.
    ///
    /// A rule replaces the parent's rule of the same id, and the one that matches the same.
    /// The parent is one of those given to [`Draft::build_among`], else a
    /// [profile](crate::policy::profiles).
    #[must_use]
    pub fn extending(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Names the environment; a name that is none is a fault of the build.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// Adds a rule; the order does not matter.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// States how often and how slowly to try where no rule does.
    #[must_use]
    pub fn with_retries(mut self, max_attempts: u32, backoff: Backoff) -> Self {
        self.defaults.max_attempts =
            self.count(Place::Table("defaults"), "max_attempts", max_attempts);
        let mut checked = Rule::new("defaults");
        if let Some(delay) = backoff.delay {
            checked = checked.with_delay(delay);
        }
        if let Some(factor) = backoff.factor {
            checked = checked.with_factor(factor);
        }
        self.defaults.backoff = checked.then.backoff;
        self.faults.extend(check::bad_numbers(Place::Table("defaults"), &checked));
        self
    }

    /// States how old a value may be to stand in for a fresh one, where no rule does.
    #[must_use]
    pub fn with_stale_max(mut self, age: Duration) -> Self {
        let checked = Rule::new("defaults").with_stale_max(age);
        self.defaults.stale_max = checked.then.stale_max;
        self.faults.extend(check::bad_numbers(Place::Table("defaults"), &checked));
        self
    }

    /// Names what stands in for a strategy or source that fails.
    #[must_use]
    pub fn with_fallback(
        mut self,
        failing: impl Into<String>,
        stand_in: impl Into<String>,
    ) -> Self {
        self.fallbacks.insert(failing.into(), stand_in.into());
        self
    }

    /// States how many events of a component within the window make an alert.
    #[must_use]
    pub fn with_threshold(mut self, component: Component, count: u32) -> Self {
        if let Some(count) = self.count(Place::Table("thresholds"), "thresholds", count) {
            self.thresholds.insert(component, count);
        }
        self
    }

    /// States how far back events are counted; five minutes if nobody does.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        if window.is_zero() || window > Rule::DELAY_MAX {
            self.faults.push(Fault::BadNumber {
                place: Place::Policy,
                field: "window_s",
                value: format!("{window:?}"),
            });
        }
        self.window = Some(window);
        self
    }

    /// States whether a component's unclassified failures may pass by themselves.
    #[must_use]
    pub fn with_default_transience(mut self, component: Component, transience: Transience) -> Self {
        self.transience.insert(component, transience);
        self
    }

    /// Checks everything and makes it a policy.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with every fault.
    pub fn build(&self) -> Result<Policy, BuildError> {
        self.build_among(&[])
    }

    /// As [`Draft::build`], with policies that it may extend.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with every fault.
    pub fn build_among(&self, others: &[Self]) -> Result<Policy, BuildError> {
        let mut faults = Vec::new();
        let chain = self.chain(others, &mut faults);
        let mut layer = Layer::default();
        for draft in chain.iter().rev() {
            layer.put(draft, &mut faults);
        }
        let environment = layer.check(&mut faults);
        BuildError::check(faults)?;
        Ok(Policy::from_layer(self.clone(), layer, environment))
    }

    /// This draft, what it extends, what that extends, and so on.
    fn chain(&self, others: &[Self], faults: &mut Vec<Fault>) -> Vec<Self> {
        let mut chain = vec![self.clone()];
        while let Some((child, parent)) = chain.last().and_then(|draft| {
            draft.parent.as_ref().map(|parent| (draft.name.clone(), parent.clone()))
        }) {
            if chain.iter().any(|draft| draft.name == parent) {
                let mut policies: Vec<_> =
                    chain.iter().map(|draft| check::cut(&draft.name)).collect();
                policies.push(check::cut(&parent));
                faults.push(Fault::Cycle { policies });
                break;
            }
            if chain.len() > Self::ANCESTORS_MAX {
                // Each of them is checked against all rules below it, which adds up.
                let (what, max) = ("ancestors", Self::ANCESTORS_MAX);
                faults.push(Fault::TooMany { what, count: chain.len(), max });
                break;
            }
            let found = others.iter().find(|draft| draft.name == parent).cloned();
            let Some(draft) = found.or_else(|| profiles::profile(&parent)) else {
                let (policy, parent) = (check::cut(&child), check::cut(&parent));
                faults.push(Fault::UnknownParent { policy, parent });
                break;
            };
            chain.push(draft);
        }
        chain
    }

    fn count(&mut self, place: Place, field: &'static str, count: u32) -> Option<NonZeroU32> {
        let non_zero = NonZeroU32::new(count);
        if non_zero.is_none() {
            self.faults.push(Fault::BadNumber { place, field, value: count.to_string() });
        }
        non_zero
    }
}

impl From<Environment> for String {
    fn from(environment: Environment) -> Self {
        environment.as_str().to_owned()
    }
}
