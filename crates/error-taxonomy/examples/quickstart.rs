//! An order whose answer is lost, told on its way up, and what to do about it and its like.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::io::{self, ErrorKind};

use backstop_error_taxonomy::facts::Key;
use backstop_error_taxonomy::{
    Class, Classify, Component, Context, Error, Kind, Site, codes, decide,
};

/// The order leaves, and the connection breaks before the answer comes.
fn post(_order: &str) -> Result<(), io::Error> {
    Err(io::Error::from(ErrorKind::ConnectionReset))
}

fn submit(order: &str) -> Result<(), Error> {
    post(order).op("submit_order").component(Component::EXECUTION).with(Key::ORDER, order)
}

fn rebalance() -> Result<(), Error> {
    submit("o-17").op("rebalance").with(Key::STRATEGY, "mean_reversion")
}

fn main() {
    let submitting = Site::new(Component::EXECUTION, "submit_order");
    let reading = Site::new(Component::DATA, "fetch_candles").idempotent();

    if let Err(error) = rebalance() {
        println!("{error:?}");
        println!("  what to do: {}", decide(error.class(), &submitting).action);
        println!("  group by:   {}\n", error.fingerprint());
    }

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
        let order = decide(class, &submitting).action;
        let candles = decide(class, &reading).action;
        println!("{name:<20} {:<12} {order:<12} {candles:<12}", class.effect());
    }
}
