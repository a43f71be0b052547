//! One durable write carries the queued ones with it.

use backstop_clock::{Clock, SystemClock};
use backstop_storage::{Database, Migration, history};

const SET: &[Migration] = &[Migration {
    component: "notes",
    id: "0001_notes",
    sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
}];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Database::in_memory()?;
    history::create(&db, SET, SystemClock.now())?;

    let before = db.commits();
    let queued = db.submit(|c| c.execute("INSERT INTO notes (text) VALUES ('accepted')", []));
    db.write(|c| c.execute("INSERT INTO notes (text) VALUES ('intended')", []))?;
    assert_eq!(queued.wait()?, 1);
    assert_eq!(db.commits(), before + 1);
    Ok(())
}
