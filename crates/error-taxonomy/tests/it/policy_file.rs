use backstop_error_taxonomy::policy::{Draft, Fault, profiles};
use backstop_error_taxonomy::{Action, Class, Component, Kind, Policy, Severity, Site};
use proptest::prelude::*;
use serde_json::json;

const FULL: &str = r#"
name = "my_bot"
env = "staging"
window_s = 60

[defaults]
max_attempts = 4
delay_s = 0.5
factor = 1.5
stale_max_s = 60

[fallbacks]
trend = "mean"

[thresholds]
execution = 3
own-component = 8

[transience]
dlq = "transient"

[[rules]]
id = "slow_candles"
match = { component = "data", kind = "timeout", op = "fetch_candles", effect = "unknown" }
action = "retry"
max_attempts = 6
delay_s = 2
factor = 2
severity = "low"
log_level = "info"
breaker = false
alert_after = 20

[[rules]]
id = "half"
match = { transience = "transient" }
action = "retry"
size_percent = 50

[[rules]]
id = "broken"
match.kind = "calculation"
action = "fallback"
fallback = "mean"
stale_max_s = 5

[[rules]]
id = "books"
match.kind = "inconsistent"
action = "compensate"
compensation = "reverse_entry"

[[rules]]
id = "bug"
match.kind = "internal"
action = "halt"
halt = "process"
"#;

fn refused(draft: &Draft) -> Vec<String> {
    draft.build().unwrap_err().faults().iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_is_read_and_written_back() {
    let draft: Draft = toml::from_str(FULL).unwrap();
    let policy = draft.build().unwrap();
    let written = toml::to_string(&draft).unwrap();
    assert_eq!(toml::from_str::<Draft>(&written).unwrap(), draft);
    assert_eq!(toml::from_str::<Policy>(&written).unwrap(), policy);
    let as_json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&as_json).unwrap(), policy);
    for key in FULL.lines().filter_map(|line| line.split_once(['=', '.']).map(|pair| pair.0.trim()))
    {
        assert!(written.contains(key), "{key} in {written}");
    }

    let site = Site::new(Component::DATA, "fetch_candles").idempotent();
    let decision = policy.decide(Class::of(Kind::Timeout), &site);
    assert_eq!(decision.rule, Some("slow_candles"));
    assert_eq!((decision.action, decision.severity), (Action::Retry, Severity::Low));
    assert_eq!(decision.max_attempts, 6);
    assert_eq!(decision.alert_after.unwrap().count.get(), 20);
    assert!(!decision.breaker);
    let books = policy.decide(Class::of(Kind::Inconsistent), &site);
    assert_eq!(books.compensation, Some("reverse_entry"));
    assert_eq!(books.max_attempts, 4);
    assert_eq!(books.backoff.factor.unwrap().thousandths(), 1_500);
}

#[test]
fn profiles_come_back_as_they_were() {
    for name in profiles::NAMES {
        let draft = profiles::profile(name).unwrap();
        let written = toml::to_string(&draft).unwrap();
        assert_eq!(toml::from_str::<Draft>(&written).unwrap(), draft, "{name}");
    }
}

#[test]
fn everything_wrong_in_a_file_is_named_at_once() {
    let draft: Draft = toml::from_str(
        r#"
        nmae = "typo"
        env = "prod"
        window_s = -1
        [defaults]
        delay = 1
        [thresholds]
        data = 0
        "two words" = 3
        [transience]
        dlq = "maybe"
        [[rules]]
        id = "a"
        match = { kind = "time_out", componnt = "data" }
        action = "retyr"
        max_attempts = "three"
        delay_s = -0.5
        [[rules]]
        action = "halt"
        [[rules]]
        id = "b"
        match = { op = "x" }
        breaker = 1
        factor = 0.9
        severity = 3
        colour = "red"
        "#,
    )
    .unwrap();
    let faults = refused(&draft);
    for part in [
        "policy: `nmae` is no key",
        "policy: `name` is missing",
        "`prod` is not an environment",
        "policy: window_s is -1, but it is above 0 and at most 86400 seconds",
        "defaults: `delay` is no key",
        "thresholds: thresholds is 0 of data, but a count is at least 1",
        "thresholds: `two words` is not a component",
        "transience: `maybe` is not a transience",
        "rule `a`: `time_out` is not a kind",
        "rule `a`: `match.componnt` is no key",
        "rule `a`: `retyr` is not a action",
        "rule `a`: max_attempts is a text, not a whole number",
        "rule `a`: delay_s is -0.5, but it is from 0 to 86400 seconds",
        "rule number 2: `id` is missing",
        "rule `b`: breaker is a whole number, not true or false",
        "rule `b`: factor is 0.9, but a factor is from 1 to 1000",
        "rule `b`: severity is a whole number, not a text",
        "rule `b`: `colour` is no key",
    ] {
        assert!(faults.iter().any(|fault| fault == part), "{part} in {faults:#?}");
    }
    assert_eq!(faults.len(), 18);
}

#[test]
fn a_policy_read_at_once_says_all_that_is_wrong() {
    let text = r#"{"name": "x", "env": "prod", "rules": [{"id": "a", "max_attempts": 0}]}"#;
    let refused = serde_json::from_str::<Policy>(text).unwrap_err().to_string();
    assert!(refused.contains("max_attempts is 0"), "{refused}");
    assert!(refused.contains("`prod` is not an environment"), "{refused}");
}

#[test]
fn a_key_that_stands_twice_is_a_fault() {
    let draft: Draft =
        serde_json::from_str(r#"{"name": "x", "env": "test", "env": "staging"}"#).unwrap();
    assert_eq!(refused(&draft), ["policy: `env` stands twice"]);
}

#[test]
fn strange_files_are_refused_without_a_panic() {
    for text in ["[]", "7", "null", "\"policy\"", r#"{"rules": {}}"#, r#"{"rules": [[], 3, {}]}"#] {
        let draft: Draft = serde_json::from_str(text).unwrap();
        assert!(draft.build().is_err(), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(serde_json::from_str::<Draft>(&deep).is_err());
    for number in ["1e400", "-1", "1e30", "18446744073709551615", "0.0001"] {
        let text = format!(
            r#"{{"name": "x", "window_s": {number}, "rules": [{{"id": "a", "factor": {number}}}]}}"#
        );
        let read = serde_json::from_str::<Draft>(&text);
        assert!(read.is_err() || read.unwrap().build().is_err(), "{number}");
    }
    let nan: Draft = toml::from_str("name = \"x\"\nwindow_s = nan").unwrap();
    assert_eq!(nan.build().unwrap_err().faults()[0].code(), "bad_window");
}

#[test]
fn a_file_extends_profiles_and_other_files() {
    let base: Draft = toml::from_str("name = \"base\"\nextends = \"pipeline\"").unwrap();
    let child: Draft = serde_json::from_value(json!({
        "name": "child", "extends": "base",
        "thresholds": {"data": 20},
        "rules": [{"id": "system_error", "match": {"component": "system"}, "action": "escalate"}],
    }))
    .unwrap();
    let policy = child.build_among(&[base]).unwrap();
    let system = policy.decide(Class::of(Kind::Internal), &Site::new(Component::SYSTEM, "x"));
    assert_eq!((system.action, system.alert_after.unwrap().count.get()), (Action::Escalate, 1));
    let data = policy.decide(Class::of(Kind::Data), &Site::new(Component::DATA, "x"));
    assert_eq!(data.alert_after.unwrap().count.get(), 20);
    assert!(
        child
            .build()
            .unwrap_err()
            .faults()
            .iter()
            .any(|f| matches!(f, Fault::UnknownParent { .. }))
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,200}") {
        if let Ok(draft) = toml::from_str::<Draft>(&text) {
            let _built = draft.build();
        }
        if let Ok(draft) = serde_json::from_str::<Draft>(&text) {
            let _built = draft.build();
        }
    }

    #[test]
    fn a_delay_comes_back_to_the_nanosecond(seconds in 0..86_400_u64, nanos in 0..1_000_000_000_u32) {
        let delay = std::time::Duration::new(seconds, nanos);
        let rule = backstop_error_taxonomy::policy::Rule::new("r").with_delay(delay);
        let draft = Draft::new("d").with_rule(rule);
        let back: Draft = serde_json::from_str(&serde_json::to_string(&draft).unwrap()).unwrap();
        prop_assert_eq!(back, draft);
    }
}
