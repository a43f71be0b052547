//! Classifies a few failures of an order and of a read, and prints what to do about each.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::io::{self, ErrorKind};

use backstop_error_taxonomy::{Class, Classify, Component, Kind, Site, codes, decide};

fn main() {
    let submit = Site::new(Component::EXECUTION, "submit_order");
    let read = Site::new(Component::DATA, "fetch_candles").idempotent();

    let failures = [
        ("connection refused", io::Error::from(ErrorKind::ConnectionRefused).class()),
        ("connection reset", io::Error::from(ErrorKind::ConnectionReset).class()),
        ("http 429", codes::http(429, None)),
        ("http 503", codes::http(503, None)),
        ("no answer", Class::of(Kind::Timeout)),
        ("no funds", Class::of(Kind::InsufficientFunds)),
    ];
    println!("{:<20} {:<12} {:<12} {:<12}", "failure", "effect", "order", "read");
    for (name, class) in failures {
        let order = decide(class, &submit).action;
        let candles = decide(class, &read).action;
        println!("{name:<20} {:<12} {order:<12} {candles:<12}", class.effect());
    }
}
