use std::time::Duration;

use backstop_error_taxonomy::{
    Action, Class, Classify, Component, Effect, Kind, Severity, Transience,
};

/// The table of defaults, written a second time so that a slip in the code shows.
const DEFAULTS: &str = "
invalid             permanent not_applied medium   propagate  -
auth                permanent not_applied high     escalate   -
not_found           permanent not_applied low      propagate  -
conflict            transient not_applied medium   retry      -
precondition        permanent not_applied medium   propagate  -
insufficient_funds  permanent not_applied high     propagate  -
rejected            permanent not_applied medium   propagate  -
rate_limited        transient not_applied medium   retry      counts
timeout             transient unknown     high     retry      counts
connection          transient unknown     high     retry      counts
unavailable         transient unknown     high     retry      counts
data                permanent not_applied medium   isolate    -
inconsistent        permanent unknown     critical compensate -
calculation         permanent not_applied medium   fallback   -
config              permanent not_applied high     escalate   -
cancelled           permanent unknown     info     propagate  -
unsupported         permanent not_applied low      propagate  -
internal            permanent unknown     high     escalate   counts
other               permanent unknown     medium   escalate   -";

#[test]
fn every_kind_has_the_defaults_of_the_table() {
    let mut seen = Vec::new();
    for line in DEFAULTS.lines().skip(1) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let kind: Kind = cells[0].parse().unwrap();
        let class = Class::of(kind);
        assert_eq!(class.transience().as_str(), cells[1], "{kind}");
        assert_eq!(class.effect().as_str(), cells[2], "{kind}");
        assert_eq!(class.severity().as_str(), cells[3], "{kind}");
        assert_eq!(kind.default_action().as_str(), cells[4], "{kind}");
        assert_eq!(class.counts_for_breaker(), cells[5] == "counts", "{kind}");
        seen.push(kind);
    }
    assert_eq!(seen, Kind::ALL);
}

#[test]
fn names_read_back_as_what_they_were() {
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
    }
    for action in Action::ALL {
        assert_eq!(action.as_str().parse(), Ok(*action));
    }
    for component in Component::ALL {
        assert_eq!(component.as_str().parse(), Ok(*component));
    }
    assert_eq!("not_applied".parse(), Ok(Effect::NotApplied));
    assert_eq!("exhausted".parse(), Ok(Transience::Exhausted));
    assert_eq!("critical".parse(), Ok(Severity::Critical));
}

#[test]
fn a_component_of_ones_own_is_read_without_being_known() {
    const HEDGER: Component = Component::new("hedger-2.EU");
    assert_eq!("hedger-2.EU".parse(), Ok(HEDGER));
    assert_eq!(HEDGER.to_string(), "hedger-2.EU");
    assert_eq!(format!("{HEDGER:?}"), "Component(\"hedger-2.EU\")");

    let longest = "x".repeat(Component::BYTES_MAX);
    assert_eq!(longest.parse::<Component>().unwrap().as_str(), longest);
    for wrong in ["", &format!("{longest}x"), "two words", "a\n", "preis\u{e4}nderung", "a\0"] {
        let refused = wrong.parse::<Component>().unwrap_err();
        assert_eq!((refused.axis(), refused.value()), ("component", wrong));
    }
}

#[test]
fn components_are_ordered_like_their_names() {
    let names = ["a", "a-b", "a.b", "a0", "ab", "abc", "b", "data", "database"];
    let read = |name: &&str| name.parse::<Component>().unwrap();
    let components: Vec<Component> = names.iter().map(read).collect();
    for (n, left) in names.iter().enumerate() {
        for (m, right) in names.iter().enumerate() {
            assert_eq!(components[n].cmp(&components[m]), left.cmp(right), "{left} {right}");
        }
    }
}

#[test]
#[should_panic = "a component has 1 to 31"]
fn a_literal_that_is_no_component_is_refused() {
    let _refused = Component::new("two words");
}

#[test]
fn a_refused_name_is_reported_and_bounded() {
    let refused = "Timeout".parse::<Kind>().unwrap_err();
    assert_eq!((refused.axis(), refused.value()), ("kind", "Timeout"));
    assert_eq!(refused.class().kind(), Kind::Invalid);

    let long = "x".repeat(10_000).parse::<Effect>().unwrap_err();
    assert_eq!(long.value().len(), 64);
}

#[test]
fn severities_are_ordered() {
    assert!(Severity::ALL.is_sorted());
    assert_eq!(Severity::ALL.last(), Some(&Severity::Critical));
}

#[test]
fn no_policy_goes_below_the_floor() {
    for kind in Kind::ALL {
        for floor in Severity::ALL {
            let class = Class::of(*kind).with_severity_floor(*floor);
            assert_eq!(class.severity_floor(), *floor);
            assert_eq!(class.severity(), kind.default_severity().max(*floor));
            for chosen in Severity::ALL {
                assert_eq!(class.severity_within(*chosen), *chosen.max(floor));
                let twice = class.with_severity_floor(*chosen);
                assert_eq!(twice.severity_floor(), *chosen.max(floor), "no later floor is lower");
            }
        }
    }
}

/// What each kind answers with, and what each code is read as; `-` where no kind answers so.
const GRPC: &str = "
1  cancelled                                         cancelled
2  other                                             other
3  invalid                                           invalid
4  timeout                                           timeout
5  not_found                                         not_found
6  -                                                 conflict
7  -                                                 auth
8  rate_limited                                      rate_limited
9  precondition,insufficient_funds,rejected,config   precondition
10 conflict                                          conflict
11 -                                                 invalid
12 unsupported                                       unsupported
13 internal,inconsistent,calculation                 internal
14 unavailable,connection                            unavailable
15 data                                              data
16 auth                                              auth";

#[test]
fn kinds_and_grpc_codes_are_those_of_the_table() {
    let mut answered = 0;
    for line in GRPC.lines().skip(1) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let code = cells[0].parse().unwrap();
        assert_eq!(Kind::of_grpc(code), Some(cells[2].parse().unwrap()), "{code}");
        for kind in cells[1].split(',').filter(|cell| *cell != "-") {
            assert_eq!(kind.parse::<Kind>().unwrap().grpc_code(), code, "{kind}");
            answered += 1;
        }
    }
    assert_eq!(answered, Kind::ALL.len(), "every kind has a code");
    assert_eq!(Kind::of_grpc(0), None);
    for code in [-1, 17, i32::MIN, i32::MAX] {
        assert_eq!(Kind::of_grpc(code), Some(Kind::Other));
    }
}

#[test]
fn opentelemetry_has_its_words() {
    assert_eq!(Kind::Timeout.error_type(), "timeout");
    assert_eq!(Kind::Other.error_type(), "_OTHER");
    let numbers = Severity::ALL.iter().map(|severity| severity.otel_number());
    assert_eq!(numbers.collect::<Vec<_>>(), [9, 9, 13, 17, 21]);
}

#[test]
fn a_retry_hint_rounds_up_and_never_vanishes() {
    let hint = |delay| Class::of(Kind::RateLimited).with_retry_after(delay).retry_after();
    assert_eq!(Class::of(Kind::RateLimited).retry_after(), None);
    assert_eq!(hint(Duration::ZERO), Some(Duration::ZERO));
    assert_eq!(hint(Duration::from_micros(1)), Some(Duration::from_millis(1)));
    assert_eq!(hint(Duration::from_millis(1_500)), Some(Duration::from_millis(1_500)));
    assert!(hint(Duration::MAX).is_some());
}

#[test]
fn a_refusal_by_a_breaker_was_never_sent_and_never_counts() {
    let refusal = Class::of(Kind::Unavailable).refused_by_breaker();
    assert!(refusal.is_breaker_refusal());
    assert_eq!(refusal.effect(), Effect::NotApplied);
    assert!(!refusal.counts_for_breaker());
}

#[test]
fn only_what_was_transient_can_be_exhausted() {
    assert_eq!(Class::of(Kind::Timeout).exhausted().transience(), Transience::Exhausted);
    assert_eq!(Class::of(Kind::Auth).exhausted(), Class::of(Kind::Auth));
}
