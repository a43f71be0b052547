//! Migrations that are refused or fail, and leave no trace.

use backstop_error_taxonomy::{Classify, Effect, Transience};
use backstop_schema_version::{
    Finding, MigrationSet, Refusal, SetError, Status,
    sqlite::{self, MigrateError, Place, migrate, status},
};
use backstop_storage::Migration;

use crate::fixtures::{M1, M2, M3, M4, NOW, file::File, id, migration, set};

/// Migrates from `applied` to `wanted`, which must fail without a trace.
fn failure(applied: &[Migration], wanted: &[Migration]) -> MigrateError {
    let file = File::new();
    let db = file.open();
    if !applied.is_empty() {
        migrate(&db, &set(applied), NOW).expect("the first migrations apply");
    }
    let before = (file.dump(), status(&db, &set(wanted)).expect("a status"));
    let error = migrate(&db, &set(wanted), NOW).expect_err("the migration fails");
    let after = (file.dump(), status(&db, &set(wanted)).expect("a status"));
    assert_eq!(after, before, "the failure left a trace");
    assert_eq!(error.class().effect(), Effect::NotApplied);
    assert_eq!(error.class().transience(), Transience::Permanent);
    // The lock is free, for this connection and for others.
    file.execute("CREATE TABLE free (n)");
    db.write(|c| c.execute_batch("CREATE TABLE free_too (n)")).expect("the lock is free");
    error
}

fn place(error: &MigrateError) -> &Place {
    match error {
        MigrateError::Statement { place: Some(place), .. }
        | MigrateError::Forbidden { place: Some(place), .. } => place,
        other => panic!("no place: {other}"),
    }
}

/// As [`failure`], for a database that is refused before anything is touched.
fn refusal(file: &File, set: &MigrationSet) -> (Status, Vec<Finding>) {
    let db = file.open();
    let before = file.bytes();
    let error = migrate(&db, set, NOW).expect_err("the database is refused");
    assert!(file.bytes() == before, "a refused migration changed the file");
    let MigrateError::Refused(refusal) = error else { panic!("{error}") };
    (refusal.status, refusal.findings)
}

fn migrated(migrations: &[Migration]) -> File {
    let file = File::new();
    migrate(&file.open(), &set(migrations), NOW).expect("the migrations apply");
    file
}

#[test]
fn v06_an_edited_migration_is_refused() {
    let edited = migration(M2.id, "ALTER TABLE orders ADD COLUMN tax TEXT;");
    let (status, findings) = refusal(&migrated(&[M1, M2]), &set(&[M1, edited, M3]));
    assert_eq!(status, Status::Incompatible);
    assert!(matches!(&findings[..], [Finding::Edited { id: at, .. }] if *at == id(&M2)));
}

#[test]
fn v08_a_missing_migration_is_refused() {
    let (_, findings) = refusal(&migrated(&[M1, M2, M3]), &set(&[M1, M3, M4]));
    assert_eq!(findings, [Finding::MissingFile { id: id(&M2) }]);
}

#[test]
fn v11_a_late_merge_is_refused() {
    let (_, findings) = refusal(&migrated(&[M1, M3]), &set(&[M1, M2, M3]));
    assert_eq!(findings, [Finding::OutOfOrder { id: id(&M2), highest: M3.id.to_owned() }]);
}

#[test]
fn v12_tables_without_a_history_are_refused() {
    let file = File::new();
    file.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    let (status, _) = refusal(&file, &set(&[M1]));
    assert_eq!(status, Status::Unknown);
}

#[test]
fn v14_a_newer_layout_is_refused() {
    let file = migrated(&[M1]);
    file.execute("UPDATE _schema_meta SET value = '2' WHERE key = 'layout'");
    let (status, _) = refusal(&file, &set(&[M1, M2]));
    assert_eq!(status, Status::Unknown);
}

#[test]
fn a_newer_database_is_refused_by_name() {
    let file = migrated(&[M1, M2]);
    let (status, findings) = refusal(&file, &set(&[M1]));
    assert_eq!(status, Status::Ahead);
    let text = findings[0].to_string();
    assert!(text.contains("`ledger` has `0002_fees`, this program knows it up to `0001_orders`"));
}

#[test]
fn v16_a_failing_batch_names_the_statement_and_leaves_nothing() {
    const FAILING: Migration = migration(
        "0002_fees",
        "-- One; two.
CREATE TABLE fees (id INTEGER PRIMARY KEY, text TEXT UNIQUE) STRICT;
INSERT INTO fees (text) VALUES ('a;b');

-- The third fails.
INSERT INTO fees (text)
    VALUES ('a;b');
CREATE TABLE never (n);",
    );
    let error = failure(&[], &[M1, FAILING, M3]);
    let MigrateError::Statement { id: failed, .. } = &error else { panic!("{error}") };
    assert_eq!(*failed, id(&FAILING));
    assert_eq!((place(&error).statement, place(&error).line), (3, 6));
    assert_eq!(
        error.to_string(),
        "migration `ledger/0002_fees` failed at statement 3 on line 6, \
         `INSERT INTO fees (text)`: UNIQUE constraint failed: fees.text"
    );
}

#[test]
fn v16_wrong_sql_is_named_as_well() {
    let wrong = migration("0002_fees", "ALTER TABLE orders ADD COLUMN fee TEXT;\nCREAT TABLE t;");
    let error = failure(&[M1], &[M1, wrong, M3]);
    assert_eq!((place(&error).statement, place(&error).line), (2, 2));
    assert_eq!(
        error.to_string(),
        "migration `ledger/0002_fees` failed at statement 2 on line 2, `CREAT TABLE t;`: \
         near \"CREAT\": syntax error"
    );
}

#[test]
fn a_migration_may_not_leave_its_transaction() {
    for (sql, what) in [
        ("CREATE TABLE a (n); COMMIT; CREATE TABLE b (n);", "control the transaction"),
        ("CREATE TABLE a (n); END; BEGIN;", "control the transaction"),
        ("CREATE TABLE a (n); ROLLBACK;", "control the transaction"),
        ("CREATE TABLE a (n); RELEASE job;", "control the transaction"),
        ("CREATE TABLE a (n); SAVEPOINT mine;", "control the transaction"),
        ("CREATE TABLE a (n); ATTACH ':memory:' AS other;", "attach or detach a file"),
        ("CREATE TABLE a (n); PRAGMA foreign_keys = OFF;", "set the pragma `foreign_keys`"),
        ("CREATE TABLE a (n); PRAGMA journal_mode = DELETE;", "set the pragma `journal_mode`"),
    ] {
        let error = failure(&[M1], &[M1, migration("0002_escape", sql)]);
        let MigrateError::Forbidden { what: found, .. } = &error else { panic!("{sql}: {error}") };
        assert_eq!(found, what, "{sql}");
        assert_eq!(place(&error).statement, 2, "{sql}");
    }
}

#[test]
fn v21_a_rebuild_that_would_delete_other_rows_is_refused() {
    let rebuild = migration(
        "0004_rebuild",
        "INSERT INTO fills (order_id) SELECT id FROM orders;
         CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, text TEXT) STRICT;
         INSERT INTO rebuilt SELECT id, text FROM orders;
         DROP TABLE orders;
         ALTER TABLE rebuilt RENAME TO orders;",
    );
    let error = failure(&[M1, M2, M3], &[M1, M2, M3, rebuild]);
    assert_eq!(
        error.to_string(),
        "migration `ledger/0004_rebuild` is refused at statement 4 on line 4, \
         `DROP TABLE orders;`: it may not drop the table `orders`, which another table references"
    );
}

#[test]
fn rows_that_point_nowhere_are_found_before_the_commit() {
    let file = migrated(&[M1, M2, M3]);
    // Written behind the program's back, without enforcement.
    file.execute("INSERT INTO fills (order_id) VALUES (77), (78)");
    let before = file.dump();
    let error = migrate(&file.open(), &set(&[M1, M2, M3, M4]), NOW).expect_err("it is refused");
    assert_eq!(
        error.to_string(),
        "after the migration 2 rows would break a foreign key, \
         the first from table `fills` to `orders`"
    );
    assert_eq!(file.dump(), before);
}

#[test]
fn a_migration_that_meddles_with_the_history_is_undone() {
    let meddling = migration("0002_fees", "DELETE FROM _schema_history WHERE id = '0001_orders'");
    let error = failure(&[M1], &[M1, meddling]);
    assert!(matches!(error, MigrateError::NotCurrent(_)), "{error}");
}

#[test]
fn errors_go_wherever_a_program_carries_them() {
    fn carried<E: std::error::Error + Send + Sync + 'static>() {}
    carried::<MigrateError>();
    carried::<sqlite::StatusError>();
    carried::<Refusal>();
    carried::<SetError>();
}
