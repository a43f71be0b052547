//! Looks at a database, migrates it, and asks whether it may be traded on.

use backstop_clock::{Clock, SystemClock};
use backstop_schema_version::{MigrationSet, SchemaGate, gate, sqlite};
use backstop_storage::{Database, Migration};

const LETTERS: &[Migration] = &[
    Migration {
        component: "dlq",
        id: "0001_letters",
        sql: "CREATE TABLE letters (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT",
    },
    Migration {
        component: "dlq",
        id: "0002_parked",
        sql: "CREATE TABLE parked (key TEXT PRIMARY KEY) STRICT",
    },
];

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = MigrationSet::new(&[LETTERS])?;
    let db = Database::in_memory()?;

    if let SchemaGate::Closed(refusal) = gate(&sqlite::status(&db, &set)?) {
        println!("before: {refusal}");
    }
    for id in sqlite::migrate(&db, &set, SystemClock.now())?.applied {
        println!("applied {id}");
    }
    println!("after: {:?}", gate(&sqlite::status(&db, &set)?));

    // The same database, opened by an older release of the program.
    let older = MigrationSet::new(&[&LETTERS[..1]])?;
    if let SchemaGate::Closed(refusal) = gate(&sqlite::status(&db, &older)?) {
        println!("older release: {refusal}");
    }
    Ok(())
}
