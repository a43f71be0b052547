use std::fmt;

use backstop_error_taxonomy::{Class, Classify, Effect, Kind};

use crate::{Assessment, Compatibility, Finding, MigrationId, Status};

/// What a program may do with the database now.
///
/// A host sends orders only while it is `ReadWrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaGate {
    /// The schema is understood: read and write.
    ReadWrite,
    /// The database permits this older program to read, but not to write.
    ReadOnly,
    /// Neither read nor write.
    Closed(Refusal),
}

/// Derives from an assessment what may be done with the database.
///
/// | status | compatibility | gate |
/// |---|---|---|
/// | `Current` | `Full` | `ReadWrite` |
/// | `Ahead` | `Full` | `ReadWrite` |
/// | `Ahead` | `ReadOnly` | `ReadOnly` |
/// | all else | | `Closed` |
///
/// # Examples
/// ```
/// use backstop_schema_version::{MigrationSet, SchemaGate, assess, gate};
/// use backstop_storage::{Migration, history::History};
///
/// let set = MigrationSet::new(&[&[Migration {
///     component: "dlq",
///     id: "0001_letters",
///     sql: "CREATE TABLE letters (id TEXT PRIMARY KEY) STRICT",
/// }]])?;
/// let empty = assess(&History::Absent { user_objects: 0 }, &set);
/// let SchemaGate::Closed(refusal) = gate(&empty) else { panic!("nothing trades on an empty file") };
/// assert_eq!(
///     refusal.to_string(),
///     "the schema is outdated: 1 migration is pending, the first is `dlq/0001_letters`",
/// );
/// # Ok::<(), backstop_schema_version::SetError>(())
/// ```
pub fn gate(assessment: &Assessment) -> SchemaGate {
    match (assessment.status, assessment.compatibility) {
        (Status::Current | Status::Ahead, Compatibility::Full) => SchemaGate::ReadWrite,
        (Status::Ahead, Compatibility::ReadOnly) => SchemaGate::ReadOnly,
        _ => SchemaGate::Closed(Refusal::new(assessment)),
    }
}

/// Why a database is not to be used as it is.
///
/// Its text is one line for a command line to print.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The verdict.
    pub status: Status,
    /// What led to it, the deciding finding first.
    pub findings: Vec<Finding>,
    /// Migrations that would have to run first.
    pub pending: Vec<MigrationId>,
}

impl Refusal {
    pub(crate) fn new(assessment: &Assessment) -> Self {
        Self {
            status: assessment.status,
            findings: assessment.findings.clone(),
            pending: assessment.path.iter().map(MigrationId::from).collect(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.status {
            Status::Current => "the schema is current",
            Status::Outdated => "the schema is outdated",
            Status::Ahead => "the schema is newer than this program",
            Status::Unknown => "the schema is unknown",
            Status::Incompatible => "the schema does not match this program",
        })?;
        let mut separator = ": ";
        for finding in &self.findings {
            write!(f, "{separator}{finding}")?;
            separator = "; ";
        }
        match &*self.pending {
            [] => Ok(()),
            [first] => write!(f, "{separator}1 migration is pending, the first is `{first}`"),
            [first, ..] => {
                let count = self.pending.len();
                write!(f, "{separator}{count} migrations are pending, the first is `{first}`")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl Classify for Refusal {
    /// A person has to act; nothing was touched.
    fn class(&self) -> Class {
        Class::of(Kind::Precondition).with_effect(Effect::NotApplied)
    }
}
