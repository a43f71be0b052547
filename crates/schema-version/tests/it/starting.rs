//! What a program may do when it starts.

use backstop_schema_version::{
    Environment, SchemaGate, Status,
    sqlite::{Start, on_start},
};

use crate::fixtures::{M1, M2, NOW, file::File, id, migration, set};

fn start(file: &File, migrations: &[backstop_storage::Migration], at: Environment) -> Start {
    on_start(&file.open(), &set(migrations), at, NOW).expect("the database can be asked")
}

fn closed(start: &Start) -> Status {
    let SchemaGate::Closed(refusal) = &start.gate else { panic!("{start:?}") };
    refusal.status
}

#[test]
fn development_migrates_a_fresh_and_an_outdated_database() {
    let file = File::new();
    let first = start(&file, &[M1], Environment::Development);
    assert_eq!((first.gate, first.applied), (SchemaGate::ReadWrite, vec![id(&M1)]));
    let second = start(&file, &[M1, M2], Environment::Development);
    assert_eq!((second.gate, second.applied), (SchemaGate::ReadWrite, vec![id(&M2)]));
}

#[test]
fn production_changes_nothing() {
    let file = File::new();
    let found = start(&file, &[M1], Environment::Production);
    assert_eq!(closed(&found), Status::Outdated);
    assert_eq!((found.applied, file.dump()), (Vec::new(), String::new()));
    start(&file, &[M1], Environment::Development);
    assert_eq!(start(&file, &[M1], Environment::Production).gate, SchemaGate::ReadWrite);
}

#[test]
fn development_leaves_alone_what_it_does_not_understand() {
    let file = File::new();
    start(&file, &[M1, M2], Environment::Development);
    let before = file.bytes();
    assert_eq!(closed(&start(&file, &[M1], Environment::Development)), Status::Ahead);
    let edited = migration(M2.id, "SELECT 2");
    let found = start(&file, &[M1, edited], Environment::Development);
    assert_eq!(closed(&found), Status::Incompatible);
    assert!(file.bytes() == before, "a refused start changed the file");
}

#[test]
fn an_unknown_environment_is_production() {
    for name in ["production", "staging", "dev", "Development", ""] {
        assert_eq!(Environment::named(name), Environment::Production, "{name:?}");
    }
}
