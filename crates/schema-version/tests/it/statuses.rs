//! What a recorded history says about a program, decided without a database.

use backstop_schema_version::{Compatibility, Finding, MigrationSet, Status, assess};
use backstop_storage::{
    Migration,
    history::{self, History, Row, State},
};

use crate::fixtures::{M1, M2, M3, M4, NOW, applied, history_of, id, migration, present, set};

const OTHER: Migration =
    Migration { component: "dlq", id: "0001_letters", sql: "CREATE TABLE letters (id TEXT)" };

fn ids(path: &[Migration]) -> Vec<&'static str> {
    path.iter().map(|m| m.id).collect()
}

#[test]
fn v01_an_empty_database_is_outdated_with_the_whole_path() {
    let seen = assess(&History::Absent { user_objects: 0 }, &set(&[M1, M2, M3]));
    assert_eq!(seen.status, Status::Outdated);
    assert_eq!(seen.path, [M1, M2, M3]);
    assert_eq!(seen.findings, []);
    assert_eq!(seen.last_migration_at, None);
    let [line] = &seen.lines[..] else { panic!("one component has one line") };
    assert_eq!((line.current.as_deref(), line.target), (None, Some(M3.id)));
}

#[test]
fn v02_the_same_history_is_current() {
    let seen = assess(&history_of(&[M1, M2, M3]), &set(&[M1, M2, M3]));
    assert_eq!((seen.status, seen.compatibility), (Status::Current, Compatibility::Full));
    assert!(seen.path.is_empty() && seen.findings.is_empty());
    assert_eq!(seen.last_migration_at, Some(NOW));
}

#[test]
fn v03_what_is_missing_at_the_end_is_the_path() {
    let seen = assess(&history_of(&[M1]), &set(&[M1, M2, M3]));
    assert_eq!(seen.status, Status::Outdated);
    assert_eq!(ids(&seen.path), [M2.id, M3.id]);
    assert_eq!(seen.lines[0].current.as_deref(), Some(M1.id));
}

fn ahead(meta: &[(&str, &str)]) -> (Status, Compatibility) {
    let rows = [M1, M2, M3, M4].iter().map(applied).collect();
    let seen = assess(&present(rows, meta), &set(&[M1, M2, M3]));
    assert!(seen.path.is_empty());
    (seen.status, seen.compatibility)
}

#[test]
fn v04_a_newer_database_may_admit_an_older_writer() {
    assert_eq!(ahead(&[("write_floor:ledger", M3.id)]), (Status::Ahead, Compatibility::Full));
}

#[test]
fn v05_a_newer_database_may_admit_an_older_reader() {
    let floors = [("write_floor:ledger", M4.id), ("read_floor:ledger", M3.id)];
    assert_eq!(ahead(&floors), (Status::Ahead, Compatibility::ReadOnly));
}

#[test]
fn without_a_valid_floor_an_older_program_may_do_nothing() {
    assert_eq!(ahead(&[]), (Status::Ahead, Compatibility::None));
    let both_above = [("write_floor:ledger", M4.id), ("read_floor:ledger", M4.id)];
    assert_eq!(ahead(&both_above).1, Compatibility::None);
    // A floor that names no applied migration, or another component's floor, permits nothing.
    for void in ["", "0", "0002", "0003_fill"] {
        assert_eq!(ahead(&[("write_floor:ledger", void)]).1, Compatibility::None, "{void:?}");
    }
    assert_eq!(ahead(&[("write_floor:dlq", M3.id)]).1, Compatibility::None);
    assert_eq!(ahead(&[("write_floor", M3.id)]).1, Compatibility::None);
}

#[test]
fn a_newer_database_without_a_migration_of_this_program_admits_nobody() {
    let rows = [M1, M2].iter().map(applied).collect();
    let set = MigrationSet::new(&[&[M1], &[OTHER]]).expect("a set");
    let seen = assess(&present(rows, &[("write_floor:ledger", M1.id)]), &set);
    assert_eq!((seen.status, seen.compatibility), (Status::Ahead, Compatibility::None));
    assert_eq!(ids(&seen.path), [OTHER.id]);
}

#[test]
fn an_unknown_component_is_ahead() {
    let rows = [M1, OTHER].iter().map(applied).collect();
    let seen = assess(&present(rows, &[("write_floor:dlq", OTHER.id)]), &set(&[M1]));
    assert_eq!((seen.status, seen.compatibility), (Status::Ahead, Compatibility::None));
    let [Finding::Ahead(lead)] = &seen.findings[..] else { panic!("one finding") };
    assert_eq!((&*lead.component, &*lead.found, lead.known), ("dlq", OTHER.id, None));
}

#[test]
fn v06_an_edited_migration_is_incompatible() {
    let edited = migration(M2.id, "ALTER TABLE orders ADD COLUMN tax TEXT;");
    let seen = assess(&history_of(&[M1, M2, M3]), &set(&[M1, edited, M3]));
    assert_eq!((seen.status, seen.compatibility), (Status::Incompatible, Compatibility::None));
    let expected = Finding::Edited {
        id: id(&M2),
        recorded: history::checksum(M2.sql),
        expected: history::checksum(edited.sql),
    };
    assert_eq!(seen.findings, [expected]);
}

#[test]
fn v07_line_ends_and_marks_are_no_edit() {
    for text in [
        "-- Fees came later.\r\nALTER TABLE orders ADD COLUMN fee TEXT;\r\n",
        "\u{feff}-- Fees came later.\nALTER TABLE orders ADD COLUMN fee TEXT;\n",
        "-- Fees came later.\nALTER TABLE orders ADD COLUMN fee TEXT;\n\n\n",
    ] {
        let seen = assess(&history_of(&[M1, M2, M3]), &set(&[M1, migration(M2.id, text), M3]));
        assert_eq!(seen.status, Status::Current, "{text:?}");
    }
}

#[test]
fn v08_an_applied_migration_that_is_gone_is_incompatible() {
    let seen = assess(&history_of(&[M1, M2, M3]), &set(&[M1, M3]));
    assert_eq!(seen.status, Status::Incompatible);
    assert_eq!(seen.findings, [Finding::MissingFile { id: id(&M2) }]);
}

#[test]
fn v11_a_late_merge_is_incompatible() {
    let seen = assess(&history_of(&[M1, M3]), &set(&[M1, M2, M3]));
    assert_eq!(seen.status, Status::Incompatible);
    let expected = Finding::OutOfOrder { id: id(&M2), highest: M3.id.to_owned() };
    assert_eq!(seen.findings, [expected]);
}

#[test]
fn v12_tables_without_a_history_are_unknown() {
    let seen = assess(&History::Absent { user_objects: 2 }, &set(&[M1]));
    assert_eq!((seen.status, seen.compatibility), (Status::Unknown, Compatibility::Undetermined));
    assert_eq!(seen.findings, [Finding::NeedsBaseline { user_objects: 2 }]);
    assert!(seen.path.is_empty() && seen.lines.is_empty());
}

#[test]
fn v14_a_history_of_another_layout_is_unknown() {
    for found in [0, 2, 9] {
        let history = History::Present { layout: found, rows: Vec::new(), meta: [].into() };
        let seen = assess(&history, &set(&[M1]));
        assert_eq!(seen.status, Status::Unknown);
        assert_eq!(seen.findings, [Finding::Layout { found, known: history::LAYOUT }]);
    }
}

#[test]
fn an_unfinished_row_is_incompatible() {
    for state in [State::Started, State::Failed] {
        let rows = vec![applied(&M1), Row { state, ..applied(&M2) }];
        let seen = assess(&present(rows, &[]), &set(&[M1, M2]));
        assert_eq!(seen.status, Status::Incompatible);
        assert_eq!(seen.findings, [Finding::Dirty { id: id(&M2) }]);
    }
}

#[test]
fn the_first_finding_decides_and_all_are_listed() {
    let rows = vec![
        Row { checksum: "v1:00".to_owned(), ..applied(&M1) },
        applied(&migration("0001a_gone", "SELECT 1")),
        Row { state: State::Started, ..applied(&M3) },
        applied(&M4),
    ];
    let seen = assess(&present(rows, &[("write_floor:ledger", M1.id)]), &set(&[M1, M2, M3]));
    assert_eq!(seen.status, Status::Incompatible);
    let kinds: Vec<_> = seen.findings.iter().map(kind).collect();
    assert_eq!(kinds, ["dirty", "edited", "missing", "out of order", "ahead"]);
}

fn kind(finding: &Finding) -> &'static str {
    match finding {
        Finding::Dirty { .. } => "dirty",
        Finding::Edited { .. } => "edited",
        Finding::MissingFile { .. } => "missing",
        Finding::OutOfOrder { .. } => "out of order",
        Finding::Ahead(_) => "ahead",
        _ => "other",
    }
}
