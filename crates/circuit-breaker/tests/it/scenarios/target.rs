//! What a scenario plays against: breakers in a row, or a registry of them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use backstop_circuit_breaker::{Breaker, Event, Permit, Registry, Rejection, Verdict};
use serde_json::Value;

use super::{
    Outcome, check_keys,
    config::{Config, held},
    failed, integer, settings, text,
};
use crate::scenarios::script::ScriptClock;

/// What has happened since somebody last looked.
pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

/// One guarded call: a permit of each breaker, outermost first.
pub(crate) type Permits = Vec<Permit>;

/// Ends the telling of a breaker that another one has replaced.
type Silenced = Arc<AtomicBool>;

#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Target {
    /// Breakers around each other, outermost first; usually there is one.
    Nested(Vec<(String, Breaker, Config)>, Silenced),
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
        let (mut breakers, silenced) = (Vec::new(), Silenced::default());
        for (name, config) in nested(config)? {
            let breaker = Breaker::starting(config.policy.clone(), start).map_err(wrong)?;
            breakers.push((name, observed(breaker, events, &silenced), config));
        }
        Ok(Self::Nested(breakers, silenced))
    }

    /// A permit of each breaker; if a later one rejects, the earlier permits are dropped.
    pub(crate) fn acquire(
        &self,
        key: Option<&str>,
        clock: &ScriptClock,
    ) -> Result<Permits, (String, Rejection)> {
        let now = || clock.now();
        match self {
            Self::Nested(breakers, _) => breakers
                .iter()
                .map(|(name, breaker, _)| {
                    breaker.admit_owned(now).map_err(|rejection| (name.clone(), rejection))
                })
                .collect(),
            Self::Keyed(registry, _) => {
                let key = key.unwrap_or_default().to_owned();
                match registry.admit(&key, now) {
                    Ok(permit) => Ok(vec![permit]),
                    Err(rejection) => Err((key, rejection)),
                }
            }
        }
    }

    /// What a failure of this kind is now to the breaker of this place, from the outermost.
    pub(crate) fn verdict(&self, place: usize, kind: &str) -> Verdict {
        let config = match self {
            Self::Nested(breakers, _) => &breakers[place].2,
            Self::Keyed(_, config) => config,
        };
        *config.classify.get(kind).unwrap_or(&Verdict::Failure)
    }

    /// Lets time alone do what it does, and nothing else.
    pub(crate) fn expire(&self, key: Option<&str>, now: Instant) {
        match self {
            Self::Nested(breakers, _) => breakers.iter().for_each(|(_, at, _)| at.expire(now)),
            Self::Keyed(..) => self.look(key).iter().for_each(|at| at.expire(now)),
        }
    }

    /// The breaker that a step speaks of: the outermost, or the one of the key.
    pub(crate) fn breaker(&self, key: Option<&str>, clock: &ScriptClock) -> Outcome<Breaker> {
        match self {
            Self::Nested(breakers, _) => Ok(breakers[0].1.clone()),
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
            Self::Nested(breakers, _) => Some(breakers[0].1.clone()),
            Self::Keyed(registry, _) => registry.peek(&key?.to_owned()),
        }
    }

    /// One that was just made, for a key that has none.
    pub(crate) fn fresh(&self) -> Breaker {
        Breaker::new(self.config().policy.clone()).expect("it was built before")
    }

    /// The configuration in force of the breaker under test.
    pub(crate) fn config(&self) -> &Config {
        match self {
            Self::Nested(breakers, _) => &breakers[0].2,
            Self::Keyed(_, config) => config,
        }
    }

    /// Changes the policy in force, of a registry for all keys; the settings at fault if it is
    /// refused.
    pub(crate) fn reconfigure(&mut self, changes: &Value) -> Outcome<Vec<String>> {
        let (merged, unheld) = held(&self.config().merged(changes));
        let next = Config::parse(&merged)?;
        if !unheld.is_empty() {
            return Ok(unheld);
        }
        let policy = next.policy.clone();
        let (done, config) = match self {
            Self::Nested(breakers, _) => {
                let (_, breaker, config) = &mut breakers[0];
                (breaker.reconfigure(policy), config)
            }
            Self::Keyed(registry, config) => (registry.reconfigure(policy), config),
        };
        match done {
            Ok(()) => *config = next,
            Err(error) => return Ok(settings(&error).into_iter().map(str::to_owned).collect()),
        }
        Ok(Vec::new())
    }

    /// Puts another breaker in the place of the one under test, whose late events count no more.
    pub(crate) fn replace(&mut self, breaker: Breaker, config: Config, events: &Events) -> Outcome {
        let Self::Nested(breakers, silenced) = self else {
            return failed("a registry has no snapshot");
        };
        silenced.store(true, Ordering::SeqCst);
        *silenced = Silenced::default();
        (breakers[0].1, breakers[0].2) = (observed(breaker, events, silenced), config);
        Ok(())
    }
}

fn observed(breaker: Breaker, events: &Events, silenced: &Silenced) -> Breaker {
    let (events, silenced) = (Arc::clone(events), Arc::clone(silenced));
    breaker.with_listener(move |_, event| {
        if !silenced.load(Ordering::SeqCst) {
            events.lock().unwrap().push(*event);
        }
    })
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
