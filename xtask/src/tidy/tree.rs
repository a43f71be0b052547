//! The files of the workspace, in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::project::{entries, unreadable};
use crate::shell::Failure;

/// Every text file by its path from the workspace's folder, with `/` between the parts.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads a folder; skips hidden folders but `.ci` and `.config`, build output, and files that are not text.
    ///
    /// # Errors
    ///
    /// A folder or file cannot be read.
    pub fn read(root: &Path) -> Result<Self, Failure> {
        let mut paths = Vec::new();
        walk(root, &mut paths)?;
        let mut files = BTreeMap::new();
        for path in paths {
            let bytes = fs::read(&path).map_err(|why| unreadable(&path, &why))?;
            if let (Ok(text), Ok(inner)) = (String::from_utf8(bytes), path.strip_prefix(root)) {
                let parts: Vec<_> = inner.iter().map(|part| part.to_string_lossy()).collect();
                files.insert(parts.join("/"), text);
            }
        }
        Ok(Self { files })
    }

    /// A tree of the given files, for trying a rule.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(owned).collect() }
    }

    /// Path and text of every file, ordered by path.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Whether a file or a folder of this path exists.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(next, _)| next.starts_with(&folder))
    }

    /// Path and text of the files that end like this.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(move |(path, _)| path.ends_with(end))
    }

    /// A finding for every line that `wrong` has something to say about.
    pub(crate) fn lines(
        path: &str,
        text: &str,
        wrong: impl Fn(&str) -> Option<String>,
    ) -> Vec<Finding> {
        let found = text.lines().zip(1..).filter_map(|(line, number)| {
            wrong(line).map(|why| Finding { path: path.to_owned(), line: number, why })
        });
        found.collect()
    }
}

/// Adds the files below a folder that belong to the project.
fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for path in entries(folder)? {
        if !path.is_dir() {
            paths.push(path);
        } else if !skipped(&path) {
            walk(&path, paths)?;
        }
    }
    Ok(())
}

/// Whether a folder is hidden or holds build output, under whatever name.
fn skipped(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let hidden = name.starts_with('.') && name != ".ci" && name != ".config";
    hidden || name == "target" || folder.join("CACHEDIR.TAG").exists()
}
