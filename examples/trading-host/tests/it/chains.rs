//! Errors of the program, which are anyhow's, keep their class through any context.

use std::io::{self, ErrorKind};

use anyhow::{Context, anyhow};
use backstop_error_taxonomy::{Class, Classifier, Component, Effect, Kind, Stated, Transience};
use trading_host::venue::VenueError;

fn classifier() -> Classifier {
    Classifier::standard().register::<VenueError>()
}

#[test]
fn context_is_looked_through() {
    let refused = Err::<(), _>(io::Error::from(ErrorKind::ConnectionRefused));
    let error = refused.context("timeout").context("deadlock").unwrap_err();
    let class = classifier().classify(error.as_ref());
    assert_eq!(class, Class::of(Kind::Connection).with_effect(Effect::NotApplied));
}

#[test]
fn the_venues_own_error_decides() {
    let error = anyhow!(VenueError::Reset).context("submit");
    assert_eq!(classifier().classify(error.as_ref()), Class::of(Kind::Connection));
    let error = anyhow!(Stated::permanent(VenueError::Reset)).context("submit");
    assert_eq!(classifier().classify(error.as_ref()).transience(), Transience::Permanent);
}

#[test]
fn words_alone_have_the_default_of_their_component() {
    let error = anyhow!("connection timed out");
    let classifier = classifier().with_default(Component::DATA, Transience::Transient);
    assert_eq!(classifier.classify(error.as_ref()), Class::of(Kind::Other));
    let class = classifier.classify_at(error.as_ref(), Component::DATA);
    assert_eq!((class.kind(), class.transience()), (Kind::Other, Transience::Transient));
}
