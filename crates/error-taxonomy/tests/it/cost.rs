use std::hint::black_box;
use std::io::{self, ErrorKind};

use allocation_counter::measure;
use backstop_error_taxonomy::facts::Key;
use backstop_error_taxonomy::{Class, Classify, Component, Context, Error, Site, decide};

fn send(n: u64) -> Result<u64, io::Error> {
    if n == u64::MAX { Err(io::Error::from(ErrorKind::ConnectionReset)) } else { Ok(n) }
}

fn post(n: u64) -> Result<u64, Error> {
    send(black_box(n)).op("post").component(Component::NETWORK)
}

fn submit(n: u64) -> Result<u64, Error> {
    Ok(post(n).op("submit").with(Key::SYMBOL, black_box("EURUSD"))? + 1)
}

fn rebalance(n: u64) -> Result<u64, Error> {
    Ok(submit(n).op("rebalance").with("of", n)? + 1)
}

#[test]
fn a_success_allocates_nothing() {
    let counted = measure(|| {
        for n in 0..1_000_000 {
            assert!(black_box(rebalance(n)).is_ok());
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_failure_allocates_itself_its_source_and_its_values() {
    let counted = measure(|| {
        let error = Error::caused_by(io::Error::from(ErrorKind::TimedOut), "no answer")
            .with_op("submit")
            .with_component(Component::EXECUTION)
            .with(Key::SYMBOL, "EURUSD")
            .with(Key::ORDER, 1_234_567);
        assert_eq!(error.left_out(), 0);
    });
    assert_eq!(counted.count_total, 3);
    assert!(counted.bytes_max < 512, "{} bytes", counted.bytes_max);
    assert_eq!(counted.count_current, 0, "all of it is given back");
}

#[test]
fn a_decision_and_a_record_allocate_nothing() {
    let error = rebalance(u64::MAX).unwrap_err();
    let site = Site::new(Component::EXECUTION, "submit");
    let counted = measure(|| {
        black_box(decide(error.class(), &site));
        assert!(error.record_once());
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_class_fits_into_two_registers_and_an_error_into_one() {
    assert!(size_of::<Class>() <= 16);
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}
