//! What a letter keeps of a message.

use backstop_dlq::{
    Consumer, DeadLetterStore, LetterId, Message, Reason, State, Step, store::Standing,
};
use backstop_error_taxonomy::Kind;
use pollster::block_on;

use crate::support::{
    Answers, Failed, Script, clock, committed, dead, drain, letters, message, on_each_store, start,
};

fn d_01_keeps_the_message_byte_for_byte(store: &(impl DeadLetterStore + Clone)) {
    let original = Message::new("orders", 7, vec![0xff, 0x00], start())
        .with_key(b"K".to_vec())
        .with_header("a", Some(b"1".to_vec()))
        .with_header("a", Some(b"2".to_vec()))
        .with_header("n", None);
    let handler = Answers::new(|_| Err(Failed::of(Kind::Invalid)));
    let mut consumer =
        Consumer::new(Script::of([original.clone()]), handler, store.clone(), clock());

    let id = LetterId::of("orders", 0, 7);
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Lettered(id)]);

    let found = letters(consumer.store());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id(), id);
    assert_eq!(found[0].message(), &original);
    assert_eq!(found[0].reason(), Reason::Fatal);
    assert_eq!(found[0].state(), State::Dead);
    assert_eq!(found[0].attempts().count(), 1);
    assert_eq!(consumer.handler_mut().calls.len(), 1);
    assert_eq!(committed(consumer.store()), Some(8));
}

fn d_02_sets_aside_what_cannot_be_decoded(store: &(impl DeadLetterStore + Clone)) {
    let broken = Message::new("orders", 0, b"?\xff\xfe\x00".to_vec(), start());
    let source = Script::of([broken.clone(), message(1, "A")]);
    let mut consumer = Consumer::new(source, Answers::new(|_| Ok(())), store.clone(), clock());

    let id = LetterId::of_message(&broken);
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Lettered(id), Step::Handled]);

    let letter = block_on(consumer.store().letter(id)).unwrap().unwrap();
    assert_eq!(letter.reason(), Reason::Undecodable);
    assert_eq!(letter.message(), &broken);
    assert_eq!(consumer.handler_mut().positions(), [1]);
    assert_eq!(committed(consumer.store()), Some(2));
}

fn an_empty_payload_and_an_empty_key_are_not_absent(store: &(impl DeadLetterStore + Clone)) {
    let keyed = Message::new("orders", 0, Vec::new(), start())
        .with_key(Vec::new())
        .with_header("", Some(Vec::new()));
    let unkeyed = Message::new("orders", 1, Vec::new(), start());
    let handler = Answers::new(|_| Err(Failed::of(Kind::Invalid)));
    let source = Script::of([keyed.clone(), unkeyed.clone()]);
    let mut consumer = Consumer::new(source, handler, store.clone(), clock());

    drain(&mut consumer).unwrap();

    let found: Vec<_> = letters(consumer.store()).iter().map(|l| l.message().clone()).collect();
    assert_eq!(found, [keyed.clone(), unkeyed]);
    let mut follower = keyed;
    follower.position = 2;
    let standing = block_on(consumer.store().standing(&follower)).unwrap();
    assert_eq!(standing, Standing::Behind(LetterId::of("orders", 0, 0)));
}

on_each_store!(
    d_01_keeps_the_message_byte_for_byte,
    d_02_sets_aside_what_cannot_be_decoded,
    an_empty_payload_and_an_empty_key_are_not_absent,
);

#[test]
fn payloads_do_not_show_in_logs() {
    let letter = dead(message(7, "secret"));
    assert!(!format!("{letter:?}").contains(&format!("{:?}", letter.message().payload)));
    assert!(format!("{letter:?}").contains("payload_bytes: 7"));
}

/// Stored names must keep their meaning, so one is written down.
#[test]
fn the_name_of_a_delivery_never_changes() {
    let id = LetterId::of("fills", 3, 7);
    assert_eq!(id.to_string().parse::<LetterId>().unwrap(), id);
    for other in [("fills", 3, 8), ("fills", 4, 7), ("fill", 3, 7)] {
        assert_ne!(LetterId::of(other.0, other.1, other.2), id);
    }
    assert_eq!(id.to_string(), "ceacf64dbceb5bf80b50083f7ea0a78a");
    for wrong in ["", "+1", "0x00000000000000000000000000000a", "zz"] {
        assert!(wrong.parse::<LetterId>().is_err(), "{wrong}");
    }
}
