//! What only a file can show: crashes, foreign schemas, streams.

use std::{fs, path::Path};

use backstop_dlq::{
    Consumer, DeadLetterStore, LetterId, MIGRATIONS, Message, Source, SqliteStore, State, Step,
    stream::{Publisher, Record, SqliteLog},
};
use backstop_error_taxonomy::Kind;
use backstop_storage::{Database, Grouping};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::{
    Answers, Failed, Script, clock, committed, dead, drain, letters, message, start,
};

/// A file whose groups end only where somebody waits.
fn open(path: &Path) -> Database {
    Database::open_with(path, Grouping::Explicit).unwrap()
}

/// The files as a kill would leave them: what was not committed is not in the copy.
fn killed(folder: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for name in ["dlq.db", "dlq.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[test]
fn a_kill_between_put_and_commit_leaves_one_letter() {
    let folder = TempDir::new().unwrap();
    let db = open(&folder.path().join("dlq.db"));
    let store = SqliteStore::create(&db, start()).unwrap();
    block_on(store.put(&dead(message(0, "A")))).unwrap();

    let copy = killed(&folder);
    let store = SqliteStore::open(&open(&copy.path().join("dlq.db"))).unwrap();
    assert_eq!(committed(&store), None);
    let source = Script::of([message(0, "A"), message(1, "B")]);
    let mut consumer = Consumer::new(source, Answers::new(|_| Ok(())), store, clock());
    assert_eq!(drain(&mut consumer).unwrap(), [Step::Skipped, Step::Handled]);
    assert_eq!(consumer.handler_mut().positions(), [1]);
    assert_eq!(letters(consumer.store()).len(), 1);
    assert_eq!(committed(consumer.store()), Some(2));
}

#[test]
fn a_kill_after_a_letter_leaves_letter_and_position_together() {
    let folder = TempDir::new().unwrap();
    let db = open(&folder.path().join("dlq.db"));
    let store = SqliteStore::create(&db, start()).unwrap();
    let answer = |message: &Message| match message.position {
        1 => Err(Failed::of(Kind::Invalid)),
        _ => Ok(()),
    };
    let messages = || (0..4).map(|position| message(position, &position.to_string()));
    let mut consumer = Consumer::new(Script::of(messages()), Answers::new(answer), store, clock());
    drain(&mut consumer).unwrap();

    let copy = killed(&folder);
    let store = SqliteStore::open(&open(&copy.path().join("dlq.db"))).unwrap();
    assert_eq!(committed(&store), Some(2), "what was only handled joins a later commit");
    assert_eq!(letters(&store).len(), 1);
    let mut consumer = Consumer::new(Script::of(messages()), Answers::new(answer), store, clock());
    assert_eq!(
        drain(&mut consumer).unwrap(),
        [Step::Skipped, Step::Skipped, Step::Handled, Step::Handled]
    );
    assert_eq!(consumer.handler_mut().positions(), [2, 3]);
}

#[test]
fn letters_outlive_the_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("dlq.db");
    let put = dead(message(7, "A").with_header("a", None).with_header("a", Some(Vec::new())));
    {
        let store = SqliteStore::create(&open(&path), start()).unwrap();
        block_on(store.put(&put)).unwrap();
        block_on(store.park_if_blocked(&message(8, "A"), start())).unwrap();
    }
    let store = SqliteStore::open(&open(&path)).unwrap();
    let found = letters(&store);
    assert_eq!(found[0], put);
    assert_eq!(found[1].state(), State::Parked);
    assert_eq!(committed(&store), Some(9));
}

#[test]
fn a_foreign_schema_is_refused_and_left_alone() {
    let db = Database::in_memory().unwrap();
    assert!(SqliteStore::open(&db).is_err(), "nothing is migrated yet");
    assert!(SqliteLog::open(&db, "snapshots").is_err());
    let older = &MIGRATIONS[..1];
    backstop_storage::history::create(&db, older, start()).unwrap();
    assert!(SqliteStore::open(&db).is_err(), "the log is missing");
    let store = SqliteStore::create(&db, start()).unwrap();
    assert_eq!(letters(&store), []);
    SqliteStore::open(&db).unwrap();
}

#[test]
fn stored_words_of_another_version_are_an_error() {
    let db = Database::in_memory().unwrap();
    let store = SqliteStore::create(&db, start()).unwrap();
    let id = LetterId::of("orders", 0, 7);
    block_on(store.put(&dead(message(7, "A")))).unwrap();
    db.write(|c| c.execute("UPDATE dlq_letters SET state = 'asleep'", [])).unwrap();
    let error = block_on(store.letter(id)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stored state is \"asleep\", which this version does not understand"
    );
    assert!(block_on(store.stats()).is_err());
}

#[test]
fn a_blocked_key_is_found_through_the_index() {
    let db = Database::in_memory().unwrap();
    SqliteStore::create(&db, start()).unwrap();
    let plan: String = db
        .read(|c| {
            c.query_row(
                "EXPLAIN QUERY PLAN SELECT id FROM dlq_letters
                 WHERE stream = ?1 AND partition = ?2 AND key = ?3
                   AND state IN ('dead', 'parked', 'quarantined') ORDER BY position LIMIT 1",
                ["orders", "0", "A"],
                |row| row.get(3),
            )
        })
        .unwrap();
    assert!(plan.contains("dlq_letters_open"), "{plan}");
}

#[test]
fn a_stream_keeps_records_and_positions() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("dlq.db");
    let record = |n: u64| {
        let record = Record::new(n.to_be_bytes().to_vec(), start());
        record.with_key(b"A".to_vec()).with_header("a", None).with_header("a", Some(vec![0xff]))
    };
    {
        let db = open(&path);
        SqliteStore::create(&db, start()).unwrap();
        let log = SqliteLog::open(&db, "orders").unwrap();
        let other = SqliteLog::open(&db, "fills").unwrap();
        for n in 0..300 {
            assert_eq!(block_on(log.publish(record(n))).unwrap(), n);
        }
        assert_eq!(block_on(other.publish(Record::new(Vec::new(), start()))).unwrap(), 0);
    }
    let db = open(&path);
    let log = SqliteLog::open(&db, "orders").unwrap();
    assert_eq!(block_on(log.publish(record(300))).unwrap(), 300);
    let mut source = log.source(2);
    for n in 2..=300_u64 {
        let message = block_on(source.next()).unwrap().unwrap();
        assert_eq!((message.position, &message.payload[..]), (n, &n.to_be_bytes()[..]));
        assert_eq!(message.headers, record(n).headers);
    }
    assert_eq!(block_on(source.next()).unwrap(), None);
    block_on(log.publish(record(301))).unwrap();
    assert_eq!(block_on(source.next()).unwrap().map(|m| m.position), Some(301));
}

#[test]
fn a_consumer_of_a_stream_goes_on_where_it_was() {
    let db = Database::in_memory().unwrap();
    let store = SqliteStore::create(&db, start()).unwrap();
    let log = SqliteLog::open(&db, "orders").unwrap();
    let publish = || block_on(log.publish(Record::new(b"x".to_vec(), start()))).unwrap();
    let consume = || {
        let source = log.source(committed(&store).unwrap_or_default());
        let mut consumer = Consumer::new(source, Answers::new(|_| Ok(())), store.clone(), clock());
        drain(&mut consumer).unwrap();
        consumer.handler_mut().positions()
    };
    publish();
    publish();
    assert_eq!(consume(), [0, 1]);
    publish();
    assert_eq!(consume(), [2]);
    assert_eq!(consume(), [0_u64; 0]);
}
