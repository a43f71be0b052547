use std::error::Error as _;
use std::fmt;
use std::io::{self, ErrorKind};

use backstop_error_taxonomy::{Class, Classify, Component, Context, Error, Kind};

fn refused() -> Result<u32, io::Error> {
    Err(io::Error::from(ErrorKind::ConnectionRefused))
}

#[test]
fn a_foreign_error_becomes_ours_and_stays_the_source() {
    let line = line!() + 1;
    let error = refused().op("connect").component(Component::NETWORK).with("port", 80).unwrap_err();
    assert_eq!(error.class(), io::Error::from(ErrorKind::ConnectionRefused).class());
    assert_eq!(error.to_string(), "connect: connection refused (connection)");
    assert_eq!(error.component(), Some(Component::NETWORK));
    assert_eq!(error.value("port"), Some("80"));
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
    assert!(source.source().is_none());
    assert!(error.location().file.ends_with("context.rs"));
    assert_eq!(error.location().line, line);
}

#[test]
fn each_method_may_come_first_and_remembers_its_caller() {
    let by_component = refused().component(Component::DATA).unwrap_err();
    let by_value = refused().with("k", "v").unwrap_err();
    assert_eq!(by_component.location().line + 1, by_value.location().line);
    assert!(by_value.location().file.ends_with("context.rs"));
}

#[test]
fn our_error_is_extended_and_not_wrapped() {
    fn inner() -> Result<(), Error> {
        Err(Error::new(Kind::Timeout, "no answer").with_op("post"))
    }
    let before = inner().unwrap_err();
    let error = inner().op("submit_order").with("symbol", "EURUSD").unwrap_err();
    assert!(error.source().is_none());
    assert_eq!(error.to_string(), "submit_order: post: no answer (timeout)");
    assert_eq!(error.location(), before.location());
}

#[test]
fn a_success_formats_nothing() {
    struct Bomb;

    impl fmt::Display for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted on success")
        }
    }

    let value: Result<u32, io::Error> = Ok(7);
    let value = value.op("read").component(Component::DATA).with("bomb", Bomb);
    assert_eq!(value.unwrap(), 7);
}

#[test]
fn a_boxed_class_travels_too() {
    #[derive(Debug, thiserror::Error)]
    #[error("halted")]
    struct Halted;

    impl Classify for Halted {
        fn class(&self) -> Class {
            Class::of(Kind::Rejected).with_retry_after(std::time::Duration::from_mins(1))
        }
    }

    let result: Result<(), Halted> = Err(Halted);
    let error = result.op("submit_order").unwrap_err();
    assert_eq!(error.class(), Halted.class());
}
