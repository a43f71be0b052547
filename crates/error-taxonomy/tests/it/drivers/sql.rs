use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind as IoKind};

use backstop_error_taxonomy::drivers::Database;
use backstop_error_taxonomy::{Class, Classifier, Classify, Effect, Kind, Transience};
use sqlx::Error;
use sqlx::error::{DatabaseError, ErrorKind};

/// What a driver makes of the answer of its database.
#[derive(Debug)]
struct Answer(Option<&'static str>);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadlock detected")
    }
}

impl StdError for Answer {}

impl DatabaseError for Answer {
    fn message(&self) -> &'static str {
        "deadlock detected"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.0.map(Cow::Borrowed)
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn answered(code: &'static str) -> Class {
    Error::Database(Box::new(Answer(Some(code)))).class()
}

#[test]
fn the_database_decides_by_its_code() {
    assert_eq!(answered("40001"), Class::of(Kind::Conflict));
    let unique = Class::of(Kind::Conflict).with_transience(Transience::Permanent);
    assert_eq!(answered("23505"), unique);
    // SQLite's driver has the extended result code as a decimal number.
    assert_eq!(answered("2067"), unique);
    assert_eq!(answered("5"), Class::of(Kind::Conflict));
    assert_eq!(answered("08006").effect(), Effect::Unknown);
    assert_eq!(answered("?"), Class::of(Kind::Other));
    let silent = Error::Database(Box::new(Answer(None)));
    assert_eq!(silent.class(), Class::of(Kind::Other), "its words do not count");
}

#[test]
fn the_client_tells_what_was_sent() {
    assert_eq!(Error::PoolTimedOut.class(), Database::PoolTimedOut.class());
    assert_eq!(Error::PoolClosed.class(), Database::PoolClosed.class());
    assert_eq!(Error::RowNotFound.class(), Class::of(Kind::NotFound));
    assert_eq!(Error::WorkerCrashed.class(), Class::of(Kind::Internal));
    assert_eq!(Error::ColumnNotFound("size".into()).class(), Class::of(Kind::Internal));
    assert_eq!(Error::Protocol("?".into()).class().effect(), Effect::Unknown);
    assert_eq!(Error::BeginFailed.class().effect(), Effect::NotApplied);
    assert_eq!(Error::Encode("?".into()).class(), Class::of(Kind::Invalid));
    assert_eq!(Error::Tls("?".into()).class(), Database::Tls.class());
    assert_eq!(Error::Decode("?".into()).class(), Database::Decode.class());
    assert_eq!(Error::Configuration("?".into()).class(), Class::of(Kind::Config));
}

#[test]
fn an_io_error_keeps_its_class() {
    for kind in [IoKind::ConnectionRefused, IoKind::ConnectionReset, IoKind::TimedOut] {
        let error = Error::Io(io::Error::from(kind));
        assert_eq!(error.class(), io::Error::from(kind).class());
        assert_eq!(Classifier::standard().classify(&error), error.class());
    }
    let any = Error::AnyDriverError(Box::new(io::Error::from(IoKind::ConnectionRefused)));
    assert_eq!(any.class().effect(), Effect::NotApplied);
}
