/// One step of a component's schema, as data.
///
/// Each crate that persists publishes its steps in order; ids sort as text within a component.
/// A step that has shipped is never edited: its checksum is stored with every database.
///
/// ```
/// use backstop_storage::Migration;
///
/// const FIRST: Migration = Migration {
///     component: "dlq",
///     id: "0001_letters",
///     sql: "CREATE TABLE letters (id TEXT PRIMARY KEY) STRICT",
/// };
/// assert!(FIRST.id < "0002_positions");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Whose schema this is, for example `position-ledger`.
    pub component: &'static str,
    /// Sortable name, for example `0001_journal`.
    pub id: &'static str,
    /// One or more SQL statements, without transaction control.
    pub sql: &'static str,
}
