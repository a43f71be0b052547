use std::io::{self, ErrorKind, Read};

use backstop_error_taxonomy::drivers::{Json, JsonMode};
use backstop_error_taxonomy::{Class, Classifier, Classify, Kind, Transience};
use serde_json::{Value, from_reader, from_str};

/// A connection that breaks in the middle of a message.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn unreadable_text_is_data() {
    for text in ["{", "{]", "", "\u{feff}1"] {
        let error = from_str::<Value>(text).unwrap_err();
        assert_eq!(error.class(), Class::of(Kind::Data), "{text:?}");
    }
    let error = from_str::<u8>("\"timeout\"").unwrap_err();
    assert_eq!(error.class(), Class::of(Kind::Data));
    assert_eq!(Classifier::standard().classify(&error), error.class());
}

#[test]
fn a_broken_connection_is_no_matter_of_json() {
    let error = from_reader::<_, Value>(Broken).unwrap_err();
    assert_eq!(error.class(), Class::of(Kind::Connection));
}

#[test]
fn the_end_of_a_stream_may_pass() {
    let early = Json::Eof.class(JsonMode::Stream);
    assert_eq!((early.kind(), early.transience()), (Kind::Data, Transience::Transient));
    assert_eq!(Json::Syntax.class(JsonMode::Stream), Class::of(Kind::Data));
}
