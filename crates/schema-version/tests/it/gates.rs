//! Which database opens the gate, and what a closed one says.

use backstop_error_taxonomy::{Classify, Effect, Kind};
use backstop_schema_version::{Assessment, MigrationSet, Refusal, SchemaGate, assess, gate};
use backstop_storage::history::History;

use crate::fixtures::{M1, M2, M3, M4, applied, history_of, migration, present, set};

fn gate_of(history: &History, set: &MigrationSet) -> SchemaGate {
    gate(&assess(history, set))
}

fn refusal(history: &History, set: &MigrationSet) -> Refusal {
    let SchemaGate::Closed(refusal) = gate_of(history, set) else { panic!("the gate is closed") };
    assert_eq!(refusal.class().kind(), Kind::Precondition);
    assert_eq!(refusal.class().effect(), Effect::NotApplied);
    refusal
}

#[test]
fn a_current_database_opens_it() {
    assert_eq!(gate_of(&history_of(&[M1, M2]), &set(&[M1, M2])), SchemaGate::ReadWrite);
}

#[test]
fn v04_v05_floors_open_it_to_an_older_program() {
    let newer = |floors| present([M1, M2, M3, M4].iter().map(applied).collect(), floors);
    let older = set(&[M1, M2, M3]);
    let writing = newer(&[("write_floor:ledger", M3.id)]);
    assert_eq!(gate_of(&writing, &older), SchemaGate::ReadWrite);
    let reading = newer(&[("write_floor:ledger", M4.id), ("read_floor:ledger", M3.id)]);
    assert_eq!(gate_of(&reading, &older), SchemaGate::ReadOnly);
}

#[test]
fn a_newer_database_closes_it_and_names_both_sides() {
    let text = refusal(&history_of(&[M1, M2, M3, M4]), &set(&[M1, M2, M3])).to_string();
    assert_eq!(
        text,
        "the schema is newer than this program: \
         component `ledger` has `0004_lots`, this program knows it up to `0003_fills` \
         (the database admits no older program)"
    );
    let floors = [("write_floor:ledger", M3.id)];
    let newer = present([M1, M2, M3, M4].iter().map(applied).collect(), &floors);
    let text = refusal(&newer, &set(&[M1, M2])).to_string();
    assert_eq!(
        text,
        "the schema is newer than this program: \
         component `ledger` has `0004_lots`, this program knows it up to `0002_fees` \
         (the oldest program that may write knows `0003_fills`)"
    );
    let foreign = set(&[backstop_storage::Migration { component: "dlq", ..M1 }]);
    let text = refusal(&history_of(&[M1]), &foreign).to_string();
    assert!(
        text.contains("component `ledger` has `0001_orders`, this program does not know it"),
        "{text}"
    );
}

#[test]
fn an_outdated_database_closes_it_and_says_what_is_pending() {
    let text = refusal(&history_of(&[M1]), &set(&[M1, M2, M3])).to_string();
    assert_eq!(
        text,
        "the schema is outdated: 2 migrations are pending, the first is `ledger/0002_fees`"
    );
}

#[test]
fn contradictions_close_it_and_say_which() {
    let edited = set(&[M1, migration(M2.id, "SELECT 2")]);
    let text = refusal(&history_of(&[M1, M2]), &edited).to_string();
    assert!(text.contains("`ledger/0002_fees` was edited after it was applied"), "{text}");
    let text = refusal(&history_of(&[M1, M3]), &set(&[M1, M2, M3])).to_string();
    assert!(text.contains("`ledger/0002_fees` is not applied"), "{text}");
    assert!(text.contains("`0003_fills`"), "{text}");
}

#[test]
fn what_could_not_be_read_closes_it() {
    let SchemaGate::Closed(refusal) = gate(&Assessment::unreadable("no such column: seq")) else {
        panic!("the gate is closed")
    };
    assert_eq!(
        refusal.to_string(),
        "the schema is unknown: the migration history cannot be read: no such column: seq"
    );
    let foreign = History::Absent { user_objects: 4 };
    assert!(matches!(gate_of(&foreign, &set(&[M1])), SchemaGate::Closed(_)));
}
