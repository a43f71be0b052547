use std::error::Error as _;
use std::io::{self, ErrorKind};

use backstop_error_taxonomy::{Class, Classify, Component, Effect, Error, Kind};

#[test]
fn the_place_is_the_callers() {
    let error = Error::new(Kind::Other, "x");
    assert!(error.location().file().ends_with("errors.rs"));
    let caused = Error::caused_by(io::Error::from(ErrorKind::TimedOut), "x");
    assert!(caused.location().file().ends_with("errors.rs"));
}

#[test]
fn an_outer_layer_adds_its_operation_and_keeps_the_inner_component() {
    let error = Error::new(Kind::Timeout, "no answer")
        .with_op("post")
        .with_component(Component::NETWORK)
        .with_op("submit_order")
        .with_component(Component::EXECUTION);
    assert_eq!(error.operations().collect::<Vec<_>>(), ["submit_order", "post"]);
    assert_eq!(error.component(), Some(Component::NETWORK));
    assert_eq!(error.to_string(), "submit_order: post: no answer (timeout)");
}

#[test]
fn a_cause_gives_its_class_and_stays_reachable() {
    let error = Error::caused_by(io::Error::from(ErrorKind::ConnectionReset), "venue went away");
    assert_eq!(error.class(), Class::of(Kind::Connection));
    assert!(error.source().unwrap().downcast_ref::<io::Error>().is_some());

    let known = error.with_effect(Effect::NotApplied);
    assert_eq!(known.class().effect(), Effect::NotApplied);
}

#[test]
fn debug_tells_the_whole_story() {
    let inner = Error::caused_by(io::Error::from(ErrorKind::ConnectionReset), "socket");
    let story = format!(
        "{:?}",
        Error::caused_by(inner, "order not confirmed")
            .with_component(Component::EXECUTION)
            .with("order", "o-1")
    );
    for part in [
        "order not confirmed (connection)",
        "class: transient, effect unknown, severity high",
        "component: execution",
        "order: o-1",
        "at: ",
        "errors.rs:",
        "caused by: socket (connection)",
        "caused by: connection reset",
    ] {
        assert!(story.contains(part), "`{part}` is missing in:\n{story}");
    }
}

#[test]
fn foreign_text_cannot_forge_a_line() {
    let error = Error::new(Kind::Data, "bad\nERROR all is lost".to_owned()).with("raw", "a\r\nb");
    assert_eq!(error.to_string(), "bad\\nERROR all is lost (data)");
    assert!(format!("{error:?}").contains("raw: a\\r\\nb"));
}

#[test]
fn context_and_operations_are_bounded() {
    let mut error = Error::new(Kind::Data, "flood");
    for n in 0..1_000 {
        error = error.with("n", n).with_op("again").with("long", "y".repeat(10_000));
    }
    assert_eq!(error.context().count(), Error::CONTEXT_MAX);
    assert_eq!(error.operations().count(), Error::OPERATIONS_MAX);
    assert!(error.context().all(|(_, value)| value.len() <= Error::VALUE_CHARS_MAX));
    assert!(format!("{error:?}").contains("2968 more left out"));
}

#[test]
fn it_is_as_small_as_a_pointer_and_can_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}
