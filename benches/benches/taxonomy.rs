//! What an error costs: when nothing fails, when something does, and on the way to a decision.
//!
//! Measured in processor time of the thread, because nothing here waits: what other programs take
//! from the machine in between is not ours.

use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Context as _;
use backstop_clock::Timestamp;
use backstop_error_taxonomy::facts::Key;
use backstop_error_taxonomy::policy::{Draft, Rule};
use backstop_error_taxonomy::tally::Tally;
use backstop_error_taxonomy::thresholds::EventCounts;
use backstop_error_taxonomy::{
    Action, AlertAfter, Class, Classifier, Classify, Component, Context as _, Error, Kind, Policy,
    Site,
};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use error_stack::ResultExt as _;
use rustix::time::{ClockId, clock_gettime};

type Criterion = criterion::Criterion<ThreadTime>;

fn main() {
    let criterion = criterion::Criterion::default().with_measurement(ThreadTime);
    let mut criterion = criterion.configure_from_args();
    success(&mut criterion);
    create(&mut criterion);
    classify(&mut criterion);
    decide(&mut criterion);
    failure_path(&mut criterion);
    overhead(&mut criterion);
    criterion.final_summary();
}

/// Four frames deep and back without a failure, with context at each frame and without.
fn success(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("taxonomy_success");
    group.bench_function("bare", |bencher| bencher.iter(|| bare::rebalance(black_box(7))));
    group.bench_function("backstop", |bencher| bencher.iter(|| told::rebalance(black_box(7))));
    group.bench_function("anyhow", |bencher| bencher.iter(|| flat::rebalance(black_box(7))));
    group.finish();
}

/// An error with a source and two facts, and away with it.
fn create(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("taxonomy_create");
    let source = || io::Error::from(ErrorKind::ConnectionReset);
    let (symbol, order) = (black_box("EURUSD"), black_box(1_234_567_u64));
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            Error::caused_by(source(), "order not confirmed")
                .with(Key::SYMBOL, symbol)
                .with(Key::ORDER, order)
        });
    });
    group.bench_function("backstop_on_result", |bencher| {
        bencher.iter(|| {
            let result: Result<(), _> = Err(source());
            result
                .op("submit_order")
                .component(Component::EXECUTION)
                .with(Key::SYMBOL, symbol)
                .with(Key::ORDER, order)
        });
    });
    group.bench_function("thiserror", |bencher| {
        bencher.iter(|| Typed { symbol: symbol.to_owned(), order, source: source() });
    });
    group.bench_function("anyhow", |bencher| {
        bencher.iter(|| {
            anyhow::Error::new(source())
                .context(format!("symbol {symbol}"))
                .context(format!("order {order}"))
        });
    });
    group.bench_function("error_stack", |bencher| {
        bencher.iter(|| {
            let result: Result<(), _> = Err(source());
            result.attach_with(|| format!("symbol {symbol}")).attach(order)
        });
    });
    group.bench_function("snafu", |bencher| {
        bencher.iter(|| {
            let result: Result<(), _> = Err(source());
            snafu::ResultExt::context(result, UnconfirmedSnafu { symbol, order })
        });
    });
    group.finish();
}

/// The class of an error of which nothing is known but that it is one.
fn classify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("taxonomy_classify");
    let standard = Classifier::standard();
    let registered = Classifier::standard().register::<Known>();
    let chain = Layer(Box::new(Layer(Box::new(io::Error::from(ErrorKind::ConnectionReset)))));
    group.bench_function("chain_of_3", |bencher| {
        bencher.iter(|| standard.classify(black_box(&chain)));
    });
    let chain = Layer(Box::new(Layer(Box::new(chain))));
    group.bench_function("chain_of_5", |bencher| {
        bencher.iter(|| standard.classify(black_box(&chain)));
    });
    let chain = Layer(Box::new(Layer(Box::new(Known))));
    group.bench_function("chain_of_3_registered", |bencher| {
        bencher.iter(|| registered.classify(black_box(&chain)));
    });
    group.finish();
}

/// What to do, by a policy of fifty rules of every form.
fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("taxonomy_decide_50_rules");
    let policy = policy();
    let cases = [
        ("component_kind_op", Kind::Timeout, Component::EXECUTION, "submit_order"),
        ("kind", Kind::Conflict, Component::PORTFOLIO, "rebalance"),
        ("default_rule", Kind::Data, Component::LOGGING, "rotate"),
    ];
    for (name, kind, component, op) in cases {
        let (class, site) = (Class::of(kind), Site::new(component, op));
        assert!(policy.decide(class, &site).rule.is_some(), "{name} has a rule");
        group.bench_function(name, |bencher| {
            bencher.iter(|| policy.decide(black_box(class), black_box(&site)));
        });
    }
    group.finish();
}

/// Fifty rules: the default, kinds, components, and pairs of them with and without an operation.
fn policy() -> Policy {
    let mut rules = vec![Rule::new("default").act(Action::Propagate)];
    for kind in &Kind::ALL[..15] {
        rules.push(Rule::new(format!("{kind}")).on_kind(*kind).act(Action::Propagate));
    }
    for component in &Component::ALL[..10] {
        let rule = Rule::new(format!("in {component}")).on_component(*component);
        rules.push(rule.act(Action::Escalate));
    }
    for kind in [Kind::Timeout, Kind::Conflict] {
        for component in &Component::ALL[..12] {
            let id = format!("{kind} in {component}");
            let rule = Rule::new(id).on_kind(kind).on_component(*component);
            // Every second one is for one operation only.
            let of_one = rules.len() % 2 == 0;
            rules.push(if of_one { rule.on_op("submit_order") } else { rule }.act(Action::Retry));
        }
    }
    assert_eq!(rules.len(), 50);
    let draft = rules.into_iter().fold(Draft::new("bench"), Draft::with_rule);
    draft.build().expect("the rules are valid")
}

/// From the failed call to a failure that is classified, decided on and recorded.
fn failure_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("taxonomy_failure_path");
    let policy = policy();
    let classifier = Classifier::standard();
    let site = Site::new(Component::EXECUTION, "submit_order");
    let (symbol, order) = (black_box("EURUSD"), black_box(1_234_567_u64));
    let after = AlertAfter { count: NonZeroU32::MAX, window: Duration::from_mins(5) };
    let mut counts = EventCounts::default();
    let mut tally = Tally::new(Duration::from_mins(5));
    let mut nth = 0;
    group.bench_function("backstop", |bencher| {
        bencher.iter(|| {
            // A million failures a second: most of them share a millisecond with others.
            nth += 1;
            let now = Timestamp::from_millis(nth / 1_000);
            let result: Result<(), _> = Err(io::Error::from(ErrorKind::ConnectionReset));
            let error = result
                .op("submit_order")
                .component(Component::EXECUTION)
                .with(Key::SYMBOL, symbol)
                .with(Key::ORDER, order)
                .expect_err("it failed");
            let class = classifier.classify(&error);
            let decision = policy.decide(class, black_box(&site));
            let counted = error.record_once().then(|| {
                tally.failed(class.kind(), site.component, now);
                counts.count(site.component, after, now)
            });
            (decision.action, counted)
        });
    });
    group.finish();
}

/// An error of somebody else that only carries another one.
#[derive(Debug, thiserror::Error)]
#[error("layer")]
struct Layer(#[source] Box<dyn std::error::Error + Send + Sync>);

/// An error of the bot, which it registers.
#[derive(Debug, thiserror::Error)]
#[error("market closed")]
struct Known;

impl Classify for Known {
    fn class(&self) -> Class {
        Class::of(Kind::Precondition)
    }
}

/// A hundred operations of ten microseconds, of which one fails.
fn overhead(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("taxonomy_100_operations_1_failure");
    let policy = policy();
    let site = Site::new(Component::EXECUTION, "submit_order");
    group.bench_function("bare", |bencher| {
        bencher.iter(|| (0..100).filter(|nth| operation(black_box(*nth)).is_ok()).count());
    });
    group.bench_function("backstop", |bencher| {
        let run = |nth: &u64| {
            let told = operation(black_box(*nth))
                .op("submit_order")
                .component(Component::EXECUTION)
                .with(Key::ORDER, *nth);
            let Err(error) = told else { return true };
            black_box(policy.decide(error.class(), &site));
            !error.record_once()
        };
        bencher.iter(|| (0..100).filter(run).count());
    });
    group.finish();
}

/// Some arithmetic that takes about ten microseconds; the last of a hundred fails.
#[inline(never)]
fn operation(nth: u64) -> Result<u64, io::Error> {
    let work = (0..9_000).fold(nth, |hash: u64, n| (hash ^ n).wrapping_mul(0x0100_0000_01b3));
    if nth == 99 { Err(io::Error::from(ErrorKind::ConnectionReset)) } else { Ok(work) }
}

/// The error of a library that knows both facts when it is compiled.
#[derive(Debug, thiserror::Error)]
#[error("order {order} for {symbol} not confirmed")]
struct Typed {
    symbol: String,
    order: u64,
    source: io::Error,
}

#[derive(Debug, snafu::Snafu)]
#[snafu(display("order {order} for {symbol} not confirmed"))]
struct Unconfirmed {
    symbol: String,
    order: u64,
    source: io::Error,
}

/// The time for which the processor worked for this thread.
struct ThreadTime;

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(now).expect("the time of a thread starts at zero")
    }

    fn end(&self, i: Duration) -> Duration {
        self.start().saturating_sub(i)
    }

    fn add(&self, v1: &Duration, v2: &Duration) -> Duration {
        *v1 + *v2
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Four functions, each of which calls the next one and does something with the answer.
macro_rules! frames {
    ($name:ident, $Error:ty, $failure:expr $(, $method:ident)?) => {
        mod $name {
            use super::*;

            #[inline(never)]
            pub(super) fn rebalance(n: u64) -> Result<u64, $Error> {
                Ok(trade(n + 1) $(.$method("rebalance"))? ? ^ 1)
            }

            #[inline(never)]
            fn trade(n: u64) -> Result<u64, $Error> {
                Ok(submit(n + 1) $(.$method("trade"))? ? ^ 2)
            }

            #[inline(never)]
            fn submit(n: u64) -> Result<u64, $Error> {
                Ok(send(n + 1) $(.$method("submit"))? ? ^ 3)
            }

            #[inline(never)]
            fn send(n: u64) -> Result<u64, $Error> {
                Ok(answer(n) $(.$method("send"))? ? ^ 4)
            }

            #[inline(never)]
            fn answer(n: u64) -> Result<u64, $Error> {
                if n == u64::MAX { Err($failure) } else { Ok(n * 3) }
            }
        }
    };
}

frames!(bare, Error, Error::new(Kind::Timeout, "no answer"));
frames!(told, Error, Error::new(Kind::Timeout, "no answer"), op);
frames!(flat, anyhow::Error, anyhow::anyhow!("no answer"), context);
