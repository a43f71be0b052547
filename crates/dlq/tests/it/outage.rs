//! Crashes and stores that fail.

use std::{
    pin::pin,
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

use backstop_dlq::{
    Consumer, ConsumerError, DeadLetterStore, LetterId, Message, Step, store::Guarantee,
};
use backstop_error_taxonomy::{Classify, Kind};
use pollster::block_on;

use crate::support::{
    Answers, Failed, Flaky, Script, clock, committed, dead, drain, letters, message, on_each_store,
};

fn d_07_a_letter_that_was_put_is_not_handled_again(store: &(impl DeadLetterStore + Clone)) {
    // The process died here: put, and not committed.
    block_on(store.put(&dead(message(0, "A")))).unwrap();
    let source = Script::of([message(0, "A"), message(1, "B")]);
    let mut consumer = Consumer::new(source, Answers::new(|_| Ok(())), store.clone(), clock());
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Skipped, Step::Handled]);
    assert_eq!(consumer.handler_mut().positions(), [1]);
    assert_eq!(letters(consumer.store()).len(), 1);
    assert_eq!(committed(consumer.store()), Some(2));
}

fn what_was_settled_before_is_skipped(store: &(impl DeadLetterStore + Clone)) {
    let first = Script::of([message(3, "A"), message(4, "A")]);
    let mut consumer = Consumer::new(first, Answers::new(|_| Ok(())), store.clone(), clock());
    drain(&mut consumer).unwrap();
    drop(consumer);
    // The source begins again, and earlier; nothing of it may be handled twice.
    let again = Script::of((0..=5).map(|position| message(position, "A")));
    let mut consumer = Consumer::new(again, Answers::new(|_| Ok(())), store.clone(), clock());
    let steps = drain(&mut consumer).unwrap();
    assert_eq!(steps[..5], [Step::Skipped; 5]);
    assert_eq!(consumer.handler_mut().positions(), [5]);
}

on_each_store!(d_07_a_letter_that_was_put_is_not_handled_again, what_was_settled_before_is_skipped,);

#[test]
fn d_08_nothing_is_lost_or_doubled_while_the_store_is_down() {
    let (store, clock) = (Flaky::new(), clock());
    assert_eq!(store.guarantee(), Guarantee::AtLeastOnceDeduped);
    let down = Rc::clone(&store.down);
    let handler = Answers::new(|message: &Message| {
        // The store fails between the handler's call and the put.
        down.set(message.position == 1 && clock.elapsed() < Duration::from_secs(5));
        Err(Failed::of(Kind::Invalid))
    });
    let source = Script::of((0..3).map(|position| message(position, "")));
    let config = backstop_dlq::config::Config::default()
        .with_followers(backstop_dlq::config::Followers::Pass);
    let mut consumer =
        Consumer::new(source, handler, store.clone(), clock.clone()).with_config(config);

    let id = |position| LetterId::of("orders", 0, position);
    assert_eq!(block_on(consumer.step()).unwrap(), Step::Lettered(id(0)));
    while clock.elapsed() < Duration::from_secs(5) {
        let error = block_on(consumer.step()).unwrap_err();
        assert!(matches!(&error, ConsumerError::Store(_)));
        assert_eq!(error.class().kind(), Kind::Unavailable);
        assert_eq!(committed(&store.store), Some(1));
        clock.advance(Duration::from_secs(1));
    }
    store.down.set(false);
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Lettered(id(1)), Step::Lettered(id(2))]);
    assert_eq!(consumer.handler_mut().positions(), [0, 1, 2], "each verdict was kept");
    let found: Vec<_> = letters(&store).iter().map(backstop_dlq::Letter::id).collect();
    assert_eq!(found, [id(0), id(1), id(2)]);
}

#[test]
fn a_success_is_not_handled_again_when_its_commit_fails() {
    let store = Flaky::new();
    let down = Rc::clone(&store.down);
    let handler = Answers::new(|_: &Message| {
        down.set(true);
        Ok(())
    });
    let mut consumer =
        Consumer::new(Script::of([message(0, "A")]), handler, store.clone(), clock());
    assert!(block_on(consumer.step()).is_err());
    assert_eq!(committed(&store.store), None);
    store.down.set(false);
    assert_eq!(block_on(consumer.step()).unwrap(), Step::Handled);
    assert_eq!(consumer.handler_mut().calls.len(), 1);
    assert_eq!(committed(&store.store), Some(1));
}

#[test]
fn a_dropped_step_loses_nothing() {
    let handler = Answers::new(|_| Err(Failed::of(Kind::Timeout)));
    let mut consumer = Consumer::new(Script::of([message(0, "A")]), handler, Flaky::new(), clock());
    {
        let mut step = pin!(consumer.step());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(step.as_mut().poll(&mut cx).is_pending(), "it sleeps before the second attempt");
    }
    let id = LetterId::of("orders", 0, 0);
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Lettered(id)]);
}
