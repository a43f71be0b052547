use backstop_error_taxonomy::{Class, Classifier, Classify, Effect, Kind, Severity, Transience};
use rusqlite::{Connection, Error};

fn orders() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE orders (id TEXT PRIMARY KEY, size TEXT NOT NULL) STRICT;
         INSERT INTO orders VALUES ('a', 'ten');",
    )
    .unwrap();
    db
}

#[test]
fn constraints_differ() {
    let twice = orders().execute("INSERT INTO orders VALUES ('a', '1')", []).unwrap_err();
    assert_eq!(twice.class(), Class::of(Kind::Conflict).with_transience(Transience::Permanent));
    let null = orders().execute("INSERT INTO orders VALUES ('b', NULL)", []).unwrap_err();
    assert_eq!(null.class(), Class::of(Kind::Invalid));
    assert_eq!(Classifier::standard().classify(&null), null.class());
}

#[test]
fn a_locked_database_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let first = Connection::open(&path).unwrap();
    first.execute_batch("BEGIN IMMEDIATE").unwrap();
    let second = Connection::open(&path).unwrap();
    second.busy_timeout(std::time::Duration::ZERO).unwrap();
    let busy = second.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(busy.class(), Class::of(Kind::Conflict));
}

#[test]
fn a_file_that_is_no_database_is_critical() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    std::fs::write(&path, "no database, but long enough to have a head of its own".repeat(4))
        .unwrap();
    let db = Connection::open(&path).unwrap();
    let error = db.execute_batch("PRAGMA schema_version").unwrap_err();
    assert_eq!((error.class().kind(), error.class().severity()), (Kind::Data, Severity::Critical));
}

#[test]
fn rows_and_values_are_told_apart() {
    let db = orders();
    let none = db.query_row("SELECT 1 FROM orders WHERE id = 'z'", [], |_| Ok(())).unwrap_err();
    assert_eq!(none.class(), Class::of(Kind::NotFound));
    let text = db.query_row("SELECT size FROM orders", [], |row| row.get::<_, i64>(0)).unwrap_err();
    assert_eq!(text.class(), Class::of(Kind::Data).with_effect(Effect::Unknown));
    let column = db.query_row("SELECT 1", [], |row| row.get::<_, i64>(7)).unwrap_err();
    assert_eq!(column.class().kind(), Kind::Internal);
    let table = db.execute("INSERT INTO nowhere VALUES (1)", []).unwrap_err();
    assert_eq!(table.class(), Class::of(Kind::Internal).with_effect(Effect::NotApplied));
    assert_eq!(Error::InvalidPath("\0".into()).class(), Class::of(Kind::Invalid));
}
