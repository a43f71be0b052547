use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Classify, Effect};
use backstop_storage::{
    Database, Migration,
    history::{self, History, Refusal},
};

const FIRST: Migration =
    Migration { component: "a", id: "0001", sql: "CREATE TABLE a (n INTEGER) STRICT" };
const SECOND: Migration =
    Migration { component: "a", id: "0002", sql: "ALTER TABLE a ADD COLUMN m INTEGER" };
const EDITED: Migration =
    Migration { component: "a", id: "0001", sql: "CREATE TABLE a (n TEXT) STRICT" };
const OTHER: Migration =
    Migration { component: "b", id: "0001", sql: "CREATE TABLE b (n INTEGER) STRICT" };
const BROKEN: Migration = Migration {
    component: "c",
    id: "0001",
    sql: "CREATE TABLE c (n INTEGER) STRICT; -- One; two.
        CREATE TABLE c (n INTEGER) STRICT",
};

fn create(db: &Database, set: &'static [Migration]) -> Result<(), history::CreateError> {
    history::create(db, set, Timestamp::from_millis(1))
}

fn check(db: &Database, set: &'static [Migration]) -> Result<(), Refusal> {
    db.read(move |c| Ok::<_, rusqlite::Error>(history::check(c, set))).unwrap()
}

fn read(db: &Database) -> History {
    db.read(|c| Ok::<_, rusqlite::Error>(history::read(c).unwrap())).unwrap()
}

#[test]
fn creating_twice_changes_nothing_and_later_steps_join() {
    let db = Database::in_memory().unwrap();
    assert_eq!(read(&db), History::Absent { user_objects: 0 });
    create(&db, &[FIRST]).unwrap();
    let once = read(&db);
    create(&db, &[FIRST]).unwrap();
    assert_eq!(read(&db), once);
    create(&db, &[FIRST, SECOND]).unwrap();
    create(&db, &[OTHER]).unwrap();
    check(&db, &[FIRST, SECOND]).unwrap();
    check(&db, &[OTHER]).unwrap();
}

#[test]
fn a_store_refuses_what_it_does_not_know() {
    let db = Database::in_memory().unwrap();
    assert!(matches!(check(&db, &[FIRST]), Err(Refusal::Missing { .. })));
    create(&db, &[FIRST, SECOND]).unwrap();
    assert!(matches!(check(&db, &[FIRST]), Err(Refusal::Newer { id, .. }) if id == "0002"));
    assert!(matches!(check(&db, &[EDITED, SECOND]), Err(Refusal::Edited { .. })));
    db.write(|c| c.execute("UPDATE _schema_history SET state = 'started' WHERE id = '0002'", []))
        .unwrap();
    assert!(matches!(check(&db, &[FIRST, SECOND]), Err(Refusal::Unfinished { .. })));
}

#[test]
fn a_history_of_a_newer_layout_is_refused() {
    let db = Database::in_memory().unwrap();
    create(&db, &[FIRST]).unwrap();
    db.write(|c| c.execute("UPDATE _schema_meta SET value = '2' WHERE key = 'layout'", []))
        .unwrap();
    assert!(matches!(check(&db, &[FIRST]), Err(Refusal::NewerLayout { found: 2 })));
}

#[test]
fn a_failed_creation_leaves_nothing_behind() {
    let db = Database::in_memory().unwrap();
    let error = create(&db, &[FIRST, BROKEN]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot create the schema: migration c/0001 failed at statement 2 on line 2, \
         `CREATE TABLE c (n INTEGER) STRICT`: table c already exists"
    );
    assert_eq!(error.class().effect(), Effect::NotApplied);
    assert_eq!(read(&db), History::Absent { user_objects: 0 });
}

#[test]
fn a_creation_over_an_edited_history_changes_nothing() {
    let db = Database::in_memory().unwrap();
    create(&db, &[FIRST]).unwrap();
    let before = read(&db);
    assert!(create(&db, &[EDITED, SECOND]).is_err());
    assert_eq!(read(&db), before);
}

#[test]
fn line_ends_do_not_change_a_checksum_and_comments_do() {
    let unix = history::checksum("CREATE TABLE a (\n  n INTEGER\n)");
    assert_eq!(unix, history::checksum("\u{feff}CREATE TABLE a (\r\n  n INTEGER  \r\n)\r\n"));
    assert_ne!(unix, history::checksum("CREATE TABLE a ( -- why\n  n INTEGER\n)"));
    assert_eq!(unix.len(), "v1:".len() + 64);
}
