//! The status of a real file, which asking for it does not change.

use backstop_clock::Timestamp;
use backstop_schema_version::{
    Assessment, Finding, MigrationSet, Status, assess,
    sqlite::{migrate, status},
};
use backstop_storage::history;
use rusqlite::{
    Connection, OpenFlags,
    hooks::{AuthAction, AuthContext, Authorization},
};

use crate::fixtures::{M1, M2, M3, M4, NOW, file::File, set};

/// Asks twice, and makes sure that not a byte is different afterwards.
fn look(file: &File, set: &MigrationSet) -> Assessment {
    let db = file.open();
    let before = file.bytes();
    let seen = status(&db, set).expect("the status can be read");
    assert_eq!(status(&db, set).expect("the status can be read"), seen);
    assert_eq!(db.commits(), 0);
    assert!(file.bytes() == before, "asking changed the file");
    seen
}

fn migrated(set: &MigrationSet) -> File {
    let file = File::new();
    migrate(&file.open(), set, NOW).expect("the migrations apply");
    file
}

#[test]
fn v01_an_empty_file_is_outdated_and_stays_empty() {
    let file = File::new();
    let seen = look(&file, &set(&[M1, M2, M3]));
    assert_eq!(seen.status, Status::Outdated);
    assert_eq!(seen.path, [M1, M2, M3]);
    assert_eq!(file.dump(), "");
}

#[test]
fn v02_select_rights_are_enough() {
    let set = set(&[M1, M2, M3]);
    let file = migrated(&set);
    assert_eq!(look(&file, &set).status, Status::Current);

    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(&file.path, flags).expect("it opens");
    let select_only = |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    };
    reader.authorizer(Some(select_only)).expect("an authorizer");
    assert!(reader.execute_batch("CREATE TABLE t (n)").is_err(), "the role is not narrow");
    let seen = assess(&history::read(&reader).expect("reading is enough"), &set);
    assert_eq!(seen.status, Status::Current);
    assert_eq!(seen.last_migration_at, Some(NOW));
}

#[test]
fn v03_what_is_missing_at_the_end_is_the_path() {
    let seen = look(&migrated(&set(&[M1])), &set(&[M1, M2, M3]));
    assert_eq!(seen.status, Status::Outdated);
    assert_eq!(seen.path, [M2, M3]);
}

#[test]
fn v04_v05_the_floors_are_read_from_the_file() {
    let file = migrated(&set(&[M1, M2, M3, M4]));
    file.execute("INSERT INTO _schema_meta VALUES ('write_floor:ledger', '0003_fills')");
    let seen = look(&file, &set(&[M1, M2, M3]));
    let [Finding::Ahead(lead)] = &seen.findings[..] else { panic!("one finding: {seen:?}") };
    assert_eq!(lead.write_floor.as_deref(), Some(M3.id));
    assert_eq!(lead.read_floor, None);
}

#[test]
fn v12_tables_without_a_history_need_a_baseline() {
    let file = File::new();
    file.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    let seen = look(&file, &set(&[M1]));
    assert_eq!(seen.status, Status::Unknown);
    assert_eq!(seen.findings, [Finding::NeedsBaseline { user_objects: 1 }]);
}

#[test]
fn v14_a_newer_layout_is_unknown() {
    let file = migrated(&set(&[M1]));
    file.execute("UPDATE _schema_meta SET value = '2' WHERE key = 'layout'");
    let seen = look(&file, &set(&[M1]));
    assert_eq!(seen.findings, [Finding::Layout { found: 2, known: 1 }]);
}

#[test]
fn a_history_that_is_not_understood_is_unknown_and_never_empty() {
    for damage in [
        "ALTER TABLE _schema_history RENAME COLUMN checksum TO sum",
        "UPDATE _schema_meta SET value = 'one' WHERE key = 'layout'",
        "DELETE FROM _schema_meta WHERE key = 'layout'",
        "DROP TABLE _schema_meta",
    ] {
        let file = migrated(&set(&[M1]));
        file.execute(damage);
        let seen = look(&file, &set(&[M1]));
        assert_eq!(seen.status, Status::Unknown, "{damage}");
        assert!(seen.path.is_empty(), "{damage}");
        assert_eq!(seen.findings.len(), 1, "{damage}");
    }
}

#[test]
fn work_that_is_queued_before_is_seen() {
    let file = File::new();
    let db = file.open();
    let queued = db.submit(|c| history::apply(c, &M1, Timestamp::EPOCH));
    assert_eq!(status(&db, &set(&[M1])).expect("a status").status, Status::Current);
    queued.wait().expect("the migration applies");
}
