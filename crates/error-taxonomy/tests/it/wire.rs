use std::time::Duration;

use backstop_error_taxonomy::{Action, Class, Component, Effect, Kind, Severity, Transience};
use proptest::prelude::*;
use serde_json::{from_str, json, to_string, to_value};

fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL)
}

#[test]
fn axes_are_written_as_their_names() {
    for kind in Kind::ALL {
        assert_eq!(to_value(kind).unwrap(), json!(kind.as_str()));
        assert_eq!(from_str::<Kind>(&to_string(kind).unwrap()).unwrap(), *kind);
    }
    for action in Action::ALL {
        assert_eq!(from_str::<Action>(&to_string(action).unwrap()).unwrap(), *action);
    }
    assert_eq!(to_value(Transience::Exhausted).unwrap(), json!("exhausted"));
    assert_eq!(from_str::<Effect>("\"not_applied\"").unwrap(), Effect::NotApplied);
    assert_eq!(from_str::<Severity>("\"low\"").unwrap(), Severity::Low);
    assert_eq!(to_value(Component::EXECUTION).unwrap(), json!("execution"));
    assert_eq!(from_str::<Component>("\"own\"").unwrap(), Component::new("own"));
}

#[test]
fn a_wrong_name_is_named() {
    let refused = from_str::<Kind>("\"time_out\"").unwrap_err().to_string();
    assert!(refused.starts_with("`time_out` is not a kind"), "{refused}");
    let refused = from_str::<Severity>("3").unwrap_err().to_string();
    assert!(refused.contains("the name of a value of the axis severity"), "{refused}");
    let refused = from_str::<Component>("\"two words\"").unwrap_err().to_string();
    assert!(refused.starts_with("`two words` is not a component"), "{refused}");
}

#[test]
fn a_class_says_only_what_is_not_usual() {
    let plain = to_value(Class::of(Kind::Timeout)).unwrap();
    assert_eq!(plain, json!({"kind": "timeout", "transience": "transient", "effect": "unknown"}));
    let full = Class::of(Kind::Unavailable)
        .refused_by_breaker()
        .with_retry_after(Duration::from_secs(12))
        .with_severity_floor(Severity::Low);
    let written = json!({
        "kind": "unavailable", "transience": "transient", "effect": "not_applied",
        "retry_after_ms": 12_000, "severity_floor": "low", "breaker_refusal": true,
    });
    assert_eq!(to_value(full).unwrap(), written);
}

#[test]
fn an_absent_axis_has_the_default_and_a_later_kind_is_other() {
    let class: Class = from_str(r#"{"kind": "timeout"}"#).unwrap();
    assert_eq!(class, Class::of(Kind::Timeout));
    let refusal: Class = from_str(r#"{"kind": "unavailable", "breaker_refusal": true}"#).unwrap();
    assert_eq!(refusal, Class::of(Kind::Unavailable).refused_by_breaker());
    let later: Class = from_str(r#"{"kind": "quantum", "effect": "not_applied"}"#).unwrap();
    assert_eq!(later, Class::of(Kind::Other).with_effect(Effect::NotApplied));
    assert!(from_str::<Class>(r#"{"kind": "timeout", "effect": "perhaps"}"#).is_err());
    assert!(from_str::<Class>("{}").is_err(), "a class without a kind is none");
}

proptest! {
    #[test]
    fn every_class_comes_back_as_it_was(
        kind in kinds(),
        transience in proptest::sample::select(Transience::ALL),
        effect in proptest::sample::select(Effect::ALL),
        floor in proptest::sample::select(Severity::ALL),
        retry_after in proptest::option::of(any::<Duration>()),
        refused in any::<bool>(),
    ) {
        let mut class = Class::of(kind);
        if refused {
            class = class.refused_by_breaker();
        }
        class = class.with_transience(transience).with_effect(effect).with_severity_floor(floor);
        if let Some(delay) = retry_after {
            class = class.with_retry_after(delay);
        }
        prop_assert_eq!(from_str::<Class>(&to_string(&class).unwrap()).unwrap(), class);
    }

    #[test]
    fn any_name_is_a_component_or_refused(name in "\\PC{0,40}|[a-z_.-]{1,31}") {
        let ok = (1..=31).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        match name.parse::<Component>() {
            Ok(component) => prop_assert!(ok && component.as_str() == name),
            Err(_) => prop_assert!(!ok),
        }
    }
}
