use std::fmt;

use crate::{MigrationId, Status};

/// One reason why a database is not simply current.
///
/// Each kind of finding stands for one status; its text is complete enough to print alone.
///
/// ```
/// use backstop_schema_version::{Finding, MigrationId, Status};
///
/// let finding = Finding::NeedsBaseline { user_objects: 3 };
/// assert_eq!(finding.status(), Status::Unknown);
/// let finding = Finding::MissingFile { id: MigrationId::new("ledger", "0002_fees") };
/// assert_eq!(finding.status(), Status::Incompatible);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The history could not be read; this is never taken for an empty database.
    Unreadable {
        /// What the database said.
        why: String,
    },
    /// The history was written in a layout that this crate does not know.
    Layout {
        /// Layout version found in the database; a higher one was written by a newer tool.
        found: u32,
        /// The layout version this crate reads.
        known: u32,
    },
    /// The database has objects, but nothing says which migrations made them.
    NeedsBaseline {
        /// Tables, indexes, views and triggers found.
        user_objects: u32,
    },
    /// A migration was started and never finished.
    Dirty {
        /// The migration whose row is not `applied`.
        id: MigrationId,
    },
    /// The text of an applied migration is not the text that was applied.
    Edited {
        /// The migration whose text differs.
        id: MigrationId,
        /// Checksum stored when it was applied.
        recorded: String,
        /// Checksum of the text in this program.
        expected: String,
    },
    /// An applied migration is gone from the program, though the program has later ones.
    MissingFile {
        /// The applied migration.
        id: MigrationId,
    },
    /// A migration is not applied, though a later one of its component is.
    OutOfOrder {
        /// The pending migration.
        id: MigrationId,
        /// The highest applied id of the same component.
        highest: String,
    },
    /// A component's line goes on beyond what this program knows.
    Ahead(Lead),
}

/// How far a component of the database is ahead of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lead {
    /// The component.
    pub component: String,
    /// The highest applied id.
    pub found: String,
    /// The last id the program knows; `None` if it does not know the component.
    pub known: Option<&'static str>,
    /// The lowest head with which a program may still write, as the database says.
    pub write_floor: Option<String>,
    /// The lowest head with which a program may still read, as the database says.
    pub read_floor: Option<String>,
}

impl Finding {
    /// The status this finding alone would give.
    pub fn status(&self) -> Status {
        match self {
            Self::Unreadable { .. } | Self::Layout { .. } | Self::NeedsBaseline { .. } => {
                Status::Unknown
            }
            Self::Dirty { .. }
            | Self::Edited { .. }
            | Self::MissingFile { .. }
            | Self::OutOfOrder { .. } => Status::Incompatible,
            Self::Ahead(_) => Status::Ahead,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { why } => write!(f, "the migration history cannot be read: {why}"),
            Self::Layout { found, known } => write!(
                f,
                "the migration history has layout {found}, this program reads layout {known}"
            ),
            Self::NeedsBaseline { user_objects } => write!(
                f,
                "the database has {user_objects} objects but no migration history; \
                 it needs a baseline"
            ),
            Self::Dirty { id } => write!(f, "migration `{id}` was started and never finished"),
            Self::Edited { id, recorded, expected } => write!(
                f,
                "migration `{id}` was edited after it was applied: \
                 the database recorded {recorded}, this program has {expected}"
            ),
            Self::MissingFile { id } => write!(
                f,
                "migration `{id}` is applied, but this program does not have it, only later ones"
            ),
            Self::OutOfOrder { id, highest } => {
                write!(f, "migration `{id}` is not applied, though the later `{highest}` is")
            }
            Self::Ahead(lead) => lead.fmt(f),
        }
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "component `{}` has `{}`, this program ", self.component, self.found)?;
        match self.known {
            Some(known) => write!(f, "knows it up to `{known}`")?,
            None => f.write_str("does not know it")?,
        }
        match &self.write_floor {
            Some(floor) => write!(f, " (the oldest program that may write knows `{floor}`)"),
            None => f.write_str(" (the database admits no older program)"),
        }
    }
}
