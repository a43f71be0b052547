//! When everything fails, the store is not filled with it.

use std::{cell::Cell, num::NonZeroU32};

use backstop_dlq::{
    Consumer, ConsumerError, DeadLetterStore, Message, Step,
    config::{Config, Followers},
};
use backstop_error_taxonomy::Kind;
use pollster::block_on;

use crate::support::{
    Answers, Failed, Script, clock, committed, drain, fails_if, letters, message, on_each_store,
};

fn d_19_a_flood_stops_before_the_next_letter(store: &(impl DeadLetterStore + Clone)) {
    let broken = Cell::new(true);
    let handler = Answers::new(|_: &Message| fails_if(broken.get()));
    let source = Script::of((0..100).map(|position| message(position, &position.to_string())));
    let mut consumer = Consumer::new(source, handler, store.clone(), clock());

    let flood = drain(&mut consumer).unwrap_err();
    assert!(matches!(flood, ConsumerError::Flood { in_a_row: 20 }));
    assert!(block_on(consumer.step()).is_err(), "it stays until the cause is gone");
    assert_eq!(letters(consumer.store()).len(), 20);
    assert_eq!(committed(consumer.store()), Some(20));

    broken.set(false);
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Handled; 80]);
    assert_eq!(letters(consumer.store()).len(), 20);
}

fn a_person_can_let_more_letters_through(store: &(impl DeadLetterStore + Clone)) {
    let handler = Answers::new(|_: &Message| Err(Failed::of(Kind::Invalid)));
    let source = Script::of((0..4).map(|position| message(position, "A")));
    let config = Config::default()
        .with_followers(Followers::Pass)
        .with_letters_in_a_row_max(NonZeroU32::new(2).unwrap());
    let mut consumer = Consumer::new(source, handler, store.clone(), clock()).with_config(config);
    assert!(drain(&mut consumer).is_err());
    consumer.end_flood();
    assert_eq!(drain(&mut consumer).unwrap().len(), 2);
    assert_eq!(letters(consumer.store()).len(), 4);
}

fn letters_that_are_not_in_a_row_are_no_flood(store: &(impl DeadLetterStore + Clone)) {
    let handler = Answers::new(|message: &Message| fails_if(message.position.is_multiple_of(2)));
    let source = Script::of((0..10).map(|position| message(position, &position.to_string())));
    let config = Config::default().with_letters_in_a_row_max(NonZeroU32::MIN);
    let mut consumer = Consumer::new(source, handler, store.clone(), clock()).with_config(config);
    assert_eq!(drain(&mut consumer).unwrap().len(), 10);
    assert_eq!(letters(consumer.store()).len(), 5);
}

on_each_store!(
    d_19_a_flood_stops_before_the_next_letter,
    a_person_can_let_more_letters_through,
    letters_that_are_not_in_a_row_are_no_flood,
);
