use std::fmt;

use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator};

use super::confine::confined;

/// Characters of a failing statement that an error quotes.
const TEXT_CHARS_MAX: usize = 80;

/// Where in a migration's text a statement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Which statement, from 1.
    pub statement: usize,
    /// Line of the text on which it begins, from 1.
    pub line: usize,
    /// Its first line, cut after 80 characters.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {} on line {}, `{}`", self.statement, self.line, self.text)
    }
}

/// Finds the failing statement by running the text once more, one statement at a time.
///
/// Expects the savepoint `migration`; the caller rolls everything back.
/// `None` if the transaction is gone, or the failure was not in the text.
pub(super) fn locate(connection: &Connection, sql: &str) -> Option<Place> {
    if connection.is_autocommit() {
        return None;
    }
    connection.execute_batch("ROLLBACK TO migration").ok()?;
    confined(connection, || Ok(walk(connection, sql))).ok().flatten()
}

fn walk(connection: &Connection, sql: &str) -> Option<Place> {
    let mut batch = Batch::new(connection, sql);
    let mut rest = sql;
    for number in 1.. {
        let ran = match batch.next() {
            Ok(None) => return None,
            Ok(Some(mut statement)) => {
                // One step, as a batch does it.
                let stepped = statement.query([]).and_then(|mut rows| rows.next().map(drop));
                stepped.map(|()| statement.expanded_sql().unwrap_or_default())
            }
            Err(error) => Err(error),
        };
        match ran {
            Ok(text) => rest = rest.split_once(&text).map_or(rest, |(_, after)| after),
            Err(_) => return Some(place(number, sql, skip_comments(rest))),
        }
    }
    None
}

fn place(statement: usize, sql: &str, rest: &str) -> Place {
    let before = &sql[..sql.len() - rest.len()];
    let first_line = rest.lines().next().unwrap_or_default().trim_end();
    Place {
        statement,
        line: 1 + before.matches('\n').count(),
        text: first_line.chars().take(TEXT_CHARS_MAX).collect(),
    }
}

/// The text from its first character that is neither blank nor comment.
fn skip_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let comment_end = if text.starts_with("--") {
            text.find('\n').map(|at| at + 1)
        } else if text.starts_with("/*") {
            text.find("*/").map(|at| at + 2)
        } else {
            return text;
        };
        text = &text[comment_end.unwrap_or(text.len())..];
    }
}
