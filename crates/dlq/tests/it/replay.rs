//! Replaying letters.

use backstop_clock::ManualClock;
use backstop_dlq::{
    DeadLetterStore, Handler, LetterId, Message, Reason, Replay, Replayed, State, StoreError,
    history::{Attempts, Edit, Settlement},
    store::Filter,
};
use backstop_error_taxonomy::Kind;
use pollster::block_on;

use crate::support::{Answers, Failed, clock, dead, letters, message, on_each_store, start};

fn run<H: Handler>(replay: &Replay, handler: &mut H, store: &impl DeadLetterStore) -> Replayed {
    block_on(replay.run::<_, _, ManualClock>(handler, store, &clock())).unwrap()
}

fn fails(_: &Message) -> Result<(), Failed> {
    Err(Failed::of(Kind::Invalid))
}

fn d_10_a_letter_that_keeps_failing_is_quarantined(store: &impl DeadLetterStore) {
    let id = LetterId::of("orders", 0, 7);
    block_on(store.put(&dead(message(7, "A")))).unwrap();
    let filter = Filter::default().with_stream("orders");
    let replay = Replay::matching(filter).unwrap();
    let mut handler = Answers::new(fails);
    for _ in 0..2 {
        assert_eq!(run(&replay, &mut handler, store).failed, [id]);
    }
    assert_eq!(run(&replay, &mut handler, store).quarantined, [id]);

    let letter = block_on(store.letter(id)).unwrap().unwrap();
    assert_eq!((letter.state(), letter.replays()), (State::Quarantined, 3));
    assert_eq!(letter.attempts().count(), 4, "the history goes on");
    assert_eq!(run(&replay, &mut handler, store).selected, [], "a filter passes it by");
    assert_eq!(run(&Replay::of([id]), &mut handler, store).skipped, [id]);
    assert_eq!(handler.calls.len(), 3);

    let note = "instrument added".to_owned();
    let released = block_on(store.settle(id, Settlement::Released { note })).unwrap();
    assert_eq!((released.state(), released.replays()), (State::Dead, 0));
    assert_eq!(released.note(), Some("instrument added"));
    let mut handler = Answers::new(|_: &Message| Ok(()));
    assert_eq!(run(&replay, &mut handler, store).resolved, [id]);
}

fn d_12_a_dry_run_only_says_what_it_would_do(store: &impl DeadLetterStore) {
    for position in 0..3 {
        block_on(store.put(&dead(message(position, "A")))).unwrap();
    }
    let broken = message(3, "B");
    let undecodable =
        backstop_dlq::Letter::dead(broken, Reason::Undecodable, Attempts::default(), start());
    block_on(store.put(&undecodable)).unwrap();
    let before = letters(store);

    let filter = Filter::default().with_reason(Reason::Fatal);
    let replay = Replay::matching(filter).unwrap().with_dry_run();
    let mut handler = Answers::new(fails);
    let report = run(&replay, &mut handler, store);
    assert_eq!(report.selected, [0, 1, 2].map(|position| LetterId::of("orders", 0, position)));
    assert_eq!((report.resolved.len(), report.failed.len()), (0, 0));
    assert_eq!(handler.calls.len(), 0);
    assert_eq!(letters(store), before);
}

fn a_run_takes_no_more_letters_than_allowed(store: &impl DeadLetterStore) {
    for position in 0..5 {
        block_on(store.put(&dead(message(position, &position.to_string())))).unwrap();
    }
    let replay = Replay::everything().with_letters_max(2);
    let mut handler = Answers::new(|_: &Message| Ok(()));
    assert_eq!(run(&replay, &mut handler, store).resolved.len(), 2);
    assert_eq!(run(&replay, &mut handler, store).resolved.len(), 2);
    assert_eq!(handler.positions(), [0, 1, 2, 3]);
}

fn an_unknown_letter_is_an_error(store: &impl DeadLetterStore) {
    let replay = Replay::of([LetterId::of("orders", 0, 7)]);
    let mut handler = Answers::new(fails);
    let error = block_on(replay.run(&mut handler, store, &clock())).unwrap_err();
    assert!(matches!(error, StoreError::Missing(_)));
}

fn a_clean_copy_is_replayed_instead_of_broken_bytes(store: &impl DeadLetterStore) {
    let mut broken = message(7, "A");
    broken.payload = b"?\xff".to_vec();
    let id = LetterId::of_message(&broken);
    let letter = backstop_dlq::Letter::dead(
        broken.clone(),
        Reason::Undecodable,
        Attempts::default(),
        start(),
    );
    block_on(store.put(&letter)).unwrap();
    let replay = Replay::of([id]);
    let mut handler = Answers::new(|_: &Message| Ok(()));
    assert_eq!(run(&replay, &mut handler, store).failed, [id], "the bytes are still broken");

    let edit = Edit { payload: b"A7".to_vec(), by: "venue".to_owned(), at: start() };
    block_on(store.edit(id, edit.clone())).unwrap();
    assert_eq!(run(&replay, &mut handler, store).resolved, [id]);
    assert_eq!(handler.calls[0].payload, b"A7");
    let letter = block_on(store.letter(id)).unwrap().unwrap();
    assert_eq!(letter.message(), &broken);
    assert_eq!(letter.edits(), std::slice::from_ref(&edit));
    let settled = block_on(store.edit(id, edit));
    assert!(matches!(settled, Err(StoreError::Refused { .. })));
}

fn edits_are_bounded_and_signed(store: &impl DeadLetterStore) {
    let letter = dead(message(7, "A"));
    block_on(store.put(&letter)).unwrap();
    let edit = |by: &str| {
        let edit = Edit { payload: Vec::new(), by: by.to_owned(), at: start() };
        block_on(store.edit(letter.id(), edit))
    };
    assert!(matches!(edit(""), Err(StoreError::Invalid(_))));
    for _ in 0..10 {
        edit("venue").unwrap();
    }
    assert!(matches!(edit("venue"), Err(StoreError::Invalid(_))));
}

on_each_store!(
    d_10_a_letter_that_keeps_failing_is_quarantined,
    d_12_a_dry_run_only_says_what_it_would_do,
    a_run_takes_no_more_letters_than_allowed,
    an_unknown_letter_is_an_error,
    a_clean_copy_is_replayed_instead_of_broken_bytes,
    edits_are_bounded_and_signed,
);

#[test]
fn d_13_everything_must_be_asked_for_by_name() {
    let refused = Replay::matching(Filter::default()).unwrap_err();
    assert_eq!(refused.field, "filter");
    assert_eq!(
        Replay::matching(Filter::default().with_state(State::Dead)).unwrap(),
        Replay::matching(Filter::default().with_state(State::Dead)).unwrap()
    );
}
