//! Retrying while the message waits, and panics.

use std::{sync::Arc, time::Duration};

use backstop_clock::Clock;
use backstop_dlq::{Consumer, DeadLetterStore, Message, Reason, Replay, Step};
use backstop_error_taxonomy::{
    Action, Class, Component, Effect, Kind, Transience,
    policy::{Draft, Rule},
};

use crate::support::{
    Answers, Failed, Script, clock, committed, drain, letters, message, on_each_store,
};

fn d_03_retries_what_may_pass(store: &(impl DeadLetterStore + Clone)) {
    let clock = clock();
    let (mut left, mut times) = (2, Vec::new());
    let handler = Answers::new(|_: &Message| {
        times.push(clock.elapsed());
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        Err(Failed::of(Kind::Timeout))
    });
    let source = Script::of([message(0, "A")]);
    let mut consumer = Consumer::new(source, handler, store.clone(), clock.clone());
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Handled]);
    assert_eq!(letters(consumer.store()), []);
    assert_eq!(committed(consumer.store()), Some(1));
    drop(consumer);
    assert_eq!(times, [0, 100, 300].map(Duration::from_millis));
}

fn d_04_gives_up_after_the_last_attempt(store: &(impl DeadLetterStore + Clone)) {
    let handler = Answers::new(|_| Err(Failed::of(Kind::Timeout)));
    let source = Script::of([message(0, "A")]);
    let mut consumer = Consumer::new(source, handler, store.clone(), clock());
    drain(&mut consumer).unwrap();
    assert_eq!(consumer.handler_mut().calls.len(), 3);
    let found = letters(consumer.store());
    assert_eq!(found[0].reason(), Reason::AttemptsExhausted);
    let history: Vec<_> = found[0].attempts().iter().collect();
    assert_eq!(history.len(), 3);
    assert!(history.windows(2).all(|pair| pair[0].at < pair[1].at));
    assert!(history.iter().all(|attempt| attempt.class == Class::of(Kind::Timeout)));
    assert!(history.iter().all(|attempt| attempt.text == "failed with timeout"));
}

fn reason_of(class: Class, store: &(impl DeadLetterStore + Clone)) -> (Reason, usize) {
    let handler = Answers::new(|_| Err(Failed(class)));
    let mut consumer =
        Consumer::new(Script::of([message(0, "A")]), handler, store.clone(), clock());
    drain(&mut consumer).unwrap();
    (letters(consumer.store())[0].reason(), consumer.handler_mut().calls.len())
}

fn what_nobody_classified_is_not_retried(store: &(impl DeadLetterStore + Clone)) {
    assert_eq!(reason_of(Class::of(Kind::Other), store), (Reason::Unclassified, 1));
}

fn what_took_effect_is_not_done_again(store: &(impl DeadLetterStore + Clone)) {
    let applied = Class::of(Kind::Timeout).with_effect(Effect::Applied);
    assert_eq!(reason_of(applied, store), (Reason::Fatal, 1));
}

fn spent_retries_are_not_started_over(store: &(impl DeadLetterStore + Clone)) {
    let spent = Class::of(Kind::Timeout).exhausted();
    assert_eq!(reason_of(spent, store), (Reason::AttemptsExhausted, 1));
}

fn a_wait_beyond_the_budget_ends_the_attempts(store: &(impl DeadLetterStore + Clone)) {
    let limited = Class::of(Kind::RateLimited).with_retry_after(Duration::from_secs(11));
    assert_eq!(reason_of(limited, store), (Reason::DeadlineExceeded, 1));
}

fn a_handler_that_asks_for_a_wait_gets_it(store: &(impl DeadLetterStore + Clone)) {
    let clock = clock();
    let began = clock.instant();
    let limited = Class::of(Kind::RateLimited).with_retry_after(Duration::from_secs(4));
    let handler = Answers::new(|_| Err(Failed(limited)));
    let mut consumer =
        Consumer::new(Script::of([message(0, "A")]), handler, store.clone(), clock.clone());
    drain(&mut consumer).unwrap();
    assert_eq!(clock.instant() - began, Duration::from_secs(8));
}

fn what_somebody_called_permanent_is_classified(store: &(impl DeadLetterStore + Clone)) {
    let judged = Class::of(Kind::Other).with_transience(Transience::Permanent);
    assert_eq!(reason_of(judged, store), (Reason::Fatal, 1));
}

fn a_policy_decides_what_is_tried_again_and_how(store: &(impl DeadLetterStore + Clone)) {
    let rule = Rule::new("patient")
        .on_component(Component::new("dlq"))
        .on_op("handle")
        .on_kind(Kind::Conflict)
        .act(Action::Retry)
        .with_max_attempts(5)
        .with_delay(Duration::from_millis(30));
    let draft = Draft::new("test").extending("stream_messages").with_rule(rule);
    let policy = Arc::new(draft.build().unwrap());
    let clock = clock();
    let mut times = Vec::new();
    let handler = Answers::new(|message: &Message| {
        times.push(clock.elapsed());
        // The profile calls what nobody classified transient.
        Err(Failed::of(if message.position == 0 { Kind::Conflict } else { Kind::Other }))
    });
    let source = Script::of([message(0, "A"), message(1, "B")]);
    let consumer = Consumer::new(source, handler, store.clone(), clock.clone());
    let mut consumer = consumer.with_policy(Arc::clone(&policy));
    drain(&mut consumer).unwrap();
    let found = letters(consumer.store());
    drop(consumer);
    let expected = [0, 30, 60, 90, 120, 120, 220, 420].map(Duration::from_millis);
    assert_eq!(times, expected, "five by the rule, three by the schedule");
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|letter| letter.reason() == Reason::AttemptsExhausted));

    let mut again = Answers::new(|_: &Message| Err(Failed::of(Kind::Conflict)));
    let replay = Replay::of([found[0].id()]).with_policy(policy);
    pollster::block_on(replay.run(&mut again, store, &clock)).unwrap();
    assert_eq!(again.calls.len(), 5);
}

fn d_18_a_panic_is_a_failed_attempt(store: &(impl DeadLetterStore + Clone)) {
    let handler = Answers::new(|message: &Message| {
        assert!(message.partition != 1, "division by zero lots");
        Ok(())
    });
    let source = Script::of([
        message(0, "A").with_partition(1),
        message(0, "A").with_partition(2),
        message(1, "B").with_partition(1),
    ]);
    let mut consumer = Consumer::new(source, handler, store.clone(), clock());
    let steps = drain(&mut consumer).unwrap();
    assert!(matches!(steps[..], [Step::Lettered(_), Step::Handled, Step::Lettered(_)]));
    let found = letters(consumer.store());
    assert_eq!(found[0].reason(), Reason::Fatal);
    let attempt = found[0].attempts().last().unwrap();
    assert_eq!(attempt.class.kind(), Kind::Internal);
    assert_eq!(attempt.text, "panicked: division by zero lots");
}

on_each_store!(
    d_03_retries_what_may_pass,
    d_04_gives_up_after_the_last_attempt,
    what_nobody_classified_is_not_retried,
    what_took_effect_is_not_done_again,
    spent_retries_are_not_started_over,
    a_wait_beyond_the_budget_ends_the_attempts,
    a_handler_that_asks_for_a_wait_gets_it,
    what_somebody_called_permanent_is_classified,
    a_policy_decides_what_is_tried_again_and_how,
    d_18_a_panic_is_a_failed_attempt,
);
