//! Three migrations of one component, and rows that say what a database has of them.

use std::collections::BTreeMap;

use backstop_clock::Timestamp;
use backstop_schema_version::{MigrationId, MigrationSet};
use backstop_storage::{
    Migration,
    history::{self, History, LAYOUT, Row, State},
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) const M1: Migration = migration(
    "0001_orders",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
     INSERT INTO orders (text) VALUES ('first');",
);
pub(crate) const M2: Migration =
    migration("0002_fees", "-- Fees came later.\nALTER TABLE orders ADD COLUMN fee TEXT;\n");
pub(crate) const M3: Migration = migration(
    "0003_fills",
    "CREATE TABLE fills (
         id INTEGER PRIMARY KEY,
         order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE
     ) STRICT;",
);
pub(crate) const M4: Migration =
    migration("0004_lots", "CREATE TABLE lots (id INTEGER PRIMARY KEY) STRICT;");

pub(crate) const fn migration(id: &'static str, sql: &'static str) -> Migration {
    Migration { component: "ledger", id, sql }
}

pub(crate) fn set(migrations: &[Migration]) -> MigrationSet {
    MigrationSet::new(&[migrations]).expect("the migrations make a set")
}

pub(crate) fn id(migration: &Migration) -> MigrationId {
    migration.into()
}

pub(crate) fn applied(migration: &Migration) -> Row {
    Row {
        component: migration.component.to_owned(),
        id: migration.id.to_owned(),
        checksum: history::checksum(migration.sql),
        state: State::Applied,
        applied_at: NOW,
    }
}

/// A history in which all these migrations are applied.
pub(crate) fn history_of(migrations: &[Migration]) -> History {
    present(migrations.iter().map(applied).collect(), &[])
}

pub(crate) fn present(rows: Vec<Row>, meta: &[(&str, &str)]) -> History {
    let meta = meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    History::Present { layout: LAYOUT, rows, meta: meta.collect::<BTreeMap<_, _>>() }
}

#[cfg(feature = "sqlite")]
pub(crate) mod file {
    //! A database on disk, and what is in it.

    use std::{ffi::OsString, fmt::Write as _, fs, path::PathBuf};

    use backstop_storage::Database;
    use rusqlite::{Connection, OpenFlags, types::Value};
    use tempfile::TempDir;

    pub(crate) struct File {
        pub(crate) path: PathBuf,
        _folder: TempDir,
    }

    impl File {
        pub(crate) fn new() -> Self {
            let folder = TempDir::new().expect("a temporary folder");
            Self { path: folder.path().join("books.db"), _folder: folder }
        }

        pub(crate) fn open(&self) -> Database {
            Database::open(&self.path).expect("the database opens")
        }

        /// Changes the file behind the program's back, through a connection of its own.
        pub(crate) fn execute(&self, sql: &str) {
            let connection = Connection::open(&self.path).expect("the database opens");
            connection.pragma_update(None, "foreign_keys", false).expect("a pragma");
            connection.execute_batch(sql).expect("the statements run");
        }

        /// Every byte of the file and its write-ahead log.
        pub(crate) fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
            let mut log = OsString::from(&self.path);
            log.push("-wal");
            (fs::read(&self.path).unwrap_or_default(), fs::read(log).unwrap_or_default())
        }

        /// Every object and every row, as text.
        pub(crate) fn dump(&self) -> String {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
            let connection = Connection::open_with_flags(&self.path, flags).expect("it opens");
            let mut text =
                rows(&connection, "SELECT type, name, sql FROM sqlite_schema ORDER BY name");
            let mut statement = connection
                .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
                .expect("a statement");
            let names = statement.query_map([], |row| row.get(0)).expect("names");
            for name in names.map(|name: rusqlite::Result<String>| name.expect("a name")) {
                text += &rows(&connection, &format!("SELECT '{name}', * FROM \"{name}\""));
            }
            text
        }
    }

    fn rows(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(sql).expect("a statement");
        let columns = statement.column_count();
        let mut found = statement.query([]).expect("rows");
        let mut text = String::new();
        while let Some(row) = found.next().expect("a row") {
            for column in 0..columns {
                let value: Value = row.get(column).expect("a value");
                write!(text, "{value:?} ").expect("text grows");
            }
            text.push('\n');
        }
        text
    }
}
