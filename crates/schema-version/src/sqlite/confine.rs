use std::sync::{Arc, OnceLock};

use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};

/// Pragmas that a migration may give a value: the first three are undone with the transaction,
/// the others only read; `ALTER TABLE` itself runs `quick_check`.
const PRAGMAS: [&str; 12] = [
    "application_id",
    "defer_foreign_keys",
    "user_version",
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_xinfo",
];

/// Runs a job that can do nothing which its transaction could not undo.
///
/// Answers what the job did, and what it tried that a migration may not do.
///
/// # Errors
/// The job could not be confined, and did not run.
pub(super) fn confined<T>(
    connection: &Connection,
    job: impl FnOnce() -> T,
) -> rusqlite::Result<(T, Option<String>)> {
    let forbidden = Arc::new(OnceLock::new());
    let tell = Arc::clone(&forbidden);
    let parents = referenced_tables(connection)?;
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        match escape(context.action, &parents) {
            None => Authorization::Allow,
            Some(what) => {
                tell.get_or_init(|| what);
                Authorization::Deny
            }
        }
    }))?;
    let _lifted = Lift(connection);
    let done = job();
    Ok((done, forbidden.get().cloned()))
}

/// Ends the confinement, also when the job panics.
struct Lift<'c>(&'c Connection);

impl Drop for Lift<'_> {
    fn drop(&mut self) {
        // Fails only on a connection that somebody else owns, and this one was just changed.
        drop(self.0.authorizer(None::<fn(AuthContext<'_>) -> Authorization>));
    }
}

/// What an action would do outside the transaction, or to rows nobody mentioned.
fn escape(action: AuthAction<'_>, parents: &[String]) -> Option<String> {
    match action {
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            Some("control the transaction".to_owned())
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Some("attach or detach a file".to_owned())
        }
        // The others last longer than the transaction, or do nothing inside one.
        AuthAction::Pragma { pragma_name: name, pragma_value: Some(_) }
            if !PRAGMAS.iter().any(|allowed| name.eq_ignore_ascii_case(allowed)) =>
        {
            Some(format!("set the pragma `{name}`"))
        }
        AuthAction::DropTable { table_name: name }
            if parents.iter().any(|parent| name.eq_ignore_ascii_case(parent)) =>
        {
            Some(format!("drop the table `{name}`, which another table references"))
        }
        _ => None,
    }
}

/// Tables that a foreign key of another table points to.
///
/// With foreign keys enforced, dropping one deletes its rows first, and `ON DELETE` acts on them.
fn referenced_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT DISTINCT fk.\"table\"
         FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS fk
         WHERE child.type = 'table' AND child.name <> fk.\"table\" COLLATE NOCASE",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}
