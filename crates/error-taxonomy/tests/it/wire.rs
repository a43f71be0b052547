use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::facts::Key;
use backstop_error_taxonomy::{
    Action, Class, Classify, Component, Context, Effect, Error, Kind, Severity, Transience,
};
use proptest::prelude::*;
use serde_json::{Value, from_slice, from_str, from_value, json, to_string, to_value};
use uuid::Uuid;

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
    assert!(refused.starts_with("`time_out` is no kind"), "{refused}");
    let refused = from_str::<Severity>("3").unwrap_err().to_string();
    assert!(refused.contains("the name of a value of the axis severity"), "{refused}");
    let refused = from_str::<Component>("\"two words\"").unwrap_err().to_string();
    assert!(refused.starts_with("`two words` is no component"), "{refused}");
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
fn what_nobody_judged_stays_unjudged() {
    for class in [
        Class::of(Kind::Other),
        Class::of(Kind::Other).with_transience(Transience::Permanent),
        Class::of(Kind::Other).with_transience(Transience::Transient),
    ] {
        let back: Class = from_str(&to_string(&class).unwrap()).unwrap();
        assert_eq!((back, back.is_unclassified()), (class, class.is_unclassified()));
        let error = Error::new(Kind::Other, "x").with_class(class);
        let back: Error = from_str(&to_string(&error).unwrap()).unwrap();
        assert_eq!(back.class(), class);
    }
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

fn full() -> Error {
    let cause: Result<(), _> = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let cause = cause.op("read").unwrap_err();
    Error::caused_by(cause, "order not confirmed")
        .with_op("post")
        .with_op("submit_order")
        .with_component(Component::EXECUTION)
        .with(Key::SYMBOL, "EURUSD")
        .with("quantity", 1_000)
        .with_retry_after(Duration::from_millis(1_500))
        .with_not_before(Timestamp::from_millis(-7))
        .with_secret("api_key", "hunter2")
        .with_id(Uuid::from_u128(7))
}

#[test]
fn an_error_is_written_with_all_but_its_secrets() {
    let error = full();
    let at = error.location();
    let written = json!({
        "kind": "connection", "transience": "transient", "effect": "unknown",
        "retry_after_ms": 1_500, "not_before_ms": -7, "message": "order not confirmed",
        "component": "execution", "operations": ["submit_order", "post"],
        "context": {"symbol": "EURUSD", "quantity": "1000"},
        "location": format!("{}:{}:{}", at.file, at.line, at.column),
        "causes": ["read: connection reset (connection)", "connection reset"],
        "id": "00000000-0000-0000-0000-000000000007",
        "fingerprint": error.fingerprint().to_string(),
    });
    assert_eq!(to_value(&error).unwrap(), written);
}

#[test]
fn an_error_comes_back_as_it_was() {
    let error = full();
    let back: Error = from_str(&to_string(&error).unwrap()).unwrap();
    assert_eq!(back.class(), error.class());
    assert_eq!(back.location(), error.location());
    assert!(back.context().eq(error.context()));
    assert!(back.operations().eq(error.operations()));
    assert_eq!(back.fingerprint(), error.fingerprint());
    assert_eq!(back.not_before(), error.not_before());
    assert_eq!(back.id(), error.id());
    assert_eq!(back.to_string(), error.to_string());
    assert_eq!(back.secret("api_key"), None);
    assert_eq!(to_value(&back).unwrap(), to_value(&error).unwrap());
    assert!(back.record_once(), "nobody recorded it before");

    let again: Error = from_str(&to_string(&back).unwrap()).unwrap();
    assert!(!again.record_once(), "the mark is written too");
}

#[test]
fn a_later_kind_becomes_other_and_keeps_its_name() {
    let later: Error = from_str(r#"{"kind": "quantum", "message": "x"}"#).unwrap();
    assert_eq!(later.class(), Class::of(Kind::Other));
    assert_eq!(later.original_kind(), Some("quantum"));
    assert_eq!(later.to_string(), "x (quantum)");
    assert_eq!(to_value(&later).unwrap()["kind"], json!("quantum"));

    let text = r#"{"kind": "quantum", "transience": "transient", "effect": "not_applied"}"#;
    let later: Error = from_str(text).unwrap();
    let stated = Class::of(Kind::Other).with_transience(Transience::Transient);
    assert_eq!(later.class(), stated.with_effect(Effect::NotApplied));

    let known: Error = from_str(r#"{"kind": "timeout", "colour": [{"of": "magic"}]}"#).unwrap();
    assert_eq!((known.class(), known.original_kind()), (Class::of(Kind::Timeout), None));
    assert_eq!(known.location().file, "");
}

#[test]
fn what_is_too_long_is_cut_and_marked_when_it_is_read() {
    let context: serde_json::Map<_, _> =
        (0..1_000).map(|n| (format!("key {n}"), json!("v".repeat(10_000)))).collect();
    let flood = json!({
        "kind": "k".repeat(10_000), "message": "m".repeat(1 << 20), "context": context,
        "operations": (0..1_000).map(|n| format!("op {n}")).collect::<Vec<_>>(),
        "causes": vec!["c".repeat(10_000); 1_000], "location": "f".repeat(10_000),
    });
    let error: Error = from_value(flood).unwrap();
    assert!(error.message().ends_with("mmm...[cut]"));
    assert_eq!(error.message().len(), Error::MESSAGE_BYTES_MAX);
    assert!(error.original_kind().unwrap().ends_with("kkk...[cut]"));
    assert_eq!(error.context().count(), Error::CONTEXT_MAX);
    assert_eq!(error.left_out(), 984 + 984);
    assert_eq!(error.operations().last(), Some("op 999"), "the innermost is kept");

    let written = to_value(&error).unwrap();
    let causes = written["causes"].as_array().unwrap();
    assert_eq!(causes.len(), Error::CAUSES_MAX + 1);
    assert_eq!(causes.last(), Some(&json!("... more causes left out")));
    assert!(written.to_string().len() < 20_000);
    assert_eq!(to_value(from_value::<Error>(written.clone()).unwrap()).unwrap(), written);
}

#[test]
fn what_is_no_error_is_refused_and_says_why() {
    for (text, why) in [
        ("{}", "missing field `kind`"),
        (r#"{"kind": 7}"#, "invalid type"),
        (r#"{"kind": "timeout", "effect": "perhaps"}"#, "`perhaps` is no effect"),
        (r#"{"kind": "timeout", "component": "two words"}"#, "`two words` is no component"),
        (r#"{"kind": "timeout", "context": {"a": [1]}}"#, "a text, a number or a boolean"),
        (r#"{"kind": "timeout", "id": "7"}"#, "invalid length"),
        (r#"{"kind": "timeout", "retry_after_ms": -1}"#, "invalid value"),
    ] {
        let refused = from_str::<Error>(text).unwrap_err().to_string();
        assert!(refused.contains(why), "{text}: {refused}");
    }
    assert!(from_slice::<Error>(b"{\"kind\": \"timeout\", \"message\": \"\xff\"}").is_err());
}

#[test]
fn numbers_in_a_context_are_read_as_their_text() {
    let text = r#"{"kind": "data", "context": {"a": -1, "b": 2, "c": 1.5, "d": true}}"#;
    let error: Error = from_str(text).unwrap();
    let values: Vec<_> = error.context().map(|(_, value)| value).collect();
    assert_eq!(values, ["-1", "2", "1.5", "true"]);
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("\\PC{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
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

    #[test]
    fn any_map_is_an_error_or_refused_and_what_is_written_reads_back(
        kind in "[a-z_]{0,70}|timeout|data",
        fields in proptest::collection::vec(
            (
                proptest::sample::select(vec![
                    "transience", "effect", "retry_after_ms", "severity_floor", "breaker_refusal",
                    "not_before_ms", "message", "component", "operations", "context", "location",
                    "causes", "left_out", "id", "recorded", "fingerprint", "unheard_of",
                ]),
                json_values(),
            ),
            0..3,
        ),
    ) {
        let mut map = json!({ "kind": kind });
        for (key, value) in fields {
            map[key] = value;
        }
        if let Ok(error) = from_value::<Error>(map) {
            let written = to_value(&error).unwrap();
            let back: Error = from_value(written.clone()).unwrap();
            prop_assert_eq!(to_value(&back).unwrap(), written);
            prop_assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
    }
}
