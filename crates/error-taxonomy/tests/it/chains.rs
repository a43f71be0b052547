//! What the classifier finds behind layers.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use backstop_error_taxonomy::{
    Class, Classifier, Classify, Component, Effect, Error, Kind, Stated, Transience,
};

type Boxed = Box<dyn StdError + Send + Sync>;

/// A layer that nobody registers.
#[derive(Debug)]
struct Layer(Boxed);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Words that a matcher of messages would fall for.
        f.write_str("timeout: connection refused, rate limit, deadlock")
    }
}

impl StdError for Layer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

#[derive(Debug)]
struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permission denied")
    }
}

impl StdError for Unknown {}

fn layered(mut error: Boxed, layers: usize) -> Boxed {
    for _ in 0..layers {
        error = Box::new(Layer(error));
    }
    error
}

const DLQ: Component = Component::new("dlq");

#[test]
fn opaque_layers_are_skipped() {
    let error = layered(Box::new(io::Error::from(ErrorKind::TimedOut)), 3);
    assert_eq!(Classifier::standard().classify(&*error), Class::of(Kind::Timeout));
}

#[test]
fn the_outermost_class_decides() {
    let inner = io::Error::from(ErrorKind::ConnectionReset);
    let outer = Error::caused_by(inner, "books differ").with_class(Class::of(Kind::Inconsistent));
    let error = layered(Box::new(outer), 1);
    assert_eq!(Classifier::standard().classify(&*error).kind(), Kind::Inconsistent);
}

#[test]
fn a_permanent_mark_is_final() {
    let refused = || io::Error::from(ErrorKind::ConnectionRefused);
    let class = Classifier::standard().classify(&Stated::permanent(refused()));
    let expected = Class::of(Kind::Connection)
        .with_effect(Effect::NotApplied)
        .with_transience(Transience::Permanent);
    assert_eq!(class, expected);
    let marked_within = Stated::permanent(layered(Box::new(Stated::transient(refused())), 2));
    assert_eq!(Classifier::standard().classify(&marked_within), expected);
    let ours = Stated::permanent(Error::new(Kind::Timeout, "late"));
    assert_eq!(Classifier::standard().classify(&ours).transience(), Transience::Permanent);
}

#[test]
fn a_transient_mark_does_not_change_the_effect() {
    let panic = Error::new(Kind::Internal, "half done");
    let class = Stated::transient(panic).class();
    assert_eq!((class.transience(), class.effect()), (Transience::Transient, Effect::Unknown));
    assert!(!class.may_retry(false));
}

#[test]
fn a_mark_inside_a_class_says_nothing() {
    let inner = Stated::permanent(io::Error::from(ErrorKind::TimedOut));
    let outer = Error::caused_by(inner, "late").with_class(Class::of(Kind::Timeout));
    assert_eq!(Classifier::standard().classify(&outer), Class::of(Kind::Timeout));
}

#[test]
fn what_nobody_knows_has_the_default_of_its_component() {
    let classifier = Classifier::standard().with_default(DLQ, Transience::Transient);
    assert_eq!(classifier.classify(&Unknown), Class::of(Kind::Other));
    assert_eq!(classifier.classify_at(&Unknown, Component::API), Class::of(Kind::Other));
    let there = classifier.classify_at(&Unknown, DLQ);
    assert_eq!(there, Class::of(Kind::Other).with_transience(Transience::Transient));
    // What is known is not touched by a default.
    let missing = io::Error::from(ErrorKind::NotFound);
    assert_eq!(classifier.classify_at(&missing, DLQ), Class::of(Kind::NotFound));
    // Nor is what somebody stated.
    let stated = Stated::permanent(Unknown);
    assert_eq!(classifier.classify_at(&stated, DLQ).transience(), Transience::Permanent);
    let spent = Error::new(Kind::Other, "?").with_transience(Transience::Exhausted);
    assert_eq!(classifier.classify_at(&spent, DLQ).transience(), Transience::Exhausted);
    // The last declaration counts.
    let classifier = classifier.with_default(DLQ, Transience::Permanent);
    assert_eq!(classifier.classify_at(&Unknown, DLQ).transience(), Transience::Permanent);
}

#[test]
fn io_errors_that_only_carry_are_looked_into() {
    let carried = io::Error::other(io::Error::other(Error::new(Kind::RateLimited, "slow down")));
    assert_eq!(Classifier::standard().classify(&carried).kind(), Kind::RateLimited);
    assert_eq!(carried.class().kind(), Kind::RateLimited);
    let worded = io::Error::new(ErrorKind::ConnectionReset, Error::new(Kind::Auth, "?"));
    assert_eq!(Classifier::standard().classify(&worded).kind(), Kind::Connection);
    assert_eq!(io::Error::other("?").class(), Class::of(Kind::Other));
}

/// An order that may have been placed, after a try that certainly was not.
fn unconfirmed() -> Error {
    let refused = io::Error::from(ErrorKind::ConnectionRefused);
    Error::caused_by(refused, "second try not confirmed").with_class(Class::of(Kind::Timeout))
}

#[test]
fn what_an_arc_or_a_box_holds_is_not_passed_over() {
    let expected = Class::of(Kind::Timeout);
    let held: [Boxed; 3] = [
        Box::new(Arc::new(unconfirmed())),
        Box::new(Box::new(unconfirmed())),
        Box::new(Arc::new(io::Error::new(ErrorKind::TimedOut, unconfirmed()))),
    ];
    for error in held {
        assert_eq!(Classifier::standard().classify(&*error), expected, "{error:?}");
        let within = layered(error, 2);
        assert_eq!(Classifier::standard().classify(&*within), expected);
    }
    let stated = || Stated::permanent(unconfirmed());
    let stated: [Boxed; 2] = [Box::new(Arc::new(stated())), Box::new(Box::new(stated()))];
    for error in stated {
        let class = Classifier::standard().classify(&*error);
        assert_eq!(class, expected.with_transience(Transience::Permanent), "{error:?}");
    }
    // What was registered for what is inside still comes first.
    let corrected = Classifier::standard().register_with(|_: &Error| Some(Class::of(Kind::Config)));
    assert_eq!(corrected.classify(&Arc::new(unconfirmed())).kind(), Kind::Config);
}

#[test]
fn a_shared_error_has_the_class_of_what_is_shared() {
    assert_eq!(Arc::new(unconfirmed()).class(), Class::of(Kind::Timeout));
    let registered = Classifier::standard().register::<Arc<std::num::ParseIntError>>();
    let shared = Arc::new("x".parse::<u8>().unwrap_err());
    assert_eq!(registered.classify(&shared).kind(), Kind::Invalid);
    assert_eq!(Classifier::standard().classify(&shared), Class::of(Kind::Other));
}

#[test]
fn registered_types_come_before_the_built_in_ones() {
    let classifier = Classifier::standard()
        .register_with(|_: &io::Error| Some(Class::of(Kind::Data)))
        .register_with(|error: &io::Error| {
            (error.kind() == ErrorKind::TimedOut).then_some(Class::of(Kind::Config))
        });
    // The latest is asked first, and one that passes leaves the answer to the others.
    let timed_out = io::Error::from(ErrorKind::TimedOut);
    assert_eq!(classifier.classify(&timed_out).kind(), Kind::Config);
    let reset = io::Error::from(ErrorKind::ConnectionReset);
    assert_eq!(classifier.classify(&reset).kind(), Kind::Data);
}

#[test]
fn boxed_errors_classify_themselves() {
    let sync: Boxed = Box::new(io::Error::from(ErrorKind::TimedOut));
    assert_eq!(sync.class(), Class::of(Kind::Timeout));
    let plain: Box<dyn StdError> = "x".parse::<u8>().unwrap_err().into();
    assert_eq!(plain.class(), Class::of(Kind::Invalid));
    let send: Box<dyn StdError + Send> = Box::new(Unknown);
    assert_eq!(send.class(), Class::of(Kind::Other));
    let worded: Boxed = "deadline exceeded".into();
    assert_eq!(worded.class(), Class::of(Kind::Other), "words say nothing");
}

#[test]
fn chains_are_followed_to_a_limit() {
    let depth = Classifier::DEPTH_MAX;
    let timed_out = || Box::new(io::Error::from(ErrorKind::TimedOut));
    let last = layered(timed_out(), depth - 1);
    assert_eq!(Classifier::standard().classify(&*last).kind(), Kind::Timeout);
    let beyond = layered(timed_out(), depth);
    assert_eq!(Classifier::standard().classify(&*beyond), Class::of(Kind::Other));
}

#[test]
fn a_chain_that_leads_back_to_itself_ends() {
    #[derive(Debug)]
    struct Snake;
    impl fmt::Display for Snake {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl StdError for Snake {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(self)
        }
    }
    assert_eq!(Classifier::standard().classify(&Snake), Class::of(Kind::Other));
    assert_eq!(Stated::transient(Snake).class().transience(), Transience::Transient);
}
