use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::facts::{Fingerprint, Key};
use backstop_error_taxonomy::{Class, Classify, Component, Effect, Error, Kind, Transience};
use uuid::Uuid;

#[test]
fn the_place_is_the_callers() {
    let error = Error::new(Kind::Other, "x");
    assert!(error.location().file.ends_with("errors.rs"));
    let caused = Error::caused_by(io::Error::from(ErrorKind::TimedOut), "x");
    assert!(caused.location().file.ends_with("errors.rs"));
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
fn foreign_text_cannot_turn_a_line_around() {
    let error = Error::new(Kind::Data, "a\u{202e}b\u{2028}c");
    assert_eq!(error.to_string(), "a\\u{202e}b\\u{2028}c (data)");
    let error = Error::new(Kind::Data, "a\u{200f}b\u{61c}c");
    assert_eq!(error.to_string(), "a\\u{200f}b\\u{61c}c (data)");
}

#[test]
fn context_and_operations_are_bounded() {
    let keys: Vec<&'static str> = (0..1_000).map(|n| &*format!("key {n}").leak()).collect();
    let mut error = Error::new(Kind::Data, "flood");
    for key in keys {
        error = error.with(key, "y".repeat(10_000)).with_op("again");
    }
    assert_eq!(error.context().count(), Error::CONTEXT_MAX);
    assert_eq!(error.operations().count(), Error::OPERATIONS_MAX);
    for (_, value) in error.context() {
        assert_eq!(value.len(), Error::VALUE_BYTES_MAX);
        assert!(value.ends_with("yyy...[cut]"), "{value}");
    }
    assert_eq!(error.left_out(), 2 * 984);
    assert!(format!("{error:?}").contains("... 1968 more left out"));
}

#[test]
fn texts_are_cut_between_characters_and_marked() {
    for (size, mark) in [(Error::MESSAGE_BYTES_MAX, false), (1 << 20, true)] {
        let error = Error::new(Kind::Data, "\u{e4}".repeat(size / 2));
        assert!(error.message().len() <= Error::MESSAGE_BYTES_MAX);
        assert_eq!(error.message().ends_with("\u{e4}...[cut]"), mark);
    }
    let long = &*"k".repeat(100).leak();
    let error = Error::new(Kind::Data, "x").with(long, 1).with_op(long);
    let (key, _) = error.context().next().unwrap();
    assert_eq!(key.as_str().len(), Error::NAME_BYTES_MAX);
    assert!(key.as_str().ends_with("k...[cut]"));
    assert_eq!(error.operations().next(), Some(key.as_str()));
}

#[test]
fn a_value_is_not_formatted_beyond_its_limit() {
    struct Endless<'a>(&'a Cell<u32>);

    impl fmt::Display for Endless<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                self.0.set(self.0.get() + 1);
                f.write_str("on and on ")?;
            }
        }
    }

    let pieces = Cell::new(0);
    let error = Error::new(Kind::Data, "x").with("endless", Endless(&pieces));
    assert!(error.value("endless").unwrap().ends_with("...[cut]"));
    assert!(pieces.get() < 30, "{}", pieces.get());
}

#[test]
fn a_value_whose_display_fails_is_marked() {
    struct Broken;

    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }

    let error = Error::new(Kind::Data, "x").with("broken", Broken);
    assert_eq!(error.value("broken"), Some("half...[cut]"));
}

#[test]
fn the_inner_layer_keeps_its_value() {
    let error = Error::new(Kind::Rejected, "no")
        .with(Key::SYMBOL, "EURUSD")
        .with("symbol", "EURUSD")
        .with(Key::SYMBOL, "GBPUSD")
        .with(Key::ORDER, 7);
    let pairs: Vec<_> = error.context().map(|(key, value)| (key.as_str(), value)).collect();
    assert_eq!(pairs, [("symbol", "EURUSD"), ("order_id", "7")]);
    assert_eq!(error.left_out(), 1, "the other symbol");
}

#[test]
fn secrets_are_stored_and_never_shown() {
    let mut error = Error::new(Kind::Auth, "signature refused")
        .with_secret("api_key", "hunter2")
        .with_secret("passphrase", "correct horse".to_owned());
    let shown = format!("{error} {error:?} {error:#?}");
    assert!(!shown.contains("hunter2") && !shown.contains("horse"), "{shown}");
    assert!(shown.contains("api_key: [secret]"), "{shown}");
    assert_eq!(error.secret("api_key"), Some("hunter2"));
    assert_eq!(error.secret("passphrase"), Some("correct horse"));
    assert_eq!(error.value("api_key"), None);

    error = error.with_secret("long", "x".repeat(Error::SECRET_BYTES_MAX + 1));
    assert_eq!((error.secret("long"), error.left_out()), (None, 1));
    for _ in 0..20 {
        error = error.with_secret("more", "x");
    }
    assert_eq!(error.left_out(), 1 + 20 - 6);
}

/// An error that is its own cause.
#[derive(Debug)]
struct Ouroboros;

impl fmt::Display for Ouroboros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&"eats itself\n".repeat(1_000))
    }
}

impl StdError for Ouroboros {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self)
    }
}

impl Classify for Ouroboros {
    fn class(&self) -> Class {
        Class::of(Kind::Internal)
    }
}

#[test]
fn an_endless_chain_is_told_to_a_limit() {
    let error = Error::caused_by(Ouroboros, "loop");
    let story = format!("{error:?}");
    assert_eq!(story.matches("caused by: eats itself\\n").count(), Error::CAUSES_MAX);
    assert!(story.ends_with("\n  ... more causes left out"), "{story}");
    assert!(story.len() < 20_000);
    assert!(error.record_once());
    assert!(Error::from_source(Ouroboros).to_string().len() < 2_000);
}

#[test]
fn an_outer_error_takes_over_what_belongs_to_the_failure() {
    let opening = Timestamp::from_millis(1_000);
    let inner = Error::new(Kind::Precondition, "market closed")
        .with_component(Component::EXECUTION)
        .with_transience(Transience::Transient)
        .with_retry_after(Duration::from_secs(3))
        .with_not_before(opening)
        .with("symbol", "EURUSD");
    let class = inner.class();
    let outer = Error::caused_by(inner, "order refused").with_component(Component::STRATEGY);
    assert_eq!(outer.class(), class);
    assert_eq!(outer.component(), Some(Component::EXECUTION));
    assert_eq!(outer.not_before(), Some(opening));
    let story = format!("{outer:?}");
    for part in ["retry after 3s", "not before: 1000ms", "    symbol: EURUSD"] {
        assert!(story.contains(part), "`{part}` is missing in:\n{story}");
    }
}

#[test]
fn a_failure_is_recorded_once_whoever_wraps_it() {
    let error = Error::new(Kind::Timeout, "no answer");
    assert!(!error.is_recorded());
    assert!(error.record_once());
    assert!(!error.record_once());
    let error = Error::caused_by(error, "outer").with_op("submit_order");
    assert!(error.is_recorded() && !error.record_once());

    let error = Error::new(Kind::Timeout, "no answer");
    let wrapped = Error::caused_by(error, "outer");
    assert!(wrapped.record_once());
    let inner = wrapped.source().unwrap().downcast_ref::<Error>().unwrap();
    assert!(inner.is_recorded(), "the layer below keeps the mark when it is taken out");

    let retried = Error::new(Kind::Timeout, "no answer");
    retried.mark_handled();
    assert!(!retried.record_once());
}

#[test]
fn the_mark_is_seen_through_foreign_and_shared_errors() {
    #[derive(Debug, thiserror::Error)]
    #[error("feed stopped")]
    struct Stopped(#[source] Error);

    impl Classify for Stopped {
        fn class(&self) -> Class {
            self.0.class()
        }
    }

    let inner = Error::new(Kind::Connection, "reset");
    assert!(inner.record_once());
    assert!(!Error::caused_by(Stopped(inner), "no data").record_once());

    let shared = Arc::new(Error::new(Kind::Connection, "reset"));
    let (one, two) = (Sharing(Arc::clone(&shared)), Sharing(shared));
    let (one, two) = (Error::caused_by(one, "first waiter"), Error::caused_by(two, "second"));
    assert!(one.record_once());
    assert!(two.is_recorded() && !two.record_once(), "both waited for the same call");
}

/// One of several that got the same error.
#[derive(Debug, thiserror::Error)]
#[error("shared")]
struct Sharing(#[source] Arc<Error>);

impl Classify for Sharing {
    fn class(&self) -> Class {
        self.0.class()
    }
}

#[test]
fn of_many_threads_one_records() {
    let shared = Arc::new(Error::new(Kind::Connection, "reset"));
    let first = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let wrapped = Error::caused_by(Sharing(Arc::clone(&shared)), "waiter");
                scope.spawn(move || wrapped.record_once())
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).filter(|yes| *yes).count()
    });
    assert_eq!(first, 1);
}

#[test]
fn an_id_is_given_or_made_once() {
    let error = Error::new(Kind::Other, "x");
    let id = error.id();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(error.id(), id);
    assert_ne!(Error::new(Kind::Other, "x").id(), id);
    assert!(format!("{error:?}").contains(&format!("id: {id}")));

    let given = Uuid::from_u128(7);
    assert_eq!(Error::new(Kind::Other, "x").with_id(given).id(), given);
    assert_eq!(error.with_id(given).id(), id, "an id is not changed");
}

#[test]
fn a_fingerprint_is_of_the_place_and_never_of_the_text() {
    let raise = |kind, text: &'static str| Error::new(kind, text);
    let print = |error: Error| error.fingerprint();
    let plain = print(raise(Kind::Timeout, "a"));
    assert_eq!(print(raise(Kind::Timeout, "b").with("symbol", "EURUSD")), plain);
    assert_eq!(print(raise(Kind::Timeout, "a").with_effect(Effect::NotApplied)), plain);
    assert_ne!(print(raise(Kind::Auth, "a")), plain);
    assert_ne!(print(raise(Kind::Timeout, "a").with_component(Component::DATA)), plain);
    assert_ne!(print(Error::new(Kind::Timeout, "a")), plain, "another line");

    let submit = print(raise(Kind::Timeout, "a").with_op("submit"));
    assert_ne!(submit, plain);
    assert_eq!(print(raise(Kind::Timeout, "a").with_op("submit").with_op("rebalance")), submit);
}

#[test]
fn fingerprints_read_back_and_nothing_else_does() {
    let print = Error::new(Kind::Timeout, "a").fingerprint();
    let text = print.to_string();
    assert_eq!(text.len(), 19);
    assert_eq!(text.parse(), Ok(print));
    for wrong in ["", "v1-", "v2-0123456789abcdef", "v1-0123456789abcde", "v1-+123456789abcdef"] {
        let refused = wrong.parse::<Fingerprint>().unwrap_err();
        assert_eq!((refused.axis(), refused.value()), ("fingerprint", wrong));
    }
}

#[test]
fn no_stack_is_captured_unless_it_is_asked_for() {
    // The tests of this crate are run with and without RUST_BACKTRACE; neither may change it.
    let error = Error::new(Kind::Internal, "x");
    assert!(!format!("{error:?}").contains("stack:"));
    #[cfg(feature = "backtrace")]
    {
        assert!(error.backtrace().is_none());
        let error = error.with_backtrace();
        let stack = error.backtrace().unwrap();
        assert_eq!(stack.status(), std::backtrace::BacktraceStatus::Captured);
        assert!(format!("{error:?}").contains("no_stack_is_captured_unless_it_is_asked_for"));
    }
}

#[test]
fn it_is_as_small_as_a_pointer_and_can_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}
