use std::{collections::BTreeMap, fmt};

use backstop_error_taxonomy::{Class, Classify, Kind};
use backstop_storage::{Migration, history};
use thiserror::Error;

/// The name of a migration: a component and an id on that component's own line.
///
/// Written `component/id`.
/// The order is the component's name first, then the id as text.
///
/// ```
/// use backstop_schema_version::MigrationId;
///
/// let id = MigrationId::new("ledger", "0001_journal");
/// assert_eq!(id.to_string(), "ledger/0001_journal");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationId {
    component: String,
    id: String,
}

impl MigrationId {
    /// Names migration `id` of `component`.
    pub fn new(component: impl Into<String>, id: impl Into<String>) -> Self {
        Self { component: component.into(), id: id.into() }
    }

    /// Whose schema it belongs to.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// Its place on the component's line.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl From<&Migration> for MigrationId {
    fn from(migration: &Migration) -> Self {
        Self::new(migration.component, migration.id)
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.component, self.id)
    }
}

/// The migrations a program was built with, checked.
///
/// Every component has a line of its own: its ids rise as text, and say nothing about the ids of
/// another component.
/// Migrations run in the order in which they were given.
///
/// ```
/// use backstop_schema_version::{MigrationSet, SetError};
/// use backstop_storage::Migration;
///
/// const LETTERS: &[Migration] = &[
///     Migration { component: "dlq", id: "0001_letters", sql: "CREATE TABLE letters (id TEXT)" },
///     Migration { component: "dlq", id: "0002_parked", sql: "CREATE TABLE parked (id TEXT)" },
/// ];
/// let set = MigrationSet::new(&[LETTERS])?;
/// assert_eq!(set.head("dlq"), Some("0002_parked"));
///
/// let twice = MigrationSet::new(&[LETTERS, LETTERS]);
/// assert!(matches!(twice, Err(SetError::DuplicateId(id)) if id.id() == "0001_letters"));
/// # Ok::<(), SetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MigrationSet {
    steps: Vec<Step>,
}

/// A migration and what a database that applied it has recorded.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) migration: Migration,
    pub(crate) checksum: String,
}

impl MigrationSet {
    /// Joins what several components publish, in the order in which they are to run.
    ///
    /// # Errors
    /// [`SetError`] if there is nothing to run, a name or a text is blank, an id stands twice, or
    /// the ids of a component do not rise.
    /// No database is needed to find out.
    pub fn new(parts: &[&[Migration]]) -> Result<Self, SetError> {
        if let Some(position) = parts.iter().position(|part| part.is_empty()) {
            return Err(SetError::EmptyPart { position });
        }
        let mut steps = Vec::new();
        let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for migration in parts.iter().copied().flatten() {
            check_texts(migration)?;
            let line = lines.entry(migration.component).or_default();
            if line.contains(&migration.id) {
                return Err(SetError::DuplicateId(migration.into()));
            }
            if let Some(before) = line.last().filter(|before| **before > migration.id) {
                let before = (*before).to_owned();
                return Err(SetError::Unsorted { id: migration.into(), before });
            }
            line.push(migration.id);
            steps.push(Step { migration: *migration, checksum: history::checksum(migration.sql) });
        }
        if steps.is_empty() { Err(SetError::Empty) } else { Ok(Self { steps }) }
    }

    /// The migrations in the order in which they run.
    pub fn iter(&self) -> impl Iterator<Item = &Migration> {
        self.steps.iter().map(|step| &step.migration)
    }

    /// The last id of a component, or `None` if the set does not have the component.
    pub fn head(&self, component: &str) -> Option<&'static str> {
        let last = self.steps.iter().rfind(|step| step.migration.component == component);
        last.map(|step| step.migration.id)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn check_texts(migration: &Migration) -> Result<(), SetError> {
    let fields = [("component", migration.component), ("id", migration.id), ("sql", migration.sql)];
    for (field, text) in fields {
        if text.trim().is_empty() {
            return Err(SetError::Blank { id: migration.into(), field });
        }
    }
    for (field, name) in [fields[0], fields[1]] {
        // Names are compared as text and printed on a terminal: nothing invisible in them.
        if !name.chars().all(|c| c.is_ascii_graphic()) {
            return Err(SetError::Name { field, value: name.to_owned() });
        }
    }
    Ok(())
}

/// Why a list of migrations is no set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetError {
    /// No migrations were given at all.
    #[error("a migration set needs at least one component, none was given")]
    Empty,
    /// A component gave an empty list; counted from zero.
    #[error(
        "part {position} of the migration set is empty; a component has at least one migration"
    )]
    EmptyPart {
        /// Index of the empty list.
        position: usize,
    },
    /// A name or a text is empty or blank.
    #[error("migration `{id}`: field `{field}` is blank")]
    Blank {
        /// The migration as far as it has a name.
        id: MigrationId,
        /// `component`, `id` or `sql`.
        field: &'static str,
    },
    /// A name has a character other than visible ASCII.
    #[error("migration {field} {value:?} has a character that is not visible ASCII")]
    Name {
        /// `component` or `id`.
        field: &'static str,
        /// The name as given.
        value: String,
    },
    /// An id stands twice on its component's line.
    #[error("migration `{0}` stands twice in the set")]
    DuplicateId(MigrationId),
    /// An id sorts below the one given before it.
    #[error("migration `{id}` comes after `{before}` but sorts below it")]
    Unsorted {
        /// The migration that is out of place.
        id: MigrationId,
        /// The id of the same component that was given before it.
        before: String,
    },
}

impl Classify for SetError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}
