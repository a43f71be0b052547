//! What a scenario plays against: breakers in a row, or a registry of them.

use std::sync::{Arc, Mutex};

use backstop_circuit_breaker::{Breaker, Event, Permit, Registry, Rejection};
use serde_json::Value;

use super::{
    Outcome, check_keys,
    config::{Config, unheld},
    failed, integer, settings, text,
};
use crate::scenarios::script::ScriptClock;

/// What has happened since somebody last looked.
pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

/// One guarded call: a permit of each breaker with its configuration, outermost first.
pub(crate) type Permits = Vec<(Permit, Config)>;

#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Target {
    /// Breakers around each other, outermost first; usually there is one.
    Nested(Vec<(String, Breaker, Config)>),
    Keyed(Registry<String>, Config),
}

impl Target {
    pub(crate) fn build(config: &Value, clock: &ScriptClock, events: &Events) -> Outcome<Self> {
        let start = clock.start();
        let wrong = |error| settings(&error).join(", ");
        if !config["registry"].is_null() {
            let (keys_max, config) = registry(config)?;
            let events = Arc::clone(events);
            let registry = Registry::new(keys_max, config.policy.clone()).map_err(wrong)?;
            let registry = registry
                .with_start(start)
                .with_listener(move |_, _, event| events.lock().unwrap().push(*event));
            return Ok(Self::Keyed(registry, config));
        }
        let mut breakers = Vec::new();
        for (name, config) in nested(config)? {
            let breaker = Breaker::starting(config.policy.clone(), start).map_err(wrong)?;
            breakers.push((name, observed(breaker, events), config));
        }
        Ok(Self::Nested(breakers))
    }

    /// A permit of each breaker; if a later one rejects, the earlier permits are dropped.
    pub(crate) fn acquire(
        &self,
        key: Option<&str>,
        clock: &ScriptClock,
    ) -> Result<Permits, (String, Rejection)> {
        let now = || clock.now();
        match self {
            Self::Nested(breakers) => breakers
                .iter()
                .map(|(name, breaker, config)| match breaker.admit_owned(now) {
                    Ok(permit) => Ok((permit, config.clone())),
                    Err(rejection) => Err((name.clone(), rejection)),
                })
                .collect(),
            Self::Keyed(registry, config) => {
                let key = key.unwrap_or_default().to_owned();
                match registry.admit(&key, now) {
                    Ok(permit) => Ok(vec![(permit, config.clone())]),
                    Err(rejection) => Err((key, rejection)),
                }
            }
        }
    }

    /// The breaker that a step speaks of: the outermost, or the one of the key.
    pub(crate) fn breaker(&self, key: Option<&str>, clock: &ScriptClock) -> Outcome<Breaker> {
        match self {
            Self::Nested(breakers) => Ok(breakers[0].1.clone()),
            Self::Keyed(registry, _) => {
                let key = key.ok_or("a step of a registry needs a key")?;
                let breaker = registry.breaker(&key.to_owned(), || clock.now());
                breaker.map_err(|rejection| rejection.to_string())
            }
        }
    }

    /// The breaker that an expectation speaks of; looking makes none.
    pub(crate) fn look(&self, key: Option<&str>) -> Option<Breaker> {
        match self {
            Self::Nested(breakers) => Some(breakers[0].1.clone()),
            Self::Keyed(registry, _) => registry.peek(&key?.to_owned()),
        }
    }

    /// Changes the policy in force; the settings at fault if it is refused.
    pub(crate) fn reconfigure(
        &mut self,
        key: Option<&str>,
        changes: &Value,
        clock: &ScriptClock,
    ) -> Outcome<Vec<String>> {
        let breaker = self.breaker(key, clock)?;
        let config = match self {
            Self::Nested(breakers) => &mut breakers[0].2,
            Self::Keyed(_, config) => config,
        };
        let unheld = unheld(changes);
        if !unheld.is_empty() {
            return Ok(unheld);
        }
        let next = config.merged(changes)?;
        match breaker.reconfigure(next.policy.clone()) {
            Ok(()) => *config = next,
            Err(error) => return Ok(settings(&error).into_iter().map(str::to_owned).collect()),
        }
        Ok(Vec::new())
    }

    /// Puts another breaker in the place of the one under test.
    pub(crate) fn replace(&mut self, breaker: Breaker, events: &Events) -> Outcome {
        match self {
            Self::Nested(breakers) => breakers[0].1 = observed(breaker, events),
            Self::Keyed(..) => return failed("a registry has no snapshot"),
        }
        Ok(())
    }
}

fn observed(breaker: Breaker, events: &Events) -> Breaker {
    let events = Arc::clone(events);
    breaker.with_listener(move |_, event| events.lock().unwrap().push(*event))
}

pub(crate) fn registry(config: &Value) -> Outcome<(usize, Config)> {
    check_keys(config, &["registry", "breaker"])?;
    check_keys(&config["registry"], &["max_keys"])?;
    let keys_max = integer(&config["registry"]["max_keys"])?;
    Ok((usize::try_from(keys_max).unwrap_or(usize::MAX), Config::parse(&config["breaker"])?))
}

fn nested(config: &Value) -> Outcome<Vec<(String, Config)>> {
    let Some(nested) = config["nested"].as_array() else {
        return Ok(vec![(String::new(), Config::parse(config)?)]);
    };
    check_keys(config, &["nested"])?;
    if nested.is_empty() {
        return failed("no breakers");
    }
    let parse = |one: &Value| {
        check_keys(one, &["name", "breaker"])?;
        Ok((text(one, "name")?.to_owned(), Config::parse(&one["breaker"])?))
    };
    nested.iter().map(parse).collect()
}
