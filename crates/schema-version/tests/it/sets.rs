//! A set is checked when it is built, before any database is opened.

use backstop_schema_version::{MigrationId, MigrationSet, SetError};
use backstop_storage::Migration;

use crate::fixtures::{M1, M2, M3, id, migration};

const LETTERS: Migration =
    Migration { component: "dlq", id: "0001_letters", sql: "CREATE TABLE letters (id TEXT)" };

fn refused(parts: &[&[Migration]]) -> SetError {
    MigrationSet::new(parts).expect_err("the set is refused")
}

#[test]
fn v10_a_duplicate_id_is_refused() {
    assert_eq!(refused(&[&[M1, M2, M2]]), SetError::DuplicateId(id(&M2)));
    assert_eq!(refused(&[&[M1, M2], &[M1]]), SetError::DuplicateId(id(&M1)));
}

#[test]
fn ids_that_do_not_rise_are_refused() {
    let error = refused(&[&[M1, M3, M2]]);
    assert_eq!(error, SetError::Unsorted { id: id(&M2), before: M3.id.to_owned() });
    assert_eq!(
        error.to_string(),
        "migration `ledger/0002_fees` comes after `0003_fills` but sorts below it"
    );
    // Ids are text: numbers of different widths do not sort as one would count.
    let tenth = migration("10_later", "SELECT 1");
    assert!(matches!(
        refused(&[&[migration("9_early", "SELECT 1"), tenth]]),
        SetError::Unsorted { .. }
    ));
}

#[test]
fn an_empty_set_or_part_is_refused() {
    assert_eq!(refused(&[]), SetError::Empty);
    assert_eq!(refused(&[&[M1], &[]]), SetError::EmptyPart { position: 1 });
}

#[test]
fn blank_and_invisible_names_are_refused() {
    let blank = |id: MigrationId, field| SetError::Blank { id, field };
    assert_eq!(
        refused(&[&[migration("", "SELECT 1")]]),
        blank(MigrationId::new("ledger", ""), "id")
    );
    assert_eq!(
        refused(&[&[migration("0001", " \n")]]),
        blank(MigrationId::new("ledger", "0001"), "sql")
    );
    let nameless = Migration { component: " ", ..M1 };
    assert_eq!(refused(&[&[nameless]]), blank(MigrationId::new(" ", M1.id), "component"));
    assert_eq!(
        refused(&[&[migration("0001 orders", "SELECT 1")]]),
        SetError::Name { field: "id", value: "0001 orders".to_owned() }
    );
}

#[test]
fn every_component_has_a_line_of_its_own() {
    let set = MigrationSet::new(&[&[M1, M2], &[LETTERS]]).expect("lines are independent");
    let order: Vec<_> = set.iter().map(|m| m.id).collect();
    assert_eq!(order, ["0001_orders", "0002_fees", "0001_letters"]);
    assert_eq!(set.head("ledger"), Some("0002_fees"));
    assert_eq!(set.head("dlq"), Some("0001_letters"));
    assert_eq!(set.head("other"), None);
}
