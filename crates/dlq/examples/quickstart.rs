//! Fills from a stream: one is broken, its followers wait, a clean copy puts it right.

use std::{error::Error, fmt, str};

use backstop_clock::{ManualClock, Timestamp};
use backstop_dlq::{
    Consumer, DeadLetterStore, Handler, Message, Replay, SqliteStore, State, Step,
    history::Edit,
    store::{Filter, Page},
    stream::{Publisher, Record, SqliteLog},
};
use backstop_error_taxonomy::{Class, Classify, Kind};
use backstop_storage::Database;
use pollster::block_on;

/// The bot's own error.
#[derive(Debug)]
struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a quantity")
    }
}

impl Classify for Unreadable {
    fn class(&self) -> Class {
        Class::of(Kind::Data)
    }
}

/// The bot's own books: a position in lots.
#[derive(Default)]
struct Books {
    lots: i64,
}

impl Handler for Books {
    type Message = i64;
    type Error = Unreadable;

    fn decode(&self, raw: &Message) -> Result<i64, Unreadable> {
        let text = str::from_utf8(&raw.payload).ok();
        text.and_then(|text| text.parse().ok()).ok_or(Unreadable)
    }

    async fn handle(&mut self, message: i64, _raw: &Message) -> Result<(), Unreadable> {
        self.lots += message;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let db = Database::in_memory()?;
    let store = SqliteStore::create(&db, Timestamp::EPOCH)?;

    let fills = SqliteLog::open(&db, "fills")?;
    for payload in [&b"5"[..], b"\xff\xff", b"-2"] {
        let record = Record::new(payload.to_vec(), Timestamp::EPOCH).with_key(b"EURUSD".to_vec());
        block_on(fills.publish(record))?;
    }

    let mut consumer = Consumer::new(fills.source(0), Books::default(), store, clock.clone());
    assert_eq!(block_on(consumer.step())?, Step::Handled);
    assert!(matches!(block_on(consumer.step())?, Step::Lettered(_)));
    assert!(matches!(block_on(consumer.step())?, Step::Parked(_)), "it must not overtake");
    assert_eq!(block_on(consumer.step())?, Step::Idle);
    assert_eq!(consumer.handler_mut().lots, 5);

    let store = consumer.store().clone();
    let dead = Filter::default().with_state(State::Dead);
    for letter in block_on(store.list(&dead, Page::first(10)))?.letters {
        let clean = b"3".to_vec(); // fetched again from the venue
        let edit = Edit { payload: clean, by: "venue".to_owned(), at: Timestamp::EPOCH };
        block_on(store.edit(letter.id(), edit))?;
    }
    let replay = Replay::matching(dead)?;
    let report = block_on(replay.run(consumer.handler_mut(), &store, &clock))?;
    assert_eq!(report.resolved.len(), 2, "the letter, and what was parked behind it");
    assert_eq!(consumer.handler_mut().lots, 5 + 3 - 2);
    Ok(())
}
