//! The inbox: whatever the order of delivery, events are handed on once, in rising numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use backstop_dlq::Source;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use trading_host::{
    events::{GAP_PATIENCE, Inbox},
    venue::{Delivery, Event, EventPage},
};
use uuid::Uuid;

use crate::stage::{START, at};

fn delivery(sequence: u64, copy: u8) -> Delivery {
    let payload = vec![copy, u8::try_from(sequence % 251).unwrap()];
    Delivery { sequence, symbol: "AAA".to_owned(), at: START, payload }
}

fn page(numbers: &[u64], head: u64) -> EventPage {
    EventPage { deliveries: numbers.iter().map(|number| delivery(*number, 0)).collect(), head }
}

/// The numbers that the inbox hands on now.
fn taken(inbox: &mut Inbox) -> Vec<u64> {
    let next = std::iter::from_fn(|| pollster::block_on(inbox.next()).unwrap());
    next.map(|message| message.position).collect()
}

/// What happens to an inbox.
#[derive(Clone, Debug)]
enum Step {
    /// A page comes: numbers in any order, some twice, and how far beyond them the venue is.
    Page(Vec<u64>, u64),
    /// The consumer takes so many.
    Take(usize),
    /// Time passes, and what is lost by then is given up.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let page = (prop::collection::vec(1_u64..40, 0..12), 0_u64..5);
    let step = prop::strategy::Union::new_weighted(vec![
        (4, page.prop_map(|(numbers, beyond)| Step::Page(numbers, beyond)).boxed()),
        (2, (0_usize..6).prop_map(Step::Take).boxed()),
        (1, (0_u64..5_000).prop_map(Step::Wait).boxed()),
    ]);
    prop::collection::vec(step, 1..60)
}

/// What an inbox has to do, said as simply as possible.
#[derive(Default)]
struct Naive {
    come: BTreeSet<u64>,
    /// Since when it is known that a number is given and has not come.
    lacks: BTreeMap<u64, Duration>,
    passed: u64,
    head: u64,
}

proptest! {
    /// 1. Numbers are handed on strictly rising. 2. Every number up to the last one handed on was
    /// handed on, or had lacked for the patience and was given up. 3. What has come and is next is
    /// never held back. 4. The patience begins when the venue is known to have given the number.
    #[test]
    fn events_are_handed_on_in_order_and_none_is_skipped(committed in 0_u64..3, steps in steps()) {
        let mut inbox = Inbox::new(committed);
        let mut naive = Naive { passed: committed, head: committed, ..Naive::default() };
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Page(numbers, beyond) => {
                    let head = numbers.iter().copied().max().unwrap_or(0).max(naive.head) + beyond;
                    let seen = inbox.absorb(page(&numbers, head), START.saturating_add(now));
                    for number in numbers.iter().filter(|number| **number > naive.passed) {
                        naive.come.insert(*number);
                        naive.lacks.remove(number);
                    }
                    let given = naive.head.max(naive.passed) + 1..=head;
                    let lacking: Vec<_> = given.filter(|n| !naive.come.contains(n)).collect();
                    prop_assert_eq!(&seen.lacking, &lacking);
                    naive.lacks.extend(lacking.into_iter().map(|number| (number, now)));
                    naive.head = naive.head.max(head);
                }
                Step::Take(most) => {
                    for _ in 0..most {
                        let message = pollster::block_on(inbox.next()).unwrap();
                        let expected = naive.come.remove(&(naive.passed + 1));
                        prop_assert_eq!(message.is_some(), expected);
                        let Some(message) = message else { break };
                        naive.passed += 1;
                        prop_assert_eq!(message.position, naive.passed);
                    }
                }
                Step::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    let next = naive.passed + 1;
                    let since = naive.lacks.get(&next);
                    let is_lost = since.is_some_and(|since| now >= *since + GAP_PATIENCE);
                    let lost = inbox.lost(START.saturating_add(now));
                    prop_assert_eq!(lost, is_lost.then_some(next));
                    if let Some(number) = lost {
                        inbox.give_up(number);
                        naive.lacks.remove(&number);
                        naive.passed = number;
                    }
                }
            }
            prop_assert_eq!(inbox.after(), naive.passed);
            prop_assert_eq!(inbox.head(), naive.head);
            prop_assert_eq!(inbox.is_complete(), naive.passed >= naive.head);
            prop_assert!(inbox.has_passed(naive.passed) && !inbox.has_passed(naive.passed + 1));
        }
    }

    /// However a stream is cut into pages, shuffled and repeated: all of it arrives, once.
    #[test]
    fn a_whole_stream_arrives_whole(
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
        length in 1_u64..60,
    ) {
        let mut inbox = Inbox::new(0);
        let mut handed_on = Vec::new();
        for index in order {
            let number = u64::try_from(index.index(usize::try_from(length).unwrap())).unwrap() + 1;
            inbox.absorb(page(&[number], length), START);
            handed_on.extend(taken(&mut inbox));
        }
        // Whoever asks again in the end gets all that lacked.
        let rest: Vec<_> = (inbox.after() + 1..=length).rev().collect();
        inbox.absorb(page(&rest, length), START);
        handed_on.extend(taken(&mut inbox));
        prop_assert_eq!(handed_on, (1..=length).collect::<Vec<_>>());
    }
}

#[test]
fn a_page_tells_what_came_late_and_what_lacks() {
    let inbox = Inbox::new(2);
    let seen = inbox.absorb(page(&[3, 6, 5, 1], 8), START);
    assert_eq!(seen.out_of_order, [5, 1]);
    assert_eq!(seen.lacking, [4, 7, 8]);
    // Told once.
    assert_eq!(inbox.absorb(page(&[3, 6], 8), START).lacking, [0; 0]);
}

#[test]
fn the_latest_copy_counts_until_it_is_handed_on() {
    let mut inbox = Inbox::new(0);
    for copy in [1, 2] {
        let deliveries = vec![delivery(2, copy)];
        inbox.absorb(EventPage { deliveries, head: 2 }, START);
    }
    inbox.absorb(page(&[1], 2), START);
    let first = pollster::block_on(inbox.next()).unwrap().unwrap();
    let second = pollster::block_on(inbox.next()).unwrap().unwrap();
    assert_eq!((first.position, second.position), (1, 2));
    assert_eq!(second.payload, delivery(2, 2).payload);
    assert_eq!(second.key.as_deref(), Some(b"AAA".as_slice()));
}

#[test]
fn a_number_that_came_is_never_given_up() {
    let mut inbox = Inbox::new(0);
    inbox.absorb(page(&[2], 2), START);
    inbox.absorb(page(&[1], 2), at(100));
    assert_eq!(inbox.lost(at(200)), None);
    inbox.give_up(1);
    assert_eq!(taken(&mut inbox), [1, 2]);
}

#[test]
fn each_lacking_number_has_a_patience_of_its_own() {
    let mut inbox = Inbox::new(0);
    inbox.absorb(page(&[2], 2), at(0));
    inbox.absorb(page(&[4], 4), at(2));
    assert_eq!((inbox.lost(at(2)), inbox.lost(at(3))), (None, Some(1)));
    inbox.give_up(1);
    assert_eq!(taken(&mut inbox), [2]);
    assert_eq!((inbox.lost(at(4)), inbox.lost(at(5))), (None, Some(3)));
}

#[test]
fn what_waits_is_told_to_the_comparison() {
    let inbox = Inbox::new(0);
    let cancelled = Event::Cancelled { client_order_id: Uuid::nil() };
    let mut readable = delivery(3, 0);
    readable.payload = serde_json::to_vec(&cancelled).unwrap();
    readable.symbol = "BBB".to_owned();
    inbox.absorb(EventPage { deliveries: vec![readable, delivery(2, 0)], head: 3 }, START);
    let (trades, symbols) = inbox.in_flight();
    // Of what cannot be read, nobody knows what it is about but the symbol.
    assert_eq!(trades, []);
    assert_eq!(symbols, BTreeSet::from(["AAA".to_owned()]));
}
