//! Rules that say what to do about which failure.
//!
//! A [`Draft`] is written in code or read from a file, [`Draft::build`] checks it as a whole and
//! makes it a [`Policy`], and [`Policy::decide`] answers without I/O, clock or allocation.
//!
//! # Laws
//!
//! 1. The most specific [`Rule`] wins, whatever the order in which they were written.
//! 2. The money rule stands above every rule: what may have taken effect and is not idempotent is
//!    looked up where a rule says retry, and what took effect is never sent again.
//! 3. The floor under a failure's severity holds under every rule.
//! 4. A refusal by a circuit breaker is counted by no breaker, whatever a rule says.
//! 5. A policy without rules decides like [`decide`](crate::decide).
//!
//! # Inheritance
//!
//! A draft that [extends](Draft::extending) another takes over what it does not say itself.
//! Its rule replaces the inherited one of the same id, and the one that matches the same; tables
//! are replaced entry by entry.
//! An inherited rule that the new ones leave nothing to is dropped, for that is what they are for;
//! a new rule that the inherited ones leave nothing to is a fault.
//!
//! # As a file
//!
//! With the feature `serde` a [`Draft`] has this form; every key but `name` may be left out.
//!
//! ```toml
//! name = "my_bot"
//! extends = "pipeline"        # a profile, or another policy of yours
//! env = "production"          # development, test, staging, production
//! window_s = 300              # how far back events are counted
//!
//! [defaults]                  # where no rule says otherwise
//! max_attempts = 4
//! delay_s = 0.5
//! factor = 2
//! stale_max_s = 60
//!
//! [fallbacks]                 # what stands in for what
//! trend = "mean"
//!
//! [thresholds]                # events of a component that make an alert
//! execution = 3
//!
//! [transience]                # of what nobody has classified
//! dlq = "transient"
//!
//! [[rules]]
//! id = "slow_candles"
//! match = { component = "data", kind = "timeout", op = "fetch_candles" }
//! action = "retry"            # the other keys are those of `Rule`
//! max_attempts = 6
//! severity = "low"
//! ```
//!
//! The keys of `match` are `component`, `kind`, `op`, `transience` and `effect`; those of a rule
//! besides `id`, `match` and `action` are `severity`, `log_level`, `breaker`, `alert_after`,
//! `max_attempts`, `delay_s`, `factor`, `size_percent`, `fallback`, `compensation`, `halt` and
//! `stale_max_s`.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::decision::{AlertAfter, Decision, Ruling, settle};
use crate::{Class, Component, Environment, Site, Transience};

pub use draft::Draft;
pub use fault::{BuildError, Fault, Place};
pub(crate) use rule::Then;
pub use rule::{Backoff, Factor, Rule};

mod rule;
mod draft;
mod fault;
mod check;
mod index;
#[cfg(feature = "serde")]
mod tree;
#[cfg(feature = "serde")]
mod file;
pub mod profiles;

use check::Layer;
use index::Index;

/// How far back events are counted if nobody says.
const WINDOW: Duration = Duration::from_mins(5);

/// Checked rules, ready to decide.
///
/// Immutable: a new file makes a new policy, which replaces the old one as a whole.
///
/// ```
/// use backstop_error_taxonomy::policy::{Draft, Rule};
/// use backstop_error_taxonomy::{Action, Class, Component, Kind, Site};
///
/// let policy = Draft::new("bot")
///     .with_rule(Rule::new("insist").on_kind(Kind::Timeout).act(Action::Retry))
///     .build()?;
///
/// // No rule sends an order again that may have been placed.
/// let submit = Site::new(Component::EXECUTION, "submit_order");
/// let decision = policy.decide(Class::of(Kind::Timeout), &submit);
/// assert_eq!((decision.rule, decision.action), (Some("insist"), Action::Reconcile));
/// # Ok::<(), backstop_error_taxonomy::policy::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    draft: Draft,
    environment: Environment,
    /// Sorted by id, so that equal policies are equal however they were written.
    rules: Box<[Rule]>,
    index: Index,
    /// What is known of components by name, sorted; the index knows them by place.
    components: Box<[About]>,
    layer: Layer,
}

/// What a policy says about a component as a whole.
#[derive(Clone, Debug)]
pub(crate) struct About {
    component: Component,
    threshold: Option<NonZeroU32>,
    transience: Option<Transience>,
}

impl Policy {
    /// The policy without rules for an environment.
    pub fn preset(environment: Environment) -> Self {
        let draft = Draft::new(environment.as_str()).with_environment(environment);
        Self::from_layer(draft, Layer::default(), environment)
    }

    pub(crate) fn from_layer(draft: Draft, mut layer: Layer, environment: Environment) -> Self {
        let mut rules = std::mem::take(&mut layer.rules);
        rules.sort_by(|one, other| one.id.cmp(&other.id));
        let mut components: Vec<Component> = rules
            .iter()
            .filter_map(|rule| rule.when.axes.component)
            .chain(layer.thresholds.keys().copied())
            .chain(layer.transience.keys().copied())
            .collect();
        components.sort();
        components.dedup();
        let index = Index::new(&rules, &components);
        let about = |component: Component| About {
            component,
            threshold: layer.thresholds.get(&component).copied(),
            transience: layer.transience.get(&component).copied(),
        };
        let components = components.into_iter().map(about).collect();
        Self { draft, environment, rules: rules.into(), index, components, layer }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.draft.name
    }

    /// The environment it decides for, unless a site says otherwise.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// Its rules, those it inherited included, by id.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The draft that it was built from, which is what to write down.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// What stands in for a strategy or source that fails.
    pub fn stand_in(&self, failing: &str) -> Option<&str> {
        self.layer.fallbacks.get(failing).map(String::as_str)
    }

    /// What to do about a failure of `class` at `site`.
    ///
    /// Pure, and without allocation.
    pub fn decide(&self, class: Class, site: &Site<'_>) -> Decision<'_> {
        let found = self.components.binary_search_by(|about| about.component.cmp(&site.component));
        let about = found.ok().and_then(|place| self.components.get(place));
        let class = match about.and_then(|about| about.transience) {
            Some(stated) if class.is_unclassified() => class.with_transience(stated),
            _ => class,
        };
        let rule = self.index.winner(class, found.ok(), site.op);
        let rule = rule.and_then(|place| self.rules.get(place));
        let then = rule.map(|rule| &rule.then);
        let threshold = about.and_then(|about| about.threshold);
        let count = then.and_then(|then| then.alert_after).or(threshold);
        let backoff = then.map(|then| then.backoff).unwrap_or_default();
        let defaults = &self.layer.defaults;
        let ruling = Ruling {
            rule: rule.map(Rule::id),
            then,
            alert_after: count.map(|count| AlertAfter { count, window: self.window() }),
            stand_in: site.strategy.and_then(|failing| self.stand_in(failing)),
            max_attempts: then.and_then(|then| then.max_attempts).or(defaults.max_attempts),
            backoff: Backoff {
                delay: backoff.delay.or(defaults.backoff.delay),
                factor: backoff.factor.or(defaults.backoff.factor),
            },
            stale_max: then.and_then(|then| then.stale_max).or(defaults.stale_max),
            environment: site.environment.unwrap_or(self.environment),
        };
        settle(class, site, ruling)
    }

    fn window(&self) -> Duration {
        self.layer.window.unwrap_or(WINDOW)
    }
}

/// Without rules, in production.
impl Default for Policy {
    fn default() -> Self {
        Self::preset(Environment::Production)
    }
}

/// Equal if they decide the same: names do not count, nor does the order of the rules.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.layer, &other.layer);
        self.environment == other.environment
            && self.rules == other.rules
            && self.window() == other.window()
            && ours.defaults == theirs.defaults
            && ours.fallbacks == theirs.fallbacks
            && ours.thresholds == theirs.thresholds
            && ours.transience == theirs.transience
    }
}

impl Eq for Policy {}
