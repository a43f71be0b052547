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
