//! Rules about single files.

use super::{Finding, Tree};

/// A source file above this many lines says why.
pub const LINES_MAX: usize = 600;
/// How the first or second line of a long file gives its reason.
pub const LONG_BECAUSE: &str = "// Long because: ";

/// Files of these kinds are written by people and hold nothing but ASCII.
const WRITTEN: &[&str] = &[".rs", ".toml", ".md", ".txt", ".sql", ".ci/run", ".yml", ".yaml"];

/// How an absolute path into somebody's home or work folder begins.
///
/// In two parts each, so that this file does not break its own rule.
const HOMES: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// A source file above [`LINES_MAX`] lines begins with [`LONG_BECAUSE`] and a reason.
pub fn long(tree: &Tree) -> Vec<Finding> {
    let over = tree.ending(".rs").filter(|(_, text)| text.lines().count() > LINES_MAX);
    let silent = over.filter(|(_, text)| {
        let mut first = text.lines().take(2);
        !first.any(|line| line.strip_prefix(LONG_BECAUSE).is_some_and(|why| !why.trim().is_empty()))
    });
    let finding = |(path, text): (&str, &str)| Finding {
        path: path.to_owned(),
        line: 1,
        why: format!(
            "{} lines: split it, or begin with `{LONG_BECAUSE}` and the reason",
            text.lines().count()
        ),
    };
    silent.map(finding).collect()
}

/// Sources and documents are ASCII, so that a look-alike character cannot hide in them.
pub fn ascii(tree: &Tree) -> Vec<Finding> {
    let written = |path: &str| WRITTEN.iter().any(|end| path.ends_with(end));
    let files = tree.files().iter().filter(|(path, _)| written(path));
    let wrong = |line: &str| {
        let strange = line.chars().find(|c| !c.is_ascii())?;
        Some(format!("U+{:04X} is not ASCII", u32::from(strange)))
    };
    files.flat_map(|(path, text)| Tree::lines(path, text, wrong)).collect()
}

/// No text holds a path of somebody's machine.
pub fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let wrong = |line: &str| {
        let home = HOMES.iter().find(|home| begins_path(line, home))?;
        Some(format!("a path of somebody's machine: {home}"))
    };
    tree.files().iter().flat_map(|(path, text)| Tree::lines(path, text, wrong)).collect()
}

/// Whether `home` stands in the line as the beginning of a path, not in the middle of one.
fn begins_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-' || c == '.')
    })
}
