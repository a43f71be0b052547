//! What every store must do.

use std::time::Duration;

use backstop_dlq::{
    DeadLetterStore, Letter, LetterId, Message, Reason, State, StoreError,
    history::{Attempts, Edit, Settlement},
    store::{Filter, Page, Position, Put, Standing},
};
use backstop_error_taxonomy::{Class, Effect, Kind, Severity, Transience};
use pollster::block_on;

use crate::support::{committed, dead, letters, message, on_each_store, start};

fn resolved() -> Settlement {
    Settlement::Resolved { at: start(), note: "by hand".to_owned() }
}

fn d_06_puts_a_delivery_once(store: &impl DeadLetterStore) {
    let letter = dead(message(7, "A"));
    assert_eq!(block_on(store.put(&letter)).unwrap(), Put::Inserted);
    let again = Letter::dead(message(7, "A"), Reason::Operator, Attempts::default(), start());
    assert_eq!(block_on(store.put(&again)).unwrap(), Put::Duplicate);
    assert_eq!(letters(store), [letter], "the first one stands");
}

fn a_position_never_goes_back(store: &impl DeadLetterStore) {
    let at = |next| Position { stream: "orders".to_owned(), partition: 0, next };
    assert_eq!(committed(store), None);
    block_on(store.commit(&at(5))).unwrap();
    block_on(store.commit(&at(3))).unwrap();
    assert_eq!(committed(store), Some(5));
    assert_eq!(
        block_on(store.put_and_commit(&dead(message(9, "A")), &at(10))).unwrap(),
        Put::Inserted
    );
    assert_eq!(committed(store), Some(10));
    assert_eq!(block_on(store.committed("orders", 1)).unwrap(), None, "partitions are apart");
    assert_eq!(block_on(store.committed("fills", 0)).unwrap(), None, "streams are apart");
}

fn a_letter_comes_back_as_it_was_put(store: &impl DeadLetterStore) {
    let mut attempts = Attempts::default();
    let classes = [
        Class::of(Kind::RateLimited).with_retry_after(Duration::from_millis(1_500)),
        Class::of(Kind::Unavailable).refused_by_breaker(),
        Class::of(Kind::Timeout)
            .with_effect(Effect::Applied)
            .with_severity_floor(Severity::Critical),
        Class::of(Kind::Data).with_transience(Transience::Exhausted),
    ];
    for n in 0..12 {
        attempts.record(start(), classes[n % classes.len()], format_args!("attempt {n}"));
    }
    let original = message(7, "A").with_partition(3).with_header("n", None);
    let letter = Letter::dead(original, Reason::DeadlineExceeded, attempts, start());
    block_on(store.put(&letter)).unwrap();

    let edit = Edit { payload: b"clean".to_vec(), by: "venue".to_owned(), at: start() };
    let edited = block_on(store.edit(letter.id(), edit.clone())).unwrap();
    assert_eq!(edited.edits(), [edit]);
    assert_eq!(edited.message(), letter.message(), "the original stays");
    assert_eq!(edited.to_replay().payload, b"clean");

    let settled = block_on(store.settle(letter.id(), resolved())).unwrap();
    assert_eq!(block_on(store.letter(letter.id())).unwrap(), Some(settled.clone()));
    assert_eq!(settled.attempts(), letter.attempts());
    assert_eq!((settled.state(), settled.settled_at()), (State::Resolved, Some(start())));
    assert_eq!(settled.note(), Some("by hand"));
}

fn a_refused_move_changes_nothing(store: &impl DeadLetterStore) {
    let letter = dead(message(7, "A"));
    let id = letter.id();
    let missing = block_on(store.settle(id, resolved()));
    assert!(matches!(missing, Err(StoreError::Missing(unknown)) if unknown == id));

    block_on(store.put(&letter)).unwrap();
    let unexplained = Settlement::Discarded { at: start(), note: String::new() };
    assert!(matches!(block_on(store.settle(id, unexplained)), Err(StoreError::Invalid(_))));
    let wordy = Settlement::Resolved { at: start(), note: "x".repeat(1_025) };
    assert!(matches!(block_on(store.settle(id, wordy)), Err(StoreError::Invalid(_))));
    let released = Settlement::Released { note: "why not".to_owned() };
    let refused = block_on(store.settle(id, released));
    assert!(matches!(refused, Err(StoreError::Refused { state: State::Dead, .. })));
    assert_eq!(letters(store), [letter]);

    let given_up = Settlement::Discarded { at: start(), note: "test order".to_owned() };
    let discarded = block_on(store.settle(id, given_up)).unwrap();
    let refused = block_on(store.settle(id, resolved()));
    assert!(matches!(refused, Err(StoreError::Refused { state: State::Discarded, .. })));
    assert_eq!(letters(store), [discarded]);
}

fn lists_in_order_of_put_page_by_page(store: &impl DeadLetterStore) {
    for position in [5, 1, 4, 2, 3] {
        block_on(store.put(&dead(message(position, "A")))).unwrap();
    }
    block_on(store.settle(LetterId::of("orders", 0, 4), resolved())).unwrap();

    let mut positions = Vec::new();
    let mut page = Some(Page::first(2));
    while let Some(wanted) = page {
        let listing = block_on(store.list(&Filter::default(), wanted)).unwrap();
        assert!(listing.letters.len() <= 2);
        positions.extend(listing.letters.iter().map(|l| l.message().position));
        page = listing.next;
    }
    assert_eq!(positions, [5, 1, 4, 2, 3]);

    let listed = |filter: Filter| -> Vec<u64> {
        let listing = block_on(store.list(&filter, Page::first(10))).unwrap();
        assert_eq!(listing.next, None);
        listing.letters.iter().map(|l| l.message().position).collect()
    };
    assert_eq!(listed(Filter::default().with_state(State::Dead)), [5, 1, 2, 3]);
    assert_eq!(listed(Filter::default().with_reason(Reason::Fatal)), [5, 1, 4, 2, 3]);
    assert_eq!(listed(Filter::default().with_reason(Reason::Operator)), [0_u64; 0]);
    assert_eq!(listed(Filter::default().with_stream("fills")), [0_u64; 0]);
    assert_eq!(listed(Filter::default().with_put_before(start())), [0_u64; 0]);
    let later = start().saturating_add(Duration::from_millis(1));
    let narrow = Filter::default().with_put_before(later).with_state(State::Resolved);
    assert_eq!(listed(narrow.with_stream("orders").with_reason(Reason::Fatal)), [4]);
}

fn an_open_letter_blocks_its_key_and_no_other(store: &impl DeadLetterStore) {
    let head = dead(message(1, "A"));
    block_on(store.put(&head)).unwrap();
    let (mut elsewhere, mut unkeyed) = (message(2, "A"), message(2, "A"));
    elsewhere.stream = "fills".to_owned();
    unkeyed.key = None;
    let standing = |message: &Message| block_on(store.standing(message)).unwrap();
    assert_eq!(standing(&message(1, "A")), Standing::Lettered);
    assert_eq!(standing(&message(2, "A")), Standing::Behind(head.id()));
    assert_eq!(standing(&message(2, "B")), Standing::Fresh);
    assert_eq!(standing(&message(2, "A").with_partition(1)), Standing::Fresh);
    assert_eq!(standing(&elsewhere), Standing::Fresh);
    assert_eq!(standing(&unkeyed), Standing::Fresh);

    let park = |m: &Message| block_on(store.park_if_blocked(m, start())).unwrap();
    assert_eq!(park(&message(2, "B")), None);
    assert_eq!(committed(store), None, "what is not parked is not committed");
    let follower = message(2, "A");
    assert_eq!(park(&follower), Some(LetterId::of_message(&follower)));
    assert_eq!(committed(store), Some(3));
    let behind = |id| {
        let filter = Filter::default().with_reason(Reason::ParkedBehind(id));
        block_on(store.list(&filter, Page::first(10))).unwrap().letters.len()
    };
    let parked = LetterId::of_message(&follower);
    assert_eq!((behind(head.id()), behind(parked)), (1, 0));
    block_on(store.settle(head.id(), resolved())).unwrap();
    assert_eq!(standing(&message(3, "A")), Standing::Behind(parked), "parked letters block too");
    let first = block_on(store.head(&message(3, "A"))).unwrap().unwrap();
    assert_eq!((first.id(), first.reason()), (parked, Reason::ParkedBehind(head.id())));
    block_on(store.settle(parked, resolved())).unwrap();
    assert_eq!(standing(&message(3, "A")), Standing::Fresh);
    assert_eq!(block_on(store.head(&message(3, "A"))).unwrap(), None);
}

fn a_full_key_stops_and_drops_nothing(store: &impl DeadLetterStore) {
    let head = dead(message(0, "A"));
    block_on(store.put(&head)).unwrap();
    for position in 1..=1_024 {
        block_on(store.park_if_blocked(&message(position, "A"), start())).unwrap();
    }
    let overflow = block_on(store.park_if_blocked(&message(1_025, "A"), start()));
    assert!(matches!(overflow, Err(StoreError::Overflow { head: first }) if first == head.id()));
    assert_eq!(committed(store), Some(1_025));
    assert_eq!(block_on(store.stats()).unwrap().parked, 1_024);
}

fn counts_what_it_holds(store: &impl DeadLetterStore) {
    for position in 1..=3 {
        block_on(store.put(&dead(message(position, "A")))).unwrap();
    }
    block_on(store.park_if_blocked(&message(4, "A"), start())).unwrap();
    block_on(store.settle(LetterId::of("orders", 0, 1), resolved())).unwrap();
    let stats = block_on(store.stats()).unwrap();
    assert_eq!((stats.dead, stats.parked, stats.resolved), (2, 1, 1));
    assert_eq!((stats.open(), stats.total()), (3, 4));
    assert_eq!(stats.oldest_dead_at, Some(start()));
}

fn a_position_that_does_not_fit_is_refused(store: &impl DeadLetterStore) {
    let beyond = message(u64::MAX, "A");
    assert!(Position::after(&beyond).is_err());
    assert!(matches!(
        block_on(store.park_if_blocked(&beyond, start())),
        Err(StoreError::Invalid(_))
    ));
    assert_eq!(letters(store), []);
}

on_each_store!(
    d_06_puts_a_delivery_once,
    a_position_never_goes_back,
    a_letter_comes_back_as_it_was_put,
    a_refused_move_changes_nothing,
    lists_in_order_of_put_page_by_page,
    an_open_letter_blocks_its_key_and_no_other,
    a_full_key_stops_and_drops_nothing,
    counts_what_it_holds,
    a_position_that_does_not_fit_is_refused,
);

#[test]
fn a_full_memory_store_refuses_and_keeps_what_it_has() {
    let store = backstop_dlq::MemoryStore::new().with_letters_max(1);
    let first = dead(message(1, "A"));
    block_on(store.put(&first)).unwrap();
    let refused = block_on(store.put(&dead(message(2, "A"))));
    assert!(matches!(refused, Err(StoreError::Full { letters_max: 1 })));
    assert_eq!(block_on(store.put(&first)).unwrap(), Put::Duplicate);
    assert_eq!(letters(&store), [first]);
}
