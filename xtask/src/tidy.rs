//! The rules about the repository itself, each a function from the [`Tree`] to its [`Finding`]s.
//!
//! | rule | what it asks |
//! |---|---|
//! | [`names::banned`] | no declared type, trait, module or function carries a word that says nothing |
//! | [`files::long`] | a source file above 600 lines says why |
//! | [`files::ascii`] | sources and documents are ASCII |
//! | [`files::machine_paths`] | no path of somebody's machine |
//! | [`packages::complete`] | every crate has a README and `examples/quickstart.rs` |
//! | [`packages::examples`] | no two packages have an example of the same name |
//! | [`documents::index`] | `docs/README.md` lists every file in `docs/` |
//! | [`documents::links`] | a relative link leads to a file |
//! | [`documents::changelog`] | `CHANGELOG.md` has a heading for the version |
//!
//! The rules read the file tree, not git, so that they also hold in an unpacked archive.

pub mod tree;
pub mod source;
pub mod names;
pub mod files;
pub mod packages;
pub mod documents;

use std::fmt;

pub use self::tree::Tree;
use crate::project::Project;
use crate::shell::Failure;

/// One place that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the workspace's folder.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.why)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

/// Applies every rule.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let rules: [Rule; 9] = [
        names::banned,
        files::long,
        files::ascii,
        files::machine_paths,
        packages::complete,
        packages::examples,
        documents::index,
        documents::links,
        documents::changelog,
    ];
    let mut found: Vec<_> = rules.iter().flat_map(|rule| rule(tree)).collect();
    found.sort();
    found
}

/// Reads the workspace and prints what breaks a rule.
///
/// # Errors
///
/// Something does, or a file cannot be read.
pub fn run(project: &Project) -> Result<(), Failure> {
    let tree = Tree::read(project.root())?;
    let found = check(&tree);
    for finding in &found {
        println!("{finding}");
    }
    match found.len() {
        0 => {
            println!("tidy: {} files, nothing to say", tree.files().len());
            Ok(())
        }
        count => Err(Failure::new(format!("tidy: {count} findings"))),
    }
}
