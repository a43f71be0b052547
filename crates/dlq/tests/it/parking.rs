//! Messages wait behind an open letter of their key.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use backstop_dlq::{
    Consumer, DeadLetterStore, LetterId, MemoryStore, Message, Reason, Replay, State, Step,
    config::{Config, Followers},
};
use backstop_error_taxonomy::Kind;
use pollster::block_on;
#[cfg(feature = "sqlite")]
use proptest::prelude::ProptestConfig;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use crate::support::{
    Answers, Failed, Script, clock, committed, drain, fails_if, letters, message, on_each_store,
};

fn d_09_followers_wait_and_are_handled_in_order(store: &(impl DeadLetterStore + Clone)) {
    let broken = RefCell::new(BTreeSet::from([0]));
    let handler =
        Answers::new(|message: &Message| fails_if(broken.borrow().contains(&message.position)));
    let source = Script::of([message(0, "A"), message(1, "A"), message(2, "B"), message(3, "A")]);
    let clock = clock();
    let mut consumer = Consumer::new(source, handler, store.clone(), clock.clone());
    let id = |position| LetterId::of("orders", 0, position);
    assert_eq!(
        drain(&mut consumer).unwrap(),
        [Step::Lettered(id(0)), Step::Parked(id(1)), Step::Handled, Step::Parked(id(3))]
    );
    assert_eq!(consumer.handler_mut().positions(), [0, 2]);
    assert_eq!(committed(consumer.store()), Some(4));
    let found = letters(consumer.store());
    assert_eq!(found[1].reason(), Reason::ParkedBehind(id(0)));
    assert_eq!((found[2].state(), found[2].attempts().count()), (State::Parked, 0));

    broken.borrow_mut().clear();
    let mut handler = Answers::new(|_: &Message| Ok(()));
    let replay = Replay::of([id(0)]);
    let report = block_on(replay.run(&mut handler, consumer.store(), &clock)).unwrap();
    assert_eq!(report.resolved, [id(0), id(1), id(3)]);
    assert_eq!(handler.positions(), [0, 1, 3]);
    assert_eq!(block_on(consumer.store().stats()).unwrap().open(), 0);
}

fn a_follower_that_fails_is_the_next_head(store: &(impl DeadLetterStore + Clone)) {
    let broken = Answers::new(|_: &Message| Err(Failed::of(Kind::Invalid)));
    let clock = clock();
    let source = Script::of((0..3).map(|position| message(position, "A")));
    let mut consumer = Consumer::new(source, broken, store.clone(), clock.clone());
    drain(&mut consumer).unwrap();

    let mut handler = Answers::new(|message: &Message| match message.position {
        1 => Err(Failed::of(Kind::Invalid)),
        _ => Ok(()),
    });
    let id = |position| LetterId::of("orders", 0, position);
    let all = Replay::everything();
    let report = block_on(all.run(&mut handler, consumer.store(), &clock)).unwrap();
    assert_eq!(report.resolved, [id(0)]);
    assert_eq!(report.failed, [id(1)]);
    assert_eq!(report.skipped, [id(2)], "it may not overtake");
    let found = letters(consumer.store());
    assert_eq!((found[1].state(), found[1].reason()), (State::Dead, Reason::Fatal));
    assert_eq!(found[1].replays(), 0, "its first handling is no replay");
    assert_eq!(found[2].state(), State::Parked);
}

fn without_parking_followers_pass(store: &(impl DeadLetterStore + Clone)) {
    let handler = Answers::new(|message: &Message| match message.position {
        0 => Err(Failed::of(Kind::Invalid)),
        _ => Ok(()),
    });
    let source = Script::of([message(0, "A"), message(1, "A")]);
    let config = Config::default().with_followers(Followers::Pass);
    let mut consumer = Consumer::new(source, handler, store.clone(), clock()).with_config(config);
    assert_eq!(drain(&mut consumer).unwrap()[1], Step::Handled);
}

on_each_store!(
    d_09_followers_wait_and_are_handled_in_order,
    a_follower_that_fails_is_the_next_head,
    without_parking_followers_pass,
);

#[derive(Clone, Debug)]
enum Event {
    /// The next message of a key arrives; `broken` until it is repaired.
    Arrives {
        key: u8,
        broken: bool,
    },
    /// The cause of every failure so far is repaired.
    Repaired,
    Replayed,
    /// The process is started again.
    Restarted,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let arrives = (0_u8..3, any::<bool>()).prop_map(|(key, broken)| Event::Arrives { key, broken });
    let event = prop_oneof![
        8 => arrives,
        1 => Just(Event::Repaired),
        2 => Just(Event::Replayed),
        1 => Just(Event::Restarted),
    ];
    prop::collection::vec(event, 0..60)
}

/// Plays the events, then repairs and replays everything; returns what was handled of each key.
fn play<D: DeadLetterStore + Clone>(store: &D, events: &[Event]) -> BTreeMap<Vec<u8>, Vec<u64>> {
    let broken = RefCell::new(BTreeSet::new());
    let handled = RefCell::new(BTreeMap::<Vec<u8>, Vec<u64>>::new());
    let answer = |message: &Message| {
        if broken.borrow().contains(&message.position) {
            return Err(Failed::of(Kind::Invalid));
        }
        let key = message.key.clone().unwrap();
        handled.borrow_mut().entry(key).or_default().push(message.position);
        Ok(())
    };
    let (clock, script) = (clock(), Script::default());
    let config = Config::default().with_letters_in_a_row_max(NonZeroU32::MAX);
    let start = || {
        Consumer::new(script.clone(), Answers::new(answer), store.clone(), clock.clone())
            .with_config(config)
    };
    let replay = || {
        let all = Replay::everything().with_replays_max(u32::MAX);
        block_on(all.run(&mut Answers::new(answer), store, &clock)).unwrap()
    };
    let mut consumer = start();
    for (position, event) in (0..).zip(events) {
        match event {
            Event::Arrives { key, broken: is_broken } => {
                if *is_broken {
                    broken.borrow_mut().insert(position);
                }
                script.0.borrow_mut().push_back(message(position, &key.to_string()));
                drain(&mut consumer).unwrap();
            }
            Event::Repaired => broken.borrow_mut().clear(),
            Event::Replayed => drop(replay()),
            Event::Restarted => consumer = start(),
        }
    }
    broken.borrow_mut().clear();
    replay();
    assert_eq!(block_on(store.stats()).unwrap().open(), 0);
    drop(consumer);
    handled.into_inner()
}

fn arrived(events: &[Event]) -> BTreeMap<Vec<u8>, Vec<u64>> {
    let mut arrived = BTreeMap::<Vec<u8>, Vec<u64>>::new();
    for (position, event) in (0..).zip(events) {
        if let Event::Arrives { key, .. } = event {
            arrived.entry(key.to_string().into_bytes()).or_default().push(position);
        }
    }
    arrived
}

proptest! {
    /// Whatever fails, is repaired, replayed and restarted: in the end each key was handled in
    /// its order, every message once.
    #[test]
    fn each_key_is_handled_in_order_and_once(events in events()) {
        assert_eq!(play(&MemoryStore::new(), &events), arrived(&events));
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    // A database for each case is not cheap, and the logic is the same.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_key_is_handled_in_order_and_once_with_sqlite(events in events()) {
        assert_eq!(play(&crate::support::sqlite_store(), &events), arrived(&events));
    }
}
