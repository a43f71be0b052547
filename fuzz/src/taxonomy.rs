//! What error-taxonomy reads.

use backstop_error_taxonomy::policy::{BuildError, Draft};
use backstop_error_taxonomy::venue::Table;
use backstop_error_taxonomy::{
    Action, Class, Component, Effect, Error, Kind, Policy, Site, Transience,
};

/// Longer than any error that keeps to its limits.
const STORY_BYTES_MAX: usize = 64 * 1_024;

/// An error as JSON.
///
/// 1. Any bytes are an error or refused.
/// 2. What was read is written, and what is written reads back as the same.
/// 3. Its texts are bounded, and one line is one line.
///
/// # Panics
///
/// Where one of these does not hold.
pub fn error_json(bytes: &[u8]) {
    let Ok(error) = serde_json::from_slice::<Error>(bytes) else { return };
    let (line, story) = (error.to_string(), format!("{error:?}"));
    assert!(!line.contains(char::is_control), "one line: {line:?}");
    assert!(story.len() < STORY_BYTES_MAX, "{} bytes of story", story.len());

    let written = serde_json::to_string(&error).expect("an error can be written");
    let back: Error = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(format!("{back:?}"), story);
    assert_eq!(back.fingerprint(), error.fingerprint());
    assert_eq!(serde_json::to_string(&back).expect("written again"), written);
}

/// A policy as TOML and as JSON.
///
/// 1. Any text is a draft or refused, and any draft is a policy or refused with its faults.
/// 2. What is refused says so in bounded words.
/// 3. A policy is written, and what is written is an equal policy.
/// 4. No policy sends again what took effect, or what may have and is not idempotent.
///
/// # Panics
///
/// Where one of these does not hold.
pub fn policy_file(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for draft in [toml::from_str::<Draft>(text).ok(), serde_json::from_str(text).ok()] {
        match draft.map(|draft| draft.build()) {
            Some(Ok(policy)) => check_policy(&policy),
            Some(Err(refused)) => check_refusal(&refused),
            None => {}
        }
    }
}

fn check_refusal(refused: &BuildError) {
    assert!(!refused.faults().is_empty(), "refused for nothing");
    let words = refused.to_string();
    assert!(words.len() < 1_024 * 1_024, "{} bytes of faults", words.len());
}

fn check_policy(policy: &Policy) {
    let written = toml::to_string(policy).expect("a policy can be written");
    let back = toml::from_str::<Draft>(&written).expect("what was written can be read");
    assert_eq!(&back.build().expect("what was a policy is one"), policy);
    let places = [Component::EXECUTION, Component::SYSTEM, Component::new("unheard_of")];
    for kind in Kind::ALL {
        for transience in Transience::ALL {
            let class = Class::of(*kind).with_transience(*transience);
            for component in places {
                check_decisions(policy, class, &Site::new(component, "submit_order"));
            }
        }
    }
}

fn check_decisions(policy: &Policy, class: Class, site: &Site<'_>) {
    for effect in [Effect::Applied, Effect::Unknown] {
        let decision = policy.decide(class.with_effect(effect), site);
        assert_ne!(decision.action, Action::Retry, "{effect} by {:?}", decision.rule);
        assert_eq!(decision.class.effect(), effect);
    }
}

/// A table of venue codes, as TOML and as JSON.
///
/// 1. Any text is a table or refused.
/// 2. Each code is found again in its market, with its class.
/// 3. A code of every market holds in a market that nobody has named.
///
/// # Panics
///
/// Where one of these does not hold.
pub fn venue_table(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for table in [toml::from_str::<Table>(text).ok(), serde_json::from_str(text).ok()] {
        let Some(table) = table else { continue };
        assert!(table.codes().count() <= Table::CODES_MAX);
        for (market, code, class) in table.codes() {
            assert_eq!(table.class_in(market, code), class, "{code} in {market}");
            let elsewhere = table.class_in("no such market", code);
            let expected = if market.is_empty() { class } else { table.class(code) };
            assert_eq!(elsewhere, expected, "{code}");
        }
        assert_eq!(table.class("no such code"), Class::of(Kind::Other));
    }
}
