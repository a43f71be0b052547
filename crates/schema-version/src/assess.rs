use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use backstop_clock::Timestamp;
use backstop_storage::{
    Migration,
    history::{History, LAYOUT, Row, State},
};

use crate::{Finding, MigrationId, MigrationSet, finding::Lead};

/// Meta key prefix of a component's write floor: `write_floor:<component>`.
const WRITE_FLOOR: &str = "write_floor";
/// Meta key prefix of a component's read floor: `read_floor:<component>`.
const READ_FLOOR: &str = "read_floor";

/// How a database stands to the program that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Exactly the program's migrations are applied.
    Current,
    /// The program's migrations are applied up to some point; the rest is pending.
    Outdated,
    /// Migrations are applied that come after all that the program knows.
    Ahead,
    /// It could not be found out what is applied.
    Unknown,
    /// What is applied and what the program has contradict each other.
    Incompatible,
}

/// What a program may do with a database that is as it is.
///
/// In rising order of what it permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Compatibility {
    /// It could not be found out.
    Undetermined,
    /// Neither reading nor writing.
    None,
    /// Reading only.
    ReadOnly,
    /// Reading and writing.
    Full,
}

/// Where one component stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The component.
    pub component: String,
    /// The highest applied id; `None` if nothing of it is applied.
    pub current: Option<String>,
    /// The last id of the program; `None` if the program does not know the component.
    pub target: Option<&'static str>,
}

/// What [`assess`] found out about a database.
///
/// A value, read once: it does not follow the database.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Assessment {
    /// The verdict; the first finding decides it.
    pub status: Status,
    /// What the program may do without a migration.
    pub compatibility: Compatibility,
    /// Every component of the program or the database by name; empty if the status is unknown.
    pub lines: Vec<Line>,
    /// The pending migrations in the order in which they would run; empty if the status is unknown.
    pub path: Vec<Migration>,
    /// Everything that is wrong, in the order in which it decides.
    pub findings: Vec<Finding>,
    /// When the youngest row of the history was written.
    pub last_migration_at: Option<Timestamp>,
}

/// Compares what a database has recorded with what the program has.
///
/// The first of these that holds gives the status; the findings list all that hold.
///
/// | | the history | status |
/// |---|---|---|
/// | 1 | is unreadable, or in another layout | `Unknown` |
/// | 2 | is absent: beside objects / in an empty database | `Unknown` / `Outdated` |
/// | 3 | has a row that is not finished | `Incompatible` |
/// | 4 | has another checksum for an id | `Incompatible` |
/// | 5 | has an id below the component's head that the set lacks | `Incompatible` |
/// | 6 | lacks an id below the component's highest | `Incompatible` |
/// | 7 | has ids above the head, or an unknown component | `Ahead` |
/// | 8 | lacks ids at the end | `Outdated` |
/// | 9 | equals the set | `Current` |
///
/// # Compatibility
/// A database that is ahead says itself which older programs may still use it: the meta keys
/// `write_floor:<component>` and `read_floor:<component>` name the lowest head that may write, or
/// read.
/// A floor counts only if it is an applied id of its component; without one the answer is `None`.
/// `None` also if a migration of this program is pending beside the lead.
///
/// # Examples
/// ```
/// use backstop_schema_version::{Finding, MigrationSet, Status, assess};
/// use backstop_storage::{Migration, history::History};
///
/// let set = MigrationSet::new(&[&[Migration {
///     component: "dlq",
///     id: "0001_letters",
///     sql: "CREATE TABLE letters (id TEXT PRIMARY KEY) STRICT",
/// }]])?;
///
/// let empty = assess(&History::Absent { user_objects: 0 }, &set);
/// assert_eq!(empty.status, Status::Outdated);
/// assert_eq!(empty.path[0].id, "0001_letters");
///
/// let foreign = assess(&History::Absent { user_objects: 3 }, &set);
/// assert_eq!(foreign.status, Status::Unknown);
/// assert_eq!(foreign.findings, [Finding::NeedsBaseline { user_objects: 3 }]);
/// # Ok::<(), backstop_schema_version::SetError>(())
/// ```
pub fn assess(history: &History, set: &MigrationSet) -> Assessment {
    match history {
        History::Absent { user_objects: 0 } => compare(&[], &BTreeMap::new(), set),
        History::Absent { user_objects } => {
            unknown(Finding::NeedsBaseline { user_objects: *user_objects })
        }
        // In a foreign layout the rows are not read, which must not look like an empty history.
        History::Present { layout, .. } if *layout != LAYOUT => {
            unknown(Finding::Layout { found: *layout, known: LAYOUT })
        }
        History::Present { rows, meta, .. } => compare(rows, meta, set),
    }
}

impl Assessment {
    /// The verdict on a database whose history could not be read.
    ///
    /// An unreadable history must not look like a fresh database.
    pub fn unreadable(why: impl fmt::Display) -> Self {
        unknown(Finding::Unreadable { why: why.to_string() })
    }
}

fn unknown(finding: Finding) -> Assessment {
    Assessment {
        status: Status::Unknown,
        compatibility: Compatibility::Undetermined,
        lines: Vec::new(),
        path: Vec::new(),
        findings: vec![finding],
        last_migration_at: None,
    }
}

fn compare(rows: &[Row], meta: &BTreeMap<String, String>, set: &MigrationSet) -> Assessment {
    let compared = Compared::new(rows, meta, set);
    let path = compared.pending();
    let findings: Vec<Finding> = (compared.dirty())
        .chain(compared.edited())
        .chain(compared.missing())
        .chain(compared.out_of_order(&path))
        .chain(compared.ahead())
        .collect();
    let status = match findings.first() {
        Some(first) => first.status(),
        None if path.is_empty() => Status::Current,
        None => Status::Outdated,
    };
    let compatibility = match status {
        Status::Current => Compatibility::Full,
        // A pending migration means tables that this program needs and the database lacks.
        Status::Ahead if path.is_empty() => permitted(&findings),
        _ => Compatibility::None,
    };
    Assessment {
        status,
        compatibility,
        lines: compared.lines(),
        path,
        findings,
        last_migration_at: rows.iter().map(|row| row.applied_at).max(),
    }
}

/// Both sides, ordered by component and id.
struct Compared<'a> {
    set: &'a MigrationSet,
    meta: &'a BTreeMap<String, String>,
    rows: BTreeMap<(&'a str, &'a str), &'a Row>,
    known: BTreeMap<(&'a str, &'a str), &'a str>,
}

impl<'a> Compared<'a> {
    fn new(rows: &'a [Row], meta: &'a BTreeMap<String, String>, set: &'a MigrationSet) -> Self {
        let rows = rows.iter().map(|row| ((&*row.component, &*row.id), row)).collect();
        let known = (set.steps().iter())
            .map(|step| ((step.migration.component, step.migration.id), &*step.checksum))
            .collect();
        Self { set, meta, rows, known }
    }

    /// Migrations without any row, in the order of the set.
    fn pending(&self) -> Vec<Migration> {
        let is_pending = |m: &&Migration| !self.rows.contains_key(&(m.component, m.id));
        self.set.iter().filter(is_pending).copied().collect()
    }

    fn dirty(&self) -> impl Iterator<Item = Finding> {
        self.rows
            .values()
            .filter(|row| row.state != State::Applied)
            .map(|row| Finding::Dirty { id: name_of(row) })
    }

    fn edited(&self) -> impl Iterator<Item = Finding> {
        self.rows.iter().filter_map(|(key, row)| {
            let expected = *self.known.get(key)?;
            (row.checksum != expected).then(|| Finding::Edited {
                id: name_of(row),
                recorded: row.checksum.clone(),
                expected: expected.to_owned(),
            })
        })
    }

    fn missing(&self) -> impl Iterator<Item = Finding> {
        (self.unknown_rows())
            .filter(|row| self.set.head(&row.component).is_some_and(|head| *row.id < *head))
            .map(|row| Finding::MissingFile { id: name_of(row) })
    }

    fn out_of_order(&self, path: &[Migration]) -> impl Iterator<Item = Finding> {
        path.iter().filter_map(|pending| {
            let highest = self.highest(pending.component)?;
            (pending.id < highest)
                .then(|| Finding::OutOfOrder { id: pending.into(), highest: highest.to_owned() })
        })
    }

    fn ahead(&self) -> impl Iterator<Item = Finding> {
        // Rows rise within a component, so the last insertion is the highest id.
        let leads: BTreeMap<&str, &str> = (self.unknown_rows())
            .filter(|row| self.set.head(&row.component).is_none_or(|head| *row.id > *head))
            .map(|row| (&*row.component, &*row.id))
            .collect();
        leads.into_iter().map(|(component, found)| {
            Finding::Ahead(Lead {
                component: component.to_owned(),
                found: found.to_owned(),
                known: self.set.head(component),
                write_floor: self.floor(WRITE_FLOOR, component),
                read_floor: self.floor(READ_FLOOR, component),
            })
        })
    }

    fn lines(&self) -> Vec<Line> {
        let components: BTreeSet<&str> =
            self.known.keys().chain(self.rows.keys()).map(|(component, _)| *component).collect();
        let line = |component: &str| Line {
            component: component.to_owned(),
            current: self.highest(component).map(str::to_owned),
            target: self.set.head(component),
        };
        components.into_iter().map(line).collect()
    }

    /// Finished rows that the set has no migration for.
    fn unknown_rows(&self) -> impl Iterator<Item = &'a Row> {
        (self.rows.iter())
            .filter(|(key, row)| row.state == State::Applied && !self.known.contains_key(*key))
            .map(|(_, row)| *row)
    }

    /// The highest id of a component that has a row.
    fn highest(&self, component: &str) -> Option<&'a str> {
        self.rows.keys().rfind(|(of, _)| *of == component).map(|(_, id)| *id)
    }

    /// A floor that names no applied migration is a slip of the pen, and must not open the gate.
    fn floor(&self, kind: &str, component: &str) -> Option<String> {
        let floor = self.meta.get(&format!("{kind}:{component}"))?;
        let row = self.rows.get(&(component, floor.as_str()))?;
        (row.state == State::Applied).then(|| floor.clone())
    }
}

impl Lead {
    fn permits(&self) -> Compatibility {
        let Some(known) = self.known else { return Compatibility::None };
        let reaches = |floor: &Option<String>| floor.as_deref().is_some_and(|floor| known >= floor);
        if reaches(&self.write_floor) {
            Compatibility::Full
        } else if reaches(&self.read_floor) {
            Compatibility::ReadOnly
        } else {
            Compatibility::None
        }
    }
}

/// The least that any of the components ahead permits.
fn permitted(findings: &[Finding]) -> Compatibility {
    let permits = findings.iter().filter_map(|finding| match finding {
        Finding::Ahead(lead) => Some(lead.permits()),
        _ => None,
    });
    permits.min().unwrap_or(Compatibility::None)
}

fn name_of(row: &Row) -> MigrationId {
    MigrationId::new(&*row.component, &*row.id)
}
