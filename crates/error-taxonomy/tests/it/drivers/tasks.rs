use std::future::pending;
use std::time::Duration;

use backstop_error_taxonomy::{Class, Classifier, Classify, Kind};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_timeout_leaves_the_outcome_open() {
    let elapsed = runtime()
        .block_on(async { tokio::time::timeout(Duration::ZERO, pending::<()>()).await })
        .unwrap_err();
    assert_eq!(elapsed.class(), Class::of(Kind::Timeout));
    assert_eq!(Classifier::standard().classify(&elapsed), elapsed.class());
}

#[test]
fn a_panic_is_not_a_cancellation() {
    let runtime = runtime();
    let panicked = runtime.block_on(runtime.spawn(async { panic!("task cancelled") })).unwrap_err();
    assert_eq!(panicked.class(), Class::of(Kind::Internal));

    let task = runtime.spawn(pending::<()>());
    task.abort();
    let cancelled = runtime.block_on(task).unwrap_err();
    assert_eq!(cancelled.class(), Class::of(Kind::Cancelled));
    assert_eq!(Classifier::standard().classify(&cancelled), cancelled.class());
}
