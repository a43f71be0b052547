//! Migrations that succeed, or have nothing to do.

use backstop_schema_version::{
    MigrationSet, SchemaGate, Status, gate,
    sqlite::{MigrateError, apply, migrate, status},
};
use backstop_storage::{Migration, history};

use crate::fixtures::{M1, M2, M3, M4, NOW, file::File, id, migration, set};

const LETTERS: Migration =
    Migration { component: "dlq", id: "0001_letters", sql: "CREATE TABLE letters (id TEXT)" };

#[test]
fn the_whole_path_is_applied_in_one_commit() {
    let file = File::new();
    let db = file.open();
    let set = MigrationSet::new(&[&[M1, M2], &[LETTERS]]).expect("a set");
    let report = migrate(&db, &set, NOW).expect("the migrations apply");
    assert_eq!(report.applied, [id(&M1), id(&M2), id(&LETTERS)]);
    assert_eq!(db.commits(), 1);

    let seen = status(&db, &set).expect("a status");
    assert_eq!(gate(&seen), SchemaGate::ReadWrite);
    assert_eq!(seen.last_migration_at, Some(NOW));
    let orders: u32 = db
        .read(|c| c.query_row("SELECT count(*) FROM orders WHERE fee IS NULL", [], |r| r.get(0)))
        .expect("both statements and the next migration ran");
    assert_eq!(orders, 1);
}

#[test]
fn a_second_call_changes_nothing() {
    let file = File::new();
    let db = file.open();
    migrate(&db, &set(&[M1, M2]), NOW).expect("the migrations apply");
    let (bytes, commits) = (file.bytes(), db.commits());
    let again = migrate(&db, &set(&[M1, M2]), NOW).expect("nothing to do");
    assert_eq!(again.applied, []);
    assert_eq!(db.commits(), commits);
    assert!(file.bytes() == bytes, "doing nothing changed the file");
}

#[test]
fn only_what_is_pending_runs() {
    let file = File::new();
    let db = file.open();
    migrate(&db, &set(&[M1]), NOW).expect("the migrations apply");
    let report = migrate(&db, &set(&[M1, M2, M3]), NOW).expect("the migrations apply");
    assert_eq!(report.applied, [id(&M2), id(&M3)]);
}

#[test]
fn a_new_component_joins_an_existing_database() {
    let file = File::new();
    let db = file.open();
    migrate(&db, &set(&[M1]), NOW).expect("the migrations apply");
    let both = MigrationSet::new(&[&[LETTERS], &[M1]]).expect("a set");
    let report = migrate(&db, &both, NOW).expect("the migrations apply");
    assert_eq!(report.applied, [id(&LETTERS)]);
}

#[test]
fn a_database_made_by_a_quick_start_passes() {
    let file = File::new();
    let db = file.open();
    history::create(&db, &[M1, M2], NOW).expect("the quick start");
    assert_eq!(status(&db, &set(&[M1, M2])).expect("a status").status, Status::Current);
}

#[test]
fn a_newer_database_that_admits_this_program_needs_nothing() {
    let file = File::new();
    let db = file.open();
    migrate(&db, &set(&[M1, M2, M3, M4]), NOW).expect("the migrations apply");
    file.execute("INSERT INTO _schema_meta VALUES ('write_floor:ledger', '0003_fills')");
    let report = migrate(&db, &set(&[M1, M2, M3]), NOW).expect("nothing to do");
    assert_eq!(report.applied, []);
}

#[test]
fn a_plan_that_no_longer_holds_is_refused() {
    let file = File::new();
    let db = file.open();
    let set = set(&[M1, M2]);
    let approved = status(&db, &set).expect("a status");
    migrate(&db, &self::set(&[M1]), NOW).expect("somebody else was faster");
    let before = file.dump();
    let error = apply(&db, &set, &approved, NOW).expect_err("the plan is stale");
    let MigrateError::StalePlan { approved, found } = &error else { panic!("{error}") };
    assert_eq!((&approved[..], &found[..]), (&[id(&M1), id(&M2)][..], &[id(&M2)][..]));
    assert_eq!(file.dump(), before);
}

#[test]
fn a_plan_that_somebody_else_has_finished_leaves_nothing_to_do() {
    let file = File::new();
    let db = file.open();
    let set = set(&[M1, M2]);
    let approved = status(&db, &set).expect("a status");
    migrate(&db, &set, NOW).expect("somebody else was faster");
    assert_eq!(apply(&db, &set, &approved, NOW).expect("nothing to do").applied, []);
}

#[test]
fn triggers_and_transactional_pragmas_are_allowed() {
    let file = File::new();
    let db = file.open();
    let trigger = migration(
        "0002_trigger",
        "PRAGMA user_version = 7;
         CREATE TRIGGER no_delete BEFORE DELETE ON orders
         BEGIN SELECT raise(ABORT, 'orders stay'); END;",
    );
    migrate(&db, &set(&[M1, trigger]), NOW).expect("the migrations apply");
    let version: u32 =
        db.read(|c| c.query_row("PRAGMA user_version", [], |r| r.get(0))).expect("a version");
    assert_eq!(version, 7);
    db.write(|c| c.execute("DELETE FROM orders", [])).expect_err("the trigger is there");
}

#[test]
fn the_confinement_ends_with_the_migration() {
    let file = File::new();
    let db = file.open();
    migrate(&db, &set(&[M1]), NOW).expect("the migrations apply");
    db.write(|c| c.execute_batch("SAVEPOINT mine; RELEASE mine; PRAGMA cache_size = 100"))
        .expect("an ordinary job may");
}
